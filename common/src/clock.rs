//! The time of day, and how far another host's clock is ahead of ours.
//!
//! The transmitter probes each receiver over the control link (NTP's exchange, RFC 5905 section 8): it sends its
//! time t₀, the answer brings the time t₁ of the probe's arrival and t₂ of the answer, which arrives at t₃.
//!
//! ```text
//! offset θ = ((t₁ − t₀) + (t₂ − t₃)) / 2        round trip δ = (t₃ − t₀) − (t₂ − t₁)
//! ```
//!
//! However unequal the two ways are, the true offset lies within θ ± δ/2. Of the last exchanges the one counts whose
//! bound is the least when the drift since then is added; exchanges that contradict each other tell that a clock was set.
//!
//! [`ClockEstimator`] has neither clock nor sockets: time comes in with each call.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::wire::ClockReply;

/// Two clocks are taken to drift apart by no more than this: twice the frequency tolerance of RFC 5905 (15 ppm each).
pub const DRIFT_PPM: u64 = 30;
/// Exchanges that are remembered.
const KEPT: usize = 64;
/// Probes that may be unanswered.
const PENDING: usize = 16;
/// Times are cut to whole µs, four of them in an exchange.
const ROUNDING_US: u64 = 2;

/// How wrong this process's clock is made, in µs.
static SHIFT_US: AtomicI64 = AtomicI64::new(0);

/// The time of day in µs since the Unix epoch, by this host's clock.
pub fn unix_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
    now.saturating_add_signed(SHIFT_US.load(Ordering::Relaxed))
}

/// For tests: from now on this process reads a clock that is ahead by so many µs (behind, if negative).
pub fn shift_us(shift_us: i64) {
    SHIFT_US.store(shift_us, Ordering::Relaxed);
}

/// How far a peer's clock is ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockOffset {
    /// The peer's time less ours, in µs.
    pub offset_us: i64,
    /// The true offset is no further from that than so many µs.
    pub uncertainty_us: u64,
    /// Round trip of the exchange that this comes from, in µs.
    pub round_trip_us: u64,
}

/// One exchange.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    /// From the probe to the answer: the clocks drift meanwhile, too.
    took: Duration,
    offset_us: i64,
    round_trip_us: u64,
}

impl Sample {
    /// Bound of the error, in µs, at a time that is so far away.
    fn bound_us(&self, away: Duration) -> u64 {
        let drift_us = drift_us(away.saturating_add(self.took));
        self.round_trip_us.div_ceil(2).saturating_add(ROUNDING_US).saturating_add(drift_us)
    }
}

/// How far two clocks drift apart at most, in µs.
fn drift_us(over: Duration) -> u64 {
    let micros = u64::try_from(over.as_micros()).unwrap_or(u64::MAX);
    micros.saturating_mul(DRIFT_PPM).div_ceil(1_000_000)
}

fn apart(a: Instant, b: Instant) -> Duration {
    a.saturating_duration_since(b).max(b.saturating_duration_since(a))
}

/// What is known of one peer's clock.
#[derive(Debug, Default)]
pub struct ClockEstimator {
    /// Probes on their way: our time of day in them, and when they left.
    pending: VecDeque<(u64, Instant)>,
    samples: VecDeque<Sample>,
}

impl ClockEstimator {
    /// A probe leaves with this time of day.
    pub fn probe(&mut self, sent_unix_us: u64, now: Instant) {
        if self.pending.len() == PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back((sent_unix_us, now));
    }

    /// An answer has come. Returns whether a clock was set since the answers before, which then no longer count. An answer
    /// to a probe that was not sent, or that took less time than the peer says it held it, is ignored.
    pub fn reply(&mut self, reply: &ClockReply, now: Instant) -> bool {
        let asked = |(sent, _): &(u64, Instant)| *sent == reply.probe_sent_unix_us;
        let Some(index) = self.pending.iter().position(asked) else { return false };
        // Those before it came too late or never: the stream keeps its order.
        let Some((sent_unix_us, sent)) = self.pending.drain(..=index).next_back() else { return false };
        // The round trip is timed by a clock that nobody sets.
        let elapsed = now.saturating_duration_since(sent);
        let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let held_us = reply.reply_sent_unix_us.checked_sub(reply.probe_received_unix_us);
        let Some(round_trip_us) = held_us.and_then(|held_us| elapsed_us.checked_sub(held_us)) else {
            return false;
        };
        let (offset_us, _) = reply.offset_and_round_trip_us(sent_unix_us.saturating_add(elapsed_us));
        let sample = Sample { at: now, took: elapsed, offset_us, round_trip_us };
        let contradicted = self.samples.iter().any(|known| {
            let tolerance =
                known.bound_us(apart(now, known.at)).saturating_add(sample.bound_us(Duration::ZERO));
            known.offset_us.abs_diff(sample.offset_us) > tolerance
        });
        if contradicted {
            self.samples.clear();
        } else if self.samples.len() == KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
        contradicted
    }

