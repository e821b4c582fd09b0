//! Allocation: importances of the features in a frame, and the channel that receivers report → which resource
//! blocks carry which segment.
//!
//! Only frames that carry several features have something to choose; the planner spreads a message over its
//! frames so that each has a share of every feature.

use semcast_common::config::Allocation;
use semcast_phy::{
    allocation::{Demand, PlanOptions, PowerRule, Rate, Record, Request, Strategy, plan, quantise_snr_db},
    framing::Segment,
    modulation::mcs::Mcs,
};

use crate::link_adaptation::Report;

/// The largest importance that a request can have: what the most important feature is given.
const HIGHEST: f32 = u16::MAX as f32;

/// How segments of this message are given resource blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Allocator {
    options: PlanOptions,
    snr_half_db: Vec<i8>,
}

impl Allocator {
    /// For what receivers report of each of `resource_blocks` blocks: of several receivers, the worst counts.
    /// `None` if there is nothing to go by, or nothing is wanted. `seed` orders blocks at random if asked for.
    pub fn new(choice: Allocation, seed: u16, reports: &[Report], resource_blocks: usize) -> Option<Self> {
        let strategy = match choice {
            Allocation::None => return None,
            Allocation::Importance => Strategy::Importance,
            Allocation::Random => Strategy::Random { seed },
            Allocation::Equal => Strategy::Equal,
            Allocation::Inverse => Strategy::Inverse,
        };
        let reported: Vec<&[f32]> = reports
            .iter()
            .filter_map(|report| report.snr_db_per_rb.as_deref())
            .filter(|snr_db| snr_db.len() == resource_blocks)
            .collect();
        if reported.is_empty() {
            return None;
        }
        let worst = |block: usize| reported.iter().map(|snr_db| snr_db[block]).fold(f32::INFINITY, f32::min);
        Some(Self {
            options: PlanOptions { strategy, power: PowerRule::Off },
            snr_half_db: (0..resource_blocks).map(|block| quantise_snr_db(worst(block))).collect(),
        })
    }

    /// The allocation of a frame with these segments, each with its feature's importance. `None` if there is
    /// nothing to choose, or no allocation for so many.
    pub fn record(&self, segments: &[(f32, &Segment)]) -> Option<Record> {
        if segments.len() < 2 {
            return None;
        }
        let most = segments.iter().map(|&(importance, _)| importance).fold(f32::MIN_POSITIVE, f32::max);
        let requests: Vec<Request> = segments
            .iter()
            .map(|&(importance, segment)| Request {
                importance: (importance / most * HIGHEST) as u16,
                demand: match segment {
                    Segment::Analog { symbols } => Demand::Analog { symbols: symbols.len() },
                    Segment::Coded { mcs, bytes, .. } => Demand::Coded {
                        bytes: bytes.len(),
                        rate: Rate::Fixed(Mcs::from_index(*mcs).unwrap_or(Mcs::LOWEST)),
                    },
                },
            })
            .collect();
        match plan(&requests, &self.snr_half_db, &self.options) {
            Ok(plan) => Some(plan.record),
            Err(error) => {
                tracing::warn!(%error, "no allocation");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use num_complex::Complex32;

    use super::*;

    fn report(snr_db: Option<Vec<f32>>) -> Report {
        Report { session: 1, snr_db_per_rb: snr_db }
    }

    fn analog() -> Segment {
        Segment::Analog { symbols: vec![Complex32::new(1.0, 0.0); 500] }
    }

    #[test]
    fn without_a_report_or_with_one_segment_there_is_nothing_to_choose() {
        assert_eq!(Allocator::new(Allocation::Importance, 0, &[], 25), None);
        assert_eq!(Allocator::new(Allocation::Importance, 0, &[report(None)], 25), None);
        let good = [report(Some(vec![10.0; 25]))];
        assert_eq!(Allocator::new(Allocation::None, 0, &good, 25), None);
        let allocator = Allocator::new(Allocation::Importance, 0, &good, 25).expect("there is a report");
        assert_eq!(allocator.record(&[(1.0, &analog())]), None);
    }

    #[test]
    fn the_worst_receiver_ranks_the_blocks_and_importance_the_segments() {
        let slope = |up: bool| (0..25).map(|rb| if up { rb as f32 } else { 24.0 - rb as f32 }).collect();
        let reports = [report(Some(slope(true))), report(Some(slope(false)))];
        let allocator = Allocator::new(Allocation::Importance, 0, &reports, 25).expect("there are reports");
        let (low, high) = (analog(), analog());
        let record = allocator.record(&[(0.1, &low), (f32::INFINITY, &high)]);
        // An importance that is no number must not do harm.
        assert!(record.is_some());
        let record = allocator.record(&[(0.1, &low), (3.0, &high)]).expect("two segments");
        assert_eq!(record.order(), [1, 0]);
        assert_eq!(record.levels()[12], 15, "the middle block is the best of the worst");
    }
}
