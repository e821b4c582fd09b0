//! Channel coding: bytes → coded bits at the transmitter, log-likelihood ratios → bytes at the
//! receiver.
//!
//! Transmit: [`crc`] → [`segmentation`] → [`ldpc`] encoder → [`rate_matching`], all four behind
//! [`transport_block::TransportBlockEncoder`]. Receive: the same stages backwards behind
//! [`transport_block::TransportBlockDecoder`]. Short payloads go through [`polar`] instead, from CRC to
//! rate matching.
//!
//! Conventions: bits are one `u8` each, 0 or 1, most significant bit of a byte first. An LLR is
//! ln P(0)/P(1) in `f32`, so a positive one means bit 0.
//!
//! Reference: 3GPP TS 38.212 V18.6.0, "NR; Multiplexing and channel coding", clause 5.

pub mod bits;
pub mod crc;
pub mod ldpc;
pub mod polar;
pub mod rate_matching;
pub mod segmentation;
pub mod transport_block;

mod error;

pub use error::CodingError;
