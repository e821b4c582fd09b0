//! Training of the systems `ae`, `vae` and `vscc`: pictures → their weights.
//!
//! Each step sends random crops over random channels (see [`super::channel`]) and lowers the mean over the groups of
//! `ln(mean square error)`, which is the mean PSNR but for a factor: every rate and SNR counts alike, in decibels.
//! Powers are normalised over each group exactly as they are over a picture when it is sent. To `vae` and `vscc`, their
//! divergence is added (see [`crate::vscc::losses`]), over the values that arrive.

mod similarity;
pub(super) mod strip;

use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use semcast_common::content::Picture;

use super::TrainingError;
use super::channel::{Draw, Passed, Setting, draw};
use super::pictures::{Crops, GROUP, Pictures};
use super::run::psnr_db;
use super::task::{Figure, Outcome, Task};
use crate::ae::Tune;
use crate::ae::basis::{BLOCK, BLOCK_VALUES, Basis};
use crate::ae::network::{CHANNELS, Depth, Network};
use crate::ae::weights;
use crate::vscc::losses::{Method, loss, matching};
use crate::vscc::transmission::{distance, normal};

/// Crops on which the starting transform is measured.
const BASIS_GROUPS: usize = 100;
/// Complex symbols a block at which held-out pictures are sent: a bandwidth ratio of 1/16.
const VALIDATION_SYMBOLS: usize = 48;
/// Side of the held-out crops, pixels.
const VALIDATION_SIDE: usize = 192;
/// Side of a cell of one rate, blocks: that of medium SNRs.
const CELL: usize = 2;
/// How much ln(mean square error) counts beside ln(1 − MS-SSIM), which says little of colours.
const ERROR_WEIGHT: f64 = 0.1;
/// Below this, more similarity counts little: 25 dB.
const DISSIMILARITY_FLOOR: f64 = 0.003;
/// SNRs at which held-out pictures are sent, dB.
const VALIDATION_SNR_DB: [f32; 3] = [0.0, 10.0, 20.0];

/// One of the systems `ae`, `vae` and `vscc`, as it is trained.
pub struct Ae {
    method: Method,
    batch: usize,
    crop: usize,
    depth: Depth,
    tune: Tune,
}

/// Crops and what the channel does to them.
pub struct Batch {
    crops: Crops,
    channel: Draw,
    /// Seed of what the receiver draws.
    seed: u64,
    /// The crops with all that was taken from them, where they are compared as a whole.
    whole: Option<Vec<f32>>,
}

/// What becomes of crops that are sent.
struct Sent {
    /// Mean square error of each group.
    errors: Tensor<1>,
    /// The crops that arrive.
    arrived: Tensor<4>,
    /// Divergence of each group, nats.
    divergence: Option<Tensor<1>>,
    /// How far the known variances are from the mean of the variances.
    knowledge: Option<Tensor<1>>,
}

impl Ae {
    /// `batch` crops a step, a multiple of two; crops of `crop` pixels, a multiple of 16.
    pub fn new(batch: usize, crop: usize) -> Result<Self, TrainingError> {
        Self::with(Method::Ae, batch, crop)
    }

    /// The same with one of the three losses.
    pub fn with(method: Method, batch: usize, crop: usize) -> Result<Self, TrainingError> {
        let wrong = |message: &str| Err(TrainingError::Setting(message.into()));
        if batch == 0 || !batch.is_multiple_of(GROUP) {
            return wrong("the batch must be a multiple of 2, at least 2");
        }
        if !(32..=1024).contains(&crop) || !crop.is_multiple_of(BLOCK) {
            return wrong("the crop must be a multiple of 16 pixels, 32 to 1024");
        }
        method.check().map_err(TrainingError::Setting)?;
        Ok(Self { method, batch, crop, depth: Depth::LEAST, tune: Tune::Psnr })
    }

    /// The same with a network of at least that depth.
    pub fn at_least(self, depth: Depth) -> Result<Self, TrainingError> {
        let Depth { encoder, decoder, decoder_eighth } = depth;
        if [encoder, decoder, decoder_eighth].iter().any(|blocks| *blocks > Depth::MOST) {
            return Err(TrainingError::Setting(format!("a depth is at most {} blocks", Depth::MOST)));
        }
        Ok(Self { depth, ..self })
    }

    /// The same for another measure; `vae` and `vscc` know PSNR alone.
    pub fn tuned(self, tune: Tune) -> Result<Self, TrainingError> {
        let wrong = |message: String| Err(TrainingError::Setting(message));
        if tune == Tune::MsSsim && self.method != Method::Ae {
            return wrong(format!("{} is trained for PSNR only", self.method.name()));
        }
        if tune == Tune::MsSsim && self.crop < similarity::LEAST_SIDE {
            return wrong(format!("MS-SSIM needs crops of at least {} pixels", similarity::LEAST_SIDE));
        }
        Ok(Self { tune, ..self })
    }

