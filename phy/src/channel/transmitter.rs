//! What a transmitter's hardware does: converter, amplifier, oscillator, mixer, in this order.
//!
//! The power that an amplifier takes away is not given back: SNR counts against the unit power that went in.

use num_complex::Complex32;
use serde::{Deserialize, Serialize};

use super::amplifier::Amplifier;
use super::config::{ChannelError, check};
use super::iq_imbalance::IqImbalance;
use super::phase_noise::PhaseNoise;
use super::quantiser::{self, DEFAULT_FULL_SCALE_DB, Quantiser};

/// Told apart from the other generators of a seed.
const TRANSMITTER_STREAM: u64 = 0x7472_616e_736d_6974;

/// Imperfections of a transmitter. The default has none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransmitterConfig {
    /// Bits of the converter in each dimension, 1 to 24; without it samples stay as they are.
    pub dac_bits: Option<u32>,
    /// Full scale of each dimension over the amplitude 1, in dB, −60 to 60.
    pub dac_full_scale_db: f64,
    /// The power amplifier.
    pub amplifier: Amplifier,
    /// Input power at which it saturates over the mean power 1, in dB, −10 to 40.
    pub backoff_db: f64,
    /// Full width at half height of the oscillator's line, 0 (none) to fs/100, in Hz.
    pub phase_noise_hz: f64,
    /// Bandwidth of the loop that holds the oscillator, 0 (free-running) to fs/10, in Hz.
    pub phase_noise_loop_hz: f64,
    /// Amplitude mismatch of the mixer's branches, −6 to 6 dB.
    pub iq_gain_db: f64,
    /// Phase error of the mixer's branches, −45 to 45 degrees.
    pub iq_phase_deg: f64,
}

impl Default for TransmitterConfig {
    fn default() -> Self {
        Self {
            dac_bits: None,
            dac_full_scale_db: DEFAULT_FULL_SCALE_DB,
            amplifier: Amplifier::None,
            backoff_db: 10.0,
            phase_noise_hz: 0.0,
            phase_noise_loop_hz: 0.0,
            iq_gain_db: 0.0,
            iq_phase_deg: 0.0,
        }
    }
}

impl TransmitterConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`ChannelError::OutOfRange`] names the field and its range.
    pub fn validate(&self, sample_rate_hz: f64) -> Result<(), ChannelError> {
        quantiser::validate(("dac_bits", self.dac_bits), ("dac_full_scale_db", self.dac_full_scale_db))?;
        self.amplifier.validate(self.backoff_db)?;
        check("phase_noise_hz", self.phase_noise_hz, 0.0, sample_rate_hz / 100.0)?;
        check("phase_noise_loop_hz", self.phase_noise_loop_hz, 0.0, sample_rate_hz / 10.0)?;
        check("iq_gain_db", self.iq_gain_db, -6.0, 6.0)?;
        check("iq_phase_deg", self.iq_phase_deg, -45.0, 45.0)
    }
}

/// A transmitter's hardware at work.
#[derive(Debug, Clone)]
pub struct Transmitter {
    dac: Option<Quantiser>,
    amplifier: Amplifier,
    backoff_db: f64,
    phase_noise: Option<PhaseNoise>,
    iq_imbalance: Option<IqImbalance>,
}

impl Transmitter {
    /// Builds one.
    ///
    /// # Errors
    /// [`ChannelError::OutOfRange`] when a field is outside its range.
    pub fn new(config: &TransmitterConfig, sample_rate_hz: f64, seed: u64) -> Result<Self, ChannelError> {
        config.validate(sample_rate_hz)?;
        let unbalanced = config.iq_gain_db != 0.0 || config.iq_phase_deg != 0.0;
        Ok(Self {
            dac: config.dac_bits.map(|bits| Quantiser::new(bits, config.dac_full_scale_db)),
            amplifier: config.amplifier,
            backoff_db: config.backoff_db,
            phase_noise: (config.phase_noise_hz > 0.0).then(|| {
                let linewidth = config.phase_noise_hz / sample_rate_hz;
                let bandwidth = config.phase_noise_loop_hz / sample_rate_hz;
                PhaseNoise::new(linewidth, bandwidth, seed ^ TRANSMITTER_STREAM)
            }),
            iq_imbalance: unbalanced.then(|| IqImbalance::new(config.iq_gain_db, config.iq_phase_deg)),
        })
    }

    /// Passes the samples through, where they lie.
    pub fn apply(&mut self, samples: &mut [Complex32]) {
        if let Some(dac) = &self.dac {
            dac.apply(samples);
        }
        self.amplifier.apply(self.backoff_db, samples);
        if let Some(phase_noise) = &mut self.phase_noise {
            phase_noise.apply(samples);
        }
        if let Some(iq_imbalance) = &self.iq_imbalance {
            iq_imbalance.apply(samples);
        }
    }
}
