//! The modular system: the values of a region → bytes that can be read by themselves, given the map.
//!
//! A value of variance v is a coefficient of variance v² (see [`crate::ae::basis`]); coefficients are quantised by a uniform step
//! with a dead zone, all of a region by the same one, which makes the mean square error smallest for its bytes. They are
//! written channel by channel, so that the end of a stream, if it is lost, costs the finest detail; each channel block by
//! block, with contexts from what was written of the same region ([`super::tables`]).
//!
//! Only integers decide what is read: two machines read the same, whatever their floating point does.

use rayon::prelude::*;

use super::analysis::Analysis;
use super::map::{MAX_STEP, Quantiser};
use super::tables::{LEAST_EXPONENT, NEIGHBOURS, PER_OCTAVE, RECENT, SYMBOLS, Tables};
use crate::CHECK_BYTES;
use crate::ae::network::CHANNELS;
use crate::ae::transform::Code;
use crate::coder::{Decoder, Encoder, Sink};

/// What is added before a coefficient is cut to an integer: 0.5 would round to the nearest, less gives a wider zero.
pub const ROUNDING: f32 = 0.42;
/// Noise variance that the decoder is told, over the square of the step, of a coefficient that is not zero and of one that is.
/// These are less than the errors: the decoder weighs noise against a channel's variance over all pictures, and would take
/// for noise what stands out in this one. On Kodak, the errors' own variances cost up to 2 dB.
pub const NOISE: (f32, f32) = (1.0 / 200.0, 1.0 / 6000.0);
/// Largest magnitude of a quantised coefficient.
const MOST: i32 = 1 << 20;
/// Where a block has no neighbour of the same region.
const NONE: u32 = u32::MAX;
/// Power of the importance's density to which errors count.
const WEIGHT_EXPONENT: f32 = 1.0;
/// Densities count as at least, and at most.
const DENSITIES: std::ops::RangeInclusive<f32> = 0.25..=4.0;

/// The blocks of a region, and who is whose neighbour.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Blocks of the picture, rising.
    pub blocks: Vec<u32>,
    /// For each block, those to the left, above, above and left, above and right, as places in `blocks`.
    neighbours: Vec<[u32; 4]>,
}

impl Layout {
    /// The layouts of all regions of a picture.
    pub fn of(of_block: &[u8], across: usize, regions: usize) -> Vec<Self> {
        let mut blocks = vec![Vec::new(); regions];
        let mut place = vec![0; of_block.len()];
        for (block, &region) in of_block.iter().enumerate() {
            let own = &mut blocks[usize::from(region)];
            place[block] = own.len() as u32;
            own.push(block as u32);
        }
        let neighbours = |block: &u32| {
            let block = *block as usize;
            let (row, column) = (block / across, block % across);
            let at = |there: bool, back: usize| {
                let other = there.then(|| block.wrapping_sub(back)).filter(|&other| other < of_block.len());
                other.filter(|&other| of_block[other] == of_block[block]).map_or(NONE, |other| place[other])
            };
            [
                at(column > 0, 1),
                at(row > 0, across),
                at(row > 0 && column > 0, across + 1),
                at(row > 0 && column + 1 < across, across.wrapping_sub(1)),
            ]
        };
        blocks
            .into_iter()
            .map(|blocks| Self { neighbours: blocks.iter().map(neighbours).collect(), blocks })
            .collect()
    }
}

/// Size of a quantiser's step in a coefficient.
pub fn step_size(step: u8) -> f32 {
    (f32::from(step) / PER_OCTAVE as f32 + LEAST_EXPONENT as f32).exp2()
}

/// The coefficients of a region: all of the first channel, then all of the second, and so on.
pub fn coefficients(values: &[f32], variance: &[f32], picture_blocks: usize, layout: &Layout) -> Vec<f32> {
    let mut coefficients = Vec::with_capacity(CHANNELS * layout.blocks.len());
    for (values, variance) in values.chunks_exact(picture_blocks).zip(variance) {
        let scale = variance.sqrt();
        coefficients.extend(layout.blocks.iter().map(|&block| values[block as usize] * scale));
    }
    coefficients
}

/// Quantises; returns the integers and how many channels have any.
pub fn quantise(coefficients: &[f32], blocks: usize, step: u8) -> (Vec<i32>, usize) {
    let scale = 1.0 / step_size(step);
    let quantised: Vec<i32> = coefficients
        .iter()
        .map(|&coefficient| {
            let magnitude = ((coefficient.abs() * scale + ROUNDING) as i32).min(MOST);
            if coefficient < 0.0 { -magnitude } else { magnitude }
        })
        .collect();
    let last = quantised.iter().rposition(|&value| value != 0).unwrap_or(0);
    let channels = last / blocks.max(1) + 1;
    (quantised, channels)
}

/// What is known of a region while it is written or read.
struct Progress<'a> {
    tables: &'a Tables,
    layout: &'a Layout,
    level: usize,
    predicted: bool,
    /// Of this channel: what was written, and the values.
    residuals: Vec<i32>,
    values: Vec<i32>,
    /// How large the last values of each block were, 16 if each were one.
    recent: Vec<u32>,
}

