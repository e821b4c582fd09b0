//! The receive chain: an endless stream of samples → frames.
//!
//! detector → acquisition → header → (all samples of the frame) → control block → segments. The receiver
//! does not know when a frame comes nor what it holds: everything is read from the air. What it gives back
//! depends on the samples alone, not on how the stream was cut into calls.

use bytes::Bytes;
use num_complex::Complex32;
use serde::{Deserialize, Serialize};

use crate::{
    coding::transport_block::TransportBlockDecoder,
    estimation::{
        channel::ChannelEstimator,
        tracking::{PhaseTracker, Pilot},
    },
    framing::{
        HEADER_SYMBOLS, ReceivedSegment, SegmentShape,
        control::{self, control_elements},
        grid::Grid,
        header::{FrameHeader, HEADER_BYTES},
    },
    modulation::{Modulation, mcs::Mcs, scrambler},
    numerology::{Numerology, SUBCARRIERS_PER_RB},
    ofdm::Ofdm,
    sync::{
        acquisition::{Acquired, Acquisition},
        detector::{Detection, Detector},
    },
    transmit::{scrambling_seed, segment_elements},
};

/// Symbols at a frame's end whose pilots tell whether the burst lasted until there ...
const TAIL_SYMBOLS: usize = 8;
/// ... which it did when they agree with the channel by at least this much of what is expected.
const TAIL_COHERENCE: f32 = 0.3;
/// Pilots from which on their residual, not the training symbols alone, tells the noise.
const ENOUGH_PILOTS: usize = 48;

/// Channel state as a frame showed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelState {
    /// SNR of each resource block in dB, lowest frequency first.
    pub snr_db_per_rb: Vec<f32>,
    /// SNR over all resource elements in dB: mean gain over noise variance.
    pub snr_db: f32,
    /// Carrier offset in Hz.
    pub cfo_hz: f64,
    /// Difference of the sampling clocks in parts per million, from the drift of the timing.
    pub clock_offset_ppm: f64,
}

/// A frame whose header and control block arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedFrame {
    /// Position of its preamble in the stream of samples.
    pub position: i64,
    /// Samples that it took on the air.
    pub samples: usize,
    /// Its header.
    pub header: FrameHeader,
    /// Bytes of the layer above.
    pub control: Bytes,
    /// Its segments.
    pub segments: Vec<ReceivedSegment>,
    /// What the channel was like.
    pub channel: ChannelState,
}

/// Counts of what the receiver has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverCounters {
    /// Pairs of chirps found, false alarms included.
    pub detections: u64,
    /// Headers that passed their check.
    pub headers: u64,
    /// Frames delivered.
    pub frames: u64,
    /// Coded segments that could not be corrected.
    pub segments_failed: u64,
}

enum State {
    Searching,
    Header { detection: Detection },
    Payload { detection: Detection, acquired: Acquired, header: FrameHeader, tracker: PhaseTracker },
}

/// Takes samples, gives frames. Planned once; its buffers are kept.
pub struct Demodulator {
    numerology: Numerology,
    grid: Grid,
    ofdm: Ofdm,
    detector: Detector,
    acquisition: Acquisition,
    estimator: ChannelEstimator,
    decoder: TransportBlockDecoder,
    state: State,
    /// Samples of the stream from position `start` on.
    buffer: Vec<Complex32>,
    start: i64,
    symbol: Vec<Complex32>,
    pilots: Vec<Pilot>,
    /// 1/|H|² of every subcarrier of the symbol.
    inverse_power: Vec<f32>,
    elements: Vec<Complex32>,
    gains: Vec<f32>,
    /// Of each payload symbol: how far its pilots agree with the channel, and what is expected.
    agreement: Vec<(f32, f32)>,
    variances: Vec<f32>,
    llrs: Vec<f32>,
    counters: ReceiverCounters,
}

