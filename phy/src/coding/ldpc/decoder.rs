//! LDPC decoder: N quantised LLRs → K systematic bits.
//!
//! Row-layered normalised min-sum in fixed point: a posteriori values of 16 bits, messages of 8, so
//! that nothing saturates but the messages, at about 16 nats. Rows whose extension block was not
//! received are left out, because such a row says nothing.
//!
//! References: D. E. Hocevar, "A reduced complexity decoder architecture via layered decoding of LDPC
//! codes", IEEE SiPS 2004; J. Chen et al., "Reduced-Complexity Decoding of LDPC Codes", IEEE Trans.
//! Commun. 53(8), 2005, §III (normalised min-sum).

use super::base_graph::{LdpcCode, PUNCTURED_COLUMNS};
use super::layer::{Edge, Instructions, LANES, MAX_DEGREE, column_stride, repeat_start};
use crate::coding::CodingError;

/// Quantisation steps per nat. In simulation 6, 8 and 12 gave the same thresholds to 0.05 dB.
pub const LLR_SCALE: f32 = 8.0;

/// Received LLRs are limited to this magnitude, in quantisation steps.
pub const LLR_LIMIT: i16 = 2047;

/// The LLR of a filler bit, which is known to be zero; also the greatest that the decoder takes.
pub const FILLER_LLR: i16 = 8191;

/// Quantises LLRs in nats for the decoder; NaN becomes an erasure.
pub fn quantise(llr: f32) -> i16 {
    // 1.5 · 2^23: the sum's unit is one, so that the addition rounds, and the lowest bits of the sum are
    // the integer. Without SSE 4.1 a rounding instruction would be a function call.
    const ROUNDING: f32 = 12_582_912.0;
    let limit = f32::from(LLR_LIMIT);
    let steps = if llr.is_nan() { 0.0 } else { (llr * LLR_SCALE).clamp(-limit, limit) };
    (steps + ROUNDING).to_bits() as i16
}

/// How a decoding attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LdpcOutcome {
    /// Iterations that were run.
    pub iterations: usize,
    /// Whether all parity checks that were used hold.
    pub parity_holds: bool,
    /// Whether the caller's check took the systematic bits.
    pub accepted: bool,
}

#[derive(Clone, Debug)]
struct Layer {
    first_edge: usize,
    degree: usize,
}

/// A decoder for any of the codes. It keeps its memory between codewords.
#[derive(Clone, Debug)]
pub struct LdpcDecoder {
    instructions: Instructions,
    code: Option<LdpcCode>,
    /// Column and shift of every entry, row by row, for `code`.
    connections: Vec<(usize, usize)>,
    layers: Vec<Layer>,
    /// Indices of the layers that the received values make useful.
    active: Vec<usize>,
    /// Two places for each column, `column_stride` apart.
    posterior: Vec<i16>,
    /// Which place of a column is current, as the start of it.
    current: Vec<usize>,
    /// The bit of a column that its element 0 stands for.
    rotation: Vec<usize>,
    messages: Vec<i8>,
    bits: Vec<u8>,
}

impl Default for LdpcDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl LdpcDecoder {
    /// A decoder whose memory grows with the first codewords.
    pub fn new() -> Self {
        Self {
            instructions: Instructions::detect(),
            code: None,
            connections: Vec::new(),
            layers: Vec::new(),
            active: Vec::new(),
            posterior: Vec::new(),
            current: Vec::new(),
            rotation: Vec::new(),
            messages: Vec::new(),
            bits: Vec::new(),
        }
    }

    /// Decodes N LLRs, in quantisation steps (see [`quantise`]), zero where nothing was received.
    ///
    /// Stops as soon as all parity checks hold. Then, or after `max_iterations`, `accept` sees the K
    /// systematic bits and tells whether they are right. They stay in [`Self::systematic_bits`].
    ///
    /// # Errors
    /// [`CodingError::Length`] if there are not exactly N values.
    pub fn decode(
        &mut self,
        code: &LdpcCode,
        llrs: &[i16],
        max_iterations: usize,
        mut accept: impl FnMut(&[u8]) -> bool,
    ) -> Result<LdpcOutcome, CodingError> {
        if llrs.len() != code.codeword_bits() {
            return Err(CodingError::Length {
                what: "LLRs of a codeword",
                expected: code.codeword_bits(),
                actual: llrs.len(),
            });
        }
        self.prepare(code);
        self.load(code, llrs);

        let mut outcome = LdpcOutcome { iterations: 0, parity_holds: false, accepted: false };
        while !outcome.parity_holds && outcome.iterations < max_iterations {
            self.iterate(code);
            outcome.iterations += 1;
            outcome.parity_holds = self.parity_holds(code);
        }
        self.decide(code);
        outcome.accepted = accept(&self.bits);
        Ok(outcome)
    }

