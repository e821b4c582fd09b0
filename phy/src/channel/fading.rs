//! Gain of one path over time: fixed, Rayleigh or Rician.
//!
//! Without Doppler the gain is one draw for the whole run: a complex Gaussian (Rayleigh), or
//! √(K/(K+1))·e^{jθ} plus a complex Gaussian of power 1/(K+1) (Rician).
//! A specular path has a fixed magnitude and, with Doppler, a phase that turns at a fixed share of it.
//! With Doppler the Gaussian part is a sum of sinusoids with the U-shaped spectrum of Clarke and Jakes,
//!
//! g(t) = M^{−1/2} Σₘ exp(j(2π f_d t cos αₘ + φₘ)),  αₘ = (2πm + θₘ)/M,
//!
//! with θₘ, φₘ uniform on \[−π, π). Mean power is one in every case.
//!
//! References: Jakes, "Microwave Mobile Communications", 1974, ch. 1; Xiao, Zheng and Beaulieu, "Novel
//! sum-of-sinusoids simulation models for Rayleigh and Rician fading channels", IEEE Trans. Wireless
//! Comm. 5(12), 2006, eqs. 4 and 12.

use num_complex::Complex64;
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::RngCore;
use std::f64::consts::{PI, TAU};

use super::config::{Fading, SPECULAR_DOPPLER};

/// M: enough that the sum is close to Gaussian.
const SINUSOIDS: usize = 24;

#[derive(Debug, Clone)]
struct Sinusoid {
    cycles_per_sample: f64,
    phase_cycles: f64,
}

/// The gain of a path as a function of the sample's index.
#[derive(Debug, Clone)]
pub struct PathGain {
    fixed: Complex64,
    /// Doppler shift of the fixed part.
    fixed_cycles_per_sample: f64,
    /// Empty when there is no part that fades.
    sinusoids: Vec<Sinusoid>,
    scale: f64,
}

