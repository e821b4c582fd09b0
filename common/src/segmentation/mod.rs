//! Segmentation: a semantic message ↔ parts that fit into frames.
//!
//! Every frame's control bytes carry a [`MessageHeader`]: which message this is, everything needed to set up
//! its decoding, and which part of which feature each of the frame's segments holds. So any frame tells
//! the whole story, a lost one costs only its own parts, and a part may be sent again in any size.
//!
//! - [`header`]: the control bytes.
//! - [`assembly`]: parts → [`crate::message::ReceivedMessage`].
//! - [`interleaving`]: spreads an analog feature's symbols over its parts.

pub mod assembly;
pub mod header;
pub mod interleaving;

use serde::{Deserialize, Serialize};

pub use assembly::Assembly;
pub use header::MessageHeader;

/// A stretch of a feature: bytes of a digital one, symbols of an analog one (in the order of the air).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PartRange {
    /// Index of the feature in its message.
    pub feature: u8,
    /// First byte or symbol.
    pub start: u32,
    /// One past the last.
    pub end: u32,
}
