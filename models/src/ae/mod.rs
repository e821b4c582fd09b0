//! The systems `ae`, `vae` and `vscc`: joint source-channel coding by a convolutional autoencoder. Values that the encoder makes of a
//! picture go on the air as they are; noise on the air becomes, gently, noise in the picture, and there is no cliff.
//!
//! In → out: picture → complex symbols of unit mean power → received symbols with their noise variances → picture.
//!
//! One network serves every rate (a prefix of the channels of each block is sent) and every SNR (the decoder is told
//! the noise variance of each symbol; a lost symbol is one of infinite variance).
//!
//! - [`basis`], [`layers`], [`network`]: the network. [`weights`]: its numbers.
//! - [`posterior`]: what `vae` and `vscc` have over `ae`.
//! - [`planes`]: picture ↔ planes of values. [`tiles`]: large pictures in pieces.
//! - [`rates`]: symbols for each part. [`side`]: side information.

pub mod basis;
pub mod layers;
pub mod network;
pub mod planes;
pub mod posterior;
pub mod rates;
pub mod side;
pub mod tiles;
pub mod weights;

use burn::tensor::{Device, Tensor, TensorData};
use bytes::Bytes;
use num_complex::Complex32;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};
use semcast_common::content::{Content, Picture};
use semcast_common::message::{
    Feature, ModelDigest, Payload, ReceivedFeature, ReceivedMessage, SemanticMessage, SystemId,
    VarianceChoice,
};
use sha2::{Digest, Sha256};

use crate::{Budget, Decoded, ModelError, OpenDevice, System, check_origin};
use basis::BLOCK;
use network::{CHANNELS, DECODER_REACH, ENCODER_REACH, Network, UNKNOWN};
use planes::Planes;
use posterior::LOG_RATIOS;
use rates::{Grid, RATES, allocate, gain};
use side::Side;
use tiles::{Span, spans};

/// Blocks of 16 pixels that one pass keeps along each axis; more are computed around them.
const CORE_BLOCKS: usize = 64;
/// Noise variance at least, against division by nothing; 80 dB.
const LEAST_VARIANCE: f32 = 1.0e-8;

/// One of the systems `ae`, `vae` and `vscc`.
pub struct Autoencoder {
    id: SystemId,
    network: Network,
    device: Device,
    digest: ModelDigest,
    /// Variance of each channel as it is sent, over natural pictures.
    variance: Vec<f32>,
    /// Of `vae` and `vscc`: the logarithm of the mean of each channel's σ₁²/λ.
    known_log_ratio: Option<Vec<f32>>,
    variance_choice: VarianceChoice,
    core_blocks: usize,
}

/// What the encoder makes of a picture, channel by channel, each channel block by block.
struct Encoded {
    values: Vec<f32>,
    /// ln σ₁²/λ, if asked for.
    log_ratios: Vec<f32>,
}

impl Autoencoder {
    /// `ae` with the weights that come with the program.
    pub fn new(device: &OpenDevice) -> Result<Self, ModelError> {
        Self::with_weights(weights::DEFAULT.to_vec(), device)
    }

    /// `ae` with the bytes of another weight file.
    pub fn with_weights(bytes: Vec<u8>, device: &OpenDevice) -> Result<Self, ModelError> {
        let digest = weights::digest_of(&bytes);
        let network = weights::from_bytes(bytes, &device.device);
        Self::of(SystemId::Ae, digest, network, VarianceChoice::Fixed, device)
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
        let unread =
            |error| ModelError::Internal(format!("the weights cannot be read from the device: {error}"));
        let variance = network.decoder.variance().map_err(unread)?;
        let known =
            |tensor: Tensor<1>| tensor.try_into_vec_as::<f32>().map_err(|error| unread(error.to_string()));
        let known_log_ratio =
            network.posterior.as_ref().map(|posterior| known(posterior.known())).transpose()?;
        let device = device.device.clone();
        Ok(Self {
            id,
            network,
            device,
            digest,
            variance,
            known_log_ratio,
            variance_choice,
            core_blocks: CORE_BLOCKS,
        })
    }

