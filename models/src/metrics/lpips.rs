//! LPIPS v0.1 (reference 3 of the [parent module](super), eq. 1) with the features of SqueezeNet 1.1.
//!
//! Features of both pictures are brought to unit length at every place; the squares of their differences are weighted by
//! channel, averaged over the places, and added up over the layers. 0 for equal pictures; most pairs stay below 1.

use burn::tensor::{Tensor, TensorData};
use semcast_common::content::Picture;

use super::squeezenet::{Backbone, CHANNELS, numbers};
use super::{MetricError, WeightsError, same_size};
use crate::foreign::ForeignWeights;

/// Keeps features of zero length from being divided by it.
const LITTLE: f32 = 1e-10;

/// The measure with its weights. Cheap to clone: clones share the weights.
#[derive(Clone, Debug)]
pub struct Lpips {
    backbone: Backbone,
    /// For each layer `[1, channels, 1, 1]`.
    linear: Vec<Tensor<4>>,
}

impl Lpips {
    /// From a backbone and the bytes of the linear weights that go with it: the file `squeeze.pth` of LPIPS v0.1.
    pub fn new(backbone: Backbone, linear: Vec<u8>) -> Result<Self, WeightsError> {
        let weights = ForeignWeights::parse(linear)?;
        let mut layers = Vec::new();
        for (at, channels) in CHANNELS.into_iter().enumerate() {
            let name = format!("lin{at}.model.1.weight");
            let (shape, values) = weights.values(&name)?;
            if shape != [1, channels, 1, 1] {
                return Err(WeightsError::Other(format!(
                    "{name} is of {shape:?} values instead of [1, {channels}, 1, 1]; those for SqueezeNet are in squeeze.pth"
                )));
            }
            layers.push(values);
        }
        Self::with_layers(backbone, layers)
    }

    /// All channels weigh the same: for tests that only need a measure of some kind.
    #[cfg(test)]
    pub(crate) fn uniform(backbone: Backbone) -> Self {
        let layers = CHANNELS.iter().map(|&channels| vec![1.0 / channels as f32; channels]).collect();
        Self::with_layers(backbone, layers).unwrap()
    }

    /// From weights a channel, for each layer.
    fn with_layers(backbone: Backbone, layers: Vec<Vec<f32>>) -> Result<Self, WeightsError> {
        if !layers.iter().flatten().all(|weight| weight.is_finite() && *weight >= 0.0) {
            return Err(WeightsError::Other(
                "there are linear weights below zero, or that are no numbers".into(),
            ));
        }
        let tensor = |values: Vec<f32>| {
            let shape = [1, values.len(), 1, 1];
            Tensor::from_data(TensorData::new(values, shape), backbone.device())
        };
        let linear = layers.into_iter().map(tensor).collect();
        Ok(Self { backbone, linear })
    }

    /// The distances of pairs of pictures of values of 0 to 1, `[B, 3, H, W]` each → `[B]`; differentiable, for training.
    /// Sides of [`LEAST_SIDE`](super::squeezenet::LEAST_SIDE) at least.
    pub fn between(&self, originals: Tensor<4>, received: Tensor<4>) -> Tensor<1> {
        let pairs = self.backbone.features(originals).into_iter().zip(self.backbone.features(received));
        let taps = pairs.enumerate().map(|(tap, (first, second))| {
            let [batch, _, height, width] = first.dims();
            self.difference(tap, first, second).reshape([batch, height * width]).mean_dim(1).reshape([batch])
        });
        // There are seven: the sum is that of the first and the others.
        taps.reduce(|sum, tap| sum + tap).unwrap_or_else(|| Tensor::zeros([0], self.backbone.device()))
    }

    /// Weighted squares of the differences of features of unit length, `[B, 1, h, w]`.
    fn difference(&self, tap: usize, first: Tensor<4>, second: Tensor<4>) -> Tensor<4> {
        // The root of nothing has no slope.
        let unit = |features: Tensor<4>| {
            let length = features.clone().square().sum_dim(1).add_scalar(LITTLE * LITTLE).sqrt();
            features / length
        };
        ((unit(first) - unit(second)).square() * self.linear[tap].clone()).sum_dim(1)
    }

