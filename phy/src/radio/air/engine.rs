//! Queue of bursts → a channel for each receiver → datagrams, in the time of the bursts or of the wall
//! clock.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use num_complex::Complex32;

use super::config::add;
use super::control::Scope;
use super::downlink::MAX_RECEIVERS;
use super::leg::Leg;
use super::uplink::Item;
use super::{AirSettings, Pacing, Shared, answer_to};
use crate::channel::{Transmitter, TransmitterConfig};

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

pub(super) struct Engine<'a> {
    shared: &'a Shared,
    settings: AirSettings,
    generation: u64,
    /// The transmitters' hardware, if it does anything.
    transmitter: Option<Transmitter>,
    legs: [Option<Leg>; MAX_RECEIVERS],
    scope: Scope,
    input: Vec<Complex32>,
    bytes: Vec<u8>,
}

impl<'a> Engine<'a> {
    pub fn new(shared: &'a Shared) -> Self {
        let (settings, generation) = shared.live.settings();
        let mut engine = Self {
            shared,
            settings,
            generation,
            transmitter: None,
            legs: [const { None }; MAX_RECEIVERS],
            scope: Scope::default(),
            input: Vec::new(),
            bytes: Vec::new(),
        };
        engine.build_transmitter();
        engine
    }

    fn build_transmitter(&mut self) {
        let channel = &self.settings.channel;
        let rate = self.shared.config.sample_rate_hz;
        let impaired = channel.transmitter != TransmitterConfig::default();
        // Settings were checked before they came here.
        self.transmitter =
            impaired.then(|| Transmitter::new(&channel.transmitter, rate, channel.seed).ok()).flatten();
    }

    /// Takes over what was changed from outside.
    fn follow_settings(&mut self) {
        if self.shared.live.generation() == self.generation {
            return;
        }
        let (settings, generation) = self.shared.live.settings();
        self.generation = generation;
        let before = std::mem::replace(&mut self.settings, settings);
        let channel = &self.settings.channel;
        if (channel.seed, &channel.transmitter) != (before.channel.seed, &before.channel.transmitter) {
            self.build_transmitter();
        }
        for leg in self.legs.iter_mut().flatten() {
            if let Err(error) = leg.reconfigure(&self.settings) {
                tracing::error!(%error, "a receiver's channel stays as it was");
            }
        }
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

    /// Passes samples through the transmitters' hardware and every channel.
    fn feed(&mut self, feed: Feed<'_>) {
        self.follow_settings();
        self.follow_receivers(true);
        let signal = matches!(feed, Feed::Samples(_)) || self.shared.config.pacing == Pacing::Paced;
        let watched = self.scope.is_open(&self.shared.live, signal);
        let mut input = std::mem::take(&mut self.input);
        input.clear();
        let samples = match (feed, &mut self.transmitter) {
            (Feed::Samples(samples), None) => Some(samples),
            (Feed::Silence(_), None) if !watched => None,
            (feed, transmitter) => {
                match feed {
                    Feed::Samples(samples) => input.extend_from_slice(samples),
                    Feed::Silence(count) => input.resize(count, Complex32::default()),
                }
                if let Some(transmitter) = transmitter {
                    transmitter.apply(&mut input);
                }
                Some(&input[..])
            }
        };
        if watched {
            self.scope.input(samples.unwrap_or_default());
        }
        let mut first = true;
        for leg in self.legs.iter_mut().flatten() {
            let output = match samples {
                Some(samples) => leg.process(samples),
                None => leg.flush(feed.len()),
            };
            if std::mem::take(&mut first) && watched {
                self.scope.output(output);
            }
        }
        add(&self.shared.counters.time_samples, feed.len() as u64);
        self.scope.close(&self.shared.live, self.shared.counters.time_samples.load(Ordering::Relaxed));
        self.input = input;
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
                let rate = self.shared.config.sample_rate_hz;
                // Settings were checked before they came here.
                *leg = Leg::new(&self.settings, number, &receiver, rate).ok();
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
            let Some(leg) = leg.as_mut().filter(|leg| leg.backlog() > most) else { continue };
            overfull[number] = true;
            let excess = leg.backlog() - most / 2;
            leg.skip(excess);
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
