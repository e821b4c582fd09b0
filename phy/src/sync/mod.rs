//! Synchronisation: an endless stream of samples → where frames start, and their carrier offset.
//!
//! 1. [`preamble`]: what the transmitter puts in front of a frame: an up-chirp, a down-chirp, and one
//!    training symbol sent twice.
//! 2. [`detector`]: finds the pair of chirps, and from the distance of the two peaks time and coarse CFO.
//! 3. [`acquisition`]: from the training symbols: fine CFO, whole-subcarrier CFO, timing, noise, channel.

pub mod acquisition;
pub mod detector;
pub mod preamble;
