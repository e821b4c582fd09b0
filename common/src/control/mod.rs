//! The control link: QUIC with mutual TLS between transmitter, receiver and their local clients.
//!
//! ```text
//! receiver, `send` ──ControlClient──► ControlServer of the transmitter
//! `watch`          ──ControlClient──► ControlServer of the receiver
//! ```
//!
//! Each end has an [`Identity`] (an Ed25519 key made by `semcast keygen`) and a list of [`Peers`]; TLS 1.3
//! is run with both certificates, and a certificate counts by the SHA-256 of its public key alone: names,
//! dates and issuers are not looked at. A peer without a trusted key gets no further than the TLS handshake
//! and is logged.
//!
//! A connection carries one bidirectional stream of frames in each direction: length as `u32` little endian,
//! then that many bytes of [`crate::wire`] message, then the body that the message announces, if any. The
//! first two frames are the greeting; see [`crate::wire::negotiate`].
//!
//! Whatever the network sends, memory is bounded: 16 handshakes and [`MAX_CONNECTIONS`] connections at a
//! time, one stream a connection, lengths checked before anything is allocated.
//!
//! References: RFC 9000 (QUIC), RFC 9001 (QUIC-TLS), RFC 8446 (TLS 1.3), RFC 7469 section 2.4 (pins over
//! the SubjectPublicKeyInfo). Layout: `docs/PROTOCOL.md`.

mod client;
mod connection;
mod fingerprint;
mod framing;
mod keys;
mod sender;
mod server;
mod transport;
mod verify;

use std::time::Duration;

use thiserror::Error;

pub use client::ControlClient;
pub use connection::{ControlConnection, ControlReceiver, PeerInfo};
pub use fingerprint::{Fingerprint, Peers};
pub use framing::{FrameDecoder, Received, encode_frame};
pub use keys::{Identity, KeyError};
pub use sender::ControlSender;
pub use server::ControlServer;

use crate::wire::{Refusal, WireError};

/// Application protocol that both ends name in the TLS handshake.
pub const ALPN: &[u8] = b"semcast/1";
/// Most connections that a server keeps open.
pub const MAX_CONNECTIONS: usize = 32;
/// Longest time from the first packet to the end of the greeting.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection over which nothing came for this long is lost.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// An end that has nothing to say says so this often.
pub const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// What can go wrong with the control link.
#[derive(Debug, Error)]
pub enum ControlError {
    /// The socket cannot be opened.
    #[error("cannot open a UDP socket on {address}: {error}")]
    Bind {
        /// The address.
        address: String,
        /// The operating system's answer.
        error: std::io::Error,
    },
    /// The name of the peer cannot be resolved.
    #[error("cannot resolve {address} (expected HOST:PORT): {error}")]
    Resolve {
        /// The address as it was given.
        address: String,
        /// The resolver's answer.
        error: std::io::Error,
    },
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// TLS refused, on this end or on the other: mostly a key that is not trusted.
    #[error("the TLS handshake failed: {0}")]
    Untrusted(String),
    /// The server understood the greeting and refused it.
    #[error("refused by the peer: {0}")]
    Refused(Refusal),
    /// The peer sent something that is no message, or said good-bye because this end did.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// The bytes of a message are wrong.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Nobody answers where the peer should be.
    #[error(
        "nobody answers at {address}: is it running there, does it listen on that address and not only on its own host's \
         (127.0.0.1), and does a firewall let UDP through?"
    )]
    NoAnswer {
        /// The address as it was given.
        address: String,
    },
    /// Nothing came from the peer in time.
    #[error("the peer does not answer")]
    TimedOut,
    /// The connection broke.
    #[error("connection lost: {0}")]
    Lost(String),
    /// The connection is closed, by either end.
    #[error("the connection is closed")]
    Closed,
}

/// Codes with which an end closes the connection (QUIC application error codes).
mod close_code {
    /// All said.
    pub const DONE: u32 = 0;
    /// The peer broke the protocol.
    pub const PROTOCOL: u32 = 1;
    /// The greeting was refused.
    pub const REFUSED: u32 = 2;
    /// The server stops.
    pub const STOPPING: u32 = 3;
}

/// TLS alerts are carried as transport errors 0x100 to 0x1ff (RFC 9001, section 4.8).
fn is_tls_alert(code: quinn::TransportErrorCode) -> bool {
    (0x100..0x200).contains(&u64::from(code))
}

impl From<quinn::ConnectionError> for ControlError {
    fn from(error: quinn::ConnectionError) -> Self {
        use quinn::ConnectionError as E;
        match error {
            E::TimedOut => Self::TimedOut,
            E::TransportError(ref inner) if is_tls_alert(inner.code) => {
                // The reason is rustls' text; its prefix for errors of a verifier says nothing.
                Self::Untrusted(inner.reason.trim_start_matches("unexpected error: ").to_string())
            }
            E::ConnectionClosed(ref close) if is_tls_alert(close.error_code) => {
                let reason = String::from_utf8_lossy(&close.reason);
                let reason = reason.trim_start_matches("unexpected error: ");
                Self::Untrusted(format!("the peer says: {reason}"))
            }
            E::ApplicationClosed(ref close) => match u32::try_from(u64::from(close.error_code)) {
                Ok(close_code::DONE | close_code::STOPPING) => Self::Closed,
                _ => Self::Protocol(String::from_utf8_lossy(&close.reason).into_owned()),
            },
            E::LocallyClosed => Self::Closed,
            other => Self::Lost(other.to_string()),
        }
    }
}

impl From<quinn::ReadError> for ControlError {
    fn from(error: quinn::ReadError) -> Self {
        match error {
            quinn::ReadError::ConnectionLost(error) => error.into(),
            other => Self::Lost(other.to_string()),
        }
    }
}

impl From<quinn::WriteError> for ControlError {
    fn from(error: quinn::WriteError) -> Self {
        match error {
            quinn::WriteError::ConnectionLost(error) => error.into(),
            quinn::WriteError::Stopped(_) => Self::Closed,
            other => Self::Lost(other.to_string()),
        }
    }
}
