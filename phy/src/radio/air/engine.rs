//! Queue of bursts → a channel for each receiver → datagrams, in the time of the bursts or of the wall
//! clock.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use num_complex::Complex32;

use super::config::add;
use super::downlink::{MAX_RECEIVERS, Receiver};
use super::uplink::Item;
use super::{Shared, answer_to};
use crate::channel::{Channel, ChannelConfig};
use crate::radio::datagram::{Header, Kind, SampleFormat, write};
use crate::radio::udp::samples_per_datagram;

/// Silence is made in pieces of this size.
const PIECE: usize = 4096;
/// Longest sleep: after it, silent radios and the stop flag are looked at.
const PATIENCE: Duration = Duration::from_millis(20);
/// Paced time advances in steps of this length.
const TICK: Duration = Duration::from_millis(2);
/// Paced samples that are made before they are sent.
const PACED_STEP: u64 = 16_384;
/// Paced time that may be made up for; beyond, it is left out and reported.
const MOST_BEHIND_S: f64 = 0.1;
/// Paced samples that wait for a receiver at most.
const MOST_WAITING_S: f64 = 0.25;

/// What goes into the channels.
#[derive(Clone, Copy)]
enum Feed<'a> {
    Samples(&'a [Complex32]),
    Silence(usize),
}

impl Feed<'_> {
    fn len(self) -> usize {
        match self {
            Self::Samples(samples) => samples.len(),
            Self::Silence(count) => count,
        }
    }
}

/// One receiver's channel and what has come out of it but not been sent.
struct Leg {
    address: SocketAddr,
    session: u32,
    stream: u32,
    stay: u64,
    channel: Channel,
    waiting: Vec<Complex32>,
    /// Index of the first sample waiting.
    index: u64,
}

pub(super) struct Engine<'a> {
    shared: &'a Shared,
    legs: [Option<Leg>; MAX_RECEIVERS],
    bytes: Vec<u8>,
}

impl<'a> Engine<'a> {
    pub fn new(shared: &'a Shared) -> Self {
        Self { shared, legs: [const { None }; MAX_RECEIVERS], bytes: Vec::new() }
    }

    /// Runs until the stop flag is raised, in the time of the bursts.
    pub fn run_fast(mut self) {
        let config = &self.shared.config;
        while !self.shared.stopped() {
            match self.next_item() {
                Some(Item::Start) => self.silence(config.lead_samples as usize),
                Some(Item::Samples(samples)) => {
                    self.feed(Feed::Samples(&samples));
                    self.deliver(false);
                }
                Some(Item::End) => {
                    self.silence(config.tail_samples as usize);
                    self.deliver(true);
                }
                None => self.drop_silent([false; MAX_RECEIVERS]),
            }
        }
    }

    fn next_item(&self) -> Option<Item> {
        let mut uplink = self.shared.uplink();
        let mut item = uplink.take();
        if item.is_none() {
            uplink = self.shared.wait_uplink(uplink, PATIENCE);
            item = uplink.take();
        }
        drop(uplink);
        self.shared.pass_turns();
        item
    }

    fn silence(&mut self, count: usize) {
        for start in (0..count).step_by(PIECE) {
            self.feed(Feed::Silence(PIECE.min(count - start)));
            self.deliver(false);
        }
    }

    /// Passes samples through every channel.
    fn feed(&mut self, feed: Feed<'_>) {
        self.follow_receivers(true);
        for leg in self.legs.iter_mut().flatten() {
            match feed {
                Feed::Samples(samples) => leg.channel.process(samples, &mut leg.waiting),
                Feed::Silence(count) => leg.channel.flush(count, &mut leg.waiting),
            }
        }
        add(&self.shared.counters.time_samples, feed.len() as u64);
    }

