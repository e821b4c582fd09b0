//! The receiver daemon: radio → demodulate → assemble → decode → whoever watches.
//!
//! - [`daemon`]: starts everything, keeps the control link to the transmitter, serves `watch` clients.
//! - [`listener`]: the thread that takes samples from the radio and makes frames of them.
//! - [`combining`]: segments that could not be corrected, together with their repetitions.
//! - [`reception`]: frames → messages; what is missing is asked for.
//! - [`decoder`]: the thread that runs the systems' decoders.
//! - [`outputs`]: content → files and `watch` clients.

pub mod combining;
pub mod daemon;
pub mod decoder;
pub mod listener;
pub mod metrics;
pub mod outputs;
pub mod reception;
