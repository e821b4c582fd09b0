//! The emulated radio channel: complex baseband samples in → complex baseband samples out.
//!
//! ```text
//! transmitted ─► delay ─► tapped delay line ─► carrier offset ─► sampling-clock offset ─► noise ─► received
//! ```
//!
//! The order is that of the physical path: propagation, the receiver's mixer, its sampler. Noise comes
//! last so that it is white at the rate the receiver sees and its power is exactly the one set.
//! Stages that have nothing to do are left out, so a default [`ChannelConfig`] returns its input bit
//! for bit.
//!
//! A [`Channel`] runs for ever and keeps its state between calls. What comes out is a function of the
//! configuration and of all samples that went in, never of how they were cut into calls.
//! There is no clock in here and no I/O; formulas and sources of each stage are in `docs/CHANNELS.md`.
//!
//! - Input: [`Complex32`], unit mean power over a transmission, `occupied_fraction` of the band used.
//! - Output: [`Complex32`]; 1 + ppm/10⁶ samples for each one in, fewer by up to 12 that the resampler
//!   holds back.

mod config;
mod delay_line;
mod fading;
mod frequency_offset;
mod kernel;
mod noise;
mod resampler;
mod tdl;

use std::collections::VecDeque;

use num_complex::Complex32;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

pub use config::{
    ChannelConfig, ChannelError, Fading, MAX_DELAY_SAMPLES, MAX_SAMPLING_OFFSET_PPM, MAX_SPAN_SAMPLES,
    MAX_TAP_DELAY_NS, MAX_TAPS, Profile, SPECULAR_DOPPLER, Tap,
};
use delay_line::DelayLine;
use frequency_offset::FrequencyOffset;
use noise::Noise;
use resampler::Resampler;
pub use tdl::TdlModel;

/// Samples that pass through the stages together: small enough for the first-level cache.
const BLOCK: usize = 1024;
/// Told apart from the noise, so that a channel keeps its fading when only the SNR is changed.
const PROPAGATION_STREAM: u64 = 0x7072_6f70_6167_6174;

/// A channel in operation.
///
/// ```
/// use num_complex::Complex32;
/// use semcast_phy::channel::{Channel, ChannelConfig};
///
/// let config = ChannelConfig {
///     profile: "multipath".parse()?,
///     snr_db: Some(15.0),
///     occupied_fraction: 0.6,
///     cfo_hz: 20e3,
///     ..ChannelConfig::default()
/// };
/// let mut channel = Channel::new(config, 7.68e6)?;
/// let mut received = Vec::new();
/// channel.process(&[Complex32::new(1.0, 0.0); 1000], &mut received);
/// channel.flush(500, &mut received);
/// assert_eq!(received.len(), 1500);
/// # Ok::<(), semcast_phy::channel::ChannelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Channel {
    config: ChannelConfig,
    latency_samples: usize,
    delay: VecDeque<Complex32>,
    delay_line: Option<DelayLine>,
    frequency_offset: Option<FrequencyOffset>,
    resampler: Option<Resampler>,
    noise: Option<Noise>,
    block: Vec<Complex32>,
}

impl Channel {
    /// Builds a channel at rest: silence came before the first sample.
    ///
    /// # Errors
    /// [`ChannelError::OutOfRange`] when a field is outside its range.
    pub fn new(config: ChannelConfig, sample_rate_hz: f64) -> Result<Self, ChannelError> {
        config.validate(sample_rate_hz)?;
        let doppler = config.doppler_hz / sample_rate_hz;
        let taps = config.profile.taps();
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(config.seed ^ PROPAGATION_STREAM);
        let delay_line = (config.profile != Profile::Awgn).then(|| {
            let occupied = config.occupied_fraction;
            DelayLine::new(&taps, sample_rate_hz, occupied, doppler, &mut generator)
        });
        Ok(Self {
            latency_samples: config.delay_samples as usize + delay_line::latency(&taps, sample_rate_hz),
            delay: vec![Complex32::default(); config.delay_samples as usize].into(),
            delay_line,
            frequency_offset: (config.cfo_hz != 0.0)
                .then(|| FrequencyOffset::new(config.cfo_hz, sample_rate_hz)),
            resampler: (config.sampling_offset_ppm != 0.0)
                .then(|| Resampler::new(config.sampling_offset_ppm)),
            noise: config.noise_variance().map(|variance| Noise::new(variance, config.seed)),
            block: Vec::with_capacity(BLOCK),
            config,
        })
    }

    /// What the channel was built from.
    pub fn config(&self) -> &ChannelConfig {
        &self.config
    }

    /// Samples by which the first path lags: the bulk delay and the interpolator of a delay line
    /// with taps between samples.
    pub fn latency_samples(&self) -> usize {
        self.latency_samples
    }

    /// Passes `input` through and appends what the receiver gets to `output`.
    pub fn process(&mut self, input: &[Complex32], output: &mut Vec<Complex32>) {
        for part in input.chunks(BLOCK) {
            self.block.clear();
            self.block.extend_from_slice(part);
            self.process_block(output);
        }
    }

    /// Passes `count` samples of silence through: what the receiver hears after a transmission.
    pub fn flush(&mut self, count: usize, output: &mut Vec<Complex32>) {
        let mut left = count;
        while left > 0 {
            let part = left.min(BLOCK);
            self.block.clear();
            self.block.resize(part, Complex32::default());
            self.process_block(output);
            left -= part;
        }
    }

    fn process_block(&mut self, output: &mut Vec<Complex32>) {
        if !self.delay.is_empty() {
            self.delay.extend(self.block.iter());
            for (sample, delayed) in self.block.iter_mut().zip(self.delay.iter()) {
                *sample = *delayed;
            }
            self.delay.drain(..self.block.len());
        }
        if let Some(delay_line) = &mut self.delay_line {
            delay_line.apply(&mut self.block);
        }
        if let Some(frequency_offset) = &mut self.frequency_offset {
            frequency_offset.apply(&mut self.block);
        }
        let first = output.len();
        match &mut self.resampler {
            Some(resampler) => resampler.process(&self.block, output),
            None => output.extend_from_slice(&self.block),
        }
        if let Some(noise) = &mut self.noise {
            noise.add(&mut output[first..]);
        }
    }
}

#[cfg(test)]
mod tests;
