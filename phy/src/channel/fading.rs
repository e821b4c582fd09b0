//! Gain of one path over time: fixed, Rayleigh or Rician.
//!
//! Without Doppler the gain is one draw for the whole run: a complex Gaussian (Rayleigh), or
//! √(K/(K+1))·e^{jθ} plus a complex Gaussian of power 1/(K+1) (Rician).
//! With Doppler the Gaussian part is a sum of sinusoids with the U-shaped spectrum of Clarke and Jakes,
//!
//! g(t) = M^{−1/2} Σₘ exp(j(2π f_d t cos αₘ + φₘ)),  αₘ = (2πm + θₘ)/M,
//!
//! with θₘ, φₘ uniform on \[−π, π). Mean power is one in every case.
//!
//! References: Jakes, "Microwave Mobile Communications", 1974, ch. 1; Xiao, Zheng and Beaulieu, "Novel
//! sum-of-sinusoids simulation models for Rayleigh and Rician fading channels", IEEE Trans. Wireless
//! Comm. 5(12), 2006, eqs. 4 and 12.

use num_complex::{Complex32, Complex64};
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::RngCore;
use std::f64::consts::{PI, TAU};

use super::config::Fading;

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
    /// Empty when the gain does not change.
    sinusoids: Vec<Sinusoid>,
    scale: f64,
}

/// Uniform on [0, 1), from the upper 53 bits.
fn uniform(generator: &mut Xoshiro256PlusPlus) -> f64 {
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
            Fading::Static => (power, 0.0),
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
        Self { fixed, sinusoids, scale: (diffuse_power / SINUSOIDS as f64).sqrt() }
    }

    /// Whether the gain stays as it is.
    pub fn is_constant(&self) -> bool {
        self.sinusoids.is_empty()
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
        self.fixed + self.scale * sum
    }
}

/// A gain evaluated every `interval` samples and joined by straight lines.
#[derive(Debug, Clone)]
pub struct InterpolatedGain {
    path: PathGain,
    interval: usize,
    index: u64,
    from: Complex32,
    to: Complex32,
}

fn narrow(value: Complex64) -> Complex32 {
    Complex32::new(value.re as f32, value.im as f32)
}

impl InterpolatedGain {
    /// `doppler` in cycles per sample sets the interval: at most 1/256 of a turn, which keeps the
    /// straight line within −80 dB of the curve.
    pub fn new(path: PathGain, doppler: f64) -> Self {
        let mut interval = 1;
        while interval < 1024 && doppler * (2 * interval) as f64 <= 1.0 / 256.0 {
            interval *= 2;
        }
        Self { from: narrow(path.at(0)), to: narrow(path.at(interval as u64)), path, interval, index: 0 }
    }

    /// Writes the gains of the next `gains.len()` samples.
    pub fn next(&mut self, gains: &mut [Complex32]) {
        for gain in gains {
            let within = (self.index % self.interval as u64) as usize;
            if within == 0 && self.index > 0 {
                self.from = self.to;
                self.to = narrow(self.path.at(self.index + self.interval as u64));
            }
            *gain = self.from + (self.to - self.from) * (within as f32 / self.interval as f32);
            self.index += 1;
        }
    }
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
    fn straight_lines_stay_close_to_the_curve() {
        let doppler = 3e-4;
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(3);
        let path = PathGain::draw(Fading::Rayleigh, 1.0, doppler, &mut generator);
        let mut gains = vec![Complex32::default(); 10_000];
        InterpolatedGain::new(path.clone(), doppler).next(&mut gains);
        for (index, gain) in gains.iter().enumerate() {
            let error = (narrow(path.at(index as u64)) - gain).norm();
            assert!(error < 3e-4, "sample {index}: {error}");
        }
    }
}
