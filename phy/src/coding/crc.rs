//! Cyclic redundancy checks: bits or bytes → 16 or 24 parity bits.
//!
//! Reference: 3GPP TS 38.212 V18.6.0, §5.1. The register starts at zero and nothing is reflected
//! or inverted, so a message followed by its own CRC has a CRC of zero.

use super::bits::pack_byte;

/// g_CRC24A(D), for transport blocks.
pub const CRC24A: Crc = Crc::new(24, 0x86_4CFB);
/// g_CRC24B(D), for code blocks.
pub const CRC24B: Crc = Crc::new(24, 0x80_0063);
/// g_CRC16(D), for short blocks.
pub const CRC16: Crc = Crc::new(16, 0x1021);

/// One generator polynomial with its byte table.
#[derive(Clone, Debug)]
pub struct Crc {
    width: u32,
    /// Remainders of every byte, aligned to the top of the 32-bit register.
    table: [u32; 256],
    aligned_polynomial: u32,
}

impl Crc {
    const fn new(width: u32, polynomial: u32) -> Self {
        let aligned_polynomial = polynomial << (32 - width);
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut register = (byte as u32) << 24;
            let mut step = 0;
            while step < 8 {
                let carry = register >> 31;
                register = (register << 1) ^ (carry * aligned_polynomial);
                step += 1;
            }
            table[byte] = register;
            byte += 1;
        }
        Self { width, table, aligned_polynomial }
    }

    /// Number of parity bits.
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// The parity bits of whole bytes, most significant bit first, in the lowest `width` bits.
    pub fn of_bytes(&self, bytes: &[u8]) -> u32 {
        let register = bytes.iter().fold(0, |register, &byte| self.step_byte(register, byte));
        register >> (32 - self.width)
    }

    /// The parity bits of a sequence of bits, one `u8` each, in the lowest `width` bits.
    pub fn of_bits(&self, bits: &[u8]) -> u32 {
        let (groups, rest) = bits.as_chunks::<8>();
        let register = groups.iter().fold(0, |register, group| self.step_byte(register, pack_byte(group)));
        let register = rest.iter().fold(register, |register, &bit| {
            let carry = (register >> 31) ^ u32::from(bit & 1);
            (register << 1) ^ (carry * self.aligned_polynomial)
        });
        register >> (32 - self.width)
    }

    fn step_byte(&self, register: u32, byte: u8) -> u32 {
        (register << 8) ^ self.table[((register >> 24) as u8 ^ byte) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coding::bits::{push_value, unpack};

    /// Check values of the CRC catalogue for "123456789": CRC-24/LTE-A, CRC-24/LTE-B, CRC-16/XMODEM.
    #[test]
    fn catalogue_check_values() {
        let message = b"123456789";
        assert_eq!(CRC24A.of_bytes(message), 0xCD_E703);
        assert_eq!(CRC24B.of_bytes(message), 0x23_EF52);
        assert_eq!(CRC16.of_bytes(message), 0x31C3);
    }

    #[test]
    fn bits_and_bytes_agree_and_a_message_with_its_crc_has_none() {
        for crc in [CRC24A, CRC24B, CRC16] {
            let bytes: Vec<u8> = (0..61).map(|i| (i * 37 + 11) as u8).collect();
            let mut bits = Vec::new();
            unpack(&bytes, &mut bits);
            assert_eq!(crc.of_bits(&bits), crc.of_bytes(&bytes));
            bits.truncate(483);
            push_value(crc.of_bits(&bits), crc.width(), &mut bits);
            assert_eq!(crc.of_bits(&bits), 0);
            bits[200] ^= 1;
            assert_ne!(crc.of_bits(&bits), 0);
        }
    }
}
