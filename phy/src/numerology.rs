//! The numerology: what the OFDM grid looks like. Both ends must hold the same one.
//!
//! Subcarriers are numbered 0 to `subcarriers() − 1` from the lowest frequency up; the one at DC does not
//! exist. A resource block (RB) is 12 neighbouring subcarriers, as in 3GPP TS 38.211 §4.4.4.1.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Subcarriers in a resource block (3GPP TS 38.211 §4.4.4.1).
pub const SUBCARRIERS_PER_RB: usize = 12;

/// Grid of an OFDM link.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Numerology {
    /// Length of the DFT, a power of two from 64 to 4096.
    pub fft_size: usize,
    /// Cyclic prefix in samples, before every symbol.
    pub cyclic_prefix: usize,
    /// Occupied resource blocks, an even share on both sides of DC.
    pub resource_blocks: usize,
    /// Complex samples per second.
    pub sample_rate_hz: f64,
}

/// Why a numerology cannot be used.
#[derive(Debug, Error, PartialEq)]
pub enum NumerologyError {
    /// The DFT length is no power of two, or out of range.
    #[error("DFT length {0}: must be a power of two from 64 to 4096")]
    FftSize(usize),
    /// The cyclic prefix is too short or too long.
    #[error("cyclic prefix of {actual} samples: must be 4 to {most}, half of the DFT length")]
    CyclicPrefix {
        /// What was given.
        actual: usize,
        /// The longest that is possible.
        most: usize,
    },
    /// The blocks do not fit into the band with a guard of an eighth of it.
    #[error("{actual} resource blocks: must be 2 to {most} at this DFT length")]
    ResourceBlocks {
        /// What was given.
        actual: usize,
        /// The most that fit.
        most: usize,
    },
    /// The rate is not a positive number that a radio could have.
    #[error("sample rate {0} Hz: must be 10000 to 100000000")]
    SampleRate(f64),
}

impl Default for Numerology {
    /// 25 RBs of 15 kHz subcarriers at 7.68 Msamples/s: a 5 MHz carrier of NR and LTE.
    fn default() -> Self {
        Self { fft_size: 512, cyclic_prefix: 36, resource_blocks: 25, sample_rate_hz: 7_680_000.0 }
    }
}

impl Numerology {
    /// Checks every field against its range.
    pub fn validate(self) -> Result<Self, NumerologyError> {
        if !self.fft_size.is_power_of_two() || !(64..=4096).contains(&self.fft_size) {
            return Err(NumerologyError::FftSize(self.fft_size));
        }
        let most = self.fft_size / 2;
        if !(4..=most).contains(&self.cyclic_prefix) {
            return Err(NumerologyError::CyclicPrefix { actual: self.cyclic_prefix, most });
        }
        let most = self.fft_size * 7 / 8 / SUBCARRIERS_PER_RB;
        if !(2..=most).contains(&self.resource_blocks) {
            return Err(NumerologyError::ResourceBlocks { actual: self.resource_blocks, most });
        }
        if !(10e3..=100e6).contains(&self.sample_rate_hz) {
            return Err(NumerologyError::SampleRate(self.sample_rate_hz));
        }
        Ok(self)
    }

    /// Occupied subcarriers K.
    pub fn subcarriers(&self) -> usize {
        self.resource_blocks * SUBCARRIERS_PER_RB
    }

    /// Share of the sampled band that is occupied, K/N.
    pub fn occupied_fraction(&self) -> f64 {
        self.subcarriers() as f64 / self.fft_size as f64
    }

    /// Samples of one OFDM symbol with its cyclic prefix.
    pub fn symbol_samples(&self) -> usize {
        self.fft_size + self.cyclic_prefix
    }

    /// Spacing of the subcarriers in Hz.
    pub fn subcarrier_spacing_hz(&self) -> f64 {
        self.sample_rate_hz / self.fft_size as f64
    }

    /// Frequency of subcarrier `k` in units of the spacing: −K/2 … −1, 1 … K/2.
    pub fn frequency_index(&self, k: usize) -> i32 {
        let half = self.subcarriers() / 2;
        if k < half { k as i32 - half as i32 } else { (k - half) as i32 + 1 }
    }

    /// DFT bin of subcarrier `k`.
    pub fn bin(&self, k: usize) -> usize {
        let frequency = self.frequency_index(k);
        if frequency < 0 { (self.fft_size as i32 + frequency) as usize } else { frequency as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dc_is_empty_and_every_subcarrier_has_its_own_bin() {
        let numerology = Numerology::default();
        let mut bins: Vec<_> = (0..numerology.subcarriers()).map(|k| numerology.bin(k)).collect();
        assert!(!bins.contains(&0), "nothing is sent at DC");
        bins.sort_unstable();
        bins.dedup();
        assert_eq!(bins.len(), 300);
    }

    #[test]
    fn out_of_range_numerologies_are_refused() {
        let base = Numerology::default();
        assert!(Numerology { fft_size: 500, ..base }.validate().is_err());
        assert!(Numerology { cyclic_prefix: 300, ..base }.validate().is_err());
        assert!(Numerology { resource_blocks: 40, ..base }.validate().is_err());
        assert!(Numerology { sample_rate_hz: f64::NAN, ..base }.validate().is_err());
        assert!(base.validate().is_ok());
    }
}
