//! The control block: the list of segments, and the bytes of the layer above.
//!
//! `[count][count × 5 bytes][allocation][bytes of the layer above]`. Bits 0–6 of the first byte are the number of
//! segments, bit 7 tells whether there is an allocation ([`Record`]). A segment is
//!
//! | bytes | field |
//! |-------|-------|
//! | 0     | bit 7: analog; bits 0–5: MCS (zero when analog) |
//! | 1     | redundancy version, 0 to 3 (zero when analog) |
//! | 2–4   | length, little endian: bytes when coded, symbols when analog |
//!
//! The block goes out as QPSK with CRC-24 and as many coded bits for each bit as the frame's [`Protection`] says.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use super::{FramingError, MAX_CONTROL_BYTES, MAX_SEGMENTS, SegmentShape, header::MAX_CONTROL_BLOCK_BYTES};
use crate::{
    allocation::{Record, RecordError},
    mode::Protection,
};

/// Bytes of one segment in the list.
const ENTRY_BYTES: usize = 5;
/// Most symbols of an analog segment.
const MAX_ANALOG: usize = (1 << 24) - 1;
const CRC_BITS: usize = 24;
/// In the first byte: an allocation follows the list.
const ALLOCATED: u8 = 0x80;

/// Why bytes are no control block.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ControlError {
    /// The block ends within the list.
    #[error("control block of {0} bytes ends within its list of segments")]
    Short(usize),
    /// A segment's entry is out of range.
    #[error("segment {0} of the control block is out of range")]
    Entry(usize),
    /// The allocation cannot be read.
    #[error(transparent)]
    Allocation(#[from] RecordError),
}

/// What a control block says.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// The frame's segments.
    pub segments: Vec<SegmentShape>,
    /// Where they lie, if not in the order of the grid.
    pub allocation: Option<Record>,
    /// Bytes of the layer above.
    pub above: Bytes,
}

/// Data resource elements that a control block of `bytes` bytes takes.
pub fn control_elements(protection: Protection, bytes: usize) -> usize {
    ((8 * bytes + CRC_BITS) * protection.control_expansion()).div_ceil(2)
}

/// Writes a control block.
pub fn write(
    segments: &[SegmentShape],
    allocation: Option<&Record>,
    above: &[u8],
) -> Result<Bytes, FramingError> {
    if segments.len() > MAX_SEGMENTS {
        return Err(FramingError::Segments(segments.len()));
    }
    if above.len() > MAX_CONTROL_BYTES {
        return Err(FramingError::Control(above.len()));
    }
    if allocation.is_some_and(|record| record.order().len() != segments.len()) {
        return Err(FramingError::Allocation);
    }
    let mut block = BytesMut::with_capacity(block_bytes(segments.len(), above.len()));
    block.put_u8(segments.len() as u8 | if allocation.is_some() { ALLOCATED } else { 0 });
    for segment in segments {
        let (first, second, length, most) = match *segment {
            SegmentShape::Coded { mcs, redundancy_version, bytes } => {
                if mcs > 0x3F || redundancy_version > 3 {
                    return Err(FramingError::Mcs(mcs));
                }
                (mcs, redundancy_version, bytes, usize::from(u16::MAX))
            }
            SegmentShape::Analog { symbols } => (0x80, 0, symbols, MAX_ANALOG),
        };
        if !(1..=most).contains(&length) {
            return Err(FramingError::Length(length));
        }
        block.put_u8(first);
        block.put_u8(second);
        block.put_uint_le(length as u64, 3);
    }
    if let Some(record) = allocation {
        block.extend_from_slice(&record.write());
    }
    block.extend_from_slice(above);
    if block.len() > MAX_CONTROL_BLOCK_BYTES {
        return Err(FramingError::Control(above.len()));
    }
    Ok(block.freeze())
}

/// Bytes of a control block without allocation.
pub fn block_bytes(segments: usize, above: usize) -> usize {
    1 + ENTRY_BYTES * segments + above
}

/// Takes the control block of a grid of `resource_blocks` blocks apart.
pub fn parse(block: &Bytes, resource_blocks: usize) -> Result<Control, ControlError> {
    let short = || ControlError::Short(block.len());
    let first = *block.first().ok_or_else(short)?;
    let count = usize::from(first & !ALLOCATED);
    if count > MAX_SEGMENTS {
        return Err(ControlError::Entry(count));
    }
    let end = block_bytes(count, 0);
    let list = block.get(1..end).ok_or_else(short)?;
    let segments = list
        .chunks_exact(ENTRY_BYTES)
        .enumerate()
        .map(|(index, entry)| {
            let length = u32::from_le_bytes([entry[2], entry[3], entry[4], 0]) as usize;
            let shape = match (entry[0], entry[1]) {
                (0x80, 0) => SegmentShape::Analog { symbols: length },
                (mcs @ 0..=0x3F, redundancy_version @ 0..=3) if length <= usize::from(u16::MAX) => {
                    SegmentShape::Coded { mcs, redundancy_version, bytes: length }
                }
                _ => return Err(ControlError::Entry(index)),
            };
            if length == 0 { Err(ControlError::Entry(index)) } else { Ok(shape) }
        })
        .collect::<Result<_, _>>()?;
    let (allocation, length) = if first & ALLOCATED != 0 {
        let (record, length) = Record::parse(&block[end..], resource_blocks, count)?;
        (Some(record), length)
    } else {
        (None, 0)
    };
    Ok(Control { segments, allocation, above: block.slice(end + length..) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shapes() -> impl Strategy<Value = Vec<SegmentShape>> {
        let coded = (0u8..64, 0u8..4, 1usize..65_536).prop_map(|(mcs, redundancy_version, bytes)| {
            SegmentShape::Coded { mcs, redundancy_version, bytes }
        });
        let analog = (1usize..=MAX_ANALOG).prop_map(|symbols| SegmentShape::Analog { symbols });
        proptest::collection::vec(prop_oneof![coded, analog], 0..=MAX_SEGMENTS)
    }

    const BLOCKS: usize = 25;

    fn allocation(segments: usize, seed: u16) -> Record {
        let order: Vec<u8> = (0..segments as u8).rev().collect();
        let strategy = crate::allocation::Strategy::Random { seed };
        Record::new(strategy, BLOCKS, &[], &order, &vec![3; segments], &vec![-2; segments])
            .expect("an allocation within all limits")
    }

    proptest! {
        #[test]
        fn blocks_come_back(
            shapes in shapes(),
            seed: Option<u16>,
            above in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let record = seed.map(|seed| allocation(shapes.len(), seed));
            let block = write(&shapes, record.as_ref(), &above).unwrap();
            let control = parse(&block, BLOCKS).unwrap();
            prop_assert_eq!(control.segments, shapes);
            prop_assert_eq!(control.allocation, record);
            prop_assert_eq!(control.above.as_ref(), above.as_slice());
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let block = Bytes::from(bytes);
            if let Ok(control) = parse(&block, BLOCKS) {
                let again = write(&control.segments, control.allocation.as_ref(), &control.above).unwrap();
                prop_assert_eq!(again, block);
            }
        }
    }
}
