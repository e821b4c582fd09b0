//! The MCS ladder: index → modulation and code rate, and which rung an SNR allows.
//!
//! A rung's threshold is the SNR (Es/N0, AWGN) at which one of a hundred 500-byte transport blocks is
//! lost with 20 decoder iterations. Measured with
//!
//! ```text
//! cargo run --release -p semcast-phy --example mcs_thresholds
//! ```
//!
//! Other lengths, by the same program: 3000 bytes need up to 0.1 dB less, 60 bytes 0.3 to 1.1 dB more. 20 and
//! 8 bytes, which are polar coded, need 0.2 to 0.7 dB more up to 16-QAM, and above that between 0.3 dB more and
//! 1.1 dB less.
//!
//! Below rate 1/5 the code's bits are repeated, which costs no complexity and keeps the distance from the
//! capacity; the lowest rung needs -13.5 dB.

use std::fmt;

use super::Modulation;
use super::mcs_table::{LADDER, Rung};
use super::mutual_information;
use crate::coding::segmentation::{MAX_CODED_BITS, MAX_PAYLOAD_BYTES, TransportBlock};

/// A rung of the ladder: 0 is the most robust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mcs(u8);

impl Mcs {
    /// Number of rungs; indices fit into six bits.
    pub const COUNT: usize = LADDER.len();

    /// The most robust rung.
    pub const LOWEST: Self = Self(0);

    /// The rung with this index, if there is one.
    pub fn from_index(index: u8) -> Option<Self> {
        (usize::from(index) < Self::COUNT).then_some(Self(index))
    }

    /// All rungs, the most robust first.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        (0..Self::COUNT as u8).map(Self)
    }

    /// The place on the ladder.
    pub fn index(self) -> u8 {
        self.0
    }

    fn rung(self) -> Rung {
        LADDER[usize::from(self.0)]
    }

    /// The constellation.
    pub fn modulation(self) -> Modulation {
        self.rung().modulation
    }

    /// Information bits, CRCs included, for each coded bit.
    pub fn code_rate(self) -> f64 {
        f64::from(self.rung().rate_1024) / 1024.0
    }

    /// SNR in dB for a frame error rate of 1e-2, see the module's description.
    pub fn threshold_db(self) -> f32 {
        self.rung().threshold_db
    }

    /// Information bits, CRCs included, for each symbol.
    pub fn spectral_efficiency(self) -> f64 {
        f64::from(self.modulation().bits_per_symbol()) * self.code_rate()
    }

    /// The highest rung whose threshold and margin the SNR reaches; the lowest if none does.
    pub fn select(snr_db: f32, margin_db: f32) -> Self {
        Self::all().rev().find(|mcs| mcs.threshold_db() + margin_db <= snr_db).unwrap_or(Self::LOWEST)
    }

    /// [`Self::select`] for a channel whose resource blocks have different SNRs.
    pub fn select_for_blocks(snr_db_per_block: &[f32], margin_db: f32) -> Self {
        Self::all()
            .rev()
            .find(|mcs| mcs.threshold_db() + margin_db <= mcs.effective_snr_db(snr_db_per_block))
            .unwrap_or(Self::LOWEST)
    }

    /// SNR in dB of the flat channel that is worth as much to this rung's modulation.
    pub fn effective_snr_db(self, snr_db_per_block: &[f32]) -> f32 {
        mutual_information::effective_snr_db(snr_db_per_block, self.modulation())
    }

    /// Symbols of a transport block with a payload of `bytes` bytes, CRCs included.
    ///
    /// A payload has 1 to 65,535 bytes; other sizes are taken as the nearest of these.
    pub fn symbols_for_bytes(self, bytes: usize) -> usize {
        let bytes = bytes.clamp(1, MAX_PAYLOAD_BYTES);
        let mut symbols = self.symbols_for_bits(bytes * 8);
        // More symbols lower the rate, which may change the base graph and with it the CRCs.
        while !self.fits(bytes, symbols) {
            symbols = match TransportBlock::information_bits(bytes, self.coded_bits(symbols)) {
                Ok(bits) => self.symbols_for_bits(bits),
                Err(_) => break,
            };
        }
        symbols
    }

    /// The longest payload in bytes whose transport block takes at most `symbols` symbols at this
    /// rung's code rate; 0 if there is room for none.
    pub fn bytes_for_symbols(self, symbols: usize) -> usize {
        let symbols = symbols.min(MAX_CODED_BITS / usize::from(self.modulation().bits_per_symbol()));
        let most = self.coded_bits(symbols) * usize::from(self.rung().rate_1024) / 1024 / 8;
        (1..=most.min(MAX_PAYLOAD_BYTES)).rev().find(|&bytes| self.fits(bytes, symbols)).unwrap_or(0)
    }

    /// Whether the code rate of a payload on so many symbols is at most this rung's.
    fn fits(self, bytes: usize, symbols: usize) -> bool {
        TransportBlock::information_bits(bytes, self.coded_bits(symbols))
            .is_ok_and(|bits| self.symbols_for_bits(bits) <= symbols)
    }

    fn coded_bits(self, symbols: usize) -> usize {
        symbols * usize::from(self.modulation().bits_per_symbol())
    }

    fn symbols_for_bits(self, information_bits: usize) -> usize {
        let per_1024_symbols =
            usize::from(self.rung().rate_1024) * usize::from(self.modulation().bits_per_symbol());
        (information_bits * 1024).div_ceil(per_1024_symbols)
    }
}

