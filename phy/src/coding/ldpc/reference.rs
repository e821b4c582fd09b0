//! Plain versions of the LDPC operations, straight from the definition, to test the fast ones with.

use super::base_graph::{LdpcCode, PUNCTURED_COLUMNS};

/// Number of parity checks that a word (punctured columns included) violates.
pub(super) fn unsatisfied_checks(code: &LdpcCode, word: &[u8]) -> usize {
    let z = code.lifting_size();
    let mut violated = 0;
    for row in 0..code.base_graph().rows() {
        for check in 0..z {
            let parity =
                code.row(row).fold(0, |parity, c| parity ^ word[c.column * z + (check + c.shift) % z]);
            violated += usize::from(parity);
        }
    }
    violated
}

/// Layered min-sum in integers, one check after the other, on all rows. `correction` makes a message of
/// a minimum and the degree of its row. Returns the a posteriori values of the whole codeword after
/// `iterations`.
pub(super) fn min_sum(
    code: &LdpcCode,
    llrs: &[i16],
    iterations: usize,
    correction: impl Fn(i16, usize) -> i16,
) -> Vec<i16> {
    let z = code.lifting_size();
    let mut posterior = vec![0i16; PUNCTURED_COLUMNS * z];
    posterior.extend_from_slice(llrs);
    let edges: usize = (0..code.base_graph().rows()).map(|row| code.row(row).count()).sum();
    let mut messages = vec![0i16; edges * z];
    for _ in 0..iterations {
        let mut first_edge = 0;
        for row in 0..code.base_graph().rows() {
            let connections: Vec<_> = code.row(row).collect();
            for check in 0..z {
                let place = |edge: usize| {
                    let connection = connections[edge];
                    connection.column * z + (check + connection.shift) % z
                };
                let extrinsic: Vec<i16> = (0..connections.len())
                    .map(|edge| posterior[place(edge)] - messages[(first_edge + edge) * z + check])
                    .collect();
                for edge in 0..connections.len() {
                    let others = || (0..connections.len()).filter(|&e| e != edge).map(|e| extrinsic[e]);
                    let magnitude = correction(others().map(i16::abs).min().unwrap_or(0), connections.len());
                    let negative = others().filter(|&value| value < 0).count() % 2 == 1;
                    let message = if negative { -magnitude } else { magnitude };
                    messages[(first_edge + edge) * z + check] = message;
                    posterior[place(edge)] = extrinsic[edge] + message;
                }
            }
            first_edge += connections.len();
        }
    }
    posterior
}

/// A reproducible sequence of bits (splitmix64).
pub(super) fn pseudo_random_bits(count: usize, seed: u64) -> Vec<u8> {
    pseudo_random(seed).take(count).map(|word| (word >> 63) as u8).collect()
}

/// A reproducible sequence of words (splitmix64).
pub(super) fn pseudo_random(seed: u64) -> impl Iterator<Item = u64> {
    (1u64..).map(move |index| {
        let mut word = seed.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    })
}
