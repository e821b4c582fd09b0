//! A measurement: what a strategy gains for the most important segments over a frequency-selective channel.
//!
//! For every seed a block-fading channel is drawn: complex Gaussian taps a sample apart whose power falls
//! exponentially, white noise at a mean SNR over all seeds. The transmitter knows the SNR of each resource
//! block in half dB and plans; the record crosses the air as bytes; elements go through the layout, the
//! channel and the layout back. The receiver knows the channel. Two frames are sent:
//!
//! - analog: Gaussian symbols; the figure is the mean squared error after zero-forcing (y/H, as the receiver
//!   equalises) and after the MMSE equaliser (H*y/(|H|² + N₀), what a decoder can make of it);
//! - coded: one LDPC block a segment at the same MCS; the figure is the share of lost blocks.
//!
//! The segments are the semantic feature vectors of a message, of equal size and different importance.

use num_complex::{Complex32, Complex64};
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use std::f64::consts::TAU;

use super::{
    Demand, Layout, PlanError, PlanOptions, PowerRule, Rate, Record, Request, Strategy, amplitude, plan,
    quantise_snr_db, symbols_needed,
};
use crate::{
    coding::transport_block::{TransportBlockDecoder, TransportBlockEncoder},
    framing::MAX_PAYLOAD_SYMBOLS,
    modulation::mcs::Mcs,
    numerology::{Numerology, SUBCARRIERS_PER_RB},
};

/// What is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialOptions {
    /// The grid.
    pub numerology: Numerology,
    /// Es/N0 of a resource element in dB, averaged over the band and all seeds.
    pub mean_snr_db: f64,
    /// Taps of the channel, a sample apart.
    pub taps: usize,
    /// Samples after which the power of the taps has fallen by e.
    pub decay_samples: f64,
    /// Importance of each segment.
    pub importances: Vec<u16>,
    /// Symbols of an analog segment.
    pub symbols: usize,
    /// Bytes of a coded segment.
    pub bytes: usize,
    /// MCS of all coded segments.
    pub mcs: Mcs,
    /// Power of analog segments.
    pub power: PowerRule,
}

impl Default for TrialOptions {
    /// Eight segments at 8 dB over taps that fall by e in 0.65 µs.
    fn default() -> Self {
        Self {
            numerology: Numerology::default(),
            mean_snr_db: 8.0,
            taps: 36,
            decay_samples: 5.0,
            importances: vec![200, 900, 50, 400, 150, 700, 100, 300],
            symbols: 1500,
            bytes: 200,
            mcs: Mcs::select(6.5, 0.0),
            power: PowerRule::Off,
        }
    }
}

/// Sums over segments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Errors {
    /// Analog symbols.
    pub symbols: usize,
    /// Squared error of all symbols after the zero-forcing equaliser.
    pub zero_forcing: f64,
    /// Squared error of all symbols after the MMSE equaliser.
    pub mmse: f64,
    /// Coded blocks.
    pub blocks: usize,
    /// Coded blocks that could not be corrected.
    pub lost_blocks: usize,
}

impl Errors {
    /// Mean squared error of a symbol after zero-forcing.
    pub fn mean_zero_forcing(&self) -> f64 {
        self.zero_forcing / self.symbols.max(1) as f64
    }

    /// Mean squared error of a symbol after the MMSE equaliser.
    pub fn mean_mmse(&self) -> f64 {
        self.mmse / self.symbols.max(1) as f64
    }

    /// Share of lost blocks.
    pub fn block_error_rate(&self) -> f64 {
        self.lost_blocks as f64 / self.blocks.max(1) as f64
    }
}

/// What a strategy did to the segments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The most important quarter.
    pub most_important: Errors,
    /// All segments.
    pub all: Errors,
}

/// The subcarriers that pilots leave in a block of a symbol: one in 24 subcarriers is a pilot.
fn free(symbol: usize, block: usize) -> u16 {
    if (symbol + block).is_multiple_of(2) { !(1 << (symbol * 5 % SUBCARRIERS_PER_RB)) } else { u16::MAX }
}

/// Runs trials; it keeps its buffers between them.
pub struct Trial {
    options: TrialOptions,
    layout: Layout,
    encoder: TransportBlockEncoder,
    decoder: TransportBlockDecoder,
}

impl Trial {
    /// Prepares a measurement.
    pub fn new(options: TrialOptions) -> Self {
        Self {
            options,
            layout: Layout::new(),
            encoder: TransportBlockEncoder::new(),
            decoder: TransportBlockDecoder::new(),
        }
    }