    /// The systematic bits that the last attempt ended with.
    pub fn systematic_bits(&self) -> &[u8] {
        &self.bits
    }

    /// Lays out the rows of a code, unless they are there from the codeword before.
    fn prepare(&mut self, code: &LdpcCode) {
        if self.code.as_ref() == Some(code) {
            return;
        }
        self.connections.clear();
        self.layers.clear();
        for row in 0..code.base_graph().rows() {
            let first_edge = self.connections.len();
            self.connections.extend(code.row(row).map(|c| (c.column, c.shift)));
            self.layers.push(Layer { first_edge, degree: self.connections.len() - first_edge });
        }
        let columns = code.base_graph().columns();
        self.posterior.clear();
        self.posterior.resize(2 * columns * column_stride(code.lifting_size()), 0);
        self.messages.resize(self.connections.len() * code.lifting_size().next_multiple_of(LANES), 0);
        self.current.resize(columns, 0);
        self.rotation.resize(columns, 0);
        self.code = Some(*code);
    }

    /// Puts the received values in place and picks the rows they make useful.
    fn load(&mut self, code: &LdpcCode, llrs: &[i16]) {
        let z = code.lifting_size();
        let stride = column_stride(z);
        let core_columns = code.base_graph().systematic_columns() + 4;
        self.active.clear();
        self.active.extend(0..4);
        for column in 0..code.base_graph().columns() {
            let place = 2 * column * stride;
            self.current[column] = place;
            self.rotation[column] = 0;
            let values = &mut self.posterior[place..][..stride];
            let Some(block) = column.checked_sub(PUNCTURED_COLUMNS) else {
                values.fill(0);
                continue;
            };
            let received = &llrs[block * z..][..z];
            for (value, &llr) in values.iter_mut().zip(received) {
                *value = llr.clamp(-FILLER_LLR, FILLER_LLR);
            }
            repeat_start(values, z);
            if column >= core_columns && received.iter().any(|&llr| llr != 0) {
                self.active.push(4 + column - core_columns);
            }
        }
        let padded = z.next_multiple_of(LANES);
        for &layer in &self.active {
            let Layer { first_edge, degree } = self.layers[layer];
            self.messages[first_edge * padded..(first_edge + degree) * padded].fill(0);
        }
    }

    fn iterate(&mut self, code: &LdpcCode) {
        let z = code.lifting_size();
        let stride = column_stride(z);
        let mut edges = [Edge::default(); MAX_DEGREE];
        for &layer in &self.active {
            let Layer { first_edge, degree } = self.layers[layer];
            for (index, edge) in edges[..degree].iter_mut().enumerate() {
                let (column, shift) = self.connections[first_edge + index];
                let source = self.current[column];
                let home = 2 * column * stride;
                let target = if source == home { home + stride } else { home };
                *edge = Edge {
                    source,
                    offset: rotated(shift, self.rotation[column], z),
                    target,
                    message: (first_edge + index) * z.next_multiple_of(LANES),
                };
                self.current[column] = target;
                self.rotation[column] = shift;
            }
            self.instructions.update(&mut self.posterior, &mut self.messages, &edges[..degree], z);
        }
    }

    fn parity_holds(&self, code: &LdpcCode) -> bool {
        let z = code.lifting_size();
        let mut edges = [Edge::default(); MAX_DEGREE];
        self.active.iter().all(|&layer| {
            let Layer { first_edge, degree } = self.layers[layer];
            for (index, edge) in edges[..degree].iter_mut().enumerate() {
                let (column, shift) = self.connections[first_edge + index];
                edge.source = self.current[column];
                edge.offset = rotated(shift, self.rotation[column], z);
            }
            self.instructions.parity_holds(&self.posterior, &edges[..degree], z)
        })
    }

    /// Takes the signs of the systematic columns, in the order of the bits.
    fn decide(&mut self, code: &LdpcCode) {
        let z = code.lifting_size();
        self.bits.clear();
        for column in 0..code.base_graph().systematic_columns() {
            let start = rotated(0, self.rotation[column], z);
            let values = &self.posterior[self.current[column]..][..z];
            let (wrapped, straight) = values.split_at(start);
            self.bits.extend(straight.iter().map(|&value| u8::from(value < 0)));
            self.bits.extend(wrapped.iter().map(|&value| u8::from(value < 0)));
        }
    }
}

