//! Resending: which segments a message was cut into, and what of it to send again in which form.
//!
//! A coded segment that could not be corrected goes out again as it was: the same bytes, the same step, so the
//! same number of coded bits, with the next redundancy version (0, 2, 3, 1: TS 38.214 §5.1.2.1). The receiver
//! adds its soft bits to those that it kept (incremental redundancy). A segment that was not heard has no soft
//! bits to be added to: it goes out with version 0 again, which can be decoded by itself at any rate. After
//! three transmissions, or when its step is out of reach even for combining, its bytes are cut anew for
//! a more robust step; on the lowest step there is none, and it goes on as it is.

use std::collections::BTreeMap;

use semcast_common::{
    segmentation::PartRange,
    wire::{FeatureQuality, MAX_MISSING_RANGES, MessageReceipt},
};
use semcast_phy::modulation::mcs::Mcs;

use crate::link_adaptation::{Resending, Tally, more_robust};

/// The order of redundancy versions.
const VERSIONS: [u8; 4] = [0, 2, 3, 1];
/// Transmissions of a segment: the first, and two to be combined with it.
const MOST_TRANSMISSIONS: u8 = 3;

/// Something to put into frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Piece {
    /// A range that may be cut as frames have room; its coded segments take this step.
    Fresh(PartRange, Mcs),
    /// A coded segment as it was sent before, with another redundancy version.
    Again(PartRange, Mcs, u8),
}

impl Piece {
    /// What it holds.
    pub fn range(&self) -> PartRange {
        match *self {
            Self::Fresh(range, _) | Self::Again(range, ..) => range,
        }
    }
}

/// What receivers lack after a round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lack {
    /// What any of them misses; sorted, without overlap.
    pub missing: Vec<PartRange>,
    /// What of it any of them has no soft bits of; likewise.
    pub without_soft_bits: Vec<PartRange>,
    /// Whether any of them heard no frame of the message.
    pub unheard: bool,
    /// Effective SNR of each analog feature at the receiver that has it worst, in dB; `None` where nobody has told.
    pub worst_snr_db: Vec<Option<f32>>,
}

