//! Smoothing: values measured one after the other → the same, each helped by those before and after it.
//!
//! Both smoothers are Kalman filters forwards and Rauch–Tung–Striebel's recursion backwards (AIAA Journal 3(8),
//! 1965): [`RowSmoother`] for vectors, [`PhaseSmoother`] for a phase. Both take the truth for something that
//! moves at a slowly changing rate.

use num_complex::Complex32;

/// One measured vector in time.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Time since the step before.
    pub time: f32,
    /// Variance of the measurement, all elements together.
    pub variance: f32,
}

/// How vectors wander: all elements together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Motion {
    /// Variance of the rate of change, per unit of time squared.
    pub rate: f32,
    /// Variance that the rate of change gains in a unit of time.
    pub turn: f32,
}

/// Covariance of a value and its rate: of the value, of both, of the rate.
type Covariance = [f32; 3];

/// What the filter knew at a step: before its measurement, and after.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    predicted: Covariance,
    filtered: Covariance,
}

/// Smooths vectors that move with a slowly changing rate. Keeps its buffers.
#[derive(Clone, Debug, Default)]
pub struct RowSmoother {
    known: Vec<Known>,
    rates: Vec<Complex32>,
    left: Vec<f32>,
}

impl RowSmoother {
    /// Smooths `rows` in place, one of `rows.len() / steps.len()` elements for each step. Without steps there is
    /// nothing to do.
    pub fn smooth(&mut self, rows: &mut [Complex32], steps: &[Step], motion: Motion) {
        self.left.clear();
        self.known.clear();
        self.rates.clear();
        self.rates.resize(rows.len(), Complex32::default());
        if steps.is_empty() {
            return;
        }
        let width = rows.len() / steps.len();
        self.filter(rows, steps, motion, width);
        let mut later = self.known[steps.len() - 1].filtered;
        self.left.resize(steps.len(), later[0]);
        for index in (0..steps.len() - 1).rev() {
            let Known { filtered, .. } = self.known[index];
            let Known { predicted, .. } = self.known[index + 1];
            let time = steps[index + 1].time;
            let gain = backward_gain(filtered, predicted, time);
            let (rows, next_rows) = rows[index * width..].split_at_mut(width);
            let (rates, next_rates) = self.rates[index * width..].split_at_mut(width);
            let next = next_rows.iter().zip(next_rates.iter());
            for ((value, rate), (next_value, next_rate)) in rows.iter_mut().zip(rates).zip(next) {
                let ahead = next_value - (*value + *rate * time);
                let faster = next_rate - *rate;
                *value += ahead * gain[0] + faster * gain[1];
                *rate += ahead * gain[2] + faster * gain[3];
            }
            later = backward_covariance(filtered, predicted, later, gain);
            self.left[index] = later[0];
        }
    }

    /// Forwards: every row becomes what it and those before it tell.
    fn filter(&mut self, rows: &mut [Complex32], steps: &[Step], motion: Motion, width: usize) {
        let mut covariance = [steps[0].variance, 0.0, motion.rate];
        self.known.push(Known { predicted: covariance, filtered: covariance });
        for (index, step) in steps.iter().enumerate().skip(1) {
            let time = step.time;
            let [a, b, c] = covariance;
            // White acceleration over the time in between.
            let turn = motion.turn * time;
            let predicted = [
                a + 2.0 * time * b + time * time * c + turn * time * time / 3.0,
                b + time * c + turn * time / 2.0,
                c + turn,
            ];
            let inverse = 1.0 / (predicted[0] + step.variance).max(f32::MIN_POSITIVE);
            let gain = (predicted[0] * inverse, predicted[1] * inverse);
            let (before, rows) = rows[(index - 1) * width..].split_at_mut(width);
            let (rates_before, rates) = self.rates[(index - 1) * width..].split_at_mut(width);
            let last = before.iter().zip(rates_before.iter());
            for ((value, rate), (last_value, last_rate)) in rows[..width].iter_mut().zip(rates).zip(last) {
                let expected = last_value + last_rate * time;
                let error = *value - expected;
                *value = expected + error * gain.0;
                *rate = last_rate + error * gain.1;
            }
            covariance = [
                predicted[0] * (1.0 - gain.0),
                predicted[1] * (1.0 - gain.0),
                (predicted[2] - predicted[1] * gain.1).max(0.0),
            ];
            self.known.push(Known { predicted, filtered: covariance });
        }
    }

