//! Segmentation: picture → a class for each place.
//!
//! Our own [`small`] network comes with the program; [`espnet`] and [`espnetv2`] are loaded from their published files, which
//! the user names. All answer in the classes of [`semcast_common::content::classes`], whatever their own are. [`Segmenter::gradcam`] tells which places a
//! network looked at for its answer.

pub mod espnet;
pub mod espnetv2;
pub mod gradcam;
mod layers;
pub mod small;

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData, activation::softmax};
use semcast_common::content::Picture;

use super::analysis::reduced::resized;
use super::importance::classifier::Classifier;
use crate::foreign::{ForeignError, ForeignWeights};
use crate::{ModelError, OpenDevice};
use espnet::EspNet;
use espnetv2::EspNetV2;
use semcast_common::content::classes::{CAMVID, CITYSCAPES, COUNT, OTHER, PASCAL};
use small::Small;

/// A network by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkName {
    /// The network that comes with the program.
    #[default]
    Small,
    /// ESPNet: `espnet_p_2_q_8.pth` (Cityscapes), `espnet_p_2_q_8_camvid.pth` (CamVid).
    EspNet,
    /// ESPNetv2: `espnetv2_s_1.0_pascal_256x256.pth` and its kin (Pascal VOC, Cityscapes).
    EspNetV2,
}

impl NetworkName {
    /// All names.
    pub const ALL: [Self; 3] = [Self::Small, Self::EspNet, Self::EspNetV2];

    /// The name used by `--segmentation`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::EspNet => "espnet",
            Self::EspNetV2 => "espnetv2",
        }
    }
}

impl std::fmt::Display for NetworkName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for NetworkName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|network| network.name() == name);
        found.ok_or_else(|| format!("unknown segmentation network {name:?}: one of small, espnet, espnetv2"))
    }
}

/// The files of a classifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassifierFiles {
    /// ncnn's .param and .bin.
    Ncnn(Arc<[u8]>, Arc<[u8]>),
    /// A checkpoint of PyTorch or safetensors.
    Checkpoint(Arc<[u8]>),
}

/// Which network tells a sender what the places of its pictures show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// None: nobody tells, and regions are cut by how they look.
    pub network: Option<NetworkName>,
    /// Its weight file, for those that do not come with the program.
    pub weights: Option<Arc<[u8]>>,
    /// A classifier, whose class Grad-CAM is about then.
    pub classifier: Option<ClassifierFiles>,
}

impl Choice {
    /// The network, ready to compute.
    pub fn open(&self, device: &OpenDevice) -> Result<Option<Segmenter>, ModelError> {
        let Some(network) = self.network else { return Ok(None) };
        let segmenter = match &self.weights {
            Some(weights) => Segmenter::load(network, weights.to_vec(), device)?,
            None if network == NetworkName::Small => Segmenter::new(device)?,
            None => {
                return Err(ModelError::Weights(format!(
                    "the segmentation network {network} needs its weight file"
                )));
            }
        };
        let classifier = match &self.classifier {
            None => return Ok(Some(segmenter)),
            Some(ClassifierFiles::Ncnn(param, bin)) => Classifier::from_ncnn(param, bin, device),
            Some(ClassifierFiles::Checkpoint(bytes)) => Classifier::from_checkpoint(bytes.to_vec(), device),
        };
        let classifier =
            classifier.map_err(|error| ModelError::Weights(format!("the classifier: {error}")))?;
        Ok(Some(segmenter.with_classifier(classifier)))
    }
}

/// A class for each place of a picture; places share the picture evenly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelMap {
    /// Places from left to right.
    pub across: usize,
    /// Places from top to bottom.
    pub down: usize,
    /// Classes, row by row.
    pub labels: Vec<u8>,
}

