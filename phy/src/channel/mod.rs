//! The emulated radio channel: complex baseband samples in → complex baseband samples out.
//!
//! ```text
//! transmitted ─► transmitter ─► delay ─► tapped delay line ─► dropouts ─► interferers ─► carrier offset
//!             ─► sampling-clock offset ─► noise ─► front end ─► received
//! ```
//!
//! The order is that of the physical path: the transmitter's hardware, propagation, the receiver's mixer, its sampler,
//! its front end. Noise comes after the sampler so that it is white at the rate the receiver sees and its power is exactly
//! the one set.
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

mod amplifier;
mod config;
mod delay_line;
mod dropouts;
mod fading;
mod frequency_offset;
mod front_end;
mod gain_control;
mod interferer;
mod iq_imbalance;
mod kernel;
mod lte;
mod noise;
mod phase_noise;
mod quantiser;
mod resampler;
mod tdl;
mod transmitter;

use std::collections::VecDeque;

use num_complex::Complex32;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

pub use amplifier::Amplifier;
pub use config::{
    ChannelConfig, ChannelError, Fading, MAX_DELAY_SAMPLES, MAX_SAMPLING_OFFSET_PPM, MAX_SPAN_SAMPLES,
    MAX_TAP_DELAY_NS, MAX_TAPS, Profile, SPECULAR_DOPPLER, Tap,
};
use delay_line::DelayLine;
use dropouts::Dropouts;
use frequency_offset::FrequencyOffset;
use front_end::FrontEnd;
pub use front_end::FrontEndConfig;
use interferer::InterfererSource;
pub use interferer::{Interferer, InterfererKind, Interferers, MAX_INTERFERERS};
pub use lte::LteModel;
use noise::Noise;
pub use quantiser::MAX_BITS;
use resampler::Resampler;
pub use tdl::TdlModel;
pub use transmitter::{Transmitter, TransmitterConfig};

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
    sample_rate_hz: f64,
    latency_samples: usize,
    transmitter: Option<Transmitter>,
    delay: VecDeque<Complex32>,
    delay_line: Option<DelayLine>,
    dropouts: Option<Dropouts>,
    interferers: Vec<InterfererSource>,
    frequency_offset: Option<FrequencyOffset>,
    resampler: Option<Resampler>,
    noise: Option<Noise>,
    front_end: Option<FrontEnd>,
    block: Vec<Complex32>,
}

impl Channel {
    /// Builds a channel at rest: silence came before the first sample.
    ///
    /// # Errors
    /// [`ChannelError::OutOfRange`] when a field is outside its range.
    pub fn new(config: ChannelConfig, sample_rate_hz: f64) -> Result<Self, ChannelError> {
        config.validate(sample_rate_hz)?;
        Ok(Self {
            sample_rate_hz,
            latency_samples: latency(&config, sample_rate_hz),
            transmitter: transmitter(&config, sample_rate_hz)?,
            delay: vec![Complex32::default(); config.delay_samples as usize].into(),
            delay_line: delay_line(&config, sample_rate_hz),
            dropouts: dropouts(&config, sample_rate_hz),
            interferers: config.interferers.sources(sample_rate_hz, config.seed),
            frequency_offset: (config.cfo_hz != 0.0)
                .then(|| FrequencyOffset::new(config.cfo_hz, sample_rate_hz)),
            resampler: (config.sampling_offset_ppm != 0.0)
                .then(|| Resampler::new(config.sampling_offset_ppm)),
            noise: config.noise_variance().map(|variance| Noise::new(variance, config.seed)),
            front_end: front_end(&config, sample_rate_hz),
            block: Vec::with_capacity(BLOCK),
            config,
        })
    }