    /// Adds what a strategy does over the channel of a seed to `outcome`.
    ///
    /// A strategy that does not lay out, [`Strategy::None`], adds nothing.
    ///
    /// # Errors
    /// [`PlanError`] if the options cannot be planned.
    pub fn run(&mut self, strategy: Strategy, seed: u64, outcome: &mut Outcome) -> Result<(), PlanError> {
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
        let channel = self.draw_channel(&mut generator);
        let noise_variance = 10f64.powf(-self.options.mean_snr_db / 10.0) as f32;
        let snr: Vec<i8> = channel
            .chunks(SUBCARRIERS_PER_RB)
            .map(|block| {
                let gain = block.iter().map(|h| h.norm_sqr()).sum::<f32>() / block.len() as f32;
                quantise_snr_db(10.0 * (gain / noise_variance).log10())
            })
            .collect();
        let important = self.most_important();
        let analog = Demand::Analog { symbols: self.options.symbols };
        let coded = Demand::Coded { bytes: self.options.bytes, rate: Rate::Fixed(self.options.mcs) };
        for demand in [analog, coded] {
            let requests: Vec<Request> =
                self.options.importances.iter().map(|&importance| Request { importance, demand }).collect();
            let plan = plan(&requests, &snr, &PlanOptions { strategy, power: self.options.power })?;
            let record = Record::parse(&plan.record.write(), snr.len(), requests.len());
            let Ok((record, _)) = record else { continue };
            let payloads: Vec<Vec<u8>> = requests
                .iter()
                .map(|_| (0..self.options.bytes).map(|_| generator.next_u64() as u8).collect())
                .collect();
            let sent: Vec<Vec<Complex32>> = payloads
                .iter()
                .zip(&plan.elements)
                .map(|(payload, &elements)| match demand {
                    Demand::Analog { .. } => (0..elements).map(|_| gaussian(&mut generator)).collect(),
                    Demand::Coded { .. } => self.code(payload, elements),
                })
                .collect();
            let Some(received) =
                self.transmit(&record, &sent, &plan.elements, &channel, noise_variance, &mut generator)
            else {
                continue;
            };
            for (segment, (received, sent)) in received.iter().zip(&sent).enumerate() {
                let mut errors = Errors::default();
                match demand {
                    Demand::Analog { .. } => count_errors(received, sent, noise_variance, &mut errors),
                    Demand::Coded { .. } => {
                        errors.blocks = 1;
                        errors.lost_blocks =
                            usize::from(!self.decodes(received, &payloads[segment], noise_variance));
                    }
                }
                outcome.all.add(&errors);
                if important[segment] {
                    outcome.most_important.add(&errors);
                }
            }
        }
        Ok(())
    }

    /// Whether each segment belongs to the most important quarter.
    fn most_important(&self) -> Vec<bool> {
        let mut order: Vec<usize> = (0..self.options.importances.len()).collect();
        order.sort_by_key(|&segment| std::cmp::Reverse(self.options.importances[segment]));
        let mut important = vec![false; order.len()];
        for &segment in &order[..order.len().div_ceil(4)] {
            important[segment] = true;
        }
        important
    }

    /// The channel's response on every occupied subcarrier.
    fn draw_channel(&self, generator: &mut Xoshiro256PlusPlus) -> Vec<Complex32> {
        let powers: Vec<f64> = (0..self.options.taps.max(1))
            .map(|tap| (-(tap as f64) / self.options.decay_samples).exp())
            .collect();
        let total: f64 = powers.iter().sum();
        let taps: Vec<Complex64> = powers
            .iter()
            .map(|power| {
                let gain = gaussian(generator);
                Complex64::new(gain.re.into(), gain.im.into()) * (power / total).sqrt()
            })
            .collect();
        let numerology = &self.options.numerology;
        (0..numerology.subcarriers())
            .map(|k| {
                let turn = f64::from(numerology.frequency_index(k)) / numerology.fft_size as f64;
                let response: Complex64 = taps
                    .iter()
                    .enumerate()
                    .map(|(n, tap)| tap * Complex64::cis(-TAU * turn * n as f64))
                    .sum();
                Complex32::new(response.re as f32, response.im as f32)
            })
            .collect()
    }

