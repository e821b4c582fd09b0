//! Test tools: a UDP proxy that damages datagrams, and a QUIC client that speaks the handshake by the book
//! and then whatever a test wants.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use semcast_common::control::{ALPN, Identity};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// What share of the datagrams, in percent, has a bit flipped or its end cut off.
#[derive(Clone, Copy, Default)]
pub struct Damage {
    pub seed: u64,
    pub flip_percent: usize,
    pub cut_percent: usize,
}

impl Damage {
    /// Damages some of the datagrams; true if it did.
    fn apply(self, random: &mut Random, datagram: &mut Vec<u8>) -> bool {
        if datagram.is_empty() {
            return false;
        }
        let dice = random.below(100);
        if dice < self.flip_percent {
            let at = random.below(datagram.len());
            datagram[at] ^= 1 << random.below(8);
        } else if dice < self.flip_percent + self.cut_percent {
            datagram.truncate(random.below(datagram.len()));
        } else {
            return false;
        }
        true
    }
}

/// Passes datagrams between one client and a server, with damage in both directions.
pub struct Proxy {
    address: SocketAddr,
    back: Arc<UdpSocket>,
    damaged: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(server: SocketAddr, damage: Damage) -> Self {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let front = UdpSocket::bind(local).await.unwrap();
        let back = Arc::new(UdpSocket::bind(local).await.unwrap());
        back.connect(server).await.unwrap();
        let address = front.local_addr().unwrap();
        let damaged = Arc::new(AtomicU64::new(0));
        let count = damaged.clone();
        let to_server = back.clone();
        let task = tokio::spawn(async move {
            let mut random = Random(damage.seed);
            let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
            let mut client = None;
            loop {
                // An error here is an ICMP message about an earlier datagram.
                let (mut datagram, upwards) = tokio::select! {
                    Ok((length, from)) = front.recv_from(&mut up) => {
                        client = Some(from);
                        (up[..length].to_vec(), true)
                    }
                    Ok(length) = to_server.recv(&mut down) => (down[..length].to_vec(), false),
                    else => continue,
                };
                count.fetch_add(u64::from(damage.apply(&mut random, &mut datagram)), Ordering::Relaxed);
                let _ = match (upwards, client) {
                    (true, _) => to_server.send(&datagram).await,
                    (false, Some(client)) => front.send_to(&datagram, client).await,
                    (false, None) => continue,
                };
            }
        });
        Self { address, back, damaged, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Passes everything to another server from now on.
    pub async fn redirect(&self, server: SocketAddr) {
        self.back.connect(server).await.unwrap();
    }

    /// Datagrams damaged so far.
    pub fn damaged(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Accepts any server: these tests are about what the server makes of a client.
#[derive(Debug)]
struct AnyServer(Arc<rustls::crypto::CryptoProvider>);

mod any_server {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    impl ServerCertVerifier for super::AnyServer {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}

/// A connection with a right key that has said nothing yet.
pub async fn raw_connection(server: SocketAddr, identity: &Identity) -> quinn::Connection {
    connection_with(server, identity, identity).await
}

/// A connection that shows the certificate of one identity and signs with the key of another.
pub async fn connection_with(server: SocketAddr, shown: &Identity, signing: &Identity) -> quinn::Connection {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    let folder = tempfile::tempdir().unwrap();
    let (key, _) = signing.save(&folder.path().join("client"), false).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(shown.certificate_pem().as_bytes()).unwrap()];
    let key = provider.key_provider.load_private_key(PrivateKeyDer::from_pem_file(key).unwrap()).unwrap();
    let shown_and_signing = rustls::sign::CertifiedKey::new(chain, key);
    let mut tls = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
        .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(shown_and_signing)));
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let endpoint = quinn::Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    // Stays alive by itself, so that only the server can have ended it.
    let mut transport = quinn::TransportConfig::default();
    transport.keep_alive_interval(Some(std::time::Duration::from_millis(500)));
    config.transport_config(Arc::new(transport));
    endpoint.connect_with(config, server, "semcast").unwrap().await.unwrap()
}
