//! The physical layer of semcast: bytes and analog symbols → I/Q samples, and back.
//!
//! The chain in signal order:
//!
//! | transmit | receive |
//! |---|---|
//! | [`framing`]: frames, header, control block, grid | [`sync`]: detection, timing, carrier offset |
//! | [`coding`]: CRC, NR LDPC and polar, rate matching | [`estimation`]: channel, drift and noise of a frame |
//! | [`modulation`]: scrambling, QPSK to 256-QAM, the MCS ladder | [`ofdm`]: DFT; equalisation in [`receive`] |
//! | [`allocation`]: resource blocks by importance | [`allocation`]: segments out of their blocks |
//! | [`ofdm`]: subcarriers → samples | [`modulation`]: soft demapping, descrambling |
//! | [`sync::preamble`] in front | [`coding`]: rate recovery, decoding, CRC |
//! | all in [`transmit::Modulator`] | all in [`receive::Demodulator`] |
//!
//! [`numerology`] is the grid that both ends share, [`mode`] how robust a frame is; [`crest`] lowers peaks; [`channel`] emulates propagation and oscillators;
//! [`radio`], the only part that does I/O, moves samples between processes.
//!
//! Conventions: samples are `Complex32`; signals have unit mean power; SNR is Es/N0 per resource element
//! with complex N0; an LLR is ln P(0)/P(1).

pub mod allocation;
pub mod channel;
pub mod coding;
pub mod crest;
pub mod curves;
pub mod detection_trial;
pub mod estimation;
pub mod framing;
pub mod link_trial;
pub mod mode;
pub mod modulation;
pub mod numerology;
pub mod ofdm;
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "moving samples between processes takes sockets and clocks"
)]
pub mod radio;
pub mod receive;
mod simd;
pub mod sync;
pub mod transmit;
