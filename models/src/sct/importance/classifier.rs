//! Which places a classifier looks at: Grad-CAM of SqueezeNet's likeliest class.
//!
//! SqueezeNet's last layer is a 1 × 1 convolution, a rectifier and a mean over places. So the derivative of the score of class c by
//! the features A is known without differentiating: its mean over places is α_k = w_ck times the share of places where the score is
//! positive, and the map, the positive part of Σ α_k·A_k, is that of Σ w_ck·A_k (R. Selvaraju et al.: Grad-CAM. ICCV 2017, eq. 1 and
//! 2, and section 3.1).

use semcast_common::content::Picture;

use crate::foreign::ForeignWeights;
use crate::metrics::squeezenet::{Backbone, CHANNELS, LEAST_SIDE};
use crate::metrics::{WeightsError, ncnn};
use crate::sct::analysis::reduced::resized;
use crate::sct::segmentation::gradcam::CamMap;
use crate::{ModelError, OpenDevice};

/// Longer side at which pictures are looked at, pixels; ImageNet's were cut to 227.
const LONGEST: usize = 320;
/// Features of the last layer.
const FEATURES: usize = CHANNELS[CHANNELS.len() - 1];
/// Most classes.
const MOST_CLASSES: usize = 1 << 16;

/// SqueezeNet 1.1 with its classifier.
#[derive(Clone, Debug)]
pub struct Classifier {
    backbone: Backbone,
    /// For each class, the weight of each feature.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Classifier {
    /// From ncnn's pair of files, `.param` and `.bin`.
    pub fn from_ncnn(param: &[u8], bin: &[u8], device: &OpenDevice) -> Result<Self, WeightsError> {
        let last = ncnn::convolutions(param, bin).map_err(WeightsError::Ncnn)?.pop();
        let last = last.ok_or_else(|| WeightsError::Other("it has no convolutions".into()))?;
        Self::new(Backbone::from_ncnn(param, bin, device)?, &last.shape, last.weight, last.bias)
    }

    /// From a checkpoint of torchvision's `squeezenet1_1`.
    pub fn from_checkpoint(bytes: Vec<u8>, device: &OpenDevice) -> Result<Self, WeightsError> {
        let file = ForeignWeights::parse(bytes.clone())?;
        let (shape, weight) = file.values("classifier.1.weight")?;
        let (_, bias) = file.values("classifier.1.bias")?;
        Self::new(Backbone::from_checkpoint(bytes, device)?, &shape, weight, bias)
    }

    fn new(
        backbone: Backbone,
        shape: &[usize],
        weight: Vec<f32>,
        bias: Vec<f32>,
    ) -> Result<Self, WeightsError> {
        let classes = shape.first().copied().unwrap_or(0);
        let fits = shape == [classes, FEATURES, 1, 1] && (1..=MOST_CLASSES).contains(&classes);
        let numbers = weight.iter().chain(&bias).all(|value| value.is_finite());
        if fits && bias.len() == classes && weight.len() == classes * FEATURES && numbers {
            Ok(Self { backbone, weight, bias })
        } else {
            Err(WeightsError::Other(format!(
                "its classifier is of {shape:?} weights with {} biases instead of [1 to {MOST_CLASSES}, {FEATURES}, 1, 1], all of them numbers",
                bias.len()
            )))
        }
    }

    /// The likeliest class of a picture, and the places that speak for it.
    pub fn look(&self, picture: &Picture) -> Result<(usize, CamMap), ModelError> {
        let failed = |error: &dyn std::fmt::Display| ModelError::Internal(format!("the classifier: {error}"));
        let sides = [picture.width() as usize, picture.height() as usize];
        let longer = sides[0].max(sides[1]);
        let [width, height] = sides.map(|side| (side * LONGEST / longer).max(2 * LEAST_SIDE as usize));
        let small = Picture::new(width as u32, height as u32, resized(picture, width, height));
        let small = small.map_err(|error| failed(&error))?;
        let (down, across, features) = self.backbone.last(&small).map_err(|error| failed(&error))?;
        let places = down * across;
        // Logits of a class over the places, without its bias.
        let logits = |class: usize| {
            let mut sums = vec![0.0_f32; places];
            let weights = &self.weight[class * FEATURES..][..FEATURES];
            for (weight, plane) in weights.iter().zip(features.chunks_exact(places)) {
                sums.iter_mut().zip(plane).for_each(|(sum, value)| *sum += weight * value);
            }
            sums
        };
        let mut best = (f32::NEG_INFINITY, 0, Vec::new());
        for (class, bias) in self.bias.iter().enumerate() {
            let sums = logits(class);
            let score: f32 = sums.iter().map(|sum| (sum + bias).max(0.0)).sum();
            if score > best.0 {
                best = (score, class, sums);
            }
        }
        let (_, class, sums) = best;
        let most = sums.iter().copied().fold(0.0, f32::max);
        let value = |sum: f32| if most > 0.0 { sum.max(0.0) / most } else { 0.0 };
        Ok((class, CamMap { across, down, values: sums.into_iter().map(value).collect() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeviceChoice, open_device};

    fn classifier(classes: usize) -> Classifier {
        let backbone = Backbone::random(7, &open_device(DeviceChoice::Cpu).unwrap());
        let weight = (0..classes * FEATURES).map(|at| (at * 37 % 101) as f32 / 50.0 - 1.0).collect();
        Classifier::new(backbone, &[classes, FEATURES, 1, 1], weight, vec![0.1; classes]).unwrap()
    }

    #[test]
    fn every_size_has_a_class_and_a_map() {
        let classifier = classifier(5);
        for (width, height) in [(1, 1), (700, 3), (64, 200)] {
            let value = |at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8;
            let picture = Picture::new(width, height, (0..3 * width * height).map(value).collect()).unwrap();
            let (class, map) = classifier.look(&picture).unwrap();
            assert!(class < 5 && map.values.len() == map.across * map.down);
            assert!(map.values.iter().all(|value| (0.0..=1.0).contains(value)));
        }
    }

    #[test]
    fn other_classifiers_are_refused() {
        let backbone = classifier(2).backbone;
        let refused = |shape: &[usize], weights: usize, biases: usize| {
            let found = Classifier::new(backbone.clone(), shape, vec![0.0; weights], vec![0.0; biases]);
            found.unwrap_err().to_string()
        };
        for (shape, weights, biases) in
            [(&[2, 100, 1, 1][..], 200, 2), (&[2, 512, 1, 1], 1024, 3), (&[], 0, 0), (&[0, 512, 1, 1], 0, 0)]
        {
            assert!(refused(shape, weights, biases).contains("classifier"));
        }
    }
}
