//! The control link over real sockets: right and wrong keys, rubbish, and a network that damages packets.

#[path = "control_link/proxy.rs"]
mod proxy;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use proxy::{Damage, Proxy};
use semcast_common::control::{
    ControlClient, ControlConnection, ControlError, ControlServer, Identity, Peers,
};
use semcast_common::message::{ModelDigest, SystemId};
use semcast_common::wire::{
    ChannelState, ControlMessage, Hello, MessageAnnounced, NumerologyId, Progress, RefusalCode, Role,
    SendOptions, SendStage, Submit, SubmitKind,
};

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Far more than anything here takes; only a test that hangs gets there.
const PATIENCE: Duration = Duration::from_secs(60);

async fn patiently<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("this hangs")
}

fn transmitter_hello() -> Hello {
    Hello::new(Role::Transmitter, "mast")
        .with_systems([(SystemId::Classical, ModelDigest::default())])
        .with_numerology(NumerologyId::default())
}

fn receiver_hello() -> Hello {
    Hello { role: Role::Receiver, name: "field".into(), ..transmitter_hello() }
}

/// A transmitter's server and the keys around it.
struct Link {
    server: ControlServer,
    address: SocketAddr,
    client_identity: Identity,
    trusted_by_client: Peers,
}

impl Link {
    fn new() -> Self {
        let server_identity = Identity::generate().unwrap();
        let client_identity = Identity::generate().unwrap();
        let trusted_by_server = Peers::from_iter([client_identity.fingerprint()]);
        let trusted_by_client = Peers::from_iter([server_identity.fingerprint()]);
        let server =
            ControlServer::bind(LOCAL, &server_identity, &trusted_by_server, transmitter_hello()).unwrap();
        let address = server.local_address().unwrap();
        Self { server, address, client_identity, trusted_by_client }
    }

    fn client_at(&self, address: SocketAddr, hello: Hello) -> ControlClient {
        ControlClient::new(address.to_string(), &self.client_identity, &self.trusted_by_client, hello)
            .unwrap()
    }

    fn client(&self) -> ControlClient {
        self.client_at(self.address, receiver_hello())
    }