    /// Picture → its side information and at most `budget` symbols, the most important first. With transmitted
    /// variance, half of them are the values and the other half, in the same order, the logarithms of their variances.
    pub fn modulate(&self, picture: &Picture, budget: usize) -> Result<(Side, Vec<Complex32>), ModelError> {
        let (planes, mean) = Planes::of(picture, BLOCK);
        let grid = side::grid(picture.width(), picture.height());
        let blocks = grid.across * grid.down;
        let known = self.known_log_ratio.as_ref();
        let known =
            known.filter(|_| self.variance_choice == VarianceChoice::Transmitted && !planes.is_flat());
        let shares = if known.is_some() { 2 } else { 1 };
        let Encoded { values: code, log_ratios } = self.encode_values(&planes, known.is_some())?;
        let rates = allocate(&self.energy(&code, &grid), &grid.sizes(), budget / shares).ok_or(
            ModelError::Budget { given: budget, needed: shares * RATES[0] * blocks, unit: "complex symbols" },
        )?;
        let (width, height) = (picture.width(), picture.height());
        let mut side = Side { width, height, mean, power: None, variance_power: None, rates };
        let gains: Vec<f32> = side.symbols().into_iter().map(gain).collect();
        let places = places(&side);
        let mut symbols: Vec<Complex32> = places
            .iter()
            .map(|&place| {
                let (pair, block) = (place as usize / blocks, place as usize % blocks);
                let at = 2 * pair * blocks + block;
                Complex32::new(code[at], code[at + blocks]) * gains[block]
            })
            .collect();
        if planes.is_flat() {
            // Nothing to tell but the colour, which is side information: four directions in turn keep the power.
            for (index, symbol) in symbols.iter_mut().enumerate() {
                *symbol =
                    Complex32::from_polar(1.0, (0.25 + 0.5 * (index % 4) as f32) * std::f32::consts::PI);
            }
        } else {
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
        let places = places(side);
        if side.variance_power.is_some() && self.known_log_ratio.is_none() {
            return Err(ModelError::Side(format!("variances are sent, of which {} knows nothing", self.id)));
        }
        let expected = places.len() * if side.variance_power.is_some() { 2 } else { 1 };
        if symbols.len() != expected || noise_variance.len() != expected {
            return Err(ModelError::Damaged(format!(
                "{} symbols and {} noise variances came for a picture of {expected} symbols",
                symbols.len(),
                noise_variance.len(),
            )));
        }
        let (symbols, variance_symbols) = symbols.split_at(places.len());
        let (noise_variance, variance_noise) = noise_variance.split_at(places.len());
        let Grid { across, down, .. } = side.grid();
        let mut planes = Planes::zeros(across * BLOCK, down * BLOCK);
        if let Some(power) = side.power {
            let blocks = across * down;
            let gains: Vec<f32> = side.symbols().into_iter().map(gain).collect();
            let mut code = Code::unknown(blocks);
            let mut resampling = self.known_log_ratio.as_ref().map(|known| {
                let scale = (2.0 * side.variance_power.unwrap_or(0.0)).sqrt();
                Resampling { known, scale, rng: StdRng::from_seed(Sha256::digest(side.to_bytes()).into()) }
            });
            let arrived = places.iter().zip(symbols).zip(noise_variance);
            for (index, ((&place, symbol), variance)) in arrived.enumerate() {
                let (pair, block) = (place as usize / blocks, place as usize % blocks);
                let mut value = *symbol * ((2.0 * power).sqrt() / gains[block]);
                let mut own = [0.0; 2];
                if let Some(resampling) = &mut resampling {
                    let sent = variance_symbols.get(index).zip(variance_noise.get(index));
                    let drawn;
                    (drawn, own) = resampling.draw(2 * pair, sent, &self.variance);
                    value += drawn;
                }
                // Of a complex symbol's noise, each value has half; of its power, which is twice that of a value, all.
                let variance = variance.max(LEAST_VARIANCE) * power / gains[block].powi(2);
                // Whatever is not a number is not known; `UNKNOWN` is a billion times the power of any value.
                if value.re.is_finite() && value.im.is_finite() && variance < UNKNOWN {
                    for (channel, value, own) in
                        [(2 * pair, value.re, own[0]), (2 * pair + 1, value.im, own[1])]
                    {
                        code.values[channel * blocks + block] = value;
                        code.variance[channel * blocks + block] = variance + own;
                    }
                }
            }
            self.decode_values(&code, across, down, &mut planes)?;
        }
        planes.to_picture(side.width, side.height, side.mean)
    }

    /// How much energy of the picture each channel of each cell carries.
    fn energy(&self, code: &[f32], grid: &Grid) -> Vec<Vec<f64>> {
        let blocks = grid.across * grid.down;
        let mut energy = vec![vec![0.0; CHANNELS]; grid.cells()];
        for (channel, values) in code.chunks_exact(blocks).enumerate() {
            // A coefficient of variance λ is sent as a value of variance λ^(1/2): see `basis`.
            let worth = f64::from(self.variance[channel]);
            for (block, value) in values.iter().enumerate() {
                energy[grid.cell(block)][channel] += worth * f64::from(value * value);
            }
        }
        energy
    }

    /// Planes → values, and if asked for, how sure the encoder is of them.
    fn encode_values(&self, planes: &Planes, with_log_ratios: bool) -> Result<Encoded, ModelError> {
        let (across, down) = (planes.width / BLOCK, planes.height / BLOCK);
        let zeros = || vec![0.0; CHANNELS * across * down];
        let posterior = self.network.posterior.as_ref().filter(|_| with_log_ratios);
        let mut code = Encoded { values: zeros(), log_ratios: posterior.map_or_else(Vec::new, |_| zeros()) };
        let reach = ENCODER_REACH / BLOCK;
        for rows in spans(down, self.core_blocks, reach) {
            for columns in spans(across, self.core_blocks, reach) {
                let window = planes.window(
                    columns.start * BLOCK,
                    rows.start * BLOCK,
                    columns.length * BLOCK,
                    rows.length * BLOCK,
                );
                let shape = [1, 3, rows.length * BLOCK, columns.length * BLOCK];
                let input = Tensor::<4>::from_data(TensorData::new(window, shape), &self.device);
                let (output, features) = self.network.encoder.forward_with_features(input);
                let output = values(output)?;
                for channel in 0..CHANNELS {
                    copy_kept(&output, &mut code.values, channel, &rows, &columns, across, down, 1);
                }
                if let Some(posterior) = posterior {
                    let output = values(posterior.log_ratio(features))?;
                    for channel in 0..CHANNELS {
                        copy_kept(&output, &mut code.log_ratios, channel, &rows, &columns, across, down, 1);
                    }
                }
            }
        }
        Ok(code)
    }

    /// Values → planes.
    fn decode_values(
        &self,
        code: &Code,
        across: usize,
        down: usize,
        planes: &mut Planes,
    ) -> Result<(), ModelError> {
        let blocks = across * down;
        let reach = DECODER_REACH / BLOCK;
        for rows in spans(down, self.core_blocks, reach) {
            for columns in spans(across, self.core_blocks, reach) {
                let shape = [1, CHANNELS, rows.length, columns.length];
                let window = |from: &[f32], missing: f32| {
                    let mut window = vec![missing; shape.iter().product()];
                    for channel in 0..CHANNELS {
                        for row in 0..rows.length {
                            let source = channel * blocks + (rows.start + row) * across + columns.start;
                            let target = (channel * rows.length + row) * columns.length;
                            window[target..target + columns.length]
                                .copy_from_slice(&from[source..source + columns.length]);
                        }
                    }
                    Tensor::<4>::from_data(TensorData::new(window, shape), &self.device)
                };
                let received = window(&code.values, 0.0);
                let variance = window(&code.variance, UNKNOWN);
                let output = values(self.network.decoder.forward(received, variance))?;
                for channel in 0..3 {
                    copy_kept(&output, &mut planes.values, channel, &rows, &columns, across, down, BLOCK);
                }
            }
        }
        Ok(())
    }
}

/// What is known of the values of a picture, channel by channel, each channel block by block.
struct Code {
    values: Vec<f32>,
    variance: Vec<f32>,
}

impl Code {
    fn unknown(blocks: usize) -> Self {
        Self { values: vec![0.0; CHANNELS * blocks], variance: vec![UNKNOWN; CHANNELS * blocks] }
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

/// Scales symbols to unit mean power; returns the mean square of the values that they were, two a symbol.
fn scale_to_unit_power(symbols: &mut [Complex32]) -> f32 {
    let energy: f64 = symbols.iter().map(|symbol| f64::from(symbol.norm_sqr())).sum();
    let power = ((energy / (2 * symbols.len()) as f64) as f32).max(f32::MIN_POSITIVE);
    let scale = 1.0 / (2.0 * power).sqrt();
    symbols.iter_mut().for_each(|symbol| *symbol *= scale);
    power
}

/// The pairs of values that are sent, each as pair · blocks + block: all first pairs, then all second ones, and so on.
fn places(side: &Side) -> Vec<u32> {
    let symbols = side.symbols();
    let blocks = symbols.len();
    let sent = |pair: usize| {
        let of_pair = symbols.iter().enumerate().filter(move |(_, symbols)| **symbols > pair);
        of_pair.map(move |(block, _)| (pair * blocks + block) as u32)
    };
    (0..CHANNELS / 2).flat_map(sent).collect()
}

fn values(tensor: Tensor<4>) -> Result<Vec<f32>, ModelError> {
    tensor
        .try_into_vec_as::<f32>()
        .map_err(|error| ModelError::Internal(format!("the device failed: {error}")))
}

/// Copies the part of one channel that a tile keeps into the whole; `unit` pixels a block.
#[allow(clippy::too_many_arguments)] // Two sources of geometry for one copy: a struct would only rename them.
fn copy_kept(
    tile: &[f32],
    whole: &mut [f32],
    channel: usize,
    rows: &Span,
    columns: &Span,
    across: usize,
    down: usize,
    unit: usize,
) {
    let (tile_width, tile_height) = (columns.length * unit, rows.length * unit);
    let (left, length) = ((columns.keep_start - columns.start) * unit, columns.keep_length * unit);
    for row in 0..rows.keep_length * unit {
        let source =
            (channel * tile_height + (rows.keep_start - rows.start) * unit + row) * tile_width + left;
        let target = (channel * down * unit + rows.keep_start * unit + row) * across * unit
            + columns.keep_start * unit;
        whole[target..target + length].copy_from_slice(&tile[source..source + length]);
    }
}

impl System for Autoencoder {
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
        let (side, symbols) = self.modulate(&picture, 48 * 16)?;
        self.demodulate(&side, &symbols, &vec![0.1; symbols.len()]).map(|_| ())
    }

    fn encode(&mut self, content: &Content, budget: Budget) -> Result<SemanticMessage, ModelError> {
        let Content::Picture(picture) = content else {
            return Err(ModelError::Unsupported { system: self.id(), instead: SystemId::Classical });
        };
        let (side, symbols) = self.modulate(picture, budget.symbols)?;
        Ok(SemanticMessage {
            system: self.id(),
            model: self.model(),
            side: Bytes::from(side.to_bytes()),
            features: vec![Feature { importance: 1.0, payload: Payload::Analog(symbols) }],
        })
    }

    fn decode(&mut self, received: &ReceivedMessage) -> Result<Decoded, ModelError> {
        check_origin(received, self)?;
        let side = Side::parse(&received.side)?;
        let [ReceivedFeature::Analog { symbols, noise_variance }] = received.features.as_slice() else {
            return Err(ModelError::Damaged(format!(
                "a message of the system {} has one analog feature",
                self.id
            )));
        };
        let picture = self.demodulate(&side, symbols, noise_variance)?;
        let trust = |variance: &f32| f64::from(if *variance >= 0.0 { 1.0 / (1.0 + variance) } else { 0.0 });
        let confidence = noise_variance.iter().map(trust).sum::<f64>() / noise_variance.len().max(1) as f64;
        Ok(Decoded { content: Content::Picture(picture), confidence: confidence as f32 })
    }
}

#[cfg(test)]
mod tests;
