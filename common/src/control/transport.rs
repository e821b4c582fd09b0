//! How TLS and QUIC are set up, the same for servers and clients.

use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use rustls::crypto::CryptoProvider;
use rustls::version::TLS13;

use super::fingerprint::Peers;
use super::keys::{Identity, KeyError};
use super::verify::PinnedPeers;
use super::{ALPN, IDLE_TIMEOUT, KEEP_ALIVE};

/// Connection attempts that wait to be looked at, and bytes buffered for them.
const MAX_INCOMING: usize = 64;
const INCOMING_BYTES: u64 = 64 << 10;
const INCOMING_BYTES_TOTAL: u64 = 1 << 20;
/// Bytes in flight on a connection before the application reads them.
const RECEIVE_WINDOW_BYTES: u32 = 4 << 20;

fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    let idle_ms = u32::try_from(IDLE_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(idle_ms))))
        .keep_alive_interval(Some(KEEP_ALIVE))
        // The peers are mostly near; a lost first packet is then repeated after 0.3 s and not after 1 s.
        .initial_rtt(Duration::from_millis(100))
        .stream_receive_window(VarInt::from_u32(RECEIVE_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW_BYTES))
        .send_window(u64::from(RECEIVE_WINDOW_BYTES));
    Arc::new(transport)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn failed(error: impl std::fmt::Display) -> KeyError {
    KeyError::Make(error.to_string())
}

pub(super) fn server_config(identity: &Identity, peers: &Peers) -> Result<ServerConfig, KeyError> {
    let provider = provider();
    let verifier = Arc::new(PinnedPeers { peers: peers.clone(), provider: provider.clone() });
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(failed)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.certificate_chain(), identity.private_key())
        .map_err(failed)?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).map_err(failed)?));
    config
        .transport_config(transport())
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_BYTES_TOTAL);
    Ok(config)
}

pub(super) fn client_config(identity: &Identity, peers: &Peers) -> Result<ClientConfig, KeyError> {
    let provider = provider();
    let verifier = Arc::new(PinnedPeers { peers: peers.clone(), provider: provider.clone() });
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(failed)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(identity.certificate_chain(), identity.private_key())
        .map_err(failed)?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    // Each connection shows both keys again: a key that is no longer trusted must not live on in a ticket.
    tls.resumption = rustls::client::Resumption::disabled();
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).map_err(failed)?));
    config.transport_config(transport());
    Ok(config)
}

/// The same identity makes the same stateless resets and recognises its own connection IDs, over restarts.
pub(super) fn endpoint_config(identity: &Identity) -> EndpointConfig {
    let (reset_key, connection_id_key) = identity.restart_secrets();
    let mut config = EndpointConfig::new(Arc::new(reset_key));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(connection_id_key)));
    config
}
