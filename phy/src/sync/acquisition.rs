//! Acquisition: a coarse detection → exact timing, carrier offset, noise and channel, from the two
//! training symbols.
//!
//! 1. Fine CFO from the turn between both symbols (Moose 1994): exact, but only up to whole subcarriers.
//! 2. Whole subcarriers: the shift at which neighbouring subcarriers, freed from the training sequence,
//!    agree in phase. Neither timing nor multipath disturbs that.
//! 3. Timing from the impulse response: all significant paths in the middle of the cyclic prefix.
//! 4. Noise from the difference of both symbols, channel from their mean ([`ChannelEstimator`]).

use num_complex::Complex32;

use super::{
    detector::Detection,
    preamble::{preamble_samples, training_sequence},
};
use crate::{estimation::channel::ChannelEstimator, numerology::Numerology, ofdm::Ofdm};

/// Whole-subcarrier offsets that are tried on each side.
const MOST_SHIFT: i32 = 4;
/// A path is significant when its power is within this of the strongest one's (−20 dB) ...
const SIGNIFICANT: f32 = 0.01;
/// ... and this many times the mean of noise on a tap.
const ABOVE_NOISE: f32 = 12.0;

/// What is known after the preamble.
#[derive(Clone, Debug)]
pub struct Acquired {
    /// Stream position of the first sample of the first training symbol's DFT window.
    pub window: i64,
    /// Carrier offset in cycles per sample.
    pub cfo: f64,
    /// Noise variance N0 per resource element, before equalisation.
    pub noise_variance: f32,
    /// Channel on every subcarrier, between the two training symbols.
    pub channel: Vec<Complex32>,
}

impl Acquired {
    /// Stream position of the DFT window of the `symbol`-th symbol after the preamble.
    pub fn symbol_window(&self, numerology: &Numerology, symbol: usize) -> i64 {
        let after_training = 2 * numerology.fft_size + numerology.cyclic_prefix;
        self.window + (after_training + symbol * numerology.symbol_samples()) as i64
    }
}

/// Does the steps above. Planned once a numerology.
pub struct Acquisition {
    numerology: Numerology,
    sequence: Vec<Complex32>,
    first: Vec<Complex32>,
    second: Vec<Complex32>,
    taps: Vec<Complex32>,
}

impl Acquisition {
    /// Prepares for a numerology.
    pub fn new(numerology: Numerology) -> Self {
        let zeros = vec![Complex32::default(); numerology.subcarriers()];
        Self {
            numerology,
            sequence: training_sequence(&numerology),
            first: zeros.clone(),
            second: zeros,
            taps: Vec::with_capacity(numerology.fft_size),
        }
    }

    /// Samples after a detection's position that [`acquire`](Self::acquire) may look at.
    pub fn reach(&self) -> usize {
        preamble_samples(&self.numerology) + 2 * self.numerology.cyclic_prefix
    }

    /// `samples[0]` stands at stream position `start`. `None` when samples are missing or there is no signal.
    pub fn acquire(
        &mut self,
        ofdm: &mut Ofdm,
        estimator: &mut ChannelEstimator,
        samples: &[Complex32],
        start: i64,
        detection: &Detection,
    ) -> Option<Acquired> {
        let numerology = self.numerology;
        let (length, prefix) = (numerology.fft_size, numerology.cyclic_prefix);
        let mut window = detection.position + (2 * length + prefix - prefix / 2) as i64;
        let mut cfo = detection.cfo;

        self.transform(ofdm, samples, start, window, cfo, 0)?;
        cfo += self.fractional_offset();
        let mut best = (0, -1.0);
        for shift in -MOST_SHIFT..=MOST_SHIFT {
            self.transform(ofdm, samples, start, window, cfo, shift)?;
            let metric = self.neighbour_agreement();
            if metric > best.1 {
                best = (shift, metric);
            }
        }
        cfo += f64::from(best.0) / length as f64;

        self.transform(ofdm, samples, start, window, cfo, 0)?;
        window += self.timing_correction(ofdm);
        self.transform(ofdm, samples, start, window, cfo, 0)?;
        cfo += self.fractional_offset();
        self.transform(ofdm, samples, start, window, cfo, 0)?;

        let subcarriers = self.sequence.len() as f32;
        let noise_variance =
            self.first.iter().zip(&self.second).map(|(a, b)| (a - b).norm_sqr()).sum::<f32>()
                / (2.0 * subcarriers);
        let mut channel: Vec<_> = self.least_squares().collect();
        estimator.denoise(&mut channel, noise_variance / 2.0);
        let power: f32 = channel.iter().map(|h| h.norm_sqr()).sum();
        let usable = power > 0.0 && power.is_finite() && noise_variance.is_finite();
        // Without any noise (a recording of the transmitter itself) a floor of −60 dB keeps ratios finite.
        let noise_variance = noise_variance.max(1e-6 * power / subcarriers);
        usable.then_some(Acquired { window, cfo, noise_variance, channel })
    }

    fn transform(
        &mut self,
        ofdm: &mut Ofdm,
        samples: &[Complex32],
        start: i64,
        window: i64,
        cfo: f64,
        shift: i32,
    ) -> Option<()> {
        let length = self.numerology.fft_size;
        let offset = usize::try_from(window - start).ok()?;
        let both = samples.get(offset..offset + 2 * length)?;
        ofdm.demodulate(&both[..length], cfo, window, shift, &mut self.first);
        ofdm.demodulate(&both[length..], cfo, window + length as i64, shift, &mut self.second);
        Some(())
    }

    /// Carrier offset that is left, in cycles per sample, within half a subcarrier.
    fn fractional_offset(&self) -> f64 {
        let turn: Complex32 = self.first.iter().zip(&self.second).map(|(a, b)| b * a.conj()).sum();
        f64::from(turn.arg()) / (std::f64::consts::TAU * self.numerology.fft_size as f64)
    }

    fn least_squares(&self) -> impl Iterator<Item = Complex32> {
        self.first
            .iter()
            .zip(&self.second)
            .zip(&self.sequence)
            .map(|((a, b), sent)| (a + b) * sent.conj() * 0.5)
    }

    fn neighbour_agreement(&self) -> f32 {
        let mut previous = Complex32::default();
        let mut sum = Complex32::default();
        for response in self.least_squares() {
            sum += response * previous.conj();
            previous = response;
        }
        sum.norm()
    }

    /// Samples by which the DFT window must move to hold all significant paths in the prefix's middle.
    fn timing_correction(&mut self, ofdm: &mut Ofdm) -> i64 {
        let response: Vec<_> = self.least_squares().collect();
        ofdm.impulse_response(&response, &mut self.taps);
        let (length, prefix) = (self.taps.len() as i64, self.numerology.cyclic_prefix as i64);
        let mean_noise = self.first.iter().zip(&self.second).map(|(a, b)| (a - b).norm_sqr()).sum::<f32>()
            / (4.0 * (self.sequence.len() as f32).powi(2));
        let power = |delay: i64| self.taps[delay.rem_euclid(length) as usize].norm_sqr();
        let peak = (-prefix..2 * prefix).map(power).fold(0.0, f32::max);
        let threshold = (SIGNIFICANT * peak).max(ABOVE_NOISE * mean_noise).min(0.5 * peak);
        let mut significant = (-prefix..2 * prefix).filter(|&delay| power(delay) > threshold);
        let Some(earliest) = significant.next() else { return 0 };
        let latest = significant.next_back().unwrap_or(earliest);
        (earliest + latest).div_euclid(2) - prefix / 2
    }
}
