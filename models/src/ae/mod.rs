//! The systems `ae`, `ae-ms-ssim`, `vae` and `vscc`: joint source-channel coding by a convolutional autoencoder. Values that the encoder makes of a
//! picture go on the air as they are; noise on the air becomes, gently, noise in the picture, and there is no cliff.
//!
//! In → out: picture → complex symbols of unit mean power → received symbols with their noise variances → picture.
//!
//! One network serves every rate (a prefix of the channels of each block is sent) and every SNR (the encoder is told which
//! SNR to expect, the decoder the noise variance of each symbol; a lost symbol is one of infinite variance).
//!
//! - [`transform`]: what the systems need of a network, and [`Convolutional`], their own; `ae` can do with another,
//!   [`crate::taef2`].
//! - [`basis`], [`layers`], [`network`]: the network. [`weights`]: its numbers.
//! - [`adaptation`]: what the encoder does with the SNR.
//! - [`posterior`]: what `vae` and `vscc` have over `ae`.
//! - [`planes`]: picture ↔ planes of values. [`tiles`]: large pictures in pieces.
//! - [`thumbnail`]: what the network need not send. [`rates`]: symbols for each part. [`side`]: side information; [`base`]: that of it which
//!   grows with the picture.

pub mod adaptation;
pub mod base;
pub mod basis;
pub mod layers;
pub mod network;
pub mod planes;
pub mod posterior;
pub mod rates;
pub mod side;
pub mod thumbnail;
pub mod tiles;
pub mod transform;
pub mod weights;

use bytes::Bytes;
use num_complex::Complex32;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};
use semcast_common::content::{Content, Picture};
use semcast_common::intent::Intent;
use semcast_common::message::{
    BASE_LEVEL, Feature, ModelDigest, Payload, ReceivedFeature, ReceivedMessage, SemanticMessage, SystemId,
    VarianceChoice,
};
use semcast_common::segmentation::header::MAX_ANALOG_SYMBOLS;
use sha2::{Digest, Sha256};

use crate::repetition::{gather, mean_trust, repeat};
use crate::{Budget, Decoded, LEAST_VARIANCE, ModelError, OpenDevice, System, check_origin};
use adaptation::{ASSUMED_DB, TOLD_DB};
use basis::BLOCK;
use network::{Network, UNKNOWN};
use planes::Planes;
use posterior::LOG_RATIOS;
use rates::{Grid, Rates, STEPS, allocate_alike, send_all, step_of};
use side::Side;
use transform::{Code, Convolutional, Encoded, Transform};

/// Which measure of quality a network is trained to raise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tune {
    /// PSNR: every error counts alike.
    #[default]
    Psnr,
    /// MS-SSIM: errors count by what they hide.
    MsSsim,
}

/// Of `ae-ms-ssim`, power of the energy of a cell's block by which its errors count less; found by trying: with weights for PSNR,
/// 0.4 gains 0.26 dB of MS-SSIM at 13 dB, 0.7 gains 0.23 dB, 1.0 nothing.
const MASKING: f64 = 0.5;
/// Energy of a block below which there is nothing to hide behind.
const LEAST_DENSITY: f64 = 0.01;
/// How much more important than the values the base is.
const BASE_IMPORTANCE: f32 = 2.0;
/// Rounds of fitting rates to a budget that the base takes a part of.
const FITTING_ROUNDS: usize = 6;

/// One of the systems `ae`, `vae` and `vscc`, over their own transform if none is named.
pub struct Autoencoder<T = Convolutional> {
    id: SystemId,
    transform: T,
    digest: ModelDigest,
    variance_choice: VarianceChoice,
}

impl Autoencoder {
    /// `ae` with the weights that come with the program.
    pub fn new(device: &OpenDevice) -> Result<Self, ModelError> {
        Self::with_weights(weights::DEFAULT.to_vec(), device)
    }

    /// `ae` with the bytes of another weight file.
    pub fn with_weights(bytes: Vec<u8>, device: &OpenDevice) -> Result<Self, ModelError> {
        let digest = weights::digest_of(&bytes);
        let network = weights::adaptive_from_bytes(bytes, &device.device);
        Self::of(SystemId::Ae, digest, network, VarianceChoice::Fixed, device)
    }

