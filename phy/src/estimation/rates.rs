//! How a frame turns: responses of its blocks → what is left of the CFO, and the drift of the sampling clock.
//!
//! What the responses on all frequencies turn by from block to block is what is left of the CFO; what they turn by in
//! proportion to frequency is the drift of the sampling clock. Blocks far apart tell it finely, neighbours without
//! ambiguity, so the distance is doubled from look to look for as long as the channel stands.

use num_complex::Complex32;

use crate::numerology::Numerology;

/// Variance that phase noise adds to the common phase in a symbol, rad².
pub(super) const PHASE_NOISE: f64 = 1e-5;
/// Standard deviation of the sampling clocks' difference that is reckoned with.
const MOST_CLOCK_OFFSET: f64 = 150e-6;
/// Parts of the band that fade independently, when it is judged how far fading passes for a turn.
const INDEPENDENT_FADES: f64 = 2.0;
/// Pairs of blocks must agree this well, compared with neighbours, for their turn to count.
const COHERENT: f32 = 0.6;

/// How a frame turns from symbol to symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Of all subcarriers, in rad per symbol: what is left of the CFO.
    pub phase: f64,
    /// In rad per symbol and subcarrier from DC: the drift of the sampling clock.
    pub slope: f64,
    /// Variance of `phase`.
    pub variance: f64,
}

impl Rates {
    /// Samples by which the symbols come earlier (later if negative) with each symbol.
    pub fn drift_samples(&self, numerology: &Numerology) -> f64 {
        self.slope * numerology.fft_size as f64 / std::f64::consts::TAU
    }
}

/// What is looked at.
pub(super) struct Look<'a> {
    /// Response of each block at `frequencies`.
    pub responses: &'a [Complex32],
    /// Frequency indices.
    pub frequencies: &'a [i32],
    /// Noise variance of a response.
    pub noise: f32,
    /// Taps that the responses were made of.
    pub taps: usize,
}

/// Finds how a frame turns. Keeps its buffer.
#[derive(Default)]
pub(super) struct RateFinder {
    agreement: Vec<Complex32>,
}

impl RateFinder {
    /// Refines `rates`, with which the responses were freed from their turn. `centre` is the time of each block, in symbols.
    pub fn refine(
        &mut self,
        rates: Rates,
        numerology: &Numerology,
        look: &Look,
        centre: impl Fn(usize) -> f32,
    ) -> Rates {
        let &Look { responses, frequencies: middles, noise, taps } = look;
        let width = middles.len();
        let blocks = responses.len() / width;
        if blocks < 3 {
            return rates;
        }
        let independent = width.min(taps) as f64;
        let block_symbols = f64::from(centre(1) - centre(0));
        let most_drift = std::f64::consts::TAU * MOST_CLOCK_OFFSET * numerology.symbol_samples() as f64
            / numerology.fft_size as f64;
        let (mut phase_variance, mut slope_variance) = (rates.variance, most_drift * most_drift);
        let (mut phase, mut slope) = (0.0f64, 0.0f64);
        let agreement = &mut self.agreement;
        agreement.resize(width, Complex32::default());
        let mut neighbours = 0.0;
        let mut lag = 1;
        while lag < blocks {
            let time = lag as f64 * block_symbols;
            agreement.fill(Complex32::default());
            let mut power = 0.0f32;
            for index in 0..blocks - lag {
                let time = centre(index + lag) - centre(index);
                let early = &responses[index * width..][..width];
                let late = &responses[(index + lag) * width..][..width];
                let turn = Complex32::from_polar(1.0, -(phase as f32) * time);
                for ((sum, a), b) in agreement.iter_mut().zip(early).zip(late) {
                    *sum += b * a.conj() * turn;
                    power += 0.5 * (a.norm_sqr() + b.norm_sqr());
                }
            }
            for (value, &frequency) in agreement.iter_mut().zip(middles) {
                *value *= Complex32::from_polar(1.0, -(slope * time) as f32 * frequency as f32);
            }
            let total: Complex32 = agreement.iter().sum();
            let coherence = total.norm() / power.max(f32::MIN_POSITIVE);
            if lag == 1 {
                neighbours = coherence;
            } else if coherence < COHERENT * neighbours {
                break;
            }
            let angle = f64::from(total.arg());
            let back = Complex32::from_polar(1.0, -total.arg());
            let (mut weight, mut first, mut second) = (0.0f64, 0.0f64, 0.0f64);
            for (value, &frequency) in agreement.iter().zip(middles) {
                let (w, f) = (f64::from(value.norm()), f64::from(frequency));
                weight += w;
                first += w * f;
                second += w * f * f;
            }
            if weight <= 0.0 || !weight.is_finite() {
                break;
            }
            let middle = first / weight;
            let spread = second - first * middle;
            let steep: f64 = agreement
                .iter()
                .zip(middles)
                .map(|(value, &frequency)| (f64::from(frequency) - middle) * f64::from((value * back).im))
                .sum();

            // Variance of the angle: of the fits' noise, of fading that passes for a turn, and of phase noise.
            let pairs = (blocks - lag) as f64;
            let noise = f64::from(noise);
            let mean_power = f64::from(power) / (pairs * width as f64);
            let ratio = noise / (mean_power - noise).max(0.05 * mean_power).max(f64::MIN_POSITIVE);
            let steady = f64::from(coherence) * mean_power / (mean_power - noise).max(0.05 * mean_power);
            let faded = (1.0 / (steady * steady).clamp(1e-3, 1.0) - 1.0) / 2.0;
            let variance = (ratio + 0.5 * ratio * ratio) / (pairs * independent)
                + faded * lag as f64 / (pairs * INDEPENDENT_FADES)
                + 2.0 * PHASE_NOISE * time;
            let update = |value: &mut f64, prior: &mut f64, measured: f64, variance: f64| {
                let (measured, variance) = (measured / time, variance / (time * time));
                let gain = *prior / (*prior + variance);
                *value += gain * measured;
                *prior *= 1.0 - gain;
            };
            let steep = if spread > 0.0 { steep / spread } else { 0.0 };
            update(&mut phase, &mut phase_variance, angle - steep * middle, variance);
            if spread > 0.0 {
                update(&mut slope, &mut slope_variance, steep, variance * weight / spread);
            }
            lag *= 2;
        }
        Rates { phase: rates.phase + phase, slope: rates.slope + slope, variance: phase_variance.max(1e-12) }
    }
}