impl Lack {
    /// Adds what one receiver lacks.
    pub fn add(&mut self, receipt: MessageReceipt) {
        self.unheard |= receipt.frames == 0 && !receipt.complete;
        // A peer's lists rise, but may touch.
        let missing = PartRange::union(receipt.missing);
        let uncorrected = PartRange::union(receipt.uncorrected);
        self.without_soft_bits.extend(PartRange::difference(&missing, &uncorrected));
        self.missing.extend(missing);
        self.without_soft_bits = PartRange::union(std::mem::take(&mut self.without_soft_bits));
        self.missing = PartRange::union(std::mem::take(&mut self.missing));
        self.worst_snr_db.resize(self.worst_snr_db.len().max(receipt.quality.len()), None);
        for (worst, quality) in self.worst_snr_db.iter_mut().zip(&receipt.quality) {
            if let FeatureQuality::Analog { snr } = quality {
                *worst = Some(worst.map_or(snr.db(), |worst: f32| worst.min(snr.db())));
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    end: u32,
    mcs: Mcs,
    transmissions: u8,
    /// Place in [`VERSIONS`] of the next one.
    next_version: usize,
}

/// The coded segments that a message was cut into last, without overlap.
#[derive(Clone, Debug, Default)]
pub struct SentSegments {
    /// By feature and first byte.
    cuts: BTreeMap<(u8, u32), Cut>,
}

impl SentSegments {
    /// A coded segment goes out. It takes the place of all that it overlaps.
    pub fn record(&mut self, range: PartRange, mcs: Mcs, redundancy_version: u8) {
        let place = VERSIONS.iter().position(|&version| version == redundancy_version).unwrap_or(0);
        let before = self.cuts.get(&(range.feature, range.start)).copied();
        let same = before.filter(|cut| cut.end == range.end && cut.mcs == mcs);
        let overlapped: Vec<_> = self.overlapping(range).map(|(cut_range, _)| cut_range).collect();
        for cut in overlapped {
            self.cuts.remove(&(cut.feature, cut.start));
        }
        let cut = Cut {
            end: range.end,
            mcs,
            transmissions: same.map_or(0, |cut| cut.transmissions).saturating_add(1),
            next_version: (place + 1) % VERSIONS.len(),
        };
        self.cuts.insert((range.feature, range.start), cut);
    }

    fn overlapping(&self, range: PartRange) -> impl Iterator<Item = (PartRange, Cut)> + '_ {
        // Cuts do not overlap, so of those that begin before the range only the last can reach into it.
        let before = self.cuts.range(..(range.feature, range.start)).next_back();
        let from = self.cuts.range((range.feature, range.start)..(range.feature, range.end.max(range.start)));
        before.into_iter().chain(from).filter_map(move |(&(feature, start), &cut)| {
            let cut_range = PartRange { feature, start, end: cut.end };
            cut_range.overlaps(&range).then_some((cut_range, cut))
        })
    }

    /// How to send again what is lacking, in the order of the ranges.
    pub fn again(&self, lack: &Lack, resending: &Resending) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for &range in &lack.missing {
            let mut place = range.start;
            for (cut_range, cut) in self.overlapping(range) {
                fresh(&mut pieces, range, place, cut_range.start, resending.ceiling);
                let whole = range.start <= cut_range.start && cut_range.end <= range.end;
                let useful = cut.mcs == Mcs::LOWEST
                    || (cut.transmissions < MOST_TRANSMISSIONS && cut.mcs <= resending.combinable);
                if whole && useful {
                    let alone = overlaps_any(cut_range, &lack.without_soft_bits);
                    let version = if alone { VERSIONS[0] } else { VERSIONS[cut.next_version] };
                    pieces.push(Piece::Again(cut_range, cut.mcs, version));
                } else {
                    let mcs = more_robust(cut.mcs).min(resending.ceiling);
                    let from = place.max(cut_range.start);
                    fresh(&mut pieces, range, from, cut_range.end.min(range.end), mcs);
                }
                place = cut_range.end;
            }
            fresh(&mut pieces, range, place, range.end, resending.ceiling);
        }
        pieces
    }

    /// What became of all segments of the features that count, by a receipt for the only round so far. Those that were
    /// not heard do not count.
    pub fn tally(&self, receipt: &MessageReceipt, counts: impl Fn(u8) -> bool) -> Tally {
        let mut tally = Tally::default();
        let truncated = receipt.missing.len() == MAX_MISSING_RANGES;
        let known = receipt.missing.last().filter(|_| truncated).map(|last| (last.feature, last.end));
        for (&(feature, start), cut) in self.cuts.iter().filter(|((feature, _), _)| counts(*feature)) {
            if known.is_some_and(|known| (feature, start) >= known) {
                break;
            }
            let range = PartRange { feature, start, end: cut.end };
            if overlaps_any(range, &receipt.uncorrected) {
                tally.failed += 1;
            } else if !overlaps_any(range, &receipt.missing) {
                tally.delivered += 1;
            }
        }
        tally
    }
}

/// Whether a range overlaps any of these, which rise.
fn overlaps_any(range: PartRange, rising: &[PartRange]) -> bool {
    let first = rising.partition_point(|other| (other.feature, other.end) <= (range.feature, range.start));
    rising.get(first).is_some_and(|other| other.overlaps(&range))
}

/// Adds from `start` to `end` of a range as a fresh piece, or to the last piece if that is one of the same step
/// that ends there.
fn fresh(pieces: &mut Vec<Piece>, range: PartRange, start: u32, end: u32, mcs: Mcs) {
    if start >= end {
        return;
    }
    match pieces.last_mut() {
        Some(Piece::Fresh(last, step)) if (last.feature, last.end, *step) == (range.feature, start, mcs) => {
            last.end = end;
        }
        _ => pieces.push(Piece::Fresh(PartRange { start, end, ..range }, mcs)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use semcast_phy::mode::Mode;

    use super::*;

    fn range(start: u32, end: u32) -> PartRange {
        PartRange { feature: 0, start, end }
    }

    fn step(index: u8) -> Mcs {
        Mcs::from_index(index).expect("a step of the ladder")
    }

    fn receipt(missing: Vec<PartRange>, uncorrected: Vec<PartRange>) -> MessageReceipt {
        MessageReceipt {
            message_id: 1,
            session: 1,
            missing,
            uncorrected,
            frames: 1,
            snr_db: 0.0,
            complete: false,
            quality: Vec::new(),
        }
    }

    fn lack(missing: Vec<PartRange>, uncorrected: Vec<PartRange>) -> Lack {
        let mut lack = Lack::default();
        lack.add(receipt(missing, uncorrected));
        lack
    }

    const ANY: Resending = Resending { mode: Mode::Normal, ceiling: Mcs::LOWEST, combinable: Mcs::LOWEST };

    fn up_to(index: u8) -> Resending {
        Resending { ceiling: step(index), combinable: step(index), ..ANY }
    }

    fn sent(cuts: &[(u32, u32)], mcs: Mcs) -> SentSegments {
        let mut sent = SentSegments::default();
        for &(start, end) in cuts {
            sent.record(range(start, end), mcs, 0);
        }
        sent
    }

    #[test]
    fn a_lost_segment_goes_again_with_the_next_version_and_then_down_the_ladder() {
        let mut sent = sent(&[(0, 100), (100, 200), (200, 300)], step(10));
        let lost = lack(vec![range(100, 200)], vec![range(100, 200)]);
        for version in [2, 3] {
            let pieces = sent.again(&lost, &up_to(20));
            assert_eq!(pieces, [Piece::Again(range(100, 200), step(10), version)]);
            sent.record(range(100, 200), step(10), version);
        }
        assert_eq!(sent.again(&lost, &up_to(20)), [Piece::Fresh(range(100, 200), more_robust(step(10)))]);
        assert_eq!(sent.again(&lost, &up_to(5)), [Piece::Fresh(range(100, 200), step(5))]);
    }

    #[test]
    fn on_the_lowest_step_soft_bits_add_up_for_as_long_as_it_takes() {
        let mut sent = sent(&[(0, 100)], Mcs::LOWEST);
        let lost = lack(vec![range(0, 100)], vec![range(0, 100)]);
        for version in [2, 3, 1, 0, 2] {
            assert_eq!(sent.again(&lost, &ANY), [Piece::Again(range(0, 100), Mcs::LOWEST, version)]);
            sent.record(range(0, 100), Mcs::LOWEST, version);
        }
    }

    #[test]
    fn a_segment_that_was_not_heard_goes_again_with_version_0() {
        let sent = sent(&[(0, 100), (100, 200)], step(10));
        let one = lack(vec![range(0, 200)], vec![range(0, 100)]);
        let expected = [Piece::Again(range(0, 100), step(10), 2), Piece::Again(range(100, 200), step(10), 0)];
        assert_eq!(sent.again(&one, &up_to(20)), expected);
        // Another receiver has soft bits of it: the version must do for both.
        let mut both = one;
        both.add(receipt(vec![range(0, 200)], vec![range(100, 200)]));
        assert!(sent.again(&both, &up_to(20)).iter().all(|piece| matches!(piece, Piece::Again(.., 0))));
    }

    #[test]
    fn what_does_not_match_a_segment_is_cut_anew() {
        let sent = sent(&[(0, 100), (100, 200)], step(10));
        let down = more_robust(step(10));
        let pieces = |missing| sent.again(&lack(missing, Vec::new()), &up_to(20));
        assert_eq!(pieces(vec![range(50, 150)]), [Piece::Fresh(range(50, 150), down)]);
        assert_eq!(
            pieces(vec![range(150, u32::MAX)]),
            [Piece::Fresh(range(150, 200), down), Piece::Fresh(range(200, u32::MAX), step(20))]
        );
        let other = PartRange { feature: 7, start: 0, end: 9 };
        assert_eq!(pieces(vec![other]), [Piece::Fresh(other, step(20))]);
    }

    #[test]
    fn a_step_far_out_of_reach_is_left_at_once() {
        let sent = sent(&[(0, 100)], step(20));
        let lost = lack(vec![range(0, 100)], vec![range(0, 100)]);
        let deep = Resending { ceiling: step(3), combinable: step(7), ..ANY };
        assert_eq!(sent.again(&lost, &deep), [Piece::Fresh(range(0, 100), step(3))]);
    }

    #[test]
    fn losses_are_told_from_what_was_not_heard() {
        let sent = sent(&[(0, 100), (100, 200), (200, 300), (300, 400)], step(10));
        let tally = sent.tally(&receipt(vec![range(100, 300)], vec![range(200, 300)]), |_| true);
        assert_eq!(tally, Tally { delivered: 2, failed: 1 });
        assert_eq!(sent.tally(&receipt(vec![range(0, u32::MAX)], Vec::new()), |_| true), Tally::default());
        let of_another =
            sent.tally(&receipt(vec![range(100, 300)], vec![range(200, 300)]), |feature| feature == 9);
        assert_eq!(of_another, Tally::default());
        assert_eq!(sent.tally(&receipt(Vec::new(), Vec::new()), |_| true), Tally { delivered: 4, failed: 0 });
        // A list that is full tells nothing of what lies behind it.
        let full: Vec<_> = (0..MAX_MISSING_RANGES as u32).map(|at| range(at, at + 1)).collect();
        let long = SentSegments {
            cuts: (0..1000)
                .map(|at| ((0, at), Cut { end: at + 1, mcs: step(1), transmissions: 1, next_version: 1 }))
                .collect(),
        };
        assert_eq!(long.tally(&receipt(full.clone(), full), |_| true), Tally { delivered: 0, failed: 256 });
    }

    fn ranges() -> impl Strategy<Value = Vec<PartRange>> {
        let range = (0u8..3, 0u32..60, 1u32..20).prop_map(|(feature, start, length)| PartRange {
            feature,
            start,
            end: start + length,
        });
        proptest::collection::vec(range, 0..12)
    }

    proptest! {
        /// Whatever was sent and whatever is asked for: the pieces are what is missing, once.
        #[test]
        fn pieces_are_exactly_what_is_missing(
            history in proptest::collection::vec((ranges(), 0u8..20, 0u8..4), 0..6),
            missing in ranges(), uncorrected in ranges(), ceiling in 0u8..30, combinable in 0u8..30,
        ) {
            let mut sent = SentSegments::default();
            for (ranges, mcs, version) in history {
                for range in ranges {
                    sent.record(range, step(mcs), version);
                }
            }
            let lack = lack(missing, uncorrected);
            let resending = Resending { ceiling: step(ceiling), combinable: step(combinable), ..ANY };
            let pieces = sent.again(&lack, &resending);
            let mut covered: Vec<PartRange> = pieces.iter().map(Piece::range).collect();
            let total: u32 = covered.iter().map(|range| range.end - range.start).sum();
            covered = PartRange::union(covered);
            prop_assert_eq!(&covered, &lack.missing);
            prop_assert_eq!(total, covered.iter().map(|range| range.end - range.start).sum::<u32>());
            for piece in pieces {
                if let Piece::Fresh(_, mcs) = piece {
                    prop_assert!(mcs <= resending.ceiling);
                }
            }
        }
    }
}
