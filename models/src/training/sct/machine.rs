//! Training of the machine mode ([`crate::sct::machine`]): what a segmentation network says of a crop is to be said of what
//! arrives of the crop's values, over the random links of [`super::sending`]. The encoder stays as it is.
//!
//! No person labelled the crops: the labels are those of a teacher \[1\], and the figures say how often both agree.
//!
//! 1. G. Hinton, O. Vinyals, J. Dean: Distilling the knowledge in a neural network. arXiv:1503.02531, 2015.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand::rngs::StdRng;
use semcast_common::content::Picture;
use semcast_common::content::classes::{COUNT, OTHER};

use super::super::TrainingError;
use super::super::channel::Setting;
use super::super::pictures::{GROUP, Pictures};
use super::super::task::{Figure, Outcome, Task};
use super::held_out;
use super::labels::Labels;
use super::regions::Chances;
use super::sending::{Batch, Received};
use crate::ae::network::Network;
use crate::ae::weights;
use crate::sct::machine::{MachineNetwork, from_bytes};
use crate::sct::surroundings::{Known, one_hot};

/// How often regions are lost.
const CHANCES: Chances = Chances { damaged: 0.3, lost: 0.3 };
/// Complex symbols a block and SNRs in dB at which held-out pictures are sent.
const VALIDATIONS: [(usize, f32); 4] = [(8, 1.0), (16, 1.0), (48, 1.0), (48, 10.0)];
/// Groups of held-out crops.
const VALIDATION_GROUPS: usize = 16;

/// Least and greatest weight of a class.
const WEIGHTS: (f32, f32) = (0.4, 4.0);

/// How much a block of each class counts: a machine asks for people and cars, of which there are fewer than of sky and road.
fn weights(labels: &[u8]) -> [f32; COUNT] {
    let mut counts = [0.0_f32; COUNT];
    for label in labels.iter().filter(|label| usize::from(**label) < COUNT) {
        counts[usize::from(*label)] += 1.0;
    }
    let seen = counts.iter().filter(|count| **count > 0.0).count().max(1) as f32;
    let mean = counts.iter().sum::<f32>() / seen;
    counts.map(|count| if count > 0.0 { (mean / count).sqrt().clamp(WEIGHTS.0, WEIGHTS.1) } else { 0.0 })
}

/// Whether the teacher says anything of a block.
fn has_class(label: u8) -> bool {
    usize::from(label) < COUNT
}

/// Whether it knows what the block shows.
fn is_known(label: u8) -> bool {
    has_class(label) && label != OTHER
}

/// Of each group of crops, the blocks whose class is not that of the teacher, and all that count. `logits`: how much speaks for each
/// class, `[B, COUNT, h, w]`; `labels`: what the teacher says of each block, crop by crop.
fn mistakes(logits: Tensor<4>, labels: &[u8], counts: impl Fn(u8) -> bool) -> Vec<(usize, usize)> {
    let [crops, _, height, width] = logits.dims();
    let places = height * width;
    let values: Vec<f32> = logits.into_data().iter::<f32>().collect();
    let mut mistakes = vec![(0, 0); crops / GROUP];
    let crops = values.chunks_exact(COUNT * places).zip(labels.chunks_exact(places));
    for (crop, (values, labels)) in crops.enumerate() {
        let (wrong, all) = &mut mistakes[crop / GROUP];
        for (place, &label) in labels.iter().enumerate().filter(|(_, label)| counts(**label)) {
            let of = |class: usize| values[class * places + place];
            let best = (0..COUNT).max_by(|&a, &b| of(a).total_cmp(&of(b)));
            *wrong += usize::from(best != Some(usize::from(label)));
            *all += 1;
        }
    }
    mistakes
}

/// A crop batch with what its blocks show.
pub struct LabelledBatch {
    batch: Batch,
    labels: Vec<u8>,
}

/// The head, as it is trained.
pub struct TrainedMachine {
    codec: Network,
    labels: Box<dyn Labels + Send>,
    tinted: f64,
    batch: usize,
    crop: usize,
}

impl TrainedMachine {
    /// For a codec, whose weight file is given, on the device that is trained on; `tinted`: share of the crops in other light, 0 to 1.
    pub fn new(
        codec: Vec<u8>,
        labels: Box<dyn Labels + Send>,
        tinted: f64,
        (batch, crop): (usize, usize),
        device: &Device,
    ) -> Result<Self, TrainingError> {
        if !(0.0..=1.0).contains(&tinted) {
            return Err(TrainingError::Setting(format!("{tinted} of the crops in other light: 0 to 1")));
        }
        // The same bounds as for the codec.
        super::super::ae::Ae::new(batch, crop)?;
        let codec = weights::from_bytes(codec, device).map_err(TrainingError::Setting)?;
        Ok(Self { codec, labels, tinted, batch, crop })
    }

    fn labelled(&self, batch: Batch) -> LabelledBatch {
        let labels = self.labels.of(&batch.whole, batch.crops.side);
        LabelledBatch { batch, labels }
    }

    /// How much speaks for each class.
    fn classify(&self, network: &MachineNetwork, batch: &Batch, device: &Device) -> Tensor<4> {
        let values = self.codec.encoder.forward(batch.pictures(device));
        let variance = self.codec.decoder.log_variance().exp();
        let Received { values, variance: noise } = batch.send(values, variance.clone(), device);
        network.forward(&Known::of(values, noise, variance, batch.colours(device)))
    }
}

