//! Plain versions of the LDPC operations, straight from the definition, to test the fast ones with.

use super::base_graph::{LdpcCode, PUNCTURED_COLUMNS};
use super::layer::{MAX_MESSAGE, MAX_RELIABILITY, box_plus};

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

/// The layered decoder in plain integers, one check after the other, on all rows. Returns the a posteriori
/// values of the whole codeword after `iterations`.
pub(super) fn layered(code: &LdpcCode, llrs: &[i8], iterations: usize) -> Vec<i8> {
    let z = code.lifting_size();
    let mut posterior = vec![0i8; PUNCTURED_COLUMNS * z];
    posterior.extend_from_slice(llrs);
    let edges: usize = (0..code.base_graph().rows()).map(|row| code.row(row).count()).sum();
    let mut messages = vec![0i8; edges * z];
    for _ in 0..iterations {
        let mut first_edge = 0;
        for row in 0..code.base_graph().rows() {
            let mut connections: Vec<_> = code.row(row).collect();
            if row >= 4 {
                // The extension column is heard first.
                connections.rotate_right(1);
            }
            for check in 0..z {
                let place = |edge: usize| {
                    let connection = connections[edge];
                    connection.column * z + (check + connection.shift) % z
                };
                let message = |edge: usize| (first_edge + edge) * z + check;
                let extrinsic: Vec<i8> = (0..connections.len())
                    .map(|edge| posterior[place(edge)].saturating_sub(messages[message(edge)]))
                    .collect();
                let magnitudes = a_min_star(extrinsic.iter().map(|value| value.unsigned_abs()));
                for edge in 0..connections.len() {
                    let others = (0..connections.len()).filter(|&other| other != edge);
                    let negative = others.filter(|&other| extrinsic[other] < 0).count() % 2 == 1;
                    let magnitude = magnitudes[edge] as i8;
                    let new = if negative { -magnitude } else { magnitude };
                    // An extension column is in this row only and stays as received.
                    if connections[edge].column < code.base_graph().systematic_columns() + 4 {
                        messages[message(edge)] = new;
                        posterior[place(edge)] = extrinsic[edge].saturating_add(new);
                    }
                }
            }
            first_edge += connections.len();
        }
    }
    posterior
}

/// What each input of a check hears: the least reliable one all others, and the others everything.
fn a_min_star(magnitudes: impl Iterator<Item = u8> + Clone) -> Vec<u8> {
    let smallest = magnitudes.clone().min().unwrap_or(0);
    let (mut least, mut others) = (MAX_RELIABILITY, MAX_MESSAGE);
    for magnitude in magnitudes.clone() {
        // Whichever is not the least so far joins the others.
        others = box_plus(others, least.max(magnitude));
        least = least.min(magnitude);
    }
    let all = box_plus(others, smallest);
    magnitudes.map(|magnitude| if magnitude == smallest { others } else { all }).collect()
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