    /// `ae-ms-ssim`, whose weights `bytes` are.
    pub fn for_ms_ssim(bytes: Vec<u8>, device: &OpenDevice) -> Result<Self, ModelError> {
        let digest = weights::digest_of(&bytes);
        let network = weights::adaptive_from_bytes(bytes, &device.device);
        Self::of(SystemId::AeMsSsim, digest, network, VarianceChoice::Fixed, device)
    }

    /// `vae` or `vscc`, whose weights `bytes` are.
    pub fn variational(
        id: SystemId,
        bytes: Vec<u8>,
        variance: VarianceChoice,
        device: &OpenDevice,
    ) -> Result<Self, ModelError> {
        let digest = weights::digest_of(&bytes);
        let network = weights::variational_from_bytes(bytes, &device.device);
        Self::of(id, digest, network, variance, device)
    }

    fn of(
        id: SystemId,
        digest: ModelDigest,
        network: Result<Network, String>,
        variance_choice: VarianceChoice,
        device: &OpenDevice,
    ) -> Result<Self, ModelError> {
        let network = network
            .map_err(|error| ModelError::Internal(format!("the weights of {id} do not load: {error}")))?;
        Ok(Self { id, transform: Convolutional::new(network, device)?, digest, variance_choice })
    }
}

impl<T: Transform> Autoencoder<T> {
    /// `ae` over another transform, which a digest names.
    pub fn over(transform: T, digest: ModelDigest) -> Self {
        Self { id: SystemId::Ae, transform, digest, variance_choice: VarianceChoice::Fixed }
    }

    #[cfg(test)]
    pub(crate) fn transform_mut(&mut self) -> &mut T {
        &mut self.transform
    }

    /// Picture → its side information and the symbols that, with the base, keep within the budget, the most important first; if all are
    /// sent and symbols are left, they repeat what was sent. With transmitted variance, which knows no repetition, half of them are the
    /// values and the other half, in the same order, the logarithms of their variances.
    pub fn modulate(&self, picture: &Picture, budget: Budget) -> Result<(Side, Vec<Complex32>), ModelError> {
        let told_db = told_db(budget.snr_db);
        let (mut planes, mean) = Planes::of(picture, BLOCK);
        let (across, down) = side::blocks(picture.width(), picture.height());
        let blocks = across * down;
        let thumbnail = self.transform.goes_without_thumbnail().then(|| planes.take_thumbnail());
        let known = self.transform.known_log_ratio();
        let known =
            known.filter(|_| self.variance_choice == VarianceChoice::Transmitted && !planes.is_flat());
        let shares = if known.is_some() { 2 } else { 1 };
        let Encoded { values: code, log_ratios } =
            self.transform.encode(&planes, mean, told_db, known.is_some())?;
        let ladder = self.transform.rates();
        let (width, height) = (picture.width(), picture.height());
        let grid = Grid::fine(across, down, told_db);
        let mut side = Side {
            width,
            height,
            mean,
            told_db,
            power: None,
            variance_power: None,
            grid,
            rates: Vec::new(),
            thumbnail,
        };
        let energy = self.energy(&code, &grid);
        let symbols_a_bit =
            (budget.symbols_for(1000, BASE_LEVEL) - budget.symbols_for(0, BASE_LEVEL)) as f64 / 8000.0;
        let lowest = vec![0; grid.cells()];
        side.rates = lowest.clone();
        let least = budget.symbols_for(side.base_bytes().len(), BASE_LEVEL) + shares * ladder[0] * blocks;
        if budget.symbols < least {
            let given = budget.symbols;
            return Err(ModelError::Budget { given, needed: least, unit: "complex symbols" });
        }
        // The length of the base follows from the rates, the rates from what the base leaves.
        let mut of_base = 0;
        for round in 0.. {
            let left = budget.symbols.saturating_sub(of_base) / shares;
            side.rates = allocate_alike(ladder, &energy, &grid, left, symbols_a_bit / shares as f64)
                .filter(|_| round < FITTING_ROUNDS)
                .unwrap_or_else(|| lowest.clone());
            let used = shares * side.symbols(ladder).iter().sum::<usize>();
            let takes = budget.symbols_for(side.base_bytes().len(), BASE_LEVEL);
            if used + takes <= budget.symbols || round == FITTING_ROUNDS {
                break;
            }
            of_base = takes.max(of_base) + usize::from(round > 0) * takes / 8;
        }
        let amplitudes = self.transform.amplitudes(told_db)?;
        let rates = side.rates_of_blocks();
        let places = places(&side, ladder);
        let mut symbols: Vec<Complex32> = places
            .iter()
            .map(|&place| {
                let (pair, block) = (place as usize / blocks, place as usize % blocks);
                let (at, amplitude) = (2 * pair * blocks + block, &amplitudes[rates[block]]);
                Complex32::new(code[at] * amplitude[2 * pair], code[at + blocks] * amplitude[2 * pair + 1])
            })
            .collect();
        if planes.is_flat() {
            // Nothing to tell but the colour, which is side information: four directions in turn keep the power.
            for (index, symbol) in symbols.iter_mut().enumerate() {
                *symbol =
                    Complex32::from_polar(1.0, (0.25 + 0.5 * (index % 4) as f32) * std::f32::consts::PI);
            }
        } else {
            if known.is_none() && send_all(&side.rates) {
                let takes = budget.symbols_for(side.base_bytes().len(), BASE_LEVEL);
                repeat(&mut symbols, budget.symbols.saturating_sub(takes).min(MAX_ANALOG_SYMBOLS as usize));
            }
            side.power = Some(scale_to_unit_power(&mut symbols));
        }
        if let Some(known) = known {
            let excess = |place: &u32| {
                let (pair, block) = (*place as usize / blocks, *place as usize % blocks);
                let of = |channel: usize| log_ratios[channel * blocks + block] - known[channel];
                Complex32::new(of(2 * pair), of(2 * pair + 1))
            };
            let mut variances: Vec<Complex32> = places.iter().map(excess).collect();
            side.variance_power = Some(scale_to_unit_power(&mut variances));
            symbols.extend(variances);
        }
        Ok((side, symbols))
    }

