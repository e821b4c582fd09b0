//! Which places a segmentation network looked at for its answer.
//!
//! For a class c whose places M the network has found: α = mean over places of ∂ Σ_M y_c / ∂A, for each channel of the features
//! A of the encoder; the map is the positive part of Σ α·A (\[1\], eq. 1 and 2, with \[2\]'s sum over M in place of one score).
//!
//! 1. R. Selvaraju, M. Cogswell, A. Das, R. Vedantam, D. Parikh, D. Batra: Grad-CAM: visual explanations from deep networks via
//!    gradient-based localization. ICCV 2017.
//! 2. K. Vinogradova, A. Dibrov, G. Myers: Towards interpretable semantic segmentation via gradient-weighted class activation
//!    mapping. AAAI 2020.

use burn::tensor::{Tensor, TensorData, activation::relu};
use semcast_common::content::Picture;

use super::{Beside, Segmenter, espnet, espnetv2};
use crate::ModelError;

/// Values of a picture's places, at least zero.
#[derive(Clone, Debug, PartialEq)]
pub struct CamMap {
    /// Places from left to right.
    pub across: usize,
    /// Places from top to bottom.
    pub down: usize,
    /// Values from 0 to 1, row by row.
    pub values: Vec<f32>,
}

impl Segmenter {
    /// The places that matter for some of our classes, each class's largest being one; the largest of all classes counts. A class
    /// that the network has not found adds nothing.
    pub fn gradcam(&self, picture: &Picture, wanted: &[u8]) -> Result<CamMap, ModelError> {
        let (features, beside) = self.features(self.input(picture));
        let (rows, columns, own) = self.own_probabilities(features.clone(), beside.clone())?;
        let places = rows * columns;
        let winner = |place: usize| {
            let of = |class: usize| own[class * places + place];
            (1..self.manner.classes.len())
                .fold(0, |best, class| if of(class) > of(best) { class } else { best })
        };
        let winners: Vec<usize> = (0..places).map(winner).collect();
        let [_, channels, down, across] = features.dims();
        let mut values = vec![0.0_f32; down * across];
        for &class in wanted {
            // Of every class of its own that is this one of ours, the places where it won.
            let own_classes = self.manner.classes.iter().enumerate();
            let mask: Vec<f32> = own_classes
                .flat_map(|(own, &ours)| {
                    winners.iter().map(move |&won| f32::from(ours == class && won == own))
                })
                .collect();
            if mask.iter().all(|&value| value == 0.0) {
                continue;
            }
            let tracked = features.clone().autodiff().require_grad();
            let logits = self.logits(tracked.clone(), beside.clone().tracked());
            let mask = TensorData::new(mask, [1, self.manner.classes.len(), rows, columns]);
            let score = (logits * Tensor::<4>::from_data(mask, &self.device).autodiff()).sum();
            let gradients = score.backward();
            let Some(gradient) = tracked.grad(&gradients) else { continue };
            let weights = gradient.mean_dim(2).mean_dim(3).reshape([1, channels, 1, 1]);
            let map = relu((features.clone() * weights).sum_dim(1));
            let found = map.try_into_vec_as::<f32>();
            let found = found.map_err(|error| ModelError::Internal(format!("the device failed: {error}")))?;
            let most = found.iter().copied().filter(|value| value.is_finite()).fold(0.0, f32::max);
            for (value, found) in values.iter_mut().zip(found) {
                if found.is_finite() && most > 0.0 {
                    *value = value.max(found / most);
                }
            }
        }
        Ok(CamMap { across, down, values })
    }
}

impl Beside {
    /// The same among tensors that are differentiated; nothing asks for its own derivative.
    fn tracked(self) -> Self {
        match self {
            Self::Small(beside) => Self::Small(beside.autodiff().into()),
            Self::EspNet(skips) => {
                let espnet::Skips { half, quarter } = *skips;
                Self::EspNet(espnet::Skips { half: half.autodiff(), quarter: quarter.autodiff() }.into())
            }
            Self::EspNetV2(skips) => Self::EspNetV2(espnetv2::Skips((*skips).0.map(Tensor::autodiff)).into()),
        }
    }
}
