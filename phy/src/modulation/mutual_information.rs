//! Effective SNR: the SNRs of many resource blocks → the SNR of the flat channel that carries as much.
//!
//! The code sees the average of what the blocks carry, so the SNRs are averaged as mutual information
//! of the constellation with bit-interleaved coded modulation, not in dB and not as power.
//!
//! References: K. Brueninghaus et al., "Link performance models for system level simulations of
//! broadband radio access systems", IEEE PIMRC 2005 (MIESM); G. Caire, G. Taricco and E. Biglieri,
//! "Bit-interleaved coded modulation", IEEE Trans. Inf. Theory 44(3), 1998, eq. 15.

use super::Modulation;
use super::capacity_table::{CAPACITIES, FIRST_SNR_DB};

/// Mutual information of a symbol, in bits, at an SNR in dB; NaN gives 0.
pub fn capacity_bits(modulation: Modulation, snr_db: f32) -> f32 {
    let table = table(modulation);
    let first_db = FIRST_SNR_DB as f32;
    if snr_db.is_nan() {
        return 0.0;
    }
    if snr_db < first_db {
        // There, capacity is in proportion to the SNR.
        return table[0] * 10f32.powf((snr_db - first_db) / 10.0);
    }
    let place = (snr_db - first_db).min((table.len() - 1) as f32);
    let index = (place as usize).min(table.len() - 2);
    table[index] + (table[index + 1] - table[index]) * (place - index as f32)
}

/// SNR in dB at which a symbol carries `bits` bits, the inverse of [`capacity_bits`].
pub fn snr_db_for_capacity(modulation: Modulation, bits: f32) -> f32 {
    let table = table(modulation);
    let first_db = FIRST_SNR_DB as f32;
    if bits.is_nan() || bits <= table[0] {
        return first_db + 10.0 * (bits.max(1e-9) / table[0]).log10();
    }
    // At the top the table is flat to the last digit: the first entry that reaches `bits` is taken.
    let index = table.partition_point(|&entry| entry < bits).min(table.len() - 1);
    let (below, above) = (table[index - 1], table[index]);
    let fraction = if above > below { ((bits - below) / (above - below)).min(1.0) } else { 1.0 };
    first_db + (index - 1) as f32 + fraction
}

/// The flat channel's SNR in dB that carries, with this modulation, what the blocks carry on average.
///
/// No block at all gives negative infinity.
pub fn effective_snr_db(snr_db_per_block: &[f32], modulation: Modulation) -> f32 {
    if snr_db_per_block.is_empty() {
        return f32::NEG_INFINITY;
    }
    let sum: f32 = snr_db_per_block.iter().map(|&snr_db| capacity_bits(modulation, snr_db)).sum();
    snr_db_for_capacity(modulation, sum / snr_db_per_block.len() as f32)
}

fn table(modulation: Modulation) -> &'static [f32; 57] {
    match modulation {
        Modulation::Qpsk => &CAPACITIES[0],
        Modulation::Qam16 => &CAPACITIES[1],
        Modulation::Qam64 => &CAPACITIES[2],
        Modulation::Qam256 => &CAPACITIES[3],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The integral of eq. 15 by the rectangle rule, on one axis, doubled.
    fn integrate(modulation: Modulation, snr_db: f64) -> f64 {
        let axis_bits = usize::from(modulation.bits_per_symbol()) / 2;
        let points = 1usize << axis_bits;
        let mut symbols = Vec::new();
        let bit = |point: usize, index: usize| (point >> index & 1) as u8;
        let bits: Vec<u8> =
            (0..points).flat_map(|p| (0..axis_bits).flat_map(move |i| [bit(p, i), 0])).collect();
        modulation.map(&bits, &mut symbols);
        let levels: Vec<f64> = symbols.iter().map(|symbol| f64::from(symbol.re)).collect();
        let variance = 0.5 * 10f64.powf(-snr_db / 10.0);
        let deviation = variance.sqrt();
        let step = deviation / 10.0;
        let (mut place, mut total) = (-1.5 - 8.0 * deviation, 0.0);
        while place < 1.5 + 8.0 * deviation {
            let densities: Vec<f64> =
                levels.iter().map(|x| (-(place - x).powi(2) / (2.0 * variance)).exp()).collect();
            let sum: f64 = densities.iter().sum();
            for index in 0..axis_bits {
                for value in 0..2 {
                    let part: f64 =
                        (0..points).filter(|&p| bit(p, index) == value).map(|p| densities[p]).sum();
                    if part > 1e-300 {
                        total += part / points as f64 * (2.0 * part / sum).log2() * step;
                    }
                }
            }
            place += step;
        }
        2.0 * total / (std::f64::consts::TAU * variance).sqrt()
    }

    #[test]
    fn table_equals_the_integral() {
        for modulation in Modulation::ALL {
            for snr_db in (-20..=36).step_by(7) {
                let expected = integrate(modulation, f64::from(snr_db));
                let actual = capacity_bits(modulation, snr_db as f32);
                assert!(
                    (f64::from(actual) - expected).abs() < 2e-4,
                    "{modulation:?} {snr_db} {actual} {expected}"
                );
            }
        }
    }

    #[test]
    fn inverse_undoes_the_capacity() {
        for modulation in Modulation::ALL {
            let top = f32::from(modulation.bits_per_symbol()) * 3.5;
            for snr_db in [-30.0, -20.0, -7.3, 0.0, 2.5, top - 1.0] {
                let back = snr_db_for_capacity(modulation, capacity_bits(modulation, snr_db));
                assert!((back - snr_db).abs() < 0.05, "{modulation:?} {snr_db} {back}");
            }
        }
    }

    #[test]
    fn a_flat_channel_is_its_own_equal_and_a_fade_costs() {
        for modulation in Modulation::ALL {
            assert!((effective_snr_db(&[5.0; 9], modulation) - 5.0).abs() < 0.01);
            let faded = effective_snr_db(&[15.0, 15.0, 15.0, -5.0], modulation);
            assert!((-5.0..15.0).contains(&faded));
        }
        assert_eq!(effective_snr_db(&[], Modulation::Qpsk), f32::NEG_INFINITY);
        assert!(
            effective_snr_db(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY], Modulation::Qam64).is_finite()
        );
    }
}
