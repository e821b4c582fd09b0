//! Refining: rounds that go on while a latency budget lasts, for features that arrived worse than their importance asks for.
//!
//! What is missing goes first, the most important features before all; then analog features whose effective SNR lies below
//! [`ASKED_DB`], by importance times the decibels that they lack. Receivers combine what comes twice, so each repetition is
//! worth up to 3 dB.

use std::time::{Duration, Instant};

use semcast_common::message::BASE_LEVEL;

/// Effective SNR, in dB, that analog features are to have, by their level of protection; none is of the base's.
pub const ASKED_DB: [f32; BASE_LEVEL] = [12.0, 12.0, 9.0, 6.0];
/// Most rounds of resending while a latency budget lasts.
pub const MOST_ROUNDS: u8 = 100;
/// A round of fewer resource elements than this is not worth its frames.
const LEAST_ELEMENTS: usize = 64;

/// A latency budget, from the moment when the first frame was about to leave.
#[derive(Clone, Copy, Debug)]
pub struct LatencyBudget {
    budget: Duration,
    started: Instant,
}

impl LatencyBudget {
    /// That begins now.
    pub fn new(budget: Duration, now: Instant) -> Self {
        Self { budget, started: now }
    }

    /// Resource elements of payload that still fit; 0 if a round is not worth it. `airtime`: of everything so far, which counts
    /// where it is more than the time that went by (an air that is not paced is faster than a real one); `answer`: how
    /// long the receivers' answers take; `elements_per_second`: payload that a second of airtime carries.
    pub fn elements_left(
        &self,
        now: Instant,
        airtime: Duration,
        answer: Duration,
        elements_per_second: f64,
    ) -> usize {
        let used = now.saturating_duration_since(self.started).max(airtime);
        let left = self.budget.saturating_sub(used).saturating_sub(answer);
        let elements = (left.as_secs_f64() * elements_per_second) as usize;
        if elements < LEAST_ELEMENTS { 0 } else { elements }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_runs_by_the_clock_or_by_the_air() {
        let now = Instant::now();
        let budget = LatencyBudget::new(Duration::from_millis(100), now);
        let left = |clock, air, answer| {
            let at = |ms| Duration::from_millis(ms);
            budget.elements_left(now + at(clock), at(air), at(answer), 1e6)
        };
        assert_eq!(left(0, 0, 0), 100_000);
        assert_eq!(left(20, 60, 10), 30_000);
        assert_eq!(left(60, 20, 10), 30_000);
        assert_eq!((left(99, 0, 1), left(500, 0, 0)), (0, 0));
    }
}
