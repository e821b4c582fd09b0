//! Carrier frequency offset: y\[n\] = x\[n\]·e^{j2πfn/fs}, continuous in phase over the whole run.
//!
//! The phase at each [`BLOCK`]-th sample comes from the absolute index in 64-bit arithmetic; within
//! a block a table of rotations is applied to it, so the result does not depend on how the input
//! is cut and never drifts.

use num_complex::{Complex32, Complex64};
use std::f64::consts::TAU;

const BLOCK: usize = 64;

/// A mixer that runs for ever.
#[derive(Debug, Clone)]
pub struct FrequencyOffset {
    cycles_per_sample: f64,
    rotations: [Complex32; BLOCK],
    block_start_cycles: f64,
    index: usize,
}

impl FrequencyOffset {
    /// Shifts by `offset_hz` at `sample_rate_hz`.
    pub fn new(offset_hz: f64, sample_rate_hz: f64) -> Self {
        let cycles_per_sample = offset_hz / sample_rate_hz;
        Self {
            cycles_per_sample,
            rotations: std::array::from_fn(|k| narrow(cis(cycles_per_sample * k as f64))),
            block_start_cycles: 0.0,
            index: 0,
        }
    }

    /// Shifts by another frequency from the next sample on, without a jump in phase.
    pub fn retune(&mut self, offset_hz: f64, sample_rate_hz: f64) {
        let now = self.block_start_cycles + self.cycles_per_sample * self.index as f64;
        *self = Self::new(offset_hz, sample_rate_hz);
        self.block_start_cycles = now - now.floor();
    }

    /// Rotates the samples where they lie.
    pub fn apply(&mut self, mut samples: &mut [Complex32]) {
        while !samples.is_empty() {
            let base = narrow(cis(self.block_start_cycles));
            let count = samples.len().min(BLOCK - self.index);
            let (head, rest) = samples.split_at_mut(count);
            for (sample, rotation) in head.iter_mut().zip(&self.rotations[self.index..]) {
                *sample *= base * rotation;
            }
            samples = rest;
            self.index += count;
            if self.index == BLOCK {
                self.index = 0;
                let next = self.block_start_cycles + self.cycles_per_sample * BLOCK as f64;
                self.block_start_cycles = next - next.floor();
            }
        }
    }
}

fn cis(cycles: f64) -> Complex64 {
    Complex64::cis(TAU * cycles)
}

fn narrow(value: Complex64) -> Complex32 {
    Complex32::new(value.re as f32, value.im as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_by_the_frequency_asked_for() {
        let mut mixer = FrequencyOffset::new(-1234.5, 1e6);
        let mut samples = vec![Complex32::new(1.0, 0.0); 300_000];
        mixer.apply(&mut samples);
        for n in [0usize, 1, 63, 64, 9_999, 299_999] {
            let expected = cis(-1234.5 / 1e6 * n as f64);
            assert!((narrow(expected) - samples[n]).norm() < 1e-5, "sample {n}");
        }
    }

    #[test]
    fn another_frequency_begins_at_the_phase_of_the_last() {
        let mut mixer = FrequencyOffset::new(1000.0, 1e6);
        let mut samples = vec![Complex32::new(1.0, 0.0); 1100];
        mixer.apply(&mut samples[..100]);
        mixer.retune(-3000.0, 1e6);
        mixer.apply(&mut samples[100..]);
        for n in [100usize, 101, 500, 1099] {
            let expected = cis(0.1 - 3e-3 * (n - 100) as f64);
            assert!((narrow(expected) - samples[n]).norm() < 1e-5, "sample {n}");
        }
    }
}