/// Uniform on [0, 1), from the upper 53 bits.
pub(super) fn uniform(generator: &mut Xoshiro256PlusPlus) -> f64 {
    (generator.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

fn gaussian(generator: &mut Xoshiro256PlusPlus) -> Complex64 {
    let re: f64 = StandardNormal.sample(generator);
    let im: f64 = StandardNormal.sample(generator);
    Complex64::new(re, im) * 0.5f64.sqrt()
}

impl PathGain {
    /// Draws a path of mean power `power`; `doppler` is the largest shift in cycles per sample.
    pub fn draw(fading: Fading, power: f64, doppler: f64, generator: &mut Xoshiro256PlusPlus) -> Self {
        let (fixed_power, diffuse_power) = match fading {
            Fading::Static | Fading::Specular => (power, 0.0),
            Fading::Rayleigh => (0.0, power),
            Fading::Rician { k_factor_db } => {
                let k = 10f64.powf(k_factor_db / 10.0);
                (power * k / (k + 1.0), power / (k + 1.0))
            }
        };
        let mut fixed = fixed_power.sqrt() * Complex64::cis(TAU * uniform(generator));
        let mut sinusoids = Vec::new();
        if diffuse_power > 0.0 && doppler > 0.0 {
            sinusoids.extend((0..SINUSOIDS).map(|m| {
                let theta = TAU * uniform(generator) - PI;
                let alpha = (TAU * m as f64 + theta) / SINUSOIDS as f64;
                Sinusoid { cycles_per_sample: doppler * alpha.cos(), phase_cycles: uniform(generator) }
            }));
        } else if diffuse_power > 0.0 {
            fixed += diffuse_power.sqrt() * gaussian(generator);
        }
        let fixed_cycles_per_sample = match fading {
            Fading::Specular => SPECULAR_DOPPLER * doppler,
            _ => 0.0,
        };
        Self { fixed, fixed_cycles_per_sample, sinusoids, scale: (diffuse_power / SINUSOIDS as f64).sqrt() }
    }

    /// Whether the gain stays as it is.
    pub fn is_constant(&self) -> bool {
        self.sinusoids.is_empty() && self.fixed_cycles_per_sample == 0.0
    }

    /// The gain at a sample.
    pub fn at(&self, index: u64) -> Complex64 {
        let sum: Complex64 = self
            .sinusoids
            .iter()
            .map(|s| {
                let cycles = s.cycles_per_sample * index as f64 + s.phase_cycles;
                Complex64::cis(TAU * (cycles - cycles.floor()))
            })
            .sum();
        let turned = if self.fixed_cycles_per_sample == 0.0 {
            self.fixed
        } else {
            let cycles = self.fixed_cycles_per_sample * index as f64;
            self.fixed * Complex64::cis(TAU * (cycles - cycles.floor()))
        };
        turned + self.scale * sum
    }
}

/// Samples from one evaluation of a gain to the next, between which a straight line does.
///
/// `doppler`, in cycles per sample, turns the gain by at most 1/256 of a cycle in that time, which keeps the
/// line within −80 dB of the curve.
pub fn evaluation_interval(doppler: f64) -> usize {
    let mut interval = 1;
    while interval < 1024 && doppler * (2 * interval) as f64 <= 1.0 / 256.0 {
        interval *= 2;
    }
    interval
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::rand_core::SeedableRng;

    fn powers(fading: Fading, doppler: f64, index: u64) -> Vec<f64> {
        (0..20_000)
            .map(|seed| {
                let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
                PathGain::draw(fading, 1.0, doppler, &mut generator).at(index).norm_sqr()
            })
            .collect()
    }

    #[test]
    fn rayleigh_power_is_exponential_with_mean_one() {
        for doppler in [0.0, 1e-4] {
            let powers = powers(Fading::Rayleigh, doppler, 12_345);
            let count = powers.len() as f64;
            let mean = powers.iter().sum::<f64>() / count;
            assert!((mean - 1.0).abs() < 0.03, "mean {mean}");
            for threshold in [0.1f64, 0.5, 1.0, 2.0] {
                let below = powers.iter().filter(|p| **p < threshold).count() as f64 / count;
                let expected = 1.0 - (-threshold).exp();
                assert!((below - expected).abs() < 0.015, "P(<{threshold}) = {below}");
            }
        }
    }

    #[test]
    fn rician_power_has_mean_one_and_the_variance_of_its_k() {
        let k: f64 = 10f64.powf(0.6);
        for doppler in [0.0, 1e-4] {
            let powers = powers(Fading::Rician { k_factor_db: 6.0 }, doppler, 999);
            let count = powers.len() as f64;
            let mean = powers.iter().sum::<f64>() / count;
            let variance = powers.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / count;
            let expected = (2.0 * k + 1.0) / (k + 1.0).powi(2);
            assert!((mean - 1.0).abs() < 0.02, "mean {mean}");
            assert!((variance / expected - 1.0).abs() < 0.06, "variance {variance} {expected}");
        }
    }

    #[test]
    fn autocorrelation_follows_the_bessel_function() {
        // E[g(t) g*(t + τ)] = J₀(2π f_d τ) (Clarke); J₀(1) = 0.7652, first zero at 2.4048.
        let doppler = 1e-4;
        for (argument, expected) in [(1.0, 0.7652), (2.4048, 0.0), (3.8317, -0.4028)] {
            let lag = (argument / (TAU * doppler)) as u64;
            let count = 20_000;
            let mut sum = Complex64::default();
            for seed in 0..count {
                let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
                let path = PathGain::draw(Fading::Rayleigh, 1.0, doppler, &mut generator);
                sum += path.at(500) * path.at(500 + lag).conj();
            }
            let correlation = sum / count as f64;
            assert!((correlation.re - expected).abs() < 0.02, "{argument}: {correlation}");
            assert!(correlation.im.abs() < 0.02, "{argument}: {correlation}");
        }
    }

    #[test]
    fn a_specular_path_keeps_its_power_and_turns_at_its_share_of_the_doppler() {
        let doppler = 1e-4;
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(4);
        let path = PathGain::draw(Fading::Specular, 0.5, doppler, &mut generator);
        assert!(!path.is_constant());
        let turned = path.at(1000) * path.at(0).conj();
        assert!((turned - 0.5 * Complex64::cis(TAU * 0.07)).norm() < 1e-9, "{turned}");
        assert!(PathGain::draw(Fading::Specular, 1.0, 0.0, &mut generator).is_constant());
    }

    #[test]
    fn straight_lines_stay_close_to_the_curve() {
        let doppler = 3e-4;
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(3);
        let path = PathGain::draw(Fading::Rayleigh, 1.0, doppler, &mut generator);
        let interval = evaluation_interval(doppler) as u64;
        assert!((2..=16).contains(&interval));
        for index in 0..10_000 {
            let from = index / interval * interval;
            let share = (index - from) as f64 / interval as f64;
            let line = path.at(from) * (1.0 - share) + path.at(from + interval) * share;
            let error = (path.at(index) - line).norm();
            assert!(error < 3e-4, "sample {index}: {error}");
        }
    }
}
