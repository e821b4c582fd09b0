//! White complex Gaussian noise: variance σ² per complex sample, σ²/2 per real dimension.
//!
//! Samples are drawn in order, real part first, from xoshiro256++ (Blackman and Vigna, 2019) through
//! the ziggurat of `rand_distr` (Marsaglia and Tsang, 2000).

use num_complex::Complex32;
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

/// A seeded source of noise.
#[derive(Debug, Clone)]
pub struct Noise {
    sigma_per_dimension: f32,
    generator: Xoshiro256PlusPlus,
}

impl Noise {
    /// Noise of the given variance per complex sample.
    pub fn new(variance: f64, seed: u64) -> Self {
        Self {
            sigma_per_dimension: (variance / 2.0).sqrt() as f32,
            generator: Xoshiro256PlusPlus::seed_from_u64(seed),
        }
    }

    /// Changes the variance of what follows; the draws go on where they were.
    pub fn set_variance(&mut self, variance: f64) {
        self.sigma_per_dimension = (variance / 2.0).sqrt() as f32;
    }

    /// Adds noise to the samples.
    pub fn add(&mut self, samples: &mut [Complex32]) {
        for sample in samples {
            let re: f32 = StandardNormal.sample(&mut self.generator);
            let im: f32 = StandardNormal.sample(&mut self.generator);
            sample.re += self.sigma_per_dimension * re;
            sample.im += self.sigma_per_dimension * im;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(variance: f64, seed: u64, count: usize) -> Vec<Complex32> {
        let mut samples = vec![Complex32::default(); count];
        Noise::new(variance, seed).add(&mut samples);
        samples
    }

    #[test]
    fn variance_mean_and_symmetry() {
        let samples = draw(0.25, 7, 400_000);
        let count = samples.len() as f64;
        let power: f64 = samples.iter().map(|s| f64::from(s.norm_sqr())).sum::<f64>() / count;
        let real: f64 = samples.iter().map(|s| f64::from(s.re * s.re)).sum::<f64>() / count;
        let mean: f64 = samples.iter().map(|s| f64::from(s.re + s.im)).sum::<f64>() / count;
        let cross: f64 = samples.iter().map(|s| f64::from(s.re * s.im)).sum::<f64>() / count;
        let fourth: f64 = samples.iter().map(|s| f64::from(s.norm_sqr()).powi(2)).sum::<f64>() / count;
        assert!((power / 0.25 - 1.0).abs() < 0.01, "power {power}");
        assert!((real / 0.125 - 1.0).abs() < 0.01, "real {real}");
        assert!(mean.abs() < 4e-3 && cross.abs() < 2e-3, "mean {mean} cross {cross}");
        // E|z|⁴ = 2σ⁴ for a circular Gaussian.
        assert!((fourth / (2.0 * 0.0625) - 1.0).abs() < 0.03, "fourth {fourth}");
    }

    #[test]
    fn a_seed_means_the_same_samples_in_every_release() {
        let samples = draw(2.0, 1, 3);
        assert_eq!(samples, draw(2.0, 1, 3));
        assert_ne!(samples, draw(2.0, 2, 3));
        let golden = [(0.8439986, 0.71556073), (-1.9158715, 0.45249647), (-0.8157912, 0.35832512)]
            .map(|(re, im)| Complex32::new(re, im));
        assert_eq!(samples, golden);
    }
}