impl Task for TrainedMachine {
    type Network = MachineNetwork;
    type Batch = LabelledBatch;

    fn name(&self) -> &str {
        "sct-machine"
    }

    fn describe(&self) -> String {
        format!(
            "The machine mode of `sct-integrated` and `sct-modular`: the class of each block of 16 x 16 pixels from what arrived \
             of its values, without a picture. Its labels are a segmentation network's, not people's; the encoder stays as it is. \
             {} of the crops were in other light. PSNRs of training are -10 lg of the share of blocks on which both differ.",
            self.tinted
        )
    }

    fn least_side(&self) -> usize {
        self.crop
    }

    fn crops(&self) -> usize {
        self.batch
    }

    fn start(&self, _: &Pictures, seed: u64, device: &Device) -> Result<MachineNetwork, TrainingError> {
        device.seed(seed);
        Ok(MachineNetwork::new(device))
    }

    fn batch(&self, pictures: &Pictures, rng: &mut StdRng) -> LabelledBatch {
        let crops = pictures.crops(self.batch / GROUP, self.crop, rng).tinted(self.tinted, rng);
        self.labelled(Batch::draw(crops, CHANCES, rng))
    }

    fn run(&self, network: &MachineNetwork, batch: &LabelledBatch, device: &Device) -> Outcome {
        let constants = device.clone().inner();
        let logits = self.classify(network, &batch.batch, &constants);
        let [count, _, height, width] = logits.dims();
        let weights = weights(&batch.labels);
        let of_classes =
            Tensor::<4>::from_data(TensorData::new(weights.to_vec(), [1, COUNT, 1, 1]), &constants);
        let wanted = one_hot(&batch.labels, COUNT, [count, height, width], &constants) * of_classes;
        let known: f32 = batch.labels.iter().filter_map(|label| weights.get(usize::from(*label))).sum();
        let loss = (log_softmax(logits.clone(), 1) * wanted).sum().div_scalar(-known.max(1.0));
        // A group of which the teacher says nothing counts as one without a block that is right.
        let share = |(wrong, all): (usize, usize)| if all == 0 { 1.0 } else { wrong as f32 / all as f32 };
        let mistakes = mistakes(logits.inner(), &batch.labels, has_class);
        let errors: Vec<f32> = mistakes.into_iter().map(share).collect();
        let groups = errors.len();
        Outcome { loss, errors: Tensor::from_data(TensorData::new(errors, [groups]), &constants) }
    }

    fn validate(&self, network: &MachineNetwork, pictures: &Pictures, device: &Device) -> Vec<Figure> {
        let figure = |(symbols, snr_db): (usize, f32)| {
            let setting = Setting { adaptation: 0.7, ..Setting::awgn(symbols, snr_db) };
            let crops = held_out(pictures, self.crop, VALIDATION_GROUPS);
            let batch =
                self.labelled(Batch::over(crops, setting, Chances::NONE, &mut StdRng::seed_from_u64(7)));
            let logits = self.classify(network, &batch.batch, device);
            // A head that calls everything `other` is often right, and of no use.
            [("", has_class as fn(u8) -> bool), ("_of_known", is_known)].map(|(kind, counts)| {
                let mistakes = mistakes(logits.clone(), &batch.labels, counts).into_iter();
                let (wrong, all) = mistakes.fold((0, 0), |sum, group| (sum.0 + group.0, sum.1 + group.1));
                let agreement = 1.0 - wrong as f64 / all.max(1) as f64;
                (format!("agreement{kind}_at_{snr_db}_db_{symbols}_symbols"), agreement)
            })
        };
        VALIDATIONS.into_iter().flat_map(figure).collect()
    }

    fn strip(&self, _: &MachineNetwork, _: &Pictures, _: &Device) -> Option<Picture> {
        None
    }

    fn to_bytes(&self, network: &MachineNetwork) -> Result<Vec<u8>, String> {
        weights::to_bytes(network)
    }

    fn load(&self, bytes: Vec<u8>, device: &Device) -> Result<MachineNetwork, String> {
        from_bytes(bytes, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_classes_count_more_and_unknown_blocks_nothing() {
        let labels = [vec![10; 90], vec![1; 10], vec![255; 50]].concat();
        let weights = weights(&labels);
        assert!((weights[1] / weights[10] - 3.0).abs() < 1e-5, "{weights:?}");
        assert_eq!(weights.iter().filter(|weight| **weight > 0.0).count(), 2);
        assert!(super::weights(&[255; 9]).iter().all(|weight| *weight == 0.0));
    }

    /// A head that calls everything `other` is right where the teacher does so, and wrong wherever it knows more.
    #[test]
    fn mistakes_are_counted_over_what_has_a_class_and_over_what_is_known() {
        let device = Device::flex();
        let mut values = vec![0.0; GROUP * COUNT * 2];
        values.chunks_exact_mut(2 * COUNT).for_each(|crop| crop[2 * usize::from(OTHER)..][..2].fill(1.0));
        let logits = Tensor::from_data(TensorData::new(values, [GROUP, COUNT, 1, 2]), &device);
        let mut labels = vec![OTHER; 2 * GROUP];
        (labels[0], labels[1], labels[2]) = (u8::from(OTHER == 0), 255, 255);
        assert_eq!(mistakes(logits.clone(), &labels, has_class), [(1, 2 * GROUP - 2)]);
        assert_eq!(mistakes(logits, &labels, is_known), [(1, 1)]);
    }
}