    fn transmit(&self, network: &Network, batch: &Batch, device: &Device) -> Sent {
        transmit(network, self.method, &batch.crops, &batch.channel, batch.seed, device)
    }
}

impl Task for Ae {
    type Network = Network;
    type Batch = Batch;

    fn name(&self) -> &str {
        match self.tune {
            Tune::Psnr => self.method.name(),
            Tune::MsSsim => "ae-ms-ssim",
        }
    }

    fn describe(&self) -> String {
        format!(
            "{} for joint source-channel coding of pictures: one network for all rates from 8 to 128 complex symbols a \
             block of 16 x 16 pixels, and for all SNRs.",
            self.method.describe("A convolutional autoencoder")
        )
    }

    fn least_side(&self) -> usize {
        self.crop
    }

    fn crops(&self) -> usize {
        self.batch
    }

    fn start(&self, pictures: &Pictures, seed: u64, device: &Device) -> Result<Network, TrainingError> {
        let crops =
            pictures.crops(BASIS_GROUPS, self.crop, &mut StdRng::seed_from_u64(seed)).without_thumbnails();
        let blocks = blocks(&crops);
        let basis = Basis::measure(blocks.chunks_exact(BLOCK_VALUES), CHANNELS);
        device.seed(seed);
        let network = Network::new(&basis, device).deepened(self.depth, device).adaptive(device);
        Ok(if self.method.is_variational() { network.variational(device) } else { network })
    }

    fn batch(&self, pictures: &Pictures, rng: &mut StdRng) -> Batch {
        let groups = self.batch / GROUP;
        let crops = pictures.crops(groups, self.crop, rng);
        let whole = (self.tune == Tune::MsSsim).then(|| crops.whole());
        let crops = crops.without_thumbnails();
        let settings: Vec<Setting> = (0..groups).map(|_| Setting::random(rng)).collect();
        let channel = draw(&settings, &crops.activity(CELL), rng);
        Batch { crops, channel, seed: rng.random(), whole }
    }

    fn run(&self, network: &Network, batch: &Batch, device: &Device) -> Outcome {
        let sent = self.transmit(network, batch, device);
        let values = GROUP * 3 * batch.crops.side * batch.crops.side;
        let mut whole = loss(sent.errors.clone(), sent.divergence, values).mean();
        if let Some(pictures) = &batch.whole {
            let distance = dissimilarity(&batch.crops, pictures, sent.arrived, device);
            whole = whole.mul_scalar(ERROR_WEIGHT) + distance.add_scalar(DISSIMILARITY_FLOOR).log().mean();
        }
        let loss = match sent.knowledge {
            Some(knowledge) => whole + knowledge,
            None => whole,
        };
        Outcome { loss, errors: sent.errors }
    }

    fn validate(&self, network: &Network, pictures: &Pictures, device: &Device) -> Vec<Figure> {
        let crops = pictures.validation_crops(side(pictures, VALIDATION_SIDE));
        let whole = (self.tune == Tune::MsSsim).then(|| crops.whole());
        let crops = crops.without_thumbnails();
        let figures = |snr_db: f32| {
            let setting = Setting { adaptation: 0.7, ..Setting::awgn(VALIDATION_SYMBOLS, snr_db) };
            let settings = vec![setting; crops.groups];
            let channel = draw(&settings, &crops.activity(CELL), &mut StdRng::seed_from_u64(7));
            let sent = transmit(network, self.method, &crops, &channel, 7, device);
            let errors: Vec<f32> = sent.errors.into_data().iter::<f32>().collect();
            let mut figures = vec![(format!("psnr_db_{snr_db}"), psnr_db(&errors))];
            if let Some(whole) = &whole {
                let distance: f32 =
                    dissimilarity(&crops, whole, sent.arrived, device).log().mean().into_scalar();
                figures.push((
                    format!("ms_ssim_db_{snr_db}"),
                    -10.0 * f64::from(distance) / std::f64::consts::LN_10,
                ));
            }
            figures
        };
        VALIDATION_SNR_DB.into_iter().flat_map(figures).collect()
    }

    fn strip(&self, network: &Network, pictures: &Pictures, device: &Device) -> Option<Picture> {
        strip::draw(network, self.method, pictures, device)
    }

    fn to_bytes(&self, network: &Network) -> Result<Vec<u8>, String> {
        weights::to_bytes(network)
    }

