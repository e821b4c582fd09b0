//! Training of the correction ([`crate::sct::correction`]): whole regions are damaged, and what the decoder makes of the
//! repaired values is judged as in [`super`], beside the likelihood of the values themselves. Encoder and decoder stay as they
//! are.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use semcast_common::content::Picture;

use super::super::TrainingError;
use super::super::ae::strip;
use super::super::channel::Setting;
use super::super::pictures::{GROUP, Pictures};
use super::super::task::{Figure, Outcome, Task};
use super::judge::{Judge, Opposed, Weights};
use super::labels::{Labels, UNKNOWN_LABEL};
use super::regions::Chances;
use super::sending::{Batch, Received};
use super::{figures, held_out, side};
use crate::ae::network::{CHANNELS, Network};
use crate::ae::weights;
use crate::metrics::Lpips;
use crate::sct::colour;
use crate::sct::correction::{CorrectionNetwork, LABELS, as_received, from_bytes};
use crate::sct::surroundings::{Known, one_hot};

/// How often regions are lost.
const CHANCES: Chances = Chances { damaged: 0.9, lost: 0.4 };
/// Share of the batches of which no label is known, as none is where no segmentation network is named.
const UNLABELLED: f64 = 0.5;
/// Weight of the likelihood of the values.
const LIKELIHOOD: f64 = 0.05;
/// Variance left of a channel that tells the colour of a lost block, in units of the channel's: its region's mean is known.
const COLOUR_ERROR: f32 = 0.3;
/// Least variance left, in units of that of the channel, that the likelihood counts.
const LEAST_LEFT: f32 = 1.0e-3;
/// SNRs in dB at which held-out pictures are sent with losses, 48 symbols a block.
const VALIDATIONS: [f32; 2] = [1.0, 10.0];
/// Side of the held-out crops, pixels; how many groups of them.
const VALIDATION_SIDE: usize = 192;
const VALIDATION_GROUPS: usize = 8;

/// A crop batch with what its blocks show.
pub struct LabelledBatch {
    batch: Batch,
    labels: Vec<u8>,
}

/// The correction, as it is trained.
pub struct TrainedCorrection {
    codec: Network,
    judge: Judge,
    labels: Option<Box<dyn Labels + Send>>,
    /// One for channels that tell colour, `[1, CHANNELS, 1, 1]`.
    colours: Tensor<4>,
    batch: usize,
    crop: usize,
}

fn unlabelled(batch: Batch) -> LabelledBatch {
    let blocks = batch.count() * batch.places() * batch.places();
    LabelledBatch { labels: vec![UNKNOWN_LABEL; blocks], batch }
}

impl TrainedCorrection {
    /// For a codec, whose weight file is given; `lpips` and `codec` on the device that is trained on. Without `labels`, the
    /// correction learns to do without.
    pub fn new(
        codec: Vec<u8>,
        lpips: Lpips,
        loss: Weights,
        labels: Option<Box<dyn Labels + Send>>,
        (batch, crop): (usize, usize),
        device: &Device,
    ) -> Result<Self, TrainingError> {
        loss.check().map_err(TrainingError::Setting)?;
        // The same bounds as for the codec.
        super::super::ae::Ae::new(batch, crop)?;
        let codec = weights::from_bytes(codec, device).map_err(TrainingError::Setting)?;
        let colours = colour::channels(&codec, device);
        Ok(Self { codec, judge: Judge { lpips, weights: loss }, labels, colours, batch, crop })
    }

    fn labelled(&self, batch: Batch) -> LabelledBatch {
        match &self.labels {
            Some(labels) => LabelledBatch { labels: labels.of(&batch.whole, batch.crops.side), batch },
            None => unlabelled(batch),
        }
    }

    /// The encoder's values in units of the spread of their channel, and what is known of them where they arrive.
    fn receive(&self, batch: &Batch, device: &Device) -> (Tensor<4>, Known) {
        let values = self.codec.encoder.forward(batch.pictures(device));
        let variance = self.codec.decoder.log_variance().exp();
        let Received { values: received, variance: noise } =
            batch.send(values.clone(), variance.clone(), device);
        let spread = variance.clone().sqrt().reshape([1, CHANNELS, 1, 1]);
        let mut known = Known::of(received, noise, variance, batch.colours(device));
        // Of a lost block, the map still tells the colour of its region.
        let told = batch.lost(device) * self.colours.clone();
        let painted = self.codec.encoder.forward(batch.painted(device)) / spread.clone();
        let trust = told.mul_scalar(1.0 / (1.0 + COLOUR_ERROR));
        known.estimate = known.estimate + painted * trust.clone();
        known.trust = known.trust + trust;
        (values / spread, known)
    }

    fn decode(&self, known: Known) -> Tensor<4> {
        let (received, noise) = as_received(known, self.codec.decoder.log_variance().exp());
        self.codec.decoder.forward(received, noise)
    }

    fn repair(
        &self,
        network: &CorrectionNetwork,
        known: &Known,
        batch: &LabelledBatch,
        device: &Device,
    ) -> Known {
        let [count, _, height, width] = known.trust.dims();
        network.forward(known, one_hot(&batch.labels, LABELS, [count, height, width], device))
    }

