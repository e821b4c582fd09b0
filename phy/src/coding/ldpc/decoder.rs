//! LDPC decoder: quantised LLRs → K systematic bits.
//!
//! Row-layered belief propagation in saturating 8-bit arithmetic with the A-min* rule: the least reliable
//! bit of a check hears the combination of the others, and all others hear the combination of everything. Rows whose extension block was not received are left out, because such a row says nothing.
//!
//! References: D. E. Hocevar, "A reduced complexity decoder architecture via layered decoding of LDPC
//! codes", IEEE SiPS 2004; C. Jones et al., "Approximate-MIN* constraint node updating for LDPC code
//! decoding", IEEE MILCOM 2003.

use super::base_graph::{LdpcCode, PUNCTURED_COLUMNS};
use super::layer::{Extrinsic, Layer, MAX_DEGREE, Target, parity_holds, solve, update};
use super::lifting::{AlignedValues, Place, Rows, column_stride, padded, repeat_start};
use crate::coding::CodingError;
use crate::simd::{Instructions, dispatched};

/// Quantisation steps per nat. In simulation 3, 4 and 5 gave the same thresholds to 0.05 dB.
pub const LLR_SCALE: f32 = 4.0;

/// LLRs are limited to this magnitude, in quantisation steps.
pub const LLR_LIMIT: i8 = 127;

/// The LLR of a filler bit, which is known to be zero.
pub const FILLER_LLR: i8 = LLR_LIMIT;

/// Rows that always take part: their parity columns are joined by a double diagonal.
const CORE_ROWS: usize = 4;

/// Rows of the core that tell the punctured columns, in this order: in both base graphs, row 1 has the first
/// of them alone, and row 0 both.
const SOLVED_BY: [usize; PUNCTURED_COLUMNS] = [1, 0];

/// Quantises LLRs in nats for the decoder; they replace what is in `quantised`. NaN becomes an erasure.
///
/// If more than half of what was received would be cut off, all LLRs are halved until this is no longer so:
/// far above the threshold, or with a noise variance that was taken as too small, the limit would make a bit
/// with some doubt as sure as the others.
pub fn quantise(llrs: &[f32], quantised: &mut Vec<i8>) {
    quantised.resize(llrs.len(), 0);
    quantise_into(Instructions::detect(), llrs, quantised);
}

dispatched! {
    fn quantise_into(llrs: &[f32], quantised: &mut [i8]) {
        let scale = fitting_scale(llrs);
        for (quantised, &llr) in quantised.iter_mut().zip(llrs) {
            *quantised = round(llr * scale);
        }
    }
}

/// Steps per nat that keep at least half of the LLRs within the limit, by a sample of every fourth group.
#[inline(always)]
fn fitting_scale(llrs: &[f32]) -> f32 {
    const GROUP: usize = 64;
    const SMALLEST: f32 = LLR_SCALE / 1024.0;
    let mut scale = LLR_SCALE;
    while scale > SMALLEST {
        let (mut received, mut cut) = (0, 0);
        for group in llrs.chunks(GROUP).step_by(4) {
            let limit = f32::from(LLR_LIMIT) / scale;
            received += group.iter().map(|llr| u32::from(*llr != 0.0)).sum::<u32>();
            cut += group.iter().map(|llr| u32::from(llr.abs() > limit)).sum::<u32>();
        }
        if 2 * cut <= received {
            break;
        }
        scale /= 2.0;
    }
    scale
}

/// The nearest integer within the limit.
#[inline(always)]
fn round(steps: f32) -> i8 {
    // 1.5 · 2^23: the sum's unit is one, so that the addition rounds, and the lowest bits of the sum are
    // the integer. Without SSE 4.1 a rounding instruction would be a function call.
    const ROUNDING: f32 = 12_582_912.0;
    let limit = f32::from(LLR_LIMIT);
    let steps = if steps.is_nan() { 0.0 } else { steps.clamp(-limit, limit) };
    (steps + ROUNDING).to_bits() as i8
}

/// How a decoding attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LdpcOutcome {
    /// Iterations that were run; none if the hard decisions were a codeword.
    pub iterations: usize,
    /// Whether all parity checks of the core hold in the end.
    pub core_holds: bool,
    /// Whether the caller's check took the systematic bits.
    pub accepted: bool,
}

