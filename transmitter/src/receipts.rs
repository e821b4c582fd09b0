//! Receipts: what receivers say of a message after a round → what they lack together, and what became of the message.

use std::{
    collections::BTreeSet,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use semcast_common::wire::{Decoded, MessageReceipt, ReceiverPart, Undecodable};
use semcast_phy::modulation::mcs::Mcs;

use crate::{link_adaptation::LinkAdaptation, planner::OutgoingMessage, resending::Lack};

/// How long receivers may take to say what arrived, after the last frame has left.
const RECEIPT_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a receiver may take to decode a message that it has: 40 megapixels take a slow CPU minutes, and
/// one that is gone is noticed by its connection.
const DECODE_TIMEOUT: Duration = Duration::from_secs(600);

/// What a connected receiver says, for the worker.
pub enum Feedback {
    /// It has reported on the channel.
    Channel,
    /// What arrived of a message.
    Receipt(MessageReceipt),
    /// It has decoded a message.
    Decoded(Box<Decoded>),
    /// It cannot decode a message.
    Undecodable(Undecodable),
    /// It has gone.
    Gone,
}

/// What is waited for after a round.
pub struct Waiting {
    /// It was the last.
    pub last: bool,
    /// Receivers that have everything wait for more.
    pub refined: bool,
    /// The step whose success the receipts tell of.
    pub learning: Option<Mcs>,
}

/// What has become of a message so far.
pub struct Verdicts {
    /// Sessions of the receivers that have said nothing final.
    pub waiting: BTreeSet<u64>,
    /// The first receiver that has decoded the message, and what it says of it.
    pub decoded: Option<(u64, ReceiverPart)>,
    /// What the last one said that cannot decode it.
    pub undecodable: Option<Undecodable>,
}

impl Verdicts {
    /// Nothing yet, from any of these sessions.
    pub fn of(sessions: impl IntoIterator<Item = u64>) -> Self {
        Self { waiting: sessions.into_iter().collect(), decoded: None, undecodable: None }
    }

    /// Waits until every receiver has decoded the message or said what it misses; returns what they lack
    /// together. After the last round receivers decode what they have.
    pub fn wait(
        &mut self,
        feedback: &Receiver<(u64, Feedback)>,
        adaptation: &mut LinkAdaptation,
        outgoing: &OutgoingMessage,
        waiting: Waiting,
    ) -> Lack {
        let Waiting { last, refined, learning } = waiting;
        let message_id = outgoing.header().message;
        let mut lack = Lack::default();
        let mut open = self.waiting.clone();
        let mut learnt = BTreeSet::new();
        let mut deadline = Instant::now() + RECEIPT_TIMEOUT;
        while !open.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let (session, said) = match feedback.recv_timeout(left) {
                Ok(said) => said,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    tracing::warn!(message_id, receivers = open.len(), "no receipt in time");
                    self.waiting.retain(|session| !open.contains(session));
                    break;
                }
            };
            match said {
                Feedback::Channel => {}
                Feedback::Gone => {
                    open.remove(&session);
                    self.waiting.remove(&session);
                }
                Feedback::Receipt(receipt) if receipt.message_id == message_id => {
                    if let Some(mcs) = learning.filter(|_| learnt.insert(session)) {
                        adaptation.learn(session, mcs, outgoing.tally(&receipt), Instant::now());
                    }
                    // A receiver that has everything, or the last it will get, is decoding now.
                    if last || (receipt.complete && !refined) {
                        deadline = Instant::now() + DECODE_TIMEOUT;
                    } else if open.remove(&session) {
                        lack.add(receipt);
                    }
                }
                Feedback::Decoded(decoded) if decoded.message_id == message_id => {
                    open.remove(&session);
                    self.waiting.remove(&session);
                    self.decoded.get_or_insert((session, decoded.part));
                }
                Feedback::Undecodable(undecodable) if undecodable.message_id == message_id => {
                    open.remove(&session);
                    self.waiting.remove(&session);
                    self.undecodable = Some(undecodable);
                }
                Feedback::Receipt(_) | Feedback::Decoded(_) | Feedback::Undecodable(_) => {}
            }
        }
        lack
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use bytes::Bytes;
    use semcast_common::{
        message::{Feature, ModelDigest, Payload, SemanticMessage, SystemId},
        segmentation::PartRange,
    };

    use super::*;

    fn outgoing() -> OutgoingMessage {
        let payload = Payload::Digital(Bytes::from_static(&[7; 500]));
        let message = SemanticMessage {
            system: SystemId::Classical,
            model: ModelDigest::default(),
            side: Bytes::from_static(&[1]),
            features: vec![Feature { importance: 1.0, payload }],
        };
        OutgoingMessage::new(9, message).expect("a message within all limits")
    }

    fn receipt(message_id: u16, start: u32) -> Feedback {
        Feedback::Receipt(MessageReceipt {
            message_id,
            session: 1,
            missing: vec![PartRange { feature: 0, start, end: start + 100 }],
            uncorrected: Vec::new(),
            frames: 1,
            snr_db: 5.0,
            complete: false,
            quality: Vec::new(),
        })
    }

    /// What one lacks is lacking; who cannot decode it or has gone is not waited for, and other messages do not count.
    #[test]
    fn what_is_said_is_added_up_and_nobody_who_has_gone_is_waited_for() {
        let (sender, feedback) = mpsc::channel();
        for (session, said) in [
            (1, Feedback::Channel),
            (1, receipt(8, 0)),
            (3, Feedback::Gone),
            (1, receipt(9, 200)),
            (2, Feedback::Undecodable(Undecodable::new(9, 1, "no such system"))),
        ] {
            sender.send((session, said)).expect("the receiver is there");
        }
        let mut verdicts = Verdicts::of([1, 2, 3]);
        let waiting = Waiting { last: false, refined: false, learning: None };
        let lack = verdicts.wait(&feedback, &mut LinkAdaptation::default(), &outgoing(), waiting);
        assert_eq!(lack.missing, [PartRange { feature: 0, start: 200, end: 300 }]);
        assert_eq!(verdicts.waiting, BTreeSet::from([1]));
        assert!(verdicts.decoded.is_none());
        assert_eq!(verdicts.undecodable.map(|said| said.reason).as_deref(), Some("no such system"));
    }
}
