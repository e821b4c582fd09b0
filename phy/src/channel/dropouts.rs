//! Times in which nothing of the signal arrives: a Poisson process of dropouts of one length.
//!
//! Time between the end of one and the start of the next is exponential with mean 1/rate, so the share of time that is
//! lost is d/(1/rate + d) for a length d. Noise and interferers stay.

use num_complex::Complex32;
use rand_distr::{Distribution, Exp1};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

const DROPOUT_STREAM: u64 = 0x6472_6f70_6f75_7473;

/// A path that opens and closes.
#[derive(Debug, Clone)]
pub(super) struct Dropouts {
    mean_open: f64,
    closed: u64,
    left: u64,
    open: bool,
    generator: Xoshiro256PlusPlus,
}

impl Dropouts {
    /// `rate` dropouts a sample on average while open, each of `length` samples.
    pub fn new(rate: f64, length: f64, seed: u64) -> Self {
        let mut dropouts = Self {
            mean_open: 1.0 / rate,
            closed: (length.round() as u64).max(1),
            left: 0,
            open: true,
            generator: Xoshiro256PlusPlus::seed_from_u64(seed ^ DROPOUT_STREAM),
        };
        dropouts.left = dropouts.draw();
        dropouts
    }

    fn draw(&mut self) -> u64 {
        let draw: f64 = Exp1.sample(&mut self.generator);
        ((draw * self.mean_open).round() as u64).max(1)
    }

    /// Silences the samples that fall into a dropout.
    pub fn apply(&mut self, mut samples: &mut [Complex32]) {
        while !samples.is_empty() {
            let run = self.left.min(samples.len() as u64) as usize;
            let (head, rest) = samples.split_at_mut(run);
            if !self.open {
                head.fill(Complex32::default());
            }
            samples = rest;
            self.left -= run as u64;
            if self.left == 0 {
                self.open = !self.open;
                self.left = if self.open { self.draw() } else { self.closed };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_and_length_are_those_set() {
        let mut samples = vec![Complex32::new(1.0, 0.0); 3_000_000];
        Dropouts::new(1.0 / 1500.0, 500.0, 2).apply(&mut samples);
        let lost = samples.iter().filter(|x| x.re == 0.0).count() as f64 / samples.len() as f64;
        assert!((lost - 0.25).abs() < 0.02, "share {lost}");
        let runs: Vec<_> = samples.chunk_by(|a, b| a == b).map(|run| (run[0].re, run.len())).collect();
        assert!(runs[..runs.len() - 1].iter().all(|&(re, length)| re == 1.0 || length == 500));
        let open: Vec<f64> = runs.iter().filter(|run| run.0 == 1.0).map(|run| run.1 as f64).collect();
        let mean = open.iter().sum::<f64>() / open.len() as f64;
        let variance = open.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / open.len() as f64;
        // Exponential: standard deviation equals mean.
        assert!((mean / 1500.0 - 1.0).abs() < 0.1 && (variance.sqrt() / mean - 1.0).abs() < 0.1);
    }
}