    /// Makes the legs those of the receivers that listen now; newcomers only where told so.
    fn follow_receivers(&mut self, welcome: bool) {
        let places = self.shared.downlink().places;
        let listening = places.iter().flatten().count() as u64;
        self.shared.counters.receivers.store(listening, Ordering::Relaxed);
        for (number, (leg, place)) in self.legs.iter_mut().zip(places).enumerate() {
            let Some(receiver) = place else {
                *leg = None;
                continue;
            };
            if leg.as_ref().is_some_and(|leg| leg.stay == receiver.stay) {
                continue;
            }
            *leg = None;
            if welcome {
                *leg = Leg::new(&self.shared.config.channel, number, &receiver, self.shared);
            }
        }
    }

    /// Sends what waits, holding everything until all receivers have granted enough; with `flush`
    /// the last, shorter datagrams too.
    fn deliver(&mut self, flush: bool) {
        loop {
            let blocked = self.send_granted(flush);
            if !blocked.contains(&true) || self.shared.stopped() {
                return;
            }
            self.drop_silent(blocked);
            self.follow_receivers(false);
            let downlink = self.shared.downlink();
            let moved = self.legs.iter().zip(&downlink.places).zip(blocked).any(|((leg, place), blocked)| {
                match (leg, place) {
                    (Some(leg), Some(receiver)) if blocked => {
                        receiver.stay != leg.stay || receiver.limit >= leg.next_end()
                    }
                    (Some(_), None) => true,
                    _ => false,
                }
            });
            if !moved {
                self.shared.wait_downlink(downlink, PATIENCE);
            }
        }
    }

    fn drop_silent(&self, waiting: [bool; MAX_RECEIVERS]) {
        let dropped = self.shared.downlink().drop_silent(Instant::now(), waiting);
        add(&self.shared.counters.receivers_dropped, dropped);
    }

    /// Sends as far as the grants go; tells who needs more.
    fn send_granted(&mut self, flush: bool) -> [bool; MAX_RECEIVERS] {
        let places = self.shared.downlink().places;
        let mut blocked = [false; MAX_RECEIVERS];
        for (number, (leg, place)) in self.legs.iter_mut().zip(places).enumerate() {
            let (Some(leg), Some(receiver)) = (leg.as_mut(), place) else {
                continue;
            };
            if receiver.stay != leg.stay {
                continue;
            }
            let sent = leg.send_below(receiver.limit, flush, self.shared, &mut self.bytes);
            blocked[number] = leg.has_datagram(flush);
            if sent > 0 {
                add(&self.shared.counters.samples_out, sent);
                // Only now: a status must never name samples that are not yet on their way.
                let mut downlink = self.shared.downlink();
                if let Some(receiver) = &mut downlink.places[number]
                    && receiver.stay == leg.stay
                {
                    receiver.sent = leg.index;
                }
            }
        }
        blocked
    }

    /// Runs until the stop flag is raised, at the sample rate.
    pub fn run_paced(mut self) {
        let rate = self.shared.config.sample_rate_hz;
        let head = self.shared.window * 2;
        let mut epoch = Instant::now();
        let mut made = 0u64;
        let mut bursting = false;
        let mut warned: Option<Instant> = None;
        while !self.shared.stopped() {
            let due = (epoch.elapsed().as_secs_f64() * rate) as u64;
            let mut count = due.saturating_sub(made);
            let most = (MOST_BEHIND_S * rate) as u64 + 1;
            if count > most {
                let late = count - most;
                add(&self.shared.counters.samples_late, late);
                if warned.is_none_or(|at| at.elapsed() > Duration::from_secs(1)) {
                    tracing::warn!(late, "cannot keep up with {rate} samples/s, leaving some out");
                    warned = Some(Instant::now());
                }
                epoch = Instant::now();
                made = 0;
                count = most;
            }
            made += count;
            while count > 0 && !self.shared.stopped() {
                let step = count.min(PACED_STEP);
                self.paced_step(step as usize, head, &mut bursting);
                self.deliver_without_waiting();
                count -= step;
            }
            let next = epoch + Duration::from_secs_f64(made as f64 / rate) + TICK;
            while let Some(left) = next.checked_duration_since(Instant::now())
                && !self.shared.stopped()
            {
                let downlink = self.shared.downlink();
                self.shared.wait_downlink(downlink, left.min(PATIENCE));
                self.send_granted(true);
            }
        }
    }

