//! What both ends of a semcast link share, and nothing that needs a radio or a network model.
//!
//! - [`clock`]: the time of day, and how far another host's clock is ahead.
//! - [`content`]: a picture or a text, as the user gives it and gets it back.
//! - [`message`]: the semantic message, what an encoder makes of content and a decoder gets.
//! - [`intent`]: what a sender wants to keep of a picture.
//! - [`segmentation`]: a message ↔ the parts that frames carry.
//! - [`control`]: the QUIC control link between transmitter, receiver and local clients, and its keys.
//! - [`wire`]: control messages as bytes.
//! - [`config`]: configuration in layers: file, environment, flags.
//! - [`metrics`]: what a daemon counts, for Prometheus.
//! - [`report`]: what a transmission cost, how good it was, where the time went.
//! - [`telemetry`]: log lines on standard error.

pub mod clock;
pub mod config;
pub mod content;
pub mod control;
pub mod intent;
pub mod message;
pub mod metrics;
pub mod report;
pub mod segmentation;
pub mod telemetry;
pub mod wire;