impl<'a> Progress<'a> {
    fn new(tables: &'a Tables, layout: &'a Layout) -> Self {
        let blocks = layout.blocks.len();
        Self {
            tables,
            layout,
            level: 0,
            predicted: false,
            residuals: vec![0; blocks],
            values: vec![0; blocks],
            recent: vec![8; blocks],
        }
    }

    fn begin(&mut self, channel: usize, step: u8) {
        self.level = self.tables.level(channel, step);
        self.predicted = self.tables.predicted[channel];
    }

    /// What neighbours make likely.
    fn prediction(&self, block: usize) -> i32 {
        if !self.predicted {
            return 0;
        }
        let [left, above, corner, _] = self.layout.neighbours[block];
        let value = |at: u32| self.values.get(at as usize).copied();
        match (value(left), value(above), value(corner)) {
            // The median of both and their plane, as in LOCO-I.
            (Some(a), Some(b), Some(c)) => (a + b - c).clamp(a.min(b), a.max(b)),
            (Some(a), Some(b), None) => (a + b) / 2,
            (Some(a), None, _) | (None, Some(a), _) => a,
            (None, None, c) => c.unwrap_or(0),
        }
    }

    fn context(&self, block: usize) -> usize {
        let [left, above, corner, right] = self.layout.neighbours[block];
        let size = |at: u32| self.residuals.get(at as usize).map(|value| value.unsigned_abs().min(64));
        let near = match (size(left), size(above)) {
            (Some(a), Some(b)) => Some(2 * (a + b)),
            (Some(a), None) | (None, Some(a)) => Some(4 * a),
            (None, None) => None,
        };
        let neighbours = near.map_or(NEIGHBOURS - 1, |near| {
            match near + size(corner).unwrap_or(near / 4) + size(right).unwrap_or(near / 4) {
                0 => 0,
                1..=2 => 1,
                3..=4 => 2,
                5..=8 => 3,
                9..=14 => 4,
                15..=24 => 5,
                _ => 6,
            }
        });
        let recent = match self.recent[block] {
            0..=2 => 0,
            3..=7 => 1,
            8..=15 => 2,
            16..=31 => 3,
            32..=63 => 4,
            _ => 5,
        };
        (self.level * NEIGHBOURS + neighbours) * RECENT + recent
    }

    fn learn(&mut self, block: usize, residual: i32, value: i32) {
        self.residuals[block] = residual;
        self.values[block] = value;
        if !self.predicted {
            let recent = &mut self.recent[block];
            *recent = *recent - (*recent >> 2) + (residual.unsigned_abs().min(63) << 2);
        }
    }
}

/// Writes the first `channels` channels of a region.
pub fn write(
    sink: &mut impl Sink,
    tables: &Tables,
    layout: &Layout,
    step: u8,
    quantised: &[i32],
    channels: usize,
) {
    let mut progress = Progress::new(tables, layout);
    let blocks = layout.blocks.len();
    for (channel, values) in quantised.chunks_exact(blocks.max(1)).take(channels).enumerate() {
        progress.begin(channel, step);
        for (block, &value) in values.iter().enumerate() {
            let residual = value - progress.prediction(block);
            let magnitude = residual.unsigned_abs();
            let context = progress.context(block);
            let symbol = (magnitude as usize).min(SYMBOLS - 1);
            sink.symbol(symbol, tables.cumulative(context), context);
            if symbol == SYMBOLS - 1 {
                sink.gamma(magnitude - (SYMBOLS as u32 - 2));
            }
            if residual != 0 {
                sink.bit(residual < 0);
            }
            progress.learn(block, residual, value);
        }
    }
}

/// Reads a region, as far as its bytes go: all blocks of the first channel, then all of the second, and so on. `cut`: more bytes
/// belong to it, which did not arrive.
pub fn read(bytes: &[u8], cut: bool, tables: &Tables, layout: &Layout, quantiser: Quantiser) -> Vec<i32> {
    let mut decoder = Decoder::new(bytes, cut);
    let mut progress = Progress::new(tables, layout);
    let channels = quantiser.channels.min(CHANNELS);
    let mut quantised = Vec::with_capacity(channels * layout.blocks.len());
    for channel in 0..channels {
        progress.begin(channel, quantiser.step);
        for block in 0..layout.blocks.len() {
            let context = progress.context(block);
            let Some(residual) = read_residual(&mut decoder, tables.cumulative(context)) else {
                return quantised;
            };
            let value = (progress.prediction(block) + residual).clamp(-MOST, MOST);
            progress.learn(block, residual, value);
            quantised.push(value);
        }
    }
    quantised
}

