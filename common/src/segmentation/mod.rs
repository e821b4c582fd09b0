//! Segmentation: a semantic message ↔ parts that fit into frames.
//!
//! Every frame's control bytes carry a [`MessageHeader`]: which message this is, everything needed to set up
//! its decoding, and which part of which feature each of the frame's segments holds. So any frame tells
//! the whole story, a lost one costs only its own parts, and a part may be sent again in any size.
//!
//! - [`header`]: the control bytes.
//! - [`assembly`]: parts → [`crate::message::ReceivedMessage`].
//! - [`interleaving`]: spreads an analog feature's symbols over its parts.

pub mod assembly;
pub mod header;
pub mod interleaving;

use serde::{Deserialize, Serialize};

pub use assembly::Assembly;
pub use header::MessageHeader;

/// A stretch of a feature: bytes of a digital one, symbols of an analog one (in the order of the air).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PartRange {
    /// Index of the feature in its message.
    pub feature: u8,
    /// First byte or symbol.
    pub start: u32,
    /// One past the last.
    pub end: u32,
}

impl PartRange {
    /// Whether the two have a byte or symbol in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.feature == other.feature && self.start < other.end && other.start < self.end
    }

    /// Sorted ranges that neither overlap nor touch and hold the same bytes and symbols.
    pub fn union(mut ranges: Vec<Self>) -> Vec<Self> {
        ranges.sort_unstable();
        let mut merged: Vec<Self> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if last.feature == range.feature && range.start <= last.end => {
                    last.end = last.end.max(range.end);
                }
                _ => merged.push(range),
            }
        }
        merged
    }

    /// What of `ranges` lies outside of all of `holes`. Both are sorted and without overlap, as from
    /// [`Self::union`].
    pub fn difference(ranges: &[Self], holes: &[Self]) -> Vec<Self> {
        let mut left = Vec::with_capacity(ranges.len());
        for &range in ranges {
            let mut rest = range;
            let first =
                holes.partition_point(|hole| (hole.feature, hole.end) <= (range.feature, range.start));
            for hole in holes[first..].iter().take_while(|hole| hole.overlaps(&range)) {
                if rest.start < hole.start {
                    left.push(Self { end: hole.start, ..rest });
                }
                rest.start = hole.end.min(range.end);
            }
            if rest.start < rest.end {
                left.push(rest);
            }
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges() -> impl Strategy<Value = Vec<PartRange>> {
        let range = (0u8..3, 0u32..40, 1u32..9).prop_map(|(feature, start, length)| PartRange {
            feature,
            start,
            end: start + length,
        });
        proptest::collection::vec(range, 0..12)
    }

    fn holds(ranges: &[PartRange], feature: u8, at: u32) -> bool {
        ranges.iter().any(|range| range.feature == feature && (range.start..range.end).contains(&at))
    }

    proptest! {
        #[test]
        fn union_and_difference_are_those_of_sets(a in ranges(), b in ranges()) {
            let (one, other) = (PartRange::union(a.clone()), PartRange::union(b.clone()));
            let left = PartRange::difference(&one, &other);
            prop_assert_eq!(&PartRange::union(left.clone()), &left);
            for feature in 0..3 {
                for at in 0..50 {
                    prop_assert_eq!(holds(&one, feature, at), holds(&a, feature, at));
                    let wanted = holds(&a, feature, at) && !holds(&b, feature, at);
                    prop_assert_eq!(holds(&left, feature, at), wanted);
                }
            }
        }
    }
}
