//! Phase noise of the transmitter's oscillator: y\[n\] = x\[n\]·e^{jφ\[n\]}.
//!
//! Free-running, φ is a Wiener process: E|φ(t + τ) − φ(t)|² = 2πΔν|τ|, a Lorentzian line of full width Δν at half its
//! height, so that E\[e^{j(φ(t+τ)−φ(t))}\] = e^{−πΔν|τ|}. In a phase-locked loop of bandwidth B the slow part is held back:
//! dφ = −2πB·φ·dt + dW (Ornstein and Uhlenbeck), which settles at a variance of Δν/(2B).
//!
//! References: A. Demir, A. Mehrotra, J. Roychowdhury, "Phase noise in oscillators: a unifying theory", IEEE Trans.
//! Circuits and Systems I 47(5), 2000; D. Petrovic, W. Rave, G. Fettweis, "Effects of phase noise on OFDM systems with and
//! without PLL", IEEE Trans. Comm. 55(8), 2007.

use num_complex::Complex32;
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use std::f64::consts::{PI, TAU};

/// An oscillator that is not quite steady.
#[derive(Debug, Clone)]
pub(super) struct PhaseNoise {
    step: f64,
    keep: f64,
    phase: f64,
    generator: Xoshiro256PlusPlus,
}

impl PhaseNoise {
    /// A line of `linewidth` (full width at half height), in a loop of bandwidth `loop_bandwidth` or free-running if that
    /// is 0; both in cycles per sample.
    pub fn new(linewidth: f64, loop_bandwidth: f64, seed: u64) -> Self {
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
        let keep = (-TAU * loop_bandwidth).exp();
        // Exact for samples of the continuous process: (1 − keep²) of the settled variance each step.
        let (step, phase) = if loop_bandwidth > 0.0 {
            let settled = (linewidth / (2.0 * loop_bandwidth)).sqrt();
            let first: f64 = StandardNormal.sample(&mut generator);
            (settled * (1.0 - keep * keep).sqrt(), settled * first)
        } else {
            ((TAU * linewidth).sqrt(), 0.0)
        };
        Self { step, keep, phase, generator }
    }

    /// Turns the samples where they lie.
    pub fn apply(&mut self, samples: &mut [Complex32]) {
        for sample in samples {
            *sample *= Complex32::cis(self.phase as f32);
            let step: f64 = StandardNormal.sample(&mut self.generator);
            self.phase = self.keep * self.phase + self.step * step;
            if self.keep == 1.0 && self.phase.abs() > PI {
                self.phase -= TAU * (self.phase / TAU).round();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phasors(linewidth: f64, loop_bandwidth: f64, count: usize) -> Vec<Complex32> {
        let mut samples = vec![Complex32::new(1.0, 0.0); count];
        PhaseNoise::new(linewidth, loop_bandwidth, 8).apply(&mut samples);
        samples
    }

    #[test]
    fn free_running_coherence_falls_as_the_lorentzian_says() {
        let linewidth = 1e-3;
        let samples = phasors(linewidth, 0.0, 2_000_000);
        for lag in [20, 100, 300] {
            let pairs = samples.iter().zip(&samples[lag..]);
            let sum: f64 = pairs.map(|(a, b)| f64::from((b * a.conj()).re)).sum();
            let coherence = sum / (samples.len() - lag) as f64;
            let expected = (-PI * linewidth * lag as f64).exp();
            assert!((coherence - expected).abs() < 0.015, "lag {lag}: {coherence}, expected {expected}");
        }
    }

    #[test]
    fn a_locked_loop_settles_at_its_variance_and_bandwidth() {
        let (linewidth, bandwidth) = (2e-6, 1e-3);
        let samples = phasors(linewidth, bandwidth, 3_000_000);
        let phases: Vec<f64> = samples.iter().map(|z| f64::from(z.arg())).collect();
        let correlation = |lag: usize| {
            let sum: f64 = phases.iter().zip(&phases[lag..]).map(|(a, b)| a * b).sum();
            sum / (phases.len() - lag) as f64
        };
        let expected = linewidth / (2.0 * bandwidth);
        assert!((correlation(0) / expected - 1.0).abs() < 0.05, "{} {expected}", correlation(0));
        // e^(−2πB·τ) at τ = 100 samples is 0.533.
        assert!((correlation(100) / correlation(0) - 0.533).abs() < 0.03);
    }
}