fn read_residual(decoder: &mut Decoder, cumulative: &[u16]) -> Option<i32> {
    let symbol = decoder.symbol(cumulative)?;
    let magnitude = if symbol == SYMBOLS - 1 {
        decoder.gamma()?.checked_add(SYMBOLS as u32 - 2)? as i32
    } else {
        symbol as i32
    };
    Some(if magnitude != 0 && decoder.bit()? { -magnitude } else { magnitude })
}

/// Puts what was read of a region among the values of the picture, each with its noise variance.
pub fn place(quantised: &[i32], layout: &Layout, quantiser: Quantiser, variance: &[f32], code: &mut Code) {
    let picture_blocks = code.across * code.down;
    let blocks = layout.blocks.len();
    let size = step_size(quantiser.step);
    let (fine, zero) = (size * size * NOISE.0, size * size * NOISE.1);
    // Channels that were not written are zero, in blocks of which anything was read.
    let rest = quantiser.channels * blocks..CHANNELS * blocks;
    let rest = rest.filter(|at| at % blocks < quantised.len()).map(|at| (at, 0));
    for (at, value) in quantised.iter().copied().enumerate().chain(rest) {
        let (channel, block) = (at / blocks, layout.blocks[at % blocks] as usize);
        let target = channel * picture_blocks + block;
        let coefficient = value as f32 * size;
        code.values[target] = coefficient / variance[channel].sqrt();
        code.variance[target] = if value == 0 { zero } else { fine } / variance[channel];
    }
}

/// A region as it is sent.
#[derive(Clone, Debug)]
pub struct Written {
    /// How it was quantised.
    pub quantiser: Quantiser,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Quantises and writes a region.
pub fn encode(coefficients: &[f32], tables: &Tables, layout: &Layout, step: u8) -> Written {
    let (quantised, channels) = quantise(coefficients, layout.blocks.len(), step);
    let mut encoder = Encoder::default();
    write(&mut encoder, tables, layout, step, &quantised, channels);
    Written { quantiser: Quantiser { step, channels }, bytes: encoder.finish() }
}

/// By how many steps of the ladder of sizes a region is quantised more finely than one of mean importance.
pub fn refinements(analysis: &Analysis) -> Vec<i32> {
    let finer = |density: f32| {
        // At high rates the best squared step is the inverse of the weight of an error.
        let density = density.clamp(*DENSITIES.start(), *DENSITIES.end());
        (0.5 * WEIGHT_EXPONENT * PER_OCTAVE as f32 * density.log2()).round() as i32
    };
    analysis.densities().into_iter().map(finer).collect()
}

/// A region that is to be sent.
pub struct Candidate<'a> {
    /// Its coefficients.
    pub coefficients: Vec<f32>,
    /// Its blocks.
    pub layout: &'a Layout,
    /// By how many steps it is quantised more finely than others.
    pub finer: i32,
    /// What a byte of it costs, over what one costs on the link's own step, times 256.
    pub cost_256: u16,
}

/// The finest quantisation of these regions, of falling importance, that costs at most `budget` bytes of the link's own step;
/// otherwise what the coarsest costs.
pub fn fit(candidates: &[Candidate], tables: &Tables, budget: usize) -> Result<Vec<Written>, usize> {
    let step =
        |base: i32, candidate: &Candidate| (base - candidate.finer).clamp(0, i32::from(MAX_STEP)) as u8;
    let write = |base: i32| -> Vec<Written> {
        candidates
            .par_iter()
            .map(|candidate| encode(&candidate.coefficients, tables, candidate.layout, step(base, candidate)))
            .collect()
    };
    let cost = |written: &[Written]| -> usize {
        let each = candidates.iter().zip(written);
        each.map(|(candidate, written)| cost_of(written.bytes.len(), candidate.cost_256)).sum()
    };
    // The coarsest of the range must fit; then the range is halved.
    let (mut fine, mut coarse) = (-1, i32::from(MAX_STEP) + 2 * PER_OCTAVE);
    let mut best = write(coarse);
    if cost(&best) > budget {
        return Err(cost(&best));
    }
    while coarse - fine > 1 {
        let middle = (fine + coarse) / 2;
        let written = write(middle);
        if cost(&written) <= budget {
            (coarse, best) = (middle, written);
        } else {
            fine = middle;
        }
    }
    // What is left goes to the most important that it suffices for.
    let mut left = budget - cost(&best);
    for (candidate, written) in candidates.iter().zip(&mut best) {
        let Some(step) = written.quantiser.step.checked_sub(1) else { continue };
        let finer = encode(&candidate.coefficients, tables, candidate.layout, step);
        let before = cost_of(written.bytes.len(), candidate.cost_256);
        let after = cost_of(finer.bytes.len(), candidate.cost_256);
        if after.saturating_sub(before) <= left {
            left = left + before - after;
            *written = finer;
        }
    }
    Ok(best)
}

/// What the bytes of a feature cost, with the check sum of the segment that carries them, in bytes of the link's own step.
pub fn cost_of(bytes: usize, cost_256: u16) -> usize {
    ((bytes + CHECK_BYTES) * usize::from(cost_256)).div_ceil(256)
}
