//! One connection after the greeting: a sender and a receiver of messages.
//!
//! Sending goes through a queue to a task of its own, so that an abandoned `send` never leaves half a frame
//! on the stream; receiving keeps what came in so far, so that an abandoned `receive` loses nothing. Both
//! may therefore be used in `select!`.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::OwnedSemaphorePermit;

use super::fingerprint::Fingerprint;
use super::framing::{FrameDecoder, Received};
use super::sender::ControlSender;
use super::{ControlError, close_code};
use crate::wire::{Agreement, ControlMessage, Hello, Role};

/// Bytes taken from the stream at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Who is on the other end.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// Its address.
    pub address: SocketAddr,
    /// Its key.
    pub fingerprint: Fingerprint,
    /// What it said of itself.
    pub hello: Hello,
    /// What both ends have in common.
    pub agreement: Agreement,
    /// Number of the session, the same on both ends.
    pub session: u64,
}

impl std::fmt::Display for PeerInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} at {}", self.hello.role, self.hello.name, self.address)
    }
}

/// The receiving half.
#[derive(Debug)]
pub struct ControlReceiver {
    connection: Connection,
    stream: RecvStream,
    decoder: FrameDecoder,
    _permit: Option<Arc<OwnedSemaphorePermit>>,
}

impl ControlReceiver {
    /// The next message, with its body; `None` once the peer has closed the connection in good order.
    /// Safe to abandon and call again.
    pub async fn receive(&mut self) -> Result<Option<Received>, ControlError> {
        let result = receive(&mut self.stream, &mut self.decoder).await;
        if let Err(error @ (ControlError::Wire(_) | ControlError::Protocol(_))) = &result {
            self.connection.close(close_code::PROTOCOL.into(), error.to_string().as_bytes());
        }
        match result {
            Err(ControlError::Closed) => Ok(None),
            other => other,
        }
    }

    /// Closes the connection at once, in both directions. What is queued may be lost; see
    /// [`ControlSender::finish`].
    pub fn close(self) {
        self.connection.close(close_code::DONE.into(), b"");
    }
}

pub(super) async fn receive(
    stream: &mut RecvStream,
    decoder: &mut FrameDecoder,
) -> Result<Option<Received>, ControlError> {
    loop {
        if let Some(received) = decoder.next_message()? {
            return Ok(Some(received));
        }
        match stream.read_chunk(CHUNK_BYTES, true).await? {
            Some(chunk) => decoder.push(&chunk.bytes),
            None if decoder.is_between_frames() => return Ok(None),
            None => return Err(ControlError::Protocol("the stream ends inside a frame".into())),
        }
    }
}

/// A connection over which the greeting went well.
#[derive(Debug)]
pub struct ControlConnection {
    peer: PeerInfo,
    sender: ControlSender,
    receiver: ControlReceiver,
}

impl ControlConnection {
    pub(super) fn new(
        connection: Connection,
        streams: (SendStream, RecvStream),
        mut decoder: FrameDecoder,
        our_role: Role,
        peer: PeerInfo,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let permit = permit.map(Arc::new);
        let their_role = peer.hello.role;
        decoder.greeted(their_role, our_role);
        let (send_stream, stream) = streams;
        let sender = ControlSender::start(send_stream, our_role, their_role, permit.clone());
        Self { peer, sender, receiver: ControlReceiver { connection, stream, decoder, _permit: permit } }
    }

    /// Who is on the other end.
    pub fn peer(&self) -> &PeerInfo {
        &self.peer
    }

    /// The sending half, for another task.
    pub fn sender(&self) -> ControlSender {
        self.sender.clone()
    }

    /// Queues a message without a body.
    pub async fn send(&self, message: &ControlMessage) -> Result<(), ControlError> {
        self.sender.send(message).await
    }

    /// Queues a message and its body.
    pub async fn send_with_body(&self, message: &ControlMessage, body: Bytes) -> Result<(), ControlError> {
        self.sender.send_with_body(message, body).await
    }

    /// The next message; see [`ControlReceiver::receive`].
    pub async fn receive(&mut self) -> Result<Option<Received>, ControlError> {
        self.receiver.receive().await
    }

    /// Both halves, for two tasks.
    pub fn split(self) -> (ControlSender, ControlReceiver) {
        (self.sender, self.receiver)
    }

    /// Waits until the peer has everything that was sent, and closes the connection.
    pub async fn finish(self) {
        self.sender.finish().await;
        self.receiver.close();
    }
}

/// The key that the peer showed in the TLS handshake.
pub(super) fn peer_fingerprint(connection: &Connection) -> Result<Fingerprint, ControlError> {
    connection
        .peer_identity()
        .and_then(|identity| identity.downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>().ok())
        .and_then(|chain| Fingerprint::of_certificate(chain.first()?).ok())
        .ok_or_else(|| ControlError::Untrusted("the peer showed no certificate".into()))
}
