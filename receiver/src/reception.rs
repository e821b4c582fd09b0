//! Reception: frames and what the transmitter says → messages to decode, receipts to send.
//!
//! A state machine without clock, threads or sockets: time comes in with every call, and what is to be done
//! comes out as [`Action`]s. A message is decoded as soon as it is complete. If it is not, the receiver
//! says what is missing once the transmitter has sent a round, and decodes what it has after the last
//! round. With no control link it decodes what it has when nothing more comes.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use semcast_common::{
    message::{MAX_FEATURES, ReceivedMessage},
    segmentation::{Assembly, MessageHeader, PartRange, header::Part},
    wire::{MAX_MISSING_RANGES, MessageReceipt, MessageSent, Undecodable},
};
use semcast_phy::framing::ReceivedSegment;

use crate::listener::HeardFrame;

/// Messages in reception at a time: bounds memory.
const MAX_OPEN: usize = 4;
/// Messages that are remembered as finished.
const MAX_DONE: usize = 64;
/// Without a sample for this long, frames that were sent but not heard are lost.
const SILENCE: Duration = Duration::from_millis(250);
/// On a radio that always gives samples, this long after the transmitter has sent the last frame.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Without a control link, a message to which nothing is added for this long has ended.
const ONE_WAY_PATIENCE: Duration = Duration::from_millis(700);
/// A message that nobody finishes is dropped after this.
const LIFETIME: Duration = Duration::from_secs(60);

/// Which message: the transmitter process and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageKey {
    /// The transmitter process.
    pub transmitter: u16,
    /// The message's number.
    pub message: u16,
}

impl MessageKey {
    fn of(sent: &MessageSent) -> Self {
        Self { transmitter: sent.session as u16, message: sent.message_id }
    }
}

/// What is known of a message when it is handed to the decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceptionSummary {
    /// Which message.
    pub key: MessageKey,
    /// Frames heard.
    pub frames: u32,
    /// Coded segments that came intact only by combining transmissions of them.
    pub segments_combined: u32,
    /// Mean SNR over its frames in dB.
    pub snr_db: f32,
    /// Carrier offset of its last frame in Hz.
    pub cfo_hz: f32,
    /// Bytes and symbols of its features that arrived.
    pub arrived: u64,
    /// Bytes and symbols of its features that did not.
    pub missing: u64,
    /// It is to be decoded although better may come.
    pub intermediate: bool,
    /// Time spent on demodulation.
    pub demodulate: Duration,
    /// When its first sample came, in µs since the Unix epoch.
    pub first_sample_unix_us: u64,
    /// When the last samples of its last frame came.
    pub last_sample_unix_us: u64,
    /// When that frame was demodulated.
    pub demodulated_unix_us: u64,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Decode a message, or what has come of it so far.
    Decode(Box<(ReceptionSummary, ReceivedMessage)>),
    /// Tell the transmitter what arrived.
    Receipt(MessageReceipt),
    /// Tell the transmitter, and whoever watches, that a message is lost.
    Lost(Undecodable),
}

struct Open {
    key: MessageKey,
    assembly: Assembly,
    /// What came but could not be corrected, intact by now or not; sorted, without overlap.
    uncorrected: Vec<PartRange>,
    summary: ReceptionSummary,
    snr_sum: f64,
    last_frame: u16,
    touched: Instant,
    sent: Option<(MessageSent, Instant)>,
    /// Rounds may go on when all has arrived.
    refined: bool,
}

/// All messages in reception.
#[derive(Default)]
pub struct Reception {
    open: VecDeque<Open>,
    done: VecDeque<MessageKey>,
    /// Rounds of messages of which nothing was heard.
    unheard: VecDeque<(MessageSent, Instant)>,
    /// Messages to come whose rounds may go on when all has arrived.
    refined: VecDeque<MessageKey>,
}

impl Reception {
    /// A frame was heard.
    pub fn frame(&mut self, heard: &HeardFrame, now: Instant) -> Result<Vec<Action>, String> {
        let frame = &heard.frame;
        if frame.control.is_empty() {
            // A sounding frame: its channel state is all it brings.
            return Ok(Vec::new());
        }
        let header = MessageHeader::parse(&frame.control).map_err(|error| error.to_string())?;
        let key = MessageKey { transmitter: frame.header.transmitter, message: header.message };
        if self.done.contains(&key) {
            return Ok(Vec::new());
        }
        let mut actions = Vec::new();
        let index = match self.open.iter().position(|open| open.key == key) {
            Some(index) if self.open[index].assembly.header().same_message(&header) => index,
            Some(index) => {
                // The same number for another message: the transmitter's count has gone round.
                self.open.remove(index);
                self.begin(key, &header, heard, now)
            }
            None => {
                if self.open.len() == MAX_OPEN {
                    actions.extend(self.finish(0));
                }
                self.begin(key, &header, heard, now)
            }
        };
        let known = |(sent, _): &(MessageSent, Instant)| key == MessageKey::of(sent);
        // The control link is often faster than the radio.
        let sent = self.unheard.iter().position(known).and_then(|index| self.unheard.remove(index));
        let open = &mut self.open[index];
        open.sent = sent.or(open.sent);
        open.take(&header, heard, now);
        if open.assembly.complete() && !open.refined {
            actions.extend(self.finish(index));
        } else if open.sent.is_some_and(|(sent, _)| sent.last_frame == open.last_frame) {
            actions.extend(self.settle(index));
        }
        Ok(actions)
    }

