//! Power offsets of analog segments, in quarters of a dB.
//!
//! Zero-forcing leaves on a symbol sent with power p an error of N₀/(|H|²p). Under a fixed total power the
//! sum of these errors, weighted by importance, is least for p in proportion to the square root of the
//! importance. Offsets are limited to ±[`MAX_OFFSET`], and the mean power of all analog symbols stays at
//! most one. Coded segments keep unit power: their MCS follows the channel instead.

use super::capacity::log2_256;

/// Largest offset either way, in quarters of a dB: 6 dB.
pub const MAX_OFFSET: i8 = 24;

/// Whether analog segments get power by importance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PowerRule {
    /// Unit power for all.
    #[default]
    Off,
    /// In proportion to the square root of the importance.
    Importance,
}

/// 10^(1/40), the factor of a quarter of a dB, with 32 fractional bits.
const QUARTER_DB: u128 = 4_549_460_107;

/// The power of an offset with 32 fractional bits.
fn power(offset: i8) -> u128 {
    (0..offset.unsigned_abs()).fold(1 << 32, |power, _| {
        if offset > 0 { (power * QUARTER_DB) >> 32 } else { (power << 32) / QUARTER_DB }
    })
}

/// The factor on a symbol's amplitude that an offset in quarters of a dB stands for.
pub fn amplitude(offset: i8) -> f32 {
    10f32.powf(f32::from(offset) / 80.0)
}

/// Offsets for segments of (importance, symbols); those that are not analog have no symbols here.
pub(super) fn offsets(segments: &[(u16, usize)]) -> Vec<i8> {
    let limit = i32::from(MAX_OFFSET);
    // 10·log₁₀ √x in quarter dB is 20·log₁₀ x = 6.0206·log₂ x.
    let wanted: Vec<i32> = segments
        .iter()
        .map(|&(importance, _)| (log2_256(u128::from(importance.max(1)), 0) * 1541 / 65_536) as i32)
        .collect();
    let lowered = |by: i32| -> Vec<i8> {
        wanted
            .iter()
            .zip(segments)
            .map(
                |(&offset, &(_, symbols))| {
                    if symbols == 0 { 0 } else { (offset - by).clamp(-limit, limit) as i8 }
                },
            )
            .collect()
    };
    let total = |offsets: &[i8]| -> u128 {
        let powers = offsets.iter().zip(segments);
        powers.map(|(&offset, &(_, symbols))| power(offset) * symbols as u128).sum()
    };
    let allowed = segments.iter().map(|&(_, symbols)| symbols as u128).sum::<u128>() << 32;
    // At the latest when every offset is at the lower limit, the total is below what is allowed.
    let highest = wanted.iter().copied().max().unwrap_or(0);
    let mut offsets = (-limit..=highest + limit)
        .map(lowered)
        .find(|offsets| total(offsets) <= allowed)
        .unwrap_or_else(|| vec![0; segments.len()]);
    // What rounding has left goes to the most important ones, a step each.
    let mut by_importance: Vec<usize> = (0..segments.len()).filter(|&i| segments[i].1 > 0).collect();
    by_importance.sort_by_key(|&index| std::cmp::Reverse(segments[index].0));
    for index in by_importance {
        if offsets[index] < MAX_OFFSET {
            offsets[index] += 1;
            if total(&offsets) > allowed {
                offsets[index] -= 1;
            }
        }
    }
    offsets
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_factor_of_four_in_importance_is_three_decibels() {
        assert_eq!(offsets(&[(400, 1000), (100, 1000)]), [5, -8]);
        assert_eq!(offsets(&[(7, 10), (7, 5000), (9, 0)]), [0, 0, 0]);
        assert_eq!(offsets(&[]), Vec::<i8>::new());
        assert_eq!(offsets(&[(0, 0)]), [0]);
    }

    #[test]
    fn powers_are_those_of_the_formula() {
        for offset in -MAX_OFFSET..=MAX_OFFSET {
            let exact = 10f64.powf(f64::from(offset) / 40.0);
            assert!((power(offset) as f64 / 2f64.powi(32) / exact - 1.0).abs() < 1e-6);
            assert!((f64::from(amplitude(offset)).powi(2) / exact - 1.0).abs() < 1e-5);
        }
    }

    proptest! {
        #[test]
        fn power_is_conserved_and_follows_importance(
            segments in proptest::collection::vec((any::<u16>(), 1usize..10_000), 1..20),
        ) {
            let offsets = offsets(&segments);
            let total: f64 = offsets
                .iter()
                .zip(&segments)
                .map(|(&offset, &(_, symbols))| f64::from(amplitude(offset)).powi(2) * symbols as f64)
                .sum();
            let mean = total / segments.iter().map(|&(_, symbols)| symbols as f64).sum::<f64>();
            prop_assert!(mean <= 1.0 + 1e-5, "{}", mean);
            for (a, first) in segments.iter().zip(&offsets) {
                for (b, second) in segments.iter().zip(&offsets) {
                    prop_assert!(a.0 < b.0 || first + 1 >= *second);
                }
            }
        }
    }
}
