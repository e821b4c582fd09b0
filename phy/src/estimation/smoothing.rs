//! Smoothing: values measured one after the other → the same, each helped by those before and after it.
//!
//! Both smoothers are Kalman filters forwards and Rauch–Tung–Striebel's recursion backwards (AIAA Journal 3(8),
//! 1965): [`smooth_rows`] for vectors that wander, [`PhaseSmoother`] for a phase that turns at a slowly
//! changing rate.

use num_complex::Complex32;

/// One measured vector in time.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Variance of the measurement, all elements together.
    pub variance: f32,
    /// Variance by which the truth has wandered since the step before, all elements together.
    pub drift: f32,
}

/// Smooths `rows` in place, one of `rows.len() / steps.len()` elements for each step, and writes the variance
/// that is left at each step. Without steps there is nothing to do.
pub fn smooth_rows(rows: &mut [Complex32], steps: &[Step], left: &mut Vec<f32>) {
    left.clear();
    if steps.is_empty() {
        return;
    }
    let width = rows.len() / steps.len();
    let mut variance = f32::INFINITY;
    for (index, step) in steps.iter().enumerate() {
        let (before, rest) = rows.split_at_mut(index * width);
        let row = &mut rest[..width];
        if index > 0 {
            let predicted = variance + step.drift;
            let gain = predicted / (predicted + step.variance).max(f32::MIN_POSITIVE);
            let last = &before[(index - 1) * width..];
            for (value, last) in row.iter_mut().zip(last) {
                *value = last + (*value - last) * gain;
            }
            variance = gain * step.variance;
        } else {
            variance = step.variance;
        }
        left.push(variance);
    }
    for index in (0..steps.len() - 1).rev() {
        let (before, after) = rows.split_at_mut((index + 1) * width);
        let row = &mut before[index * width..];
        let predicted = left[index] + steps[index + 1].drift;
        let gain = left[index] / predicted.max(f32::MIN_POSITIVE);
        for (value, next) in row.iter_mut().zip(&after[..width]) {
            *value += (next - *value) * gain;
        }
        left[index] += gain * gain * (left[index + 1] - predicted);
    }
}

/// A phase and its rate of change, with their covariance: of the phase, of both, of the rate.
#[derive(Clone, Copy, Debug)]
struct State {
    phase: f64,
    rate: f64,
    covariance: [f64; 3],
}

impl State {
    fn predicted(&self, time: f64, noise: f64) -> Self {
        let [a, b, c] = self.covariance;
        Self {
            phase: self.phase + self.rate * time,
            rate: self.rate,
            covariance: [a + 2.0 * time * b + time * time * c + noise * time, b + time * c, c],
        }
    }
}

/// One measured phase.
#[derive(Clone, Copy, Debug)]
pub struct PhaseMeasurement {
    /// In radians, up to whole turns.
    pub phase: f32,
    /// Its variance in rad².
    pub variance: f32,
}

/// Follows a phase from symbol to symbol. Keeps its buffers.
#[derive(Clone, Debug, Default)]
pub struct PhaseSmoother {
    filtered: Vec<State>,
}

impl PhaseSmoother {
    /// Smooths phases measured at times 0, 1, 2, … and returns the mean rate at the end, in rad per step.
    ///
    /// At time `−lead` phase and rate are zero, with the variances `start` (rad², and rad² per step²). `noise` is
    /// the variance that the phase itself gains in a step (phase noise).
    pub fn smooth(
        &mut self,
        measurements: &[PhaseMeasurement],
        lead: f64,
        start: [f64; 2],
        noise: f64,
        phases: &mut Vec<f32>,
    ) -> f64 {
        let mut state = State { phase: 0.0, rate: 0.0, covariance: [start[0], 0.0, start[1]] };
        self.filtered.clear();
        for (index, measurement) in measurements.iter().enumerate() {
            state = state.predicted(if index == 0 { lead } else { 1.0 }, noise);
            let [a, b, c] = state.covariance;
            let error = wrapped(f64::from(measurement.phase) - state.phase);
            let inverse = 1.0 / (a + f64::from(measurement.variance).max(1e-12));
            state.phase += a * inverse * error;
            state.rate += b * inverse * error;
            state.covariance = [a - a * a * inverse, b - a * b * inverse, c - b * b * inverse];
            self.filtered.push(state);
        }
        let rate = state.rate;
        phases.clear();
        phases.resize(measurements.len(), 0.0);
        for (index, filtered) in self.filtered.iter().enumerate().rev() {
            if index + 1 < measurements.len() {
                state = smoothed(filtered, &state, noise);
            }
            phases[index] = state.phase as f32;
        }
        rate
    }
}

