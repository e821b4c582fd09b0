//! Estimation: received symbols → channel, phase, timing drift and noise on every resource element.
//!
//! [`delays`] fits a response by the few delays that a channel has; [`rates`] finds how a frame turns; [`smoothing`]
//! follows a value through time, forwards and backwards; [`frame`] puts them together for a whole frame.

pub mod delays;
pub mod frame;
pub mod rates;
pub mod smoothing;
