//! Error rates over white noise, for codes alone and for the rungs of the MCS ladder.
//!
//! A [`Trial`] sends one block through coding, modulation, noise and back. [`error_rate`] repeats it, and
//! [`snr_for_error_rate`] looks for the SNR of a certain rate. Results depend on the arguments alone; to use
//! several cores, run parts with different seeds and add up their [`ErrorCount`]s.

use std::iter::Sum;
use std::ops::Add;

use num_complex::Complex32;
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use crate::coding::CodingError;
use crate::coding::bits;
use crate::coding::crc::CRC24A;
use crate::coding::ldpc::{BaseGraph, FILLER_LLR, LdpcCode, LdpcDecoder, LdpcEncoder, quantise};
use crate::coding::rate_matching::{CircularBuffer, RateMatcher, RateRecovery};
use crate::coding::segmentation::occupied_columns;
use crate::coding::transport_block::{DEFAULT_MAX_ITERATIONS, TransportBlockDecoder, TransportBlockEncoder};
use crate::modulation::Modulation;
use crate::modulation::mcs::Mcs;

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The block arrived.
    Delivered,
    /// The block was lost, and the receiver knows.
    Lost,
    /// The receiver took another block for this one.
    Undetected,
}

/// What became of a number of blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorCount {
    /// Blocks sent.
    pub frames: u64,
    /// Blocks that did not arrive, undetected errors included.
    pub errors: u64,
    /// Wrong blocks that passed all checks.
    pub undetected: u64,
}

impl ErrorCount {
    /// Share of blocks that did not arrive; NaN if none was sent.
    pub fn rate(&self) -> f64 {
        self.errors as f64 / self.frames as f64
    }
}

impl Add for ErrorCount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            frames: self.frames + other.frames,
            errors: self.errors + other.errors,
            undetected: self.undetected + other.undetected,
        }
    }
}

impl Sum for ErrorCount {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

/// Something that can be tried again and again at an SNR.
pub trait Trial {
    /// Sends one block at an SNR in dB (Es/N0).
    fn run(&mut self, snr_db: f64, random: &mut Xoshiro256PlusPlus) -> Outcome;
}

/// Repeats a trial `max_frames` times, or until it has failed `max_errors` times.
pub fn error_rate(
    trial: &mut impl Trial,
    snr_db: f64,
    seed: u64,
    max_frames: u64,
    max_errors: u64,
) -> ErrorCount {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut count = ErrorCount::default();
    while count.frames < max_frames && count.errors < max_errors {
        let outcome = trial.run(snr_db, &mut random);
        count.frames += 1;
        count.errors += u64::from(outcome != Outcome::Delivered);
        count.undetected += u64::from(outcome == Outcome::Undetected);
    }
    count
}

/// The SNR in dB at which the error rate falls to `target`, going up from `from_db` in steps of `step_db`.
///
/// `measure` gives the error count at an SNR, most simply by [`error_rate`]. Between the last two steps the
/// logarithm of the rate is taken as linear; no error at all counts as a third of one. `None` if the rate is
/// above the target everywhere up to 60 dB.
pub fn snr_for_error_rate(
    target: f64,
    from_db: f64,
    step_db: f64,
    mut measure: impl FnMut(f64) -> ErrorCount,
) -> Option<f64> {
    const END_DB: f64 = 60.0;
    let steps = ((END_DB - from_db) / step_db).max(0.0) as u32;
    let mut before: Option<f64> = None;
    for step in 0..=steps {
        let snr_db = from_db + f64::from(step) * step_db;
        let count = measure(snr_db);
        let rate = (count.errors as f64).max(1.0 / 3.0) / count.frames.max(1) as f64;
        if count.rate() <= target {
            let Some(above) = before else { return Some(snr_db) };
            let missing = (rate / target).ln() / (rate / above).ln();
            return Some(snr_db - missing * step_db);
        }
        before = Some(rate);
    }
    None
}

/// A single LDPC code block with its rate matching, sent as QPSK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeBlock {
    /// The base graph.
    pub base_graph: BaseGraph,
    /// Bits that the code protects, with the 24 of their CRC.
    pub information_bits: usize,
    /// Bits on the air.
    pub coded_bits: usize,
}

impl CodeBlock {
    /// Information bits for each coded bit.
    pub fn rate(&self) -> f64 {
        self.information_bits as f64 / self.coded_bits as f64
    }

    /// SNR in dB for an Eb/N0 in dB that counts all information bits.
    pub fn snr_db(&self, eb_n0_db: f64) -> f64 {
        eb_n0_db + 10.0 * (2.0 * self.rate()).log10()
    }

    /// The inverse of [`Self::snr_db`].
    pub fn eb_n0_db(&self, snr_db: f64) -> f64 {
        snr_db - 10.0 * (2.0 * self.rate()).log10()
    }
}

