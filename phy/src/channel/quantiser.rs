//! A converter of B bits in each of the two dimensions: rounds to the nearest step, clips at full scale.
//!
//! With full scale F the step is Δ = F·2^(1−B); values become Δ·k with k from −2^(B−1) to 2^(B−1) − 1, as in two's
//! complement. A signal that fills many steps and does not clip gets white noise of Δ²/12 a dimension (Widrow,
//! "Statistical analysis of amplitude-quantized sampled-data systems", Trans. AIEE 79(6), 1961).

use num_complex::Complex32;

use super::config::{ChannelError, check};

/// Most bits of a converter: more than a float's mantissa would do nothing.
pub const MAX_BITS: u32 = 24;
/// Full scale over unit mean power, of each dimension, when nothing else is said.
pub const DEFAULT_FULL_SCALE_DB: f64 = 12.0;

/// Rounds and clips.
#[derive(Debug, Clone)]
pub(super) struct Quantiser {
    step: f32,
    inverse: f32,
    lowest: f32,
    highest: f32,
}

impl Quantiser {
    /// A converter of `bits` whose full scale lies `full_scale_db` above the amplitude 1.
    pub fn new(bits: u32, full_scale_db: f64) -> Self {
        let levels = 2f64.powi(bits as i32);
        let step = 2.0 * 10f64.powf(full_scale_db / 20.0) / levels;
        Self {
            step: step as f32,
            inverse: (1.0 / step) as f32,
            lowest: (-levels / 2.0) as f32,
            highest: (levels / 2.0 - 1.0) as f32,
        }
    }

    /// Converts the samples where they lie.
    pub fn apply(&self, samples: &mut [Complex32]) {
        let convert = |value: f32| {
            (value * self.inverse).round_ties_even().clamp(self.lowest, self.highest) * self.step
        };
        for sample in samples {
            *sample = Complex32::new(convert(sample.re), convert(sample.im));
        }
    }
}

/// Checks the two settings of a converter.
pub(super) fn validate(
    (bits_name, bits): (&'static str, Option<u32>),
    (scale_name, full_scale_db): (&'static str, f64),
) -> Result<(), ChannelError> {
    check(bits_name, f64::from(bits.unwrap_or(1)), 1.0, f64::from(MAX_BITS))?;
    check(scale_name, full_scale_db, -60.0, 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::noise::Noise;

    #[test]
    fn error_is_a_twelfth_of_the_squared_step() {
        for bits in [4, 8, 12] {
            let mut samples = vec![Complex32::default(); 100_000];
            Noise::new(0.05, 3).add(&mut samples);
            let sent = samples.clone();
            Quantiser::new(bits, 0.0).apply(&mut samples);
            let error: f64 = samples.iter().zip(&sent).map(|(a, b)| f64::from((a - b).norm_sqr())).sum();
            let step = 2.0 / 2f64.powi(bits as i32);
            let expected = 2.0 * step * step / 12.0;
            let ratio = error / sent.len() as f64 / expected;
            assert!((ratio - 1.0).abs() < 0.03, "{bits} bits: {ratio}");
        }
    }

    #[test]
    fn clips_at_full_scale_in_each_dimension() {
        let mut samples = [Complex32::new(9.0, -9.0), Complex32::new(0.26, -0.24)];
        Quantiser::new(3, 0.0).apply(&mut samples);
        assert_eq!(samples, [Complex32::new(0.75, -1.0), Complex32::new(0.25, -0.25)]);
    }
}