    /// Changes the channel from the next sample on. Stages whose settings stay go on as they were, random draws included;
    /// SNR, carrier and clock offset change without a jump; other stages begin anew.
    ///
    /// # Errors
    /// [`ChannelError::OutOfRange`] when a field is outside its range; nothing is changed then.
    pub fn reconfigure(&mut self, config: ChannelConfig) -> Result<(), ChannelError> {
        let rate = self.sample_rate_hz;
        config.validate(rate)?;
        let reseeded = config.seed != self.config.seed;
        if reseeded || config.transmitter != self.config.transmitter {
            self.transmitter = transmitter(&config, rate)?;
        }
        let (before, after) = (self.config.delay_samples as usize, config.delay_samples as usize);
        if after < before {
            self.delay.drain(..before - after);
        } else {
            // Silence in between: what is under way arrives later.
            let end = self.delay.len();
            self.delay.resize(end + after - before, Complex32::default());
            self.delay.rotate_right(after - before);
        }
        let line = |config: &ChannelConfig| {
            (config.profile.clone(), config.doppler_hz, config.occupied_fraction, config.seed)
        };
        if line(&config) != line(&self.config) {
            self.delay_line = delay_line(&config, rate);
        }
        let gaps = |config: &ChannelConfig| (config.dropouts_per_s, config.dropout_ms, config.seed);
        if gaps(&config) != gaps(&self.config) {
            self.dropouts = dropouts(&config, rate);
        }
        if reseeded || config.interferers != self.config.interferers {
            self.interferers = config.interferers.sources(rate, config.seed);
        }
        if config.cfo_hz != self.config.cfo_hz {
            let mixer = self.frequency_offset.get_or_insert_with(|| FrequencyOffset::new(0.0, rate));
            mixer.retune(config.cfo_hz, rate);
        }
        if config.sampling_offset_ppm != self.config.sampling_offset_ppm {
            let offset_ppm = config.sampling_offset_ppm;
            self.resampler.get_or_insert_with(|| Resampler::new(offset_ppm)).set_offset(offset_ppm);
        }
        self.noise = match (config.noise_variance(), self.noise.take()) {
            (Some(variance), Some(mut noise)) if !reseeded => {
                noise.set_variance(variance);
                Some(noise)
            }
            (variance, _) => variance.map(|variance| Noise::new(variance, config.seed)),
        };
        if reseeded || config.front_end != self.config.front_end {
            self.front_end = front_end(&config, rate);
        }
        self.latency_samples = latency(&config, rate);
        self.config = config;
        Ok(())
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
        if let Some(transmitter) = &mut self.transmitter {
            transmitter.apply(&mut self.block);
        }
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
        if let Some(dropouts) = &mut self.dropouts {
            dropouts.apply(&mut self.block);
        }
        for interferer in &mut self.interferers {
            interferer.add(&mut self.block);
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
        if let Some(front_end) = &mut self.front_end {
            front_end.apply(&mut output[first..]);
        }
    }
}

fn transmitter(config: &ChannelConfig, sample_rate_hz: f64) -> Result<Option<Transmitter>, ChannelError> {
    let impaired = config.transmitter != TransmitterConfig::default();
    impaired.then(|| Transmitter::new(&config.transmitter, sample_rate_hz, config.seed)).transpose()
}

fn delay_line(config: &ChannelConfig, sample_rate_hz: f64) -> Option<DelayLine> {
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(config.seed ^ PROPAGATION_STREAM);
    let doppler = config.doppler_hz / sample_rate_hz;
    let taps = config.profile.taps();
    (config.profile != Profile::Awgn)
        .then(|| DelayLine::new(&taps, sample_rate_hz, config.occupied_fraction, doppler, &mut generator))
}

fn dropouts(config: &ChannelConfig, sample_rate_hz: f64) -> Option<Dropouts> {
    let rate = config.dropouts_per_s / sample_rate_hz;
    let length = config.dropout_ms * 1e-3 * sample_rate_hz;
    (rate > 0.0).then(|| Dropouts::new(rate, length, config.seed))
}

fn front_end(config: &ChannelConfig, sample_rate_hz: f64) -> Option<FrontEnd> {
    let impaired = config.front_end != FrontEndConfig::default();
    impaired.then(|| FrontEnd::new(&config.front_end, sample_rate_hz, config.seed))
}

/// See [`Channel::latency_samples`].
fn latency(config: &ChannelConfig, sample_rate_hz: f64) -> usize {
    config.delay_samples as usize + delay_line::latency(&config.profile.taps(), sample_rate_hz)
}

#[cfg(test)]
mod tests;
