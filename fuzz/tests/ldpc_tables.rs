//! Our LDPC matrices against an independent transcription of the standard's tables, ldpc-toolbox.

use ldpc_toolbox::codes::nr5g;
use ldpc_toolbox::sparse::SparseMatrix;
use semcast_phy::coding::ldpc::{BaseGraph, LIFTING_SIZES, LdpcCode};

/// The lifting sizes of the other crate, in the order of Table 5.3.2-1 by set index.
fn their_sizes() -> Vec<nr5g::LiftingSize> {
    use nr5g::LiftingSize::*;
    vec![
        Z2, Z4, Z8, Z16, Z32, Z64, Z128, Z256, Z3, Z6, Z12, Z24, Z48, Z96, Z192, Z384, Z5, Z10, Z20, Z40,
        Z80, Z160, Z320, Z7, Z14, Z28, Z56, Z112, Z224, Z9, Z18, Z36, Z72, Z144, Z288, Z11, Z22, Z44, Z88,
        Z176, Z352, Z13, Z26, Z52, Z104, Z208, Z15, Z30, Z60, Z120, Z240,
    ]
}

fn our_matrix(code: &LdpcCode) -> SparseMatrix {
    let z = code.lifting_size();
    let graph = code.base_graph();
    let mut matrix = SparseMatrix::new(graph.rows() * z, graph.columns() * z);
    for row in 0..graph.rows() {
        for connection in code.row(row) {
            for check in 0..z {
                matrix.insert(row * z + check, connection.column * z + (check + connection.shift) % z);
            }
        }
    }
    matrix
}

fn compare(size: nr5g::LiftingSize) {
    let z = usize::from(size);
    for (ours, theirs) in [(BaseGraph::One, nr5g::BaseGraph::BG1), (BaseGraph::Two, nr5g::BaseGraph::BG2)] {
        let code = LdpcCode::new(ours, z).expect("every size of the table exists");
        let (ours, theirs) = (our_matrix(&code), theirs.h(size));
        assert_eq!((ours.num_rows(), ours.num_cols()), (theirs.num_rows(), theirs.num_cols()));
        for row in 0..ours.num_rows() {
            let sorted = |matrix: &SparseMatrix| {
                let mut columns: Vec<usize> = matrix.iter_row(row).copied().collect();
                columns.sort_unstable();
                columns
            };
            assert_eq!(sorted(&ours), sorted(&theirs), "{code:?} check {row}");
        }
    }
}

#[test]
fn every_lifting_size_is_compared() {
    let mut sizes: Vec<usize> = their_sizes().into_iter().map(usize::from).collect();
    sizes.sort_unstable();
    assert!(sizes.into_iter().eq(LIFTING_SIZES.iter().map(|&size| usize::from(size))));
}

#[test]
fn matrices_equal_the_oracle_at_all_lifting_sizes() {
    their_sizes().into_iter().for_each(compare);
}
