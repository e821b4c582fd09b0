//! Phase tracking: pilots of one symbol after the other → common phase and timing drift.
//!
//! After acquisition the channel turns by θ(t) + τ(t)·f on subcarrier f: θ from what is left of the CFO
//! and from phase noise, τ from the sampling clocks' difference. Two Kalman filters of two states each
//! (value and rate) follow them; the gains follow from the pilots' SNR, so there is nothing to tune.

use num_complex::Complex32;

/// Rate of change of the common phase that phase noise adds, rad² per symbol.
const PHASE_NOISE: f64 = 1e-5;
/// Spread of the clocks' difference: 40 ppm, two crystals of 20 ppm each.
const CLOCK_OFFSET: f64 = 40e-6;

/// A value and its rate, with their covariance.
#[derive(Clone, Copy, Debug)]
struct Filter {
    value: f64,
    rate: f64,
    covariance: [f64; 3],
    noise: f64,
}

impl Filter {
    fn predict(&mut self, symbols: f64) {
        let [a, b, c] = self.covariance;
        self.value += self.rate * symbols;
        self.covariance =
            [a + 2.0 * symbols * b + symbols * symbols * c + self.noise * symbols, b + symbols * c, c];
    }

    fn correct(&mut self, error: f64, variance: f64) {
        let [a, b, c] = self.covariance;
        let inverse = 1.0 / (a + variance);
        self.value += a * inverse * error;
        self.rate += b * inverse * error;
        self.covariance = [a - a * a * inverse, b - a * b * inverse, c - b * b * inverse];
    }
}

/// One received pilot.
#[derive(Clone, Copy, Debug)]
pub struct Pilot {
    /// Frequency index of its subcarrier.
    pub frequency: f32,
    /// Received value times the conjugate of what was sent.
    pub received: Complex32,
    /// Channel estimate there.
    pub channel: Complex32,
}

/// Follows θ and τ through a frame.
#[derive(Clone, Debug)]
pub struct PhaseTracker {
    phase: Filter,
    slope: Filter,
}

impl PhaseTracker {
    /// Starts at the training symbols. `cfo_variance`: of the CFO estimate, (rad per symbol)².
    pub fn new(fft_size: usize, cyclic_prefix: usize, cfo_variance: f64) -> Self {
        let symbol = (fft_size + cyclic_prefix) as f64;
        let drift = std::f64::consts::TAU * CLOCK_OFFSET * symbol / fft_size as f64;
        Self {
            phase: Filter { value: 0.0, rate: 0.0, covariance: [0.0, 0.0, cfo_variance], noise: PHASE_NOISE },
            slope: Filter { value: 0.0, rate: 0.0, covariance: [0.0, 0.0, drift * drift], noise: 1e-12 },
        }
    }

    /// Goes `symbols` symbols on in time.
    pub fn predict(&mut self, symbols: f64) {
        self.phase.predict(symbols);
        self.slope.predict(symbols);
    }

    /// Takes in the pilots of the present symbol.
    pub fn correct(&mut self, pilots: &[Pilot], noise_variance: f32) {
        let noise = f64::from(noise_variance).max(1e-12);
        let mut total = Complex32::default();
        let (mut weight, mut first, mut second) = (0.0f64, 0.0f64, 0.0f64);
        for pilot in pilots {
            total += self.aligned(pilot);
            let (w, f) = (f64::from(pilot.channel.norm_sqr()), f64::from(pilot.frequency));
            weight += w;
            first += w * f;
            second += w * f * f;
        }
        if weight <= 0.0 || !weight.is_finite() || total.norm_sqr() <= 0.0 {
            return;
        }
        let common = total.arg();
        let back = Complex32::from_polar(1.0, -common);
        let centre = first / weight;
        let spread = second - first * centre;
        let phase_variance = noise / (2.0 * weight);
        if spread <= 1e-9 * weight {
            self.phase.correct(f64::from(common), phase_variance);
            return;
        }
        let slope = pilots
            .iter()
            .map(|pilot| (f64::from(pilot.frequency) - centre) * f64::from((self.aligned(pilot) * back).im))
            .sum::<f64>()
            / spread;
        let slope_variance = noise / (2.0 * spread);
        self.phase
            .correct(f64::from(common) - slope * centre, phase_variance + centre * centre * slope_variance);
        self.slope.correct(slope, slope_variance);
    }

    fn aligned(&self, pilot: &Pilot) -> Complex32 {
        pilot.received * pilot.channel.conj() * self.rotation(pilot.frequency).conj()
    }

    /// How the channel has turned on the subcarrier with this frequency index.
    pub fn rotation(&self, frequency: f32) -> Complex32 {
        Complex32::from_polar(1.0, (self.phase.value + self.slope.value * f64::from(frequency)) as f32)
    }

    /// What is left of the CFO, rad per symbol.
    pub fn phase_rate(&self) -> f64 {
        self.phase.rate
    }

    /// Drift of the timing, rad per subcarrier and symbol.
    pub fn slope_rate(&self) -> f64 {
        self.slope.rate
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};
    use rand_distr::StandardNormal;

    use super::*;

    #[test]
    fn follows_residual_cfo_and_clock_drift_at_0_db() {
        let mut rng = StdRng::seed_from_u64(5);
        let (rate, drift) = (0.05, -2.3e-4);
        let mut tracker = PhaseTracker::new(512, 36, 0.06f64.powi(2));
        let mut worst: f32 = 0.0;
        for symbol in 1..=140 {
            tracker.predict(1.0);
            let truth = |f: f32| {
                Complex32::from_polar(
                    1.0,
                    (rate * f64::from(symbol) + drift * f64::from(symbol) * f64::from(f)) as f32,
                )
            };
            let offset = [0.0, 12.0, 6.0, 18.0][symbol as usize % 4];
            let pilots: Vec<_> = (0..12)
                .map(|i| {
                    let frequency = -150.0 + 24.0 * i as f32 + offset;
                    let (re, im): (f32, f32) = (rng.sample(StandardNormal), rng.sample(StandardNormal));
                    let received = truth(frequency) + Complex32::new(re, im) * 0.5f32.sqrt();
                    Pilot { frequency, received, channel: Complex32::new(1.0, 0.0) }
                })
                .collect();
            tracker.correct(&pilots, 1.0);
            if symbol > 20 {
                for f in [-150.0, 0.0, 150.0] {
                    worst = worst.max((tracker.rotation(f) * truth(f).conj()).arg().abs());
                }
            }
        }
        assert!(worst < 0.4, "largest phase error {worst} rad");
    }
}
