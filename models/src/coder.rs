//! Range coding with probabilities that are integers, so that both ends agree on every bit.
//!
//! The coder is `constriction`'s, with words of 16 bits; probabilities are multiples of 2⁻¹². What is written goes to a [`Sink`]:
//! the coder, or a counter of bits that writes nothing. A stream that lost its end can be read up to there: the
//! [`Decoder`] knows which symbols the bytes that it has still determine.

use std::borrow::Borrow;
use std::cell::Cell;
use std::convert::Infallible;
use std::num::NonZeroU16;
use std::rc::Rc;

use constriction::Queue;
use constriction::backends::ReadWords;
use constriction::stream::model::{DecoderModel, EncoderModel, EntropyModel};
use constriction::stream::queue::{RangeDecoder, RangeEncoder};
use constriction::stream::{Decode, Encode};

/// Probabilities are multiples of 2 to the minus this.
pub const PRECISION: usize = 12;
/// A probability of one.
pub const ONE: u16 = 1 << PRECISION;
/// How fast an adaptive bit follows what it sees: a 16th of the way.
const ADAPTION: u16 = 4;
/// Most bits of an escaped number.
const MOST_ESCAPE_BITS: u32 = 20;

/// Cumulative frequencies of symbols: from 0 to [`ONE`], each step at least 1.
#[derive(Clone, Copy, Debug)]
struct Cumulative<'a>(&'a [u16]);

impl EntropyModel<PRECISION> for Cumulative<'_> {
    type Symbol = usize;
    type Probability = u16;
}

impl EncoderModel<PRECISION> for Cumulative<'_> {
    fn left_cumulative_and_probability(&self, symbol: impl Borrow<usize>) -> Option<(u16, NonZeroU16)> {
        let symbol = *symbol.borrow();
        let (&left, &right) = (self.0.get(symbol)?, self.0.get(symbol + 1)?);
        Some((left, NonZeroU16::new(right.checked_sub(left)?)?))
    }
}

impl DecoderModel<PRECISION> for Cumulative<'_> {
    fn quantile_function(&self, quantile: u16) -> (usize, u16, NonZeroU16) {
        let last = self.0.len().saturating_sub(2);
        let symbol = (0..last).find(|&symbol| quantile < self.0[symbol + 1]).unwrap_or(last);
        let (left, right) = (self.0[symbol], self.0[symbol + 1]);
        (symbol, left, NonZeroU16::new(right.saturating_sub(left)).unwrap_or(NonZeroU16::MIN))
    }
}

/// Whether cumulative frequencies can be coded with.
pub fn is_cumulative(cumulative: &[u16]) -> bool {
    cumulative.len() > 2
        && cumulative.first() == Some(&0)
        && cumulative.last() == Some(&ONE)
        && cumulative.windows(2).all(|pair| pair[0] < pair[1])
}

/// A bit whose probability follows what was coded.
#[derive(Clone, Copy, Debug)]
pub struct AdaptiveBit {
    /// Probability of a zero.
    zero: u16,
}

impl Default for AdaptiveBit {
    fn default() -> Self {
        Self { zero: ONE / 2 }
    }
}

impl AdaptiveBit {
    fn cumulative(self) -> [u16; 3] {
        [0, self.zero, ONE]
    }

    fn learn(&mut self, bit: bool) {
        if bit {
            self.zero -= self.zero >> ADAPTION;
        } else {
            self.zero += (ONE - self.zero) >> ADAPTION;
        }
        self.zero = self.zero.clamp(32, ONE - 32);
    }
}

/// Where symbols go.
pub trait Sink {
    /// A symbol with its cumulative frequencies; `context`: the number of these among those that are counted.
    fn symbol(&mut self, symbol: usize, cumulative: &[u16], context: usize);

    /// A bit, either way as likely.
    fn bit(&mut self, bit: bool);

    /// A number from 1 on, by Elias' gamma code.
    fn gamma(&mut self, number: u32) {
        let number = number.clamp(1, (1 << MOST_ESCAPE_BITS) - 1);
        let bits = number.ilog2();
        (0..bits).for_each(|_| self.bit(true));
        self.bit(false);
        (0..bits).rev().for_each(|at| self.bit(number >> at & 1 == 1));
    }
}

/// Symbols → bytes.
#[derive(Default)]
pub struct Encoder(RangeEncoder<u16, u32>);

impl Encoder {
    /// A bit with the probability that it has learned.
    pub fn adaptive(&mut self, bit: bool, model: &mut AdaptiveBit) {
        self.symbol(usize::from(bit), &model.cumulative(), 0);
        model.learn(bit);
    }

    /// The bytes; at least one, and none at their end that a reader would take for granted.
    pub fn finish(self) -> Vec<u8> {
        let Ok(words) = self.0.into_compressed();
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u16::to_be_bytes).collect();
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
        bytes
    }
}

impl Sink for Encoder {
    fn symbol(&mut self, symbol: usize, cumulative: &[u16], _context: usize) {
        // Tables are checked when they are read, and give every symbol a place: this cannot fail.
        let done = self.0.encode_symbol(symbol, Cumulative(cumulative));
        debug_assert!(done.is_ok());
    }

