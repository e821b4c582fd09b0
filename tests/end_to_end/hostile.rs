//! What nobody should send: every UDP port of every process gets nonsense, peers come with wrong keys, and clients
//! submit what is no content. Nothing dies, memory stays bounded, and the next picture arrives.

mod junk;
mod proxy;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use rand::{Rng, SeedableRng, rngs::StdRng};
use semcast_common::{
    message::SystemId,
    wire::{FailureCode, SendOptions, SubmitKind},
};

use crate::harness::{Daemon, Key, Trio, bomb, program, run, scene};
use proxy::Proxy;

/// Datagrams for each port.
const DATAGRAMS: usize = 2000;
/// Most memory that a process may ever have taken.
const MOST_MEMORY_BYTES: u64 = 600 << 20;

#[tokio::test]
async fn nonsense_on_every_port_and_submissions_of_nonsense_do_no_harm() {
    let mut trio = Trio::start(&["--channel", "awgn", "--snr", "15"]).await;
    let picture = scene(96, 64, 1);

    // A client whose datagrams are damaged on their way, one in ten; good ones are kept to be mutated.
    let proxy = Proxy::start(trio.control_address(), 10).await;
    trio.transfer_by_way_of(&picture, options(SystemId::Ae), Some(proxy.address())).await;
    assert!(proxy.damaged() > 0);

    let mut interrupted = trio.submit_for_long().await;
    let daemons = [&trio.air, &trio.transmitter, &trio.receiver];
    let ports: Vec<SocketAddr> = daemons.iter().flat_map(|daemon| udp_ports(daemon)).collect();
    assert!(ports.len() >= if cfg!(target_os = "linux") { 7 } else { 4 }, "{ports:?}");
    let mut random = StdRng::seed_from_u64(1);
    let mut datagrams = proxy.recorded();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    for air_port in [trio.air.address("transmit"), trio.air.address("receive")] {
        datagrams.extend(junk::radio_datagrams(&socket, air_port, &mut random));
    }
    for port in &ports {
        for _ in 0..DATAGRAMS {
            let datagram = match random.random_range(0..4) {
                0 => junk::random(&mut random),
                // As it was once said by another.
                1 => datagrams[random.random_range(0..datagrams.len())].clone(),
                _ => junk::mutated(&datagrams[random.random_range(0..datagrams.len())], &mut random),
            };
            // A port that takes no more is what a flood is about.
            let _ = socket.send_to(&datagram, port);
        }
    }
    trio.expect_alive();
    let _ = interrupted.outcome().await.expect("the transmitter stays up");
    trio.transfer(&picture, options(SystemId::Classical)).await;

    for (kind, body) in [
        (SubmitKind::PictureFile, bomb()),
        (SubmitKind::PictureFile, b"no picture".to_vec()),
        (SubmitKind::Text, Vec::new()),
        (SubmitKind::Text, vec![0xff; 40]),
    ] {
        let mut submission = trio.submit(kind, body, SendOptions::default(), None).await;
        let failed = submission.outcome().await.expect("a connection").expect_err("was sent");
        assert_eq!(failed.code, FailureCode::Content, "{failed}");
    }
    trio.transfer(&picture, options(SystemId::Ae)).await;
    trio.expect_alive();
    for daemon in [&trio.air, &trio.transmitter, &trio.receiver] {
        if let Some(most) = most_memory_bytes(daemon) {
            assert!(most < MOST_MEMORY_BYTES, "{most} bytes");
        }
    }
}

#[tokio::test]
async fn peers_without_the_right_key_are_refused_and_logged() {
    let mut trio = Trio::start(&["--channel", "awgn"]).await;
    let stranger = Key::make(trio.folder.path(), "stranger").await;
    let send = async |key: &Key, server: &Key| {
        let mut command = program();
        command.args(["send", "--text", "let me in", "--connect", &trio.control_address().to_string()]);
        command.args(key.flags(&[server]));
        run(command).await
    };
    send(&stranger, &trio.transmitter_key)
        .await
        .expect_code(5)
        .expect_errors(&["not among the trusted peers"]);
    trio.transmitter.log_says("refused a peer").await;
    // The other way round: a client is not taken in by a server that it does not know.
    send(&trio.client_key, &stranger).await.expect_code(5).expect_errors(&["not among the trusted peers"]);

    let mut command = program();
    command.args(["watch", "--count", "1", "--connect", &trio.receiver.address("watch").to_string()]);
    command.args(stranger.flags(&[&trio.receiver_key]));
    run(command).await.expect_code(5);
    trio.receiver.log_says("refused a peer").await;

    send(&trio.client_key, &trio.transmitter_key).await.expect_code(0);
    trio.expect_alive();
}

fn options(system: SystemId) -> SendOptions {
    SendOptions { system: Some(system), ..SendOptions::default() }
}

/// The UDP ports of a process: those that it announced, and on Linux all.
fn udp_ports(daemon: &Daemon) -> Vec<SocketAddr> {
    let mut addresses = daemon.addresses();
    for port in open_udp_ports(daemon.id()).unwrap_or_default() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// From the process's open files and the system's table of sockets; `None` where there is no such thing.
fn open_udp_ports(process: u32) -> Option<Vec<u16>> {
    let open: Vec<String> = std::fs::read_dir(format!("/proc/{process}/fd"))
        .ok()?
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .collect();
    let port = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let inode = format!("socket:[{}]", fields.get(9)?);
        let (_, port) = fields.get(1)?.split_once(':')?;
        open.contains(&inode).then(|| u16::from_str_radix(port, 16).ok()).flatten()
    };
    let table = std::fs::read_to_string(format!("/proc/{process}/net/udp")).ok()?;
    Some(table.lines().filter_map(port).collect())
}

/// Most memory that a process ever took, where the system tells.
fn most_memory_bytes(daemon: &Daemon) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}