/// How a network takes pictures, and what its answers mean.
#[derive(Clone, Copy, Debug)]
struct Manner {
    /// Longer side of the pictures that it was trained with, pixels.
    longest: usize,
    /// Sides are multiples of this many pixels.
    unit: usize,
    /// Blue comes first.
    blue_first: bool,
    /// What is taken from a value of 0 to 255, and what it is divided by then.
    mean: [f32; 3],
    divisor: [f32; 3],
    /// Our class for each of its own.
    classes: &'static [u8],
}

const fn inverse(values: [f32; 3], by: f32) -> [f32; 3] {
    [values[0] * by, values[1] * by, values[2] * by]
}

/// As published with ESPNet: mean and deviation of the training pictures' blue, green and red, and another 255.
const ESPNET_CITYSCAPES: Manner = Manner {
    longest: 1024,
    unit: 8,
    blue_first: true,
    mean: [72.392_31, 82.908_936, 73.158_4],
    divisor: inverse([45.319_22, 46.152_893, 44.914_833], 255.0),
    classes: &CITYSCAPES,
};

/// The same with the mean and deviation of CamVid's training pictures.
const ESPNET_CAMVID: Manner = Manner {
    longest: 480,
    unit: 8,
    blue_first: true,
    mean: [110.594, 108.610, 105.368],
    divisor: inverse([78.335, 79.535, 78.411], 255.0),
    classes: &CAMVID,
};

/// As published with ESPNetv2: mean and deviation of ImageNet.
const ESPNETV2: Manner = Manner {
    longest: 384,
    unit: 16,
    blue_first: false,
    mean: inverse([0.485, 0.456, 0.406], 255.0),
    divisor: inverse([0.229, 0.224, 0.225], 255.0),
    classes: &PASCAL,
};

const OWN: [u8; COUNT] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];

const SMALL: Manner = Manner {
    longest: 256,
    unit: small::FEATURE_PIXELS,
    blue_first: false,
    mean: [0.0; 3],
    divisor: [255.0; 3],
    classes: &OWN,
};

#[derive(Clone, Debug)]
enum Network {
    Small(Box<Small>),
    EspNet(Box<EspNet>),
    EspNetV2(Box<EspNetV2>),
}

/// What an encoder hands on beside its features.
#[derive(Clone)]
enum Beside {
    Small(Box<Tensor<4>>),
    EspNet(Box<espnet::Skips>),
    EspNetV2(Box<espnetv2::Skips>),
}

/// A network that is ready to compute. Cheap to clone: clones share the weights.
#[derive(Clone, Debug)]
pub struct Segmenter {
    network: Network,
    manner: Manner,
    device: Device,
    classifier: Option<Arc<Classifier>>,
}

fn unusable(error: impl std::fmt::Display) -> ModelError {
    ModelError::Weights(format!("the segmentation network cannot be used: {error}"))
}

impl Segmenter {
    /// The network that comes with the program.
    pub fn new(device: &OpenDevice) -> Result<Self, ModelError> {
        Self::load(NetworkName::Small, small::WEIGHTS.to_vec(), device)
    }

    /// The network in the bytes of a weight file.
    pub fn load(name: NetworkName, bytes: Vec<u8>, device: &OpenDevice) -> Result<Self, ModelError> {
        let device = &device.device;
        if name == NetworkName::Small {
            return Ok(Self::of_small(Small::from_bytes(bytes, device).map_err(unusable)?, device));
        }
        let file = ForeignWeights::parse(bytes).map_err(unusable)?;
        let count = |tensor: &str| Ok(file.values(tensor)?.0.first().copied().unwrap_or(0));
        let (network, count) = match name {
            NetworkName::EspNet => {
                let network = EspNet::load(&file, device).map_err(unusable)?;
                let count: Result<usize, ForeignError> = count("encoder.classifier.conv.weight");
                (Network::EspNet(Box::new(network)), count.map_err(unusable)?)
            }
            _ => {
                let network = EspNetV2::load(&file, device).map_err(unusable)?;
                let count: Result<usize, ForeignError> = count("bu_dec_l4.merge_layer.3.weight");
                (Network::EspNetV2(Box::new(network)), count.map_err(unusable)?)
            }
        };
        let manner = match (&network, count) {
            (Network::EspNet(_), 12) => ESPNET_CAMVID,
            (Network::EspNet(_), 20) => ESPNET_CITYSCAPES,
            (Network::EspNetV2(_), 20) => Manner { longest: 512, classes: &CITYSCAPES, ..ESPNETV2 },
            (Network::EspNetV2(_), 21) => ESPNETV2,
            _ => {
                return Err(unusable(format!(
                    "it has {count} classes; known are 12 (CamVid, ESPNet), 20 (Cityscapes) and 21 (Pascal VOC, ESPNetv2)"
                )));
            }
        };
        Ok(Self { network, manner, device: device.clone(), classifier: None })
    }

