//! The statistic of a chirp: how unlikely noise is to look that much like it.
//!
//! Let γ² = |⟨chirp, x⟩|² / (‖chirp‖² ‖x‖²) for a window x without its mean; the chirps have none either, so a
//! constant changes nothing. If x is white noise in n complex dimensions, P(γ² > g) = (1 − g)^(n−1); so
//! the *level* −(n − 1) ln(1 − γ²) is exponential of mean 1 whatever the gain. It is also the logarithm
//! of the generalised likelihood ratio for a chirp of unknown amplitude and phase (L. L. Scharf and B. Friedlander,
//! IEEE Trans. Signal Process. 42(8), 1994).
//!
//! Noise or another signal that fills no more than the occupied band has fewer dimensions than samples.
//! The energy that comes out of the correlator over the energy that white noise would leave there tells by how
//! much: n = length / max(1, that ratio).

use num_complex::Complex32;

use crate::{mode::Mode, numerology::Numerology, sync::preamble::chirp};

/// Squared magnitude from which on a sample is taken for garbage, far beyond any receiver's full scale.
pub(super) const GARBAGE: f32 = 1e18;
/// Rounding errors of the transforms are below what a window with this share of a block's energy leaves
/// in the correlation; weaker windows count as silence.
pub(super) const LEAST_SHARE: f64 = 1e-11;

/// The sample, or zero for one that no receiver delivers.
pub(super) fn sanitised(sample: Complex32) -> Complex32 {
    if sample.norm_sqr() < GARBAGE { sample } else { Complex32::default() }
}

/// What is correlated with: the chirp without its mean, of energy `length`.
pub(super) fn template(mode: Mode, numerology: &Numerology, upwards: bool) -> Vec<Complex32> {
    let mut template = chirp(mode, numerology, upwards);
    let length = template.len() as f32;
    let mean = template.iter().sum::<Complex32>() / length;
    template.iter_mut().for_each(|value| *value -= mean);
    let scale = (length / template.iter().map(|value| value.norm_sqr()).sum::<f32>()).sqrt();
    template.iter_mut().for_each(|value| *value *= scale);
    template
}

/// Turns γ² into levels, for one number of dimensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statistic {
    /// n − 1
    dimensions: f64,
}

impl Statistic {
    /// For a chirp of `length` samples in a block with this energy a sample; `correlated` is the mean energy
    /// of the correlation.
    pub(super) fn new(length: usize, energy: f64, correlated: f64) -> Self {
        let white = length as f64 * energy;
        let ratio = (correlated / white).max(1.0);
        Self { dimensions: (length as f64 / ratio - 1.0).max(1.0) }
    }

    /// The more careful of two.
    pub(super) fn min(self, other: Self) -> Self {
        Self { dimensions: self.dimensions.min(other.dimensions) }
    }

    /// The level of γ².
    pub(super) fn level(self, correlation: f32) -> f32 {
        // The bound keeps the level of a perfect copy finite.
        (-self.dimensions * (-f64::from(correlation).clamp(0.0, 1.0 - 1e-6)).ln_1p()) as f32
    }

    /// The γ² that has this level.
    pub(super) fn correlation(self, level: f32) -> f32 {
        -(-f64::from(level) / self.dimensions).exp_m1() as f32
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};
    use rand_distr::StandardNormal;

    use super::*;

    /// Shares of correlations with noise whose level exceeds 2 and 5.
    fn exceeding(gain: f32, noise: impl Fn(&mut StdRng) -> Vec<Complex32>, ratio: f64) -> [f64; 2] {
        let numerology = Numerology::default();
        let template = template(Mode::Normal, &numerology, true);
        let length = template.len();
        let mut rng = StdRng::seed_from_u64(1);
        let statistic = Statistic::new(length, 1.0, ratio * length as f64);
        let trials = 8000;
        let mut counts = [0.0; 2];
        for _ in 0..trials {
            let noise: Vec<_> = noise(&mut rng).into_iter().map(|value| value * gain).collect();
            let mean = noise.iter().sum::<Complex32>() / length as f32;
            let energy: f32 = noise.iter().map(|value| (value - mean).norm_sqr()).sum();
            let product: Complex32 = template.iter().zip(&noise).map(|(t, x)| t.conj() * x).sum();
            let level = statistic.level(product.norm_sqr() / (length as f32 * energy));
            for (count, least) in counts.iter_mut().zip([2.0, 5.0]) {
                *count += f64::from(u8::from(level > least)) / f64::from(trials);
            }
        }
        counts
    }

    fn white(rng: &mut StdRng) -> Vec<Complex32> {
        (0..512).map(|_| Complex32::new(rng.sample(StandardNormal), rng.sample(StandardNormal))).collect()
    }

    #[test]
    fn noise_of_any_gain_passes_a_level_as_often_as_an_exponential_variable() {
        for gain in [1e-6, 1.0, 1e6] {
            let [often, seldom] = exceeding(gain, white, 1.0);
            assert!((often / (-2f64).exp() - 1.0).abs() < 0.08, "{often}");
            assert!((seldom / (-5f64).exp() - 1.0).abs() < 0.3, "{seldom}");
        }
    }

    #[test]
    fn noise_inside_the_band_alone_passes_no_more_often() {
        let numerology = Numerology::default();
        let inside = |rng: &mut StdRng| {
            let mut samples = white(rng);
            let mut planner = rustfft::FftPlanner::new();
            planner.plan_fft_forward(512).process(&mut samples);
            samples[numerology.subcarriers() / 2..512 - numerology.subcarriers() / 2]
                .fill(Complex32::default());
            planner.plan_fft_inverse(512).process(&mut samples);
            samples
        };
        let [often, seldom] = exceeding(1.0, inside, 1.0 / numerology.occupied_fraction());
        assert!(often < 1.1 * (-2f64).exp(), "{often}");
        assert!(seldom < 1.5 * (-5f64).exp(), "{seldom}");
    }

    #[test]
    fn levels_and_correlations_belong_together() {
        let statistic = Statistic::new(512, 1.0, 0.0);
        for level in [1.0, 13.0, 100.0] {
            assert!((statistic.level(statistic.correlation(level)) / level - 1.0).abs() < 1e-3);
        }
        assert!(statistic.level(1.0).is_finite());
    }
}