    fn bit(&mut self, bit: bool) {
        self.symbol(usize::from(bit), &[0, ONE / 2, ONE], 0);
    }
}

/// Words of a stream; beyond its end, zeros.
struct Words<'a> {
    bytes: &'a [u8],
    /// Whether a word was read that the bytes do not hold whole.
    beyond: Rc<Cell<bool>>,
}

impl ReadWords<u16, Queue> for Words<'_> {
    type ReadError = Infallible;

    fn read(&mut self) -> Result<Option<u16>, Infallible> {
        let (now, rest) = self.bytes.split_at(self.bytes.len().min(2));
        self.bytes = rest;
        if now.len() < 2 {
            self.beyond.set(true);
        }
        Ok(Some(now.iter().zip([8, 0]).map(|(&byte, shift)| u16::from(byte) << shift).sum()))
    }

    fn maybe_exhausted(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Bytes → symbols.
pub struct Decoder<'a> {
    coder: RangeDecoder<u16, u32, Words<'a>>,
    beyond: Rc<Cell<bool>>,
    cut: bool,
    damaged: bool,
}

impl<'a> Decoder<'a> {
    /// Reads a stream; `cut`: more bytes belong to it, which did not arrive.
    pub fn new(bytes: &'a [u8], cut: bool) -> Self {
        let beyond = Rc::new(Cell::new(false));
        let Ok(coder) = RangeDecoder::with_backend(Words { bytes, beyond: beyond.clone() });
        Self { coder, beyond, cut, damaged: false }
    }

    /// A symbol; `None` where the bytes do not tell, or tell nonsense: then nothing more can be read.
    pub fn symbol(&mut self, cumulative: &[u16]) -> Option<usize> {
        if self.damaged || (self.cut && self.beyond.get()) {
            return None;
        }
        let symbol = self.coder.decode_symbol(Cumulative(cumulative)).ok();
        self.damaged = symbol.is_none();
        symbol
    }

    /// A bit, either way as likely.
    pub fn bit(&mut self) -> Option<bool> {
        self.symbol(&[0, ONE / 2, ONE]).map(|symbol| symbol == 1)
    }

    /// A bit with the probability that it has learned.
    pub fn adaptive(&mut self, model: &mut AdaptiveBit) -> Option<bool> {
        let bit = self.symbol(&model.cumulative())? == 1;
        model.learn(bit);
        Some(bit)
    }

    /// A number from 1 on, by Elias' gamma code.
    pub fn gamma(&mut self) -> Option<u32> {
        let mut bits = 0;
        while self.bit()? {
            bits += 1;
            if bits >= MOST_ESCAPE_BITS {
                return None;
            }
        }
        (0..bits).try_fold(1, |number, _| Some(number << 1 | u32::from(self.bit()?)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SKEW: [u16; 5] = [0, 3500, 4000, 4090, ONE];

    fn written(symbols: &[usize]) -> Vec<u8> {
        let mut encoder = Encoder::default();
        let mut model = AdaptiveBit::default();
        for &symbol in symbols {
            encoder.symbol(symbol, &SKEW, 0);
            encoder.adaptive(symbol > 1, &mut model);
            encoder.gamma(1 + symbol as u32 * 37);
        }
        encoder.finish()
    }

    fn read(bytes: &[u8], cut: bool, most: usize) -> Vec<usize> {
        let mut decoder = Decoder::new(bytes, cut);
        let mut model = AdaptiveBit::default();
        let mut symbols = Vec::new();
        while symbols.len() < most {
            let Some(symbol) = decoder.symbol(&SKEW) else { break };
            let Some(_) = decoder.adaptive(&mut model) else { break };
            let Some(number) = decoder.gamma() else { break };
            if number != 1 + symbol as u32 * 37 {
                break;
            }
            symbols.push(symbol);
        }
        symbols
    }

    proptest! {
        #[test]
        fn symbols_come_back_and_so_does_the_beginning_of_a_cut_stream(
            symbols in proptest::collection::vec(0usize..4, 0..300), keep in 0.0..1.0,
        ) {
            let bytes = written(&symbols);
            prop_assert_eq!(&read(&bytes, false, symbols.len()), &symbols);
            let kept = (keep * bytes.len() as f64) as usize;
            let beginning = read(&bytes[..kept], true, symbols.len());
            prop_assert!(symbols.starts_with(&beginning));
            // All but the coder's own delay of four bytes is of use.
            let least = (kept.saturating_sub(4) * 8).saturating_sub(40) / 24;
            prop_assert!(beginning.len() >= least.min(symbols.len()), "{} of {}", beginning.len(), least);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in any::<bool>()) {
            read(&bytes, cut, 1000);
        }
    }

    #[test]
    fn tables_are_checked() {
        assert!(is_cumulative(&SKEW));
        for wrong in [&[0, ONE][..], &[0, 5, 5, ONE], &[0, 5, 4095], &[1, 5, ONE]] {
            assert!(!is_cumulative(wrong));
        }
    }
}