/// The state given the smoothed one a step later.
fn smoothed(filtered: &State, later: &State, noise: f64) -> State {
    let predicted = filtered.predicted(1.0, noise);
    let [p, q, r] = predicted.covariance;
    let determinant = p * r - q * q;
    if determinant <= 1e-30 {
        // The rate is known exactly: only the phase is smoothed.
        let gain = filtered.covariance[0] / p.max(1e-30);
        let phase = filtered.phase + gain * (later.phase - predicted.phase);
        return State { phase, ..*filtered };
    }
    // Gain G = P·Fᵀ·P⁻¹ with F = [1 1; 0 1].
    let [a, b, c] = filtered.covariance;
    let (m00, m01, m10, m11) = (a + b, b, b + c, c);
    let gain = [
        [(m00 * r - m01 * q) / determinant, (m01 * p - m00 * q) / determinant],
        [(m10 * r - m11 * q) / determinant, (m11 * p - m10 * q) / determinant],
    ];
    let (phase, rate) = (later.phase - predicted.phase, later.rate - predicted.rate);
    // The covariance of the smoothed state is not needed.
    State {
        phase: filtered.phase + gain[0][0] * phase + gain[0][1] * rate,
        rate: filtered.rate + gain[1][0] * phase + gain[1][1] * rate,
        covariance: filtered.covariance,
    }
}

fn wrapped(phase: f64) -> f64 {
    phase - std::f64::consts::TAU * (phase / std::f64::consts::TAU).round()
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};
    use rand_distr::StandardNormal;

    use super::*;

    #[test]
    fn a_constant_is_averaged_and_what_changes_is_followed() {
        let mut rng = StdRng::seed_from_u64(1);
        for (drift, most) in [(0.0, 0.06), (4.0, 1.05)] {
            let (mut truth, mut rows) = (Vec::new(), Vec::new());
            let mut value = Complex32::new(3.0, 1.0);
            for _ in 0..40 {
                let mut noise = || Complex32::new(rng.sample(StandardNormal), rng.sample(StandardNormal));
                value += noise() * (drift / 4.0f32).sqrt();
                truth.extend([value; 2]);
                rows.extend([value + noise() * 0.5, value + noise() * 0.5]);
            }
            let mut left = Vec::new();
            smooth_rows(&mut rows, &[Step { variance: 1.0, drift }; 40], &mut left);
            let error = rows.iter().zip(&truth).map(|(a, b)| (a - b).norm_sqr()).sum::<f32>() / 40.0;
            assert!(error < most, "{error} at drift {drift}");
            assert_eq!(left.len(), 40);
            assert!(left.iter().all(|&left| left > 0.0 && left <= 1.0));
        }
    }

    #[test]
    fn a_turning_phase_is_followed_through_noise_and_turns() {
        let mut rng = StdRng::seed_from_u64(2);
        let (rate, lead) = (0.15, 2.5);
        let truth: Vec<f64> = (0..140).map(|n| rate * (f64::from(n) + lead)).collect();
        let measurements: Vec<_> = truth
            .iter()
            .map(|&phase| PhaseMeasurement {
                phase: wrapped(phase + 0.3 * rng.sample::<f64, _>(StandardNormal)) as f32,
                variance: 0.09,
            })
            .collect();
        let mut phases = Vec::new();
        let found = PhaseSmoother::default().smooth(&measurements, lead, [0.0, 0.04], 1e-6, &mut phases);
        assert!((found - rate).abs() < 0.005, "{found}");
        for (phase, truth) in phases.iter().zip(&truth) {
            assert!((f64::from(*phase) - truth).abs() < 0.25, "{phase} for {truth}");
        }
    }
}
