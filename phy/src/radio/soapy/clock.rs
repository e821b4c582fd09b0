//! Time stamps of a received stream → samples that are missing in it.

/// Follows the time of a stream, where the device gives one.
#[derive(Debug, Clone)]
pub struct StreamClock {
    sample_rate_hz: f64,
    /// Time of the next sample in ns, and samples since it was last compared.
    next: Option<(i64, u64)>,
}

/// Drivers round times to their own ticks: a smaller gap is none.
const TOLERANCE_SAMPLES: f64 = 1.5;
/// A jump of more seconds is a clock that was set, not a gap.
const LONGEST_GAP_S: f64 = 60.0;

impl StreamClock {
    /// For a stream of a rate.
    pub fn new(sample_rate_hz: f64) -> Self {
        Self { sample_rate_hz, next: None }
    }

    /// Takes `samples` that begin at `time_ns`, if that is known. Returns the number of samples missing before them.
    pub fn arrived(&mut self, time_ns: Option<i64>, samples: usize) -> u64 {
        let mut missing = 0;
        match (time_ns, self.next) {
            (Some(time), Some((origin, since))) => {
                let expected_ns = since as f64 * 1e9 / self.sample_rate_hz;
                let late = (time.wrapping_sub(origin) as f64 - expected_ns) * self.sample_rate_hz / 1e9;
                if late > TOLERANCE_SAMPLES && late < LONGEST_GAP_S * self.sample_rate_hz {
                    missing = late.round() as u64;
                }
                // From here on, so that no error of rounding adds up.
                self.next = Some((time, samples as u64));
            }
            (Some(time), None) => self.next = Some((time, samples as u64)),
            (None, Some((origin, since))) => self.next = Some((origin, since + samples as u64)),
            (None, None) => {}
        }
        missing
    }

    /// Forgets the time: the stream begins anew.
    pub fn restart(&mut self) {
        self.next = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f64 = 7.68e6;

    fn ns(sample: u64) -> i64 {
        (sample as f64 * 1e9 / RATE).round() as i64
    }

    #[test]
    fn a_gap_is_counted_to_the_sample() {
        let mut clock = StreamClock::new(RATE);
        let mut at = 12_345_678_901;
        for (step, gap) in [(1000, 0), (960, 0), (1, 0), (960, 77), (4096, 0), (960, 1_000_000)] {
            at += gap;
            assert_eq!(clock.arrived(Some(ns(at)), step), gap);
            at += step as u64;
        }
        // Without a time for a while, the count goes on.
        assert_eq!(clock.arrived(None, 500), 0);
        assert_eq!(clock.arrived(Some(ns(at + 500 + 9)), 1), 9);
    }

    #[test]
    fn rounding_and_a_clock_that_is_set_are_no_gaps() {
        let mut clock = StreamClock::new(RATE);
        for block in 0..1000u64 {
            // Drivers that cut to 100 ns.
            assert_eq!(clock.arrived(Some(ns(block * 1021) / 100 * 100), 1021), 0);
        }
        assert_eq!(clock.arrived(Some(i64::MAX / 2), 10), 0);
        assert_eq!(clock.arrived(Some(0), 10), 0);
        clock.restart();
        assert_eq!(clock.arrived(Some(5_000_000_000), 10), 0);
    }
}
