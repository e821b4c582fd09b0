//! Training of the systems' default weights, on any computer and from any folder of photographs.
//!
//! Training reads pictures, writes checkpoints and looks at the clock to do so now and then: it is the one part of this
//! crate that does input and output. What it computes depends on the pictures, the seed and the settings alone.
//!
//! In the order of the chain:
//! - [`pack`], [`pictures`]: folders of photographs → random crops.
//! - [`channel`]: a random channel for each group of crops: rate, SNR, fading, losses.
//! - [`task`]: what a system brings: network, batches, loss. [`ae`]: that of `ae`, `vae` and `vscc`. [`paper`]: that of the
//!   network that these come from.
//! - [`task`]: what a system brings: network, batches, loss. [`ae`]: that of the `ae` system, [`taef2`]: that of its other
//!   transform. [`sct`]: that of the `sct` systems, which has an adversary.
//! - [`segment`]: that of the network that knows what a place shows.
//! - `loader`, [`run`]: the loop that all share. `checkpoint`, `card`: what it leaves behind.
//! - [`sct_tables`]: the tables of `sct-modular`, which are counted.
//! - [`parameters`]: a network's numbers as plain vectors, and their moving average.

pub mod ae;
mod card;
pub mod channel;
mod checkpoint;
mod loader;
pub mod pack;
pub mod paper;
pub mod parameters;
pub mod pictures;
pub mod run;
pub mod sct;
pub mod sct_tables;
pub mod segment;
pub mod taef2;
pub mod task;

pub use run::{Options, Progress, train};
pub use task::Task;

/// Why training stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// A file or folder could not be read or written.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The folders hold too few pictures.
    #[error(
        "found {found} pictures of at least {side}x{side} pixels in the folders given; at least {needed} are needed"
    )]
    TooFewPictures {
        /// Pictures found.
        found: usize,
        /// Pictures needed.
        needed: usize,
        /// Least side, pixels.
        side: usize,
    },
    /// A setting makes no sense.
    #[error("{0}")]
    Setting(String),
    /// A checkpoint could not be read or written.
    #[error("checkpoint {path}: {error}")]
    Checkpoint {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        error: String,
    },
}

impl TrainingError {
    fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |error| Self::Io { path: path.to_owned(), error }
    }

    fn checkpoint<E: std::fmt::Display>(path: &std::path::Path) -> impl FnOnce(E) -> Self + '_ {
        move |error| Self::Checkpoint { path: path.to_owned(), error: error.to_string() }
    }
}
