//! The order in which resource blocks are given away.
//!
//! What crosses the air of an SNR is its level: the sixteenth of all blocks, sorted by SNR, to which the
//! block belongs. Levels by rank keep the order wherever most blocks lie, however deep the fades are.

use super::Strategy;

/// Levels of a gain on the air: 0 the worst sixteenth of the blocks, 15 the best.
pub(super) const LEVELS: usize = 16;

/// The level of every block; equal SNRs are ranked by index, the lower one first.
pub(super) fn levels(snr_half_db: &[i8]) -> Vec<u8> {
    let mut ranked: Vec<usize> = (0..snr_half_db.len()).collect();
    ranked.sort_by_key(|&block| std::cmp::Reverse(snr_half_db[block]));
    let mut levels = vec![0; snr_half_db.len()];
    for (rank, &block) in ranked.iter().enumerate() {
        levels[block] = (LEVELS - 1 - rank * LEVELS / snr_half_db.len()) as u8;
    }
    levels
}

/// Writes the order of `count` blocks for a strategy; `levels` counts for those that look at the channel,
/// `segments` for the one that deals.
pub(super) fn order_blocks(
    strategy: Strategy,
    levels: &[u8],
    count: usize,
    segments: usize,
    order: &mut Vec<u16>,
) {
    order.clear();
    order.extend(0..count as u16);
    let level = |&block: &u16| levels.get(usize::from(block)).copied().unwrap_or(0);
    match strategy {
        Strategy::None => {}
        Strategy::Importance => order.sort_by_key(|block| std::cmp::Reverse(level(block))),
        Strategy::Inverse => order.sort_by_key(level),
        Strategy::Random { seed } => shuffle(seed, order),
        Strategy::Equal => {
            let hands = segments.max(1) as u16;
            order.sort_by_key(|block| block % hands);
        }
    }
}

/// Fisher and Yates' shuffle with the generator SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
fn shuffle(seed: u16, order: &mut [u16]) {
    let mut state = u64::from(seed);
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    };
    for last in (1..order.len()).rev() {
        let chosen = (u128::from(next()) * (last as u128 + 1)) >> 64;
        order.swap(last, chosen as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(strategy: Strategy, snr: &[i8], segments: usize) -> Vec<u16> {
        let mut order = Vec::new();
        order_blocks(strategy, &levels(snr), snr.len(), segments, &mut order);
        order
    }

    #[test]
    fn levels_are_sixteenths_by_rank() {
        assert_eq!(levels(&[10, 30, 20]), [5, 15, 10]);
        let rising: Vec<i8> = (0..32).collect();
        assert_eq!(levels(&rising), (0..32).map(|i| i / 2).collect::<Vec<u8>>());
        assert_eq!(levels(&[]), Vec::<u8>::new());
    }

    #[test]
    fn orders_are_the_same_in_every_release() {
        let snr = [4, -3, 17, 9, 9, 30, -20, 0];
        assert_eq!(order(Strategy::Importance, &snr, 3), [5, 2, 3, 4, 0, 7, 1, 6]);
        assert_eq!(order(Strategy::Inverse, &snr, 3), [6, 1, 7, 0, 4, 3, 2, 5]);
        assert_eq!(order(Strategy::Equal, &snr, 3), [0, 3, 6, 1, 4, 7, 2, 5]);
        assert_eq!(order(Strategy::Random { seed: 0 }, &snr, 3), [1, 2, 6, 5, 4, 0, 3, 7]);
        assert_eq!(order(Strategy::Random { seed: 1 }, &snr, 3), [0, 3, 7, 1, 2, 6, 5, 4]);
    }
}