    /// The distance of two pictures of one size, each side at least [`LEAST_SIDE`](super::squeezenet::LEAST_SIDE) pixels.
    pub fn distance(&self, first: &Picture, second: &Picture) -> Result<f64, MetricError> {
        same_size(first, second)?;
        let mut sums = vec![(0.0_f64, 0_usize); self.linear.len()];
        self.backbone.for_each_tile(&[first, second], |tap, features| {
            let [_, channels, height, width] = features.dims();
            let of =
                |index: usize| features.clone().slice([index..index + 1, 0..channels, 0..height, 0..width]);
            let (sum, places) = &mut sums[tap];
            *sum += numbers(self.difference(tap, of(0), of(1)))?.into_iter().map(f64::from).sum::<f64>();
            *places += height * width;
            Ok(())
        })?;
        let distance: f64 = sums.iter().map(|(sum, places)| sum / *places as f64).sum();
        if distance.is_finite() { Ok(distance) } else { Err(MetricError::NoNumbers) }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::formula::{backbone, coarse, cpu, picture, scattered};
    use super::*;

    fn lpips() -> Lpips {
        let layer = |(salt, channels)| (0..channels).map(|at| scattered(at, salt)).collect();
        Lpips::with_layers(backbone(), (200..).zip(CHANNELS).map(layer).collect()).unwrap()
    }

    /// Against PyTorch: `models/tests/metrics_reference.py`.
    #[test]
    fn distances_are_those_of_pytorch() {
        for (size, expected) in [((70, 53), 0.01103974), ((17, 17), 0.01588641), ((130, 64), 0.00945967)] {
            let original = picture(size.0, size.1);
            let found = lpips().distance(&original, &coarse(&original, 4)).unwrap();
            assert!((found / expected - 1.0).abs() < 1e-4, "{found} instead of {expected} at {size:?}");
        }
    }

    #[test]
    fn a_distance_is_zero_for_equal_pictures_symmetric_and_grows_with_the_distortion() {
        let (lpips, original) = (lpips(), picture(64, 48));
        assert_eq!(lpips.distance(&original, &original), Ok(0.0));
        let mut last = 0.0;
        for bits in [2, 4, 6, 7] {
            let received = coarse(&original, bits);
            let distance = lpips.distance(&original, &received).unwrap();
            assert!(distance > 1.5 * last, "{distance} with {bits} bits after {last}");
            assert!((lpips.distance(&received, &original).unwrap() / distance - 1.0).abs() < 1e-5);
            last = distance;
        }
    }

    #[test]
    fn sizes_must_be_equal_and_large_enough() {
        let lpips = lpips();
        let different = lpips.distance(&picture(64, 48), &picture(48, 64));
        assert!(matches!(different, Err(MetricError::SizesDiffer(_))));
        let small = lpips.distance(&picture(16, 48), &picture(16, 48));
        assert!(matches!(small, Err(MetricError::TooSmall { width: 16, .. })));
    }

    #[test]
    fn other_weights_are_refused() {
        let error = Lpips::new(backbone(), crate::ae::weights::DEFAULT.to_vec()).unwrap_err().to_string();
        assert!(error.contains("lin0.model.1.weight"), "{error}");
        assert!(Lpips::new(backbone(), b"not a file of weights".to_vec()).is_err());
    }

    /// `SEMCAST_SQUEEZENET`: path of the `.param` file, the `.bin` file beside it; `SEMCAST_LPIPS`: folder with LPIPS's
    /// `imgs` and `v0.1`.
    #[expect(clippy::disallowed_methods, reason = "the weights are not ours to commit")]
    pub fn published() -> (Lpips, std::path::PathBuf) {
        let param =
            std::path::PathBuf::from(std::env::var("SEMCAST_SQUEEZENET").expect("SEMCAST_SQUEEZENET is set"));
        let folder = std::path::PathBuf::from(std::env::var("SEMCAST_LPIPS").expect("SEMCAST_LPIPS is set"));
        let read = |path| std::fs::read(path).unwrap();
        let backbone =
            Backbone::from_ncnn(&read(param.clone()), &read(param.with_extension("bin")), &cpu()).unwrap();
        assert!(Lpips::new(backbone.clone(), read(folder.join("v0.1/alex.pth"))).is_err());
        (Lpips::new(backbone, read(folder.join("v0.1/squeeze.pth"))).unwrap(), folder)
    }

    /// The example pictures of LPIPS.
    #[test]
    #[ignore = "needs weights and pictures: SEMCAST_SQUEEZENET, SEMCAST_LPIPS"]
    #[expect(clippy::disallowed_methods, reason = "the pictures are not ours to commit")]
    #[expect(clippy::print_stdout, reason = "deviations are for people")]
    fn example_pictures() {
        let (lpips, folder) = published();
        let read = |name: &str| {
            let bytes = std::fs::read(folder.join("imgs").join(name)).unwrap();
            semcast_common::content::file::decode_picture(&bytes).unwrap()
        };
        let original = read("ex_ref.png");
        for (name, expected) in [("ex_p0.png", 0.7112), ("ex_p1.png", 0.1479)] {
            let found = lpips.distance(&original, &read(name)).unwrap();
            println!("{name}: {found:.6}, {:+.6}", found - expected);
            assert!((found - expected).abs() < 1e-4, "{name}: {found}");
        }
    }
}
