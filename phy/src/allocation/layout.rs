//! The layout: which resource elements (REs) carry which element of which segment.
//!
//! How many elements of a segment lie in each resource block follows from the record (`fill`). Within
//! a block the segments that share it take turns over time and frequency, and the elements of a segment run
//! through all of its REs in wide strides over both, so that bursts and fades are averaged.

use num_complex::Complex32;
use thiserror::Error;

use super::{
    Record, Strategy,
    fill::{Take, fill},
    order::order_blocks,
};
use crate::numerology::SUBCARRIERS_PER_RB;

/// Most resource elements of a layout, occupied or not.
const MAX_ELEMENTS: usize = 1 << 24;
/// Owner of an RE that carries no segment.
const NOBODY: u8 = u8::MAX;

/// Why there is no layout.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum LayoutError {
    /// The record speaks of another number of segments.
    #[error("{given} segments to lay out, but the allocation is for {expected}")]
    Segments {
        /// Segments whose elements were given.
        given: usize,
        /// Segments of the record.
        expected: usize,
    },
    /// The strategy is [`Strategy::None`], which lies in the order of the grid.
    #[error("without an allocation, segments lie in the order of the grid")]
    NoStrategy,
    /// The segments do not fit.
    #[error("{0} elements find no room")]
    NoRoom(usize),
    /// The region is beyond all frames.
    #[error("{0} symbols are too long for a layout")]
    TooLong(usize),
}

/// Symbols that `elements` elements take, or `None` if `limit` symbols are not enough.
///
/// `free(symbol, block)` has bit k set if subcarrier k of that block is free for segments.
pub fn symbols_needed(
    elements: usize,
    resource_blocks: usize,
    limit: usize,
    free: impl Fn(usize, usize) -> u16,
) -> Option<usize> {
    let mut room = 0;
    for symbols in 0..=limit {
        if room >= elements {
            return Some(symbols);
        }
        room += (0..resource_blocks).map(|block| count(free(symbols, block))).sum::<usize>();
    }
    None
}

/// Free resource elements as masks, one for each symbol and resource block.
#[derive(Clone, Debug, Default)]
pub struct FreeElements {
    masks: Vec<u16>,
    resource_blocks: usize,
}

impl FreeElements {
    /// None, with an empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes those at `places`, each symbol · K + subcarrier with K occupied subcarriers, in place of those
    /// before. Places beyond all layouts are left out.
    pub fn set(&mut self, resource_blocks: usize, places: &[u32]) {
        self.masks.clear();
        self.resource_blocks = resource_blocks;
        for place in places.iter().map(|&place| place as usize).filter(|&place| place < MAX_ELEMENTS) {
            let mask = place / SUBCARRIERS_PER_RB;
            if mask >= self.masks.len() {
                self.masks.resize(mask + 1, 0);
            }
            self.masks[mask] |= 1 << (place % SUBCARRIERS_PER_RB);
        }
    }

    /// The mask of a resource block in a symbol, bit k for its subcarrier k.
    pub fn mask(&self, symbol: usize, block: usize) -> u16 {
        self.masks.get(symbol * self.resource_blocks + block).copied().unwrap_or(0)
    }
}

/// The bits of the subcarriers that a resource block has.
const ALL_SUBCARRIERS: u16 = (1 << SUBCARRIERS_PER_RB) - 1;

fn count(mask: u16) -> usize {
    (mask & ALL_SUBCARRIERS).count_ones() as usize
}

/// The subcarriers of a mask, the lowest first.
fn subcarriers(mask: u16) -> impl Iterator<Item = usize> {
    let mut left = mask & ALL_SUBCARRIERS;
    std::iter::from_fn(move || {
        let lowest = left.trailing_zeros() as usize;
        left &= left.wrapping_sub(1);
        (lowest < SUBCARRIERS_PER_RB).then_some(lowest)
    })
}

/// Finds layouts; it keeps its buffers between them.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    subcarriers: usize,
    order: Vec<u16>,
    columns: Vec<usize>,
    takes: Vec<Take>,
    /// Segment to which all of a block belongs.
    sole_owner: Vec<u8>,
    /// Segment of every RE of the other blocks, symbol by symbol.
    owner: Vec<u8>,
    /// Free REs of the block at hand.
    column: Vec<u32>,
    /// REs of all segments, symbol by symbol within each.
    sorted: Vec<u32>,
    /// The same in the order of filling.
    places: Vec<u32>,
    /// Where each segment starts in `places`, and the end.
    starts: Vec<usize>,
}

