//! Control messages as bytes: what crosses the control link, and nothing else.
//!
//! [`ControlMessage`] → [`encode`] → version byte, bincode → [`decode`] → [`ControlMessage`]. The layout is
//! bincode 2 with its standard configuration (little endian, variable-length integers, enum variants by
//! position); this is the only module that names bincode, for the reasons in `docs/adr/0002-bincode.md`.
//! The bytes of every message are pinned by golden tests: a change of layout needs a new [`VERSION`].
//!
//! Bulk data (a picture file, a decoded picture) is not part of a message: it follows it as raw bytes, as
//! many as [`ControlMessage::body_bytes`] says, under a limit of its own.

mod feedback;
#[cfg(test)]
mod golden;
mod handshake;
mod message;
mod negotiation;
mod parts;
mod service;

use thiserror::Error;

pub use feedback::{
    ChannelState, ClockReply, Decoded, FeatureQuality, MAX_MISSING_RANGES, MAX_RESOURCE_BLOCKS,
    MessageReceipt, QuantisedSnr, Undecodable,
};
pub use handshake::{
    Hello, MAX_NAME_BYTES, MAX_OFFERS, NumerologyId, PROTOCOL_VERSION, Refusal, RefusalCode, Role,
    SystemOffer, Welcome,
};
pub use message::{ControlMessage, MAX_ARRIVED_BYTES, MAX_SUBMIT_BYTES, MessageAnnounced, MessageSent};
pub use negotiation::{Agreement, negotiate};
pub use parts::{ContentKind, Overhead, ReceiverPart, ReceiverTimings, TransmitterPart, TransmitterTimings};
pub use service::{
    Arrived, Event, EventLevel, Failed, FailureCode, MAX_NOTE_BYTES, ModeChoice, Progress, SendOptions,
    SendReport, SendStage, Status, Submit, SubmitKind, Watch,
};

/// First byte of every message. Ends that differ in it do not understand each other.
pub const VERSION: u8 = 5;

/// Most bytes of one message, version byte included, body not included.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// Why bytes are not a control message, or a message cannot become bytes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// More bytes than a message may have.
    #[error("a control message of {0} bytes is too long: 2 to {MAX_MESSAGE_BYTES} bytes")]
    TooLong(usize),
    /// No bytes at all.
    #[error("an empty control message: 2 to {MAX_MESSAGE_BYTES} bytes")]
    Empty,
    /// The peer speaks another version of the layout.
    #[error("the peer speaks version {theirs} of the control messages, this end speaks version {VERSION}")]
    Version {
        /// The version byte that was read.
        theirs: u8,
    },
    /// The bytes do not follow the layout.
    #[error("malformed control message: {0}")]
    Malformed(String),
    /// Bytes are left over behind the message.
    #[error("malformed control message: {0} bytes too many")]
    Trailing(usize),
    /// A field has a value that no sender may give it.
    #[error("control message with {field} of {value}: {allowed}")]
    Range {
        /// The field, in words.
        field: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        allowed: String,
    },
}

impl WireError {
    pub(crate) fn range(
        field: &'static str,
        value: impl std::fmt::Display,
        allowed: impl Into<String>,
    ) -> Self {
        Self::Range { field, value: value.to_string(), allowed: allowed.into() }
    }
}

fn layout() -> bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<MAX_MESSAGE_BYTES>,
> {
    bincode::config::standard().with_limit::<MAX_MESSAGE_BYTES>()
}

/// The bytes of a message: version byte, then the message. Refuses what [`decode`] would refuse.
pub fn encode(message: &ControlMessage) -> Result<Vec<u8>, WireError> {
    message.check()?;
    let mut bytes = vec![VERSION];
    bincode::serde::encode_into_std_write(message, &mut bytes, layout())
        .map_err(|error| WireError::Malformed(error.to_string()))?;
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(WireError::TooLong(bytes.len()));
    }
    Ok(bytes)
}

/// The message that these bytes are, all of them. Never panics, and allocates no more than a small
/// multiple of [`MAX_MESSAGE_BYTES`], whatever the bytes say.
pub fn decode(bytes: &[u8]) -> Result<ControlMessage, WireError> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(WireError::TooLong(bytes.len()));
    }
    let (&version, rest) = bytes.split_first().ok_or(WireError::Empty)?;
    if version != VERSION {
        return Err(WireError::Version { theirs: version });
    }
    let (message, used): (ControlMessage, usize) = bincode::serde::decode_from_slice(rest, layout())
        .map_err(|error| WireError::Malformed(error.to_string()))?;
    if used != rest.len() {
        return Err(WireError::Trailing(rest.len() - used));
    }
    message.check()?;
    Ok(message)
}

/// Refuses text longer than `most` bytes.
fn check_text(field: &'static str, text: &str, most: usize) -> Result<(), WireError> {
    if text.len() > most {
        return Err(WireError::range(
            field,
            format!("{} bytes", text.len()),
            format!("at most {most} bytes"),
        ));
    }
    Ok(())
}

/// Refuses a number outside `range`, and NaN.
fn check_real(
    field: &'static str,
    value: f64,
    range: std::ops::RangeInclusive<f64>,
) -> Result<(), WireError> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(WireError::range(field, value, format!("{} to {}", range.start(), range.end())))
}

/// `text`, cut at a character boundary so that it has at most `most` bytes.
fn clip(text: impl Into<String>, most: usize) -> String {
    let mut text = text.into();
    let end = text.floor_char_boundary(most);
    text.truncate(end);
    text
}