/// How the a posteriori values of a column are stored.
#[derive(Clone, Copy, Debug, Default)]
struct Column {
    /// Start of the current ones.
    start: usize,
    /// The bit that element 0 stands for.
    rotation: usize,
}

impl Column {
    /// Where a row with this shift finds the column.
    #[inline(always)]
    fn place(self, shift: usize, z: usize) -> Place {
        let Self { start, rotation } = self;
        let offset = if shift >= rotation { shift - rotation } else { shift + z - rotation };
        Place { start, offset }
    }
}

/// A decoder for any of the codes. It keeps its memory between codewords.
#[derive(Clone, Debug)]
pub struct LdpcDecoder {
    instructions: Instructions,
    rows: Rows,
    /// Rows that the received values make useful.
    active: Vec<usize>,
    /// Two places for each column, `column_stride` apart.
    posterior: AlignedValues,
    columns: Vec<Column>,
    messages: AlignedValues,
    extrinsic: Extrinsic,
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
            rows: Rows::default(),
            active: Vec::new(),
            posterior: AlignedValues::default(),
            columns: Vec::new(),
            messages: AlignedValues::default(),
            extrinsic: Extrinsic::default(),
            bits: Vec::new(),
        }
    }

    /// Decodes LLRs of the first bits of the N, in quantisation steps (see [`quantise`]); zero where nothing
    /// was received, which also goes for the bits behind the last one.
    ///
    /// Whenever the checks of the core hold, which may be before the first iteration, and after the last one
    /// of `max_iterations`, `accept` sees the K systematic bits; decoding ends when it takes them. They stay
    /// in [`Self::systematic_bits`].
    ///
    /// # Errors
    /// [`CodingError::Length`] if there are more than N values.
    pub fn decode(
        &mut self,
        code: &LdpcCode,
        llrs: &[i8],
        max_iterations: usize,
        mut accept: impl FnMut(&[u8]) -> bool,
    ) -> Result<LdpcOutcome, CodingError> {
        if llrs.len() > code.codeword_bits() {
            return Err(CodingError::Length {
                what: "LLRs of a codeword",
                expected: code.codeword_bits(),
                actual: llrs.len(),
            });
        }
        self.prepare(code);
        self.load(code, llrs);

        let mut outcome =
            LdpcOutcome { iterations: 0, core_holds: self.hard_decisions_hold(code), accepted: false };
        loop {
            if outcome.core_holds || outcome.iterations >= max_iterations {
                self.decide(code);
                outcome.accepted = accept(&self.bits);
            }
            if outcome.accepted || outcome.iterations >= max_iterations {
                return Ok(outcome);
            }
            if outcome.iterations == 0 {
                self.forget_hard_decisions(code);
            }
            self.iterate(code, outcome.iterations == 0);
            outcome.iterations += 1;
            outcome.core_holds = self.core_holds(code);
        }
    }

    /// The systematic bits that the last attempt ended with.
    pub fn systematic_bits(&self) -> &[u8] {
        &self.bits
    }

    /// Lays out the rows of a code, unless they are there from the codeword before.
    fn prepare(&mut self, code: &LdpcCode) {
        if !self.rows.change(code) {
            return;
        }
        let z = code.lifting_size();
        let columns = code.base_graph().columns();
        self.posterior.resize(2 * columns * column_stride(z));
        let entries = self.rows.first_entry(code.base_graph().rows());
        self.messages.resize(entries * padded(z));
        self.columns.resize(columns, Column::default());
    }

    /// Puts the received values in place and picks the rows they make useful.
    fn load(&mut self, code: &LdpcCode, llrs: &[i8]) {
        let z = code.lifting_size();
        let stride = column_stride(z);
        let core_columns = code.base_graph().systematic_columns() + CORE_ROWS;
        self.active.clear();
        self.active.extend(0..CORE_ROWS);
        for column in 0..code.base_graph().columns() {
            self.columns[column] = Column { start: 2 * column * stride, rotation: 0 };
            let values = &mut self.posterior.get_mut()[2 * column * stride..][..stride];
            let received = match column.checked_sub(PUNCTURED_COLUMNS) {
                Some(block) => llrs.get(block * z..).unwrap_or(&[]),
                None => &[],
            };
            let received = &received[..z.min(received.len())];
            for (value, &llr) in values.iter_mut().zip(received) {
                *value = llr.max(-LLR_LIMIT);
            }
            values[received.len()..z].fill(0);
            repeat_start(values, z);
            if column >= core_columns && received.iter().any(|&llr| llr != 0) {
                self.active.push(CORE_ROWS + column - core_columns);
            }
        }
    }

    /// Whether the signs of the received values are a codeword of the core, with the punctured columns that
    /// two of its rows imply. These stay in their second place until [`Self::forget_hard_decisions`].
    fn hard_decisions_hold(&mut self, code: &LdpcCode) -> bool {
        let z = code.lifting_size();
        let stride = column_stride(z);
        for (column, row) in SOLVED_BY.into_iter().enumerate() {
            let mut known = [Place::default(); MAX_DEGREE];
            let mut count = 0;
            let mut wanted_shift = 0;
            for &(other, shift) in self.rows.row(row) {
                if other == column {
                    wanted_shift = shift;
                } else {
                    known[count] = self.columns[other].place(shift, z);
                    count += 1;
                }
            }
            let target = self.columns[column].start + stride;
            solve(self.instructions, self.posterior.get_mut(), &known[..count], target, z);
            self.columns[column] = Column { start: target, rotation: wanted_shift };
        }
        self.core_holds(code)
    }

    /// Puts the punctured columns back as they were received, that is unknown.
    fn forget_hard_decisions(&mut self, code: &LdpcCode) {
        for column in 0..PUNCTURED_COLUMNS {
            let start = 2 * column * column_stride(code.lifting_size());
            self.columns[column] = Column { start, rotation: 0 };
        }
    }

    fn iterate(&mut self, code: &LdpcCode, first: bool) {
        let z = code.lifting_size();
        let stride = column_stride(z);
        let mut sources = [Place::default(); MAX_DEGREE];
        let mut targets = [Target::default(); MAX_DEGREE];
        for &row in &self.active {
            let entries = self.rows.row(row);
            let (kept, extension) = match entries.split_last() {
                Some((last, others)) if row >= CORE_ROWS => (others, Some(self.columns[last.0].start)),
                _ => (entries, None),
            };
            let first_message = self.rows.first_entry(row) * padded(z);
            for (index, &(column, shift)) in kept.iter().enumerate() {
                let stored = &mut self.columns[column];
                sources[index] = stored.place(shift, z);
                // The other one of its two places.
                let posterior = (4 * column + 1) * stride - stored.start;
                targets[index] = Target { posterior, message: first_message + index * padded(z) };
                *stored = Column { start: posterior, rotation: shift };
            }
            let mut layer = Layer {
                posterior: self.posterior.get_mut(),
                messages: self.messages.get_mut(),
                extrinsic: &mut self.extrinsic,
                sources: &sources[..kept.len()],
                targets: &targets[..kept.len()],
                extension,
                first,
                z,
            };
            update(self.instructions, &mut layer);
        }
    }

    /// Whether the signs of the a posteriori values are a codeword of the core.
    fn core_holds(&self, code: &LdpcCode) -> bool {
        let z = code.lifting_size();
        let mut sources = [Place::default(); MAX_DEGREE];
        (0..CORE_ROWS).all(|row| {
            let entries = self.rows.row(row);
            for (source, &(column, shift)) in sources.iter_mut().zip(entries) {
                *source = self.columns[column].place(shift, z);
            }
            parity_holds(self.instructions, self.posterior.get(), &sources[..entries.len()], z)
        })
    }

    /// Takes the signs of the systematic columns, in the order of the bits.
    fn decide(&mut self, code: &LdpcCode) {
        let z = code.lifting_size();
        self.bits.clear();
        for column in 0..code.base_graph().systematic_columns() {
            let Place { start, offset } = self.columns[column].place(0, z);
            let (wrapped, straight) = self.posterior.get()[start..][..z].split_at(offset);
            self.bits.extend(straight.iter().map(|&value| u8::from(value < 0)));
            self.bits.extend(wrapped.iter().map(|&value| u8::from(value < 0)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coding::ldpc::reference::{layered, pseudo_random, pseudo_random_bits};
    use crate::coding::ldpc::{BaseGraph, LIFTING_SIZES, LdpcEncoder};

    /// LLRs of the all-zero word with noise that is strong enough to keep the decoder busy.
    fn noisy_llrs(count: usize, seed: u64) -> Vec<i8> {
        pseudo_random(seed).take(count).map(|word| 12 + ((word >> 58) as i8 - 32)).collect()
    }

    #[test]
    fn all_versions_agree_with_the_plain_decoder() {
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
                    for iteration in 0..3 {
                        decoder.iterate(&code, iteration == 0);
                    }
                    let expected = layered(&code, &llrs, 3);
                    for column in 0..graph.columns() {
                        for bit in 0..size {
                            let place = decoder.columns[column].place(bit, size);
                            assert_eq!(
                                decoder.posterior.get()[place.start + place.offset],
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
                let llrs: Vec<i8> = coded
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
                assert!(outcome.accepted && outcome.core_holds, "{code:?} {outcome:?}");
            }
        }
    }

    #[test]
    fn a_codeword_without_errors_takes_no_iteration() {
        let mut decoder = LdpcDecoder::new();
        for graph in [BaseGraph::One, BaseGraph::Two] {
            let code = LdpcCode::new(graph, 44).unwrap();
            let data = pseudo_random_bits(code.systematic_bits(), 11);
            let mut encoder = LdpcEncoder::new();
            let coded = encoder.encode(&code, &data).unwrap();
            let mut llrs: Vec<i8> = coded.iter().map(|&bit| 20 - 40 * bit as i8).collect();
            let outcome = decoder.decode(&code, &llrs, 20, |bits| bits == data).unwrap();
            assert_eq!(outcome, LdpcOutcome { iterations: 0, core_holds: true, accepted: true });
            llrs[100] = -llrs[100];
            let outcome = decoder.decode(&code, &llrs, 20, |bits| bits == data).unwrap();
            assert_eq!(outcome, LdpcOutcome { iterations: 1, core_holds: true, accepted: true });
        }
    }

    #[test]
    fn quantisation_rounds_and_takes_nan_as_an_erasure() {
        let mut llrs = vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0];
        llrs.extend((-700..700).map(|step| step as f32 * 0.05));
        for instructions in Instructions::all_available() {
            let mut quantised = vec![0; llrs.len()];
            quantise_into(instructions, &llrs, &mut quantised);
            assert_eq!(quantised[..4], [0, LLR_LIMIT, -LLR_LIMIT, 0]);
            for (quantised, llr) in quantised.iter().zip(&llrs).skip(4) {
                let expected = (llr * LLR_SCALE).clamp(-127.0, 127.0);
                assert!(
                    (f32::from(*quantised) - expected).abs() <= 0.5,
                    "{llr} {quantised} {instructions:?}"
                );
            }
        }
    }

    /// Sure LLRs are made smaller together, so that the doubtful ones among them remain doubtful.
    #[test]
    fn large_llrs_keep_their_proportions() {
        let mut quantised = Vec::new();
        quantise(&[800.0, -800.0, 800.0, 80.0, 0.0], &mut quantised);
        assert_eq!(quantised, [100, -100, 100, 10, 0]);
        quantise(&[f32::INFINITY; 3], &mut quantised);
        assert_eq!(quantised, [LLR_LIMIT; 3]);
    }

    #[test]
    fn extreme_values_neither_panic_nor_overflow() {
        let code = LdpcCode::new(BaseGraph::One, 32).unwrap();
        let llrs: Vec<i8> = pseudo_random(3)
            .take(code.codeword_bits())
            .map(|word| if word & 1 == 0 { i8::MIN } else { i8::MAX })
            .collect();
        let outcome = LdpcDecoder::new().decode(&code, &llrs, 10, |_| false).unwrap();
        assert_eq!(outcome.iterations, 10);
        assert!(!outcome.accepted);
    }
}