/// What an int8 normalised min-sum decoder needs with 20 layered iterations: Eb/N0 in dB for a frame error
/// rate of 1e-2 over white noise.
///
/// Measured with srsRAN Project 25.10 with NR rate matching, up to 20,000 frames or 200 errors a point.
pub const REFERENCE: [(CodeBlock, f64); 19] = {
    const fn two(information_bits: usize, coded_bits: usize, eb_n0_db: f64) -> (CodeBlock, f64) {
        (CodeBlock { base_graph: BaseGraph::Two, information_bits, coded_bits }, eb_n0_db)
    }
    const fn one(information_bits: usize, coded_bits: usize, eb_n0_db: f64) -> (CodeBlock, f64) {
        (CodeBlock { base_graph: BaseGraph::One, information_bits, coded_bits }, eb_n0_db)
    }
    [
        two(128, 384, 1.91),
        two(128, 256, 2.56),
        two(256, 768, 1.68),
        two(256, 512, 2.10),
        two(500, 1500, 1.27),
        two(500, 1000, 1.76),
        two(1000, 5000, 0.75),
        two(1000, 3000, 1.02),
        two(1000, 2000, 1.50),
        two(1000, 1500, 2.24),
        one(1000, 1500, 2.35),
        one(1000, 1200, 3.54),
        two(3840, 7680, 1.22),
        one(4000, 6000, 2.02),
        one(8448, 25344, 0.79),
        one(8448, 16896, 1.20),
        one(8448, 12672, 1.92),
        one(8448, 10138, 3.02),
        one(8448, 9504, 3.70),
    ]
};

/// White noise and what both ends need around the code.
#[derive(Clone, Debug, Default)]
struct Channel {
    sent: Vec<u8>,
    symbols: Vec<Complex32>,
    variances: Vec<f32>,
    llrs: Vec<f32>,
}

impl Channel {
    /// Makes LLRs of the bits in `sent`.
    fn pass(&mut self, modulation: Modulation, snr_db: f64, random: &mut Xoshiro256PlusPlus) {
        self.symbols.clear();
        modulation.map(&self.sent, &mut self.symbols);
        let variance = 10f64.powf(-snr_db / 10.0) as f32;
        let deviation = (variance / 2.0).sqrt();
        for symbol in &mut self.symbols {
            let noise = Complex32::new(StandardNormal.sample(random), StandardNormal.sample(random));
            *symbol += noise * deviation;
        }
        self.variances.clear();
        self.variances.resize(self.symbols.len(), variance);
        self.llrs.clear();
        modulation.demap_all(&self.symbols, &self.variances, &mut self.llrs);
    }
}

/// A code block with random content, over QPSK and white noise.
#[derive(Clone, Debug)]
pub struct CodeTrial {
    block: CodeBlock,
    code: LdpcCode,
    buffer: CircularBuffer,
    max_iterations: usize,
    encoder: LdpcEncoder,
    matcher: RateMatcher,
    recovery: RateRecovery,
    decoder: LdpcDecoder,
    channel: Channel,
    bits: Vec<u8>,
    soft: Vec<f32>,
    quantised: Vec<i8>,
}

impl CodeTrial {
    /// Prepares for a code block, with at most so many decoder iterations.
    ///
    /// # Errors
    /// [`CodingError`] if the code does not exist: too many or too few bits, or an odd number of coded bits.
    pub fn new(block: CodeBlock, max_iterations: usize) -> Result<Self, CodingError> {
        let CodeBlock { base_graph, information_bits, coded_bits } = block;
        let columns = occupied_columns(base_graph, information_bits);
        let error = CodingError::CodedBits { coded_bits, minimum: information_bits, modulation_order: 2 };
        if information_bits <= CRC24A.width() as usize
            || coded_bits < information_bits
            || !coded_bits.is_multiple_of(2)
        {
            return Err(error);
        }
        let code = LdpcCode::smallest_for(base_graph, information_bits, columns).ok_or(error)?;
        Ok(Self {
            block,
            code,
            buffer: CircularBuffer::new(&code, information_bits, 0)?,
            max_iterations,
            encoder: LdpcEncoder::new(),
            matcher: RateMatcher::default(),
            recovery: RateRecovery::default(),
            decoder: LdpcDecoder::new(),
            channel: Channel::default(),
            bits: Vec::new(),
            soft: Vec::new(),
            quantised: Vec::new(),
        })
    }

    fn attempt(&mut self, snr_db: f64, random: &mut Xoshiro256PlusPlus) -> Result<Outcome, CodingError> {
        let CodeBlock { information_bits, coded_bits, .. } = self.block;
        let payload_bits = information_bits - CRC24A.width() as usize;
        let order = Modulation::Qpsk.bits_per_symbol();
        self.bits.clear();
        while self.bits.len() < payload_bits {
            bits::unpack(&random.next_u64().to_le_bytes(), &mut self.bits);
        }
        self.bits.truncate(payload_bits);
        bits::push_value(CRC24A.of_bits(&self.bits), CRC24A.width(), &mut self.bits);
        self.bits.resize(self.code.systematic_bits(), 0);
        let coded = self.encoder.encode(&self.code, &self.bits)?;
        self.channel.sent.clear();
        self.matcher.select(&self.buffer, coded, coded_bits, order, &mut self.channel.sent)?;
        self.channel.pass(Modulation::Qpsk, snr_db, random);

        self.soft.clear();
        self.soft.resize(self.buffer.reach(coded_bits), 0.0);
        self.recovery.combine(&self.buffer, &self.channel.llrs, order, &mut self.soft)?;
        quantise(&self.soft, &mut self.quantised);
        self.quantised[self.buffer.fillers()].fill(FILLER_LLR);
        let outcome = self.decoder.decode(&self.code, &self.quantised, self.max_iterations, |decoded| {
            CRC24A.of_bits(&decoded[..information_bits]) == 0
        })?;
        let right = self.decoder.systematic_bits()[..information_bits] == self.bits[..information_bits];
        Ok(match (outcome.accepted, right) {
            (true, true) => Outcome::Delivered,
            (true, false) => Outcome::Undetected,
            (false, _) => Outcome::Lost,
        })
    }
}

