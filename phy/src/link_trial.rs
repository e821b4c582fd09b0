//! A measurement: seeded frames through modulator, channel and demodulator, and what was lost of them.
//!
//! A trial is a burst of frames through one realisation of a channel. Everything in it follows from its seed:
//! payloads, fading, noise, the offset of the carrier, the silence in front. So trials can be run in any order
//! and on any number of threads, and their [`Tally`]s add up to the same figures.
//!
//! Beside the link stands the same code over the same channel with nothing to find and nothing to estimate
//! ([`LinkTrial::decodes_with_known_channel`]): what detection, header and estimation cost is the difference.

use std::ops::AddAssign;

use bytes::Bytes;
use num_complex::Complex32;
use rand_distr::{Distribution, StandardNormal, Uniform};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use thiserror::Error;

use crate::{
    channel::{Channel, ChannelConfig, ChannelError},
    coding::transport_block::{TransportBlockDecoder, TransportBlockEncoder},
    framing::{
        Frame, FramingError, ReceivedSegment, Segment,
        control::{block_bytes, control_elements},
        grid::Grid,
    },
    mode::Mode,
    modulation::mcs::Mcs,
    numerology::{Numerology, NumerologyError},
    ofdm::Ofdm,
    receive::{Demodulator, ReceivedFrame},
    sync::preamble::preamble_samples,
    transmit::Modulator,
};

/// Bytes of the layer above in every frame.
const CONTROL_BYTES: usize = 16;
/// Samples of silence in front of a burst: at least the first, fewer than both together.
const SILENCE: (u64, u64) = (1000, 5000);
/// Tells the generator of payloads and offsets apart from those of the channel.
const TRIAL_STREAM: u64 = 0x0074_7269_616c_7300;

/// What is sent, and through what.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkOptions {
    /// The grid.
    pub numerology: Numerology,
    /// Mode of all frames.
    pub mode: Mode,
    /// Code and modulation of the one segment of each frame.
    pub mcs: Mcs,
    /// Bytes of this segment.
    pub payload_bytes: usize,
    /// The channel. Its seed and its occupied fraction are replaced.
    pub channel: ChannelConfig,
    /// Each trial has a carrier offset uniform in ± this beside that of the channel.
    pub most_cfo_hz: f64,
    /// Power over the signal's of a constant that the receiver adds.
    pub dc_spike_db: Option<f64>,
    /// Frames in a trial.
    pub frames: u16,
    /// Silence between them, in samples.
    pub gap_samples: usize,
}

impl Default for LinkOptions {
    /// One frame of 500 bytes in QPSK of rate 1/2, at the default numerology, over a perfect wire.
    fn default() -> Self {
        Self {
            numerology: Numerology::default(),
            mode: Mode::Normal,
            mcs: half_rate_qpsk(),
            payload_bytes: 500,
            channel: ChannelConfig::default(),
            most_cfo_hz: 0.0,
            dc_spike_db: None,
            frames: 1,
            gap_samples: 0,
        }
    }
}

/// The rung of the ladder that comes nearest to QPSK at rate 1/2.
pub fn half_rate_qpsk() -> Mcs {
    let distance = |mcs: &Mcs| (mcs.spectral_efficiency() - 1.0).abs();
    Mcs::all().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(Mcs::LOWEST)
}

/// Why there can be no trial.
#[derive(Debug, Error)]
pub enum LinkTrialError {
    /// The grid does not exist.
    #[error(transparent)]
    Numerology(#[from] NumerologyError),
    /// The channel does not exist.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The frame cannot be sent.
    #[error(transparent)]
    Framing(#[from] FramingError),
}

/// What became of frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Frames sent.
    pub frames: u64,
    /// Preambles found, whether there was one or not.
    pub detections: u64,
    /// Headers read.
    pub headers: u64,
    /// Frames of which header and control block arrived.
    pub delivered: u64,
    /// Of these, the ones whose segment arrived.
    pub intact: u64,
    /// Frames that passed every check and were not sent like this.
    pub wrong: u64,
}

impl Tally {
    /// Frames that were sent and did not arrive.
    pub fn lost(&self) -> u64 {
        self.frames - self.intact
    }

    /// Share of frames lost.
    pub fn frame_error_rate(&self) -> f64 {
        self.lost() as f64 / self.frames.max(1) as f64
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.frames += other.frames;
        self.detections += other.detections;
        self.headers += other.headers;
        self.delivered += other.delivered;
        self.intact += other.intact;
        self.wrong += other.wrong;
    }
}

/// Runs trials; planned once, it keeps its buffers between them.
pub struct LinkTrial {
    options: LinkOptions,
    modulator: Modulator,
    demodulator: Demodulator,
    encoder: TransportBlockEncoder,
    decoder: TransportBlockDecoder,
    burst: Vec<Complex32>,
    samples: Vec<Complex32>,
    ofdm: Ofdm,
    places: Vec<u32>,
}

impl LinkTrial {
    /// Prepares trials.
    ///
    /// # Errors
    /// [`LinkTrialError`] if the options ask for a grid, a channel or a frame that does not exist.
    pub fn new(options: LinkOptions) -> Result<Self, LinkTrialError> {
        let numerology = options.numerology.validate()?;
        let mut trial = Self {
            modulator: Modulator::new(numerology),
            demodulator: Demodulator::new(numerology),
            encoder: TransportBlockEncoder::new(),
            decoder: TransportBlockDecoder::new(),
            burst: Vec::new(),
            samples: Vec::new(),
            ofdm: Ofdm::new(numerology),
            places: Vec::new(),
            options,
        };
        Channel::new(trial.channel(0, 0.0), numerology.sample_rate_hz)?;
        let frame = trial.frame(0, &mut Xoshiro256PlusPlus::seed_from_u64(0));
        trial.modulator.modulate(&frame, &mut trial.burst)?;
        trial.places = trial.segment_places();
        Ok(trial)
    }

