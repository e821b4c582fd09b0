//! Cyclic redundancy checks: bits or bytes → 16 or 24 parity bits.
//!
//! Reference: 3GPP TS 38.212 V18.6.0, §5.1. The register starts at zero and nothing is reflected
//! or inverted, so a message followed by its own CRC has a CRC of zero. Eight bytes are taken at a time
//! (M. E. Kounavis and F. L. Berry, "Novel Table Lookup-Based Algorithms for High-Performance CRC
//! Generation", IEEE Trans. Computers 57(11), 2008).

use super::bits::pack_byte;

/// g_CRC24A(D), for transport blocks.
pub const CRC24A: Crc = Crc { width: 24, tables: &CRC24A_TABLES };
static CRC24A_TABLES: Tables = tables(24, 0x86_4CFB);

/// g_CRC24B(D), for code blocks.
pub const CRC24B: Crc = Crc { width: 24, tables: &CRC24B_TABLES };
static CRC24B_TABLES: Tables = tables(24, 0x80_0063);

/// g_CRC24C(D), for polar coded blocks.
pub const CRC24C: Crc = Crc { width: 24, tables: &CRC24C_TABLES };
static CRC24C_TABLES: Tables = tables(24, 0xB2_B117);

/// g_CRC16(D), for short blocks.
pub const CRC16: Crc = Crc { width: 16, tables: &CRC16_TABLES };
static CRC16_TABLES: Tables = tables(16, 0x1021);

/// Bytes that one step takes.
const SLICES: usize = 8;

/// Remainders of every byte with 0 to 7 zero bytes behind it, aligned to the top of a 32-bit register.
type Tables = [[u32; 256]; SLICES];

const fn tables(width: u32, polynomial: u32) -> Tables {
    let mut tables = [[0; 256]; SLICES];
    let mut byte = 0;
    while byte < 256 {
        let mut register = (byte as u32) << 24;
        let mut slice = 0;
        while slice < SLICES {
            let mut step = 0;
            while step < 8 {
                let carry = register >> 31;
                register = (register << 1) ^ (carry * (polynomial << (32 - width)));
                step += 1;
            }
            tables[slice][byte] = register;
            slice += 1;
        }
        byte += 1;
    }
    tables
}

/// One generator polynomial with its tables.
#[derive(Clone, Copy, Debug)]
pub struct Crc {
    width: u32,
    tables: &'static Tables,
}

impl Crc {
    /// Number of parity bits.
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// The parity bits of whole bytes, most significant bit first, in the lowest `width` bits.
    pub fn of_bytes(&self, bytes: &[u8]) -> u32 {
        let (groups, rest) = bytes.as_chunks::<SLICES>();
        let register = groups.iter().fold(0, |register, group| self.step_group(register, *group));
        let register = rest.iter().fold(register, |register, &byte| self.step_byte(register, byte));
        register >> (32 - self.width)
    }

    /// The parity bits of a sequence of bits, one `u8` each, in the lowest `width` bits.
    pub fn of_bits(&self, bits: &[u8]) -> u32 {
        let (octets, rest) = bits.as_chunks::<8>();
        let (groups, octets) = octets.as_chunks::<SLICES>();
        let register = groups
            .iter()
            .fold(0, |register, group| self.step_group(register, group.each_ref().map(pack_byte)));
        let register =
            octets.iter().fold(register, |register, octet| self.step_byte(register, pack_byte(octet)));
        let register = rest.iter().fold(register, |register, &bit| self.step_bit(register, bit));
        register >> (32 - self.width)
    }

    #[inline(always)]
    fn step_group(&self, register: u32, bytes: [u8; SLICES]) -> u32 {
        // The register reaches over the first four bytes.
        let register = register.to_be_bytes();
        let mut sum = 0;
        for (index, byte) in bytes.into_iter().enumerate() {
            let byte = byte ^ register.get(index).copied().unwrap_or(0);
            sum ^= self.tables[SLICES - 1 - index][usize::from(byte)];
        }
        sum
    }

    #[inline(always)]
    fn step_bit(&self, register: u32, bit: u8) -> u32 {
        let carry = (register >> 31) ^ u32::from(bit & 1);
        // A byte of value 1 leaves the polynomial itself.
        (register << 1) ^ (carry * self.tables[0][1])
    }

    #[inline(always)]
    fn step_byte(&self, register: u32, byte: u8) -> u32 {
        (register << 8) ^ self.tables[0][((register >> 24) as u8 ^ byte) as usize]
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
        for crc in [CRC24A, CRC24B, CRC24C, CRC16] {
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
