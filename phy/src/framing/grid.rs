//! The grid: which subcarriers of a symbol are pilots, and which carry data.
//!
//! Every symbol has pilots on a comb whose spacing is the [`Mode`]'s (24 subcarriers, every second RB, in the
//! normal one); the comb moves from symbol to symbol so that eight symbols have sounded at least every third
//! subcarrier. The outermost subcarriers are always pilots, for nothing tells a channel beyond its last pilot.
//!
//! Data fill a symbol in strides near the golden section of its data subcarriers, so that even a few
//! resource elements in a row lie all over the band, and no segment falls wholly into a fade.

use num_complex::Complex32;

use crate::{mode::Mode, numerology::Numerology, sync::preamble::qpsk_sequence};

/// Symbols after which the comb stands where it stood.
pub const COMB_PERIOD: usize = 8;
/// Initial value of the Gold sequence of the pilots.
const PILOT_SEED: u32 = 0x5EC4_0002;
/// Initial value of the Gold sequence of what stands where no data are left.
const PADDING_SEED: u32 = 0x5EC4_0005;

/// Offset of the comb in a symbol: the van der Corput sequence in base 2, so that neighbouring symbols stand far
/// apart and every power of two of them evenly.
fn comb_offset(symbol: usize, spacing: usize) -> usize {
    let reversed = (symbol % COMB_PERIOD).reverse_bits() >> (usize::BITS - COMB_PERIOD.ilog2());
    reversed * spacing / COMB_PERIOD
}

/// Pilots and data of the symbols after the preamble, counted from the header's first.
#[derive(Clone, Debug)]
pub struct Grid {
    subcarriers: usize,
    /// Of each place of the comb: its pilots' subcarriers, lowest first.
    pilots: Vec<Vec<usize>>,
    /// Of each place of the comb: its data subcarriers in the order in which they are filled.
    orders: Vec<Vec<usize>>,
    /// Of each place of the comb, all subcarriers: pilots, and padding where data may stand.
    rows: Vec<Complex32>,
}

impl Grid {
    /// The grid of a numerology in a mode.
    pub fn new(numerology: &Numerology, mode: Mode) -> Self {
        let subcarriers = numerology.subcarriers();
        let spacing = mode.pilot_spacing(numerology);
        let is_pilot = |symbol: usize, k: usize| {
            k == 0 || k + 1 == subcarriers || k % spacing == comb_offset(symbol, spacing)
        };
        let pilots: Vec<Vec<usize>> = (0..COMB_PERIOD)
            .map(|symbol| (0..subcarriers).filter(|&k| is_pilot(symbol, k)).collect())
            .collect();
        let orders = (0..COMB_PERIOD)
            .map(|symbol| {
                let data: Vec<_> = (0..subcarriers).filter(|&k| !is_pilot(symbol, k)).collect();
                let stride = stride(data.len());
                (0..data.len()).map(|index| data[index * stride % data.len()]).collect()
            })
            .collect();
        let values = qpsk_sequence(PILOT_SEED, COMB_PERIOD * subcarriers);
        let mut rows = qpsk_sequence(PADDING_SEED, COMB_PERIOD * subcarriers);
        for (symbol, pilots) in pilots.iter().enumerate() {
            for k in pilots {
                rows[symbol * subcarriers + k] = values[symbol * subcarriers + k];
            }
        }
        Self { subcarriers, pilots, orders, rows }
    }

    /// Subcarriers that are pilots in a symbol, lowest first.
    pub fn pilots(&self, symbol: usize) -> &[usize] {
        &self.pilots[symbol % COMB_PERIOD]
    }

    /// A symbol without data: unit-power QPSK on all subcarriers, known to the receiver on the pilots.
    pub fn row(&self, symbol: usize) -> &[Complex32] {
        let first = symbol % COMB_PERIOD * self.subcarriers;
        &self.rows[first..first + self.subcarriers]
    }

    /// Data subcarriers of a symbol in the order in which they are filled.
    pub fn data(&self, symbol: usize) -> &[usize] {
        &self.orders[symbol % COMB_PERIOD]
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

    /// Appends where data stand in `count` symbols from `first` on, in the order in which they are filled:
    /// symbol × subcarriers + subcarrier.
    pub fn positions(&self, first: usize, count: usize, out: &mut Vec<u32>) {
        for symbol in first..first + count {
            let row = symbol * self.subcarriers;
            out.extend(self.data(symbol).iter().map(|k| (row + k) as u32));
        }
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
        let grid = Grid::new(&Numerology::default(), Mode::Normal);
        for symbol in 0..8 {
            let mut sorted = grid.data(symbol).to_vec();
            sorted.sort_unstable();
            let data: Vec<_> = (0..300).filter(|k| !grid.pilots(symbol).contains(k)).collect();
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
    fn eight_symbols_sound_at_least_every_third_subcarrier_and_every_grid_has_four_pilots_a_symbol() {
        for resource_blocks in [2, 4, 25, 100] {
            let numerology = Numerology { fft_size: 2048, resource_blocks, ..Numerology::default() };
            for mode in Mode::ALL {
                let grid = Grid::new(&numerology, mode);
                let mut sounded: Vec<_> = (0..8).flat_map(|symbol| grid.pilots(symbol)).copied().collect();
                sounded.sort_unstable();
                assert!(sounded.windows(2).all(|pair| pair[1] - pair[0] <= 3), "{resource_blocks} {mode:?}");
                assert!((0..8).all(|symbol| grid.pilots(symbol).len() >= 4));
            }
        }
    }

    #[test]
    fn capacity_and_symbols_agree() {
        for mode in Mode::ALL {
            let grid = Grid::new(&Numerology::default(), mode);
            for elements in [0, 1, 287, 288, 5000, 40_000] {
                let symbols = grid.symbols_for(2, elements);
                assert!(grid.capacity(2, symbols) >= elements);
                assert!(symbols == 0 || grid.capacity(2, symbols - 1) < elements);
                let mut positions = Vec::new();
                grid.positions(2, symbols, &mut positions);
                assert_eq!(positions.len(), grid.capacity(2, symbols));
                positions.sort_unstable();
                positions.dedup();
                assert_eq!(positions.len(), grid.capacity(2, symbols));
            }
        }
    }
}
