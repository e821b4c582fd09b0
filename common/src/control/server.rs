//! The listening end: accepts peers with a trusted key, greets them, and hands them on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quinn::{Connection, Endpoint, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;

use super::connection::{ControlConnection, PeerInfo, peer_fingerprint, receive};
use super::fingerprint::Peers;
use super::framing::{FrameDecoder, encode_frame};
use super::keys::Identity;
use super::{ControlError, HANDSHAKE_TIMEOUT, MAX_CONNECTIONS, close_code, transport};
use crate::wire::{ControlMessage, Hello, Refusal, RefusalCode, Welcome, WireError, negotiate};

/// Handshakes at a time.
const MAX_HANDSHAKES: usize = 16;
/// With fewer places than this left, a peer must show first that it can be reached at its address.
const RETRY_BELOW: usize = 8;

/// A server of control connections.
#[derive(Debug)]
pub struct ControlServer {
    endpoint: Endpoint,
    accepted: mpsc::Receiver<ControlConnection>,
    acceptor: AbortHandle,
}

struct Shared {
    hello: Hello,
    sessions: AtomicU64,
    connections: Arc<Semaphore>,
    accepted: mpsc::Sender<ControlConnection>,
}

impl ControlServer {
    /// Listens on `address` as `identity`, for `peers` only, with `hello` as this end's greeting. Must be
    /// called within a tokio runtime.
    pub fn bind(
        address: SocketAddr,
        identity: &Identity,
        peers: &Peers,
        hello: Hello,
    ) -> Result<Self, ControlError> {
        let bind_failed = |error| ControlError::Bind { address: address.to_string(), error };
        let socket = std::net::UdpSocket::bind(address).map_err(bind_failed)?;
        let runtime = quinn::default_runtime()
            .ok_or_else(|| bind_failed(std::io::Error::other("called outside of a tokio runtime")))?;
        let endpoint = Endpoint::new(
            transport::endpoint_config(identity),
            Some(transport::server_config(identity, peers)?),
            socket,
            runtime,
        )
        .map_err(bind_failed)?;
        if peers.is_empty() {
            tracing::warn!(%address, "control link: no peer is trusted, so nobody can connect");
        }
        let (sender, accepted) = mpsc::channel(MAX_CONNECTIONS);
        let shared = Arc::new(Shared {
            hello,
            sessions: AtomicU64::new(1),
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            accepted: sender,
        });
        let acceptor = tokio::spawn(accept_loop(endpoint.clone(), shared)).abort_handle();
        Ok(Self { endpoint, accepted, acceptor })
    }

    /// The address that the server listens on.
    pub fn local_address(&self) -> Result<SocketAddr, ControlError> {
        self.endpoint
            .local_addr()
            .map_err(|error| ControlError::Bind { address: "the control port".into(), error })
    }

    /// The next peer that was greeted; `None` only after the server stopped. Safe to abandon.
    pub async fn accept(&mut self) -> Option<ControlConnection> {
        self.accepted.recv().await
    }

    /// Stops: closes all connections, tells the peers, and waits until they know.
    pub async fn stop(self) {
        self.acceptor.abort();
        self.endpoint.close(close_code::STOPPING.into(), b"the server stops");
        // A peer that is gone does not acknowledge the close.
        let _ = tokio::time::timeout(HANDSHAKE_TIMEOUT, self.endpoint.wait_idle()).await;
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.endpoint.close(close_code::STOPPING.into(), b"the server stops");
    }
}

async fn accept_loop(endpoint: Endpoint, shared: Arc<Shared>) {
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    while let Some(incoming) = endpoint.accept().await {
        let address = incoming.remote_address();
        if handshakes.available_permits() < RETRY_BELOW && incoming.may_retry() {
            // Fails only for a peer that has been through it already.
            let _ = incoming.retry();
            continue;
        }
        let Ok(permit) = handshakes.clone().try_acquire_owned() else {
            tracing::debug!(%address, "control link: too many handshakes at a time");
            incoming.refuse();
            continue;
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            let result = tokio::time::timeout(HANDSHAKE_TIMEOUT, greet(incoming, &shared)).await;
            drop(permit);
            match result.unwrap_or(Err(ControlError::TimedOut)) {
                Ok(connection) => {
                    tracing::info!(peer = %connection.peer(), session = connection.peer().session,
                        "control link: connected");
                    // Nobody accepts any more: the server is being dropped.
                    let _ = shared.accepted.send(connection).await;
                }
                Err(error @ (ControlError::TimedOut | ControlError::Lost(_) | ControlError::Closed)) => {
                    tracing::debug!(%address, %error, "control link: a handshake came to nothing");
                }
                Err(error) => tracing::warn!(%address, %error, "control link: refused a peer"),
            }
        });
    }
}

async fn greet(incoming: Incoming, shared: &Shared) -> Result<ControlConnection, ControlError> {
    let address = incoming.remote_address();
    let connection = incoming.accept()?.await?;
    let fingerprint = peer_fingerprint(&connection)?;
    let (mut send, mut stream) = connection.accept_bi().await?;
    let mut decoder = FrameDecoder::new();
    let hello = match receive(&mut stream, &mut decoder).await {
        Ok(Some(received)) => match received.message {
            ControlMessage::Hello(hello) => hello,
            other => {
                let error = ControlError::Protocol(format!("{} instead of Hello", other.name()));
                return Err(close_with(&connection, error));
            }
        },
        Ok(None) => return Err(ControlError::Closed),
        Err(error) => return Err(close_with(&connection, error)),
    };
    let outcome = negotiate(&hello, &shared.hello).and_then(|agreement| {
        let permit = shared.connections.clone().try_acquire_owned().map_err(|_| {
            Refusal::new(RefusalCode::Busy, format!("{MAX_CONNECTIONS} connections are open already"))
        })?;
        Ok::<(_, OwnedSemaphorePermit), Refusal>((agreement, permit))
    });
    let (agreement, permit) = match outcome {
        Ok(outcome) => outcome,
        Err(refusal) => {
            send.write_all(&encode_frame(&ControlMessage::Refused(refusal.clone()))?).await?;
            if send.finish().is_ok() {
                // So that the reason arrives before the connection is closed.
                let _ = send.stopped().await;
            }
            connection.close(close_code::REFUSED.into(), refusal.message.as_bytes());
            return Err(ControlError::Refused(refusal));
        }
    };
    let session = shared.sessions.fetch_add(1, Ordering::Relaxed);
    let welcome = ControlMessage::Welcome(Welcome { hello: shared.hello.clone(), session });
    send.write_all(&encode_frame(&welcome)?).await?;
    let peer = PeerInfo { address, fingerprint, hello, agreement, session };
    let role = shared.hello.role;
    Ok(ControlConnection::new(connection, (send, stream), decoder, role, peer, Some(permit)))
}

/// Closes the connection of a peer that broke the protocol, and passes the error on.
fn close_with(connection: &Connection, error: ControlError) -> ControlError {
    let code = match &error {
        ControlError::Wire(WireError::Version { .. }) => close_code::REFUSED,
        _ => close_code::PROTOCOL,
    };
    connection.close(code.into(), error.to_string().as_bytes());
    error
}