    /// Sends a burst and tells what arrived of it.
    ///
    /// # Errors
    /// [`LinkTrialError::Channel`] if the random carrier offset leaves the channel's range.
    pub fn run(&mut self, seed: u64) -> Result<Tally, LinkTrialError> {
        let numerology = self.options.numerology;
        let Start { mut generator, offset, silence } = Start::new(seed);
        let offset_hz = offset * self.options.most_cfo_hz;
        let mut channel = Channel::new(self.channel(seed, offset_hz), numerology.sample_rate_hz)?;
        self.samples.clear();
        channel.flush(silence, &mut self.samples);
        let mut frames = Vec::with_capacity(usize::from(self.options.frames));
        for number in 0..self.options.frames {
            let frame = self.frame(number, &mut generator);
            self.burst.clear();
            self.modulator.modulate(&frame, &mut self.burst)?;
            self.burst.resize(self.burst.len() + self.options.gap_samples, Complex32::default());
            channel.process(&self.burst, &mut self.samples);
            frames.push(frame);
        }
        // What the receiver must have behind a frame to be done with it: the search for a robust preamble takes
        // more than the end of the frame does.
        channel.flush(16 * numerology.fft_size + 20_000, &mut self.samples);
        if let Some(dc_spike_db) = self.options.dc_spike_db {
            let angle = std::f64::consts::PI * uniform(&mut generator);
            let spike = Complex32::from_polar(10f64.powf(dc_spike_db / 20.0) as f32, angle as f32);
            self.samples.iter_mut().for_each(|sample| *sample += spike);
        }
        Ok(self.receive(&frames))
    }

    fn receive(&mut self, frames: &[Frame]) -> Tally {
        self.demodulator.restart(0);
        let before = self.demodulator.counters();
        let mut arrived = vec![false; frames.len()];
        let mut tally = Tally { frames: frames.len() as u64, ..Tally::default() };
        self.demodulator.push(&self.samples, &mut |received| {
            let sent = frames.get(usize::from(received.header.number));
            match sent.map(|sent| compare(sent, &received)) {
                Some(Arrival::Intact) => {
                    tally.delivered += 1;
                    let place = &mut arrived[usize::from(received.header.number)];
                    // Nothing is sent twice.
                    tally.wrong += u64::from(*place);
                    *place = true;
                }
                Some(Arrival::Damaged) => tally.delivered += 1,
                Some(Arrival::Wrong) | None => tally.wrong += 1,
            }
        });
        let counters = self.demodulator.counters();
        tally.detections = counters.detections - before.detections;
        tally.headers = counters.headers - before.headers;
        tally.intact = arrived.iter().filter(|&&arrived| arrived).count() as u64;
        tally
    }

    /// Sends the payload of a trial's first frame over the same resource elements and the same channel to a
    /// receiver that knows the channel and its noise and has nothing to find, and tells whether it can be
    /// decoded. Offsets of carrier and clock play no part.
    ///
    /// # Errors
    /// [`LinkTrialError`], which [`LinkTrial::new`] would have found.
    pub fn decodes_with_known_channel(&mut self, seed: u64) -> Result<bool, LinkTrialError> {
        let mut start = Start::new(seed);
        let mut payload = vec![0; self.options.payload_bytes];
        start.generator.fill_bytes(&mut payload);
        let modulation = self.options.mcs.modulation();
        let order = modulation.bits_per_symbol();
        let (mut bits, mut symbols) = (Vec::new(), Vec::new());
        let coded_bits = self.places.len() * usize::from(order);
        self.encoder.encode(&payload, coded_bits, order, 0, &mut bits).map_err(FramingError::from)?;
        modulation.map(&bits, &mut symbols);
        let responses = self.responses(seed, start.silence)?;
        let noise_variance = 10f64.powf(-self.options.channel.snr_db.unwrap_or(100.0) / 10.0) as f32;
        let mut normal = || -> f32 { StandardNormal.sample(&mut start.generator) };
        let mut variances = Vec::with_capacity(symbols.len());
        for (symbol, &place) in symbols.iter_mut().zip(&self.places) {
            let response = responses[place as usize];
            let noise = Complex32::new(normal(), normal()) * (noise_variance / 2.0).sqrt();
            *symbol += noise / response;
            variances.push(noise_variance / response.norm_sqr());
        }
        let mut llrs = Vec::new();
        modulation.demap_all(&symbols, &variances, &mut llrs);
        Ok(self.decoder.decode(&llrs, payload.len(), order, 0).is_ok_and(|block| block.payload == payload))
    }