    fn begin(&mut self, key: MessageKey, header: &MessageHeader, heard: &HeardFrame, now: Instant) -> usize {
        self.open.push_back(Open {
            key,
            assembly: Assembly::new(header.clone()),
            uncorrected: Vec::new(),
            summary: ReceptionSummary {
                key,
                frames: 0,
                segments_combined: 0,
                snr_db: 0.0,
                cfo_hz: 0.0,
                arrived: 0,
                missing: 0,
                intermediate: false,
                demodulate: Duration::ZERO,
                first_sample_unix_us: heard.first_sample_unix_us,
                last_sample_unix_us: 0,
                demodulated_unix_us: 0,
            },
            snr_sum: 0.0,
            last_frame: 0,
            touched: now,
            sent: None,
            refined: self.refined.contains(&key),
        });
        self.refined.retain(|announced| *announced != key);
        self.open.len() - 1
    }

    /// Whether no message is in reception.
    pub fn is_idle(&self) -> bool {
        self.open.is_empty() && self.unheard.is_empty()
    }

    /// The transmitter is about to send a message, of which rounds may go on when all has arrived.
    pub fn announced_refined(&mut self, transmitter: u16, message: u16) {
        let key = MessageKey { transmitter, message };
        match self.open.iter_mut().find(|open| open.key == key) {
            Some(open) => open.refined = true,
            None => {
                if self.refined.len() == MAX_OPEN {
                    self.refined.pop_front();
                }
                self.refined.push_back(key);
            }
        }
    }

    /// The transmitter has sent a round of a message.
    pub fn sent(&mut self, sent: MessageSent, now: Instant) -> Vec<Action> {
        let key = MessageKey::of(&sent);
        if self.done.contains(&key) {
            return vec![Action::Receipt(MessageReceipt { complete: true, ..unheard(key, Vec::new()) })];
        }
        match self.open.iter().position(|open| open.key == key) {
            Some(index) => {
                let open = &mut self.open[index];
                open.sent = Some((sent, now));
                // Frames are numbered in the order of sending; the count may go round.
                let ahead = sent.last_frame.wrapping_sub(open.last_frame);
                if ahead == 0 { self.settle(index) } else { Vec::new() }
            }
            None => {
                if self.unheard.len() == MAX_OPEN {
                    self.unheard.pop_front();
                }
                self.unheard.push_back((sent, now));
                Vec::new()
            }
        }
    }

    /// The transmitter has given a message up.
    pub fn abandoned(&mut self, transmitter: u16, message: u16) {
        let key = MessageKey { transmitter, message };
        self.open.retain(|open| open.key != key);
        self.unheard.retain(|(sent, _)| sent.message_id != message);
        self.refined.retain(|announced| *announced != key);
    }

    /// Time has passed. `last_samples`: when samples last came; `linked`: whether the control link stands.
    pub fn tick(&mut self, now: Instant, last_samples: Instant, linked: bool) -> Vec<Action> {
        let quiet = now.duration_since(last_samples) >= SILENCE;
        let overdue = |at: Instant| {
            let waited = now.duration_since(at);
            waited >= PATIENCE || (quiet && waited >= SILENCE)
        };
        let mut actions = Vec::new();
        while let Some(index) = self.open.iter().position(|open| match open.sent {
            Some((_, at)) => overdue(at),
            None => {
                let waited = now.duration_since(open.touched);
                waited >= LIFETIME || (!linked && waited >= ONE_WAY_PATIENCE)
            }
        }) {
            actions.extend(if self.open[index].sent.is_some() {
                self.settle(index)
            } else {
                self.finish(index)
            });
        }
        while let Some(index) = self.unheard.iter().position(|(_, at)| overdue(*at)) {
            let Some((sent, _)) = self.unheard.remove(index) else { break };
            let key = MessageKey::of(&sent);
            actions.push(if sent.last {
                self.remember(key);
                lost(key, "none of its frames was received")
            } else {
                // Of a message of which nothing arrived even the shape is unknown: ask for all of it.
                let everything = (0..MAX_FEATURES)
                    .map(|feature| PartRange { feature: feature as u8, start: 0, end: u32::MAX })
                    .collect();
                Action::Receipt(unheard(key, everything))
            });
        }
        actions
    }