    /// Received symbols and the (complex) noise variance of each → picture.
    pub fn demodulate(
        &self,
        side: &Side,
        symbols: &[Complex32],
        noise_variance: &[f32],
    ) -> Result<Picture, ModelError> {
        let ladder = self.transform.rates();
        let places = places(side, ladder);
        if side.variance_power.is_some() && self.transform.known_log_ratio().is_none() {
            return Err(ModelError::Side(format!("variances are sent, of which {} knows nothing", self.id)));
        }
        let expected = self.own_symbols(side);
        if symbols.len() < expected || noise_variance.len() != symbols.len() {
            return Err(ModelError::Damaged(format!(
                "{} symbols and {} noise variances came for a picture of {expected} symbols",
                symbols.len(),
                noise_variance.len(),
            )));
        }
        let (symbols, noise_variance) = gather(symbols, noise_variance, expected);
        let (symbols, variance_symbols) = symbols.split_at(places.len());
        let (noise_variance, variance_noise) = noise_variance.split_at(places.len());
        let Grid { across, down, .. } = side.grid;
        let mut planes = Planes::zeros(across * BLOCK, down * BLOCK);
        if let Some(power) = side.power {
            let blocks = across * down;
            let (amplitudes, rates) = (self.transform.amplitudes(side.told_db)?, side.rates_of_blocks());
            let mut code = Code::unknown(2 * ladder[ladder.len() - 1], across, down);
            let mut resampling = self.transform.known_log_ratio().map(|known| {
                let scale = (2.0 * side.variance_power.unwrap_or(0.0)).sqrt();
                Resampling {
                    known,
                    scale,
                    rng: StdRng::from_seed(
                        Sha256::digest([side.to_bytes(), side.base_bytes()].concat()).into(),
                    ),
                }
            });
            let arrived = places.iter().zip(symbols).zip(noise_variance);
            for (index, ((&place, symbol), variance)) in arrived.enumerate() {
                let (pair, block) = (place as usize / blocks, place as usize % blocks);
                let amplitude = &amplitudes[rates[block]][2 * pair..2 * pair + 2];
                let scaled = *symbol * (2.0 * power).sqrt();
                let mut value = Complex32::new(scaled.re / amplitude[0], scaled.im / amplitude[1]);
                let mut own = [0.0; 2];
                if let Some(resampling) = &mut resampling {
                    let sent = variance_symbols.get(index).zip(variance_noise.get(index));
                    let drawn;
                    (drawn, own) = resampling.draw(2 * pair, sent, self.transform.variance());
                    value += drawn;
                }
                // Of a complex symbol's noise, each value has half; of its power, which is twice that of a value, all.
                let variance = variance.max(LEAST_VARIANCE) * power;
                for (part, value) in [value.re, value.im].into_iter().enumerate() {
                    let variance = variance / amplitude[part].powi(2);
                    // Whatever is not a number is not known; `UNKNOWN` is a billion times the power of any value.
                    if value.is_finite() && variance < UNKNOWN {
                        let at = (2 * pair + part) * blocks + block;
                        code.values[at] = value;
                        code.variance[at] = variance + own[part];
                    }
                }
            }
            self.transform.decode(&code, side.mean, &mut planes)?;
        }
        if let Some(thumbnail) = &side.thumbnail {
            planes.give_thumbnail(thumbnail);
        }
        planes.to_picture(side.width, side.height, side.mean)
    }