/// The element of a column stored with `rotation` that stands for bit `shift`.
fn rotated(shift: usize, rotation: usize, z: usize) -> usize {
    if shift >= rotation { shift - rotation } else { shift + z - rotation }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coding::ldpc::layer::{correction, normalisation};
    use crate::coding::ldpc::reference::{min_sum, pseudo_random, pseudo_random_bits};
    use crate::coding::ldpc::{BaseGraph, LIFTING_SIZES, LdpcEncoder};

    /// LLRs of the all-zero word with noise that is strong enough to keep the decoder busy.
    fn noisy_llrs(count: usize, seed: u64) -> Vec<i16> {
        pseudo_random(seed).take(count).map(|word| 12 + ((word >> 58) as i16 - 32)).collect()
    }

    #[test]
    fn layers_agree_with_the_plain_min_sum() {
        for graph in [BaseGraph::One, BaseGraph::Two] {
            for size in [2, 3, 7, 15, 30, 32, 36, 44, 104] {
                let code = LdpcCode::new(graph, size).unwrap();
                let llrs = noisy_llrs(code.codeword_bits(), size as u64);
                for instructions in Instructions::all_available() {
                    let mut decoder = LdpcDecoder { instructions, ..LdpcDecoder::new() };
                    decoder.prepare(&code);
                    decoder.load(&code, &llrs);
                    // A received zero in an extension block must not switch off the row here.
                    decoder.active = (0..graph.rows()).collect();
                    for _ in 0..3 {
                        decoder.iterate(&code);
                    }
                    let expected = min_sum(&code, &llrs, 3, |minimum, degree| {
                        correction(minimum, normalisation(degree))
                    });
                    for column in 0..graph.columns() {
                        for bit in 0..size {
                            let element = rotated(bit, decoder.rotation[column], size);
                            assert_eq!(
                                decoder.posterior[decoder.current[column] + element],
                                expected[column * size + bit],
                                "{code:?} column {column} bit {bit}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn corrects_erasures_and_flipped_bits_at_every_lifting_size() {
        let mut encoder = LdpcEncoder::new();
        let mut decoder = LdpcDecoder::new();
        for graph in [BaseGraph::One, BaseGraph::Two] {
            for size in LIFTING_SIZES {
                let code = LdpcCode::new(graph, size.into()).unwrap();
                let data = pseudo_random_bits(code.systematic_bits(), 7 + u64::from(size));
                let coded = encoder.encode(&code, &data).unwrap();
                let llrs: Vec<i16> = coded
                    .iter()
                    .zip(pseudo_random(size.into()))
                    .map(|(&bit, word)| {
                        let sign = if bit == 0 { 1 } else { -1 };
                        match word % 64 {
                            0 => -sign * 16,
                            1..10 => 0,
                            _ => sign * 24,
                        }
                    })
                    .collect();
                let outcome = decoder.decode(&code, &llrs, 20, |bits| bits == data).unwrap();
                assert!(outcome.accepted && outcome.parity_holds, "{code:?} {outcome:?}");
            }
        }
    }

    #[test]
    fn quantisation_is_bounded_and_takes_nan_as_an_erasure() {
        assert_eq!(quantise(f32::NAN), 0);
        assert_eq!(quantise(f32::INFINITY), LLR_LIMIT);
        assert_eq!(quantise(f32::NEG_INFINITY), -LLR_LIMIT);
        for llr in [-1.0, -0.07, -0.0, 0.05, 0.07, 3.3, 200.0] {
            assert_eq!(quantise(llr), (llr * LLR_SCALE).round() as i16);
        }
    }

    #[test]
    fn extreme_values_neither_panic_nor_overflow() {
        let code = LdpcCode::new(BaseGraph::One, 32).unwrap();
        let llrs: Vec<i16> = pseudo_random(3)
            .take(code.codeword_bits())
            .map(|word| if word & 1 == 0 { i16::MIN } else { i16::MAX })
            .collect();
        let outcome = LdpcDecoder::new().decode(&code, &llrs, 10, |_| false).unwrap();
        assert_eq!(outcome.iterations, 10);
        assert!(!outcome.accepted);
    }
}
