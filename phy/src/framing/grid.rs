//! The grid: which subcarriers of a symbol are pilots, and which carry data.
//!
//! Every symbol has a pilot on one subcarrier in 24 (every second RB); the comb moves from symbol to
//! symbol so that eight symbols have sounded every third subcarrier.

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
}

impl Grid {
    /// The grid of a numerology.
    pub fn new(numerology: &Numerology) -> Self {
        let subcarriers = numerology.subcarriers();
        Self { subcarriers, pilots: qpsk_sequence(PILOT_SEED, STAGGER.len() * subcarriers) }
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

    /// Data resource elements of a symbol.
    pub fn data_elements(&self, symbol: usize) -> usize {
        self.subcarriers - self.pilots(symbol).count()
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

#[cfg(test)]
mod tests {
    use super::*;

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
