//! What the local clients say and hear: `send` to the transmitter, `watch` to the receiver.

use serde::{Deserialize, Serialize};

use super::{ContentKind, ReceiverPart, TransmitterPart, WireError, check_real, check_text, clip};
use crate::clock::ClockOffset;
use crate::intent::Intent;
use crate::message::SystemId;

/// Most bytes of a line of text: an event, a failure, a refusal.
pub const MAX_NOTE_BYTES: usize = 1024;

/// What a send client submits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubmitKind {
    /// A picture file: PNG, JPEG, WebP or BMP.
    PictureFile,
    /// UTF-8 text.
    Text,
}

/// Who chooses how robust frames are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModeChoice {
    /// The transmitter, by what receivers report and by what arrives.
    #[default]
    Auto,
    /// The user: short frames.
    Normal,
    /// The user: frames that are heard far below the noise.
    Robust,
}

impl ModeChoice {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Normal, Self::Robust];

    /// The name used by `--frames`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Normal => "normal",
            Self::Robust => "robust",
        }
    }
}

impl std::str::FromStr for ModeChoice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|choice| choice.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("unknown kind of frames {name:?}: one of {names}")
        })
    }
}

/// How it is to be sent; what is `None` is the transmitter's to choose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SendOptions {
    /// The system.
    pub system: Option<SystemId>,
    /// Net channel bandwidth ratio to fit the message to, over 0 to 16.
    pub cbr: Option<f64>,
    /// SNR to prepare the message for, in dB, instead of what the receiver reports.
    pub design_snr_db: Option<f64>,
    /// Step of the MCS ladder, instead of what the SNR suggests.
    pub mcs: Option<u8>,
    /// How robust frames are.
    pub frames: Option<ModeChoice>,
    /// Most rounds of resending.
    pub max_resends: Option<u8>,
    /// Time for all rounds, in ms, 1 to 600,000: while it lasts, rounds go on, and features that arrived worse than their
    /// importance asks for are sent again.
    pub budget_ms: Option<u32>,
    /// What is to be kept of a picture.
    pub intent: Intent,
    /// How often to send it, 1 to 1000.
    pub repeat: u16,
}

impl Default for SendOptions {
    fn default() -> Self {
        Self {
            system: None,
            cbr: None,
            design_snr_db: None,
            mcs: None,
            frames: None,
            max_resends: None,
            budget_ms: None,
            intent: Intent::default(),
            repeat: 1,
        }
    }
}

impl SendOptions {
    fn check(&self) -> Result<(), WireError> {
        if let Some(cbr) = self.cbr {
            check_real("channel bandwidth ratio", cbr, 1e-6..=16.0)?;
        }
        if let Some(snr_db) = self.design_snr_db {
            check_real("design SNR in dB", snr_db, -20.0..=60.0)?;
        }
        if let Some(budget_ms) = self.budget_ms {
            check_real("time for all rounds in ms", f64::from(budget_ms), 1.0..=600_000.0)?;
        }
        self.intent.check().map_err(|error| WireError::range("intent", error, "see the control messages"))?;
        check_real("number of repeats", f64::from(self.repeat), 1.0..=1000.0)
    }
}

/// Content to send; the content follows as a body of `length` bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Submit {
    /// What the body is.
    pub kind: SubmitKind,
    /// How to send it.
    pub options: SendOptions,
    /// Bytes of the body, at most [`super::MAX_SUBMIT_BYTES`].
    pub length: u64,
}

impl Submit {
    pub(super) fn check(&self) -> Result<(), WireError> {
        self.options.check()
    }
}

/// How far a submission is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SendStage {
    /// Waits for its turn.
    Queued,
    /// Content to semantic message.
    Encode,
    /// Semantic message to samples.
    Modulate,
    /// Samples to the radio.
    Send,
    /// Waits for the receiver's receipt.
    Confirm,
    /// Sends again what the receiver misses.
    Resend,
}

