//! Sockets with larger buffers, and the numbers that tell one run of a process from the next.

use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::radio::RadioError;
use crate::radio::datagram::{LOOPBACK_SAMPLES, NETWORK_SAMPLES};

/// Buffer asked for; the system grants what its limits allow.
const BUFFER_BYTES: usize = 1 << 20;
/// Samples in flight that even a stock buffer of 208 KiB holds with the system's bookkeeping.
const SMALLEST_WINDOW: u64 = 8192;
const LARGEST_WINDOW: u64 = 32_768;

/// A bound socket and what it can hold.
pub(crate) struct Bound {
    pub socket: UdpSocket,
    /// Samples that may be on their way to it at once.
    pub window: u64,
}

/// Opens a socket at `address`.
pub(crate) fn bind(address: SocketAddr) -> Result<Bound, RadioError> {
    let open = || {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        // Refusal leaves the stock size, for which the smallest window is made.
        let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(BUFFER_BYTES);
        socket.bind(&address.into())?;
        // Linux counts its bookkeeping in; samples are 8 bytes and take at most twice that.
        let window = (socket.recv_buffer_size()? as u64 / 24).clamp(SMALLEST_WINDOW, LARGEST_WINDOW);
        let socket = UdpSocket::from(socket);
        Ok(Bound { socket, window })
    };
    open().map_err(|source| RadioError::Bind { address, source })
}

/// An address from which `peer` can be reached, on a port of the system's choice.
pub(crate) fn local_address_for(peer: SocketAddr) -> SocketAddr {
    let ip = match (peer.ip().is_loopback(), peer) {
        (true, _) => peer.ip(),
        (false, SocketAddr::V4(_)) => IpAddr::from([0u8; 4]),
        (false, SocketAddr::V6(_)) => IpAddr::from([0u8; 16]),
    };
    SocketAddr::new(ip, 0)
}

/// Samples a datagram to `peer` may carry.
pub(crate) fn samples_per_datagram(peer: SocketAddr) -> usize {
    if peer.ip().is_loopback() { LOOPBACK_SAMPLES } else { NETWORK_SAMPLES }
}

/// A number that no earlier run had, never zero.
pub(crate) fn session() -> u32 {
    // The standard library seeds its hash maps from the system's random numbers.
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    (random as u32).max(1)
}

/// Errors that say "not now" or "nobody there", after which a socket can be used again.
pub(crate) fn transient(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::WouldBlock
            | Kind::TimedOut
            | Kind::Interrupted
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
    )
}
