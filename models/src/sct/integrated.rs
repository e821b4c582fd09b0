//! The integrated system: the values of a region → complex symbols that go on the air as they are.
//!
//! As in `ae`, a prefix of the channels of each block is sent, and its length follows from what a symbol gains; here an error
//! counts by the density of importance of its region, so that more symbols go where more matters. Each region is a
//! feature of unit mean power; the power that its values had stands in the map.

use num_complex::Complex32;

use super::analysis::Analysis;
use super::map::{Cells, Coding, Map, rounded_power};
use super::modular::Layout;
use crate::LEAST_VARIANCE;
use crate::ae::network::UNKNOWN;
use crate::ae::rates::{RATES, STEPS, allocate, gain, step_of};
use crate::ae::transform::Code;
use crate::repetition::repeat;

/// Power of the importance's density to which errors count.
const WEIGHT_EXPONENT: f64 = 0.9;
/// Densities count as at least, and at most.
const DENSITIES: std::ops::RangeInclusive<f64> = 0.25..=4.0;

/// Rates of the cells, for at most `budget` symbols; the least that is needed if that is too few.
pub fn rates(
    values: &[f32],
    variance: &[f32],
    analysis: &Analysis,
    cells: &Cells,
    budget: usize,
) -> Result<Vec<u8>, usize> {
    let blocks = analysis.of_block.len();
    let weights: Vec<f64> = analysis.densities().into_iter().map(weight).collect();
    let mut energy = vec![[0.0; STEPS]; cells.sizes.len()];
    for (channel, (values, &worth)) in values.chunks_exact(blocks).zip(variance).enumerate() {
        let step = step_of(&RATES, channel);
        for (block, value) in values.iter().enumerate() {
            if let Some(energy) = energy.get_mut(cells.of_block[block]) {
                let weight = weights[usize::from(analysis.of_block[block])];
                energy[step] += weight * f64::from(worth) * f64::from(value * value);
            }
        }
    }
    allocate(&RATES, &energy, &cells.sizes, budget)
        .ok_or_else(|| RATES[0] * cells.sizes.iter().sum::<usize>())
}

/// Symbols of each block of the picture; 0 where its region is not sent.
pub fn symbols_of_blocks(map: &Map, cells: &Cells) -> Vec<usize> {
    let symbols = |&cell: &usize| map.rates.get(cell).map_or(0, |&rate| RATES[usize::from(rate)]);
    cells.of_block.iter().map(symbols).collect()
}

/// The pairs of values of a region that are sent, as pair and block: all first pairs, then all second ones, and so on.
fn places<'a>(layout: &'a Layout, symbols: &'a [usize]) -> impl Iterator<Item = (usize, usize)> + 'a {
    let most = layout.blocks.iter().map(|&block| symbols[block as usize]).max().unwrap_or(0);
    (0..most).flat_map(move |pair| {
        let blocks = layout.blocks.iter().map(|&block| block as usize);
        blocks.filter(move |&block| symbols[block] > pair).map(move |block| (pair, block))
    })
}

/// Symbols of a region.
pub fn length(layout: &Layout, symbols: &[usize]) -> usize {
    layout.blocks.iter().map(|&block| symbols[block as usize]).sum()
}

/// Symbols of regions that have `lengths` of their own, where `budget` symbols may be sent for them and all their values already are: what
/// is left repeats what matters by `densities`, importance of a block over the picture's mean.
pub fn repeated(lengths: &[usize], densities: &[f32], budget: usize) -> Vec<usize> {
    let left = budget.saturating_sub(lengths.iter().sum()) as f64;
    let shares: Vec<f64> =
        lengths.iter().zip(densities).map(|(&length, &density)| length as f64 * weight(density)).collect();
    let all = shares.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    lengths.iter().zip(shares).map(|(&length, share)| length + (left * share / all) as usize).collect()
}

/// How much an error counts where importance has a density.
fn weight(density: f32) -> f64 {
    f64::from(density).clamp(*DENSITIES.start(), *DENSITIES.end()).powf(WEIGHT_EXPONENT)
}

/// The symbols of a region, `length` or as many as it has of its own, of unit mean power, and how it is to be told.
pub fn modulate(
    values: &[f32],
    layout: &Layout,
    symbols: &[usize],
    length: usize,
) -> (Vec<Complex32>, Coding) {
    let blocks = symbols.len();
    let value = |(pair, block): (usize, usize)| {
        let at = 2 * pair * blocks + block;
        Complex32::new(values[at], values[at + blocks]) * gain(symbols[block])
    };
    let mut sent: Vec<Complex32> = places(layout, symbols).map(value).collect();
    let energy = |sent: &[Complex32]| sent.iter().map(|symbol| f64::from(symbol.norm_sqr())).sum::<f64>();
    if energy(&sent) == 0.0 {
        // Nothing to tell: four directions in turn keep the power.
        for (at, symbol) in sent.iter_mut().enumerate() {
            *symbol = Complex32::from_polar(1.0, (0.25 + 0.5 * (at % 4) as f32) * std::f32::consts::PI);
        }
        return (sent, Coding::Integrated(None));
    }
    repeat(&mut sent, length);
    let power = rounded_power((energy(&sent) / (2 * sent.len()) as f64) as f32);
    let scale = 1.0 / (2.0 * power).sqrt();
    sent.iter_mut().for_each(|symbol| *symbol *= scale);
    (sent, Coding::Integrated(Some(power)))
}

/// Puts what was received of a region among the values of the picture, each with its noise variance. Where `power` says that all its
/// values are zero, they are known whatever was received.
pub fn demodulate(
    received: &[Complex32],
    noise_variance: &[f32],
    power: Option<f32>,
    layout: &Layout,
    symbols: &[usize],
    code: &mut Code,
) {
    let blocks = code.across * code.down;
    let received = received.iter().zip(noise_variance);
    for ((pair, block), (symbol, variance)) in places(layout, symbols).zip(received) {
        let (value, variance) = power.map_or((Complex32::ZERO, 0.0), |power| {
            let gain = gain(symbols[block]);
            // Of a complex symbol's noise, each value has half; of its power, which is twice that of a value, all.
            let variance = variance.max(LEAST_VARIANCE) * power / gain.powi(2);
            (*symbol * ((2.0 * power).sqrt() / gain), variance)
        });
        if value.re.is_finite() && value.im.is_finite() && variance < UNKNOWN {
            for (channel, value) in [(2 * pair, value.re), (2 * pair + 1, value.im)] {
                code.values[channel * blocks + block] = value;
                code.variance[channel * blocks + block] = variance;
            }
        }
    }
}
