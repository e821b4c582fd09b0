//! LDPC encoder: K systematic bits → N code bits, one `u8` for each bit.
//!
//! The four core rows sum to a rotation of the first parity block, because the double diagonal and
//! the two equal entries of that block's column cancel. Back substitution gives the other three core
//! blocks, and each extension row its own block. Every step is an exclusive or of rotated blocks.
//!
//! Reference: 3GPP TS 38.212 V18.6.0, §5.3.2; T. Richardson and S. Kudekar, "Design of Low-Density
//! Parity Check Codes for 5G New Radio", IEEE Communications Magazine 56(3), 2018.

use std::ops::Range;

use super::base_graph::{LdpcCode, PUNCTURED_COLUMNS};
use super::lifting::{LANES, Place, Rows, add_rotated, column_stride, padded, repeat_start};
use crate::coding::CodingError;
use crate::simd::Instructions;

/// Rows and parity columns of the core that the double diagonal joins.
const CORE_ROWS: usize = 4;

/// An encoder for any of the codes; it keeps its buffers between codewords.
#[derive(Clone, Debug)]
pub struct LdpcEncoder {
    instructions: Instructions,
    rows: Rows,
    /// Systematic and core parity columns, each with its start repeated.
    columns: Vec<u8>,
    /// Those columns of a row that are to be added up.
    places: Vec<Place>,
    /// One column, in whole groups of lanes.
    sum: Vec<u8>,
    /// What can be transmitted, with room for a last group of lanes.
    codeword: Vec<u8>,
}

impl Default for LdpcEncoder {
    fn default() -> Self {
        Self::new()
    }
}

impl LdpcEncoder {
    /// An encoder with empty buffers.
    pub fn new() -> Self {
        Self {
            instructions: Instructions::detect(),
            rows: Rows::default(),
            columns: Vec::new(),
            places: Vec::new(),
            sum: Vec::new(),
            codeword: Vec::new(),
        }
    }

    /// Encodes K systematic bits (fillers as 0) and returns the N bits that can be transmitted.
    ///
    /// # Errors
    /// [`CodingError::Length`] if there are not exactly K bits.
    pub fn encode(&mut self, code: &LdpcCode, systematic: &[u8]) -> Result<&[u8], CodingError> {
        self.encode_first(code, systematic, code.codeword_bits())
    }

