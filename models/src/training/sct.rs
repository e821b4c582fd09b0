//! Training of the network of `sct-integrated` and `sct-modular` for people: that of `ae`, trained further.
//!
//! Crops are cut into random regions, each of an importance, an amplitude and a fate of its own ([`regions`]); their values
//! are sent as analog symbols or quantised ([`sending`]). The loss is the logarithm of the mean square error, as it is
//! for `ae`, and LPIPS and the verdict of a discriminator over what arrives ([`judge`]).
//!
//! Beside it: [`correction`], [`machine`], and [`labels`] for both.

pub mod correction;
pub mod judge;
pub mod labels;
pub mod machine;
pub mod regions;
pub mod sending;

use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use burn::module::{Module, ParamGroup};
use burn::tensor::{Device, Tensor};
use rand::SeedableRng;
use rand::rngs::StdRng;
use semcast_common::content::Picture;

use super::TrainingError;
use super::ae::{Ae, strip};
use super::channel::Setting;
use super::pictures::{Crops, GROUP, Pictures};
use super::run::psnr_db;
use super::task::{Figure, Outcome, Task};
use crate::ae::adaptation::ASSUMED_DB;
use crate::ae::basis::BLOCK;
use crate::ae::network::Network;
use crate::ae::weights;
use crate::metrics::Lpips;
use judge::{Judge, Opposed, Weights};
use regions::Chances;
use sending::Batch;

/// How often regions are lost.
const CHANCES: Chances = Chances { damaged: 0.35, lost: 0.3 };
/// Complex symbols a block and SNRs in dB at which held-out pictures are sent: bandwidth ratios of 1/48, 1/16 and 1/6.
const VALIDATIONS: [(usize, f32); 4] = [(16, 1.0), (48, 1.0), (128, 1.0), (48, 10.0)];
/// Logarithms to base 2 of the steps by which they are quantised.
const VALIDATION_LOG_STEPS: [f32; 2] = [0.5, -1.0];
/// Side of the held-out crops, pixels.
const VALIDATION_SIDE: usize = 192;
/// Held-out crops at most.
const VALIDATION_CROPS: usize = 24;
/// Groups of crops in the strip.
const STRIP_GROUPS: usize = 3;

/// The network of SCT, as it is trained.
pub struct Sct {
    start: Ae,
    judge: Judge,
    /// Share of the learning rate at which the encoder learns.
    encoder_rate: f64,
    batch: usize,
    crop: usize,
}

impl Sct {
    /// `lpips` on the device that is trained on; `batch` crops a step, a multiple of two; crops of `crop` pixels, a multiple
    /// of 16; the encoder learns at `encoder_rate` times the learning rate: 0, not at all, to 1.
    pub fn new(
        lpips: Lpips,
        loss: Weights,
        encoder_rate: f64,
        batch: usize,
        crop: usize,
    ) -> Result<Self, TrainingError> {
        loss.check().map_err(TrainingError::Setting)?;
        if !(0.0..=1.0).contains(&encoder_rate) {
            return Err(TrainingError::Setting(
                "the encoder's share of the learning rate must be 0 to 1".into(),
            ));
        }
        let start = Ae::new(batch, crop)?;
        Ok(Self { start, judge: Judge { lpips, weights: loss }, encoder_rate, batch, crop })
    }

    /// Crops about zero that arrive.
    fn transmit(&self, network: &Network, batch: &Batch, device: &Device) -> Tensor<4> {
        let constants = device.clone().inner();
        let pictures = batch.pictures(&constants);
        let values = if self.encoder_rate > 0.0 {
            network.encoder.forward(pictures)
        } else {
            network.encoder.valid().forward(pictures)
        };
        let variance = network.decoder.log_variance().inner().exp();
        let received = batch.send(values, variance, &constants);
        network.decoder.forward(received.values, received.variance)
    }
}

impl Task for Sct {
    type Network = Opposed<Network>;
    type Batch = Batch;

    fn name(&self) -> &str {
        "sct"
    }

    fn describe(&self) -> String {
        let Weights { error, perceptual, adversarial } = self.judge.weights;
        let encoder = if self.encoder_rate > 0.0 {
            format!("its encoder learned at {} of the learning rate", self.encoder_rate)
        } else {
            "its encoder was kept as it was".into()
        };
        format!(
            "The network of `ae`, trained further to look right to people, for `sct-integrated` and `sct-modular`: {encoder}. \
             Loss: {error} · ln(mean square error) + {perceptual} · LPIPS (SqueezeNet) + {adversarial} · adversarial; \
             random rates, powers and losses of whole regions; two fifths of the crops quantised instead of noisy."
        )
    }

    fn least_side(&self) -> usize {
        self.crop
    }

    fn crops(&self) -> usize {
        self.batch
    }

    fn start(&self, pictures: &Pictures, seed: u64, device: &Device) -> Result<Self::Network, TrainingError> {
        let network = self.start.start(pictures, seed, device)?.settled(f32::from(ASSUMED_DB));
        Ok(Opposed::new(network, device))
    }

