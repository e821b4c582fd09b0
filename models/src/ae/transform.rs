//! What turns the planes of a picture into values that can be sent, and values back into planes.
//!
//! A transform knows nothing of rates that follow the picture, of power and of symbols: the system around it does.

use burn::tensor::{Device, Tensor, TensorData};

use super::adaptation::knots_of;
use super::basis::BLOCK;
use super::network::{CHANNELS, Network, UNKNOWN};
use super::planes::Planes;
use super::rates::{RATES, Rates, gain};
use super::tiles::{Tile, tiles};
use crate::{ModelError, OpenDevice};

/// Blocks of 16 pixels that one pass keeps along each axis; more are computed around them.
const CORE_BLOCKS: usize = 64;

/// What is known of the values of a picture, channel by channel, each channel block by block.
pub struct Code {
    /// Values; zero where nothing is known.
    pub values: Vec<f32>,
    /// The noise variance of each; [`UNKNOWN`] where nothing is known.
    pub variance: Vec<f32>,
    /// Blocks from left to right.
    pub across: usize,
    /// Blocks from top to bottom.
    pub down: usize,
}

impl Code {
    /// Nothing is known.
    pub fn unknown(channels: usize, across: usize, down: usize) -> Self {
        let values = channels * across * down;
        Self { values: vec![0.0; values], variance: vec![UNKNOWN; values], across, down }
    }
}

/// What an encoder makes of a picture, channel by channel, each channel block by block.
pub struct Encoded {
    /// Values.
    pub values: Vec<f32>,
    /// ln σ₁²/λ, if asked for.
    pub log_ratios: Vec<f32>,
}

/// Planes ↔ values, channels ordered by importance.
pub trait Transform: Send {
    /// Complex symbols a block, by rate.
    fn rates(&self) -> &'static Rates;

    /// Variance of each channel as it is sent, over natural pictures.
    fn variance(&self) -> &[f32];

    /// Whether it is given what is left of a picture without its thumbnail.
    fn goes_without_thumbnail(&self) -> bool;

    /// Of `vae` and `vscc`: the logarithm of the mean of each channel's σ₁²/λ.
    fn known_log_ratio(&self) -> Option<&[f32]> {
        None
    }

    /// The amplitude of each channel's values, rate by rate, where the encoder was told an SNR in dB.
    fn amplitudes(&self, _told_db: i8) -> Result<Vec<Vec<f32>>, ModelError> {
        Ok(self.rates().map(|symbols| vec![gain(symbols); self.variance().len()]).into())
    }

    /// Planes about a mean colour, sides multiples of [`BLOCK`] → values for an SNR in dB, and if asked for, how sure the
    /// encoder is of them.
    fn encode(
        &self,
        planes: &Planes,
        mean: [u8; 3],
        told_db: i8,
        with_log_ratios: bool,
    ) -> Result<Encoded, ModelError>;

    /// What is known of the values → planes about a mean colour, [`BLOCK`] pixels a block.
    fn decode(&self, code: &Code, mean: [u8; 3], planes: &mut Planes) -> Result<(), ModelError>;
}

/// The systems' own transform: the network of [`super::network`].
pub struct Convolutional {
    pub(super) network: Network,
    pub(super) device: Device,
    variance: Vec<f32>,
    known_log_ratio: Option<Vec<f32>>,
    pub(super) core_blocks: usize,
}

impl Convolutional {
    /// With a network that is on the device.
    pub fn new(network: Network, device: &OpenDevice) -> Result<Self, ModelError> {
        let unread =
            |error| ModelError::Internal(format!("the weights cannot be read from the device: {error}"));
        let variance = network.decoder.variance().map_err(unread)?;
        let known =
            |tensor: Tensor<1>| tensor.try_into_vec_as::<f32>().map_err(|error| unread(error.to_string()));
        let known_log_ratio =
            network.posterior.as_ref().map(|posterior| known(posterior.known())).transpose()?;
        let device = device.device.clone();
        Ok(Self { network, device, variance, known_log_ratio, core_blocks: CORE_BLOCKS })
    }
}

impl Transform for Convolutional {
    fn rates(&self) -> &'static Rates {
        &RATES
    }

    fn variance(&self) -> &[f32] {
        &self.variance
    }

    fn goes_without_thumbnail(&self) -> bool {
        true
    }

    fn known_log_ratio(&self) -> Option<&[f32]> {
        self.known_log_ratio.as_deref()
    }

    fn amplitudes(&self, told_db: i8) -> Result<Vec<Vec<f32>>, ModelError> {
        match &self.network.adaptation {
            Some(adaptation) => adaptation.table(f32::from(told_db)).map_err(ModelError::Internal),
            None => Ok(RATES.map(|symbols| vec![gain(symbols); CHANNELS]).into()),
        }
    }

    fn encode(
        &self,
        planes: &Planes,
        _mean: [u8; 3],
        told_db: i8,
        with_log_ratios: bool,
    ) -> Result<Encoded, ModelError> {
        let told = self.network.adaptation.as_ref();
        let told = told.map(|adaptation| adaptation.modulation(knots_of([f32::from(told_db)], &self.device)));
        let (across, down) = (planes.width / BLOCK, planes.height / BLOCK);
        let zeros = || vec![0.0; CHANNELS * across * down];
        let posterior = self.network.posterior.as_ref().filter(|_| with_log_ratios);
        let mut code = Encoded { values: zeros(), log_ratios: posterior.map_or_else(Vec::new, |_| zeros()) };
        let reach = self.network.encoder.reach() / BLOCK;
        for tile in tiles(across, down, self.core_blocks, reach) {
            let Tile { rows, columns } = tile;
            let (width, height) = (columns.length * BLOCK, rows.length * BLOCK);
            let window = planes.window(columns.start * BLOCK, rows.start * BLOCK, width, height);
            let input = Tensor::<4>::from_data(TensorData::new(window, [1, 3, height, width]), &self.device);
            let (output, features) = self.network.encoder.forward_with_features(input, told.as_ref());
            tile.keep(&values(output)?, &mut code.values, across, 1);
            if let Some(posterior) = posterior {
                tile.keep(&values(posterior.log_ratio(features))?, &mut code.log_ratios, across, 1);
            }
        }
        Ok(code)
    }

    fn decode(&self, code: &Code, _mean: [u8; 3], planes: &mut Planes) -> Result<(), ModelError> {
        let Code { across, down, .. } = *code;
        let blocks = across * down;
        let reach = self.network.decoder.reach() / BLOCK;
        for tile in tiles(across, down, self.core_blocks, reach) {
            let Tile { rows, columns } = tile;
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
            tile.keep(&output, &mut planes.values, across, BLOCK);
        }
        Ok(())
    }
}

/// The values of a tensor.
pub(crate) fn values(tensor: Tensor<4>) -> Result<Vec<f32>, ModelError> {
    tensor
        .try_into_vec_as::<f32>()
        .map_err(|error| ModelError::Internal(format!("the device failed: {error}")))
}
