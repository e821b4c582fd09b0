//! What the receiver tells the transmitter: the state of the channel, and what arrived of a message.

use serde::{Deserialize, Serialize};

use super::{ReceiverPart, WireError, check_real, clip};
use crate::message::MAX_FEATURES;
use crate::segmentation::PartRange;

/// Most resource blocks in a channel report.
pub const MAX_RESOURCE_BLOCKS: usize = 275;
/// Most ranges in each list of a receipt; what is missing and does not fit is asked for in the next one.
pub const MAX_MISSING_RANGES: usize = 256;

/// An SNR in steps of 0.25 dB from −20 dB (0) to 43.75 dB (255).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QuantisedSnr(pub u8);

impl QuantisedSnr {
    const STEP_DB: f32 = 0.25;
    const LOWEST_DB: f32 = -20.0;

    /// The nearest step; saturates, and takes NaN for the lowest.
    pub fn from_db(snr_db: f32) -> Self {
        // A float-to-integer `as` saturates and maps NaN to 0, which is what is wanted.
        Self(((snr_db - Self::LOWEST_DB) / Self::STEP_DB).round() as u8)
    }

    /// In dB.
    pub fn db(self) -> f32 {
        f32::from(self.0) * Self::STEP_DB + Self::LOWEST_DB
    }
}

/// The channel as the receiver sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelState {
    /// Frames received since the receiver started.
    pub frames: u64,
    /// SNR of each resource block, lowest frequency first, at most [`MAX_RESOURCE_BLOCKS`].
    pub snr_per_rb: Vec<QuantisedSnr>,
    /// SNR over all occupied resource elements, in dB.
    pub wideband_snr_db: f32,
    /// Carrier frequency offset, in Hz.
    pub cfo_hz: f32,
}

impl ChannelState {
    /// From measurements in dB.
    pub fn new(frames: u64, snr_db_per_rb: &[f32], wideband_snr_db: f32, cfo_hz: f32) -> Self {
        let snr_per_rb = snr_db_per_rb.iter().map(|&db| QuantisedSnr::from_db(db)).collect();
        Self { frames, snr_per_rb, wideband_snr_db, cfo_hz }
    }

    /// SNR of each resource block in dB.
    pub fn snr_db_per_rb(&self) -> impl ExactSizeIterator<Item = f32> {
        self.snr_per_rb.iter().map(|step| step.db())
    }

    pub(super) fn check(&self) -> Result<(), WireError> {
        if self.snr_per_rb.len() > MAX_RESOURCE_BLOCKS {
            return Err(WireError::range(
                "resource blocks",
                self.snr_per_rb.len(),
                format!("at most {MAX_RESOURCE_BLOCKS}"),
            ));
        }
        check_real("SNR in dB", f64::from(self.wideband_snr_db), -200.0..=200.0)?;
        check_real("carrier frequency offset in Hz", f64::from(self.cfo_hz), -1e9..=1e9)
    }
}

/// Acknowledgement with received quality; while anything is missing, also the request to resend it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageReceipt {
    /// The message.
    pub message_id: u16,
    /// The transmitter process that its number belongs to.
    pub session: u32,
    /// What has not arrived: ranges in rising order without overlap, at most [`MAX_MISSING_RANGES`]. A
    /// range may reach beyond its feature's end: a receiver that heard nothing does not know it.
    pub missing: Vec<PartRange>,
    /// What of it came in a frame that was heard, but could not be corrected: the receiver keeps its soft bits
    /// to combine them with the same segment sent again. What is missing and not here was not heard at all.
    /// Ranges as those of `missing`.
    pub uncorrected: Vec<PartRange>,
    /// Frames of the message received.
    pub frames: u32,
    /// Mean SNR over them, in dB.
    pub snr_db: f32,
    /// Nothing is missing any more.
    pub complete: bool,
    /// How well each feature arrived, in the order of the message; empty if nothing was heard.
    pub quality: Vec<FeatureQuality>,
}

/// How well a feature arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeatureQuality {
    /// Bytes.
    Digital {
        /// All of them are there.
        intact: bool,
    },
    /// Symbols.
    Analog {
        /// Effective SNR: that of equal noise on all symbols under which their best estimates would be as good. What did not
        /// arrive counts.
        snr: QuantisedSnr,
    },
}

impl MessageReceipt {
    pub(super) fn check(&self) -> Result<(), WireError> {
        check_ranges("missing ranges", &self.missing)?;
        check_ranges("uncorrected ranges", &self.uncorrected)?;
        if self.quality.len() > MAX_FEATURES {
            let most = format!("at most {MAX_FEATURES}");
            return Err(WireError::range("qualities of features", self.quality.len(), most));
        }
        check_real("SNR in dB", f64::from(self.snr_db), -200.0..=200.0)
    }
}

