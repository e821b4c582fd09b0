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
use super::ldpc::{BaseGraph, LdpcCode, PUNCTURED_COLUMNS};

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
    /// `out`. `coded` are the N bits of the codeword.
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
        let order = check(buffer, coded.len(), count, modulation_order)?;
        self.selected.clear();
        for range in buffer.ranges(count) {
            self.selected.extend_from_slice(&coded[range]);
        }
        let symbols = count / order;
        out.reserve(count);
        for symbol in 0..symbols {
            out.extend((0..order).map(|bit| self.selected[bit * symbols + symbol]));
        }
        Ok(())
    }
}

/// Receive side: the inverse; it keeps its buffer between code blocks.
#[derive(Clone, Debug, Default)]
pub struct RateRecovery {
    selected: Vec<f32>,
}

impl RateRecovery {
    /// Adds the LLRs of a code block to the N soft values in `soft`, each at its place.
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
        let order = check(buffer, soft.len(), llrs.len(), modulation_order)?;
        let symbols = llrs.len() / order;
        self.selected.clear();
        for bit in 0..order {
            self.selected.extend(llrs.iter().skip(bit).step_by(order));
        }
        debug_assert_eq!(self.selected.len(), symbols * order);
        let mut next = 0;
        for range in buffer.ranges(llrs.len()) {
            let received = &self.selected[next..next + range.len()];
            next += range.len();
            for (sum, llr) in soft[range].iter_mut().zip(received) {
                *sum += llr;
            }
        }
        Ok(())
    }
}

fn check(buffer: &CircularBuffer, size: usize, count: usize, order: u8) -> Result<usize, CodingError> {
    if size != buffer.size {
        return Err(CodingError::Length { what: "circular buffer", expected: buffer.size, actual: size });
    }
    if order == 0 {
        return Err(CodingError::ModulationOrder(order));
    }
    let whole = count.next_multiple_of(order.into());
    if whole != count {
        return Err(CodingError::Length { what: "bits of whole symbols", expected: whole, actual: count });
    }
    Ok(order.into())
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
        let mut soft = vec![0.0; code.codeword_bits()];
        assert!(RateRecovery::default().combine(&buffer, &[0.0; 3], 2, &mut soft).is_err());
        assert!(RateRecovery::default().combine(&buffer, &[0.0; 4], 2, &mut soft[1..]).is_err());
        assert!(RateMatcher::default().select(&buffer, &[0; 9], 4, 2, &mut Vec::new()).is_err());
    }
}
