//! Queue of bursts → a channel for each receiver → datagrams, in the time of the bursts or of the wall
//! clock.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use num_complex::Complex32;

use super::burst_queue::Item;
use super::config::add;
use super::control::Scope;
use super::downlink::MAX_RECEIVERS;
use super::leg::Leg;
use super::raw::RawOutput;
use super::records::Records;
use super::{AirSettings, MAX_TRANSMITTERS, Pacing, Shared, answer_to};
use crate::channel::{Transmitter, TransmitterConfig};
use crate::radio::RadioError;

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

pub(super) struct Engine<'a> {
    shared: &'a Shared,
    settings: AirSettings,
    generation: u64,
    /// The hardware of the transmitters behind each queue, and last that of who sends without headers; none if it does nothing.
    transmitters: [Option<Transmitter>; MAX_TRANSMITTERS + 1],
    legs: [Option<Leg>; MAX_RECEIVERS],
    raw_output: Option<RawOutput>,
    scope: Scope,
    records: Records,
    input: Vec<Complex32>,
    mixed: Vec<Complex32>,
    bytes: Vec<u8>,
}

impl<'a> Engine<'a> {
    pub fn new(shared: &'a Shared) -> Result<Self, RadioError> {
        let (settings, generation) = shared.live.settings();
        let config = &shared.config;
        let raw_output = config
            .raw
            .output
            .map(|to| RawOutput::new(to, config.raw.format, &settings, config.sample_rate_hz));
        let mut engine = Self {
            shared,
            settings,
            generation,
            transmitters: [const { None }; MAX_TRANSMITTERS + 1],
            legs: [const { None }; MAX_RECEIVERS],
            raw_output: raw_output.transpose()?,
            scope: Scope::default(),
            records: Records::start(config)?,
            input: Vec::new(),
            mixed: Vec::new(),
            bytes: Vec::new(),
        };
        engine.build_transmitters();
        Ok(engine)
    }

    fn build_transmitters(&mut self) {
        let channel = &self.settings.channel;
        let rate = self.shared.config.sample_rate_hz;
        let impaired = channel.transmitter != TransmitterConfig::default();
        for (number, transmitter) in self.transmitters.iter_mut().enumerate() {
            let seed = channel.seed.wrapping_add((number as u64) << 32);
            // Settings were checked before they came here.
            *transmitter =
                impaired.then(|| Transmitter::new(&channel.transmitter, rate, seed).ok()).flatten();
        }
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
            self.build_transmitters();
        }
        for leg in self.legs.iter_mut().flatten() {
            if let Err(error) = leg.reconfigure(&self.settings) {
                tracing::error!(%error, "a receiver's channel stays as it was");
            }
        }
        if let Some(Err(error)) = self.raw_output.as_mut().map(|output| output.reconfigure(&self.settings)) {
            tracing::error!(%error, "the channel of the raw output stays as it was");
        }
    }

    /// Runs until the stop flag is raised, in the time of the bursts.
    pub fn run_fast(mut self) {
        let config = &self.shared.config;
        let mut burst = 0;
        while !self.shared.stopped() {
            match self.next_item() {
                Some(Item::Start) => {
                    burst = 0;
                    self.silence(config.lead_samples as usize);
                }
                Some(Item::Samples(mut samples)) => {
                    if let Some(transmitter) = &mut self.transmitters[0] {
                        transmitter.apply(&mut samples);
                    }
                    burst += samples.len() as u64;
                    self.feed(Some(&samples), samples.len());
                    self.deliver(false);
                }
                Some(Item::End) => {
                    self.records.burst(burst);
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
            let count = PIECE.min(count - start);
            if self.transmitters[0].is_some() {
                // Its oscillator runs on.
                let mut samples = vec![Complex32::default(); count];
                if let Some(transmitter) = &mut self.transmitters[0] {
                    transmitter.apply(&mut samples);
                }
                self.feed(Some(&samples), count);
            } else {
                self.feed(None, count);
            }
            self.deliver(false);
        }
    }

    /// Passes `count` samples, of silence if there are none, through every channel.
    fn feed(&mut self, samples: Option<&[Complex32]>, count: usize) {
        self.follow_settings();
        self.follow_receivers(true);
        let index = self.shared.counters.time_samples.load(Ordering::Relaxed);
        let signal = samples.is_some() || self.shared.config.pacing == Pacing::Paced;
        let watched = self.scope.is_open(&self.shared.live, signal);
        if watched || self.records.are_on() {
            self.input.clear();
            if samples.is_none() {
                self.input.resize(count, Complex32::default());
            }
            let samples = samples.unwrap_or(&self.input);
            self.records.input(index, samples);
            self.scope.input(samples);
        }
        let mut first = true;
        for (place, leg) in self.legs.iter_mut().enumerate() {
            let Some(leg) = leg else { continue };
            let (index, output) = leg.process(samples, count);
            self.records.output(place, index, output);
            if std::mem::take(&mut first) {
                self.scope.output(output);
            }
        }
        if let Some(output) = &mut self.raw_output {
            add(&self.shared.counters.samples_raw_out, output.process(samples, count) as u64);
        }
        add(&self.shared.counters.time_samples, count as u64);
        self.scope.close(&self.shared.live, index + count as u64);
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
                self.paced_step(step as usize, head);
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

    /// Moves on by `count` samples: the sum of what all transmitters send meanwhile.
    fn paced_step(&mut self, count: usize, head: u64) {
        let mut sum = std::mem::take(&mut self.mixed);
        let mut one = std::mem::take(&mut self.input);
        let mut any = false;
        for number in 0..=MAX_TRANSMITTERS {
            one.clear();
            if number < MAX_TRANSMITTERS {
                let queue = &mut self.shared.uplink().queues[number];
                if queue.is_due(head) {
                    one.resize(count, Complex32::default());
                    let (_, late) = queue.pull(&mut one, head);
                    add(&self.shared.counters.samples_underrun, late as u64);
                }
            } else if let Some(mut raw) = self.shared.raw_queue() {
                one.resize(count, Complex32::default());
                if !raw.pull(&mut one) {
                    one.clear();
                }
            }
            if one.is_empty() {
                continue;
            }
            if let Some(transmitter) = &mut self.transmitters[number] {
                transmitter.apply(&mut one);
            }
            if std::mem::replace(&mut any, true) {
                sum.iter_mut().zip(&one).for_each(|(sum, one)| *sum += one);
            } else {
                std::mem::swap(&mut sum, &mut one);
            }
        }
        self.input = one;
        self.shared.pass_turns();
        self.feed(any.then_some(&sum[..]), count);
        self.mixed = sum;
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