impl Layout {
    /// No layout, with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lays out segments of so many elements over `symbols` symbols.
    ///
    /// `free(symbol, block)` has bit k set if subcarrier k of that block is free for segments.
    ///
    /// # Errors
    /// [`LayoutError`]; there is then no layout.
    pub fn arrange(
        &mut self,
        record: &Record,
        elements: &[usize],
        symbols: usize,
        free: impl Fn(usize, usize) -> u16,
    ) -> Result<(), LayoutError> {
        self.places.clear();
        self.starts.clear();
        let blocks = record.resource_blocks();
        self.subcarriers = blocks * SUBCARRIERS_PER_RB;
        if record.strategy() == Strategy::None {
            return Err(LayoutError::NoStrategy);
        }
        if elements.len() != record.order().len() {
            return Err(LayoutError::Segments { given: elements.len(), expected: record.order().len() });
        }
        if symbols.checked_mul(self.subcarriers).is_none_or(|region| region > MAX_ELEMENTS) {
            return Err(LayoutError::TooLong(symbols));
        }

        self.columns.clear();
        self.columns.resize(blocks, 0);
        for symbol in 0..symbols {
            for (block, column) in self.columns.iter_mut().enumerate() {
                *column += count(free(symbol, block));
            }
        }
        let segments = record.order();
        order_blocks(record.strategy(), record.levels(), blocks, segments.len(), &mut self.order);
        let limits = record.block_counts();
        let left = fill(&self.order, &self.columns, segments, limits, elements, &mut self.takes);
        if left > 0 {
            return Err(LayoutError::NoRoom(left));
        }

        self.share_blocks(symbols, &free);
        self.collect(elements, symbols, &free);
        Ok(())
    }

    /// Finds who owns every block, and every RE of the blocks that have more than one owner or room left.
    fn share_blocks(&mut self, symbols: usize, free: &impl Fn(usize, usize) -> u16) {
        self.owner.clear();
        self.owner.resize(symbols * self.subcarriers, NOBODY);
        self.sole_owner.clear();
        self.sole_owner.resize(self.columns.len(), NOBODY);
        self.takes.sort_by_key(|take| take.block);
        let mut takes = self.takes.as_slice();
        while let Some(first) = takes.first() {
            let shared = takes.partition_point(|take| take.block == first.block);
            let (here, others) = takes.split_at(shared);
            takes = others;
            if first.elements == self.columns[first.block] {
                self.sole_owner[first.block] = first.segment as u8;
                continue;
            }
            self.column.clear();
            for symbol in 0..symbols {
                let start = symbol * self.subcarriers + first.block * SUBCARRIERS_PER_RB;
                self.column.extend(subcarriers(free(symbol, first.block)).map(|k| (start + k) as u32));
            }
            let mut walk = Walk::new(self.column.len(), symbols);
            for take in here {
                for _ in 0..take.elements {
                    self.owner[self.column[walk.step()] as usize] = take.segment as u8;
                }
            }
        }
    }

    /// Gathers the REs of each segment and brings them into the order of filling.
    fn collect(&mut self, elements: &[usize], symbols: usize, free: &impl Fn(usize, usize) -> u16) {
        self.starts.push(0);
        let mut total = 0;
        for &count in elements {
            total += count;
            self.starts.push(total);
        }
        self.sorted.clear();
        self.sorted.resize(total, 0);
        let mut next = [0; super::record::MAX_RANKS];
        next[..elements.len()].copy_from_slice(&self.starts[..elements.len()]);
        let mut start = 0;
        for symbol in 0..symbols {
            for (block, &sole_owner) in self.sole_owner.iter().enumerate() {
                let mask = free(symbol, block);
                if sole_owner != NOBODY {
                    let at = &mut next[usize::from(sole_owner)];
                    let count = count(mask);
                    let target = &mut self.sorted[*at..*at + count];
                    *at += count;
                    for (place, k) in target.iter_mut().zip(subcarriers(mask)) {
                        *place = (start + k) as u32;
                    }
                } else {
                    for k in subcarriers(mask) {
                        let owner = self.owner[start + k];
                        if owner != NOBODY {
                            let at = &mut next[usize::from(owner)];
                            self.sorted[*at] = (start + k) as u32;
                            *at += 1;
                        }
                    }
                }
                start += SUBCARRIERS_PER_RB;
            }
        }
        for range in self.starts.windows(2) {
            let own = &self.sorted[range[0]..range[1]];
            let mut walk = Walk::new(own.len(), symbols);
            self.places.extend((0..own.len()).map(|_| own[walk.step()]));
        }
    }

    /// Segments of the layout.
    pub fn segments(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The REs of a segment in the order in which it fills them, each as symbol · K + subcarrier with K
    /// occupied subcarriers; none if there is no such segment.
    pub fn places(&self, segment: usize) -> &[u32] {
        match self.starts.get(segment..segment + 2) {
            Some(range) => &self.places[range[0]..range[1]],
            None => &[],
        }
    }

    /// [`Self::places`] as (symbol, subcarrier).
    pub fn positions(&self, segment: usize) -> impl Iterator<Item = (usize, usize)> + use<'_> {
        let subcarriers = self.subcarriers;
        self.places(segment)
            .iter()
            .map(move |&place| (place as usize / subcarriers, place as usize % subcarriers))
    }