    /// Segments → region → channel → segments, each element with the response that it met.
    fn transmit(
        &mut self,
        record: &Record,
        sent: &[Vec<Complex32>],
        elements: &[usize],
        channel: &[Complex32],
        noise_variance: f32,
        generator: &mut Xoshiro256PlusPlus,
    ) -> Option<Vec<Vec<(Complex32, Complex32)>>> {
        let blocks = record.resource_blocks();
        let symbols = symbols_needed(elements.iter().sum(), blocks, MAX_PAYLOAD_SYMBOLS, free)?;
        self.layout.arrange(record, elements, symbols, free).ok()?;
        let mut region = vec![(Complex32::default(), Complex32::default()); symbols * channel.len()];
        for (segment, (symbols, &offset)) in sent.iter().zip(record.power_offsets()).enumerate() {
            for (&place, &symbol) in self.layout.places(segment).iter().zip(symbols) {
                region[place as usize].0 = symbol * amplitude(offset);
            }
        }
        for (place, element) in region.iter_mut().enumerate() {
            let response = channel[place % channel.len()];
            let noise = gaussian(generator) * noise_variance.sqrt();
            *element = (element.0 * response + noise, response);
        }
        let gather = |(segment, &offset): (usize, &i8)| {
            let mut received = Vec::new();
            self.layout.gather(segment, &region, &mut received);
            // The offset is taken as part of the channel.
            received.iter_mut().for_each(|element| element.1 *= amplitude(offset));
            received
        };
        Some(record.power_offsets().iter().enumerate().map(gather).collect())
    }

    fn code(&mut self, payload: &[u8], elements: usize) -> Vec<Complex32> {
        let modulation = self.options.mcs.modulation();
        let order = modulation.bits_per_symbol();
        let (mut bits, mut symbols) = (Vec::new(), Vec::new());
        // Sizes come from the ladder, which only names those that exist.
        if self.encoder.encode(payload, elements * usize::from(order), order, 0, &mut bits).is_ok() {
            modulation.map(&bits, &mut symbols);
        }
        symbols
    }

    fn decodes(&mut self, received: &[(Complex32, Complex32)], payload: &[u8], noise_variance: f32) -> bool {
        let modulation = self.options.mcs.modulation();
        let symbols: Vec<Complex32> = received.iter().map(|(y, h)| y / h).collect();
        let variances: Vec<f32> = received.iter().map(|(_, h)| noise_variance / h.norm_sqr()).collect();
        let mut llrs = Vec::new();
        modulation.demap_all(&symbols, &variances, &mut llrs);
        let decoded = self.decoder.decode(&llrs, payload.len(), modulation.bits_per_symbol(), 0);
        decoded.is_ok_and(|block| block.payload == payload)
    }
}

impl Errors {
    fn add(&mut self, other: &Self) {
        self.symbols += other.symbols;
        self.zero_forcing += other.zero_forcing;
        self.mmse += other.mmse;
        self.blocks += other.blocks;
        self.lost_blocks += other.lost_blocks;
    }
}

fn count_errors(
    received: &[(Complex32, Complex32)],
    sent: &[Complex32],
    noise_variance: f32,
    errors: &mut Errors,
) {
    for (&(y, h), x) in received.iter().zip(sent) {
        let matched = y * h.conj();
        errors.zero_forcing += f64::from((matched / h.norm_sqr() - x).norm_sqr());
        errors.mmse += f64::from((matched / (h.norm_sqr() + noise_variance) - x).norm_sqr());
    }
    errors.symbols += sent.len();
}

/// A complex Gaussian number of unit mean power.
fn gaussian(generator: &mut Xoshiro256PlusPlus) -> Complex32 {
    let re: f32 = StandardNormal.sample(generator);
    let im: f32 = StandardNormal.sample(generator);
    Complex32::new(re, im) * std::f32::consts::FRAC_1_SQRT_2
}

/// [`Outcome`]s of strategies over seeds 0 to `seeds` − 1, in the order of `strategies`.
///
/// # Errors
/// [`PlanError`] if the options cannot be planned.
pub fn compare(
    options: &TrialOptions,
    strategies: &[Strategy],
    seeds: u64,
) -> Result<Vec<Outcome>, PlanError> {
    let mut trial = Trial::new(options.clone());
    let mut outcomes = vec![Outcome::default(); strategies.len()];
    for seed in 0..seeds {
        for (strategy, outcome) in strategies.iter().zip(&mut outcomes) {
            // Every seed has a random order of its own.
            let strategy = match *strategy {
                Strategy::Random { seed: first } => {
                    Strategy::Random { seed: first.wrapping_add(seed as u16) }
                }
                other => other,
            };
            trial.run(strategy, seed, outcome)?;
        }
    }
    Ok(outcomes)
}
