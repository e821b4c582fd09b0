//! The polar transform x = u·F^{⊗n} over GF(2), F = (1 0; 1 1), on bits packed into words.
//!
//! Bit i is bit i mod 64 of word i / 64. The transform is its own inverse.
//!
//! Reference: 3GPP TS 38.212 V18.6.0, §5.3.1.2.

/// Words of the longest code.
pub(super) const MAX_WORDS: usize = 16;

/// A vector of up to 1024 bits.
pub(super) type Packed = [u64; MAX_WORDS];

/// Bits whose index has a zero at the place of the shift 1, 2, 4, 8, 16, 32.
const LOWER: [u64; 6] = [
    0x5555_5555_5555_5555,
    0x3333_3333_3333_3333,
    0x0F0F_0F0F_0F0F_0F0F,
    0x00FF_00FF_00FF_00FF,
    0x0000_FFFF_0000_FFFF,
    0x0000_0000_FFFF_FFFF,
];

/// Transforms the first `length` bits, a power of two; the others are zero.
pub(super) fn transform(bits: &mut Packed, length: usize) {
    let words = &mut bits[..length.div_ceil(64)];
    for word in words.iter_mut() {
        for (stage, mask) in LOWER.iter().enumerate() {
            *word ^= (*word >> (1 << stage)) & mask;
        }
    }
    let mut half = 1;
    while half < words.len() {
        for pair in words.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (low, high) in low.iter_mut().zip(high) {
                *low ^= *high;
            }
        }
        half *= 2;
    }
}

/// One bit.
pub(super) fn bit(bits: &Packed, index: usize) -> u8 {
    (bits[index / 64] >> (index % 64) & 1) as u8
}

/// Sets a bit that is zero to `value`.
pub(super) fn set_bit(bits: &mut Packed, index: usize, value: u8) {
    bits[index / 64] |= u64::from(value & 1) << (index % 64);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row i of F^{⊗n} has a one in column j where j's binary digits are a subset of i's.
    #[test]
    fn each_row_is_that_of_the_kronecker_power() {
        for length in [32, 64, 128, 1024] {
            for row in 0..length {
                let mut bits = Packed::default();
                set_bit(&mut bits, row, 1);
                transform(&mut bits, length);
                for column in 0..1024 {
                    let expected = u8::from(row & column == column);
                    assert_eq!(bit(&bits, column), expected, "row {row}, column {column}");
                }
                transform(&mut bits, length);
                assert!((0..1024).all(|index| bit(&bits, index) == u8::from(index == row)));
            }
        }
    }
}
