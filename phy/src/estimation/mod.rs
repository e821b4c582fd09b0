//! Estimation: received symbols → channel, phase, timing drift and noise on every resource element.
//!
//! [`delays`] fits a response by the few delays that a channel has; [`smoothing`] follows a value through time,
//! forwards and backwards; [`frame`] puts both together for a whole frame.

pub mod delays;
pub mod frame;
pub mod smoothing;
