//! How many symbols each part of a picture gets.
//!
//! A picture is cut into square cells of blocks; each cell has one of eight rates, which travel in the base (see [`super::base`]). Busy cells get more symbols and, since each of their symbols matters less, less
//! power: the amplitude of a block of `k` symbols is proportional to `k^(-1/3)`. That exponent was found by trying: on
//! Kodak, over a fixed rate and power, linear transmission gains 0.2 dB at 0 dB, 0.8 dB at 10 dB and 1.6 dB at 20 dB.

use std::collections::BinaryHeap;

use super::base::expected;

/// Complex symbols a block, rising, by the number that goes into side information. Of a block's values, twice as many are
/// sent; the last rate sends all.
pub type Rates = [usize; STEPS];
/// Number of rates.
pub const STEPS: usize = 8;

/// The rates of the convolutional transform.
pub const RATES: Rates = [8, 16, 24, 36, 52, 72, 96, 128];
/// Most cells of a picture whose rates are few.
const FEW_CELLS: usize = 128;
/// Side of a cell, blocks, by the SNR up to which it serves best, dB: where symbols tell little each, rates for every block cost more
/// than they are worth.
const SIDES: [(i8, usize); 3] = [(3, 4), (9, 2), (i8::MAX, 1)];
/// About how many bits a rate takes in the base: one that is as expected, and each step that it differs by.
const RATE_BITS: (f64, f64) = (1.2, 1.4);
/// Halvings of the interval in which the price of a symbol is sought.
const PRICE_ROUNDS: usize = 24;

/// The cells of a picture of `across` × `down` blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Blocks from left to right.
    pub across: usize,
    /// Blocks from top to bottom.
    pub down: usize,
    /// Side of a cell, blocks.
    pub side: usize,
}

impl Grid {
    /// The smallest square cells of which no more than 128 are needed.
    pub fn coarse(across: usize, down: usize) -> Self {
        let fits = |side: &usize| across.div_ceil(*side) * down.div_ceil(*side) <= FEW_CELLS;
        Self { across, down, side: (1..).find(fits).unwrap_or(1) }
    }

    /// The cells that serve best at an SNR, dB.
    pub fn fine(across: usize, down: usize, snr_db: i8) -> Self {
        let side = SIDES.iter().find(|(most_db, _)| snr_db <= *most_db).map_or(1, |&(_, side)| side);
        Self { across, down, side }
    }

    /// Cells from left to right.
    pub fn cells_across(&self) -> usize {
        self.across.div_ceil(self.side)
    }

    /// Number of cells.
    pub fn cells(&self) -> usize {
        self.cells_across() * self.down.div_ceil(self.side)
    }

    /// The cell of a block, counted row by row as blocks are.
    pub fn cell(&self, block: usize) -> usize {
        let (row, column) = (block / self.across, block % self.across);
        row / self.side * self.cells_across() + column / self.side
    }

    /// Blocks in each cell.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.cells()];
        (0..self.across * self.down).for_each(|block| sizes[self.cell(block)] += 1);
        sizes
    }
}

/// Whether everything is sent everywhere, `chosen` being indexes into the rates of a transform.
pub fn send_all(chosen: &[u8]) -> bool {
    chosen.iter().all(|&rate| usize::from(rate) == STEPS - 1)
}

/// The lowest rate that sends a channel.
pub fn step_of(rates: &Rates, channel: usize) -> usize {
    rates.partition_point(|symbols| 2 * symbols <= channel).min(STEPS - 1)
}

/// Amplitude of the values of a block that has `symbols` symbols.
pub fn gain(symbols: usize) -> f32 {
    (symbols as f32 / 48.0).powf(-1.0 / 3.0)
}

/// A step up that a cell could take, ordered by what a symbol gains.
#[derive(PartialEq)]
struct Step {
    worth: f64,
    cell: usize,
    to: u8,
}

impl Eq for Step {}

impl Ord for Step {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.worth.total_cmp(&other.worth).then_with(|| other.cell.cmp(&self.cell))
    }
}

