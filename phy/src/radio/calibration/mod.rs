//! What a pair of radios is like, measured with known frames: frequency and clock offset, SNR, EVM, the range of levels that can be used,
//! the noise figure.
//!
//! - [`probe`]: a frame that the measuring end knows, and what one received says.
//! - [`session`]: a transmitting and a receiving radio in one process; frames sent at a level, readings got.
//! - [`sweep`]: readings over levels → floors, sensitivity, noise figure.
//! - [`report`]: all of it in one structure; [`limits`]: what passes.

pub mod limits;
pub mod probe;
pub mod report;
pub mod session;
pub mod sweep;
