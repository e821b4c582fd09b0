//! Estimation: what the channel did to a frame.
//!
//! - [`channel`]: the response on every subcarrier, from the training symbols.
//! - [`tracking`]: phase and timing from symbol to symbol, from the comb pilots.

pub mod channel;
pub mod tracking;