    fn load(&self, bytes: Vec<u8>, device: &Device) -> Result<Network, String> {
        let network = if self.method.is_variational() {
            // Training may also begin with the weights of `ae`.
            weights::variational_from_bytes(bytes.clone(), device).or_else(|error| {
                let network = weights::adaptive_from_bytes(bytes, device).map_err(|_| error)?;
                Ok::<_, String>(network.variational(device))
            })?
        } else {
            // Training may also begin with an encoder that is told nothing.
            weights::adaptive_from_bytes(bytes.clone(), device).or_else(|error| {
                weights::from_bytes(bytes, device).map(|network| network.adaptive(device)).map_err(|_| error)
            })?
        };
        Ok(network.deepened(self.depth, device))
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

/// How far each of the crops is from MS-SSIM of one. `whole`: the crops with all that was taken from them; `arrived`: without.
fn dissimilarity(crops: &Crops, whole: &[f32], arrived: Tensor<4>, device: &Device) -> Tensor<1> {
    let shape = arrived.dims();
    let tensor = |values: &[f32]| Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), device);
    let whole = tensor(whole);
    let taken = whole.clone() - tensor(&crops.values);
    similarity::ms_ssim(whole, arrived + taken).neg().add_scalar(1.0)
}

/// Sends crops over a drawn channel.
fn transmit(
    network: &Network,
    method: Method,
    crops: &Crops,
    channel: &Draw,
    seed: u64,
    device: &Device,
) -> Sent {
    let (groups, side) = (crops.groups, crops.side);
    let (count, places) = (groups * GROUP, side / BLOCK);
    let code = [count, CHANNELS, places, places];
    let picture =
        Tensor::<4>::from_data(TensorData::new(crops.values.clone(), [count, 3, side, side]), device);
    let adaptation = network.adaptation.as_ref();
    let told = adaptation.map(|adaptation| adaptation.modulation(channel.knots(device)));
    let (code_values, features) = network.encoder.forward_with_features(picture.clone(), told.as_ref());
    let Passed { mut received, mut variance, arrives } = channel.pass(code_values.clone(), adaptation);
    let (mut divergence, mut knowledge) = (None, None);
    if let Some(posterior) = &network.posterior {
        let spread = network.decoder.log_variance().exp().reshape([1, CHANNELS, 1, 1]);
        let ratio = posterior.log_ratio(features).exp();
        let known = posterior.known().reshape([1, CHANNELS, 1, 1]);
        knowledge = Some(distance(known, ratio.clone().detach()).mean());
        let noise = variance.clone() / spread.clone();
        divergence =
            matching(method, code_values / spread.clone().sqrt(), ratio.clone(), noise).map(|nats| {
                let nats = (nats * arrives.clone()).reshape([groups, GROUP * CHANNELS * places * places]);
                nats.sum_dim(1).reshape([groups])
            });
        let own = ratio * spread * arrives;
        let drawn = normal(code, &mut StdRng::seed_from_u64(seed), device);
        // The root of nothing has no slope.
        received = received + own.clone().add_scalar(1e-12).sqrt() * drawn;
        variance = variance + own;
    }
    let arrived = network.decoder.forward(received, variance);
    let squares = (arrived.clone() - picture).square().reshape([groups, GROUP * 3 * side * side]);
    Sent { errors: squares.mean_dim(1).reshape([groups]), arrived, divergence, knowledge }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What does not arrive has no part in the divergence, whatever the method.
    #[test]
    fn lost_values_cost_no_divergence_and_others_do() {
        let device = Device::flex();
        let network = Network::new(&Basis::typical(CHANNELS), &device).variational(&device);
        let side = 32;
        let values = (0..GROUP * 3 * side * side).map(|at| (at * 31 % 101) as f32 / 100.0 - 0.5).collect();
        let crops = Crops { values, means: vec![[0.0; 3]], groups: 1, side };
        let nats = |method, lost| -> f32 {
            let setting = Setting { lost, ..Setting::awgn(48, 5.0) };
            let channel = draw(&[setting], &crops.activity(CELL), &mut StdRng::seed_from_u64(1));
            let sent = transmit(&network, method, &crops, &channel, 1, &device);
            sent.divergence.map_or(0.0, |nats| nats.sum().into_scalar())
        };
        assert_eq!(nats(Method::Ae, 0.0), 0.0);
        for method in [Method::Vae, Method::Vscc { d: 1.0 }] {
            assert_eq!(nats(method, 1.0), 0.0);
            assert!(nats(method, 0.0) > 1.0);
        }
        assert!(
            nats(Method::Vae, 0.0) > nats(Method::Vscc { d: 1.0 }, 0.0),
            "the noise is the channel's share"
        );
    }
}