impl std::fmt::Display for SendStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Queued => "queued",
            Self::Encode => "encode",
            Self::Modulate => "modulate",
            Self::Send => "send",
            Self::Confirm => "confirm",
            Self::Resend => "resend",
        })
    }
}

/// A submission moves on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The stage it is in.
    pub stage: SendStage,
    /// How much of the stage is done, 0 to 1.
    pub fraction: f32,
}

/// A submission was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SendReport {
    /// What the transmitter knows.
    pub transmitter: TransmitterPart,
    /// What the receiver said; `None` without feedback.
    pub receiver: Option<ReceiverPart>,
    /// How far that receiver's clock was ahead of the transmitter's while the message was on its way; `None` if it has
    /// answered no probe yet.
    pub clock: Option<ClockOffset>,
    /// Worth knowing, such as a fallback to another system; at most 16 lines of [`MAX_NOTE_BYTES`].
    pub notes: Vec<String>,
}

impl SendReport {
    pub(super) fn check(&self) -> Result<(), WireError> {
        self.transmitter.check()?;
        if let Some(receiver) = &self.receiver {
            receiver.check()?;
        }
        check_real("number of notes", self.notes.len() as f64, 0.0..=16.0)?;
        self.notes.iter().try_for_each(|note| check_text("note", note, MAX_NOTE_BYTES))
    }
}

/// Why a submission failed, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureCode {
    /// The content is not something that can be sent.
    Content,
    /// The options cannot be met: no such system, does not fit the budget.
    Options,
    /// The receiver did not get the message.
    Delivery,
    /// The radio is not there.
    Radio,
    /// The transmitter is busy or stops.
    Unavailable,
    /// A fault of the transmitter.
    Internal,
}

/// A submission failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failed {
    /// The reason, for programs.
    pub code: FailureCode,
    /// The reason, for people, at most [`MAX_NOTE_BYTES`].
    pub message: String,
}

impl Failed {
    /// A failure whose message is clipped to what may cross the link.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: clip(message, MAX_NOTE_BYTES) }
    }
}

/// A watch client wants to hear what arrives from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Send content too, not only events.
    pub content: bool,
}

/// How the receiver stands; told when a watch client asks to hear, and when it changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The radio gives samples, or an air has taken the receiver in.
    pub hearing: bool,
    /// The control link to the transmitter stands.
    pub linked: bool,
}

/// Content arrived; it follows as a body of `length` bytes: RGB bytes of a picture, row by row, or text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arrived {
    /// The message.
    pub message_id: u16,
    /// What the body is.
    pub content: ContentKind,
    /// The receiver's half of the report, with the decoder's confidence.
    pub part: ReceiverPart,
    /// It is what came so far: better may follow under the same number.
    pub intermediate: bool,
    /// Bytes of the body: what `content` implies, or 0 if the client asked for no content.
    pub length: u64,
}

impl Arrived {
    pub(super) fn check(&self) -> Result<(), WireError> {
        self.content.check()?;
        self.part.check()?;
        if self.length != 0 && self.length != self.content.values() {
            return Err(WireError::range(
                "body length",
                self.length,
                format!("0 or {} bytes", self.content.values()),
            ));
        }
        Ok(())
    }
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventLevel {
    /// In the course of things.
    Info,
    /// Something is lost or worse than it should be.
    Warning,
}

/// Something happened at the receiver: a peer came or went, a frame was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in µs since the Unix epoch.
    pub unix_us: u64,
    /// How much it matters.
    pub level: EventLevel,
    /// What happened, one line of at most [`MAX_NOTE_BYTES`].
    pub text: String,
}

impl Event {
    /// An event whose text is clipped to what may cross the link.
    pub fn new(unix_us: u64, level: EventLevel, text: impl Into<String>) -> Self {
        Self { unix_us, level, text: clip(text, MAX_NOTE_BYTES) }
    }
}
