//! Tables of the modular system: how likely each quantised value is, in integers that both ends share.
//!
//! The context of a value has three parts: how large values of its channel are against the step ([`LEVELS`]), how large those
//! of the neighbouring blocks in the same channel were ([`NEIGHBOURS`]), and how large the last ones of its own block
//! ([`RECENT`]). For each context a file holds the frequencies of [`SYMBOLS`] magnitudes; they were counted over
//! pictures by [`crate::training::sct_tables`].
//!
//! | bytes | content, little endian |
//! |---|---|
//! | 4 | `SCTT` |
//! | 1 | version, 1 |
//! | 2 | channels |
//! | 3 each | standard deviation of the channel, eighths of an octave from 2⁻¹⁰ on (`i16`); 1 if it is predicted from neighbours |
//! | 2 | contexts |
//! | 32 each | frequencies of the magnitudes, of 4096 |

use crate::ae::network::CHANNELS;
use crate::coder::{ONE, Sink, is_cumulative};

/// The tables that come with the program; their card lies beside them.
pub static DEFAULT: &[u8] = include_bytes!("../../weights/sct-tables.bin");

/// Classes of a channel's size against the step, half octaves from 2⁻⁵ on.
pub const LEVELS: usize = 16;
/// Classes of the neighbours' magnitudes; the last where there are none.
pub const NEIGHBOURS: usize = 8;
/// Classes of the magnitudes of a block's last values.
pub const RECENT: usize = 6;
/// Contexts in all.
pub const CONTEXTS: usize = LEVELS * NEIGHBOURS * RECENT;
/// Magnitudes that have a frequency; the last stands for all from there on.
pub const SYMBOLS: usize = 16;

/// Steps of a channel's size, or of a quantiser's, in an octave.
pub const PER_OCTAVE: i32 = 8;
/// The exponent of two of the smallest size.
pub const LEAST_EXPONENT: i32 = -10;

const MAGIC: &[u8; 4] = b"SCTT";
const VERSION: u8 = 1;
/// How much the frequencies over all neighbours count among those of a context, in values.
const BACKOFF: f64 = 8.0;

/// Cumulative frequencies of the magnitudes in a context.
pub type Cumulative = [u16; SYMBOLS + 1];

/// Everything that both ends must share to read values.
#[derive(Clone, Debug, PartialEq)]
pub struct Tables {
    /// Standard deviation of each channel, see the module's description.
    pub sizes: Vec<i16>,
    /// Whether a channel's values are predicted from those of neighbouring blocks.
    pub predicted: Vec<bool>,
    cumulative: Vec<Cumulative>,
}

impl Tables {
    /// From what was measured and counted.
    pub fn new(sizes: Vec<i16>, predicted: Vec<bool>, counts: &Counts) -> Self {
        Self { sizes, predicted, cumulative: counts.cumulative() }
    }

    /// The level of a channel under a step.
    pub fn level(&self, channel: usize, step: u8) -> usize {
        let excess = i32::from(self.sizes[channel]) - i32::from(step);
        ((excess + 5 * PER_OCTAVE) >> 2).clamp(0, LEVELS as i32 - 1) as usize
    }

    /// Cumulative frequencies in a context.
    pub fn cumulative(&self, context: usize) -> &Cumulative {
        &self.cumulative[context]
    }

    /// To bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        bytes.extend((self.sizes.len() as u16).to_le_bytes());
        for (size, &predicted) in self.sizes.iter().zip(&self.predicted) {
            bytes.extend(size.to_le_bytes());
            bytes.push(u8::from(predicted));
        }
        bytes.extend((self.cumulative.len() as u16).to_le_bytes());
        for cumulative in &self.cumulative {
            bytes.extend(cumulative.windows(2).flat_map(|pair| (pair[1] - pair[0]).to_le_bytes()));
        }
        bytes
    }

    /// From bytes that may be anything.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut rest = bytes;
        let mut take = |count: usize| {
            let (taken, left) = rest.split_at_checked(count).ok_or("the tables end too early")?;
            rest = left;
            Ok::<_, String>(taken)
        };
        let word = |bytes: &[u8]| u16::from_le_bytes([bytes[0], bytes[1]]);
        if take(4)? != MAGIC || take(1)? != [VERSION] {
            return Err(format!("no tables of version {VERSION}"));
        }
        let channels = usize::from(word(take(2)?));
        if channels != CHANNELS {
            return Err(format!("tables for {channels} channels instead of {CHANNELS}"));
        }
        let (mut sizes, mut predicted) = (Vec::new(), Vec::new());
        for entry in take(3 * CHANNELS)?.chunks_exact(3) {
            sizes.push(word(entry) as i16);
            predicted.push(entry[2] == 1);
        }
        let contexts = usize::from(word(take(2)?));
        if contexts != CONTEXTS {
            return Err(format!("tables of {contexts} contexts instead of {CONTEXTS}"));
        }
        let mut cumulative = Vec::with_capacity(CONTEXTS);
        for entry in take(2 * SYMBOLS * CONTEXTS)?.chunks_exact(2 * SYMBOLS) {
            let mut table: Cumulative = [0; SYMBOLS + 1];
            for (at, frequency) in entry.chunks_exact(2).enumerate() {
                table[at + 1] = table[at].saturating_add(word(frequency));
            }
            if !is_cumulative(&table) {
                return Err(format!("frequencies that are no 1 to {ONE}, and {ONE} in all"));
            }
            cumulative.push(table);
        }
        if rest.is_empty() {
            Ok(Self { sizes, predicted, cumulative })
        } else {
            Err(format!("{} bytes too many behind the tables", rest.len()))
        }
    }
}