    /// The peer's clock at any time from `from` to `to`; `None` before the first answer.
    pub fn offset(&self, from: Instant, to: Instant) -> Option<ClockOffset> {
        let bound_us = |sample: &Sample| sample.bound_us(apart(sample.at, from).max(apart(sample.at, to)));
        let best = self.samples.iter().min_by_key(|sample| bound_us(sample))?;
        Some(ClockOffset {
            offset_us: best.offset_us,
            uncertainty_us: bound_us(best),
            round_trip_us: best.round_trip_us,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two hosts in simulated time, in µs since their start.
    struct Hosts {
        origin: Instant,
        /// What ours shows at the origin.
        unix_us: u64,
        ahead_us: i64,
        drift_ppm: i64,
    }

    impl Hosts {
        fn new(ahead_us: i64, drift_ppm: i64) -> Self {
            Self { origin: Instant::now(), unix_us: 1_700_000_000_000_000, ahead_us, drift_ppm }
        }

        fn at(&self, us: u64) -> Instant {
            self.origin + Duration::from_micros(us)
        }

        fn truth_us(&self, us: u64) -> i64 {
            self.ahead_us + self.drift_ppm * us as i64 / 1_000_000
        }

        /// A probe at `us`; `out`, `held` and `back` are delays.
        fn exchange(&self, estimator: &mut ClockEstimator, us: u64, [out, held, back]: [u64; 3]) -> bool {
            let theirs = |us: u64| (self.unix_us + us).saturating_add_signed(self.truth_us(us));
            estimator.probe(self.unix_us + us, self.at(us));
            let reply = ClockReply {
                probe_sent_unix_us: self.unix_us + us,
                probe_received_unix_us: theirs(us + out),
                reply_sent_unix_us: theirs(us + out + held),
            };
            estimator.reply(&reply, self.at(us + out + held + back))
        }
    }

    proptest! {
        /// Whatever the delays of the two ways, the drift and the offset are, the truth is within what is stated.
        #[test]
        fn the_truth_lies_within_the_uncertainty(
            ahead_us in -10_000_000_000i64..10_000_000_000,
            drift_ppm in -(DRIFT_PPM as i64)..=DRIFT_PPM as i64,
            exchanges in prop::collection::vec((0u64..2_000_000, [0u64..300_000, 0u64..50_000, 0u64..300_000]), 1..100),
            age_us in 0u64..60_000_000,
        ) {
            let hosts = Hosts::new(ahead_us, drift_ppm);
            let mut estimator = ClockEstimator::default();
            let mut us = 0;
            for (pause, delays) in exchanges {
                us += pause + 700_000;
                prop_assert!(!hosts.exchange(&mut estimator, us, delays), "nobody has set a clock");
            }
            let (from, to) = (us.saturating_sub(500_000), us + age_us);
            let found = estimator.offset(hosts.at(from), hosts.at(to)).expect("an estimate");
            for at in [from, us, to] {
                prop_assert!(found.offset_us.abs_diff(hosts.truth_us(at)) <= found.uncertainty_us, "{found:?}");
            }
        }
    }

    #[test]
    fn the_shortest_round_trip_counts_until_drift_outweighs_it() {
        let hosts = Hosts::new(5_000_000, 0);
        let mut estimator = ClockEstimator::default();
        // A queue on one way only: on their own these would be 45 ms off.
        for second in 0..5 {
            hosts.exchange(&mut estimator, second * 1_000_000, [100_000, 50, 10_000]);
        }
        hosts.exchange(&mut estimator, 5_000_000, [150, 50, 90]);
        for second in 6..20 {
            hosts.exchange(&mut estimator, second * 1_000_000, [100_000, 50, 10_000]);
        }
        let now = hosts.at(20_000_000);
        let found = estimator.offset(now, now).expect("an estimate");
        assert_eq!((found.offset_us, found.round_trip_us), (5_000_030, 240));
        assert!(found.uncertainty_us < 120 + 15 * DRIFT_PPM + 10, "{found:?}");
        // An hour later the best of the recent ones is as good as that one with an hour's drift.
        hosts.exchange(&mut estimator, 3_600_000_000, [2_000, 50, 1_000]);
        let now = hosts.at(3_600_000_000);
        assert_eq!(estimator.offset(now, now).expect("an estimate").round_trip_us, 3_000);
    }

    #[test]
    fn a_clock_that_was_set_is_noticed() {
        let before = Hosts::new(0, 0);
        let mut estimator = ClockEstimator::default();
        before.exchange(&mut estimator, 0, [100, 10, 100]);
        let after = Hosts { ahead_us: 2_000_000, ..before };
        assert!(after.exchange(&mut estimator, 1_000_000, [5_000, 10, 4_000]));
        let now = after.at(1_010_000);
        let found = estimator.offset(now, now).expect("an estimate");
        assert!(found.offset_us.abs_diff(2_000_000) <= found.uncertainty_us, "{found:?}");
    }

    #[test]
    fn answers_that_make_no_sense_are_ignored() {
        let hosts = Hosts::new(0, 0);
        let mut estimator = ClockEstimator::default();
        let reply = |sent, received, answered| ClockReply {
            probe_sent_unix_us: sent,
            probe_received_unix_us: received,
            reply_sent_unix_us: answered,
        };
        estimator.reply(&reply(1, 2, 3), hosts.at(0));
        for (received, answered) in [(9, 8), (0, u64::MAX), (0, 2_000)] {
            estimator.probe(100, hosts.at(0));
            estimator.reply(&reply(100, received, answered), hosts.at(1_000));
        }
        assert_eq!(estimator.offset(hosts.at(0), hosts.at(0)), None);
        // As far away as numbers go: nothing overflows.
        for received in [0, u64::MAX] {
            estimator.probe(100, hosts.at(0));
            estimator.reply(&reply(100, received, received), hosts.at(1_000));
            assert!(estimator.offset(hosts.at(0), hosts.at(5_000)).is_some());
        }
        // Unanswered probes do not pile up.
        for sent in 0..1_000 {
            estimator.probe(sent, hosts.at(sent));
        }
        assert_eq!(estimator.pending.len(), PENDING);
    }
}
