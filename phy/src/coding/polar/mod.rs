//! The polar code of 5G NR, for frame headers and short messages: payload bytes → coded bits, and LLRs →
//! payload bytes.
//!
//! | transmit | receive |
//! |---|---|
//! | CRC-24C, complemented | LLRs summed at their places, 16-bit fixed point |
//! | [`PolarCode`]: which inputs carry bits | successive cancellation, with one path first |
//! | transform u·F^{⊗n} | with a list of paths if its CRC is wrong |
//! | sub-block interleaving, bit selection, interleaving | the likeliest path with a correct CRC |
//!
//! All is as for uplink control information in NR (n_max = 10, no input interleaver, I_BIL = 1; more than 25
//! bits, so no parity-check bits), but for the longer CRC, and its complement, which keeps silence from being
//! a message.
//!
//! References:
//! 1. 3GPP TS 38.212 V18.6.0, §5.1 (CRC), §5.3.1 (polar coding), §5.4.1 (rate matching).
//! 2. I. Tal, A. Vardy, "List decoding of polar codes", IEEE Trans. Inf. Theory 61(5), 2015.
//! 3. A. Balatsoukas-Stimming, M. Bastani Parizi, A. Burg, "LLR-based successive cancellation list decoding
//!    of polar codes", IEEE Trans. Signal Process. 63(19), 2015.
//! 4. S. A. Hashemi, C. Condo, W. J. Gross, "Fast and flexible successive-cancellation list decoders for
//!    polar codes", IEEE Trans. Signal Process. 65(21), 2017.

mod code;
mod decoder;
mod encoder;
mod interleaver;
mod kernels;
mod list;
#[cfg(test)]
mod reference;
mod schedule;
mod sequence;
mod shuffle;
#[cfg(test)]
mod tests;
mod transform;

pub use code::PolarCode;
pub use decoder::{LLR_LIMIT, ListSize, PolarDecoder};
pub use encoder::PolarEncoder;

use super::crc::{CRC24C, Crc};

/// The longest payload of a transport block that is sent with this code; longer ones do better with LDPC.
pub const MAX_PAYLOAD_BYTES: usize = 22;

/// The longest payload that the code itself can carry: with its CRC, N_max = 1024 bits.
pub const MAX_BLOCK_BYTES: usize = 125;

/// The CRC of every block.
const CRC: Crc = CRC24C;

/// Complement of the CRC.
const CRC_MASK: u32 = 0xFF_FFFF;