    fn damaged(&self, pictures: &Pictures, snr_db: f32, groups: usize, wanted: usize) -> LabelledBatch {
        let setting = Setting { adaptation: 0.7, ..Setting::awgn(48, snr_db) };
        let crops = held_out(pictures, wanted, groups);
        let chances = Chances { damaged: 1.0, ..CHANCES };
        self.labelled(Batch::over(crops, setting, chances, &mut StdRng::seed_from_u64(11)))
    }
}

impl Task for TrainedCorrection {
    type Network = Opposed<CorrectionNetwork>;
    type Batch = LabelledBatch;

    fn name(&self) -> &str {
        "sct-correction"
    }

    fn describe(&self) -> String {
        let Weights { error, perceptual, adversarial } = self.judge.weights;
        let labels = if self.labels.is_some() { "labels of a segmentation network" } else { "no labels" };
        format!(
            "The correction of `sct-integrated` and `sct-modular`: makes up values of lost regions before the decoder \
             makes a picture of them. Encoder and decoder stay as they are; {labels}. Loss: {error} · ln(mean square error) + \
             {perceptual} · LPIPS (SqueezeNet) + {adversarial} · adversarial + {LIKELIHOOD} · negative logarithm of the \
             likelihood of the values."
        )
    }

    fn least_side(&self) -> usize {
        self.crop
    }

    fn crops(&self) -> usize {
        self.batch
    }

    fn start(&self, _: &Pictures, seed: u64, device: &Device) -> Result<Self::Network, TrainingError> {
        device.seed(seed);
        Ok(Opposed::new(CorrectionNetwork::new(device), device))
    }

    fn parameters(&self, network: &Self::Network) -> usize {
        network.network.num_params()
    }

    fn batch(&self, pictures: &Pictures, rng: &mut StdRng) -> LabelledBatch {
        let batch = Batch::draw(pictures.crops(self.batch / GROUP, self.crop, rng), CHANCES, rng);
        if rng.random_bool(UNLABELLED) { unlabelled(batch) } else { self.labelled(batch) }
    }

    fn run(&self, network: &Self::Network, batch: &LabelledBatch, device: &Device) -> Outcome {
        let constants = device.clone().inner();
        let sent = &batch.batch;
        let (values, known) = self.receive(sent, &constants);
        let repaired = self.repair(&network.network, &known, batch, &constants);
        // Of a normal distribution, where there is something to tell.
        let left = repaired.trust.clone().neg().add_scalar(1.0).clamp_min(LEAST_LEFT);
        let squares = (repaired.estimate.clone() - values).square();
        let uncertain = known.trust.neg().add_scalar(1.0).greater_elem(LEAST_LEFT).float();
        let likelihood = ((squares / left.clone() + left.log()) * uncertain).mean();
        let arrived = self.decode(repaired);
        let (pictures, told) = (sent.pictures(&constants), sent.told(&constants));
        let errors = sent.errors(arrived.clone(), pictures.clone());
        let judged =
            self.judge.loss(&network.discriminator, pictures + told.clone(), arrived + told, errors.clone());
        Outcome { loss: judged + likelihood.mul_scalar(LIKELIHOOD), errors }
    }

    fn validate(&self, network: &Self::Network, pictures: &Pictures, device: &Device) -> Vec<Figure> {
        let mut all = Vec::new();
        for snr_db in VALIDATIONS {
            let batch = self.damaged(pictures, snr_db, VALIDATION_GROUPS, VALIDATION_SIDE);
            let (_, known) = self.receive(&batch.batch, device);
            let repaired = self.repair(&network.network, &known, &batch, device);
            for (what, known) in [("as_received", known), ("corrected", repaired)] {
                let [psnr, lpips] = figures(&self.judge.lpips, &batch.batch, self.decode(known), device);
                all.push((format!("psnr_db_{what}_at_{snr_db}_db"), psnr));
                all.push((format!("lpips_{what}_at_{snr_db}_db"), lpips));
            }
        }
        all
    }

    /// Rows: as they are, as received with losses, corrected.
    fn strip(&self, network: &Self::Network, pictures: &Pictures, device: &Device) -> Option<Picture> {
        let batch = self.damaged(pictures, 10.0, 3, 128);
        let (_, known) = self.receive(&batch.batch, device);
        let repaired = self.repair(&network.network, &known, &batch, device);
        let mut rows = vec![batch.batch.crops.values.clone()];
        for known in [known, repaired] {
            rows.push(self.decode(known).into_data().iter::<f32>().collect());
        }
        strip::rows(&rows, side(pictures, 128))
    }

    fn to_bytes(&self, network: &Self::Network) -> Result<Vec<u8>, String> {
        weights::to_bytes(&network.network)
    }

    fn load(&self, bytes: Vec<u8>, device: &Device) -> Result<Self::Network, String> {
        Ok(Opposed::new(from_bytes(bytes, device)?, device))
    }
}
