//! Capacity of a resource element as an integer: SNR in half dB → log₂(1 + SNR) in 1/256 bit.
//!
//! Evaluated at compile time in fixed point, so that it is the same number on every machine.

/// 10^(1/20), the factor of half a dB, with 40 fractional bits.
const HALF_DB: u128 = 1_233_672_337_084;
const FRACTION: u32 = 40;

const CAPACITIES: [u16; 256] = {
    let mut table = [0; 256];
    let (mut up, mut down) = (1u128 << FRACTION, 1u128 << FRACTION);
    let mut step = 0;
    while step <= 128 {
        if step < 128 {
            table[128 + step] = log2_256((1 << FRACTION) + up, FRACTION) as u16;
        }
        table[128 - step] = log2_256((1 << FRACTION) + down, FRACTION) as u16;
        up = (up * HALF_DB) >> FRACTION;
        down = (down << FRACTION) / HALF_DB;
        step += 1;
    }
    table
};

/// log₂ of `value`/2^`fraction` in 1/256, rounded down; `value` must be at least 2^`fraction`.
///
/// The integer part is the place of the leading bit; squaring what is left shifts out one bit of the
/// fraction after the other.
pub(super) const fn log2_256(value: u128, fraction: u32) -> u32 {
    let leading = value.ilog2();
    let mut mantissa = if leading >= 62 { value >> (leading - 62) } else { value << (62 - leading) };
    let mut logarithm = leading - fraction;
    let mut bit = 0;
    while bit < 8 {
        mantissa = (mantissa * mantissa) >> 62;
        logarithm <<= 1;
        if mantissa >= 2 << 62 {
            logarithm |= 1;
            mantissa >>= 1;
        }
        bit += 1;
    }
    logarithm
}

/// Capacity of a resource element in 1/256 bit at an SNR in half dB.
pub fn capacity_256(snr_half_db: i8) -> u16 {
    CAPACITIES[(i16::from(snr_half_db) + 128) as usize]
}

/// An SNR in dB as the nearest half dB, limited to −64 to 63.5 dB; NaN counts as −64 dB.
pub fn quantise_snr_db(snr_db: f32) -> i8 {
    if snr_db.is_nan() { i8::MIN } else { (2.0 * snr_db).round() as i8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_formula_rounded_down() {
        for half_db in i8::MIN..=i8::MAX {
            let exact = 256.0 * (1.0 + 10f64.powf(f64::from(half_db) / 20.0)).log2();
            let actual = f64::from(capacity_256(half_db));
            assert!(actual <= exact + 1e-6 && actual > exact - 1.001, "{half_db}: {actual} {exact}");
        }
        assert_eq!([-128, -20, 0, 16, 40, 127].map(capacity_256), [0, 35, 256, 734, 1704, 5400]);
    }

    #[test]
    fn quantisation_rounds_and_saturates() {
        let values = [f32::NAN, f32::NEG_INFINITY, -70.0, -0.3, 0.24, 7.76, 99.0, f32::INFINITY];
        assert_eq!(values.map(quantise_snr_db), [-128, -128, -128, -1, 0, 16, 127, 127]);
    }
}
