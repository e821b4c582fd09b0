//! The handshake: who talks to whom, with which radio layout, and with which systems.
//!
//! The client says [`Hello`], the server answers [`Welcome`] or [`Refusal`]. Both ends then run
//! [`negotiate`](super::negotiate) over the same two greetings and come to the same [`Agreement`](super::Agreement).

use serde::{Deserialize, Serialize};

use super::{WireError, check_text, clip};
use crate::message::{ModelDigest, SystemId};

/// Version of what the messages mean; [`super::VERSION`] is the version of how they are written.
pub const PROTOCOL_VERSION: u16 = 1;
/// Most bytes of a name.
pub const MAX_NAME_BYTES: usize = 64;
/// Most systems in a greeting.
pub const MAX_OFFERS: usize = 64;

/// What an end of the control link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// The transmitter: serves receivers and send clients.
    Transmitter,
    /// The receiver: client of the transmitter, server of watch clients.
    Receiver,
    /// A local program that hands content to the transmitter.
    SendClient,
    /// A local program that is told what the receiver gets.
    WatchClient,
}

impl Role {
    /// Whether a client of this role has any business with such a server.
    pub fn may_connect_to(self, server: Self) -> bool {
        matches!(
            (self, server),
            (Self::Receiver | Self::SendClient, Self::Transmitter) | (Self::WatchClient, Self::Receiver)
        )
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Transmitter => "transmitter",
            Self::Receiver => "receiver",
            Self::SendClient => "send client",
            Self::WatchClient => "watch client",
        })
    }
}

/// The radio layout that transmitter and receiver must share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumerologyId {
    /// Samples per second.
    pub sample_rate_hz: u32,
    /// Length of the DFT, in samples.
    pub fft_size: u16,
    /// Length of the cyclic prefix, in samples.
    pub cyclic_prefix: u16,
    /// Resource blocks of 12 subcarriers.
    pub resource_blocks: u16,
    /// Revision of preamble, pilots and header.
    pub revision: u16,
}

impl NumerologyId {
    /// Revision of preamble, pilots and header that this release speaks.
    pub const REVISION: u16 = 3;

    /// The layout of this release; values beyond what the fields hold are those of no peer.
    pub fn new(sample_rate_hz: f64, fft_size: usize, cyclic_prefix: usize, resource_blocks: usize) -> Self {
        let narrow = |value: usize| u16::try_from(value).unwrap_or(u16::MAX);
        Self {
            sample_rate_hz: sample_rate_hz as u32,
            fft_size: narrow(fft_size),
            cyclic_prefix: narrow(cyclic_prefix),
            resource_blocks: narrow(resource_blocks),
            revision: Self::REVISION,
        }
    }
}

impl std::fmt::Display for NumerologyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} S/s, DFT of {}, prefix of {}, {} resource blocks, frame layout {}",
            self.sample_rate_hz, self.fft_size, self.cyclic_prefix, self.resource_blocks, self.revision
        )
    }
}

/// A system that an end has, with its model. The number may be one that this release does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemOffer {
    /// [`SystemId::number`].
    pub number: u8,
    /// Digest of the model; zero for a system without one.
    pub model: ModelDigest,
}

impl SystemOffer {
    /// An offer of a system that this release knows.
    pub fn new(system: SystemId, model: ModelDigest) -> Self {
        Self { number: system.number(), model }
    }

    /// The system, if this release knows it.
    pub fn system(&self) -> Option<SystemId> {
        SystemId::from_number(self.number)
    }
}

/// What an end says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`] of that end.
    pub version: u16,
    /// What it is.
    pub role: Role,
    /// The systems it has; local clients have none.
    pub systems: Vec<SystemOffer>,
    /// A name for logs, at most [`MAX_NAME_BYTES`].
    pub name: String,
    /// Its radio layout; local clients have none.
    pub numerology: Option<NumerologyId>,
}

impl Hello {
    /// A greeting of this release without systems and radio layout, as a local client gives it.
    pub fn new(role: Role, name: impl Into<String>) -> Self {
        Self {
            version: PROTOCOL_VERSION,
            role,
            systems: Vec::new(),
            name: clip(name, MAX_NAME_BYTES),
            numerology: None,
        }
    }

    /// With the systems of this end.
    pub fn with_systems(mut self, systems: impl IntoIterator<Item = (SystemId, ModelDigest)>) -> Self {
        self.systems = systems.into_iter().map(|(id, model)| SystemOffer::new(id, model)).collect();
        self
    }

    /// With the radio layout of this end.
    pub fn with_numerology(mut self, numerology: NumerologyId) -> Self {
        self.numerology = Some(numerology);
        self
    }

    pub(super) fn check(&self) -> Result<(), WireError> {
        check_text("name", &self.name, MAX_NAME_BYTES)?;
        if self.systems.len() > MAX_OFFERS {
            return Err(WireError::range(
                "systems offered",
                self.systems.len(),
                format!("at most {MAX_OFFERS}"),
            ));
        }
        Ok(())
    }
}

/// The server's answer to a greeting that it accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The server's own greeting.
    pub hello: Hello,
    /// Number of this session, for logs on both ends.
    pub session: u64,
}

/// Why a greeting was refused, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalCode {
    /// Another protocol version.
    Version,
    /// Such a client has no business with such a server.
    Role,
    /// Another radio layout.
    Numerology,
    /// No system that both ends have with the same model.
    Systems,
    /// The server has as many connections as it takes.
    Busy,
}

/// Why a greeting was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The reason, for programs.
    pub code: RefusalCode,
    /// The reason, for people: says what differs.
    pub message: String,
}

impl Refusal {
    /// A refusal whose message is clipped to what may cross the link.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: clip(message, super::MAX_NOTE_BYTES) }
    }
}
