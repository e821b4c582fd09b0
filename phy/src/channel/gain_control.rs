//! Automatic gain control: keeps the mean power at 1, as far as its range goes.
//!
//! The power is averaged with a time constant, P ← P + (|x|² − P)/N a sample, and the gain is P^(−1/2) within
//! ±range. In silence the gain rises to what noise or range allow, so the first samples of a burst come out too
//! strong, as in a receiver.

use num_complex::Complex32;

/// Samples between two looks at the gain.
const INTERVAL: usize = 16;

/// A gain that follows the signal.
#[derive(Debug, Clone)]
pub(super) struct GainControl {
    weight: f64,
    lowest: f64,
    highest: f64,
    power: f64,
    sum: f64,
    counted: usize,
    gain: f32,
}

impl GainControl {
    /// Gains within ±`range_db`, with a time constant of `samples`.
    pub fn new(range_db: f64, samples: f64) -> Self {
        let highest = 10f64.powf(range_db / 20.0);
        Self {
            weight: 1.0 - (-(INTERVAL as f64) / samples.max(1.0)).exp(),
            lowest: 1.0 / highest,
            highest,
            power: 1.0,
            sum: 0.0,
            counted: 0,
            gain: 1.0,
        }
    }

    /// Amplifies the samples where they lie.
    pub fn apply(&mut self, samples: &mut [Complex32]) {
        for sample in samples {
            self.sum += f64::from(sample.norm_sqr());
            *sample *= self.gain;
            self.counted += 1;
            if self.counted == INTERVAL {
                let mean = std::mem::take(&mut self.sum) / INTERVAL as f64;
                self.power += self.weight * (mean - self.power);
                // Silence has no power: the gain then stays at the end of its range.
                self.gain = self.power.max(1e-30).powf(-0.5).clamp(self.lowest, self.highest) as f32;
                self.counted = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::noise::Noise;

    fn level_db(gain: &mut GainControl, power_db: f64, count: usize) -> f64 {
        let mut samples = vec![Complex32::default(); count];
        Noise::new(10f64.powf(power_db / 10.0), 6).add(&mut samples);
        gain.apply(&mut samples);
        let last = &samples[count - count / 4..];
        10.0 * (last.iter().map(|x| f64::from(x.norm_sqr())).sum::<f64>() / last.len() as f64).log10()
    }

    #[test]
    fn levels_within_the_range_come_out_alike_and_others_as_near_as_it_goes() {
        let mut gain = GainControl::new(20.0, 2000.0);
        for (power_db, expected_db) in [(0.0, 0.0), (-15.0, 0.0), (18.0, 0.0), (-35.0, -15.0), (32.0, 12.0)] {
            let level = level_db(&mut gain, power_db, 80_000);
            assert!((level - expected_db).abs() < 0.3, "{power_db} dB in: {level} dB out");
        }
    }

    #[test]
    fn a_step_is_followed_at_the_time_constant() {
        let mut gain = GainControl::new(60.0, 1000.0);
        // Power 1 → 4: after one time constant the estimate is 4 − 3/e.
        let mut samples = vec![Complex32::new(2.0, 0.0); 1008];
        gain.apply(&mut samples);
        let expected = 2.0 / (4.0 - 3.0 * (-1.0f64).exp()).sqrt();
        assert!((f64::from(samples[1007].re) - expected).abs() < 0.02, "{} {expected}", samples[1007].re);
    }
}
