//! Samples without headers, for programs that know nothing of the air: GNU Radio's UDP blocks among them.
//!
//! Datagrams of interleaved samples come in at one port and go out to one address. Nothing says when they were sent or
//! whether any is missing, and nobody grants anything, so this works with paced time alone: what comes in is played at the
//! sample rate after a short wait, and what goes out goes out as it is made.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};

use num_complex::Complex32;
use serde::{Deserialize, Serialize};

use super::leg::own_channel;
use super::{AirSettings, MAX_RECEIVERS};
use crate::channel::{Channel, ChannelError};
use crate::radio::RadioError;
use crate::radio::sigmf::{Datatype, INTEGER_SCALE};
use crate::radio::udp::{Bound, bind};

/// Payload of a datagram that goes out: that of GNU Radio's blocks by default, within an Ethernet frame.
pub const RAW_PAYLOAD_BYTES: usize = 1472;
/// Samples of this time wait before what comes in is played: what evens out the sender's pauses.
const AHEAD_S: f64 = 0.02;
/// Samples of this time wait at most; a sender that is faster than the sample rate loses the rest.
const MOST_S: f64 = 0.25;
/// Longest datagram there is.
pub(super) const MAX_RAW_BYTES: usize = 65_536;

/// Ports without headers. The default has none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawConfig {
    /// UDP address that takes samples.
    pub input: Option<SocketAddr>,
    /// UDP address that samples are sent to.
    pub output: Option<SocketAddr>,
    /// How samples are written, both ways: cf32_le, or ci16_le with the amplitude 4 as full scale.
    pub format: Datatype,
}

impl RawConfig {
    /// Whether there is any port.
    pub fn is_used(&self) -> bool {
        self.input.is_some() || self.output.is_some()
    }

    pub(super) fn validate(&self) -> Result<(), RadioError> {
        match self.format {
            Datatype::Cf32 | Datatype::Ci16 => Ok(()),
            other => Err(RadioError::RawFormat(other.to_string())),
        }
    }
}

/// What has come in and waits for its time.
#[derive(Debug)]
pub(super) struct RawQueue {
    format: Datatype,
    ahead: usize,
    most: usize,
    samples: VecDeque<Complex32>,
    playing: bool,
    /// Time for which too few have waited.
    waited: usize,
    scratch: Vec<Complex32>,
}

impl RawQueue {
    pub fn new(format: Datatype, sample_rate_hz: f64) -> Self {
        let samples = |seconds: f64| (seconds * sample_rate_hz).clamp(1.0, 8e6) as usize;
        Self {
            format,
            ahead: samples(AHEAD_S),
            most: samples(MOST_S),
            samples: VecDeque::new(),
            playing: false,
            waited: 0,
            scratch: Vec::new(),
        }
    }

    /// Takes a datagram; returns the samples in it, and how many of them found no room.
    pub fn put(&mut self, datagram: &[u8]) -> (usize, usize) {
        self.scratch.clear();
        self.format.read(datagram, &mut self.scratch);
        let scale = if self.format == Datatype::Cf32 { 1.0 } else { INTEGER_SCALE };
        let room = self.scratch.len().min(self.most - self.samples.len());
        self.samples.extend(self.scratch[..room].iter().map(|sample| sample * scale));
        (self.scratch.len(), self.scratch.len() - room)
    }

    /// Moves on in time by the length of `out`, which is silence before; tells whether anything was put there.
    pub fn pull(&mut self, out: &mut [Complex32]) -> bool {
        if !self.playing && self.samples.len() < self.ahead && self.waited < self.ahead {
            // The end of what a sender had is played, too, when nothing follows it.
            self.waited = if self.samples.is_empty() { 0 } else { self.waited + out.len() };
            return false;
        }
        self.waited = 0;
        let count = out.len().min(self.samples.len());
        for (out, sample) in out.iter_mut().zip(self.samples.drain(..count)) {
            *out = sample;
        }
        // A sender that has paused is waited for anew.
        self.playing = count == out.len();
        count > 0
    }
}

