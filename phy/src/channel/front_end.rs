//! What a receiver's hardware does behind the mixer: gain, DC offset, converter.
//!
//! Gain acts on signal and noise alike, so it changes the SNR only through what clips or drowns in the converter's steps.

use num_complex::{Complex32, Complex64};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

use super::config::{ChannelError, check};
use super::fading::uniform;
use super::gain_control::GainControl;
use super::quantiser::{self, DEFAULT_FULL_SCALE_DB, Quantiser};

const FRONT_END_STREAM: u64 = 0x6672_6f6e_7465_6e64;

/// Imperfections of a receiver behind its mixer. The default has none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FrontEndConfig {
    /// Gain before all else, −100 to 100 dB.
    pub gain_db: f64,
    /// Automatic gain control within ± so many dB, 0 to 100; without it the gain is fixed.
    pub agc_range_db: Option<f64>,
    /// Its time constant, 1 to 1,000,000 µs.
    pub agc_time_us: f64,
    /// Power of a constant that is added, over the unit power of the signal, −100 to 20 dB; its phase is drawn from the seed.
    pub dc_offset_db: Option<f64>,
    /// Bits of the converter in each dimension, 1 to 24; without it samples stay as they are.
    pub adc_bits: Option<u32>,
    /// Full scale of each dimension over the amplitude 1, in dB, −60 to 60.
    pub adc_full_scale_db: f64,
}

impl Default for FrontEndConfig {
    fn default() -> Self {
        Self {
            gain_db: 0.0,
            agc_range_db: None,
            agc_time_us: 100.0,
            dc_offset_db: None,
            adc_bits: None,
            adc_full_scale_db: DEFAULT_FULL_SCALE_DB,
        }
    }
}

impl FrontEndConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`ChannelError::OutOfRange`] names the field and its range.
    pub fn validate(&self) -> Result<(), ChannelError> {
        check("gain_db", self.gain_db, -100.0, 100.0)?;
        check("agc_range_db", self.agc_range_db.unwrap_or(0.0), 0.0, 100.0)?;
        check("agc_time_us", self.agc_time_us, 1.0, 1e6)?;
        check("dc_offset_db", self.dc_offset_db.unwrap_or(0.0), -100.0, 20.0)?;
        quantiser::validate(("adc_bits", self.adc_bits), ("adc_full_scale_db", self.adc_full_scale_db))
    }
}

/// A receiver's hardware at work.
#[derive(Debug, Clone)]
pub(super) struct FrontEnd {
    gain: f32,
    gain_control: Option<GainControl>,
    dc_offset: Complex32,
    adc: Option<Quantiser>,
}

impl FrontEnd {
    /// Builds one from a checked configuration.
    pub fn new(config: &FrontEndConfig, sample_rate_hz: f64, seed: u64) -> Self {
        let dc_offset = config.dc_offset_db.map_or(Complex64::default(), |power_db| {
            let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed ^ FRONT_END_STREAM);
            Complex64::from_polar(10f64.powf(power_db / 20.0), TAU * uniform(&mut generator))
        });
        Self {
            gain: 10f64.powf(config.gain_db / 20.0) as f32,
            gain_control: config
                .agc_range_db
                .map(|range_db| GainControl::new(range_db, config.agc_time_us * 1e-6 * sample_rate_hz)),
            dc_offset: Complex32::new(dc_offset.re as f32, dc_offset.im as f32),
            adc: config.adc_bits.map(|bits| Quantiser::new(bits, config.adc_full_scale_db)),
        }
    }

    /// Passes the samples through, where they lie.
    pub fn apply(&mut self, samples: &mut [Complex32]) {
        if self.gain != 1.0 {
            samples.iter_mut().for_each(|sample| *sample *= self.gain);
        }
        if let Some(gain_control) = &mut self.gain_control {
            gain_control.apply(samples);
        }
        if self.dc_offset != Complex32::default() {
            samples.iter_mut().for_each(|sample| *sample += self.dc_offset);
        }
        if let Some(adc) = &self.adc {
            adc.apply(samples);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dc_offset_has_its_power_and_a_phase_of_the_seed() {
        let config = FrontEndConfig { dc_offset_db: Some(-20.0), ..FrontEndConfig::default() };
        let offset = |seed| {
            let mut samples = [Complex32::default(); 3];
            FrontEnd::new(&config, 1e6, seed).apply(&mut samples);
            samples[2]
        };
        assert!((offset(1).norm() - 0.1).abs() < 1e-6 && (offset(2).norm() - 0.1).abs() < 1e-6);
        assert!((offset(1) - offset(2)).norm() > 1e-3);
    }

    #[test]
    fn gain_comes_before_the_converter() {
        let config =
            FrontEndConfig { gain_db: 20.0, adc_bits: Some(2), adc_full_scale_db: 0.0, ..Default::default() };
        let mut samples = [Complex32::new(0.05, -0.05)];
        FrontEnd::new(&config, 1e6, 0).apply(&mut samples);
        assert_eq!(samples, [Complex32::new(0.5, -0.5)]);
    }
}