    /// A round of a message has ended: ask for what is missing, or end the message.
    fn settle(&mut self, index: usize) -> Vec<Action> {
        let open = &mut self.open[index];
        let Some((sent, _)) = open.sent.take() else { return Vec::new() };
        if sent.last {
            return self.finish(index);
        }
        let missing = open.assembly.missing(MAX_MISSING_RANGES);
        let mut actions = vec![Action::Receipt(open.receipt(missing))];
        // Of one feature there is little to see before it is whole.
        if open.assembly.header().features.len() > 1 && open.assembly.started() {
            let summary = ReceptionSummary { intermediate: true, ..open.summarise() };
            actions.push(Action::Decode(Box::new((summary, open.assembly.to_message()))));
        }
        actions
    }

    /// Ends a message: its decoder gets what has arrived.
    fn finish(&mut self, index: usize) -> Vec<Action> {
        let Some(open) = self.open.remove(index) else { return Vec::new() };
        self.remember(open.key);
        if !open.assembly.started() {
            return vec![lost(open.key, "none of its segments could be corrected")];
        }
        let receipt = open.receipt(open.assembly.missing(MAX_MISSING_RANGES));
        let work = Box::new((open.summarise(), open.assembly.to_message()));
        vec![Action::Receipt(receipt), Action::Decode(work)]
    }

    fn remember(&mut self, key: MessageKey) {
        if self.done.len() == MAX_DONE {
            self.done.pop_front();
        }
        self.done.push_back(key);
    }
}

impl Open {
    fn take(&mut self, header: &MessageHeader, heard: &HeardFrame, now: Instant) {
        let frame = &heard.frame;
        for (part, segment) in header.parts.iter().zip(&frame.segments) {
            match segment {
                ReceivedSegment::Coded { decoded: Ok(bytes), .. } => {
                    self.assembly.add_digital(part.feature, part.start, bytes);
                }
                ReceivedSegment::Coded { decoded: Err(_), length, .. } => self.note(part, *length),
                ReceivedSegment::Analog { symbols, noise_variance } => {
                    self.assembly.add_analog(part.feature, part.start, symbols, noise_variance);
                }
            }
        }
        self.touched = now;
        self.last_frame = frame.header.number;
        self.snr_sum += f64::from(frame.channel.snr_db);
        self.summary.frames += 1;
        self.summary.segments_combined += heard.segments_combined;
        self.summary.cfo_hz = frame.channel.cfo_hz as f32;
        self.summary.demodulate += heard.demodulate;
        self.summary.last_sample_unix_us = heard.last_sample_unix_us;
        self.summary.demodulated_unix_us = heard.done_unix_us;
    }

    /// Notes that a segment came but could not be corrected. Beyond so many ranges the transmitter is told less:
    /// it then sends what does not need soft bits.
    fn note(&mut self, part: &Part, length: usize) {
        let feature = self.assembly.header().features.get(usize::from(part.feature));
        let whole = feature.map_or(0, |shape| shape.length());
        let end = u32::try_from(length).ok().and_then(|length| part.start.checked_add(length));
        if let Some(end) = end.filter(|&end| part.start < end && end <= whole)
            && self.uncorrected.len() < MAX_MISSING_RANGES
        {
            self.uncorrected.push(PartRange { feature: part.feature, start: part.start, end });
            self.uncorrected = PartRange::union(std::mem::take(&mut self.uncorrected));
        }
    }

    /// How it was received so far.
    fn summarise(&self) -> ReceptionSummary {
        let total: u64 =
            self.assembly.header().features.iter().map(|feature| u64::from(feature.length())).sum();
        let missing = self.assembly.missing(MAX_MISSING_RANGES);
        let lacking: u64 = missing.iter().map(|part| u64::from(part.end - part.start)).sum();
        ReceptionSummary {
            snr_db: self.mean_snr_db(),
            arrived: total - lacking,
            missing: lacking,
            ..self.summary.clone()
        }
    }

    /// What to tell the transmitter, given what is missing.
    fn receipt(&self, missing: Vec<PartRange>) -> MessageReceipt {
        let not_heard = PartRange::difference(&missing, &self.uncorrected);
        let mut uncorrected = PartRange::difference(&missing, &not_heard);
        uncorrected.truncate(MAX_MISSING_RANGES);
        MessageReceipt {
            message_id: self.key.message,
            session: u32::from(self.key.transmitter),
            complete: missing.is_empty(),
            missing,
            uncorrected,
            frames: self.summary.frames,
            snr_db: self.mean_snr_db(),
            quality: self.assembly.quality(),
        }
    }

    fn mean_snr_db(&self) -> f32 {
        (self.snr_sum / f64::from(self.summary.frames.max(1))) as f32
    }
}

/// The receipt for a message of which nothing was heard.
fn unheard(key: MessageKey, missing: Vec<PartRange>) -> MessageReceipt {
    MessageReceipt {
        message_id: key.message,
        session: u32::from(key.transmitter),
        missing,
        uncorrected: Vec::new(),
        frames: 0,
        snr_db: 0.0,
        complete: false,
        quality: Vec::new(),
    }
}

fn lost(key: MessageKey, reason: &str) -> Action {
    Action::Lost(Undecodable {
        message_id: key.message,
        session: u32::from(key.transmitter),
        reason: reason.into(),
    })
}

#[cfg(test)]
pub(crate) mod tests;