impl Demodulator {
    /// Prepares for a numerology.
    pub fn new(numerology: Numerology) -> Self {
        Self {
            numerology,
            grid: Grid::new(&numerology),
            ofdm: Ofdm::new(numerology),
            detector: Detector::new(&numerology),
            acquisition: Acquisition::new(numerology),
            estimator: ChannelEstimator::new(&numerology),
            decoder: TransportBlockDecoder::new(),
            state: State::Searching,
            buffer: Vec::new(),
            start: 0,
            symbol: vec![Complex32::default(); numerology.subcarriers()],
            pilots: Vec::new(),
            inverse_power: vec![0.0; numerology.subcarriers()],
            elements: Vec::new(),
            gains: Vec::new(),
            agreement: Vec::new(),
            variances: Vec::new(),
            llrs: Vec::new(),
            counters: ReceiverCounters::default(),
        }
    }

    /// What has been seen so far.
    pub fn counters(&self) -> ReceiverCounters {
        self.counters
    }

    /// Forgets what is buffered: the next sample follows a gap. Stream positions go on from `position`.
    pub fn restart(&mut self, position: i64) {
        self.buffer.clear();
        self.start = position;
        self.detector.restart(position);
        self.state = State::Searching;
    }

    /// Takes the next samples of the stream and hands every frame that is complete to `deliver`.
    pub fn push(&mut self, samples: &[Complex32], deliver: &mut dyn FnMut(ReceivedFrame)) {
        self.buffer.extend_from_slice(samples);
        while self.step(deliver) {}
        self.forget();
    }

    /// One step of the state machine; `false` when it needs more samples.
    fn step(&mut self, deliver: &mut dyn FnMut(ReceivedFrame)) -> bool {
        match std::mem::replace(&mut self.state, State::Searching) {
            State::Searching => match self.detector.search(&self.buffer, self.start) {
                None => return false,
                Some(detection) => {
                    self.counters.detections += 1;
                    self.state = State::Header { detection };
                }
            },
            State::Header { detection } => {
                let reach = self.acquisition.reach() + HEADER_SYMBOLS * self.numerology.symbol_samples();
                if !self.holds(detection.position + reach as i64) {
                    self.state = State::Header { detection };
                    return false;
                }
                match self.header(&detection) {
                    Some((acquired, header, tracker)) => {
                        self.counters.headers += 1;
                        self.state = State::Payload { detection, acquired, header, tracker };
                    }
                    None => self.resume(detection.position + self.numerology.fft_size as i64 / 2),
                }
            }
            State::Payload { detection, acquired, header, tracker } => {
                let symbols = HEADER_SYMBOLS + header.payload_symbols;
                let end = acquired.symbol_window(&self.numerology, symbols);
                if !self.holds(end) {
                    self.state = State::Payload { detection, acquired, header, tracker };
                    return false;
                }
                match self.payload(&detection, &acquired, header, tracker) {
                    Some(frame) => {
                        self.counters.frames += 1;
                        if self.burst_lasted() {
                            self.resume(end - self.numerology.cyclic_prefix as i64);
                        } else {
                            // What stands in its place may be another frame.
                            self.resume(acquired.symbol_window(&self.numerology, 0));
                        }
                        deliver(frame);
                    }
                    None => self.resume(acquired.symbol_window(&self.numerology, 0)),
                }
            }
        }
        true
    }

    fn resume(&mut self, position: i64) {
        // Positions already tested are not tested again, so every step goes on in the stream.
        self.detector.restart(position.max(self.start));
    }

    fn holds(&self, end: i64) -> bool {
        end <= self.start + self.buffer.len() as i64
    }

    fn forget(&mut self) {
        let needed = match &self.state {
            State::Searching => self.detector.oldest_candidate(),
            State::Header { detection } | State::Payload { detection, .. } => detection.position,
        };
        // The acquisition may look a little before the detection.
        let needed = needed - 4 * self.numerology.fft_size as i64;
        let drop = usize::try_from(needed - self.start).unwrap_or(0).min(self.buffer.len());
        if drop > self.buffer.len() / 2 {
            self.buffer.drain(..drop);
            self.start += drop as i64;
        }
    }

