//! Rate matching: N code bits → E transmitted bits, and E LLRs → N soft values.
//!
//! The N bits form a circular buffer (the full one: N_cb = N). Reading starts at a place that the
//! redundancy version gives, leaves out fillers, and goes round as often as E needs. The receiver adds
//! up what arrives at the same place, so repetition and retransmission both gain signal-to-noise ratio.
//!
//! Reference: 3GPP TS 38.212 V18.6.0, §5.4.2.1 (bit selection, Table 5.4.2.1-2), §5.4.2.2 (bit
//! interleaving).

use std::ops::Range;

use super::CodingError;
use super::bits::unpack_byte;
use super::ldpc::{BaseGraph, LdpcCode, PUNCTURED_COLUMNS};
use crate::simd::{Instructions, dispatched};

/// The circular buffer of one code block: which code, where its fillers are, where reading starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircularBuffer {
    size: usize,
    fillers: Range<usize>,
    start: usize,
}

impl CircularBuffer {
    /// The buffer for a code block of `information_bits` bits (K', CRC included).
    ///
    /// # Errors
    /// [`CodingError::RedundancyVersion`]; [`CodingError::Length`] if the code is too small.
    pub fn new(
        code: &LdpcCode,
        information_bits: usize,
        redundancy_version: u8,
    ) -> Result<Self, CodingError> {
        let z = code.lifting_size();
        // Numerators of Table 5.4.2.1-2; with N_cb = N they are the starts in units of Z.
        let starts = match code.base_graph() {
            BaseGraph::One => [0, 17, 33, 56],
            BaseGraph::Two => [0, 13, 25, 43],
        };
        let start = starts
            .get(usize::from(redundancy_version))
            .ok_or(CodingError::RedundancyVersion(redundancy_version))?;
        let punctured = PUNCTURED_COLUMNS * z;
        if !(punctured..=code.systematic_bits()).contains(&information_bits) {
            return Err(CodingError::Length {
                what: "information bits of a code block",
                expected: code.systematic_bits(),
                actual: information_bits,
            });
        }
        Ok(Self {
            size: code.codeword_bits(),
            fillers: information_bits - punctured..code.systematic_bits() - punctured,
            start: start * z,
        })
    }

    /// Places of the fillers, which are known to be zero and never transmitted.
    pub fn fillers(&self) -> Range<usize> {
        self.fillers.clone()
    }

    /// The least number of code bits, from the first on, among which are the fillers and the `count` bits
    /// that are transmitted.
    pub fn reach(&self, count: usize) -> usize {
        // Once round, every place has been visited.
        let visited = self.ranges(count.min(self.size)).map(|range| range.end).max();
        visited.unwrap_or(0).max(self.fillers.end)
    }

    /// The places of `count` transmitted bits in their order, as ranges.
    fn ranges(&self, count: usize) -> impl Iterator<Item = Range<usize>> + '_ {
        let mut place = self.start;
        let mut left = count;
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            if self.fillers.contains(&place) {
                place = self.fillers.end;
            }
            // A parity column always follows the fillers, so the place is inside the buffer.
            let end = if place < self.fillers.start { self.fillers.start } else { self.size };
            let range = place..end.min(place + left);
            left -= range.len();
            place = if range.end == self.size { 0 } else { range.end };
            Some(range)
        })
    }
}

/// Transmit side: selects and interleaves; it keeps its buffer between code blocks.
#[derive(Clone, Debug, Default)]
pub struct RateMatcher {
    selected: Vec<u8>,
}

impl RateMatcher {
    /// Appends `count` bits of a code block, interleaved for `modulation_order` bits a symbol, to
    /// `out`. `coded` are the bits of the codeword, at least as many as [`CircularBuffer::reach`] tells.
    ///
    /// # Errors
    /// [`CodingError`] if a length does not fit.
    pub fn select(
        &mut self,
        buffer: &CircularBuffer,
        coded: &[u8],
        count: usize,
        modulation_order: u8,
        out: &mut Vec<u8>,
    ) -> Result<(), CodingError> {
        check(buffer, coded.len(), count, modulation_order)?;
        self.selected.clear();
        for range in buffer.ranges(count) {
            self.selected.extend_from_slice(&coded[range]);
        }
        interleave(Instructions::detect(), &self.selected, modulation_order, out);
        Ok(())
    }
}

/// Receive side: the inverse; it keeps its buffer between code blocks.
#[derive(Clone, Debug, Default)]
pub struct RateRecovery {
    selected: Vec<f32>,
}