impl fmt::Display for Mcs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.modulation() {
            Modulation::Qpsk => "QPSK",
            Modulation::Qam16 => "16-QAM",
            Modulation::Qam64 => "64-QAM",
            Modulation::Qam256 => "256-QAM",
        };
        write!(f, "{name} {}/1024", self.rung().rate_1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ladder_rises_in_small_steps() {
        const { assert!(Mcs::COUNT <= 64) };
        let rungs: Vec<Mcs> = Mcs::all().collect();
        assert!(rungs[0].threshold_db() <= -13.0);
        assert!(rungs[Mcs::COUNT - 1].threshold_db() >= 22.0);
        for pair in rungs.windows(2) {
            let step = pair[1].threshold_db() - pair[0].threshold_db();
            assert!(step > 0.0 && step <= 1.5, "{} to {}: {step} dB", pair[0], pair[1]);
            assert!(pair[1].spectral_efficiency() > pair[0].spectral_efficiency());
        }
    }

    #[test]
    fn selection_takes_the_highest_rung_that_holds() {
        assert_eq!(Mcs::select(-40.0, 0.0), Mcs::LOWEST);
        assert_eq!(Mcs::select(f32::NAN, 0.0), Mcs::LOWEST);
        assert_eq!(usize::from(Mcs::select(60.0, 0.0).index()), Mcs::COUNT - 1);
        for mcs in Mcs::all() {
            assert_eq!(Mcs::select(mcs.threshold_db() + 2.0, 2.0), mcs);
            assert_eq!(Mcs::select_for_blocks(&[mcs.threshold_db() + 2.05; 3], 2.0), mcs);
        }
    }

    #[test]
    fn sizes_at_the_ends_are_bounded() {
        for mcs in Mcs::all() {
            assert_eq!(mcs.bytes_for_symbols(0), 0);
            assert_eq!(mcs.bytes_for_symbols(usize::MAX), MAX_PAYLOAD_BYTES);
            assert_eq!(mcs.symbols_for_bytes(0), mcs.symbols_for_bytes(1));
            assert_eq!(mcs.symbols_for_bytes(usize::MAX), mcs.symbols_for_bytes(MAX_PAYLOAD_BYTES));
        }
    }

    proptest! {
        #[test]
        fn sizes_agree_in_both_directions(index in 0..Mcs::COUNT as u8, bytes in 1..=MAX_PAYLOAD_BYTES) {
            let mcs = Mcs(index);
            let symbols = mcs.symbols_for_bytes(bytes);
            prop_assert!(mcs.bytes_for_symbols(symbols) >= bytes);
            let order = mcs.modulation().bits_per_symbol();
            let block = TransportBlock::new(bytes, symbols * usize::from(order), order);
            prop_assert!(block.is_ok());
            let most = mcs.bytes_for_symbols(symbols / 2);
            prop_assert!(most == 0 || mcs.symbols_for_bytes(most) <= symbols / 2);
        }
    }
}
