//! Sampling-clock offset: samples in at fs → samples out at fs·(1 + ppm/10⁶), one output at the
//! input position m/(1 + ppm/10⁶) for m = 0, 1, ….
//!
//! Each output is a dot product of 24 inputs with the filter of [`kernel`](super::kernel), taken
//! from a table of [`PHASES`] fractions and interpolated linearly between neighbours (error below
//! −90 dB). An output needs 12 inputs after its position, so that many are held back; nothing is
//! delayed.

use num_complex::Complex32;

use super::kernel::{KERNEL_LATENCY, KERNEL_TAPS, fractional_delay};

const PHASES: usize = 256;
const LANES: usize = 4;

/// A filter in the order of the inputs it is applied to.
type Filter = [f32; KERNEL_TAPS];

/// Resamples by a ratio near one, for ever.
#[derive(Debug, Clone)]
pub struct Resampler {
    filters: Vec<Filter>,
    /// Advance per output, less one.
    drift: f64,
    re: Vec<f32>,
    im: Vec<f32>,
    /// First sample of the next output's window, counted from the first one held.
    first: usize,
    /// Part of a sample past it, kept apart so that rounding does not depend on the cut.
    fraction: f64,
}

impl Resampler {
    /// A receiver whose sampling clock is fast by `offset_ppm`.
    pub fn new(offset_ppm: f64) -> Self {
        let filters = (0..=PHASES)
            .map(|phase| {
                // Position p + f between samples is a delay by 1 − f after sample p + 1.
                let taps = fractional_delay(1.0 - phase as f64 / PHASES as f64);
                std::array::from_fn(|k| taps[KERNEL_TAPS - 1 - k] as f32)
            })
            .collect();
        Self {
            filters,
            drift: drift(offset_ppm),
            re: vec![0.0; KERNEL_LATENCY],
            im: vec![0.0; KERNEL_LATENCY],
            first: 0,
            fraction: 0.0,
        }
    }

    /// Changes the offset from the next output on.
    pub fn set_offset(&mut self, offset_ppm: f64) {
        self.drift = drift(offset_ppm);
    }

    /// Takes all of `input`, appends what can be computed to `output`.
    pub fn process(&mut self, input: &[Complex32], output: &mut Vec<Complex32>) {
        self.re.extend(input.iter().map(|sample| sample.re));
        self.im.extend(input.iter().map(|sample| sample.im));
        let held = self.re.len();
        while self.first + KERNEL_TAPS <= held {
            let phase = self.fraction * PHASES as f64;
            let index = (phase as usize).min(PHASES - 1);
            output.push(interpolate(
                &self.filters[index],
                &self.filters[index + 1],
                (phase - index as f64) as f32,
                window(&self.re, self.first),
                window(&self.im, self.first),
            ));
            self.first += 1;
            self.fraction += self.drift;
            if self.fraction >= 1.0 {
                self.fraction -= 1.0;
                self.first += 1;
            } else if self.fraction < 0.0 {
                self.fraction += 1.0;
                self.first -= 1;
            }
        }
        let done = self.first.min(held);
        self.re.drain(..done);
        self.im.drain(..done);
        self.first -= done;
    }
}

fn drift(offset_ppm: f64) -> f64 {
    1.0 / (1.0 + offset_ppm * 1e-6) - 1.0
}

/// Σₖ ((1 − w)·a\[k\] + w·b\[k\])·x\[k\], in a fixed order of additions.
#[inline]
fn interpolate(a: &Filter, b: &Filter, weight: f32, re: &Filter, im: &Filter) -> Complex32 {
    let mut sum_re = [0f32; LANES];
    let mut sum_im = [0f32; LANES];
    for part in (0..KERNEL_TAPS).step_by(LANES) {
        for lane in 0..LANES {
            let k = part + lane;
            let coefficient = a[k] + weight * (b[k] - a[k]);
            sum_re[lane] += coefficient * re[k];
            sum_im[lane] += coefficient * im[k];
        }
    }
    Complex32::new(add_up(sum_re), add_up(sum_im))
}

fn add_up([a, b, c, d]: [f32; LANES]) -> f32 {
    (a + c) + (b + d)
}

/// The inputs that one output is made of.
fn window(values: &[f32], first: usize) -> &Filter {
    values[first..].first_chunk().expect("checked by the loop")
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_complex::Complex64;
    use std::f64::consts::TAU;

    #[test]
    fn takes_the_samples_of_a_clock_that_is_off_by_the_ppm_asked_for() {
        for ppm in [-40.0, 20.0, 500.0] {
            let mut error = 0.0;
            let mut power = 0.0;
            // Tones at ±40 %, 25 % and 5 % of the sample rate: 80 % of the band.
            let tone = |t: f64| -> Complex64 {
                [-0.4, 0.25, 0.05, 0.4].iter().map(|f| Complex64::cis(TAU * f * t)).sum()
            };
            let input: Vec<Complex32> = (0..200_000)
                .map(|n| tone(f64::from(n)))
                .map(|z| Complex32::new(z.re as f32, z.im as f32))
                .collect();
            let mut output = Vec::new();
            Resampler::new(ppm).process(&input, &mut output);
            let expected = (input.len() as f64 * (1.0 + ppm * 1e-6)) as usize - 12;
            assert!(output.len().abs_diff(expected) <= 1, "{} {expected}", output.len());
            for (m, sample) in output.iter().enumerate().skip(100) {
                let ideal = tone(m as f64 / (1.0 + ppm * 1e-6));
                let actual = Complex64::new(f64::from(sample.re), f64::from(sample.im));
                error += (actual - ideal).norm_sqr();
                power += ideal.norm_sqr();
            }
            let evm_db = 10.0 * f64::log10(error / power);
            assert!(evm_db < -65.0, "{ppm} ppm: EVM {evm_db} dB");
        }
    }
}
