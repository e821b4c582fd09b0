//! Datagrams that are nonsense, or nearly are not.

use std::{
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use num_complex::Complex32;
use rand::{Rng, rngs::StdRng};
use semcast_phy::radio::datagram::{Header, Kind, MAX_DATAGRAM_BYTES, SampleFormat, parse, write};

/// Any bytes.
pub fn random(random: &mut StdRng) -> Vec<u8> {
    let length = random.random_range(0..1500);
    (0..length).map(|_| random.random()).collect()
}

/// A datagram with a few bits flipped, its end cut off, or something added.
pub fn mutated(datagram: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = datagram.to_vec();
    for _ in 0..random.random_range(1..5) {
        match random.random_range(0..4) {
            0 => bytes.truncate(random.random_range(0..=bytes.len())),
            1 => bytes.push(random.random()),
            _ if bytes.is_empty() => {}
            _ => {
                // Mostly in the header, where it matters.
                let reach = if random.random() { bytes.len() } else { bytes.len().min(48) };
                bytes[random.random_range(0..reach)] ^= 1 << random.random_range(0..8);
            }
        }
    }
    bytes
}

/// Sound datagrams of the air's own protocol, from a radio that knows the air's session but keeps no rules.
pub fn radio_datagrams(socket: &UdpSocket, air: SocketAddr, random: &mut StdRng) -> Vec<Vec<u8>> {
    let air_session = session_of(socket, air);
    let kinds = [Kind::Samples, Kind::Hello, Kind::Credit, Kind::Goodbye, Kind::Status];
    let formats = [SampleFormat::Cf32, SampleFormat::Ci16, SampleFormat::Ci8];
    (0..200)
        .map(|_| {
            let mut header = header(kinds[random.random_range(0..kinds.len())]);
            header.flags = random.random_range(0..16);
            header.format = formats[random.random_range(0..formats.len())];
            header.session = random.random_range(1..4);
            header.peer_session = if random.random() { air_session } else { random.random() };
            header.first_sample = random.random::<u64>() >> random.random_range(2..64);
            header.limit = random.random::<u64>() >> random.random_range(2..64);
            let count = if header.kind == Kind::Samples { random.random_range(1..600) } else { 0 };
            let samples: Vec<Complex32> = (0..count)
                .map(|_| {
                    // Of any size, infinite and no numbers among them.
                    let mut part = || f32::from_bits(random.random());
                    Complex32::new(part(), part())
                })
                .collect();
            let mut bytes = Vec::new();
            write(&header, &samples, &mut bytes);
            bytes
        })
        .collect()
}

/// Asks the air who it is, as any newcomer does.
fn session_of(socket: &UdpSocket, air: SocketAddr) -> u32 {
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a time limit");
    let (mut hello, mut answer) = (Vec::new(), vec![0; MAX_DATAGRAM_BYTES]);
    write(&header(Kind::Hello), &[], &mut hello);
    for _ in 0..30 {
        socket.send_to(&hello, air).expect("a hello");
        if let Ok((length, from)) = socket.recv_from(&mut answer)
            && from == air
            && let Ok(datagram) = parse(&answer[..length])
        {
            return datagram.header.session;
        }
    }
    panic!("the air at {air} does not answer");
}

fn header(kind: Kind) -> Header {
    Header {
        kind,
        flags: 0,
        format: SampleFormat::Cf32,
        stream: 0,
        session: 1,
        peer_session: 0,
        count: 0,
        first_sample: 0,
        limit: 0,
        sample_rate_hz: 7.68e6,
    }
}