/// Refuses too many ranges, and any but rising ones: that bounds what a receipt can ask for to one copy of
/// everything.
fn check_ranges(field: &'static str, ranges: &[PartRange]) -> Result<(), WireError> {
    if ranges.len() > MAX_MISSING_RANGES {
        return Err(WireError::range(field, ranges.len(), format!("at most {MAX_MISSING_RANGES}")));
    }
    let mut next = (0u8, 0u32);
    for range in ranges {
        if range.start >= range.end || (range.feature, range.start) < next {
            return Err(WireError::range(
                field,
                format!("{} to {} of feature {}", range.start, range.end, range.feature),
                "rising ranges that are not empty",
            ));
        }
        next = (range.feature, range.end);
    }
    Ok(())
}

/// The receiver cannot decode a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecodable {
    /// The message.
    pub message_id: u16,
    /// The transmitter process that its number belongs to.
    pub session: u32,
    /// Why, for people, at most [`MAX_NOTE_BYTES`](super::MAX_NOTE_BYTES).
    pub reason: String,
}

impl Undecodable {
    /// With a reason that is clipped to what may cross the link.
    pub fn new(message_id: u16, session: u32, reason: impl Into<String>) -> Self {
        Self { message_id, session, reason: clip(reason, super::MAX_NOTE_BYTES) }
    }
}

/// The receiver has decoded a message and delivered it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decoded {
    /// The message.
    pub message_id: u16,
    /// The transmission session that its number belongs to.
    pub session: u32,
    /// The receiver's half of the report: confidence, quality, timings.
    pub part: ReceiverPart,
}

/// Answer to a clock probe. With the time of the answer's arrival it gives the offset between the clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReply {
    /// When the probe was sent, by the prober's clock, in µs since the Unix epoch.
    pub probe_sent_unix_us: u64,
    /// When the probe arrived, by the answerer's clock.
    pub probe_received_unix_us: u64,
    /// When the answer was sent, by the answerer's clock.
    pub reply_sent_unix_us: u64,
}

impl ClockReply {
    /// The answer of now to a probe that came at `received_unix_us`.
    pub fn now(probe_sent_unix_us: u64, received_unix_us: u64) -> Self {
        Self {
            probe_sent_unix_us,
            probe_received_unix_us: received_unix_us,
            reply_sent_unix_us: crate::clock::unix_us(),
        }
    }

    /// How far the answerer's clock is ahead of the prober's, in µs, and the round-trip time in µs
    /// (RFC 5905, section 8: θ and δ).
    pub fn offset_and_round_trip_us(&self, reply_received_unix_us: u64) -> (i64, i64) {
        let difference = |a: u64, b: u64| a.wrapping_sub(b) as i64;
        let out = difference(self.probe_received_unix_us, self.probe_sent_unix_us);
        let back = difference(self.reply_sent_unix_us, reply_received_unix_us);
        let offset = ((i128::from(out) + i128::from(back)) / 2) as i64;
        (offset, out.wrapping_sub(back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snr_steps_round_and_saturate() {
        for (db, expected) in
            [(0.1, 0.0), (0.13, 0.25), (15.0, 15.0), (-99.0, -20.0), (99.0, 43.75), (f32::NAN, -20.0)]
        {
            assert_eq!(QuantisedSnr::from_db(db).db(), expected, "{db}");
        }
    }

    #[test]
    fn ranges_that_overlap_or_are_empty_are_refused() {
        let receipt = |missing: Vec<PartRange>| MessageReceipt {
            message_id: 1,
            session: 1,
            missing: missing.clone(),
            uncorrected: missing,
            frames: 0,
            snr_db: 0.0,
            complete: false,
            quality: Vec::new(),
        };
        let range = |feature, start, end| PartRange { feature, start, end };
        assert!(receipt(vec![range(0, 0, 2), range(0, 2, 3), range(1, 0, u32::MAX)]).check().is_ok());
        assert!(receipt(vec![range(0, 0, 2), range(0, 1, 3)]).check().is_err());
        assert!(receipt(vec![range(1, 0, 2), range(0, 5, 6)]).check().is_err());
        assert!(receipt(vec![range(0, 3, 3)]).check().is_err());
    }

    #[test]
    fn clock_offset_of_a_symmetric_path() {
        let reply = ClockReply {
            probe_sent_unix_us: 1_000,
            probe_received_unix_us: 6_100,
            reply_sent_unix_us: 6_150,
        };
        assert_eq!(reply.offset_and_round_trip_us(1_250), (5_000, 200));
    }
}