    fn parameters(&self, network: &Self::Network) -> usize {
        network.network.num_params()
    }

    fn learning_rates(&self, rate: f64) -> ModuleLearningRate {
        // The variances are those of the encoder's values.
        let encoder = ParamGroup::from_predicate("network.encoder");
        let variances = ParamGroup::from_predicate("network.decoder.log_variance");
        let of_encoder = rate * self.encoder_rate;
        ModuleLrScheduler::new(rate).with_group(encoder, of_encoder).with_group(variances, of_encoder).step()
    }

    fn batch(&self, pictures: &Pictures, rng: &mut StdRng) -> Batch {
        Batch::draw(pictures.crops(self.batch / GROUP, self.crop, rng), CHANCES, rng)
    }

    fn run(&self, network: &Self::Network, batch: &Batch, device: &Device) -> Outcome {
        let constants = device.clone().inner();
        let arrived = self.transmit(&network.network, batch, device);
        let (pictures, told) = (batch.pictures(&constants), batch.told(&constants));
        let errors = batch.errors(arrived.clone(), pictures.clone());
        let loss =
            self.judge.loss(&network.discriminator, pictures + told.clone(), arrived + told, errors.clone());
        Outcome { loss, errors }
    }

    fn validate(&self, network: &Self::Network, pictures: &Pictures, device: &Device) -> Vec<Figure> {
        let crops = || held_out(pictures, VALIDATION_SIDE, VALIDATION_CROPS / GROUP);
        let mut rng = StdRng::seed_from_u64(7);
        let mut all = Vec::new();
        for (symbols, snr_db) in VALIDATIONS {
            let setting = Setting { adaptation: 0.7, ..Setting::awgn(symbols, snr_db) };
            let batch = Batch::over(crops(), setting, Chances::NONE, &mut StdRng::seed_from_u64(7));
            all.push((format!("at_{snr_db}_db_{symbols}_symbols"), batch));
        }
        for log_step in VALIDATION_LOG_STEPS {
            let batch = Batch::quantised(crops(), log_step.exp2(), &mut rng);
            all.push((format!("quantised_by_2^{log_step}"), batch));
        }
        let figures = |(name, batch): (String, Batch)| {
            let arrived = self.transmit(&network.network, &batch, device);
            let [psnr, lpips] = figures(&self.judge.lpips, &batch, arrived, device);
            [(format!("psnr_db_{name}"), psnr), (format!("lpips_{name}"), lpips)]
        };
        all.into_iter().flat_map(figures).collect()
    }

    fn strip(&self, network: &Self::Network, pictures: &Pictures, device: &Device) -> Option<Picture> {
        let crops = || held_out(pictures, 128, STRIP_GROUPS);
        let mut rows = vec![crops().without_thumbnails().values];
        for (symbols, snr_db) in VALIDATIONS {
            let setting = Setting { adaptation: 0.7, ..Setting::awgn(symbols, snr_db) };
            let batch = Batch::over(crops(), setting, Chances::NONE, &mut StdRng::seed_from_u64(7));
            let arrived = self.transmit(&network.network, &batch, device);
            rows.push(arrived.into_data().iter::<f32>().collect());
        }
        let side = side(pictures, 128);
        strip::rows(&rows, side)
    }

    fn to_bytes(&self, network: &Self::Network) -> Result<Vec<u8>, String> {
        weights::to_bytes(&network.network)
    }

    fn load(&self, bytes: Vec<u8>, device: &Device) -> Result<Self::Network, String> {
        // Training may also begin with the weights of `ae`, whose encoder is told the SNR.
        let network = weights::adaptive_from_bytes(bytes.clone(), device)
            .map(|network| network.settled(f32::from(ASSUMED_DB)))
            .or_else(|_| weights::from_bytes(bytes, device))?;
        Ok(Opposed::new(network, device))
    }
}

/// The greatest multiple of a block, at most `wanted`, that all pictures have.
fn side(pictures: &Pictures, wanted: usize) -> usize {
    wanted.min(pictures.least_side()) / BLOCK * BLOCK
}

/// Crops of held-out pictures, at most `groups` groups.
fn held_out(pictures: &Pictures, wanted: usize, groups: usize) -> Crops {
    let mut crops = pictures.validation_crops(side(pictures, wanted));
    crops.groups = crops.groups.min(groups);
    crops.values.truncate(crops.groups * GROUP * 3 * crops.side * crops.side);
    crops.means.truncate(crops.groups);
    crops
}

/// Mean PSNR in dB and mean LPIPS of crops that arrived.
fn figures(lpips: &Lpips, batch: &Batch, arrived: Tensor<4>, device: &Device) -> [f64; 2] {
    let (pictures, told) = (batch.pictures(device), batch.told(device));
    let errors: Vec<f32> =
        batch.errors(arrived.clone(), pictures.clone()).into_data().iter::<f32>().collect();
    let distances = lpips.between(pictures + told.clone(), (arrived + told).clamp(0.0, 1.0));
    let mean: f32 = distances.mean().into_scalar();
    [psnr_db(&errors), f64::from(mean)]
}

#[cfg(test)]
mod tests;