    /// Puts a segment's elements in their places of the region.
    pub fn scatter(&self, segment: usize, elements: &[Complex32], region: &mut [Complex32]) {
        for (&place, &element) in self.places(segment).iter().zip(elements) {
            if let Some(target) = region.get_mut(place as usize) {
                *target = element;
            }
        }
    }

    /// Appends what lies in a segment's places of the region; a place outside of it gives zero.
    pub fn gather<T: Copy + Default>(&self, segment: usize, region: &[T], elements: &mut Vec<T>) {
        let at = |&place: &u32| region.get(place as usize).copied().unwrap_or_default();
        elements.extend(self.places(segment).iter().map(at));
    }
}

/// A walk through `count` places, sorted symbol by symbol, that visits each once and is spread evenly over
/// time and frequency at any length.
///
/// The steps are the additive recurrence with the powers of the plastic number ρ, ρ³ = ρ + 1: 1/ρ² of the
/// time and 1/ρ of a symbol's places, rounded up to a number that shares no factor with `count`.
///
/// Reference: M. Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018 (R₂).
struct Walk {
    count: usize,
    stride: usize,
    at: usize,
}

impl Walk {
    fn new(count: usize, symbols: usize) -> Self {
        let symbols = symbols.max(1);
        let row = count.div_ceil(symbols);
        let aim = row * (symbols * 5698 / 10_000) + row * 7549 / 10_000;
        let common_factor = |mut a: usize, mut b: usize| {
            while b != 0 {
                (a, b) = (b, a % b);
            }
            a
        };
        let stride = (aim.max(1)..).find(|&stride| common_factor(stride, count) == 1).unwrap_or(1);
        Self { count, stride: stride.checked_rem(count).unwrap_or(0), at: 0 }
    }

