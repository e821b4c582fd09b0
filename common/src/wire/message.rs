//! All control messages in one enumeration, with who may say which to whom and how long a body follows.

use serde::{Deserialize, Serialize};

use super::{
    Arrived, ChannelState, ClockReply, Decoded, Event, Failed, Hello, MAX_NOTE_BYTES, MessageReceipt,
    Progress, Refusal, Role, SendReport, Status, Submit, Undecodable, Watch, Welcome, WireError, check_text,
};
use crate::content::MAX_PIXELS;
use crate::message::SystemId;

/// Most bytes of a submitted picture file or text.
pub const MAX_SUBMIT_BYTES: u64 = 64 << 20;
/// Most bytes of delivered content: the largest picture as RGB.
pub const MAX_ARRIVED_BYTES: u64 = 3 * MAX_PIXELS;

/// The transmitter is about to send a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageAnnounced {
    /// The message.
    pub message_id: u16,
    /// The transmission session that its number belongs to.
    pub session: u32,
    /// The system that made it.
    pub system: SystemId,
    /// Rounds may go on when all of it has arrived, to make it better: it ends with the last round, not before.
    pub refined: bool,
}

/// The transmitter has sent a message, or a round of resending: the receiver can tell what it missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageSent {
    /// The message.
    pub message_id: u16,
    /// The transmission session that its number belongs to.
    pub session: u32,
    /// Number of the last frame of the round.
    pub last_frame: u16,
    /// Frames sent for it so far.
    pub frames: u32,
    /// Nothing more will be sent: the receiver decodes what it has.
    pub last: bool,
}

/// Everything that crosses the control link. The order of the variants is part of the layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ControlMessage {
    /// Client to server, first message.
    Hello(Hello),
    /// Server to client: accepted.
    Welcome(Welcome),
    /// Server to client: not accepted.
    Refused(Refusal),
    /// Receiver to transmitter.
    ChannelState(ChannelState),
    /// Receiver to transmitter.
    Receipt(MessageReceipt),
    /// Receiver to transmitter.
    Decoded(Decoded),
    /// Receiver to transmitter.
    Undecodable(Undecodable),
    /// Transmitter to receiver.
    Announced(MessageAnnounced),
    /// Transmitter to receiver.
    Sent(MessageSent),
    /// Transmitter to receiver: a message will not be finished.
    Abandoned {
        /// The message.
        message_id: u16,
        /// The transmission session that its number belongs to.
        session: u32,
    },
    /// Send client to transmitter; the content follows as a body.
    Submit(Submit),
    /// Transmitter to send client.
    Progress(Progress),
    /// Transmitter to send client: done.
    SendReport(Box<SendReport>),
    /// Transmitter to send client: not done.
    Failed(Failed),
    /// Watch client to receiver.
    Watch(Watch),
    /// Receiver to watch client; the content follows as a body.
    Arrived(Arrived),
    /// Receiver to watch client.
    Event(Event),
    /// Receiver to watch client.
    Status(Status),
    /// Either way between receiver and transmitter: what time is it there?
    ClockProbe {
        /// When it was sent, by the sender's clock, in µs since the Unix epoch.
        sent_unix_us: u64,
    },
    /// Answer to [`ControlMessage::ClockProbe`].
    ClockReply(ClockReply),
}

impl ControlMessage {
    /// How many bytes of body follow the message.
    pub fn body_bytes(&self) -> u64 {
        match self {
            Self::Submit(submit) => submit.length,
            Self::Arrived(arrived) => arrived.length,
            _ => 0,
        }
    }

    /// Whether `from` may say this to `to`, once the handshake is over.
    pub fn may_go(&self, from: Role, to: Role) -> bool {
        use Role::{Receiver, SendClient, Transmitter, WatchClient};
        match self {
            Self::Hello(_) | Self::Welcome(_) | Self::Refused(_) => false,
            Self::ChannelState(_) | Self::Receipt(_) | Self::Decoded(_) | Self::Undecodable(_) => {
                (from, to) == (Receiver, Transmitter)
            }
            Self::Announced(_) | Self::Sent(_) | Self::Abandoned { .. } => {
                (from, to) == (Transmitter, Receiver)
            }
            Self::Submit(_) => (from, to) == (SendClient, Transmitter),
            Self::Progress(_) | Self::SendReport(_) | Self::Failed(_) => {
                (from, to) == (Transmitter, SendClient)
            }
            Self::Watch(_) => (from, to) == (WatchClient, Receiver),
            Self::Arrived(_) | Self::Event(_) | Self::Status(_) => (from, to) == (Receiver, WatchClient),
            Self::ClockProbe { .. } | Self::ClockReply(_) => {
                matches!((from, to), (Receiver, Transmitter) | (Transmitter, Receiver))
            }
        }
    }

    /// The name of the variant, for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "Hello",
            Self::Welcome(_) => "Welcome",
            Self::Refused(_) => "Refused",
            Self::ChannelState(_) => "ChannelState",
            Self::Receipt(_) => "Receipt",
            Self::Decoded(_) => "Decoded",
            Self::Undecodable(_) => "Undecodable",
            Self::Announced(_) => "Announced",
            Self::Sent(_) => "Sent",
            Self::Abandoned { .. } => "Abandoned",
            Self::Submit(_) => "Submit",
            Self::Progress(_) => "Progress",
            Self::SendReport(_) => "SendReport",
            Self::Failed(_) => "Failed",
            Self::Watch(_) => "Watch",
            Self::Arrived(_) => "Arrived",
            Self::Event(_) => "Event",
            Self::Status(_) => "Status",
            Self::ClockProbe { .. } => "ClockProbe",
            Self::ClockReply(_) => "ClockReply",
        }
    }

    /// Checks every length and range that the layout alone does not bound.
    pub(super) fn check(&self) -> Result<(), WireError> {
        match self {
            Self::Hello(hello) => hello.check(),
            Self::Welcome(welcome) => welcome.hello.check(),
            Self::Refused(refusal) => check_text("reason", &refusal.message, MAX_NOTE_BYTES),
            Self::ChannelState(state) => state.check(),
            Self::Receipt(receipt) => receipt.check(),
            Self::Decoded(decoded) => decoded.part.check(),
            Self::Undecodable(undecodable) => check_text("reason", &undecodable.reason, MAX_NOTE_BYTES),
            Self::Submit(submit) => {
                submit.check()?;
                check_body(submit.length, MAX_SUBMIT_BYTES)
            }
            Self::SendReport(report) => report.check(),
            Self::Failed(failed) => check_text("reason", &failed.message, MAX_NOTE_BYTES),
            Self::Arrived(arrived) => {
                arrived.check()?;
                check_body(arrived.length, MAX_ARRIVED_BYTES)
            }
            Self::Event(event) => check_text("event", &event.text, MAX_NOTE_BYTES),
            Self::Announced(_)
            | Self::Sent(_)
            | Self::Abandoned { .. }
            | Self::Progress(_)
            | Self::Watch(_)
            | Self::Status(_)
            | Self::ClockProbe { .. }
            | Self::ClockReply(_) => Ok(()),
        }
    }
}

fn check_body(length: u64, most: u64) -> Result<(), WireError> {
    if length > most {
        return Err(WireError::range("body length", length, format!("at most {most} bytes")));
    }
    Ok(())
}