    fn header(&mut self, detection: &Detection) -> Option<(Acquired, FrameHeader, PhaseTracker)> {
        let acquired = self.acquisition.acquire(
            &mut self.ofdm,
            &mut self.estimator,
            &self.buffer,
            self.start,
            detection,
        )?;
        let numerology = self.numerology;
        let power: f32 = acquired.channel.iter().map(|h| h.norm_sqr()).sum();
        // Variance of Moose's estimate over one DFT length, here per symbol.
        let stretch = numerology.symbol_samples() as f64 / numerology.fft_size as f64;
        let cfo_variance =
            f64::from(acquired.noise_variance / power.max(f32::MIN_POSITIVE)) * stretch * stretch;
        let mut tracker =
            PhaseTracker::new(numerology.fft_size, numerology.cyclic_prefix, cfo_variance.max(1e-9));
        // From between the training symbols to the middle of the symbol before the first.
        tracker.predict((numerology.fft_size / 2) as f64 / numerology.symbol_samples() as f64);
        self.elements.clear();
        self.gains.clear();
        let mut residual = 0.0;
        for symbol in 0..HEADER_SYMBOLS {
            self.equalise(&acquired, &mut tracker, symbol, &mut residual)?;
        }
        let elements = 0..self.elements.len();
        let bytes = self.decode(
            elements,
            HEADER_BYTES,
            Modulation::Qpsk,
            0,
            scrambling_seed(0, 0),
            acquired.noise_variance,
        )?;
        let header = FrameHeader::parse(&bytes).ok()?;
        Some((acquired, header, tracker))
    }

    fn payload(
        &mut self,
        detection: &Detection,
        acquired: &Acquired,
        header: FrameHeader,
        mut tracker: PhaseTracker,
    ) -> Option<ReceivedFrame> {
        self.elements.clear();
        self.gains.clear();
        self.agreement.clear();
        let (mut residual, mut pilots) = (0.0, 0);
        for symbol in HEADER_SYMBOLS..HEADER_SYMBOLS + header.payload_symbols {
            pilots += self.equalise(acquired, &mut tracker, symbol, &mut residual)?;
        }
        // The residual on the pilots holds the noise and every error of the estimates: that is what
        // decoders must reckon with.
        let noise_variance =
            if pilots >= ENOUGH_PILOTS { (residual / pilots as f64) as f32 } else { acquired.noise_variance };

        let mut next = control_elements(header.control_bytes);
        let seed = scrambling_seed(header.number, 1);
        let block = self.decode(0..next, header.control_bytes, Modulation::Qpsk, 0, seed, noise_variance)?;
        let (shapes, control) = control::parse(&block).ok()?;
        let mut segments = Vec::with_capacity(shapes.len());
        for (index, shape) in shapes.iter().enumerate() {
            let range = next..next.checked_add(segment_elements(shape).ok()?)?;
            next = range.end;
            let symbols = self.elements.get(range.clone())?;
            segments.push(match *shape {
                SegmentShape::Analog { .. } => ReceivedSegment::Analog {
                    symbols: symbols.to_vec(),
                    noise_variance: self.gains[range].iter().map(|gain| gain * noise_variance).collect(),
                },
                SegmentShape::Coded { mcs, redundancy_version, bytes } => {
                    let step = Mcs::from_index(mcs)?;
                    let seed = scrambling_seed(header.number, 2 + index);
                    let decoded = self.decode(
                        range,
                        bytes,
                        step.modulation(),
                        redundancy_version,
                        seed,
                        noise_variance,
                    );
                    self.counters.segments_failed += u64::from(decoded.is_none());
                    ReceivedSegment::Coded { mcs, length: bytes, bytes: decoded }
                }
            });
        }
        let end = acquired.symbol_window(&self.numerology, HEADER_SYMBOLS + header.payload_symbols);
        Some(ReceivedFrame {
            position: detection.position,
            samples: usize::try_from(end - detection.position).unwrap_or(0),
            header,
            control,
            segments,
            channel: self.channel_state(acquired, &tracker, noise_variance),
        })
    }

    /// Whether the burst went on to the end of its payload, by the pilots of its last symbols.
    fn burst_lasted(&self) -> bool {
        let tail = self.agreement.iter().rev().take(TAIL_SYMBOLS);
        let (agreed, expected) = tail.fold((0.0, 0.0), |sum, symbol| (sum.0 + symbol.0, sum.1 + symbol.1));
        agreed >= TAIL_COHERENCE * expected
    }