impl Trial for CodeTrial {
    fn run(&mut self, snr_db: f64, random: &mut Xoshiro256PlusPlus) -> Outcome {
        self.attempt(snr_db, random).unwrap_or(Outcome::Lost)
    }
}

/// A transport block with random content on a rung of the MCS ladder, over white noise.
#[derive(Clone, Debug)]
pub struct McsTrial {
    mcs: Mcs,
    payload: Vec<u8>,
    encoder: TransportBlockEncoder,
    decoder: TransportBlockDecoder,
    channel: Channel,
}

impl McsTrial {
    /// Prepares for payloads of `payload_bytes` bytes.
    pub fn new(mcs: Mcs, payload_bytes: usize) -> Self {
        let mut decoder = TransportBlockDecoder::new();
        decoder.set_max_iterations(DEFAULT_MAX_ITERATIONS);
        Self {
            mcs,
            payload: vec![0; payload_bytes],
            encoder: TransportBlockEncoder::new(),
            decoder,
            channel: Channel::default(),
        }
    }
}

impl Trial for McsTrial {
    fn run(&mut self, snr_db: f64, random: &mut Xoshiro256PlusPlus) -> Outcome {
        let modulation = self.mcs.modulation();
        let order = modulation.bits_per_symbol();
        let bytes = self.payload.len();
        let coded_bits = self.mcs.symbols_for_bytes(bytes) * usize::from(order);
        random.fill_bytes(&mut self.payload);
        self.channel.sent.clear();
        if self.encoder.encode(&self.payload, coded_bits, order, 0, &mut self.channel.sent).is_err() {
            return Outcome::Lost;
        }
        self.channel.pass(modulation, snr_db, random);
        match self.decoder.decode(&self.channel.llrs, bytes, order, 0) {
            Ok(block) if block.payload == self.payload => Outcome::Delivered,
            Ok(_) => Outcome::Undetected,
            Err(_) => Outcome::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every tabled code delivers 1 dB above its reference, and many blocks fail 2 dB below.
    #[test]
    fn the_reference_codes_have_a_threshold_near_the_tabled_one() {
        for (block, eb_n0_db) in REFERENCE {
            let mut trial = CodeTrial::new(block, 20).unwrap();
            let above = error_rate(&mut trial, block.snr_db(eb_n0_db + 1.0), 1, 20, 20);
            let below = error_rate(&mut trial, block.snr_db(eb_n0_db - 2.0), 2, 20, 20);
            assert!(above.errors <= 1, "{block:?} {above:?}");
            assert!(below.errors >= 8, "{block:?} {below:?}");
            assert_eq!((above + below).undetected, 0);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_count_and_parts_add_up() {
        let mut trial = McsTrial::new(Mcs::LOWEST, 40);
        let snr_db = f64::from(Mcs::LOWEST.threshold_db()) - 0.5;
        let first = error_rate(&mut trial, snr_db, 7, 30, 30);
        assert_eq!(error_rate(&mut trial, snr_db, 7, 30, 30), first);
        let other = error_rate(&mut trial, snr_db, 8, 10, 10);
        let sum: ErrorCount = [first, other].into_iter().sum();
        assert_eq!(sum.frames, 40);
        assert_eq!(sum.errors, first.errors + other.errors);
    }

    #[test]
    fn the_search_interpolates_the_logarithm() {
        // One decade a dB: 1e-2 at 2 dB.
        let count = |snr_db: f64| ErrorCount {
            frames: 1_000_000,
            errors: (1e6 * 10f64.powf(-snr_db)) as u64,
            undetected: 0,
        };
        let found = snr_for_error_rate(1e-2, 0.3, 0.4, count).unwrap();
        assert!((found - 2.0).abs() < 0.01, "{found}");
        let hopeless = |_| ErrorCount { frames: 10, errors: 10, undetected: 0 };
        assert_eq!(snr_for_error_rate(1e-2, 0.0, 1.0, hopeless), None);
    }

    #[test]
    fn impossible_codes_are_errors() {
        let block = |information_bits, coded_bits| CodeBlock {
            base_graph: BaseGraph::Two,
            information_bits,
            coded_bits,
        };
        for block in [block(24, 100), block(100, 99), block(100, 301), block(5000, 10_000)] {
            assert!(CodeTrial::new(block, 20).is_err(), "{block:?}");
        }
    }
}
