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
/// Most lost samples in whose place silence is put, so that a frame around them is not lost with them; after more, the stream
/// begins anew. Twice what a burst may be ahead of its receiver, and longer than a datagram or a device's buffer.
const MOST_FILLED: u64 = 131_072;
/// Losses are told of at most this often.
const TELL_INTERVAL: Duration = Duration::from_secs(1);
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
    ended: Arc<AtomicBool>,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            last_us: Arc::default(),
            hearing: Arc::default(),
            ended: Arc::default(),
        }
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

    /// Whether nothing will come any more, and all frames of what came were handed on.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
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
    let mut complaint = None;
    let mut losses = Losses::default();
    while !stop.load(Ordering::Relaxed) && !frames.is_closed() {
        samples.clear();
        activity.ended.store(radio.has_ended(), Ordering::Release);
        let received = match radio.receive(&mut samples) {
            Ok(received) => received,
            Err(error) => {
                metrics.radio_error();
                let said = error.to_string();
                if complaint.as_ref() != Some(&said) {
                    tracing::warn!(error = said, "radio");
                    complaint = Some(said);
                }
                std::thread::sleep(RADIO_PAUSE);
                continue;
            }
        };
        activity.hearing.store(radio.hears(), Ordering::Relaxed);
        losses.note(received.lost_before, Instant::now());
        metrics.samples(received.samples as u64, received.lost_before);
        if received.restarted || received.lost_before > MOST_FILLED {
            demodulator.restart(position);
            marks = Marks::default();
        } else {
            let silence = std::iter::repeat_n(Complex32::default(), received.lost_before as usize);
            drop(samples.splice(0..0, silence));
        }
        if received.samples == 0 {
            continue;
        }
        complaint = None;
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

/// Samples that were lost, until somebody is told.
#[derive(Default)]
struct Losses {
    samples: u64,
    told: Option<Instant>,
}

impl Losses {
    fn note(&mut self, samples: u64, now: Instant) {
        self.samples += samples;
        let due = self.told.is_none_or(|told| now.duration_since(told) >= TELL_INTERVAL);
        if self.samples > 0 && due {
            tracing::warn!(samples = self.samples, "samples were lost before the receiver");
            *self = Self { samples: 0, told: Some(now) };
        }
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use bytes::Bytes;
    use rand::{Rng, SeedableRng, rngs::StdRng};
    use semcast_phy::{
        channel::{Channel, ChannelConfig},
        framing::{Frame, ReceivedSegment, Segment},
        mode::{ControlRate, Mode},
        numerology::Numerology,
        radio::{RadioError, Received},
        transmit::Modulator,
    };

    use super::*;

    /// A radio that gives what it has, and then ends the listener.
    struct Recording {
        pieces: VecDeque<(u64, Vec<Complex32>)>,
        stop: Arc<AtomicBool>,
    }

    impl RadioSource for Recording {
        fn receive(&mut self, out: &mut Vec<Complex32>) -> Result<Received, RadioError> {
            let Some((lost_before, samples)) = self.pieces.pop_front() else {
                self.stop.store(true, Ordering::Relaxed);
                return Ok(Received::default());
            };
            out.extend_from_slice(&samples);
            Ok(Received { samples: samples.len(), lost_before, ..Received::default() })
        }
    }

    /// A stream with one frame of 6000 symbols of unit power, and these symbols.
    fn stream(seed: u64) -> (Vec<Complex32>, Vec<Complex32>) {
        let mut random = StdRng::seed_from_u64(seed);
        let symbols: Vec<_> = (0..6000)
            .map(|_| Complex32::from_polar(1.0, random.random_range(0.0..std::f32::consts::TAU)))
            .collect();
        let frame = Frame {
            mode: Mode::Normal,
            control_rate: ControlRate::ROBUST,
            number: seed as u16,
            transmitter: 5,
            control: Bytes::from_static(b"a control block"),
            allocation: None,
            segments: vec![Segment::Analog { symbols: symbols.clone() }],
        };
        let numerology = Numerology::default();
        let mut burst = Vec::new();
        Modulator::new(numerology).modulate(&frame, &mut burst).expect("a frame");
        let config = ChannelConfig {
            profile: "awgn".parse().expect("a profile"),
            snr_db: Some(20.0),
            occupied_fraction: numerology.occupied_fraction(),
            seed,
            ..ChannelConfig::default()
        };
        let mut channel = Channel::new(config, numerology.sample_rate_hz).expect("a channel");
        let mut samples = Vec::new();
        channel.flush(4000, &mut samples);
        channel.process(&burst, &mut samples);
        channel.flush(12_000, &mut samples);
        (samples, symbols)
    }

    fn heard(pieces: impl IntoIterator<Item = (u64, Vec<Complex32>)>) -> Vec<HeardFrame> {
        let stop = Arc::new(AtomicBool::new(false));
        let radio = Recording { pieces: pieces.into_iter().collect(), stop: stop.clone() };
        let (frames, mut queue) = mpsc::channel(8);
        let demodulator = Demodulator::new(Numerology::default());
        listen(radio, demodulator, &frames, &Activity::default(), &Metrics::default(), &stop);
        drop(frames);
        std::iter::from_fn(|| queue.try_recv().ok()).collect()
    }

    #[test]
    fn a_frame_survives_a_lost_datagram() {
        let (samples, symbols) = stream(3);
        // As many samples as a datagram has, in the midst of the payload: a third of one of its OFDM symbols.
        let gap = 9000..9176;
        let frames = heard([(0, samples[..gap.start].to_vec()), (176, samples[gap.end..].to_vec())]);
        assert_eq!(frames.len(), 1);
        let [ReceivedSegment::Analog { symbols: arrived, .. }] = &frames[0].frame.segments[..] else {
            panic!("an analog segment was sent")
        };
        let error: f32 = symbols.iter().zip(arrived).map(|(a, b)| (a - b).norm_sqr()).sum();
        // Noise is 1/100 of the power; of the 20-odd OFDM symbols of 300 elements, one suffers.
        assert!(error / (symbols.len() as f32) < 0.08, "{}", error / symbols.len() as f32);
    }

    #[test]
    fn after_a_long_loss_the_next_frame_is_heard() {
        let (first, _) = stream(1);
        let (second, _) = stream(2);
        let cut = first.len() / 2;
        let frames = heard([(0, first[..cut].to_vec()), (MOST_FILLED + 1, second)]);
        assert_eq!(frames.iter().map(|heard| heard.frame.header.number).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn losses_are_told_of_together() {
        let (mut losses, now) = (Losses::default(), Instant::now());
        losses.note(5, now);
        losses.note(7, now + TELL_INTERVAL / 2);
        losses.note(8, now + TELL_INTERVAL / 2);
        assert_eq!(losses.samples, 15);
        losses.note(0, now + TELL_INTERVAL * 2);
        assert_eq!(losses.samples, 0);
    }
}
