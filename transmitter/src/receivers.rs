//! The receivers that are connected: what they can decode, and what they last said of the channel.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use semcast_common::{
    clock::{ClockEstimator, ClockOffset},
    control::ControlSender,
    message::{ModelDigest, SystemId},
    wire::{ChannelState, ClockReply, ControlMessage, SystemOffer},
};

use crate::link_adaptation::Report;

/// A report on the channel counts for this long.
const REPORT_LIFETIME: Duration = Duration::from_secs(10);

struct Receiver {
    name: String,
    sender: ControlSender,
    systems: Vec<SystemOffer>,
    channel: Option<(ChannelState, Instant)>,
    clock: ClockEstimator,
}

/// All connected receivers, by session.
#[derive(Default)]
pub struct Receivers {
    connected: Mutex<BTreeMap<u64, Receiver>>,
}

impl Receivers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Receiver>> {
        // The map stays whole whatever a thread that panicked was doing with it.
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A receiver has connected.
    pub fn add(&self, session: u64, name: String, sender: ControlSender, systems: Vec<SystemOffer>) {
        self.lock().insert(
            session,
            Receiver { name, sender, systems, channel: None, clock: ClockEstimator::default() },
        );
    }

    /// A receiver has gone.
    pub fn remove(&self, session: u64) {
        self.lock().remove(&session);
    }

    /// A receiver reports on the channel.
    pub fn report(&self, session: u64, state: ChannelState) {
        if let Some(receiver) = self.lock().get_mut(&session) {
            receiver.channel = Some((state, Instant::now()));
        }
    }

    /// A clock probe with this time of day goes to a receiver.
    pub fn probe(&self, session: u64, sent_unix_us: u64, now: Instant) {
        if let Some(receiver) = self.lock().get_mut(&session) {
            receiver.clock.probe(sent_unix_us, now);
        }
    }

    /// A receiver has answered a clock probe.
    pub fn clock_reply(&self, session: u64, reply: &ClockReply, now: Instant) {
        if let Some(receiver) = self.lock().get_mut(&session)
            && receiver.clock.reply(reply, now)
        {
            tracing::info!(receiver = receiver.name, "a clock was set: its offset is estimated anew");
        }
    }

    /// How far a receiver's clock is ahead of this end's, from `from` to `to`.
    pub fn clock_offset(&self, session: u64, from: Instant, to: Instant) -> Option<ClockOffset> {
        self.lock().get(&session)?.clock.offset(from, to)
    }

    /// Sessions of those who are connected now.
    pub fn sessions(&self) -> Vec<u64> {
        self.lock().keys().copied().collect()
    }

    /// Every receiver with its report on the channel, if that still counts.
    pub fn channel_reports(&self) -> Vec<Report> {
        let fresh = |channel: &Option<(ChannelState, Instant)>| match channel {
            Some((state, when)) if when.elapsed() < REPORT_LIFETIME => Some(state.snr_db_per_rb().collect()),
            _ => None,
        };
        self.lock()
            .iter()
            .map(|(&session, receiver)| Report { session, snr_db_per_rb: fresh(&receiver.channel) })
            .collect()
    }

    /// Names of receivers that cannot decode a system with this model.
    pub fn without(&self, system: SystemId, model: ModelDigest) -> Vec<String> {
        let offer = SystemOffer::new(system, model);
        let connected = self.lock();
        connected.values().filter(|r| !r.systems.contains(&offer)).map(|r| r.name.clone()).collect()
    }

    /// Tells every receiver. One whose queue is full is skipped: it will ask again.
    pub fn broadcast(&self, message: &ControlMessage) {
        for receiver in self.lock().values() {
            if !matches!(receiver.sender.try_send(message), Ok(true)) {
                tracing::debug!(receiver = receiver.name, message = message.name(), "not told");
            }
        }
    }
}
