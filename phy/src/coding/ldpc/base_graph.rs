//! The two base graphs and the lifting that makes a parity-check matrix of one.
//!
//! Reference: 3GPP TS 38.212 V18.6.0, §5.3.2 and Table 5.3.2-1. An entry with shift `s` stands for
//! the Z × Z identity whose columns are rotated by `s`: check `r` of the row meets bit `(r + s) mod Z`
//! of the column.

use super::{base_graph_1, base_graph_2};
use crate::coding::CodingError;

/// A column of a base row, and its shift for each lifting set index.
pub(super) type Entry = (u8, [u16; 8]);

/// Systematic columns at the start of the codeword that are never transmitted.
pub const PUNCTURED_COLUMNS: usize = 2;

/// All lifting sizes of Table 5.3.2-1, ascending.
pub const LIFTING_SIZES: [u16; 51] = [
    2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 26, 28, 30, 32, 36, 40, 44, 48, 52,
    56, 60, 64, 72, 80, 88, 96, 104, 112, 120, 128, 144, 160, 176, 192, 208, 224, 240, 256, 288, 320, 352,
    384,
];

/// Odd part `a` of the lifting sizes a · 2^j of each set index, with 2 for the powers of two.
const SET_ODD_PART: [u16; 8] = [2, 3, 5, 7, 9, 11, 13, 15];

/// Which of the two base graphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BaseGraph {
    /// 46 × 68, 22 systematic columns: long blocks and high rates, mother rate 1/3.
    One,
    /// 42 × 52, 10 systematic columns: short blocks and low rates, mother rate 1/5.
    Two,
}

impl BaseGraph {
    /// Base rows, that is layers of the decoder.
    pub const fn rows(self) -> usize {
        self.table().len()
    }

    /// Columns: systematic, core parity and extension parity.
    pub const fn columns(self) -> usize {
        self.systematic_columns() + self.rows()
    }

    /// Systematic columns.
    pub const fn systematic_columns(self) -> usize {
        match self {
            Self::One => 22,
            Self::Two => 10,
        }
    }

    /// The greatest number of bits in a code block, K_cb of §5.2.2.
    pub const fn max_code_block_bits(self) -> usize {
        match self {
            Self::One => 8448,
            Self::Two => 3840,
        }
    }

    pub(super) const fn table(self) -> &'static [&'static [Entry]] {
        match self {
            Self::One => &base_graph_1::ROWS,
            Self::Two => &base_graph_2::ROWS,
        }
    }
}

/// A non-zero entry of a base row, for one lifting size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Column of the base graph.
    pub column: usize,
    /// Rotation, less than the lifting size.
    pub shift: usize,
}

/// A base graph with a lifting size: one particular code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LdpcCode {
    base_graph: BaseGraph,
    lifting_size: usize,
    set_index: usize,
}

impl LdpcCode {
    /// The code of a base graph and lifting size.
    ///
    /// # Errors
    /// [`CodingError::LiftingSize`] if the size is not in Table 5.3.2-1.
    pub fn new(base_graph: BaseGraph, lifting_size: usize) -> Result<Self, CodingError> {
        let error = CodingError::LiftingSize(lifting_size);
        if !LIFTING_SIZES.iter().any(|&size| usize::from(size) == lifting_size) {
            return Err(error);
        }
        let mut odd_part = lifting_size >> lifting_size.trailing_zeros();
        if odd_part == 1 {
            odd_part = 2;
        }
        let set_index = SET_ODD_PART.iter().position(|&odd| usize::from(odd) == odd_part).ok_or(error)?;
        Ok(Self { base_graph, lifting_size, set_index })
    }

    /// The smallest code whose first `systematic_columns` systematic columns hold `bits` bits.
    pub fn smallest_for(base_graph: BaseGraph, bits: usize, systematic_columns: usize) -> Option<Self> {
        LIFTING_SIZES
            .iter()
            .map(|&size| usize::from(size))
            .find(|size| size * systematic_columns >= bits)
            .and_then(|size| Self::new(base_graph, size).ok())
    }

    /// The base graph.
    pub fn base_graph(&self) -> BaseGraph {
        self.base_graph
    }

    /// The lifting size Z.
    pub fn lifting_size(&self) -> usize {
        self.lifting_size
    }

    /// Systematic bits K, fillers included.
    pub fn systematic_bits(&self) -> usize {
        self.base_graph.systematic_columns() * self.lifting_size
    }

    /// Bits N that can be transmitted: the codeword without its two punctured columns.
    pub fn codeword_bits(&self) -> usize {
        (self.base_graph.columns() - PUNCTURED_COLUMNS) * self.lifting_size
    }

    /// The non-zero entries of a base row; none beyond the last row.
    pub fn row(&self, row: usize) -> impl Iterator<Item = Connection> + '_ {
        let entries = self.base_graph.table().get(row).copied().unwrap_or(&[]);
        entries.iter().map(|(column, shifts)| Connection {
            column: usize::from(*column),
            shift: usize::from(shifts[self.set_index]) % self.lifting_size,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lifting_size_has_a_set_and_no_other_size_is_taken() {
        let accepted: Vec<u16> =
            (0..=1000).filter(|&z| LdpcCode::new(BaseGraph::One, z.into()).is_ok()).collect();
        assert_eq!(accepted, LIFTING_SIZES);
    }

    #[test]
    fn each_extension_column_is_in_its_own_row_only() {
        for graph in [BaseGraph::One, BaseGraph::Two] {
            let core = graph.systematic_columns() + 4;
            for (row, entries) in graph.table().iter().enumerate() {
                let extension: Vec<_> = entries.iter().filter(|entry| usize::from(entry.0) >= core).collect();
                if row < 4 {
                    assert!(extension.is_empty());
                } else {
                    assert_eq!(extension, [&((core + row - 4) as u8, [0; 8])]);
                }
            }
        }
    }
}
