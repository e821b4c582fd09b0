//! A radio made of UDP datagrams, as a client of [`air`](crate::radio::air).
//!
//! Samples are never sent beyond what the other side has granted, so that nothing overflows a
//! socket's buffer. There is no retransmission: what a network loses is lost, as on a real radio, and
//! reported by its index.

mod sink;
mod socket;
mod source;

pub use sink::{UdpSink, UdpSinkConfig};
pub(crate) use socket::{Bound, bind, samples_per_datagram, session, transient};
pub use source::{UdpSource, UdpSourceConfig};

use std::time::Duration;

/// Interval at which a radio tells the air that it is alive.
pub const HELLO_INTERVAL: Duration = Duration::from_millis(200);
/// Interval at which a radio that waits for an answer asks again.
pub(crate) const ASK_INTERVAL: Duration = Duration::from_millis(20);