impl RateRecovery {
    /// Adds the LLRs of a code block to the soft values in `soft`, each at its place. There are at least as
    /// many of these as [`CircularBuffer::reach`] tells.
    ///
    /// # Errors
    /// [`CodingError`] if a length does not fit.
    pub fn combine(
        &mut self,
        buffer: &CircularBuffer,
        llrs: &[f32],
        modulation_order: u8,
        soft: &mut [f32],
    ) -> Result<(), CodingError> {
        check(buffer, soft.len(), llrs.len(), modulation_order)?;
        self.selected.resize(llrs.len(), 0.0);
        deinterleave(Instructions::detect(), llrs, modulation_order, &mut self.selected);
        let mut rest = &self.selected[..];
        for range in buffer.ranges(llrs.len()) {
            let (received, others) = rest.split_at(range.len());
            rest = others;
            for (sum, llr) in soft[range].iter_mut().zip(received) {
                *sum += llr;
            }
        }
        Ok(())
    }
}

/// Symbols that are worked on together.
const BLOCK: usize = 64;

dispatched! {
    /// Appends the bits, of which each row of bits.len() / order holds one of every symbol, symbol by symbol.
    fn interleave(bits: &[u8], order: u8, out: &mut Vec<u8>) {
        match order {
            2 => to_symbols::<2>(bits, out),
            4 => to_symbols::<4>(bits, out),
            6 => to_symbols::<6>(bits, out),
            8 => to_symbols::<8>(bits, out),
            _ => out.extend_from_slice(bits),
        }
    }
}

dispatched! {
    /// Puts values that came symbol by symbol in rows of llrs.len() / order, one of every symbol in each.
    fn deinterleave(llrs: &[f32], order: u8, rows: &mut [f32]) {
        match order {
            2 => to_rows::<2>(llrs, rows),
            4 => to_rows::<4>(llrs, rows),
            6 => to_rows::<6>(llrs, rows),
            8 => to_rows::<8>(llrs, rows),
            _ => rows.copy_from_slice(llrs),
        }
    }
}

/// The bits of a symbol meet in one byte, which a table turns back into bits.
#[inline(always)]
fn to_symbols<const ORDER: usize>(bits: &[u8], out: &mut Vec<u8>) {
    let symbols = bits.len() / ORDER;
    let start = out.len();
    out.resize(start + symbols * ORDER, 0);
    let groups = out[start..].as_chunks_mut::<ORDER>().0;
    for (first, groups) in (0..symbols).step_by(BLOCK).zip(groups.chunks_mut(BLOCK)) {
        let mut labels = [0u8; BLOCK];
        for row in 0..ORDER {
            let bits = &bits[row * symbols + first..][..groups.len()];
            for (label, bit) in labels.iter_mut().zip(bits) {
                *label |= bit << (7 - row);
            }
        }
        for (group, label) in groups.iter_mut().zip(labels) {
            group.copy_from_slice(&unpack_byte(label)[..ORDER]);
        }
    }
}

#[inline(always)]
fn to_rows<const ORDER: usize>(llrs: &[f32], rows: &mut [f32]) {
    let groups = llrs.as_chunks::<ORDER>().0;
    let symbols = groups.len();
    for (first, groups) in (0..symbols).step_by(BLOCK).zip(groups.chunks(BLOCK)) {
        for row in 0..ORDER {
            let values = &mut rows[row * symbols + first..][..groups.len()];
            for (value, group) in values.iter_mut().zip(groups) {
                *value = group[row];
            }
        }
    }
}