    /// Symbols of a picture, each counted once.
    fn own_symbols(&self, side: &Side) -> usize {
        let shares = if side.variance_power.is_some() { 2 } else { 1 };
        shares * side.symbols(self.transform.rates()).iter().sum::<usize>()
    }

    /// How much energy of the picture each cell has in the channels that each rate adds.
    fn energy(&self, code: &[f32], grid: &Grid) -> Vec<[f64; STEPS]> {
        let blocks = grid.across * grid.down;
        let mut energy = vec![[0.0; STEPS]; grid.cells()];
        for (channel, values) in code.chunks_exact(blocks).enumerate() {
            // A coefficient of variance λ is sent as a value of variance λ^(1/2): see `basis`.
            let worth = f64::from(self.transform.variance()[channel]);
            let step = step_of(self.transform.rates(), channel);
            for (block, value) in values.iter().enumerate() {
                energy[grid.cell(block)][step] += worth * f64::from(value * value);
            }
        }
        if self.id == SystemId::AeMsSsim {
            // What an error hides depends on how much there is beside it.
            for (cell, size) in energy.iter_mut().zip(grid.sizes()) {
                let density = cell.iter().sum::<f64>() / size as f64;
                let weight = (density + LEAST_DENSITY).powf(-MASKING);
                cell.iter_mut().for_each(|energy| *energy *= weight);
            }
        }
        energy
    }
}

/// Draws values from the distribution that the encoder meant.
struct Resampling<'a> {
    known: &'a [f32],
    /// Amplitude of the logarithms that were sent.
    scale: f32,
    rng: StdRng,
}

impl Resampling<'_> {
    /// What is added to the values of `channel` and the next one, and with which variances. `sent`: the symbol that tells
    /// the logarithms of their variances, and its noise variance.
    fn draw(
        &mut self,
        channel: usize,
        sent: Option<(&Complex32, &f32)>,
        variance: &[f32],
    ) -> (Complex32, [f32; 2]) {
        // The best linear estimate of a symbol of power one: nothing, if nothing is known of it.
        let excess = sent
            .filter(|(_, noise)| **noise >= 0.0)
            .map(|(symbol, noise)| *symbol * (self.scale / (1.0 + noise)))
            .filter(|excess| excess.is_finite())
            .unwrap_or(Complex32::ZERO);
        let (least, most) = LOG_RATIOS.into_inner();
        let own = [(channel, excess.re), (channel + 1, excess.im)].map(|(channel, excess)| {
            variance[channel] * (self.known[channel] + excess).clamp(least, most).exp()
        });
        let [re, im] = own.map(|variance| {
            let normal: f32 = StandardNormal.sample(&mut self.rng);
            variance.sqrt() * normal
        });
        (Complex32::new(re, im), own)
    }
}

