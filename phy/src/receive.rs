//! The receive chain: an endless stream of samples → frames.
//!
//! detector → acquisition → header → (all samples of the frame) → control block → segments. The receiver
//! does not know when a frame comes nor what it holds: everything is read from the air. What it gives back
//! depends on the samples alone, not on how the stream was cut into calls.

use bytes::Bytes;
use num_complex::Complex32;
use serde::{Deserialize, Serialize};

use crate::{
    allocation::amplitude,
    coding::transport_block::TransportBlockDecoder,
    crest,
    estimation::{frame::FrameEstimator, rates::Rates},
    framing::{
        ReceivedSegment, SegmentShape, SoftBits,
        control::{self, control_elements},
        grid::Grid,
        header::{FrameHeader, HEADER_BYTES},
    },
    mode::{Mode, Protection},
    modulation::{Modulation, mcs::Mcs, scrambler},
    numerology::{Numerology, SUBCARRIERS_PER_RB},
    ofdm::Ofdm,
    simd::{Instructions, dispatched},
    sync::{
        acquisition::{Acquired, Acquisition, dc_offset},
        detector::{Detection, Detector},
    },
    transmit::{Arrangement, scrambling_seed, segment_elements},
};

/// Drift of the sampling clock over a frame, in samples, from which on symbols are cut out anew: less than what
/// the cyclic prefix leaves on each side of most channels.
const MOST_DRIFT: f64 = 2.0;
/// Samples larger than this are no signal but a fault: they are taken for zero, as what is no number is.
const LARGEST_SAMPLE: f32 = 1e6;
/// Samples that are taken in at once.
const PIECE: usize = 1 << 16;

/// Channel state as a frame showed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelState {
    /// SNR of each resource block in dB, lowest frequency first.
    pub snr_db_per_rb: Vec<f32>,
    /// SNR over all resource elements in dB: mean gain over noise variance.
    pub snr_db: f32,
    /// Carrier offset in Hz.
    pub cfo_hz: f64,
    /// How fast the receiver's sampling clock is in parts per million, from the drift of the timing.
    pub clock_offset_ppm: f64,
}

/// A frame whose header and control block arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedFrame {
    /// Its mode.
    pub mode: Mode,
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
    Payload(Box<Heard>),
}

/// A frame whose header has been read.
struct Heard {
    detection: Detection,
    acquired: Acquired,
    header: FrameHeader,
    rates: Rates,
}

/// Takes samples, gives frames. Planned once; its buffers are kept.
pub struct Demodulator {
    numerology: Numerology,
    grids: [Grid; 2],
    ofdm: Ofdm,
    detector: Detector,
    acquisition: Acquisition,
    estimator: FrameEstimator,
    decoder: TransportBlockDecoder,
    state: State,
    /// Samples of the stream from position `start` on.
    buffer: Vec<Complex32>,
    start: i64,
    /// Samples by which each symbol's DFT window is moved.
    shifts: Vec<i32>,
    /// All subcarriers of all symbols of a frame: as received, then equalised.
    values: Vec<Complex32>,
    /// Noise variance of each after equalisation.
    variances: Vec<f32>,
    channel: Vec<Complex32>,
    /// Noise variance on every subcarrier, before equalisation.
    noise: Vec<f32>,
    instructions: Instructions,
    positions: Vec<u32>,
    arrangement: Arrangement,
    /// Data resource elements in the order in which they were filled, and the noise variance of each.
    elements: Vec<Complex32>,
    element_variances: Vec<f32>,
    llrs: Vec<f32>,
    counters: ReceiverCounters,
}