    /// Shows that the server still serves a receiver with the right key.
    async fn assert_serves(&mut self) {
        let client = self.client();
        let (there, here) = patiently(async { tokio::join!(client.connect(), self.server.accept()) }).await;
        let (there, mut here) = (there.unwrap(), here.unwrap());
        there.send(&state(1)).await.unwrap();
        assert_eq!(patiently(here.receive()).await.unwrap().unwrap().message, state(1));
        there.finish().await;
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn state(frames: u64) -> ControlMessage {
    ControlMessage::ChannelState(ChannelState::new(frames, &[10.0; 25], 10.0, 0.0))
}

fn announced(message_id: u16) -> ControlMessage {
    ControlMessage::Announced(MessageAnnounced {
        message_id,
        session: 1,
        system: SystemId::Classical,
        refined: false,
    })
}

#[tokio::test]
async fn right_keys_connect_and_exchange() {
    let mut link = Link::new();
    let client = link.client();
    let (there, here) = patiently(async { tokio::join!(client.connect(), link.server.accept()) }).await;
    let (mut there, mut here) = (there.unwrap(), here.unwrap());
    assert_eq!(here.peer().fingerprint, link.client_identity.fingerprint());
    assert_eq!(here.peer().hello.name, "field");
    assert_eq!(there.peer().hello.role, Role::Transmitter);
    assert_eq!(there.peer().session, here.peer().session);
    assert_eq!(there.peer().agreement.systems, [SystemId::Classical]);

    for frames in 0..200 {
        there.send(&state(frames)).await.unwrap();
        here.send(&announced(frames as u16)).await.unwrap();
    }
    for frames in 0..200 {
        assert_eq!(patiently(here.receive()).await.unwrap().unwrap().message, state(frames));
        assert_eq!(patiently(there.receive()).await.unwrap().unwrap().message, announced(frames as u16));
    }
    // A message that this role has no right to say does not even leave.
    assert!(matches!(there.send(&announced(1)).await, Err(ControlError::Protocol(_))));
    there.finish().await;
    assert!(patiently(here.receive()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_submission_carries_its_body() {
    let mut link = Link::new();
    let client = link.client_at(link.address, Hello::new(Role::SendClient, "send"));
    let (there, here) = patiently(async { tokio::join!(client.connect(), link.server.accept()) }).await;
    let (mut there, mut here) = (there.unwrap(), here.unwrap());
    let body = Bytes::from((0..3_000_000u32).map(|at| (at * 31) as u8).collect::<Vec<u8>>());
    let submit = ControlMessage::Submit(Submit {
        kind: SubmitKind::PictureFile,
        options: SendOptions::default(),
        length: body.len() as u64,
    });
    assert!(there.send(&submit).await.is_err(), "a body was announced");
    there.send_with_body(&submit, body.clone()).await.unwrap();
    let received = patiently(here.receive()).await.unwrap().unwrap();
    assert_eq!(received.message, submit);
    assert!(received.body == body);
    let progress = ControlMessage::Progress(Progress { stage: SendStage::Encode, fraction: 0.5 });
    here.send(&progress).await.unwrap();
    here.finish().await;
    assert_eq!(patiently(there.receive()).await.unwrap().unwrap().message, progress);
    assert!(patiently(there.receive()).await.unwrap().is_none());
}

#[tokio::test]
async fn abandoned_calls_lose_nothing() {
    let mut link = Link::new();
    let client = link.client();
    let (there, here) = patiently(async { tokio::join!(client.connect(), link.server.accept()) }).await;
    let (there, mut here) = (there.unwrap(), here.unwrap());
    let (sender, _receiver) = there.split();
    let feeder = tokio::spawn(async move {
        for frames in 0..500 {
            sender.send(&state(frames)).await.unwrap();
        }
        sender.finish().await;
    });
    let mut seen = 0;
    loop {
        // `biased` with a ready future on one side abandons `receive` again and again.
        let received = tokio::select! {
            biased;
            received = here.receive() => received.unwrap(),
            () = tokio::task::yield_now() => continue,
        };
        let Some(received) = received else { break };
        assert_eq!(received.message, state(seen));
        seen += 1;
    }
    assert_eq!(seen, 500);
    patiently(feeder).await.unwrap();
}

#[tokio::test]
async fn a_client_without_the_right_key_is_refused() {
    let mut link = Link::new();
    let stranger = Identity::generate().unwrap();
    let client =
        ControlClient::new(link.address.to_string(), &stranger, &link.trusted_by_client, receiver_hello())
            .unwrap();
    // For all tests of this process: a subscriber of one thread would miss events whose interest another thread
    // has just found to be none.
    let log = Log::default();
    tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).init();
    let error = patiently(client.connect()).await.unwrap_err();
    assert!(matches!(error, ControlError::Untrusted(_)), "{error}");
    assert!(error.to_string().contains(&stranger.fingerprint().to_string()), "{error}");
    link.assert_serves().await;
    let log = log.text();
    let fingerprint = stranger.fingerprint().to_string();
    let ours = |line: &&str| line.contains("refused a peer") && line.contains(&fingerprint);
    let line = log.lines().find(ours).expect(&log);
    assert!(line.contains("WARN") && line.contains("127.0.0.1:"), "{line}");
}

#[tokio::test]
async fn a_certificate_without_its_private_key_is_refused() {
    let mut link = Link::new();
    let thief = Identity::generate().unwrap();
    let connection = proxy::connection_with(link.address, &link.client_identity, &thief).await;
    let reason = patiently(connection.closed()).await;
    // TLS alert decrypt_error (RFC 8446, section 6.2): the signature is not that of the certificate's key.
    let quinn::ConnectionError::ConnectionClosed(close) = &reason else { panic!("{reason}") };
    assert_eq!(u64::from(close.error_code), 0x100 + 51, "{reason}");
    link.assert_serves().await;
}

#[tokio::test]
async fn a_server_without_the_right_key_is_refused() {
    let mut link = Link::new();
    let other = Peers::from_iter([Identity::generate().unwrap().fingerprint()]);
    let client =
        ControlClient::new(link.address.to_string(), &link.client_identity, &other, receiver_hello())
            .unwrap();
    let error = patiently(client.connect()).await.unwrap_err();
    assert!(matches!(error, ControlError::Untrusted(_)), "{error}");
    assert!(error.to_string().contains("not among the trusted peers"), "{error}");
    link.assert_serves().await;
}

#[tokio::test]
async fn nothing_in_common_is_refused_with_the_reason() {
    let mut link = Link::new();
    let hello = receiver_hello().with_systems([(SystemId::Ae, ModelDigest([7; 8]))]);
    let error = patiently(link.client_at(link.address, hello).connect()).await.unwrap_err();
    let ControlError::Refused(refusal) = &error else { panic!("{error}") };
    assert_eq!(refusal.code, RefusalCode::Systems);
    assert!(refusal.message.contains("ae (0707070707070707)"), "{error}");
    let watcher = Hello::new(Role::WatchClient, "watch");
    let error = patiently(link.client_at(link.address, watcher).connect()).await.unwrap_err();
    assert!(error.to_string().contains("does not serve a watch client"), "{error}");
    link.assert_serves().await;
}

#[tokio::test]
async fn random_datagrams_are_ignored() {
    let mut link = Link::new();
    let socket = tokio::net::UdpSocket::bind(LOCAL).await.unwrap();
    let mut random = proxy::Random(1);
    for length in 0..1200usize {
        let mut datagram: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        // Every other one looks like a QUIC packet with a long header of version 1.
        if length % 2 == 0 && length > 6 {
            datagram[0] |= 0xc0;
            datagram[1..5].copy_from_slice(&[0, 0, 0, 1]);
        }
        socket.send_to(&datagram, link.address).await.unwrap();
    }
    link.assert_serves().await;
}

#[tokio::test]
async fn rubbish_from_a_trusted_peer_ends_its_connection_only() {
    let mut link = Link::new();
    for (label, bytes) in [
        ("oversize length", vec![0xff; 4]),
        ("empty message", vec![0, 0, 0, 0]),
        ("other version", vec![2, 0, 0, 0, 9, 9]),
        ("no greeting", [&[3, 0, 0, 0][..], &[1, 13, 1]].concat()),
        ("noise", (0..5000u32).map(|at| ((at * 97) >> 3) as u8).collect()),
    ] {
        let connection = proxy::raw_connection(link.address, &link.client_identity).await;
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        // The server may have closed the connection before all of it is written.
        let _ = send.write_all(&bytes).await;
        let reason = patiently(connection.closed()).await;
        assert!(matches!(reason, quinn::ConnectionError::ApplicationClosed(_)), "{label}: {reason}");
    }
    link.assert_serves().await;
}

#[tokio::test]
async fn rubbish_after_the_greeting_ends_the_connection() {
    let mut link = Link::new();
    let connection = proxy::raw_connection(link.address, &link.client_identity).await;
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    let hello = ControlMessage::Hello(Hello::new(Role::SendClient, "x"));
    send.write_all(&semcast_common::control::encode_frame(&hello).unwrap()).await.unwrap();
    let mut here = patiently(link.server.accept()).await.unwrap();
    send.write_all(&[0xff; 100]).await.unwrap();
    let error = patiently(here.receive()).await.unwrap_err();
    assert!(matches!(error, ControlError::Wire(_)), "{error}");
    patiently(connection.closed()).await;
    link.assert_serves().await;
}

#[tokio::test]
async fn a_silent_peer_is_dropped() {
    let mut link = Link::new();
    let connection = proxy::raw_connection(link.address, &link.client_identity).await;
    let reason = patiently(connection.closed()).await;
    assert!(matches!(reason, quinn::ConnectionError::ApplicationClosed(_)), "{reason}");
    link.assert_serves().await;
}

#[tokio::test]
async fn a_peer_that_never_reads_fills_the_queue_and_no_more() {
    let mut link = Link::new();
    let client = link.client();
    let (there, here) = patiently(async { tokio::join!(client.connect(), link.server.accept()) }).await;
    let (there, here) = (there.unwrap(), here.unwrap());
    let mut taken = 0u64;
    loop {
        let accepted = there.sender().try_send(&state(taken)).unwrap();
        if !accepted {
            break;
        }
        taken += 1;
        tokio::task::yield_now().await;
        assert!(taken < 1_000_000, "there is no end to the queue");
    }
    drop(here);
    let sender = there.sender();
    patiently(async {
        while sender.try_send(&state(0)).is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(matches!(sender.send(&state(0)).await, Err(ControlError::Closed)));
}

#[tokio::test]
async fn connections_are_limited() {
    let mut link = Link::new();
    let mut kept: Vec<(ControlConnection, ControlConnection)> = Vec::new();
    for _ in 0..semcast_common::control::MAX_CONNECTIONS {
        let client = link.client();
        let (there, here) = patiently(async { tokio::join!(client.connect(), link.server.accept()) }).await;
        kept.push((there.unwrap(), here.unwrap()));
    }
    let error = patiently(link.client().connect()).await.unwrap_err();
    let ControlError::Refused(refusal) = &error else { panic!("{error}") };
    assert_eq!(refusal.code, RefusalCode::Busy);
    for (there, mut here) in kept.drain(..) {
        there.finish().await;
        while patiently(here.receive()).await.unwrap().is_some() {}
    }
    // Places become free when the tasks behind the connections have ended, shortly afterwards.
    let mut client = link.client();
    let (_there, here) =
        patiently(async { tokio::join!(client.connect_forever(), link.server.accept()) }).await;
    assert!(here.is_some());
}

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    let identity = Identity::generate().unwrap();
    let client_identity = Identity::generate().unwrap();
    let peers = Peers::from_iter([client_identity.fingerprint()]);
    let mut server = ControlServer::bind(LOCAL, &identity, &peers, transmitter_hello()).unwrap();
    let address = server.local_address().unwrap();
    let trusted = Peers::from_iter([identity.fingerprint()]);
    let mut client =
        ControlClient::new(address.to_string(), &client_identity, &trusted, receiver_hello()).unwrap();
    let (mut there, here) =
        patiently(async { tokio::join!(client.connect_forever(), server.accept()) }).await;
    server.stop().await;
    drop(here);
    assert!(patiently(there.receive()).await.unwrap().is_none());
    let connecting = tokio::spawn(async move { client.connect_forever().await });
    // The port is free once the old endpoint's task has ended.
    let mut server = loop {
        match ControlServer::bind(address, &identity, &peers, transmitter_hello()) {
            Ok(server) => break server,
            Err(ControlError::Bind { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    let mut here = patiently(server.accept()).await.unwrap();
    let there = patiently(connecting).await.unwrap();
    there.send(&state(5)).await.unwrap();
    assert_eq!(patiently(here.receive()).await.unwrap().unwrap().message, state(5));
}

#[tokio::test]
async fn a_killed_server_is_noticed_when_it_is_back() {
    let identity = Identity::generate().unwrap();
    let client_identity = Identity::generate().unwrap();
    let peers = Peers::from_iter([client_identity.fingerprint()]);
    let trusted = Peers::from_iter([identity.fingerprint()]);
    let bind = || ControlServer::bind(LOCAL, &identity, &peers, transmitter_hello()).unwrap();
    let (mut first_life, second_life) = (bind(), bind());
    let proxy = Proxy::start(first_life.local_address().unwrap(), Damage::default()).await;
    let client =
        ControlClient::new(proxy.address().to_string(), &client_identity, &trusted, receiver_hello())
            .unwrap();
    let (there, here) = patiently(async { tokio::join!(client.connect(), first_life.accept()) }).await;
    let (mut there, _here) = (there.unwrap(), here.unwrap());
    // From now on the client's packets reach a server with the same key that knows nothing of them, and it
    // hears no more from the one it was connected to: just as after a kill and a restart.
    proxy.redirect(second_life.local_address().unwrap()).await;
    let error = patiently(there.receive()).await.unwrap_err();
    assert!(matches!(&error, ControlError::Lost(reason) if reason.contains("reset")), "{error}");
}

/// Sends states over a damaging network until all have come or the connection breaks.
async fn exchange(there: &ControlConnection, here: &mut ControlConnection, count: u64) -> bool {
    for frames in 0..count {
        if there.send(&state(frames)).await.is_err() {
            return false;
        }
    }
    for frames in 0..count {
        match patiently(here.receive()).await {
            Ok(Some(received)) => assert_eq!(received.message, state(frames), "damage got through"),
            Ok(None) | Err(_) => return false,
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_packets_do_no_harm() {
    let mut link = Link::new();
    let mut arrived = 0;
    for seed in 0..4 {
        let damage = Damage { seed, flip_percent: 15, cut_percent: 10 };
        let proxy = Arc::new(Proxy::start(link.address, damage).await);
        let client = link.client_at(proxy.address(), receiver_hello());
        let attempt = async {
            let there = client.connect().await.ok()?;
            let here = link.server.accept().await?;
            Some((there, here))
        };
        if let Some((there, mut here)) = patiently(attempt).await
            && exchange(&there, &mut here, 100).await
        {
            arrived += 1;
        }
        assert!(proxy.damaged() > 0, "the proxy did nothing");
    }
    assert!(arrived > 0, "a quarter of the packets damaged is no reason for no connection to work");
    link.assert_serves().await;
}
