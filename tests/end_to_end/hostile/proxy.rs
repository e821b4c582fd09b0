//! A UDP proxy between a client and a server that damages datagrams in both directions and keeps copies.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{net::UdpSocket, task::JoinHandle};

/// Datagrams that are kept.
const MOST_KEPT: usize = 500;

/// Runs until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    kept: Vec<Vec<u8>>,
    damaged: usize,
}

impl Proxy {
    /// Stands in front of a server; damages so many datagrams in a hundred.
    pub async fn start(server: SocketAddr, percent: u32) -> Self {
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        back.connect(server).await.expect("a server");
        let address = front.local_addr().expect("an address");
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let task = tokio::spawn(pass(front, back, percent, seen.clone()));
        Self { address, seen, task }
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many it damaged.
    pub fn damaged(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).damaged
    }

    /// Sound datagrams that passed.
    pub fn recorded(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).kept.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(front: UdpSocket, back: UdpSocket, percent: u32, seen: Arc<Mutex<Seen>>) {
    let mut random = StdRng::seed_from_u64(2);
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    let mut client = None;
    loop {
        // An error is an ICMP message about an earlier datagram.
        let (datagram, upwards) = tokio::select! {
            Ok((length, from)) = front.recv_from(&mut up) => {
                client = Some(from);
                (&mut up[..length], true)
            }
            Ok(length) = back.recv(&mut down) => (&mut down[..length], false),
            else => continue,
        };
        let mut end = datagram.len();
        {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.kept.len() < MOST_KEPT {
                seen.kept.push(datagram.to_vec());
            }
            if end > 0 && random.random_range(0..100) < percent {
                seen.damaged += 1;
                match random.random() {
                    true => datagram[random.random_range(0..end)] ^= 1 << random.random_range(0..8),
                    false => end = random.random_range(0..end),
                }
            }
        }
        // What cannot be passed on is lost, which both ends must bear.
        let _ = match (upwards, client) {
            (true, _) => back.send(&datagram[..end]).await,
            (false, Some(client)) => front.send_to(&datagram[..end], client).await,
            (false, None) => continue,
        };
    }
}