    /// Appends the equalised data resource elements of a symbol and 1/|H|² of each; returns the number of
    /// pilots, whose squared residual is added to `residual`.
    fn equalise(
        &mut self,
        acquired: &Acquired,
        tracker: &mut PhaseTracker,
        symbol: usize,
        residual: &mut f64,
    ) -> Option<usize> {
        let window = acquired.symbol_window(&self.numerology, symbol);
        let offset = usize::try_from(window - self.start).ok()?;
        let samples = self.buffer.get(offset..offset + self.numerology.fft_size)?;
        self.ofdm.demodulate(samples, acquired.cfo, window, 0, &mut self.symbol);

        self.pilots.clear();
        for k in self.grid.pilots(symbol) {
            self.pilots.push(Pilot {
                frequency: self.numerology.frequency_index(k) as f32,
                received: self.symbol[k] * self.grid.pilot_value(symbol, k).conj(),
                channel: acquired.channel[k],
            });
        }
        tracker.predict(1.0);
        tracker.correct(&self.pilots, acquired.noise_variance);
        *residual += self
            .pilots
            .iter()
            .map(|p| f64::from((p.received - p.channel * tracker.rotation(p.frequency)).norm_sqr()))
            .sum::<f64>();

        let agreement = self.pilots.iter().fold((0.0, 0.0), |(agreed, expected), p| {
            let channel = p.channel * tracker.rotation(p.frequency);
            (agreed + (p.received * channel.conj()).re, expected + channel.norm_sqr())
        });
        self.agreement.push(agreement);

        // The rotation turns by the same angle from subcarrier to subcarrier; DC is one more step.
        let half = self.symbol.len() / 2;
        let step = tracker.rotation(1.0) * tracker.rotation(0.0).conj();
        let mut rotation = tracker.rotation(self.numerology.frequency_index(0) as f32);
        for k in 0..self.symbol.len() {
            if k == half {
                rotation = tracker.rotation(1.0);
            }
            let channel = acquired.channel[k] * rotation;
            self.inverse_power[k] = 1.0 / channel.norm_sqr().max(1e-12);
            self.symbol[k] *= channel.conj() * self.inverse_power[k];
            rotation *= step;
        }
        for &k in self.grid.data(symbol) {
            self.elements.push(self.symbol[k]);
            self.gains.push(self.inverse_power[k]);
        }
        Some(self.pilots.len())
    }

    fn decode(
        &mut self,
        elements: std::ops::Range<usize>,
        length: usize,
        modulation: Modulation,
        redundancy_version: u8,
        seed: u32,
        noise_variance: f32,
    ) -> Option<Bytes> {
        let symbols = self.elements.get(elements.clone())?;
        self.llrs.clear();
        self.variances.clear();
        self.variances.extend(self.gains[elements].iter().map(|gain| gain * noise_variance));
        modulation.demap_all(symbols, &self.variances, &mut self.llrs);
        scrambler::scramble_llrs(seed, &mut self.llrs);
        let order = modulation.bits_per_symbol();
        self.decoder
            .decode(&self.llrs, length, order, redundancy_version)
            .ok()
            .map(|block| Bytes::from(block.payload))
    }

    fn channel_state(
        &self,
        acquired: &Acquired,
        tracker: &PhaseTracker,
        noise_variance: f32,
    ) -> ChannelState {
        let snr_db = |gains: &[Complex32]| {
            let gain = gains.iter().map(|h| h.norm_sqr()).sum::<f32>() / gains.len() as f32;
            (10.0 * (gain / noise_variance.max(f32::MIN_POSITIVE)).log10()).clamp(-40.0, 60.0)
        };
        let numerology = &self.numerology;
        let symbol = numerology.symbol_samples() as f64;
        let residual_cfo = tracker.phase_rate() / (std::f64::consts::TAU * symbol);
        ChannelState {
            snr_db_per_rb: acquired.channel.chunks(SUBCARRIERS_PER_RB).map(snr_db).collect(),
            snr_db: snr_db(&acquired.channel),
            cfo_hz: (acquired.cfo + residual_cfo) * numerology.sample_rate_hz,
            clock_offset_ppm: 1e6 * tracker.slope_rate() * numerology.fft_size as f64
                / (std::f64::consts::TAU * symbol),
        }
    }
}
