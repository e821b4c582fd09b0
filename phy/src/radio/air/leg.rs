//! One receiver's channel, what has come out of it but not been sent, and the datagrams that it leaves in.

use std::net::SocketAddr;

use num_complex::Complex32;

use super::config::add;
use super::downlink::Receiver;
use super::loss::{LinkFaults, Losses};
use super::{AirSettings, Shared};
use crate::channel::{Channel, ChannelConfig, ChannelError, TransmitterConfig};
use crate::radio::datagram::{Header, Kind, SampleFormat, write};
use crate::radio::udp::samples_per_datagram;

/// Samples in the order in which they came, taken from the front.
#[derive(Debug, Default)]
struct Waiting {
    samples: Vec<Complex32>,
    taken: usize,
}

impl Waiting {
    fn len(&self) -> usize {
        self.samples.len() - self.taken
    }

    fn front(&self, count: usize) -> &[Complex32] {
        &self.samples[self.taken..self.taken + count]
    }

    fn take(&mut self, count: usize) {
        self.taken += count;
        // Moved to the front only when that is less than what was taken: a backlog costs nothing.
        if self.taken >= self.len() {
            self.samples.drain(..self.taken);
            self.taken = 0;
        }
    }
}

/// One receiver's part of the air.
pub(super) struct Leg {
    address: SocketAddr,
    session: u32,
    stream: u32,
    pub stay: u64,
    seed_offset: u64,
    channel: Channel,
    losses: Losses,
    waiting: Waiting,
    /// Index of the first sample waiting.
    pub index: u64,
}

/// The channel of receiver number `seed_offset`: transmitters' hardware is not part of it.
pub(super) fn own_channel(settings: &AirSettings, seed_offset: u64) -> ChannelConfig {
    ChannelConfig {
        seed: settings.channel.seed.wrapping_add(seed_offset),
        transmitter: TransmitterConfig::default(),
        ..settings.channel.clone()
    }
}

impl Leg {
    pub fn new(
        settings: &AirSettings,
        place: usize,
        receiver: &Receiver,
        sample_rate_hz: f64,
    ) -> Result<Self, ChannelError> {
        let seed_offset = place as u64;
        let channel = Channel::new(own_channel(settings, seed_offset), sample_rate_hz)?;
        Ok(Self {
            address: receiver.address,
            session: receiver.session,
            stream: receiver.stream,
            stay: receiver.stay,
            seed_offset,
            losses: Losses::new(settings.faults, channel.config().seed),
            channel,
            waiting: Waiting::default(),
            index: receiver.start,
        })
    }

    /// Other settings from the next sample on.
    pub fn reconfigure(&mut self, settings: &AirSettings) -> Result<(), ChannelError> {
        self.channel.reconfigure(own_channel(settings, self.seed_offset))?;
        self.set_faults(settings.faults);
        Ok(())
    }

    fn set_faults(&mut self, faults: LinkFaults) {
        self.losses.set(faults);
    }

    /// Passes samples, or so much silence, through the channel; what comes out waits. Returns that, and the index of its first
    /// sample.
    pub fn process(&mut self, samples: Option<&[Complex32]>, count: usize) -> (u64, &[Complex32]) {
        let before = self.waiting.samples.len();
        let index = self.index + self.waiting.len() as u64;
        match samples {
            Some(samples) => self.channel.process(samples, &mut self.waiting.samples),
            None => self.channel.flush(count, &mut self.waiting.samples),
        }
        (index, &self.waiting.samples[before..])
    }

    /// Samples that wait.
    pub fn backlog(&self) -> usize {
        self.waiting.len()
    }

    /// Leaves out the oldest samples that wait.
    pub fn skip(&mut self, count: usize) {
        self.waiting.take(count);
        self.index += count as u64;
    }

    fn datagram_samples(&self) -> usize {
        samples_per_datagram(self.address)
    }

    /// Whether there is something to send: a whole datagram, or anything if `flush`.
    pub fn has_datagram(&self, flush: bool) -> bool {
        self.waiting.len() >= if flush { 1 } else { self.datagram_samples() }
    }

    /// The grant that the next datagram needs.
    pub fn next_end(&self) -> u64 {
        self.index + self.datagram_samples().min(self.waiting.len()) as u64
    }

    /// Sends datagrams that end below or at `limit`; returns the samples that are gone, lost ones included.
    pub fn send_below(&mut self, limit: u64, flush: bool, shared: &Shared, bytes: &mut Vec<u8>) -> u64 {
        let most = self.datagram_samples();
        let first = self.index;
        loop {
            let count = most.min(self.waiting.len());
            let wanted = count > 0 && (flush || count == most);
            if !wanted || self.index + count as u64 > limit {
                break;
            }
            if self.losses.next_is_lost() {
                add(&shared.counters.samples_dropped, count as u64);
            } else {
                // Nothing here says where a burst begins or ends: a receiver has to find out.
                let header = Header {
                    kind: Kind::Samples,
                    flags: 0,
                    format: SampleFormat::Cf32,
                    stream: self.stream,
                    session: shared.session,
                    peer_session: self.session,
                    count: 0,
                    first_sample: self.index,
                    limit: 0,
                    sample_rate_hz: shared.config.sample_rate_hz,
                };
                write(&header, self.waiting.front(count), bytes);
                // What cannot be sent is lost, and the receiver sees that from the index.
                let _ = shared.receivers.send_to(bytes, self.address);
            }
            self.skip(count);
        }
        self.index - first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_leave_in_order_whatever_is_taken_at_once() {
        let ramp: Vec<Complex32> = (0..10_000).map(|n| Complex32::new(n as f32, 0.0)).collect();
        let mut waiting = Waiting::default();
        let mut next = 0;
        for (part, take) in ramp.chunks(100).zip([70, 0, 200, 1, 99, 110].into_iter().cycle()) {
            waiting.samples.extend_from_slice(part);
            let take = take.min(waiting.len());
            assert_eq!(waiting.front(take), &ramp[next..next + take]);
            waiting.take(take);
            next += take;
        }
        assert_eq!(waiting.front(waiting.len()), &ramp[next..]);
    }
}
