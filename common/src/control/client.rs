//! The connecting end.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use quinn::Endpoint;

use super::connection::{ControlConnection, PeerInfo, peer_fingerprint, receive};
use super::fingerprint::Peers;
use super::framing::{FrameDecoder, encode_frame};
use super::keys::{Identity, SERVER_NAME};
use super::{ControlError, HANDSHAKE_TIMEOUT, close_code, transport};
use crate::wire::{ControlMessage, Hello, negotiate};

/// First and longest pause between attempts to connect.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_LONGEST: Duration = Duration::from_secs(2);

/// Connects to one server, as often as needed.
#[derive(Debug)]
pub struct ControlClient {
    address: String,
    hello: Hello,
    config: quinn::ClientConfig,
    complaint: Option<String>,
}

impl ControlClient {
    /// A client of the server at `address` (`HOST:PORT`), as `identity`, that trusts `peers` only and
    /// greets with `hello`.
    pub fn new(
        address: impl Into<String>,
        identity: &Identity,
        peers: &Peers,
        hello: Hello,
    ) -> Result<Self, ControlError> {
        let config = transport::client_config(identity, peers)?;
        Ok(Self { address: address.into(), hello, config, complaint: None })
    }

    /// The server's address as it was given.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Connects and greets, within [`HANDSHAKE_TIMEOUT`].
    pub async fn connect(&self) -> Result<ControlConnection, ControlError> {
        let connected = tokio::time::timeout(HANDSHAKE_TIMEOUT, self.try_all_addresses()).await;
        match connected.unwrap_or(Err(ControlError::TimedOut)) {
            Err(ControlError::TimedOut) => Err(ControlError::NoAnswer { address: self.address.clone() }),
            other => other,
        }
    }

    /// Connects, and tries again until it succeeds. The log tells of a failure when it is another one than
    /// before, and of the success. Safe to abandon.
    pub async fn connect_forever(&mut self) -> ControlConnection {
        let mut pause = BACKOFF_FIRST;
        loop {
            match self.connect().await {
                Ok(connection) => {
                    self.complaint = None;
                    tracing::info!(peer = %connection.peer(), session = connection.peer().session,
                        "control link: connected");
                    return connection;
                }
                Err(error) => {
                    let complaint = error.to_string();
                    if self.complaint.as_ref() != Some(&complaint) {
                        tracing::warn!(address = %self.address, %error,
                            "control link: cannot connect, trying again");
                        self.complaint = Some(complaint);
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(BACKOFF_LONGEST);
        }
    }

    async fn try_all_addresses(&self) -> Result<ControlConnection, ControlError> {
        let failed = |error| ControlError::Resolve { address: self.address.clone(), error };
        let addresses = tokio::net::lookup_host(&self.address).await.map_err(failed)?;
        let mut last = failed(std::io::Error::other("no address"));
        for address in addresses {
            match self.connect_to(address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_to(&self, address: SocketAddr) -> Result<ControlConnection, ControlError> {
        let local: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        // The connection keeps the endpoint alive.
        let endpoint = Endpoint::client(local)
            .map_err(|error| ControlError::Bind { address: local.to_string(), error })?;
        let connection = endpoint
            .connect_with(self.config.clone(), address, SERVER_NAME)
            .map_err(|error| ControlError::Lost(error.to_string()))?
            .await?;
        let fingerprint = peer_fingerprint(&connection)?;
        let (mut send, mut stream) = connection.open_bi().await?;
        send.write_all(&encode_frame(&ControlMessage::Hello(self.hello.clone()))?).await?;
        let mut decoder = FrameDecoder::new();
        let answer = receive(&mut stream, &mut decoder).await?.ok_or(ControlError::Closed)?;
        let welcome = match answer.message {
            ControlMessage::Welcome(welcome) => welcome,
            ControlMessage::Refused(refusal) => {
                connection.close(close_code::DONE.into(), b"");
                return Err(ControlError::Refused(refusal));
            }
            other => {
                let reason = format!("{} instead of Welcome", other.name());
                connection.close(close_code::PROTOCOL.into(), reason.as_bytes());
                return Err(ControlError::Protocol(reason));
            }
        };
        let agreement = negotiate(&self.hello, &welcome.hello).map_err(|refusal| {
            connection.close(close_code::REFUSED.into(), refusal.message.as_bytes());
            ControlError::Refused(refusal)
        })?;
        let peer =
            PeerInfo { address, fingerprint, hello: welcome.hello, agreement, session: welcome.session };
        let role = self.hello.role;
        Ok(ControlConnection::new(connection, (send, stream), decoder, role, peer, None))
    }
}
