//! A measurement: how deep the detector hears, and how often noise deceives it.
//!
//! Like those of [`crate::link_trial`], trials follow from their seeds alone.

use num_complex::Complex32;
use rand_distr::{Distribution, StandardNormal, Uniform};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use crate::{
    channel::{Channel, ChannelConfig, ChannelError, Fading, Profile, Tap},
    mode::Mode,
    numerology::Numerology,
    ofdm::Ofdm,
    sync::{detector::Detector, preamble::preamble},
};

/// Latest sample at which a preamble begins.
const LATEST: usize = 8192;
/// Largest error of the carrier offset with which a preamble counts as found, in subcarriers.
const MOST_CFO_ERROR: f64 = 0.3;

/// Sends preambles, each at a random time, a fraction of a sample included, with a random phase and a random
/// carrier offset.
pub struct DetectionTrial {
    numerology: Numerology,
    mode: Mode,
    sample_snr_db: f64,
    most_cfo_hz: f64,
    pattern: Vec<Complex32>,
    detector: Detector,
    samples: Vec<Complex32>,
}

impl DetectionTrial {
    /// For preambles of a mode at an SNR of a complex sample, with carrier offsets up to ± `most_cfo_hz`.
    pub fn new(numerology: Numerology, mode: Mode, sample_snr_db: f64, most_cfo_hz: f64) -> Self {
        Self {
            pattern: preamble(mode, &numerology, &mut Ofdm::new(numerology)),
            detector: Detector::new(&numerology),
            samples: Vec::new(),
            numerology,
            mode,
            sample_snr_db,
            most_cfo_hz,
        }
    }

    /// Whether the preamble of a seed is found: in its mode, within a quarter of the cyclic prefix and 0.3
    /// subcarriers.
    ///
    /// # Errors
    /// [`ChannelError`] if SNR or carrier offset are out of range.
    pub fn finds(&mut self, seed: u64) -> Result<bool, ChannelError> {
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
        let uniform = Uniform::new(0.0, 1.0).map_err(|_| ChannelError::UnknownProfile(String::new()));
        let uniform = uniform?;
        let start = uniform.sample(&mut generator) * LATEST as f64;
        let cfo_hz = (2.0 * uniform.sample(&mut generator) - 1.0) * self.most_cfo_hz;
        let delay_ns = start.fract() / self.numerology.sample_rate_hz * 1e9;
        let config = ChannelConfig {
            // One path: a delay and a phase.
            profile: Profile::Taps(vec![Tap { delay_ns, power_db: 0.0, fading: Fading::Static }]),
            // Over the whole band, so that the SNR is that of a sample.
            occupied_fraction: 1.0,
            snr_db: Some(self.sample_snr_db),
            cfo_hz,
            seed,
            ..ChannelConfig::default()
        };
        let mut channel = Channel::new(config, self.numerology.sample_rate_hz)?;
        self.samples.clear();
        channel.flush(start as usize, &mut self.samples);
        channel.process(&self.pattern, &mut self.samples);
        channel.flush(LATEST + self.detector.latency(), &mut self.samples);
        self.detector.restart(0);
        let Some(detection) = self.detector.search(&self.samples, 0) else { return Ok(false) };
        let position = (start as usize + channel.latency_samples()) as f64 + start.fract();
        let cfo_error =
            (detection.cfo - cfo_hz / self.numerology.sample_rate_hz) * self.numerology.fft_size as f64;
        Ok(detection.mode == self.mode
            && (detection.position as f64 - position).abs() <= self.numerology.cyclic_prefix as f64 / 4.0
            && cfo_error.abs() < MOST_CFO_ERROR)
    }
}

/// Samples of recorded noise, and of each piece that is made of it.
const RECORDED: usize = 1 << 21;
const PIECE: usize = 50_000;

/// White Gaussian noise of unit power that costs less to make than to search: the sum of two recorded
/// sequences, shifted and turned against each other anew for every piece, which to a correlator is new noise.
pub struct RecordedNoise {
    recorded: [Vec<Complex32>; 2],
}

impl RecordedNoise {
    /// Records.
    pub fn new(seed: u64) -> Self {
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut normal = || -> f32 { StandardNormal.sample(&mut generator) };
        // Each of the two gives half of the power, and each half of that in either dimension.
        let recorded =
            [(); 2].map(|()| (0..RECORDED).map(|_| Complex32::new(normal(), normal()) * 0.5).collect());
        Self { recorded }
    }

    /// Appends the piece of noise of a seed, 50,000 samples, to `samples`.
    pub fn extend(&self, seed: u64, samples: &mut Vec<Complex32>) {
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
        let [a, b] = [0, 1].map(|index: usize| {
            let start = (generator.next_u64() % (RECORDED - PIECE) as u64) as usize;
            &self.recorded[index][start..start + PIECE]
        });
        let turns = (generator.next_u64() >> 40) as f32 / (1u32 << 24) as f32;
        let turn = Complex32::from_polar(1.0, std::f32::consts::TAU * turns);
        samples.extend(a.iter().zip(b).map(|(a, b)| a + b * turn));
    }
}

/// Preambles that a detector finds in at least `samples` samples of noise, at most 2⁴⁷; other seeds, below 2³²,
/// give other noise.
pub fn false_alarms(numerology: &Numerology, noise: &RecordedNoise, seed: u64, samples: u64) -> u64 {
    let mut detector = Detector::new(numerology);
    let mut buffer = Vec::new();
    let (mut start, mut alarms) = (0, 0);
    for piece in 0..samples.div_ceil(PIECE as u64) {
        noise.extend(seed << 32 | piece, &mut buffer);
        while detector.search(&buffer, start).is_some() {
            alarms += 1;
        }
        let done = usize::try_from(detector.oldest_candidate() - start).unwrap_or(0).min(buffer.len());
        buffer.drain(..done);
        start += done as i64;
    }
    alarms
}
