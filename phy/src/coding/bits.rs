//! Bytes to bits and back: most significant bit first, one `u8` (0 or 1) for each bit.

/// The eight bits of every byte.
static BITS: [[u8; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut position = 0;
        while position < 8 {
            table[byte][position] = (byte >> (7 - position)) as u8 & 1;
            position += 1;
        }
        byte += 1;
    }
    table
};

/// The eight bits of a byte.
#[inline]
pub(crate) fn unpack_byte(byte: u8) -> &'static [u8; 8] {
    &BITS[usize::from(byte)]
}

/// Appends the eight bits of every byte to `bits`.
pub fn unpack(bytes: &[u8], bits: &mut Vec<u8>) {
    let start = bits.len();
    bits.resize(start + bytes.len() * 8, 0);
    for (group, &byte) in bits[start..].as_chunks_mut::<8>().0.iter_mut().zip(bytes) {
        *group = *unpack_byte(byte);
    }
}

/// Appends the lowest `width` bits of `value`, most significant first.
pub fn push_value(value: u32, width: u32, bits: &mut Vec<u8>) {
    bits.extend((0..width.min(32)).rev().map(|position| ((value >> position) & 1) as u8));
}

/// Appends one byte for every eight bits; a last group of fewer than eight is dropped.
pub fn pack(bits: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend(bits.as_chunks::<8>().0.iter().map(pack_byte));
}

/// The byte that eight bits make.
#[inline(always)]
pub(crate) fn pack_byte(bits: &[u8; 8]) -> u8 {
    // Bit i is moved from place 8i to place 63 − i by one of the eight terms of the product, and no two
    // terms meet elsewhere, so nothing is carried.
    const GATHER: u64 = 0x8040_2010_0804_0201;
    let places = u64::from_le_bytes(*bits) & 0x0101_0101_0101_0101;
    (places.wrapping_mul(GATHER) >> 56) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pack_undoes_unpack() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut bits = Vec::new();
        unpack(&bytes, &mut bits);
        assert_eq!(bits[8..16], [0, 0, 0, 0, 0, 0, 0, 1]);
        let mut back = Vec::new();
        pack(&bits, &mut back);
        assert_eq!(back, bytes);
    }

    #[test]
    fn values_are_written_most_significant_bit_first() {
        let mut bits = Vec::new();
        push_value(0b1_0110, 5, &mut bits);
        assert_eq!(bits, [1, 0, 1, 1, 0]);
    }
}
