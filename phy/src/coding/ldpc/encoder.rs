//! LDPC encoder: K systematic bits → N code bits, one `u8` for each bit.
//!
//! The four core rows sum to a rotation of the first parity block, because the double diagonal and
//! the two equal entries of that block's column cancel. Back substitution gives the other three core
//! blocks, and each extension row its own block. Every step is an exclusive or of rotated blocks.
//!
//! Reference: 3GPP TS 38.212 V18.6.0, §5.3.2; T. Richardson and S. Kudekar, "Design of Low-Density
//! Parity Check Codes for 5G New Radio", IEEE Communications Magazine 56(3), 2018.

use super::base_graph::{LdpcCode, PUNCTURED_COLUMNS};
use crate::coding::CodingError;

/// Rows and parity columns of the core that the double diagonal joins.
const CORE_ROWS: usize = 4;

/// An encoder for any of the codes; it keeps its buffer between codewords.
#[derive(Clone, Debug, Default)]
pub struct LdpcEncoder {
    /// All columns of the codeword, the punctured ones too.
    codeword: Vec<u8>,
}

impl LdpcEncoder {
    /// An encoder with an empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Encodes K systematic bits (fillers as 0) and returns the N bits that can be transmitted.
    ///
    /// # Errors
    /// [`CodingError::Length`] if there are not exactly K bits.
    pub fn encode(&mut self, code: &LdpcCode, systematic: &[u8]) -> Result<&[u8], CodingError> {
        let z = code.lifting_size();
        if systematic.len() != code.systematic_bits() {
            return Err(CodingError::Length {
                what: "systematic bits",
                expected: code.systematic_bits(),
                actual: systematic.len(),
            });
        }
        let graph = code.base_graph();
        self.codeword.clear();
        self.codeword.extend_from_slice(systematic);
        self.codeword.resize(graph.columns() * z, 0);

        let (data, parity) = self.codeword.split_at_mut(systematic.len());
        // While the core blocks are unknown, they hold the systematic sums of the four rows, row i
        // in block i + 1 (the block it will determine), and row 3 and then the total in block 0.
        for row in 0..CORE_ROWS {
            let block = (row + 1) % CORE_ROWS;
            let sum = &mut parity[block * z..][..z];
            for connection in code.row(row) {
                if let Some(bits) = data.get(connection.column * z..(connection.column + 1) * z) {
                    add_rotated(sum, bits, connection.shift);
                }
            }
        }
        let (first, rest) = parity.split_at_mut(z);
        for block in rest[..3 * z].chunks_exact(z) {
            add_rotated(first, block, 0);
        }
        first.rotate_right(total_shift(code));
        for row in 0..CORE_ROWS - 1 {
            let (known, unknown) = parity.split_at_mut((row + 1) * z);
            for connection in code.row(row) {
                let Some(block) = connection.column.checked_sub(graph.systematic_columns()) else { continue };
                if block <= row {
                    add_rotated(&mut unknown[..z], &known[block * z..][..z], connection.shift);
                }
            }
        }
        for row in CORE_ROWS..graph.rows() {
            let (known, own) = self.codeword.split_at_mut((graph.systematic_columns() + row) * z);
            for connection in code.row(row) {
                if let Some(bits) = known.get(connection.column * z..(connection.column + 1) * z) {
                    add_rotated(&mut own[..z], bits, connection.shift);
                }
            }
        }
        Ok(&self.codeword[PUNCTURED_COLUMNS * z..])
    }
}

/// The rotation that is left on the first parity block when the four core rows are added up: rows 0
/// and 3 have the same one, so it is that of the row between.
fn total_shift(code: &LdpcCode) -> usize {
    let column = code.base_graph().systematic_columns();
    (1..CORE_ROWS - 1)
        .flat_map(|row| code.row(row))
        .find(|connection| connection.column == column)
        .map_or(0, |connection| connection.shift)
}

/// sum[r] ^= bits[(r + shift) mod Z].
fn add_rotated(sum: &mut [u8], bits: &[u8], shift: usize) {
    let (wrapped, straight) = bits.split_at(shift);
    let (start, end) = sum.split_at_mut(straight.len());
    for (sum, bit) in start.iter_mut().zip(straight) {
        *sum ^= bit;
    }
    for (sum, bit) in end.iter_mut().zip(wrapped) {
        *sum ^= bit;
    }
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
    fn a_wrong_length_is_an_error() {
        let code = LdpcCode::new(BaseGraph::Two, 2).unwrap();
        assert!(LdpcEncoder::new().encode(&code, &[0; 19]).is_err());
    }
}