fn check(buffer: &CircularBuffer, size: usize, count: usize, order: u8) -> Result<(), CodingError> {
    if !matches!(order, 1 | 2 | 4 | 6 | 8) {
        return Err(CodingError::ModulationOrder(order));
    }
    let whole = count.next_multiple_of(order.into());
    if whole != count {
        return Err(CodingError::Length { what: "bits of whole symbols", expected: whole, actual: count });
    }
    let reach = buffer.reach(count);
    if size < reach {
        return Err(CodingError::Length { what: "circular buffer", expected: reach, actual: size });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(graph: BaseGraph) -> LdpcCode {
        LdpcCode::new(graph, 8).unwrap()
    }

    #[test]
    fn redundancy_versions_start_where_the_table_says() {
        for (graph, starts) in [(BaseGraph::One, [0, 17, 33, 56]), (BaseGraph::Two, [0, 13, 25, 43])] {
            let code = code(graph);
            for (version, start) in starts.into_iter().enumerate() {
                let buffer = CircularBuffer::new(&code, code.systematic_bits(), version as u8).unwrap();
                assert_eq!(buffer.ranges(1).next(), Some(start * 8..start * 8 + 1));
            }
        }
    }

    /// Every bit is recovered from its place, as often as it was sent, whatever the version.
    #[test]
    fn recovery_undoes_selection() {
        for graph in [BaseGraph::One, BaseGraph::Two] {
            let code = code(graph);
            let size = code.codeword_bits();
            for fillers in [0, 5, 19] {
                for version in 0..4 {
                    for (count, order) in [(96, 2), (size / 4 * 4, 4), (size * 3 / 6 * 6, 6), (size * 5, 8)] {
                        let information = code.systematic_bits() - fillers;
                        let buffer = CircularBuffer::new(&code, information, version).unwrap();
                        let coded: Vec<u8> = (0..size).map(|i| (i * i / 3 % 2) as u8).collect();
                        let mut sent = Vec::new();
                        RateMatcher::default().select(&buffer, &coded, count, order, &mut sent).unwrap();
                        assert_eq!(sent.len(), count);
                        let llrs: Vec<f32> = sent.iter().map(|&bit| 1.0 - 2.0 * f32::from(bit)).collect();
                        let mut soft = vec![0.0; size];
                        RateRecovery::default().combine(&buffer, &llrs, order, &mut soft).unwrap();
                        let transmitted = size - fillers;
                        for (place, (&soft, &bit)) in soft.iter().zip(&coded).enumerate() {
                            let times = soft * (1.0 - 2.0 * f32::from(bit));
                            if buffer.fillers().contains(&place) {
                                assert_eq!(times, 0.0);
                            } else {
                                let least = (count / transmitted) as f32;
                                assert!(times == least || times == least + 1.0, "{times} at {place}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn all_versions_interleave_as_the_formula_says() {
        for order in [1u8, 2, 4, 6, 8] {
            for symbols in [1, 63, 64, 65, 300] {
                let width = usize::from(order);
                let bits: Vec<u8> = (0..symbols * width).map(|i| (i * i / 7 % 2) as u8).collect();
                let expected: Vec<u8> =
                    (0..bits.len()).map(|i| bits[i % width * symbols + i / width]).collect();
                for instructions in Instructions::all_available() {
                    let mut sent = Vec::new();
                    interleave(instructions, &bits, order, &mut sent);
                    assert_eq!(sent, expected, "{order} {symbols} {instructions:?}");
                    let received: Vec<f32> = sent.iter().map(|&bit| bit.into()).collect();
                    let mut rows = vec![0.5; received.len()];
                    deinterleave(instructions, &received, order, &mut rows);
                    assert!(rows.iter().zip(&bits).all(|(&row, &bit)| row == f32::from(bit)));
                }
            }
        }
    }

    #[test]
    fn the_interleaver_puts_systematic_bits_first_in_each_symbol() {
        let code = code(BaseGraph::Two);
        let buffer = CircularBuffer::new(&code, code.systematic_bits(), 0).unwrap();
        let coded: Vec<u8> = (0..code.codeword_bits()).map(|i| u8::from(i < 64)).collect();
        let mut sent = Vec::new();
        RateMatcher::default().select(&buffer, &coded, 128, 4, &mut sent).unwrap();
        assert!(sent.chunks(4).all(|symbol| symbol == [1, 1, 0, 0]));
    }

    #[test]
    fn wrong_sizes_are_errors() {
        let code = code(BaseGraph::Two);
        assert_eq!(CircularBuffer::new(&code, 80, 4), Err(CodingError::RedundancyVersion(4)));
        assert!(CircularBuffer::new(&code, 81, 0).is_err());
        assert!(CircularBuffer::new(&code, 3, 0).is_err());
        let buffer = CircularBuffer::new(&code, 80, 0).unwrap();
        let mut soft = vec![0.0; buffer.reach(4)];
        assert!(RateRecovery::default().combine(&buffer, &[0.0; 3], 2, &mut soft).is_err());
        assert!(RateRecovery::default().combine(&buffer, &[0.0; 4], 2, &mut soft[..3]).is_err());
        assert!(RateMatcher::default().select(&buffer, &[0; 9], 4, 2, &mut Vec::new()).is_err());
    }
}
