//! What a message may cost, and what frames have cost.

use semcast_common::{content::Content, wire::Overhead};
use semcast_models::Budget;
use semcast_phy::{framing::FrameCost, modulation::mcs::Mcs};

use crate::{link_adaptation::protected, planner::MAX_SEGMENT_BYTES};

/// Text has no resolution to trade: it may take as many symbols as it needs.
const TEXT_SYMBOLS: usize = 1 << 24;

/// Resource elements of frames.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Elements {
    /// Those that carry the message.
    pub payload: u64,
    /// All others, by cause.
    pub overhead: Overhead,
}

impl Elements {
    /// Adds a frame; `sounding`: it has no segments.
    pub fn add(&mut self, cost: &FrameCost, sounding: bool) {
        let overhead = &mut self.overhead;
        if sounding {
            overhead.sounding += cost.total() as u64;
            return;
        }
        self.payload += cost.payload as u64;
        overhead.preamble += cost.preamble as u64;
        overhead.header += cost.header as u64;
        overhead.control += cost.control as u64;
        overhead.pilots += cost.pilots as u64;
        overhead.padding += cost.padding as u64;
    }
}

/// What a message of a content may cost: so many symbols a value of a picture, and the bytes that these carry on a step
/// of the ladder. `snr_db`: what they are expected to meet, as far as it is known.
pub fn budget(cbr: f64, content: &Content, mcs: Mcs, snr_db: Option<f32>) -> Budget {
    let symbols = match content {
        Content::Picture(picture) => ((cbr * picture.values() as f64) as usize).max(1),
        Content::Text(_) | Content::Labels(_) => TEXT_SYMBOLS,
    };
    // As the planner cuts it: full segments, and one with what is left.
    let full = mcs.symbols_for_bytes(MAX_SEGMENT_BYTES);
    let bytes = symbols / full * MAX_SEGMENT_BYTES + mcs.bytes_for_symbols(symbols % full);
    let cost = |level: usize| {
        let dearer = mcs.spectral_efficiency() / protected(mcs, level).spectral_efficiency();
        (256.0 * dearer).round().clamp(256.0, f64::from(u16::MAX)) as u16
    };
    Budget { symbols, bytes, costs_256: std::array::from_fn(cost), snr_db }
}
