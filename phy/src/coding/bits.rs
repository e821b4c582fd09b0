//! Bytes to bits and back: most significant bit first, one `u8` (0 or 1) for each bit.

/// Appends the eight bits of every byte to `bits`.
pub fn unpack(bytes: &[u8], bits: &mut Vec<u8>) {
    bits.reserve(bytes.len() * 8);
    for &byte in bytes {
        bits.extend((0..8).rev().map(|position| (byte >> position) & 1));
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
pub(crate) fn pack_byte(bits: &[u8; 8]) -> u8 {
    bits.iter().fold(0, |byte, &bit| (byte << 1) | (bit & 1))
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
