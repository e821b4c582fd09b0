//! The decoder: a thread that owns the models and turns received messages into content.

use std::time::{Duration, Instant};

use semcast_common::{
    clock::unix_us,
    content::Content,
    message::{ReceivedMessage, SystemId},
};
use semcast_models::System;
use tokio::sync::mpsc;

use crate::reception::{MessageKey, ReceptionSummary};

/// Messages that may wait for the decoder.
pub const MAX_WAITING: usize = 8;

/// A message to decode.
pub type Work = Box<(ReceptionSummary, ReceivedMessage)>;

/// What became of a message.
#[derive(Debug)]
pub struct Finished {
    /// How it was received.
    pub summary: ReceptionSummary,
    /// Its system.
    pub system: SystemId,
    /// The content and the decoder's confidence, 0 to 1, or why there is none.
    pub result: Result<(Content, f32), String>,
    /// Time that the decoder took.
    pub decode: Duration,
    /// When it was done, in µs since the Unix epoch.
    pub done_unix_us: u64,
}

impl Finished {
    /// Which message.
    pub fn key(&self) -> MessageKey {
        self.summary.key
    }
}

/// Decodes until the queue is closed.
pub fn run(
    mut systems: Vec<Box<dyn System>>,
    mut work: mpsc::Receiver<Work>,
    finished: &mpsc::Sender<Finished>,
) {
    for system in &mut systems {
        if let Err(error) = system.warm_up() {
            tracing::warn!(system = %system.id(), %error, "warming up failed");
        }
    }
    while let Some(item) = work.blocking_recv() {
        let (summary, message) = *item;
        let started = Instant::now();
        let result = match systems.iter_mut().find(|system| system.id() == message.system) {
            None => Err(format!("this receiver does not have the system {}", message.system)),
            Some(system) => system
                .decode(&message)
                .map(|decoded| (decoded.content, decoded.confidence))
                .map_err(|error| error.to_string()),
        };
        let done = Finished {
            summary,
            system: message.system,
            result,
            decode: started.elapsed(),
            done_unix_us: unix_us(),
        };
        if finished.blocking_send(done).is_err() {
            return;
        }
    }
}