    /// The place at hand; goes on to the next.
    fn step(&mut self) -> usize {
        let place = self.at;
        self.at += self.stride;
        if self.at >= self.count {
            self.at -= self.count;
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, strategy::Strategy as _};

    use super::{Strategy, *};

    /// A pilot in every second block, on another subcarrier in every symbol.
    fn free(symbol: usize, block: usize) -> u16 {
        if (block + symbol).is_multiple_of(2) {
            ALL_SUBCARRIERS & !(1 << (symbol * 5 % 12))
        } else {
            ALL_SUBCARRIERS
        }
    }

    fn record(strategy: Strategy, levels: &[u8], order: &[u8], limits: &[u16]) -> Record {
        Record::new(strategy, levels.len(), levels, order, limits, &vec![0; order.len()]).unwrap()
    }

    #[test]
    fn a_walk_visits_every_place_once() {
        for count in 0..400 {
            for symbols in [1, 2, 7, 140] {
                let mut walk = Walk::new(count, symbols);
                let mut seen: Vec<usize> = (0..count).map(|_| walk.step()).collect();
                seen.sort_unstable();
                assert!(seen.into_iter().eq(0..count), "{count} {symbols}");
            }
        }
    }

    #[test]
    fn the_layout_is_the_same_in_every_release() {
        let record = record(Strategy::Importance, &[3, 15, 9], &[1, 0], &[1, 1]);
        let mut layout = Layout::new();
        layout.arrange(&record, &[9, 7], 1, |_, _| 0b0000_1111_1111).unwrap();
        assert_eq!(layout.places(1), [12, 18, 16, 14, 19, 17, 15]);
        assert_eq!(layout.places(0), [13, 30, 28, 26, 24, 31, 29, 27, 25]);
    }

    #[test]
    fn the_most_important_segment_lies_in_the_best_blocks_and_is_spread_in_them() {
        let levels: Vec<u8> = (0..25).map(|block| ((block * 7 + 3) % 25 * 16 / 25) as u8).collect();
        let record = record(Strategy::Importance, &levels, &[2, 0, 1], &[9, 9, 9]);
        let mut layout = Layout::new();
        let elements = [9000, 12_000, 8000];
        let symbols = symbols_needed(29_000, 25, 280, free).unwrap();
        layout.arrange(&record, &elements, symbols, free).unwrap();
        let level = |(_, subcarrier): (usize, usize)| levels[subcarrier / 12];
        let lowest = layout.positions(2).map(level).min();
        assert!(lowest >= layout.positions(0).map(level).max());
        assert!(layout.positions(0).map(level).min() >= layout.positions(1).map(level).max());
        // Any 200 elements in a row are spread over the frame and over the segment's blocks.
        let positions: Vec<_> = layout.positions(2).collect();
        for few in positions.windows(200).step_by(50) {
            for half in 0..4 {
                let range = half * symbols / 4..(half + 1) * symbols / 4;
                let inside = few.iter().filter(|(symbol, _)| range.contains(symbol)).count();
                assert!((30..=70).contains(&inside), "{inside} of 200 in a quarter of the symbols");
            }
            let mut blocks: Vec<_> = few.iter().map(|(_, subcarrier)| subcarrier / 12).collect();
            blocks.sort_unstable();
            blocks.dedup();
            assert!(blocks.len() >= 6, "{blocks:?}");
        }
    }

    #[test]
    fn free_elements_are_the_places_that_were_given() {
        let places: Vec<u32> = (0..7 * 36u32).filter(|place| place % 5 != 0).collect();
        let mut free = FreeElements::new();
        free.set(9, &[3, u32::MAX]);
        assert_eq!((free.mask(0, 0), free.mask(0, 1), free.mask(usize::MAX / 9, 0)), (8, 0, 0));
        free.set(3, &places);
        let mask = |symbol, block| free.mask(symbol, block);
        let record = record(Strategy::Equal, &[0; 3], &[0], &[]);
        let mut layout = Layout::new();
        layout.arrange(&record, &[places.len()], 7, mask).unwrap();
        let mut found = layout.places(0).to_vec();
        found.sort_unstable();
        assert_eq!(found, places);
    }

    #[test]
    fn what_cannot_be_laid_out_is_refused() {
        let mut layout = Layout::new();
        let fine = record(Strategy::Equal, &[0; 4], &[0, 1], &[]);
        assert_eq!(layout.arrange(&fine, &[40, 56], 2, |_, _| 0xFFF), Ok(()));
        assert_eq!(layout.segments(), 2);
        assert_eq!(layout.arrange(&fine, &[40, 57], 2, |_, _| 0xFFF), Err(LayoutError::NoRoom(1)));
        assert_eq!((layout.segments(), layout.places(0)), (0, &[][..]));
        let wrong = LayoutError::Segments { given: 1, expected: 2 };
        assert_eq!(layout.arrange(&fine, &[40], 2, |_, _| 0xFFF), Err(wrong));
        let none = record(Strategy::None, &[0; 4], &[0, 1], &[]);
        assert_eq!(layout.arrange(&none, &[40, 56], 2, |_, _| 0xFFF), Err(LayoutError::NoStrategy));
        assert!(layout.arrange(&fine, &[1, 1], usize::MAX, |_, _| 0).is_err());
        assert_eq!(symbols_needed(1, 25, 280, |_, _| 0), None);
        assert_eq!(symbols_needed(0, 25, 280, |_, _| 0), Some(0));
        assert_eq!(symbols_needed(25 * 12 + 1, 25, 280, |_, _| u16::MAX), Some(2));
    }

    fn cases() -> impl proptest::strategy::Strategy<Value = (Record, Vec<usize>)> {
        (1usize..40, 1usize..12, 1..5, any::<u16>()).prop_flat_map(|(blocks, segments, kind, seed)| {
            let strategy = match kind {
                1 => Strategy::Importance,
                2 => Strategy::Random { seed },
                3 => Strategy::Equal,
                _ => Strategy::Inverse,
            };
            let levels = proptest::collection::vec(0u8..16, blocks);
            let order = Just((0..segments as u8).collect::<Vec<_>>()).prop_shuffle();
            let limits = proptest::collection::vec(0..=blocks as u16, segments);
            let elements = proptest::collection::vec(0usize..1500, segments);
            (levels, order, limits, elements).prop_map(move |(levels, order, limits, elements)| {
                (record(strategy, &levels, &order, &limits), elements)
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_element_has_its_own_free_place_and_no_symbol_is_wasted((record, elements) in cases()) {
            let blocks = record.resource_blocks();
            let total: usize = elements.iter().sum();
            let symbols = symbols_needed(total, blocks, 100_000, free).unwrap();
            let mut layout = Layout::new();
            layout.arrange(&record, &elements, symbols, free).unwrap();
            let mut taken = vec![false; symbols * blocks * 12];
            for (segment, &count) in elements.iter().enumerate() {
                prop_assert_eq!(layout.places(segment).len(), count);
                for (symbol, subcarrier) in layout.positions(segment) {
                    prop_assert!(free(symbol, subcarrier / 12) >> (subcarrier % 12) & 1 == 1);
                    prop_assert!(!std::mem::replace(&mut taken[symbol * blocks * 12 + subcarrier], true));
                }
            }
            if symbols > 0 {
                let fewer = layout.arrange(&record, &elements, symbols - 1, free);
                prop_assert!(matches!(fewer, Err(LayoutError::NoRoom(_))));
            }
        }
    }
}