impl Demodulator {
    /// Prepares for a numerology.
    pub fn new(numerology: Numerology) -> Self {
        Self {
            numerology,
            grids: Mode::ALL.map(|mode| Grid::new(&numerology, mode)),
            ofdm: Ofdm::new(numerology),
            detector: Detector::new(&numerology),
            acquisition: Acquisition::new(numerology),
            estimator: FrameEstimator::new(&numerology),
            decoder: TransportBlockDecoder::new(),
            state: State::Searching,
            buffer: Vec::new(),
            start: 0,
            shifts: Vec::new(),
            values: Vec::new(),
            variances: Vec::new(),
            channel: vec![Complex32::default(); numerology.subcarriers()],
            noise: Vec::new(),
            instructions: Instructions::detect(),
            positions: Vec::new(),
            arrangement: Arrangement::default(),
            elements: Vec::new(),
            element_variances: Vec::new(),
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
        // A large piece is taken bit by bit, so that the buffer holds little more than a frame.
        for samples in samples.chunks(PIECE) {
            self.buffer.extend(samples.iter().map(|&sample| {
                let usable = sample.re.abs() < LARGEST_SAMPLE && sample.im.abs() < LARGEST_SAMPLE;
                if usable { sample } else { Complex32::default() }
            }));
            while self.step(deliver) {}
            self.forget();
        }
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
                let mode = detection.mode;
                let header = mode.header_symbols(&self.numerology) * self.numerology.symbol_samples();
                if !self.holds(detection.position + (self.acquisition.reach(mode) + header) as i64) {
                    self.state = State::Header { detection };
                    return false;
                }
                match self.header(&detection) {
                    Some(heard) => {
                        self.counters.headers += 1;
                        self.state = State::Payload(Box::new(heard));
                    }
                    None => self.resume(detection.position + self.numerology.fft_size as i64 / 2),
                }
            }
            State::Payload(heard) => {
                let end = heard.acquired.symbol_window(&self.numerology, self.symbols(&heard));
                // A prefix beyond the last symbol's end: room for the drift of the clocks.
                if !self.holds(end) {
                    self.state = State::Payload(heard);
                    return false;
                }
                // If the burst broke off, or its control block cannot be read, what stands in its place may be
                // another frame.
                let after_header = heard.acquired.symbol_window(&self.numerology, 0);
                match self.payload(&heard) {
                    Some(frame) => {
                        self.counters.frames += 1;
                        let lasted = self.estimator.lasted();
                        let after = end - self.numerology.cyclic_prefix as i64;
                        self.resume(if lasted { after } else { after_header });
                        deliver(frame);
                    }
                    None => self.resume(after_header),
                }
            }
        }
        true
    }

    /// OFDM symbols of header and payload.
    fn symbols(&self, heard: &Heard) -> usize {
        heard.acquired.mode.header_symbols(&self.numerology) + heard.header.payload_symbols
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
            State::Header { detection } => detection.position,
            State::Payload(heard) => heard.detection.position,
        };
        // The acquisition may look a little before the detection.
        let needed = needed - self.acquisition.lookback() as i64;
        let drop = usize::try_from(needed - self.start).unwrap_or(0).min(self.buffer.len());
        if drop > self.buffer.len() / 2 {
            self.buffer.drain(..drop);
            self.start += drop as i64;
        }
    }

    fn header(&mut self, detection: &Detection) -> Option<Heard> {
        let acquired = self.acquisition.acquire(&mut self.ofdm, &self.buffer, self.start, detection)?;
        let symbols = acquired.mode.header_symbols(&self.numerology);
        self.shifts.clear();
        self.transform(&acquired, acquired.dc, symbols)?;
        let grid = &self.grids[acquired.mode as usize];
        let rates = self.estimator.estimate_header(&mut self.ofdm, grid, &acquired, &self.values);
        self.equalise(symbols);
        self.gather(acquired.mode, 0, symbols);
        let elements = 0..self.elements.len();
        let seed = scrambling_seed(0, 0);
        let bytes = self.decode(elements, HEADER_BYTES, Modulation::Qpsk, 0, seed)?;
        let header = FrameHeader::parse(&bytes).ok()?;
        Some(Heard { detection: *detection, acquired, header, rates })
    }

    fn payload(&mut self, heard: &Heard) -> Option<ReceivedFrame> {
        let Heard { detection, acquired, header, .. } = heard;
        let symbols = self.symbols(heard);
        self.estimate(heard, symbols)?;
        self.equalise(symbols);
        let header_symbols = acquired.mode.header_symbols(&self.numerology);
        self.gather(acquired.mode, header_symbols, header.payload_symbols);

        let protection = Protection { mode: acquired.mode, control: header.control_rate };
        let mut next = control_elements(protection, header.control_bytes);
        let seed = scrambling_seed(header.number, 1);
        let block = self.decode(0..next, header.control_bytes, Modulation::Qpsk, 0, seed)?;
        let control = control::parse(&block, self.numerology.resource_blocks).ok()?;
        let lengths: Vec<usize> =
            control.segments.iter().map(segment_elements).collect::<Result<_, _>>().ok()?;
        if let Some(record) = &control.allocation {
            // Segments come into the order in which they would lie without.
            let above = header_symbols * self.numerology.subcarriers();
            let free = self.positions.get_mut(next..)?;
            free.iter_mut().for_each(|position| *position -= above as u32);
            let layout = self.arrangement.arrange(record, &lengths, header.payload_symbols, free).ok()?;
            if let Some(layout) = layout {
                self.elements.truncate(next);
                self.element_variances.truncate(next);
                for segment in 0..lengths.len() {
                    layout.gather(segment, &self.values[above..], &mut self.elements);
                    layout.gather(segment, &self.variances[above..], &mut self.element_variances);
                }
            }
        }
        let mut segments = Vec::with_capacity(lengths.len());
        for (index, (shape, length)) in control.segments.iter().zip(lengths).enumerate() {
            let range = next..next.checked_add(length)?;
            next = range.end;
            let seed = scrambling_seed(header.number, 2 + index);
            segments.push(match *shape {
                SegmentShape::Analog { .. } => {
                    let mut symbols = self.elements.get(range.clone())?.to_vec();
                    let mut noise_variance = self.element_variances[range].to_vec();
                    crest::unrotate(seed, &mut symbols);
                    let offset =
                        control.allocation.as_ref().map_or(0, |record| record.power_offsets()[index]);
                    if offset != 0 {
                        let inverse = 1.0 / amplitude(offset);
                        symbols.iter_mut().for_each(|symbol| *symbol *= inverse);
                        noise_variance.iter_mut().for_each(|variance| *variance *= inverse * inverse);
                    }
                    ReceivedSegment::Analog { symbols, noise_variance }
                }
                SegmentShape::Coded { mcs, redundancy_version, bytes } => {
                    let step = Mcs::from_index(mcs)?;
                    let decoded = self
                        .decode(range, bytes, step.modulation(), redundancy_version, seed)
                        .ok_or_else(|| SoftBits(self.llrs.clone()));
                    self.counters.segments_failed += u64::from(decoded.is_err());
                    ReceivedSegment::Coded { mcs, redundancy_version, length: bytes, decoded }
                }
            });
        }
        let end = acquired.symbol_window(&self.numerology, symbols);
        Some(ReceivedFrame {
            mode: acquired.mode,
            position: detection.position,
            samples: usize::try_from(end - detection.position).unwrap_or(0),
            header: *header,
            control: control.above,
            segments,
            channel: self.channel_state(acquired),
        })
    }

    /// Estimates the channel of a whole frame.
    fn estimate(&mut self, heard: &Heard, symbols: usize) -> Option<()> {
        let acquired = &heard.acquired;
        let mut dc = acquired.dc;
        if dc != Complex32::default() {
            // The longer the look, the less of the signal is taken for a constant.
            let first = usize::try_from(acquired.window - self.start).ok()?;
            let samples = self.buffer.get(first..first + symbols * self.numerology.symbol_samples())?;
            dc = dc_offset(samples);
        }
        self.shifts.clear();
        let mut rates = heard.rates;
        for last in [false, true] {
            self.transform(acquired, dc, symbols)?;
            let grid = &self.grids[acquired.mode as usize];
            self.estimator.estimate(&mut self.ofdm, grid, acquired, &self.values, rates, &self.shifts);
            let drift = self.estimator.rates().drift_samples(&self.numerology);
            if last || (drift * symbols as f64).abs() < MOST_DRIFT {
                break;
            }
            let prefix = self.numerology.cyclic_prefix as f64;
            rates = self.estimator.rates();
            self.shifts.extend((0..symbols).map(|symbol| {
                (-drift * (symbol as f64 + acquired.lead)).round().clamp(-prefix, prefix) as i32
            }));
        }
        Some(())
    }

    /// DFTs of the first `symbols` symbols after the preamble.
    fn transform(&mut self, acquired: &Acquired, dc: Complex32, symbols: usize) -> Option<()> {
        let subcarriers = self.numerology.subcarriers();
        self.values.resize(symbols * subcarriers, Complex32::default());
        for (symbol, out) in self.values.chunks_exact_mut(subcarriers).enumerate() {
            let shift = self.shifts.get(symbol).copied().unwrap_or(0);
            let window = acquired.symbol_window(&self.numerology, symbol) + i64::from(shift);
            let offset = usize::try_from(window - self.start).ok()?;
            let samples = self.buffer.get(offset..offset + self.numerology.fft_size)?;
            self.ofdm.demodulate(samples, dc, &acquired.carrier, window, out);
        }
        Some(())
    }

    /// Divides by the channel; tells the noise that then is on every value.
    fn equalise(&mut self, symbols: usize) {
        let subcarriers = self.numerology.subcarriers();
        self.variances.resize(symbols * subcarriers, 0.0);
        self.noise.clear();
        let noises = self.estimator.noise_per_rb().iter();
        self.noise.extend(noises.flat_map(|&noise| std::iter::repeat_n(noise, SUBCARRIERS_PER_RB)));
        let rows = self.values.chunks_exact_mut(subcarriers);
        for (symbol, (values, variances)) in
            rows.zip(self.variances.chunks_exact_mut(subcarriers)).enumerate()
        {
            self.estimator.channel(symbol, &mut self.channel);
            divide(self.instructions, values, variances, &self.channel, &self.noise);
        }
    }

    /// Takes data resource elements out of the grid, in the order in which they were filled.
    fn gather(&mut self, mode: Mode, first: usize, count: usize) {
        self.positions.clear();
        self.grids[mode as usize].positions(first, count, &mut self.positions);
        self.elements.clear();
        self.elements.extend(self.positions.iter().map(|&position| self.values[position as usize]));
        self.element_variances.clear();
        self.element_variances
            .extend(self.positions.iter().map(|&position| self.variances[position as usize]));
    }

    /// Decodes a coded block; its LLRs stay in `llrs`.
    fn decode(
        &mut self,
        elements: std::ops::Range<usize>,
        length: usize,
        modulation: Modulation,
        redundancy_version: u8,
        seed: u32,
    ) -> Option<Bytes> {
        let symbols = self.elements.get(elements.clone())?;
        self.llrs.clear();
        modulation.demap_all(symbols, &self.element_variances[elements], &mut self.llrs);
        scrambler::scramble_llrs(seed, &mut self.llrs);
        let order = modulation.bits_per_symbol();
        self.decoder
            .decode(&self.llrs, length, order, redundancy_version)
            .ok()
            .map(|block| Bytes::from(block.payload))
    }

    fn channel_state(&self, acquired: &Acquired) -> ChannelState {
        let snr_db = |power: f32, noise: f32| {
            (10.0 * (power / noise.max(f32::MIN_POSITIVE)).log10()).clamp(-40.0, 60.0)
        };
        let numerology = &self.numerology;
        let powers = self.estimator.power_per_rb();
        let noises = self.estimator.noise_per_rb();
        let mean = self.estimator.power_per_rb().sum::<f32>() / noises.len() as f32;
        let rates = self.estimator.rates();
        let symbol = numerology.symbol_samples() as f64;
        ChannelState {
            snr_db_per_rb: powers.zip(noises).map(|(power, &noise)| snr_db(power, noise)).collect(),
            snr_db: snr_db(mean, self.estimator.noise_variance()),
            cfo_hz: (acquired.carrier.cfo() + rates.phase / (std::f64::consts::TAU * symbol))
                * numerology.sample_rate_hz,
            // Samples that come late are those of a slow clock.
            clock_offset_ppm: -1e6 * rates.drift_samples(numerology) / symbol,
        }
    }
}

dispatched! {
    /// Divides `values` by `channel` and writes the noise variance that is then on them.
    fn divide(values: &mut [Complex32], variances: &mut [f32], channel: &[Complex32], noise: &[f32]) {
        for (((value, variance), channel), noise) in values.iter_mut().zip(variances).zip(channel).zip(noise) {
            let power = channel.re * channel.re + channel.im * channel.im;
            let inverse = 1.0 / power.max(1e-12);
            let (re, im) = (value.re, value.im);
            value.re = (re * channel.re + im * channel.im) * inverse;
            value.im = (im * channel.re - re * channel.im) * inverse;
            *variance = noise * inverse;
        }
    }
}