impl PartialOrd for Step {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The rates (as indexes into `rates`) that lower the energy of what is not sent most, with at most `budget` symbols;
/// none if the budget is too small for the lowest rate everywhere.
///
/// `energy` holds, for each cell and each rate, the energy of the channels that the rate before it does not send, summed over the cell's
/// blocks (see [`step_of`]).
pub fn allocate(rates: &Rates, energy: &[[f64; STEPS]], sizes: &[usize], budget: usize) -> Option<Vec<u8>> {
    raise(rates, energy, sizes, budget, vec![0; sizes.len()])
}

/// As [`allocate`], for the cells of a grid whose rates travel as the base has them: a bit of those costs as much as `symbols_a_bit`, and
/// rates that differ from their neighbours' cost more bits.
pub fn allocate_alike(
    rates: &Rates,
    energy: &[[f64; STEPS]],
    grid: &Grid,
    budget: usize,
    symbols_a_bit: f64,
) -> Option<Vec<u8>> {
    let sizes = grid.sizes();
    let at_price = |price: f64| {
        let mut chosen: Vec<i16> = Vec::with_capacity(sizes.len());
        for (cell, (energy, &size)) in energy.iter().zip(&sizes).enumerate() {
            let (expected, _) = expected(&chosen, cell, grid.cells_across()).unwrap_or((STEPS as i16 / 2, 0));
            let (mut unsent, mut best) = (energy[1..].iter().sum::<f64>(), (f64::INFINITY, 0));
            for rate in 0..STEPS {
                unsent -= if rate > 0 { energy[rate] } else { 0.0 };
                let bits = RATE_BITS.0 + RATE_BITS.1 * f64::from(expected.abs_diff(rate as i16));
                let cost = unsent + price * ((rates[rate] * size) as f64 + bits * symbols_a_bit);
                if cost < best.0 {
                    best = (cost, rate);
                }
            }
            chosen.push(best.1 as i16);
        }
        chosen.into_iter().map(|rate| rate as u8).collect::<Vec<u8>>()
    };
    let used = |chosen: &[u8]| -> usize {
        chosen.iter().zip(&sizes).map(|(&rate, size)| rates[usize::from(rate)] * size).sum()
    };
    let most = energy.iter().map(|energy| energy.iter().sum::<f64>()).fold(f64::MIN_POSITIVE, f64::max);
    // Prices between which the budget is met, as logarithms: at the upper one nothing is worth more than the lowest rate.
    let (mut low, mut high) = (most.ln() - 60.0, most.ln() + 1.0);
    for _ in 0..PRICE_ROUNDS {
        let middle = low.midpoint(high);
        if used(&at_price(middle.exp())) > budget { low = middle } else { high = middle }
    }
    let chosen = Some(at_price(high.exp())).filter(|chosen| used(chosen) <= budget);
    raise(rates, energy, &sizes, budget, chosen.unwrap_or_else(|| vec![0; sizes.len()]))
}

/// Raises rates, the steps first that gain most for a symbol, as far as the budget goes; none if it is too small for these rates.
fn raise(
    rates: &Rates,
    energy: &[[f64; STEPS]],
    sizes: &[usize],
    budget: usize,
    mut chosen: Vec<u8>,
) -> Option<Vec<u8>> {
    let used = |(&rate, size): (&u8, &usize)| rates[usize::from(rate)] * size;
    let mut left = budget.checked_sub(chosen.iter().zip(sizes).map(used).sum())?;
    let best = |cell: usize, from: u8| {
        let steps = (from + 1..rates.len() as u8).map(|to| {
            let (low, high) = (rates[usize::from(from)], rates[usize::from(to)]);
            let gained: f64 = energy[cell][usize::from(from) + 1..=usize::from(to)].iter().sum();
            Step { worth: gained / (sizes[cell] * (high - low)) as f64, cell, to }
        });
        steps.max()
    };
    let mut steps: BinaryHeap<Step> = (0..sizes.len()).filter_map(|cell| best(cell, chosen[cell])).collect();
    while let Some(Step { cell, to, .. }) = steps.pop() {
        let from = chosen[cell];
        let cost = |to: u8| sizes[cell] * (rates[usize::from(to)] - rates[usize::from(from)]);
        // Where the best step is too dear, a lower one may do.
        let Some(to) = (from + 1..=to).rev().find(|&to| cost(to) <= left) else { continue };
        left -= cost(to);
        chosen[cell] = to;
        steps.extend(best(cell, to));
    }
    Some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNELS: usize = 2 * RATES[7];

    #[test]
    fn grids_cover_every_block() {
        for (across, down) in [(1, 1), (48, 32), (1024, 153), (1, 1024), (13, 7)] {
            assert!(Grid::coarse(across, down).cells() <= FEW_CELLS);
            for grid in
                [Grid::coarse(across, down), Grid::fine(across, down, 3), Grid::fine(across, down, 20)]
            {
                assert_eq!(grid.sizes().iter().sum::<usize>(), across * down);
                assert!(grid.sizes().iter().all(|&size| size > 0));
            }
        }
    }

    #[test]
    fn busy_cells_get_more_and_the_budget_holds() {
        let falling = |scale: f64| {
            let mut energy = [0.0; STEPS];
            (0..CHANNELS).for_each(|at| energy[step_of(&RATES, at)] += scale / (1.0 + at as f64));
            energy
        };
        let (energy, sizes) = (vec![falling(1.0), falling(30.0), falling(5.0)], vec![4, 4, 4]);
        let rates = allocate(&RATES, &energy, &sizes, 12 * 40).unwrap();
        assert!(rates[1] > rates[2] && rates[2] > rates[0], "{rates:?}");
        let used: usize = rates.iter().zip(&sizes).map(|(&rate, size)| RATES[usize::from(rate)] * size).sum();
        assert!(used <= 480 && used > 400, "{used}");
    }

    #[test]
    fn dear_bits_make_rates_alike_within_the_budget() {
        let grid = Grid { across: 12, down: 10, side: 1 };
        let energy: Vec<[f64; STEPS]> = (0..grid.cells())
            .map(|cell| std::array::from_fn(|step| (1 + cell * 37 % 11) as f64 / (1 + step * step) as f64))
            .collect();
        let chosen =
            [0.0, 2.0, 50.0].map(|bit| allocate_alike(&RATES, &energy, &grid, 40 * 120, bit).unwrap());
        let changes = chosen
            .each_ref()
            .map(|rates| rates.windows(2).map(|pair| usize::from(pair[0].abs_diff(pair[1]))).sum::<usize>());
        assert!(changes[0] > changes[1], "{changes:?}");
        for rates in &chosen {
            let used: usize = rates.iter().map(|&rate| RATES[usize::from(rate)]).sum();
            assert!((39 * 120..=40 * 120).contains(&used), "{used}");
        }
        assert_eq!(allocate_alike(&RATES, &energy, &grid, RATES[0] * 120 - 1, 1.0), None);
    }

    #[test]
    fn extremes() {
        let (energy, sizes) = ([[1.0; STEPS]; 2], [1, 3]);
        assert_eq!(allocate(&RATES, &energy, &sizes, 31), None);
        assert_eq!(allocate(&RATES, &energy, &sizes, 32).unwrap(), [0, 0]);
        assert_eq!(allocate(&RATES, &energy, &sizes, 10_000).unwrap(), [7, 7]);
    }
}
