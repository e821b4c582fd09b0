//! The two halves of a report: what the transmitter knows of a transmission, and what the receiver knows.
//!
//! Each end fills in its half and sends it over the control link; [`crate::report::Report::merge`] puts
//! them together. Times of day are µs since the Unix epoch by the clock of the end that took them.

use serde::{Deserialize, Serialize};

use super::{MAX_NAME_BYTES, WireError, check_text};
use crate::content::{Content, check_size, labels::blocks};
use crate::message::{ModelDigest, SystemId};

/// What was sent, without the content itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentKind {
    /// An RGB picture.
    Picture {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// UTF-8 text.
    Text {
        /// Length in bytes.
        bytes: u32,
    },
    /// What a picture shows.
    Labels {
        /// Width of the picture in pixels.
        width: u32,
        /// Height of the picture in pixels.
        height: u32,
    },
}

impl ContentKind {
    /// The kind and size of some content.
    pub fn of(content: &Content) -> Self {
        match content {
            Content::Picture(picture) => Self::Picture { width: picture.width(), height: picture.height() },
            Content::Text(text) => Self::Text { bytes: u32::try_from(text.len()).unwrap_or(u32::MAX) },
            Content::Labels(labels) => Self::Labels { width: labels.width(), height: labels.height() },
        }
    }

    /// Source values, what the channel bandwidth ratio divides by: RGB samples, or bytes of text; two for each block that is
    /// labelled.
    pub fn values(self) -> u64 {
        match self {
            Self::Picture { width, height } => 3 * u64::from(width) * u64::from(height),
            Self::Text { bytes } => u64::from(bytes),
            Self::Labels { width, height } => {
                let (across, down) = blocks(width, height);
                2 * across as u64 * down as u64
            }
        }
    }

    pub(super) fn check(self) -> Result<(), WireError> {
        match self {
            Self::Picture { width, height } | Self::Labels { width, height } => check_size(width, height)
                .map_err(|_| {
                    WireError::range(
                        "picture size",
                        format!("{width}x{height}"),
                        "sides of 1 to 16384 pixels, at most 40 megapixels",
                    )
                }),
            Self::Text { .. } => Ok(()),
        }
    }
}

/// What is on the air beside payload, by cause, in resource elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overhead {
    /// Whole frames without payload, sent to learn of the channel.
    pub sounding: u64,
    /// Preambles: chirps and training symbols.
    pub preamble: u64,
    /// Frame headers.
    pub header: u64,
    /// Control blocks: lists of segments, message headers, side information.
    pub control: u64,
    /// Pilots.
    pub pilots: u64,
    /// What frames leave empty.
    pub padding: u64,
}

impl Overhead {
    /// Names and values, in the order of the chain.
    pub fn causes(&self) -> [(&'static str, u64); 6] {
        [
            ("sounding", self.sounding),
            ("preamble", self.preamble),
            ("header", self.header),
            ("control", self.control),
            ("pilots", self.pilots),
            ("padding", self.padding),
        ]
    }

    /// Of all causes together.
    pub fn total(&self) -> u64 {
        self.causes().iter().fold(0, |sum, (_, symbols)| sum.saturating_add(*symbols))
    }
}

/// When and how long, at the transmitter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TransmitterTimings {
    /// From content to semantic message, in ms.
    pub encode_ms: f32,
    /// From semantic message to samples, all frames, in ms.
    pub modulate_ms: f32,
    /// When the content was there and work on it began.
    pub started_unix_us: u64,
    /// When the encoder began: the content is read, and the channel sounded if it had to be.
    pub encode_started_unix_us: u64,
    /// When the first sample went to the radio.
    pub first_sample_unix_us: u64,
    /// When the last sample went to the radio.
    pub last_sample_unix_us: u64,
}

/// The transmitter's half of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransmitterPart {
    /// The message.
    pub message_id: u16,
    /// The transmission session that its number belongs to.
    pub session: u32,
    /// The system that was used.
    pub system: SystemId,
    /// Its model.
    pub model: ModelDigest,
    /// What was sent.
    pub content: ContentKind,
    /// Bytes of the content as submitted: the picture file, or the text.
    pub bytes_source: u64,
    /// Bytes that the channel code carried; 0 when all went as analog symbols.
    pub bytes_coded: u64,
    /// Resource elements that carried payload.
    pub symbols_payload: u64,
    /// All else on the air, of every frame that was sent.
    pub overhead: Overhead,
    /// Time on the air at the nominal sample rate, in ms.
    pub airtime_ms: f64,
    /// Modulation and code rate of the payload, in words; empty for analog payloads.
    pub mcs: String,
    /// Mode of the frames, in words: `normal`, `robust`, or the one and then the other.
    pub mode: String,
    /// Frames sent, repeats included.
    pub frames_sent: u32,
    /// Frames sent again because the receiver asked.
    pub resends: u32,
    /// The device that the encoder ran on, in words.
    pub device: String,
    /// When and how long.
    pub timings: TransmitterTimings,
}

impl TransmitterPart {
    /// Everything on the air, in resource elements.
    pub fn symbols_total(&self) -> u64 {
        self.symbols_payload.saturating_add(self.overhead.total())
    }

    pub(super) fn check(&self) -> Result<(), WireError> {
        self.content.check()?;
        check_text("modulation and code rate", &self.mcs, MAX_NAME_BYTES)?;
        check_text("mode", &self.mode, MAX_NAME_BYTES)?;
        check_text("device", &self.device, MAX_NAME_BYTES)
    }
}

/// When and how long, at the receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReceiverTimings {
    /// From samples to segments, all frames, in ms.
    pub demodulate_ms: f32,
    /// From segments to content, in ms.
    pub decode_ms: f32,
    /// When the first samples of the message were there.
    pub first_sample_unix_us: u64,
    /// When the last samples of the message were there.
    pub last_sample_unix_us: u64,
    /// When its last frame was demodulated.
    pub demodulated_unix_us: u64,
    /// When the content was there.
    pub decoded_unix_us: u64,
}

/// The receiver's half of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReceiverPart {
    /// The message.
    pub message_id: u16,
    /// The transmission session that its number belongs to.
    pub session: u32,
    /// The system that decoded it.
    pub system: SystemId,
    /// How sure the decoder is, 0 to 1.
    pub confidence: f32,
    /// Mean estimated SNR over the frames of the message, in dB.
    pub snr_db_estimated: f32,
    /// Estimated carrier frequency offset, in Hz.
    pub cfo_hz_estimated: f32,
    /// Frames of the message received.
    pub frames_received: u32,
    /// Coded segments that came intact only by combining two or more transmissions of them.
    pub segments_combined: u32,
    /// Bytes of coded features and symbols of analog ones that arrived.
    pub arrived: u64,
    /// And those that were still missing when it was decoded.
    pub missing: u64,
    /// The device that the decoder ran on, in words.
    pub device: String,
    /// When and how long.
    pub timings: ReceiverTimings,
}

impl ReceiverPart {
    pub(super) fn check(&self) -> Result<(), WireError> {
        check_text("device", &self.device, MAX_NAME_BYTES)
    }
}