    /// As [`Self::encode`], but makes and returns only the first `count` of the N bits.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_first(
        &mut self,
        code: &LdpcCode,
        systematic: &[u8],
        count: usize,
    ) -> Result<&[u8], CodingError> {
        let z = code.lifting_size();
        if systematic.len() != code.systematic_bits() {
            return Err(CodingError::Length {
                what: "systematic bits",
                expected: code.systematic_bits(),
                actual: systematic.len(),
            });
        }
        let graph = code.base_graph();
        let count = count.min(code.codeword_bits());
        let core_columns = graph.systematic_columns() + CORE_ROWS;
        if self.rows.change(code) {
            self.columns.resize(core_columns * column_stride(z), 0);
            self.sum.resize(padded(z), 0);
            self.codeword.resize(code.codeword_bits() + LANES, 0);
        }
        for (column, bits) in systematic.chunks_exact(z).enumerate() {
            let stride = column_stride(z);
            let place = &mut self.columns[column * stride..][..stride];
            place[..z].copy_from_slice(bits);
            repeat_start(place, z);
        }
        self.encode_core(code);

        self.codeword[..systematic.len() - PUNCTURED_COLUMNS * z]
            .copy_from_slice(&systematic[PUNCTURED_COLUMNS * z..]);
        for column in graph.systematic_columns()..core_columns {
            self.codeword[(column - PUNCTURED_COLUMNS) * z..][..z]
                .copy_from_slice(&self.columns[column * column_stride(z)..][..z]);
        }
        let extension_rows = count.div_ceil(z).saturating_sub(core_columns - PUNCTURED_COLUMNS);
        for row in CORE_ROWS..CORE_ROWS + extension_rows {
            // The entry that is not in the core is the block that is wanted. What the last group writes
            // beyond its end is overwritten by the next row.
            self.pick(z, row, 0..core_columns);
            let start = (graph.systematic_columns() + row - PUNCTURED_COLUMNS) * z;
            add_rotated(self.instructions, &self.columns, &self.places, z, &mut self.codeword[start..]);
        }
        Ok(&self.codeword[..count])
    }

    /// Solves the four core rows for their parity columns.
    fn encode_core(&mut self, code: &LdpcCode) {
        let z = code.lifting_size();
        let first = code.base_graph().systematic_columns();
        // While the core columns are unknown, they hold the systematic sums of the four rows: row i in
        // column i + 1 (the column it will determine), and row 3 in column 0.
        for row in 0..CORE_ROWS {
            self.pick(z, row, 0..first);
            self.solve(z, first + (row + 1) % CORE_ROWS, 0);
        }
        self.places.clear();
        self.places.extend((first..first + CORE_ROWS).map(|column| unrotated(z, column)));
        self.solve(z, first, self.total_shift(first));
        for row in 0..CORE_ROWS - 1 {
            let wanted = first + row + 1;
            self.pick(z, row, first..wanted);
            self.places.push(unrotated(z, wanted));
            self.solve(z, wanted, 0);
        }
    }

    /// Picks the columns of a row that are in `known` to be added up.
    fn pick(&mut self, z: usize, row: usize, known: Range<usize>) {
        let entries = self.rows.row(row).iter().filter(|entry| known.contains(&entry.0));
        self.places.clear();
        self.places.extend(
            entries.map(|&(column, shift)| Place { start: column * column_stride(z), offset: shift }),
        );
    }

    /// The rotation that is left on the first parity block when the four core rows are added up: rows 0
    /// and 3 have the same one, so it is that of the row between.
    fn total_shift(&self, first_parity_column: usize) -> usize {
        let mut between = (1..CORE_ROWS - 1).flat_map(|row| self.rows.row(row));
        between.find(|entry| entry.0 == first_parity_column).map_or(0, |entry| entry.1)
    }

    /// Makes a column of the sum of those that were picked, element 0 of which is bit `shift` of it.
    fn solve(&mut self, z: usize, column: usize, shift: usize) {
        add_rotated(self.instructions, &self.columns, &self.places, z, &mut self.sum);
        self.sum[..z].rotate_right(shift);
        let stride = column_stride(z);
        let place = &mut self.columns[column * stride..][..stride];
        place[..z].copy_from_slice(&self.sum[..z]);
        repeat_start(place, z);
    }
}

/// A column as it is.
fn unrotated(z: usize, column: usize) -> Place {
    Place { start: column * column_stride(z), offset: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coding::ldpc::reference::{pseudo_random_bits, unsatisfied_checks};
    use crate::coding::ldpc::{BaseGraph, LIFTING_SIZES};

    #[test]
    fn codewords_satisfy_every_check_at_all_lifting_sizes() {
        let mut encoder = LdpcEncoder::new();
        for graph in [BaseGraph::One, BaseGraph::Two] {
            for size in LIFTING_SIZES {
                let code = LdpcCode::new(graph, size.into()).unwrap();
                let systematic = pseudo_random_bits(code.systematic_bits(), u64::from(size));
                let coded = encoder.encode(&code, &systematic).unwrap();
                assert_eq!(coded.len(), code.codeword_bits());
                let punctured = &systematic[..PUNCTURED_COLUMNS * code.lifting_size()];
                let word = [punctured, coded].concat();
                assert_eq!(unsatisfied_checks(&code, &word), 0, "{code:?}");
            }
        }
    }

    #[test]
    fn all_versions_agree_and_a_part_is_the_start_of_the_whole() {
        for size in [2, 7, 30, 64, 104, 384] {
            let code = LdpcCode::new(BaseGraph::Two, size).unwrap();
            let systematic = pseudo_random_bits(code.systematic_bits(), 5);
            let whole = LdpcEncoder::new().encode(&code, &systematic).unwrap().to_vec();
            for instructions in Instructions::all_available() {
                let mut encoder = LdpcEncoder { instructions, ..LdpcEncoder::new() };
                for count in [0, 1, 12 * size, 12 * size + 1, 31 * size - 1, 50 * size, 51 * size] {
                    let part = encoder.encode_first(&code, &systematic, count).unwrap();
                    assert_eq!(part, &whole[..count.min(whole.len())], "{size} {count} {instructions:?}");
                }
            }
        }
    }

    #[test]
    fn a_wrong_length_is_an_error() {
        let code = LdpcCode::new(BaseGraph::Two, 2).unwrap();
        assert!(LdpcEncoder::new().encode(&code, &[0; 19]).is_err());
    }
}
