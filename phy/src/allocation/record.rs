//! The record: what a receiver must know of an allocation, as bytes that cross the air.
//!
//! A stream of bits, most significant first, padded with zeros to whole bytes. The number of resource
//! blocks R and of segments S is known from the numerology and the list of segments.
//!
//! | bits | field | present |
//! |---|---|---|
//! | 3 | strategy: 0 none, 1 importance, 2 random, 3 equal, 4 inverse | always |
//! | 1 | power offsets follow | always |
//! | 1 | segments are not in order of importance | always |
//! | 16 | seed | random |
//! | 4·R | level of each block, see below | importance, inverse |
//! | S·⌈log₂ S⌉ | index of the most important segment, of the next, … | if not in order |
//! | S·⌈log₂(R + 1)⌉ | blocks that each segment may open | importance, random, inverse |
//! | 6·S | power offset of each segment in quarter dB, two's complement, −24 to 24 | if said |
//!
//! A block's level is its place among all blocks by SNR, in sixteenths: 15 the best. 25 blocks and 4
//! segments take 16 bytes, and 19 with power offsets.

use thiserror::Error;

use super::{MAX_RESOURCE_BLOCKS, Strategy, order::LEVELS, power::MAX_OFFSET};
use crate::framing::MAX_SEGMENTS;

/// Most segments of a record.
pub(super) const MAX_RANKS: usize = MAX_SEGMENTS;

const STRATEGY_BITS: u32 = 3;
const SEED_BITS: u32 = 16;
const LEVEL_BITS: u32 = LEVELS.ilog2();
const OFFSET_BITS: u32 = 6;

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// More resource blocks or segments than a record has room for.
    #[error("{blocks} resource blocks, {segments} segments: at most {MAX_RESOURCE_BLOCKS} and {MAX_RANKS}")]
    Size {
        /// Resource blocks.
        blocks: usize,
        /// Segments.
        segments: usize,
    },
    /// The bytes end within the record.
    #[error("allocation record of {0} bytes ends too early")]
    Short(usize),
    /// A field is out of range.
    #[error("allocation record: {0} is out of range")]
    Range(&'static str),
}

/// An allocation as both ends know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    strategy: Strategy,
    resource_blocks: usize,
    /// Level of each block; empty when the strategy does not look at the channel.
    levels: Vec<u8>,
    /// Segments, the most important first.
    order: Vec<u8>,
    /// Blocks that each segment may open.
    limits: Vec<u16>,
    /// Power offset of each segment in quarter dB.
    offsets: Vec<i8>,
}

fn sees_channel(strategy: Strategy) -> bool {
    matches!(strategy, Strategy::Importance | Strategy::Inverse)
}

/// Bits for a number of 0 to `most`.
fn width(most: usize) -> u32 {
    usize::BITS - most.leading_zeros()
}

fn check_sizes(blocks: usize, segments: usize) -> Result<(), RecordError> {
    if blocks > MAX_RESOURCE_BLOCKS || segments > MAX_RANKS {
        return Err(RecordError::Size { blocks, segments });
    }
    Ok(())
}

impl Record {
    /// A record of `resource_blocks` blocks and as many segments as `order` has: a permutation of their
    /// indices, the most important first. `levels` counts for strategies that look at the channel, `limits`
    /// for those that give segments different numbers of blocks.
    ///
    /// # Errors
    /// [`RecordError`] if there are too many of anything, or a value is out of range.
    pub fn new(
        strategy: Strategy,
        resource_blocks: usize,
        levels: &[u8],
        order: &[u8],
        limits: &[u16],
        offsets: &[i8],
    ) -> Result<Self, RecordError> {
        let segments = order.len();
        check_sizes(resource_blocks, segments)?;
        let mut seen = [false; MAX_RANKS];
        let permutation = order.iter().all(|&segment| {
            let place = seen[..segments].get_mut(usize::from(segment));
            place.is_some_and(|seen| !std::mem::replace(seen, true))
        });
        if !permutation {
            return Err(RecordError::Range("order of the segments"));
        }
        if offsets.len() != segments || offsets.iter().any(|offset| offset.abs() > MAX_OFFSET) {
            return Err(RecordError::Range("power offset"));
        }
        let levels = if sees_channel(strategy) { levels.to_vec() } else { Vec::new() };
        let expected = if sees_channel(strategy) { resource_blocks } else { 0 };
        if levels.len() != expected || levels.iter().any(|&level| usize::from(level) >= LEVELS) {
            return Err(RecordError::Range("level of a resource block"));
        }
        let limits = match strategy {
            Strategy::None => vec![0; segments],
            Strategy::Equal => vec![resource_blocks.div_ceil(segments.max(1)) as u16; segments],
            _ => limits.to_vec(),
        };
        if limits.len() != segments || limits.iter().any(|&limit| usize::from(limit) > resource_blocks) {
            return Err(RecordError::Range("number of resource blocks"));
        }
        Ok(Self {
            strategy,
            resource_blocks,
            levels,
            order: order.to_vec(),
            limits,
            offsets: offsets.to_vec(),
        })
    }

