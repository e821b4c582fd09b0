//! Training of the `ae` system: pictures → its weights.
//!
//! Each step sends random crops over random channels (see [`super::channel`]) and lowers the mean over the groups of
//! `ln(mean square error)`, which is the mean PSNR but for a factor: every rate and SNR counts alike, in decibels.
//! Powers are normalised over each group exactly as they are over a picture when it is sent.

mod strip;

use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand::rngs::StdRng;
use semcast_common::content::Picture;

use super::TrainingError;
use super::channel::{Draw, Setting, draw};
use super::pictures::{Crops, GROUP, Pictures};
use super::run::psnr_db;
use super::task::{Figure, Outcome, Task};
use crate::ae::basis::{BLOCK, BLOCK_VALUES, Basis};
use crate::ae::network::{CHANNELS, Network, UNKNOWN};
use crate::ae::weights;

/// Below this mean square error, a group counts little: 45 dB.
const ERROR_FLOOR: f32 = 3.0e-5;
/// Crops on which the starting transform is measured.
const BASIS_GROUPS: usize = 100;
/// Complex symbols a block at which held-out pictures are sent: a bandwidth ratio of 1/16.
const VALIDATION_SYMBOLS: usize = 48;
/// Side of the held-out crops, pixels.
const VALIDATION_SIDE: usize = 192;
/// SNRs at which held-out pictures are sent, dB.
const VALIDATION_SNR_DB: [f32; 3] = [0.0, 10.0, 20.0];

/// The `ae` system, as it is trained.
pub struct Ae {
    batch: usize,
    crop: usize,
}

/// Crops and what the channel does to them.
pub struct Batch {
    crops: Crops,
    channel: Draw,
}

impl Ae {
    /// `batch` crops a step, a multiple of two; crops of `crop` pixels, a multiple of 16.
    pub fn new(batch: usize, crop: usize) -> Result<Self, TrainingError> {
        let wrong = |message: &str| Err(TrainingError::Setting(message.into()));
        if batch == 0 || !batch.is_multiple_of(GROUP) {
            return wrong("the batch must be a multiple of 2, at least 2");
        }
        if !(32..=1024).contains(&crop) || !crop.is_multiple_of(BLOCK) {
            return wrong("the crop must be a multiple of 16 pixels, 32 to 1024");
        }
        Ok(Self { batch, crop })
    }
}

impl Task for Ae {
    type Network = Network;
    type Batch = Batch;

    fn name(&self) -> &str {
        "ae"
    }

    fn describe(&self) -> String {
        "A convolutional autoencoder for joint source-channel coding of pictures: one network for all rates from 8 to \
         128 complex symbols a block of 16 x 16 pixels, and for all SNRs."
            .into()
    }

    fn least_side(&self) -> usize {
        self.crop
    }

    fn crops(&self) -> usize {
        self.batch
    }

    fn start(&self, pictures: &Pictures, seed: u64, device: &Device) -> Result<Network, TrainingError> {
        let crops = pictures.crops(BASIS_GROUPS, self.crop, &mut StdRng::seed_from_u64(seed));
        let blocks = blocks(&crops);
        let basis = Basis::measure(blocks.chunks_exact(BLOCK_VALUES), CHANNELS);
        device.seed(seed);
        Ok(Network::new(&basis, device))
    }

    fn batch(&self, pictures: &Pictures, rng: &mut StdRng) -> Batch {
        let groups = self.batch / GROUP;
        let crops = pictures.crops(groups, self.crop, rng);
        let settings: Vec<Setting> = (0..groups).map(|_| Setting::random(rng)).collect();
        let channel = draw(&settings, &crops.activity(), rng);
        Batch { crops, channel }
    }

    fn run(&self, network: &Network, batch: &Batch, device: &Device) -> Outcome {
        let (errors, _) = transmit(network, &batch.crops, &batch.channel, device);
        Outcome { loss: errors.clone().add_scalar(ERROR_FLOOR).log().mean(), errors }
    }