    /// Our own network with weights of its own.
    pub fn of_small(network: Small, device: &Device) -> Self {
        Self {
            network: Network::Small(Box::new(network)),
            manner: SMALL,
            device: device.clone(),
            classifier: None,
        }
    }

    /// The same with pictures made smaller or larger to another longer side, pixels.
    pub fn with_longest(mut self, longest: usize) -> Self {
        self.manner.longest = longest.clamp(4 * self.manner.unit, 2048);
        self
    }

    /// The same beside a classifier, which is the network of the task then.
    pub fn with_classifier(mut self, classifier: Classifier) -> Self {
        self.classifier = Some(Arc::new(classifier));
        self
    }

    /// The classifier that is the network of the task, if there is one.
    pub fn classifier(&self) -> Option<&Classifier> {
        self.classifier.as_deref()
    }

    /// Which of our classes it knows.
    pub fn known(&self) -> [bool; COUNT] {
        let mut known = [false; COUNT];
        self.manner.classes.iter().for_each(|&class| known[usize::from(class)] = true);
        known
    }

    /// Size at which a picture is looked at.
    fn size(&self, picture: &Picture) -> [usize; 2] {
        let Manner { longest, unit, .. } = self.manner;
        let sides = [picture.height() as usize, picture.width() as usize];
        let longer = sides[0].max(sides[1]);
        // Small pictures are enlarged, but not to a blur.
        let target = longest.min(2 * longer);
        sides.map(|side| ((side * target + longer * unit / 2) / (longer * unit)).max(2) * unit)
    }

    /// The picture as the network takes it, `[1, 3, H, W]`.
    fn input(&self, picture: &Picture) -> Tensor<4> {
        let [height, width] = self.size(picture);
        let pixels = resized(picture, width, height);
        let Manner { blue_first, mean, divisor, .. } = self.manner;
        let mut values = Vec::with_capacity(pixels.len());
        for plane in 0..3 {
            let from = if blue_first { 2 - plane } else { plane };
            let value = |pixel: &[u8]| (f32::from(pixel[from]) - mean[plane]) / divisor[plane];
            values.extend(pixels.chunks_exact(3).map(value));
        }
        Tensor::from_data(TensorData::new(values, [1, 3, height, width]), &self.device)
    }

    fn features(&self, input: Tensor<4>) -> (Tensor<4>, Beside) {
        match &self.network {
            Network::Small(network) => {
                let (features, beside) = network.features(input);
                (features, Beside::Small(Box::new(beside)))
            }
            Network::EspNet(network) => {
                let (features, skips) = network.features(input);
                (features, Beside::EspNet(Box::new(skips)))
            }
            Network::EspNetV2(network) => {
                let (features, skips) = network.features(input);
                (features, Beside::EspNetV2(Box::new(skips)))
            }
        }
    }