/// A receiver that is sent to without being asked: a channel, and a socket.
#[derive(Debug)]
pub(super) struct RawOutput {
    socket: UdpSocket,
    to: SocketAddr,
    format: Datatype,
    channel: Channel,
    waiting: Vec<Complex32>,
    bytes: Vec<u8>,
}

impl RawOutput {
    /// Its channel has the seed behind those of all other receivers.
    pub fn new(
        to: SocketAddr,
        format: Datatype,
        settings: &AirSettings,
        sample_rate_hz: f64,
    ) -> Result<Self, RadioError> {
        let any = if to.is_ipv4() { [0; 4].into() } else { std::net::IpAddr::from([0u8; 16]) };
        let Bound { socket, .. } = bind(SocketAddr::new(any, 0))?;
        let channel = Channel::new(own_channel(settings, MAX_RECEIVERS as u64), sample_rate_hz)?;
        Ok(Self { socket, to, format, channel, waiting: Vec::new(), bytes: Vec::new() })
    }

    /// Other settings from the next sample on.
    pub fn reconfigure(&mut self, settings: &AirSettings) -> Result<(), ChannelError> {
        self.channel.reconfigure(own_channel(settings, MAX_RECEIVERS as u64))
    }

    /// Passes samples, or so much silence, through the channel and sends whole datagrams; returns the samples sent.
    pub fn process(&mut self, samples: Option<&[Complex32]>, count: usize) -> usize {
        match samples {
            Some(samples) => self.channel.process(samples, &mut self.waiting),
            None => self.channel.flush(count, &mut self.waiting),
        }
        let each = RAW_PAYLOAD_BYTES / self.format.bytes();
        let sent = self.waiting.len() / each * each;
        for part in self.waiting[..sent].chunks(each) {
            self.bytes.clear();
            self.format.write(part, &mut self.bytes);
            // Nobody need be there: then it is lost.
            let _ = self.socket.send_to(&self.bytes, self.to);
        }
        self.waiting.drain(..sent);
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(format: Datatype, values: std::ops::Range<i32>) -> Vec<u8> {
        let samples: Vec<Complex32> = values.map(|n| Complex32::new(n as f32 / 256.0, 0.0)).collect();
        let mut bytes = Vec::new();
        format.write(&samples, &mut bytes);
        bytes
    }

    #[test]
    fn samples_are_played_after_a_wait_and_a_pause_is_silence() {
        for format in [Datatype::Cf32, Datatype::Ci16] {
            // 20 ms at 1 kHz are 20 samples.
            let mut queue = RawQueue::new(format, 1000.0);
            let pull = |queue: &mut RawQueue, count: usize| -> Vec<i32> {
                let mut out = vec![Complex32::default(); count];
                queue.pull(&mut out);
                out.iter().map(|x| (x.re * 256.0).round() as i32).collect()
            };
            assert_eq!(queue.put(&bytes(format, 1..20)), (19, 0));
            assert_eq!(pull(&mut queue, 5), [0; 5]);
            // Half a sample at the end counts for nothing.
            let mut more = bytes(format, 20..31);
            more.push(7);
            assert_eq!(queue.put(&more), (11, 0));
            assert_eq!(pull(&mut queue, 28), (1..29).collect::<Vec<_>>());
            assert_eq!(pull(&mut queue, 4), [29, 30, 0, 0]);
            assert_eq!(queue.put(&bytes(format, 1..19)), (18, 0));
            assert_eq!(pull(&mut queue, 16), [0; 16]);
            assert_eq!(pull(&mut queue, 4), [0; 4]);
            assert_eq!(pull(&mut queue, 20), (1..19).chain([0, 0]).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_sender_that_is_too_fast_loses_what_does_not_fit() {
        let mut queue = RawQueue::new(Datatype::Cf32, 1000.0);
        assert_eq!(queue.put(&bytes(Datatype::Cf32, 0..240)), (240, 0));
        assert_eq!(queue.put(&bytes(Datatype::Cf32, 0..20)), (20, 10));
        assert_eq!(queue.samples.len(), 250);
    }
}
