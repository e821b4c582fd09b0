//! Columns of Z elements, laid out so that a rotation costs nothing.
//!
//! A column is stored with its start repeated behind its end. The Z × Z identity rotated by `s` then reads
//! from element `s` on, up to [`MAX_LANES`] elements at a time, and a group of lanes may run over the end. Lanes
//! that belong to no check repeat the first ones.

use std::ops::BitXorAssign;

use super::base_graph::LdpcCode;
use crate::simd::dispatched;

/// The most elements that are worked on together.
pub(super) const MAX_LANES: usize = 128;

/// Elements that one exclusive or takes together.
pub(super) const LANES: usize = 64;

/// Elements in whole groups of lanes.
pub(super) const fn padded(z: usize) -> usize {
    z.next_multiple_of(MAX_LANES)
}

/// Elements that a column takes, with its repeated start and room for the last group.
pub(super) const fn column_stride(z: usize) -> usize {
    padded(z) + MAX_LANES
}

/// Continues the period of Z as far as a group that starts inside it may reach.
#[inline(always)]
pub(super) fn repeat_start<T: Copy>(column: &mut [T], z: usize) {
    let mut known = z;
    while known < z + MAX_LANES {
        let count = known.min(z + MAX_LANES - known);
        column.copy_within(..count, known);
        known += count;
    }
}

/// The element that belongs to check `start` where check 0 meets element `offset`.
#[inline(always)]
pub(super) fn position(offset: usize, start: usize, z: usize) -> usize {
    let position = offset + start;
    if position >= z { position - z } else { position }
}

/// A group of lanes.
#[inline(always)]
pub(super) fn group<T, const LANES: usize>(values: &[T], start: usize) -> &[T; LANES] {
    values[start..].first_chunk().expect("a column is followed by its repeated start")
}

/// Values that start with a cache line, so that no aligned group of lanes takes one more than it must.
#[derive(Clone, Debug, Default)]
pub(super) struct AlignedValues {
    values: Vec<i8>,
    count: usize,
}

impl AlignedValues {
    const LINE: usize = 64;

    /// Changes the number of values; what they are is left open.
    pub(super) fn resize(&mut self, count: usize) {
        self.values.resize(count + Self::LINE, 0);
        self.count = count;
    }

    pub(super) fn get(&self) -> &[i8] {
        &self.values[self.offset()..][..self.count]
    }

    pub(super) fn get_mut(&mut self) -> &mut [i8] {
        let offset = self.offset();
        &mut self.values[offset..][..self.count]
    }

    /// Another copy may start elsewhere, and then its values are others, too.
    fn offset(&self) -> usize {
        self.values.as_ptr().align_offset(Self::LINE).min(Self::LINE)
    }
}

/// The non-zero entries of a code, row by row, computed once for many codewords.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    code: Option<LdpcCode>,
    /// Column and shift.
    entries: Vec<(usize, usize)>,
    /// Where each row starts, and the end of the last.
    starts: Vec<usize>,
}

impl Rows {
    /// Changes to another code; `false` if it was this one already.
    pub(super) fn change(&mut self, code: &LdpcCode) -> bool {
        if self.code.as_ref() == Some(code) {
            return false;
        }
        self.entries.clear();
        self.starts.clear();
        for row in 0..code.base_graph().rows() {
            self.starts.push(self.entries.len());
            self.entries.extend(code.row(row).map(|connection| (connection.column, connection.shift)));
        }
        self.starts.push(self.entries.len());
        self.code = Some(*code);
        true
    }

    /// Column and shift of every entry of a row.
    pub(super) fn row(&self, row: usize) -> &[(usize, usize)] {
        &self.entries[self.starts[row]..self.starts[row + 1]]
    }

    /// Entries in the rows before this one.
    pub(super) fn first_entry(&self, row: usize) -> usize {
        self.starts[row]
    }
}

/// Where a row finds one of its columns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// Start of the column.
    pub(super) start: usize,
    /// The element that belongs to check 0.
    pub(super) offset: usize,
}

/// The exclusive or of the columns' elements for a group of checks.
#[inline(always)]
pub(super) fn exclusive_or<T>(columns: &[T], places: &[Place], start: usize, z: usize) -> [T; LANES]
where
    T: Copy + Default + BitXorAssign,
{
    let mut total = [T::default(); LANES];
    for place in places {
        let values: &[T; LANES] = group(columns, place.start + position(place.offset, start, z));
        for (total, &value) in total.iter_mut().zip(values) {
            *total ^= value;
        }
    }
    total
}

dispatched! {
    /// sum[r] = the exclusive or of the elements of all columns that belong to check r, for whole groups of
    /// lanes.
    pub(super) fn add_rotated(columns: &[u8], places: &[Place], z: usize, sum: &mut [u8]) {
        for (start, sum) in (0..z).step_by(LANES).zip(sum.as_chunks_mut::<LANES>().0) {
            *sum = exclusive_or(columns, places, start, z);
        }
    }
}
