//! Random regions of crops: how many symbols each gets, how strongly it is sent, and which are lost as a whole.
//!
//! A region is the blocks nearest to one of a few random places, so it is connected. Within it, rates follow the picture as
//! in [`super::super::channel`]; between regions, the importance differs at random. A region of unit power of its own has an
//! amplitude that its neighbours do not have, hence a random one.

use rand::Rng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

use super::super::channel::{Block, Setting, symbols};
use super::super::pictures::GROUP;
use crate::ae::network::CHANNELS;
use crate::ae::rates::gain;

/// Most regions of a crop.
const MOST: usize = 6;
/// Standard deviation of the logarithm of a region's importance.
const IMPORTANCE_SPREAD: f32 = 0.5;
/// Range of the logarithm of a region's amplitude.
const LOG_AMPLITUDE: std::ops::Range<f32> = -0.5..0.8;

/// Share of the lost regions that lose only their end, as a stream of bytes does: what comes before is there.
const CUT_SHORT: f64 = 0.5;

/// Chances of what happens to the regions of a group.
#[derive(Clone, Copy, Debug)]
pub struct Chances {
    /// That any of its regions are lost.
    pub damaged: f64,
    /// That a region of such a group is lost.
    pub lost: f64,
}

impl Chances {
    /// Nothing is lost.
    pub const NONE: Self = Self { damaged: 0.0, lost: 0.0 };
}

/// The region of each of `side` × `side` blocks, row by row, and how many regions there are.
fn partition(side: usize, rng: &mut StdRng) -> (Vec<usize>, usize) {
    let count = rng.random_range(1..=MOST.min(side * side));
    let mut coordinate = || rng.random_range(0.0..side as f32);
    let seeds: Vec<[f32; 2]> = (0..count).map(|_| [coordinate(), coordinate()]).collect();
    let nearest = |block: usize| {
        let (x, y) = ((block % side) as f32 + 0.5, (block / side) as f32 + 0.5);
        let distance = |seed: &[f32; 2]| (seed[0] - x).powi(2) + (seed[1] - y).powi(2);
        (0..count).min_by(|&a, &b| distance(&seeds[a]).total_cmp(&distance(&seeds[b]))).unwrap_or(0)
    };
    ((0..side * side).map(nearest).collect(), count)
}

/// How many channels of a region arrive.
fn arriving(damaged: bool, chances: Chances, rng: &mut StdRng) -> usize {
    if !damaged || !rng.random_bool(chances.lost) {
        usize::MAX
    } else if rng.random_bool(CUT_SHORT) {
        // As likely among the first few as among the many last.
        rng.random_range(0.0..(CHANNELS as f32).ln()).exp() as usize
    } else {
        0
    }
}

/// Regions of the crops of a batch.
pub struct Regions {
    /// How each block is sent, row by row of each crop.
    pub blocks: Vec<Block>,
    /// Which region of its crop each block belongs to.
    pub of_block: Vec<usize>,
}

/// Draws the regions of a batch; `activity` holds a positive value for each of `side` × `side` blocks of each crop.
pub fn draw(
    settings: &[Setting],
    activity: &[f32],
    side: usize,
    chances: Chances,
    rng: &mut StdRng,
) -> Regions {
    let places = side * side;
    let mut out = Regions { blocks: Vec::new(), of_block: Vec::new() };
    for (setting, activity) in settings.iter().zip(activity.chunks_exact(GROUP * places)) {
        let mean = activity.iter().map(|value| value.ln()).sum::<f32>() / activity.len() as f32;
        let damaged = rng.random_bool(chances.damaged);
        let (mut wanted, mut sent) = (Vec::new(), Vec::new());
        for activity in activity.chunks_exact(places) {
            let (of_block, count) = partition(side, rng);
            let regions: Vec<(f32, f32, usize)> = (0..count)
                .map(|_| {
                    let normal: f32 = StandardNormal.sample(rng);
                    let amplitude = rng.random_range(LOG_AMPLITUDE).exp();
                    (IMPORTANCE_SPREAD * normal, amplitude, arriving(damaged, chances, rng))
                })
                .collect();
            for (activity, &region) in activity.iter().zip(&of_block) {
                let (importance, amplitude, arriving) = regions[region];
                wanted.push((setting.adaptation * (activity.ln() - mean) + importance).exp());
                sent.push((amplitude, arriving));
            }
            out.of_block.extend(of_block);
        }
        let symbols = symbols(&Setting { adaptation: 1.0, ..*setting }, &wanted);
        out.blocks.extend(symbols.into_iter().zip(sent).map(|(symbols, (amplitude, arriving))| Block {
            symbols,
            amplitude: gain(symbols) * amplitude,
            arriving,
        }));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn regions_are_connected_and_of_one_fate() {
        let mut rng = StdRng::seed_from_u64(1);
        for side in [2, 5, 8] {
            for _ in 0..20 {
                let (of_block, count) = partition(side, &mut rng);
                for region in 0..count {
                    let members: Vec<usize> =
                        (0..side * side).filter(|&block| of_block[block] == region).collect();
                    let Some(&first) = members.first() else { continue };
                    // What can be walked to from the first member.
                    let mut reached = vec![first];
                    let mut next = 0;
                    while let Some(&at) = reached.get(next) {
                        next += 1;
                        for &other in &members {
                            let (dx, dy) =
                                ((at % side).abs_diff(other % side), (at / side).abs_diff(other / side));
                            if dx.max(dy) == 1 && !reached.contains(&other) {
                                reached.push(other);
                            }
                        }
                    }
                    assert_eq!(reached.len(), members.len());
                }
            }
        }
    }

    #[test]
    fn rates_differ_and_losses_come_in_the_share_that_was_asked_for() {
        let mut rng = StdRng::seed_from_u64(2);
        let settings = vec![Setting::awgn(48, 1.0); 200];
        let activity = vec![1.0; 200 * GROUP * 64];
        let of = |damaged, lost, rng: &mut StdRng| {
            draw(&settings, &activity, 8, Chances { damaged, lost }, rng).blocks
        };
        let blocks = of(0.5, 0.4, &mut rng);
        for (what, wanted) in [(0..1, 0.1), (1..CHANNELS, 0.1)] {
            let share = blocks.iter().filter(|block| what.contains(&block.arriving)).count() as f32;
            let share = share / blocks.len() as f32;
            assert!((0.5 * wanted..1.5 * wanted).contains(&share), "{share} of {what:?}");
        }
        let mut rates: Vec<usize> = blocks.iter().map(|block| block.symbols).collect();
        rates.sort_unstable();
        rates.dedup();
        assert!(rates.len() > 4, "{rates:?}");
        assert!(of(0.0, 1.0, &mut rng).iter().all(|block| block.arriving >= CHANNELS));
    }
}
