//! The frame header: 8 bytes in the symbols after the preamble, whose number is the frame's mode's.
//!
//! | bits  | field |
//! |-------|-------|
//! | 0–3   | version, 2 |
//! | 4–15  | length of the control block in bytes, 1 to 2047 |
//! | 16–27 | payload symbols, 0 to [`MAX_PAYLOAD_SYMBOLS`] |
//! | 28–29 | rate of the control block, 0 to 3 ([`ControlRate`]) |
//! | 30–31 | zero |
//! | 32–47 | frame number |
//! | 48–63 | transmitter |
//!
//! Most significant bit first. QPSK, NR polar code with CRC-24, all data resource elements of these symbols.

use thiserror::Error;

use super::MAX_PAYLOAD_SYMBOLS;
use crate::mode::ControlRate;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 8;
/// Longest control block, in bytes.
pub const MAX_CONTROL_BLOCK_BYTES: usize = 2047;
/// The version that this program speaks.
const VERSION: u8 = 2;

/// What a receiver needs to take a frame apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of the control block.
    pub control_bytes: usize,
    /// OFDM symbols after the header.
    pub payload_symbols: usize,
    /// How fast the control block is coded.
    pub control_rate: ControlRate,
    /// Running number of the transmitter's frames.
    pub number: u16,
    /// Which transmitter process sent it.
    pub transmitter: u16,
}

/// Why eight bytes are no header.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum HeaderError {
    /// Not eight bytes.
    #[error("a header has {HEADER_BYTES} bytes, not {0}")]
    Length(usize),
    /// Another version of the protocol.
    #[error("header version {0}: this program speaks version {VERSION}")]
    Version(u8),
    /// A length is out of range, or reserved bits are set.
    #[error("header asks for {control_bytes} control bytes and {payload_symbols} symbols")]
    Range {
        /// Bytes of the control block: 1 to 2047.
        control_bytes: usize,
        /// Payload symbols: 0 to 560.
        payload_symbols: usize,
    },
}

impl FrameHeader {
    /// The header's bytes. Lengths must be in range.
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let word = u64::from(VERSION) << 60
            | (self.control_bytes as u64 & 0xFFF) << 48
            | (self.payload_symbols as u64 & 0xFFF) << 36
            | u64::from(self.control_rate.bits()) << 34
            | u64::from(self.number) << 16
            | u64::from(self.transmitter);
        word.to_be_bytes()
    }

    /// Reads and checks a header.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let bytes: [u8; HEADER_BYTES] = bytes.try_into().map_err(|_| HeaderError::Length(bytes.len()))?;
        let word = u64::from_be_bytes(bytes);
        let version = (word >> 60) as u8;
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let control_bytes = (word >> 48 & 0xFFF) as usize;
        let payload_symbols = (word >> 36 & 0xFFF) as usize;
        let control_rate = ControlRate::from_bits((word >> 34) as u8);
        let reserved = word >> 32 & 0b11;
        if !(1..=MAX_CONTROL_BLOCK_BYTES).contains(&control_bytes)
            || payload_symbols > MAX_PAYLOAD_SYMBOLS
            || reserved != 0
        {
            return Err(HeaderError::Range { control_bytes, payload_symbols });
        }
        Ok(Self {
            control_bytes,
            payload_symbols,
            control_rate,
            number: (word >> 16) as u16,
            transmitter: word as u16,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn layout_is_the_documented_one() {
        let header = FrameHeader {
            control_bytes: 0x123,
            payload_symbols: 0x0AB,
            control_rate: ControlRate::from_bits(2),
            number: 0x4567,
            transmitter: 0x89CD,
        };
        assert_eq!(header.to_bytes(), [0x21, 0x23, 0x0A, 0xB8, 0x45, 0x67, 0x89, 0xCD]);
    }

    proptest! {
        #[test]
        fn headers_come_back(
            control_bytes in 1usize..=MAX_CONTROL_BLOCK_BYTES,
            payload_symbols in 0usize..=MAX_PAYLOAD_SYMBOLS,
            rate in 0u8..4,
            number: u16,
            transmitter: u16,
        ) {
            let control_rate = ControlRate::from_bits(rate);
            let header = FrameHeader { control_bytes, payload_symbols, control_rate, number, transmitter };
            prop_assert_eq!(FrameHeader::parse(&header.to_bytes()), Ok(header));
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            if let Ok(header) = FrameHeader::parse(&bytes) {
                prop_assert_eq!(header.to_bytes().to_vec(), bytes);
            }
        }
    }
}
