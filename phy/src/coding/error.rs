//! What can go wrong in channel coding.

use thiserror::Error;

use super::segmentation::{MAX_CODED_BITS, MAX_PAYLOAD_BYTES};

/// An argument that the coding chain cannot work with, or a block that did not decode.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CodingError {
    /// The payload of a transport block is empty or too long.
    #[error("payload of {bytes} bytes is outside 1..={MAX_PAYLOAD_BYTES}")]
    PayloadSize {
        /// The size asked for.
        bytes: usize,
    },
    /// There are too few or too many coded bits for the payload.
    #[error(
        "{coded_bits} coded bits for this payload are outside {minimum}..={MAX_CODED_BITS}, \
         or no multiple of the modulation order {modulation_order}"
    )]
    CodedBits {
        /// The number asked for.
        coded_bits: usize,
        /// The least number that leaves a code rate of at most one.
        minimum: usize,
        /// Bits per modulation symbol.
        modulation_order: u8,
    },
    /// The number of bits per modulation symbol is not one that exists.
    #[error("modulation order {0} is none of 1, 2, 4, 6, 8")]
    ModulationOrder(u8),
    /// The redundancy version is not one that exists.
    #[error("redundancy version {0} is outside 0..=3")]
    RedundancyVersion(u8),
    /// The lifting size is not in the table of the standard.
    #[error("lifting size {0} is not in TS 38.212 Table 5.3.2-1 (2..=384)")]
    LiftingSize(usize),
    /// A slice does not have the length that the code has.
    #[error("{what}: {actual} values where the code has {expected}")]
    Length {
        /// Which slice.
        what: &'static str,
        /// The length that fits.
        expected: usize,
        /// The length that was given.
        actual: usize,
    },
    /// The received values did not decode to a block with a correct CRC.
    #[error("{failed_code_blocks} of {code_blocks} code blocks did not decode (0: CRC of the whole failed)")]
    NotDecoded {
        /// Code blocks with a wrong parity or CRC.
        failed_code_blocks: usize,
        /// Code blocks in the transport block.
        code_blocks: usize,
    },
}
