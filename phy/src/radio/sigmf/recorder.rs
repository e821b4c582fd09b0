//! Recording from a thread of its own, so that a disk which is slow for a moment does not hold up a radio.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use num_complex::Complex32;

use super::{Datatype, SigmfError, Writer};
use crate::radio::{RadioError, RadioSink, RadioSource, Received};

/// Pieces that wait for the disk at most.
const MAX_WAITING: usize = 256;
/// Samples of a piece at most: 32 MiB wait in all.
const PIECE: usize = 16_384;

/// What to record, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordConfig {
    /// Either file of the recording, or what they have in common.
    pub path: PathBuf,
    /// How samples are written.
    pub datatype: Datatype,
    /// Samples per second.
    pub sample_rate_hz: f64,
    /// Centre frequency, where there is one.
    pub frequency_hz: Option<f64>,
    /// For people.
    pub description: String,
    /// True: whoever records waits when the disk is slow. False: samples are left out then, which the recording tells.
    pub wait: bool,
}

enum Piece {
    Samples(u64, Vec<Complex32>),
    Note(u64, String),
}

/// Records until it is dropped, which completes the files.
#[derive(Debug)]
pub struct Recorder {
    wait: bool,
    queue: Option<SyncSender<Piece>>,
    thread: Option<JoinHandle<()>>,
    left_out: Arc<AtomicU64>,
}

impl Recorder {
    /// Creates the files and starts the thread.
    ///
    /// # Errors
    /// [`SigmfError::Io`] when a file cannot be created.
    pub fn start(config: &RecordConfig) -> Result<Self, SigmfError> {
        let RecordConfig { path, datatype, sample_rate_hz, frequency_hz, description, wait } = config;
        let writer = Writer::create(path, *datatype, *sample_rate_hz, *frequency_hz, description)?;
        let (queue, pieces) = sync_channel(MAX_WAITING);
        let left_out = Arc::new(AtomicU64::new(0));
        let (lost, name) = (Arc::clone(&left_out), path.clone());
        let thread = std::thread::Builder::new()
            .name("record".into())
            .spawn(move || write(writer, &pieces, &lost, &name.display().to_string()))
            .map_err(SigmfError::io(path))?;
        Ok(Self { wait: *wait, queue: Some(queue), thread: Some(thread), left_out })
    }

    /// Records samples; `index` is that of the first one in its stream.
    pub fn record(&self, index: u64, samples: &[Complex32]) {
        for (part, index) in samples.chunks(PIECE).zip((index..).step_by(PIECE)) {
            self.send(Piece::Samples(index, part.to_vec()), part.len());
        }
    }

    /// Notes something about the last `count` samples.
    pub fn annotate(&self, count: u64, label: &str) {
        self.send(Piece::Note(count, label.to_owned()), 0);
    }

    fn send(&self, piece: Piece, samples: usize) {
        let Some(queue) = &self.queue else { return };
        let gone = if self.wait {
            queue.send(piece).is_err()
        } else {
            matches!(queue.try_send(piece), Err(TrySendError::Full(_) | TrySendError::Disconnected(_)))
        };
        if gone && self.left_out.fetch_add(samples as u64, Ordering::Relaxed) == 0 && samples > 0 {
            tracing::warn!("a recording lacks samples: the disk is too slow, or full");
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // It has logged why, if it failed.
            let _ = thread.join();
        }
    }
}

fn write(mut writer: Writer, pieces: &Receiver<Piece>, left_out: &AtomicU64, name: &str) {
    for piece in pieces {
        match piece {
            Piece::Samples(index, samples) => {
                if let Err(error) = writer.push(index, &samples) {
                    tracing::error!(%error, "recording ends here");
                    break;
                }
            }
            Piece::Note(count, label) => writer.annotate(count, &label),
        }
    }
    match writer.finish() {
        Ok(samples) => {
            tracing::info!(name, samples, left_out = left_out.load(Ordering::Relaxed), "recorded");
        }
        Err(error) => tracing::error!(%error, "a recording has no complete metadata"),
    }
}

/// A transmitting radio that records its bursts, one behind the other.
#[derive(Debug)]
pub struct RecordingSink<S> {
    radio: S,
    recorder: Recorder,
    sent: u64,
}

impl<S> RecordingSink<S> {
    /// Records what goes through `radio`.
    pub fn new(radio: S, recorder: Recorder) -> Self {
        Self { radio, recorder, sent: 0 }
    }
}

impl<S: RadioSink> RadioSink for RecordingSink<S> {
    fn send_burst(&mut self, samples: &[Complex32]) -> Result<(), RadioError> {
        self.recorder.record(self.sent, samples);
        self.recorder.annotate(samples.len() as u64, "burst");
        self.sent += samples.len() as u64;
        self.radio.send_burst(samples)
    }
}

/// A receiving radio that records all it receives.
#[derive(Debug)]
pub struct RecordingSource<S> {
    radio: S,
    recorder: Recorder,
}

impl<S> RecordingSource<S> {
    /// Records what comes out of `radio`.
    pub fn new(radio: S, recorder: Recorder) -> Self {
        Self { radio, recorder }
    }
}

impl<S: RadioSource> RadioSource for RecordingSource<S> {
    fn receive(&mut self, out: &mut Vec<Complex32>) -> Result<Received, RadioError> {
        let before = out.len();
        let received = self.radio.receive(out)?;
        self.recorder.record(received.first_sample, &out[before..]);
        Ok(received)
    }

    fn hears(&self) -> bool {
        self.radio.hears()
    }

    fn has_ended(&self) -> bool {
        self.radio.has_ended()
    }
}