    fn validate(&self, network: &Network, pictures: &Pictures, device: &Device) -> Vec<Figure> {
        let crops = pictures.validation_crops(side(pictures, VALIDATION_SIDE));
        let figure = |snr_db: f32| {
            let setting = Setting { adaptation: 0.7, ..Setting::awgn(VALIDATION_SYMBOLS, snr_db) };
            let settings = vec![setting; crops.groups];
            let channel = draw(&settings, &crops.activity(), &mut StdRng::seed_from_u64(7));
            let (errors, _) = transmit(network, &crops, &channel, device);
            let errors: Vec<f32> = errors.into_data().iter::<f32>().collect();
            (format!("psnr_db_{snr_db}"), psnr_db(&errors))
        };
        VALIDATION_SNR_DB.map(figure).into()
    }

    fn strip(&self, network: &Network, pictures: &Pictures, device: &Device) -> Option<Picture> {
        strip::draw(network, pictures, device)
    }

    fn to_bytes(&self, network: &Network) -> Result<Vec<u8>, String> {
        weights::to_bytes(network)
    }

    fn from_bytes(&self, bytes: Vec<u8>, device: &Device) -> Result<Network, String> {
        weights::from_bytes(bytes, device)
    }
}

/// The greatest multiple of a block, at most `wanted`, that all pictures have.
fn side(pictures: &Pictures, wanted: usize) -> usize {
    wanted.min(pictures.least_side()) / BLOCK * BLOCK
}

/// The blocks of crops, [`BLOCK_VALUES`] values each.
fn blocks(crops: &Crops) -> Vec<f32> {
    let side = crops.side;
    let mut blocks = Vec::with_capacity(crops.values.len());
    for crop in crops.values.chunks_exact(3 * side * side) {
        for top in (0..side).step_by(BLOCK) {
            for left in (0..side).step_by(BLOCK) {
                for plane in 0..3 {
                    for y in top..top + BLOCK {
                        let at = plane * side * side + y * side + left;
                        blocks.extend_from_slice(&crop[at..at + BLOCK]);
                    }
                }
            }
        }
    }
    blocks
}

/// Sends crops over a drawn channel; mean square error of each group, and the crops that arrive.
fn transmit(network: &Network, crops: &Crops, channel: &Draw, device: &Device) -> (Tensor<1>, Tensor<4>) {
    let (groups, side) = (crops.groups, crops.side);
    let (count, places) = (groups * GROUP, side / BLOCK);
    let tensor = |values: &[f32], shape: [usize; 4]| {
        Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), device)
    };
    let code = [count, CHANNELS, places, places];
    let picture = tensor(&crops.values, [count, 3, side, side]);
    let code_values = network.encoder.forward(picture.clone());
    let values = code_values.clone() * tensor(&channel.sent, code);
    // Mean power of a sent value, over each group: the unit of the noise.
    let shares = Tensor::<1>::from_data(TensorData::new(channel.sent_share.clone(), [groups]), device);
    let power = values.square().reshape([groups, GROUP * CHANNELS * places * places]).mean_dim(1)
        / shares.reshape([groups, 1]);
    let power = power.add_scalar(1e-8).repeat_dim(1, GROUP).reshape([count, 1, 1, 1]);
    let arrives = tensor(&channel.arrives, code);
    let unknown = arrives.clone().sub_scalar(1.0).mul_scalar(-UNKNOWN);
    let received = code_values * arrives + tensor(&channel.noise, code) * power.clone().sqrt();
    let variance = tensor(&channel.variance, code) * power + unknown;
    let decoded = network.decoder.forward(received, variance);
    let squares = (decoded.clone() - picture).square().reshape([groups, GROUP * 3 * side * side]);
    (squares.mean_dim(1).reshape([groups]), decoded)
}