    /// Response of a trial's channel on every subcarrier at the time of every symbol of the payload, from one
    /// impulse at the start of each symbol.
    fn responses(&mut self, seed: u64, silence: usize) -> Result<Vec<Complex32>, LinkTrialError> {
        let LinkOptions { numerology, mode, .. } = self.options;
        let noiseless =
            ChannelConfig { snr_db: None, cfo_hz: 0.0, sampling_offset_ppm: 0.0, ..self.channel(seed, 0.0) };
        let mut channel = Channel::new(noiseless, numerology.sample_rate_hz)?;
        let header = mode.header_symbols(&numerology) * numerology.symbol_samples();
        let mut heard = Vec::new();
        channel.flush(silence + preamble_samples(mode, &numerology) + header, &mut heard);
        let subcarriers = numerology.subcarriers();
        let symbols = self.places.last().map_or(0, |&place| place as usize / subcarriers + 1);
        let mut responses = vec![Complex32::default(); symbols * subcarriers];
        for response in responses.chunks_exact_mut(subcarriers) {
            heard.clear();
            channel.process(&[Complex32::new(1.0, 0.0)], &mut heard);
            channel.flush(numerology.symbol_samples() - 1, &mut heard);
            self.ofdm.response(0, &heard[..numerology.fft_size], response);
        }
        Ok(responses)
    }

    /// Where the elements of the segment stand in the payload: symbol × subcarriers + subcarrier.
    fn segment_places(&self) -> Vec<u32> {
        let LinkOptions { numerology, mode, mcs, payload_bytes, .. } = &self.options;
        let grid = Grid::new(numerology, *mode);
        let before = control_elements((*mode).into(), block_bytes(1, CONTROL_BYTES));
        let elements = mcs.symbols_for_bytes(*payload_bytes);
        let first = mode.header_symbols(numerology);
        let mut places = Vec::new();
        grid.positions(first, grid.symbols_for(first, before + elements), &mut places);
        let header = (first * numerology.subcarriers()) as u32;
        places.iter().skip(before).take(elements).map(|place| place - header).collect()
    }

    fn channel(&self, seed: u64, offset_hz: f64) -> ChannelConfig {
        ChannelConfig {
            seed,
            cfo_hz: self.options.channel.cfo_hz + offset_hz,
            occupied_fraction: self.options.numerology.occupied_fraction(),
            ..self.options.channel.clone()
        }
    }

    fn frame(&self, number: u16, generator: &mut Xoshiro256PlusPlus) -> Frame {
        let mut bytes = vec![0; self.options.payload_bytes];
        generator.fill_bytes(&mut bytes);
        let mut control = vec![0; CONTROL_BYTES];
        generator.fill_bytes(&mut control);
        Frame {
            mode: self.options.mode,
            number,
            transmitter: generator.next_u64() as u16,
            control: control.into(),
            segments: vec![Segment::Coded {
                mcs: self.options.mcs.index(),
                redundancy_version: 0,
                bytes: Bytes::from(bytes),
            }],
            ..Frame::default()
        }
    }
}

enum Arrival {
    Intact,
    /// The segment could not be corrected, and says so.
    Damaged,
    /// Something passed its check and is not what was sent.
    Wrong,
}

fn compare(sent: &Frame, received: &ReceivedFrame) -> Arrival {
    if (received.mode, received.header.transmitter, &received.control)
        != (sent.mode, sent.transmitter, &sent.control)
        || received.segments.len() != sent.segments.len()
    {
        return Arrival::Wrong;
    }
    let mut arrival = Arrival::Intact;
    for pair in sent.segments.iter().zip(&received.segments) {
        match pair {
            (Segment::Coded { bytes, .. }, ReceivedSegment::Coded { decoded: Ok(arrived), .. }) => {
                if arrived != bytes {
                    return Arrival::Wrong;
                }
            }
            (Segment::Coded { .. }, ReceivedSegment::Coded { decoded: Err(_), .. }) => {
                arrival = Arrival::Damaged;
            }
            _ => return Arrival::Wrong,
        }
    }
    arrival
}

/// What a trial begins with.
struct Start {
    /// Draws everything else.
    generator: Xoshiro256PlusPlus,
    /// Carrier offset over the largest one.
    offset: f64,
    /// Samples before the first frame.
    silence: usize,
}

impl Start {
    fn new(seed: u64) -> Self {
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed ^ TRIAL_STREAM);
        let offset = uniform(&mut generator);
        let silence = (SILENCE.0 + generator.next_u64() % SILENCE.1) as usize;
        Self { generator, offset, silence }
    }
}

/// A number in −1 to 1.
fn uniform(generator: &mut Xoshiro256PlusPlus) -> f64 {
    Uniform::new_inclusive(-1.0, 1.0).map_or(0.0, |range| range.sample(generator))
}
