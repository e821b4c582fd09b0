//! The grid: which subcarriers of a symbol are pilots, and which carry data.
//!
//! Every symbol has a pilot on one subcarrier in 24 (every second RB); the comb moves from symbol to
//! symbol so that eight symbols have sounded every third subcarrier.
//!
//! Data fill a symbol in strides near the golden section of its data subcarriers, so that even a few
//! resource elements in a row lie all over the band, and no segment falls wholly into a fade.

use num_complex::Complex32;

use crate::{numerology::Numerology, sync::preamble::qpsk_sequence};

/// Distance of the pilots of one symbol, in subcarriers.
pub const PILOT_SPACING: usize = 24;
/// Offset of the comb, symbol by symbol.
const STAGGER: [usize; 8] = [0, 12, 6, 18, 3, 15, 9, 21];
/// Initial value of the Gold sequence of the pilots.
const PILOT_SEED: u32 = 0x5EC4_0002;

/// Pilots and data of the symbols after the preamble, counted from the header's first.
#[derive(Clone, Debug)]
pub struct Grid {
    subcarriers: usize,
    pilots: Vec<Complex32>,
    /// Data subcarriers in the order in which they are filled, for each place of the comb.
    orders: Vec<Vec<usize>>,
}

impl Grid {
    /// The grid of a numerology.
    pub fn new(numerology: &Numerology) -> Self {
        let subcarriers = numerology.subcarriers();
        let orders = STAGGER
            .map(|offset| {
                let data: Vec<_> = (0..subcarriers).filter(|k| k % PILOT_SPACING != offset).collect();
                let stride = stride(data.len());
                (0..data.len()).map(|index| data[index * stride % data.len()]).collect()
            })
            .to_vec();
        Self { subcarriers, pilots: qpsk_sequence(PILOT_SEED, STAGGER.len() * subcarriers), orders }
    }

    /// Subcarriers that are pilots in a symbol, lowest first.
    pub fn pilots(&self, symbol: usize) -> impl Iterator<Item = usize> + use<> {
        (STAGGER[symbol % STAGGER.len()]..self.subcarriers).step_by(PILOT_SPACING)
    }

    /// What is sent on a pilot: unit-power QPSK.
    pub fn pilot_value(&self, symbol: usize, subcarrier: usize) -> Complex32 {
        self.pilots[symbol % STAGGER.len() * self.subcarriers + subcarrier]
    }

    /// Whether a subcarrier is a pilot in a symbol.
    pub fn is_pilot(&self, symbol: usize, subcarrier: usize) -> bool {
        subcarrier % PILOT_SPACING == STAGGER[symbol % STAGGER.len()]
    }

    /// Data subcarriers of a symbol in the order in which they are filled.
    pub fn data(&self, symbol: usize) -> &[usize] {
        &self.orders[symbol % STAGGER.len()]
    }

    /// Data resource elements of a symbol.
    pub fn data_elements(&self, symbol: usize) -> usize {
        self.data(symbol).len()
    }

    /// Data resource elements of `count` symbols from `first` on.
    pub fn capacity(&self, first: usize, count: usize) -> usize {
        (first..first + count).map(|symbol| self.data_elements(symbol)).sum()
    }

    /// Symbols from `first` on that it takes to hold `elements` data resource elements.
    pub fn symbols_for(&self, first: usize, elements: usize) -> usize {
        let mut left = elements;
        let mut count = 0;
        while left > 0 {
            left = left.saturating_sub(self.data_elements(first + count));
            count += 1;
        }
        count
    }
}

/// The stride for `count` data subcarriers: ⌊0.618·count⌋ or the next above that shares no factor with it.
fn stride(count: usize) -> usize {
    let common_factor = |mut a: usize, mut b: usize| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    (count * 618 / 1000..).find(|&stride| common_factor(stride, count) == 1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_fill_every_subcarrier_once_and_a_few_of_them_span_the_band() {
        let grid = Grid::new(&Numerology::default());
        for symbol in 0..8 {
            let mut sorted = grid.data(symbol).to_vec();
            sorted.sort_unstable();
            let data: Vec<_> = (0..300).filter(|&k| !grid.is_pilot(symbol, k)).collect();
            assert_eq!(sorted, data);
            for start in 0..data.len() - 30 {
                let mut few = grid.data(symbol)[start..start + 30].to_vec();
                few.sort_unstable();
                let widest = few.windows(2).map(|pair| pair[1] - pair[0]).max();
                assert!(widest < Some(30), "a gap of {widest:?} subcarriers from {start}");
            }
        }
    }

    #[test]
    fn eight_symbols_sound_every_third_subcarrier() {
        let grid = Grid::new(&Numerology::default());
        let mut sounded: Vec<_> = (0..8).flat_map(|symbol| grid.pilots(symbol)).collect();
        sounded.sort_unstable();
        assert_eq!(sounded, (0..300).step_by(3).collect::<Vec<_>>());
        for symbol in 0..8 {
            assert!((0..300).all(|k| grid.is_pilot(symbol, k) == grid.pilots(symbol).any(|p| p == k)));
        }
    }

    #[test]
    fn capacity_and_symbols_agree() {
        let grid = Grid::new(&Numerology::default());
        for elements in [0, 1, 287, 288, 5000, 40_000] {
            let symbols = grid.symbols_for(2, elements);
            assert!(grid.capacity(2, symbols) >= elements);
            assert!(symbols == 0 || grid.capacity(2, symbols - 1) < elements);
        }
    }
}
