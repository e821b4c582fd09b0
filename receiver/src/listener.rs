//! The listener: a thread that takes samples from the radio and hands on the frames in them, after another try
//! of what could not be corrected ([`crate::combining`]).
//!
//! It blocks on the radio, and on its queue when the rest of the daemon is busy: then the radio waits, and
//! with it the air.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use num_complex::Complex32;
use semcast_common::clock::unix_us;
use semcast_phy::{
    radio::RadioSource,
    receive::{Demodulator, ReceivedFrame},
};
use tokio::sync::mpsc;

use crate::{combining::Combiner, metrics::Metrics};

/// Samples that are demodulated at a time.
const PIECE_SAMPLES: usize = 8192;
/// Longest gap in samples that silence is put into; behind a longer one reception begins anew.
const MOST_FILLED: u64 = 16_384;
/// How long the thread waits after an error of the radio before it tries again.
const RADIO_PAUSE: Duration = Duration::from_millis(200);

/// A frame with what it took.
#[derive(Clone, Debug)]
pub struct HeardFrame {
    /// The frame.
    pub frame: ReceivedFrame,
    /// How many of its segments could be corrected only together with earlier transmissions of them.
    pub segments_combined: u32,
    /// When its first samples came, in µs since the Unix epoch.
    pub first_sample_unix_us: u64,
    /// When its last samples came.
    pub last_sample_unix_us: u64,
    /// When it was demodulated and corrected.
    pub done_unix_us: u64,
    /// Time spent on demodulation since the frame before.
    pub demodulate: Duration,
}

/// When samples last came and whether more can come, for those who wait for them.
#[derive(Clone, Debug)]
pub struct Activity {
    origin: Instant,
    last_us: Arc<AtomicU64>,
    hearing: Arc<AtomicBool>,
}

impl Default for Activity {
    fn default() -> Self {
        Self { origin: Instant::now(), last_us: Arc::default(), hearing: Arc::default() }
    }
}

impl Activity {
    fn note(&self) {
        self.last_us.store(self.origin.elapsed().as_micros() as u64, Ordering::Relaxed);
    }

    /// Whether the radio hears what is sent from now on.
    pub fn hearing(&self) -> bool {
        self.hearing.load(Ordering::Relaxed)
    }

    /// When samples last came, or the daemon's start.
    pub fn last(&self) -> Instant {
        self.origin + Duration::from_micros(self.last_us.load(Ordering::Relaxed))
    }
}

/// Listens until `stop` is raised or nobody takes frames any more.
pub fn listen(
    mut radio: impl RadioSource,
    mut demodulator: Demodulator,
    frames: &mpsc::Sender<HeardFrame>,
    activity: &Activity,
    metrics: &Metrics,
    stop: &AtomicBool,
) {
    let mut samples: Vec<Complex32> = Vec::new();
    let mut marks = Marks::default();
    let mut combiner = Combiner::default();
    let mut position = 0i64;
    while !stop.load(Ordering::Relaxed) && !frames.is_closed() {
        samples.clear();
        let received = match radio.receive(&mut samples) {
            Ok(received) => received,
            Err(error) => {
                tracing::warn!(%error, "radio");
                metrics.radio_error();
                std::thread::sleep(RADIO_PAUSE);
                continue;
            }
        };
        activity.hearing.store(radio.hears(), Ordering::Relaxed);
        if received.lost_before > 0 {
            tracing::warn!(samples = received.lost_before, "samples were lost before the receiver");
        }
        metrics.samples(received.samples as u64, received.lost_before);
        let short = received.lost_before <= MOST_FILLED;
        if received.restarted || !short {
            demodulator.restart(position);
            marks = Marks::default();
        } else if received.lost_before > 0 {
            // Silence in place of a short gap: a frame around it keeps its time, and most of what it carries.
            let gap = std::iter::repeat_n(Complex32::default(), received.lost_before as usize);
            samples.splice(..0, gap);
        }
        if received.samples == 0 {
            continue;
        }
        let came_unix_us = unix_us();
        for piece in samples.chunks(PIECE_SAMPLES) {
            marks.arrived(position, piece.len(), came_unix_us);
            position += piece.len() as i64;
            let started = Instant::now();
            let mut complete = Vec::new();
            demodulator.push(piece, &mut |frame| complete.push(frame));
            marks.spent += started.elapsed();
            for mut frame in complete {
                let started = Instant::now();
                let segments_combined = combiner.combine(&mut frame);
                marks.spent += started.elapsed();
                let heard = HeardFrame {
                    first_sample_unix_us: marks.time_of(frame.position),
                    last_sample_unix_us: came_unix_us,
                    done_unix_us: unix_us(),
                    demodulate: std::mem::take(&mut marks.spent),
                    segments_combined,
                    frame,
                };
                if frames.blocking_send(heard).is_err() {
                    return;
                }
            }
        }
        activity.note();
    }
}

/// When which stream positions came.
#[derive(Default)]
struct Marks {
    pieces: std::collections::VecDeque<(i64, u64)>,
    spent: Duration,
}

impl Marks {
    /// Pieces that are remembered: longer than any frame.
    const MOST: usize = 64;

    fn arrived(&mut self, position: i64, samples: usize, unix_us: u64) {
        if self.pieces.len() == Self::MOST {
            self.pieces.pop_front();
        }
        self.pieces.push_back((position + samples as i64, unix_us));
    }

    fn time_of(&self, position: i64) -> u64 {
        let piece = self.pieces.iter().find(|(end, _)| *end > position);
        piece.or(self.pieces.back()).map_or_else(unix_us, |&(_, time)| time)
    }
}