    /// Rates of change of the smoothed rows.
    pub fn rates(&self) -> &[Complex32] {
        &self.rates
    }

    /// Variance that is left at each step, all elements together.
    pub fn left(&self) -> &[f32] {
        &self.left
    }
}

/// P·Fᵀ·P⁻¹ of the prediction, F = [1 t; 0 1], row by row.
fn backward_gain(filtered: Covariance, predicted: Covariance, time: f32) -> [f32; 4] {
    let [a, b, c] = filtered.map(f64::from);
    let [p, q, r] = predicted.map(f64::from);
    let time = f64::from(time);
    let determinant = p * r - q * q;
    if determinant <= 1e-9 * p * r {
        // The rate is known exactly: only the value is smoothed.
        return [(a / p.max(f64::MIN_POSITIVE)) as f32, 0.0, 0.0, 0.0];
    }
    let (m00, m01, m10, m11) = (a + time * b, b, b + time * c, c);
    [
        (m00 * r - m01 * q) / determinant,
        (m01 * p - m00 * q) / determinant,
        (m10 * r - m11 * q) / determinant,
        (m11 * p - m10 * q) / determinant,
    ]
    .map(|gain| gain as f32)
}

/// P + G·(later − predicted)·Gᵀ.
fn backward_covariance(
    filtered: Covariance,
    predicted: Covariance,
    later: Covariance,
    gain: [f32; 4],
) -> Covariance {
    let [a, b, c]: Covariance = std::array::from_fn(|i| later[i] - predicted[i]);
    let [g00, g01, g10, g11] = gain;
    [
        (filtered[0] + g00 * g00 * a + 2.0 * g00 * g01 * b + g01 * g01 * c).max(0.0),
        filtered[1] + g00 * g10 * a + (g00 * g11 + g01 * g10) * b + g01 * g11 * c,
        (filtered[2] + g10 * g10 * a + 2.0 * g10 * g11 * b + g11 * g11 * c).max(0.0),
    ]
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

    /// Mean squared error of the last and of the middle rows.
    fn errors(rate: f32, motion: Motion) -> (f32, f32) {
        let mut rng = StdRng::seed_from_u64(1);
        let (mut last, mut middle) = (0.0, 0.0);
        let mut smoother = RowSmoother::default();
        for _ in 0..200 {
            let mut noise = || Complex32::new(rng.sample(StandardNormal), rng.sample(StandardNormal));
            let (start, slope) = (noise(), noise() * rate);
            let truth: Vec<_> = (0..20).map(|n| start + slope * n as f32).collect();
            let mut rows: Vec<_> = truth.iter().map(|value| value + noise() * 0.5f32.sqrt()).collect();
            smoother.smooth(&mut rows, &[Step { time: 1.0, variance: 1.0 }; 20], motion);
            last += (rows[19] - truth[19]).norm_sqr() / 200.0;
            middle += (rows[10] - truth[10]).norm_sqr() / 200.0;
        }
        assert_eq!(smoother.left().len(), 20);
        assert!((smoother.left()[10] / middle).log10().abs() < 0.15, "{middle}: {:?}", smoother.left());
        (last, middle)
    }

    #[test]
    fn a_constant_is_averaged_and_a_ramp_is_followed_to_its_end() {
        let (last, middle) = errors(0.0, Motion::default());
        assert!(last < 0.065 && middle < 0.065, "{last} {middle}");
        let (last, middle) = errors(0.3, Motion { rate: 0.18, turn: 0.0 });
        // A line through twenty points: 4/20 at its end, 1/20 in its middle.
        assert!(last < 0.25 && middle < 0.07, "{last} {middle}");
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