/// What an encoder is told of an SNR: whole decibels within its range.
fn told_db(snr_db: Option<f32>) -> i8 {
    let (least, most) = TOLD_DB.into_inner();
    let finite = snr_db.filter(|snr_db| !snr_db.is_nan());
    finite.map_or(ASSUMED_DB, |snr_db| snr_db.round().clamp(f32::from(least), f32::from(most)) as i8)
}

/// Scales symbols to unit mean power; returns the mean square of the values that they were, two a symbol.
fn scale_to_unit_power(symbols: &mut [Complex32]) -> f32 {
    let energy: f64 = symbols.iter().map(|symbol| f64::from(symbol.norm_sqr())).sum();
    let power = ((energy / (2 * symbols.len()) as f64) as f32).max(f32::MIN_POSITIVE);
    let scale = 1.0 / (2.0 * power).sqrt();
    symbols.iter_mut().for_each(|symbol| *symbol *= scale);
    power
}

/// The pairs of values that are sent, each as pair · blocks + block: all first pairs, then all second ones, and so on.
fn places(side: &Side, rates: &Rates) -> Vec<u32> {
    let symbols = side.symbols(rates);
    let blocks = symbols.len();
    let sent = |pair: usize| {
        let of_pair = symbols.iter().enumerate().filter(move |(_, symbols)| **symbols > pair);
        of_pair.map(move |(block, _)| (pair * blocks + block) as u32)
    };
    (0..rates[rates.len() - 1]).flat_map(sent).collect()
}

impl<T: Transform> System for Autoencoder<T> {
    fn id(&self) -> SystemId {
        self.id
    }

    fn model(&self) -> ModelDigest {
        self.digest
    }

    fn adapts_to_channel(&self) -> bool {
        false
    }

    fn warm_up(&mut self) -> Result<(), ModelError> {
        let picture = Picture::new(64, 64, (0..3 * 64 * 64).map(|value| value as u8).collect())
            .map_err(|error| ModelError::Internal(error.to_string()))?;
        let (side, symbols) = self.modulate(&picture, Budget::new(60 * 16, 0))?;
        self.demodulate(&side, &symbols, &vec![0.1; symbols.len()]).map(|_| ())
    }

    fn encode(
        &mut self,
        content: &Content,
        budget: Budget,
        _intent: &Intent,
    ) -> Result<SemanticMessage, ModelError> {
        let Content::Picture(picture) = content else {
            return Err(ModelError::Unsupported { system: self.id(), instead: SystemId::Classical });
        };
        let (side, symbols) = self.modulate(picture, budget)?;
        let base = Payload::Digital(side.base_bytes().into());
        Ok(SemanticMessage {
            system: self.id(),
            model: self.model(),
            side: Bytes::from(side.to_bytes()),
            features: vec![
                Feature { importance: BASE_IMPORTANCE, payload: base },
                Feature { importance: 1.0, payload: Payload::Analog(symbols) },
            ],
        })
    }

    fn decode(&mut self, received: &ReceivedMessage) -> Result<Decoded, ModelError> {
        check_origin(received, self)?;
        let [
            ReceivedFeature::Digital { bytes, missing },
            ReceivedFeature::Analog { symbols, noise_variance },
        ] = received.features.as_slice()
        else {
            let text = format!("a message of the system {} has a base and one analog feature", self.id);
            return Err(ModelError::Damaged(text));
        };
        if !missing.is_empty() {
            // Its size and its colour are all that is known.
            let side = Side::parse(&received.side, None)?;
            let picture = Planes::zeros(side.grid.across * BLOCK, side.grid.down * BLOCK);
            let picture = picture.to_picture(side.width, side.height, side.mean)?;
            return Ok(Decoded { content: Content::Picture(picture), confidence: 0.0 });
        }
        let side = Side::parse(&received.side, Some(bytes))?;
        let picture = self.demodulate(&side, symbols, noise_variance)?;
        let (_, noise_variance) = gather(symbols, noise_variance, self.own_symbols(&side));
        Ok(Decoded { content: Content::Picture(picture), confidence: mean_trust(&noise_variance) })
    }
}

#[cfg(test)]
mod tests;