    /// Logits of the network's own classes.
    fn logits(&self, features: Tensor<4>, beside: Beside) -> Tensor<4> {
        match (&self.network, beside) {
            (Network::Small(network), Beside::Small(beside)) => network.classes(features, *beside),
            (Network::EspNet(network), Beside::EspNet(skips)) => network.classes(features, *skips),
            (Network::EspNetV2(network), Beside::EspNetV2(skips)) => network.classes(features, *skips),
            // Features and what is beside them come from one call of `features`.
            _ => features,
        }
    }

    /// Probabilities of our classes: places across and down, and for each place, row by row, [`COUNT`] values.
    pub fn probabilities(&self, picture: &Picture) -> Result<(usize, usize, Vec<f32>), ModelError> {
        let (features, beside) = self.features(self.input(picture));
        let (down, across, own) = self.own_probabilities(features, beside)?;
        let (places, count) = (down * across, self.manner.classes.len());
        let mut found = vec![0.0; places * COUNT];
        for (class, plane) in self.manner.classes.iter().zip(own.chunks_exact(places)).take(count) {
            for (place, value) in plane.iter().enumerate() {
                found[place * COUNT + usize::from(*class)] += value;
            }
        }
        Ok((across, down, found))
    }

    /// Rows, columns and probabilities of the network's own classes, plane by plane.
    fn own_probabilities(
        &self,
        features: Tensor<4>,
        beside: Beside,
    ) -> Result<(usize, usize, Vec<f32>), ModelError> {
        let logits = self.logits(features, beside);
        let [_, _, down, across] = logits.dims();
        let values = softmax(logits, 1).try_into_vec_as::<f32>();
        let values = values.map_err(|error| ModelError::Internal(format!("the device failed: {error}")))?;
        if values.iter().all(|value| value.is_finite()) {
            Ok((down, across, values))
        } else {
            Err(ModelError::Weights("the segmentation network gives what is no number".into()))
        }
    }

    /// The class of each place: the likeliest of the network's own, as one of ours.
    pub fn segment(&self, picture: &Picture) -> Result<LabelMap, ModelError> {
        let (features, beside) = self.features(self.input(picture));
        let (down, across, own) = self.own_probabilities(features, beside)?;
        let places = down * across;
        let mut best = vec![(f32::NEG_INFINITY, OTHER); places];
        for (plane, &class) in own.chunks_exact(places).zip(self.manner.classes) {
            for (best, &value) in best.iter_mut().zip(plane) {
                if value > best.0 {
                    *best = (value, class);
                }
            }
        }
        Ok(LabelMap { across, down, labels: best.into_iter().map(|(_, class)| class).collect() })
    }
}

impl LabelMap {
    /// The class that most of each block of `side` pixels shows, of a picture of a size; blocks at its end may be cut.
    pub fn majority(&self, width: usize, height: usize, side: usize) -> Vec<u8> {
        self.weighed(width, height, side, &[1; COUNT])
    }

    /// The same, where each place counts as often as its class has it in `weights`.
    pub fn weighed(&self, width: usize, height: usize, side: usize, weights: &[usize; COUNT]) -> Vec<u8> {
        let (across, down) = (width.div_ceil(side), height.div_ceil(side));
        let span = |block: usize, pixels: usize, places: usize| {
            let start = (block * side * places / pixels).min(places - 1);
            let end = (((block + 1) * side).min(pixels) * places).div_ceil(pixels);
            start..end.clamp(start + 1, places)
        };
        let mut labels = Vec::with_capacity(across * down);
        for row in 0..down {
            let rows = span(row, height, self.down);
            for column in 0..across {
                let columns = span(column, width, self.across);
                let mut counts = [0_usize; COUNT];
                for place in rows.clone() {
                    for label in &self.labels[place * self.across..][columns.clone()] {
                        counts[usize::from(*label).min(COUNT - 1)] += 1;
                    }
                }
                let most = (0..COUNT).rev().max_by_key(|&class| counts[class] * weights[class]);
                labels.push(most.unwrap_or(0) as u8);
            }
        }
        labels
    }
}

#[cfg(test)]
mod tests;