    /// The strategy.
    pub fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// Resource blocks of the band.
    pub fn resource_blocks(&self) -> usize {
        self.resource_blocks
    }

    /// Level of each block, 0 to 15; empty when the strategy does not look at the channel.
    pub fn levels(&self) -> &[u8] {
        &self.levels
    }

    /// Indices of the segments, the most important first.
    pub fn order(&self) -> &[u8] {
        &self.order
    }

    /// Blocks that each segment may open for itself.
    pub fn block_counts(&self) -> &[u16] {
        &self.limits
    }

    /// Power offset of each segment in quarter dB; see [`super::amplitude`].
    pub fn power_offsets(&self) -> &[i8] {
        &self.offsets
    }

    /// The record as bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut bits = BitWriter::default();
        let (number, seed) = match self.strategy {
            Strategy::None => (0, None),
            Strategy::Importance => (1, None),
            Strategy::Random { seed } => (2, Some(seed)),
            Strategy::Equal => (3, None),
            Strategy::Inverse => (4, None),
        };
        let powered = self.offsets.iter().any(|&offset| offset != 0);
        let unordered = !self.order.is_sorted();
        bits.push(number, STRATEGY_BITS);
        bits.push(powered.into(), 1);
        bits.push(unordered.into(), 1);
        if let Some(seed) = seed {
            bits.push(seed, SEED_BITS);
        }
        for &level in &self.levels {
            bits.push(level.into(), LEVEL_BITS);
        }
        if unordered {
            for &segment in &self.order {
                bits.push(segment.into(), width(self.order.len() - 1));
            }
        }
        if !matches!(self.strategy, Strategy::None | Strategy::Equal) {
            for &limit in &self.limits {
                bits.push(limit, width(self.resource_blocks));
            }
        }
        if powered {
            for &offset in &self.offsets {
                bits.push(offset as u8 as u16 & ((1 << OFFSET_BITS) - 1), OFFSET_BITS);
            }
        }
        bits.bytes
    }

    /// Reads the record at the start of `bytes`; returns it and the number of bytes that it took.
    ///
    /// # Errors
    /// [`RecordError`] if the bytes end too early or are none that [`Self::write`] makes.
    pub fn parse(
        bytes: &[u8],
        resource_blocks: usize,
        segments: usize,
    ) -> Result<(Self, usize), RecordError> {
        check_sizes(resource_blocks, segments)?;
        let mut bits = BitReader { bytes, position: 0 };
        let number = bits.take(STRATEGY_BITS)?;
        let powered = bits.take(1)? == 1;
        let unordered = bits.take(1)? == 1;
        let strategy = match number {
            0 => Strategy::None,
            1 => Strategy::Importance,
            2 => Strategy::Random { seed: bits.take(SEED_BITS)? },
            3 => Strategy::Equal,
            4 => Strategy::Inverse,
            _ => return Err(RecordError::Range("strategy")),
        };
        let mut levels = Vec::new();
        if sees_channel(strategy) {
            for _ in 0..resource_blocks {
                levels.push(bits.take(LEVEL_BITS)? as u8);
            }
        }
        let mut order: Vec<u8> = (0..segments as u8).collect();
        if unordered {
            for segment in &mut order {
                *segment = bits.take(width(segments - 1))? as u8;
            }
            if order.is_sorted() {
                return Err(RecordError::Range("order of the segments"));
            }
        }
        let mut limits = vec![0; segments];
        if !matches!(strategy, Strategy::None | Strategy::Equal) {
            for limit in &mut limits {
                *limit = bits.take(width(resource_blocks))?;
            }
        }
        let mut offsets = vec![0; segments];
        if powered {
            for offset in &mut offsets {
                // The field's sign bit goes to that of the byte, and back with its copies.
                *offset = ((bits.take(OFFSET_BITS)? << (8 - OFFSET_BITS)) as u8 as i8) >> (8 - OFFSET_BITS);
            }
            if offsets.iter().all(|&offset| offset == 0) {
                return Err(RecordError::Range("power offset"));
            }
        }
        let length = bits.finish()?;
        Ok((Self::new(strategy, resource_blocks, &levels, &order, &limits, &offsets)?, length))
    }
}

#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    used: u32,
}

impl BitWriter {
    fn push(&mut self, value: u16, width: u32) {
        for place in (0..width).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> place & 1) as u8) << (7 - self.used % 8);
            }
            self.used += 1;
        }
    }
}

struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl BitReader<'_> {
    fn take(&mut self, width: u32) -> Result<u16, RecordError> {
        let mut value = 0;
        for _ in 0..width {
            let byte = self.bytes.get(self.position / 8).ok_or(RecordError::Short(self.bytes.len()))?;
            value = value << 1 | u16::from(byte >> (7 - self.position % 8) & 1);
            self.position += 1;
        }
        Ok(value)
    }

    /// Bytes that were read; what is left of the last one must be zero.
    fn finish(mut self) -> Result<usize, RecordError> {
        while !self.position.is_multiple_of(8) {
            if self.take(1)? != 0 {
                return Err(RecordError::Range("padding"));
            }
        }
        Ok(self.position / 8)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, strategy::Strategy as _};

    use super::{Strategy, *};

    fn strategies() -> impl proptest::strategy::Strategy<Value = Strategy> {
        prop_oneof![
            Just(Strategy::None),
            Just(Strategy::Importance),
            any::<u16>().prop_map(|seed| Strategy::Random { seed }),
            Just(Strategy::Equal),
            Just(Strategy::Inverse),
        ]
    }

    fn records() -> impl proptest::strategy::Strategy<Value = Record> {
        (strategies(), 0..=MAX_RESOURCE_BLOCKS, 0..=MAX_RANKS).prop_flat_map(
            |(strategy, blocks, segments)| {
                let order: Vec<u8> = (0..segments as u8).collect();
                let offsets = prop_oneof![
                    Just(vec![0; segments]),
                    proptest::collection::vec(-MAX_OFFSET..=MAX_OFFSET, segments)
                ];
                let order = prop_oneof![Just(order.clone()), Just(order).prop_shuffle()];
                let levels = proptest::collection::vec(0..LEVELS as u8, blocks);
                let limits = proptest::collection::vec(0..=blocks as u16, segments);
                (levels, order, limits, offsets).prop_map(move |(levels, order, limits, offsets)| {
                    Record::new(strategy, blocks, &levels, &order, &limits, &offsets).expect("in range")
                })
            },
        )
    }

    #[test]
    fn a_usual_record_is_short_and_its_bytes_are_the_documented_ones() {
        let levels: Vec<u8> = (0..25).map(|block| block % 16).collect();
        let record =
            Record::new(Strategy::Importance, 25, &levels, &[0, 1, 2, 3], &[9, 8, 5, 3], &[0; 4]).unwrap();
        let bytes = record.write();
        // 001 0 0, then 0000 0001 …, then 01001 01000 00101 00011.
        assert_eq!(bytes.len(), 16);
        assert_eq!(bytes[..3], [0b0010_0000, 0b0000_1001, 0b0001_1010]);
        let record =
            Record::new(Strategy::Importance, 25, &levels, &[2, 0, 3, 1], &[9, 8, 5, 3], &[8, -8, 0, 1]);
        assert_eq!(record.unwrap().write().len(), 20);
        assert_eq!(Record::new(Strategy::None, 25, &[], &[0, 1], &[], &[0; 2]).unwrap().write(), [0]);
    }

    #[test]
    fn nonsense_is_refused() {
        let new = |order: &[u8], limits: &[u16], offsets: &[i8]| {
            Record::new(Strategy::Random { seed: 1 }, 4, &[], order, limits, offsets).is_err()
        };
        assert!(new(&[0, 0], &[1, 1], &[0, 0]));
        assert!(new(&[0, 2], &[1, 1], &[0, 0]));
        assert!(new(&[0, 1], &[1, 5], &[0, 0]));
        assert!(new(&[0, 1], &[1], &[0, 0]));
        assert!(new(&[0, 1], &[1, 1], &[0, 25]));
        assert!(!new(&[1, 0], &[1, 4], &[0, 24]));
        assert!(Record::new(Strategy::None, 341, &[], &[], &[], &[]).is_err());
        assert!(matches!(Record::parse(&[0], 1, 65), Err(RecordError::Size { .. })));
    }

    proptest! {
        #[test]
        fn records_come_back(record in records(), tail in proptest::collection::vec(any::<u8>(), 0..4)) {
            let mut bytes = record.write();
            let length = bytes.len();
            bytes.extend(tail);
            let parsed = Record::parse(&bytes, record.resource_blocks(), record.order().len());
            prop_assert_eq!(parsed, Ok((record, length)));
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            blocks in 0usize..30,
            segments in 0usize..6,
        ) {
            if let Ok((record, length)) = Record::parse(&bytes, blocks, segments) {
                prop_assert_eq!(record.write(), &bytes[..length]);
            }
        }
    }
}