    /// Moves on by `count` samples, of bursts if there are any.
    fn paced_step(&mut self, mut count: usize, head: u64, bursting: &mut bool) {
        while count > 0 {
            let item = {
                let mut uplink = self.shared.uplink();
                if *bursting || uplink.is_ready(head) { uplink.take() } else { None }
            };
            self.shared.pass_turns();
            match item {
                Some(Item::Start) => *bursting = true,
                Some(Item::End) => *bursting = false,
                Some(Item::Samples(mut samples)) => {
                    if samples.len() > count {
                        let rest = samples.split_off(count);
                        self.shared.uplink().put_back(rest);
                    }
                    count -= samples.len();
                    self.feed(Feed::Samples(&samples));
                }
                None => {
                    if *bursting {
                        add(&self.shared.counters.samples_underrun, count as u64);
                    }
                    self.feed(Feed::Silence(count));
                    count = 0;
                }
            }
        }
    }

    /// Sends what is granted; what waits for too long is lost, as in a radio's own buffer.
    fn deliver_without_waiting(&mut self) {
        self.send_granted(true);
        let most = ((MOST_WAITING_S * self.shared.config.sample_rate_hz) as usize).clamp(PIECE, 1 << 22);
        let mut overfull = [false; MAX_RECEIVERS];
        for (number, leg) in self.legs.iter_mut().enumerate() {
            let Some(leg) = leg.as_mut().filter(|leg| leg.waiting.len() > most) else { continue };
            overfull[number] = true;
            let excess = leg.waiting.len() - most / 2;
            leg.waiting.drain(..excess);
            leg.index += excess as u64;
            add(&self.shared.counters.samples_overflowed, excess as u64);
            // The grant may end before what is left now: the receiver has to hear of the gap.
            let status = self.shared.downlink().skip(number, leg.stay, leg.index);
            if let Some((status, address)) = status {
                answer_to(&self.shared.receivers, &status, address);
            }
        }
        self.drop_silent(overfull);
    }
}

impl Leg {
    fn new(channel: &ChannelConfig, number: usize, receiver: &Receiver, shared: &Shared) -> Option<Self> {
        let config = ChannelConfig { seed: channel.seed.wrapping_add(number as u64), ..channel.clone() };
        // The configuration was checked when the air was bound.
        let channel = Channel::new(config, shared.config.sample_rate_hz).ok()?;
        Some(Self {
            address: receiver.address,
            session: receiver.session,
            stream: receiver.stream,
            stay: receiver.stay,
            channel,
            waiting: Vec::new(),
            index: receiver.start,
        })
    }

    fn datagram_samples(&self) -> usize {
        samples_per_datagram(self.address)
    }

    /// Whether there is something to send: a whole datagram, or anything if `flush`.
    fn has_datagram(&self, flush: bool) -> bool {
        self.waiting.len() >= if flush { 1 } else { self.datagram_samples() }
    }

    /// The grant that the next datagram needs.
    fn next_end(&self) -> u64 {
        self.index + self.datagram_samples().min(self.waiting.len()) as u64
    }

    /// Sends datagrams that end below or at `limit`; returns the samples sent.
    fn send_below(&mut self, limit: u64, flush: bool, shared: &Shared, bytes: &mut Vec<u8>) -> u64 {
        let most = self.datagram_samples();
        let mut from = 0;
        loop {
            let count = most.min(self.waiting.len() - from);
            let wanted = count > 0 && (flush || count == most);
            if !wanted || self.index + count as u64 > limit {
                break;
            }
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
            write(&header, &self.waiting[from..from + count], bytes);
            // What cannot be sent is lost, and the receiver sees that from the index.
            let _ = shared.receivers.send_to(bytes, self.address);
            self.index += count as u64;
            from += count;
        }
        self.waiting.drain(..from);
        from as u64
    }
}