/// Counts magnitudes by context.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts(Vec<[u32; SYMBOLS]>);

impl Default for Counts {
    fn default() -> Self {
        Self(vec![[0; SYMBOLS]; CONTEXTS])
    }
}

impl Sink for Counts {
    fn symbol(&mut self, symbol: usize, _cumulative: &[u16], context: usize) {
        self.0[context][symbol] += 1;
    }

    fn bit(&mut self, _bit: bool) {}
}

impl Counts {
    /// The counts of both.
    pub fn add(&mut self, other: &Self) {
        for (own, others) in self.0.iter_mut().zip(&other.0) {
            own.iter_mut().zip(others).for_each(|(own, other)| *own = own.saturating_add(*other));
        }
    }

    /// Frequencies, each at least 1. A context that was seen rarely leans on all those of its level, these on a law.
    fn cumulative(&self) -> Vec<Cumulative> {
        let per_level = NEIGHBOURS * RECENT;
        let mut tables = Vec::with_capacity(CONTEXTS);
        for (level, contexts) in self.0.chunks_exact(per_level).enumerate() {
            // Of a Laplacian of this size, about.
            let decay = 1.0 - 1.0 / (1.0 + 0.7 * 2_f64.powf(0.5 * level as f64 - 5.0));
            let law: [f64; SYMBOLS] = std::array::from_fn(|at| (1.0 - decay) * decay.powi(at as i32));
            let sums: [f64; SYMBOLS] =
                std::array::from_fn(|at| contexts.iter().map(|counts| f64::from(counts[at])).sum());
            let general = mixed(&sums, &law);
            tables.extend(contexts.iter().map(|counts| integers(&mixed(&counts.map(f64::from), &general))));
        }
        tables
    }
}

/// Counts with a prior of the weight [`BACKOFF`], as probabilities.
fn mixed(counts: &[f64; SYMBOLS], prior: &[f64; SYMBOLS]) -> [f64; SYMBOLS] {
    let total = counts.iter().sum::<f64>() + BACKOFF * prior.iter().sum::<f64>();
    std::array::from_fn(|at| (counts[at] + BACKOFF * prior[at]) / total)
}

/// Probabilities as cumulative frequencies.
fn integers(probabilities: &[f64; SYMBOLS]) -> Cumulative {
    let free = f64::from(ONE) - SYMBOLS as f64;
    let mut frequencies: [u16; SYMBOLS] = std::array::from_fn(|at| 1 + (free * probabilities[at]) as u16);
    let sum: u16 = frequencies.iter().sum();
    let greatest = (0..SYMBOLS).max_by_key(|&at| frequencies[at]).unwrap_or(0);
    frequencies[greatest] += ONE - sum;
    let mut cumulative = [0; SYMBOLS + 1];
    (0..SYMBOLS).for_each(|at| cumulative[at + 1] = cumulative[at] + frequencies[at]);
    cumulative
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_that_come_with_the_program_are_some() {
        let tables = Tables::parse(DEFAULT).unwrap();
        assert_eq!(tables.to_bytes(), DEFAULT);
        assert!(tables.predicted.iter().any(|&predicted| predicted));
    }

    #[test]
    fn counts_become_frequencies() {
        let mut counts = Counts::default();
        for at in 0..10_000 {
            counts.symbol(usize::from(at % 4 == 0), &[], 77);
        }
        let tables = Tables::new(vec![0; CHANNELS], vec![false; CHANNELS], &counts);
        assert!(tables.cumulative.iter().all(|table| is_cumulative(table)));
        assert!((f64::from(tables.cumulative(77)[1]) / f64::from(ONE) - 0.75).abs() < 0.01);
        assert_eq!(Tables::parse(&tables.to_bytes()), Ok(tables.clone()));
        assert!(Tables::parse(&tables.to_bytes()[1..]).is_err());
        let mut longer = tables.to_bytes();
        longer.push(0);
        assert!(Tables::parse(&longer).is_err());
    }
}
