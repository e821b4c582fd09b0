//! The network behind the perceptual measures: SqueezeNet 1.1 without its classifier.
//!
//! In → out: weights that the user names; pictures → features after seven of its layers.
//!
//! ```text
//! picture ─ 3×3/2 ─[0]─ pool ─ fire 64·2 ×2 ─[1]─ pool ─ fire 128·2 ×2 ─[2]─ pool ─ fire 192·2 ─[3]─ fire 192·2 ─[4]─ fire 256·2 ─[5]─ fire 256·2 ─[6]
//! ```
//!
//! Pictures of any size from [`LEAST_SIDE`] on are computed in tiles whose features are those of the whole picture, so memory
//! does not grow with the picture.
//!
//! 1. F. Iandola et al.: SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size.
//!    arXiv:1602.07360, 2016: section 3; version 1.1 as published beside it and in torchvision.

use burn::module::{Module, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng, rngs::StdRng};
use semcast_common::content::Picture;

use super::ncnn::{self, Convolution};
use super::{MetricError, WeightsError};
use crate::convolution::convolve;
use crate::device::OpenDevice;
use crate::foreign::ForeignWeights;

/// Shortest side of a picture, pixels: below it, nothing is left after the pools.
pub const LEAST_SIDE: u32 = 17;
/// Channels of the features, layer by layer.
pub const CHANNELS: [usize; TAPS] = [64, 128, 256, 384, 384, 512, 512];
/// Layers whose features are used.
const TAPS: usize = 7;
/// Pixels between neighbouring places of the features, layer by layer.
const STRIDES: [usize; TAPS] = [2, 4, 8, 16, 16, 16, 16];

/// Number among torchvision's layers, channels in, squeezed, and out of each of the two expansions.
const FIRES: [(usize, usize, usize, usize); 8] = [
    (3, 64, 16, 64),
    (4, 128, 16, 64),
    (6, 128, 32, 128),
    (7, 256, 32, 128),
    (9, 256, 48, 192),
    (10, 384, 48, 192),
    (11, 384, 64, 256),
    (12, 512, 64, 256),
];

/// Mean and spread of the red, green and blue values of -1 to 1 that the network was trained with.
const SHIFT: [f32; 3] = [-0.030, -0.088, -0.188];
const SCALE: [f32; 3] = [0.458, 0.448, 0.450];

/// Side of the tiles of a large picture, pixels.
const TILE: usize = 1024;
/// Pixels around a tile that can change its features, a multiple of the largest stride.
const REACH: usize = 128;

/// Squeezes channels, then expands them by two convolutions.
#[derive(Module, Debug)]
struct Fire {
    squeeze: Conv2d,
    expand1x1: Conv2d,
    expand3x3: Conv2d,
}

impl Fire {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let squeezed = convolve(&self.squeeze, input, None, true);
        let small = convolve(&self.expand1x1, squeezed.clone(), None, true);
        Tensor::cat(vec![small, convolve(&self.expand3x3, squeezed, None, true)], 1)
    }
}

#[derive(Module, Debug)]
struct Network {
    first: Conv2d,
    fires: Vec<Fire>,
    pool: MaxPool2d,
}

impl Network {
    /// Takes as many convolutions as it needs; `None` if there are fewer.
    fn new(mut convolutions: impl Iterator<Item = Convolution>, device: &Device) -> Option<Self> {
        let mut next = |stride, padding| Some(layer(convolutions.next()?, stride, padding, device));
        let first = next(2, 0)?;
        let mut fires = Vec::new();
        for _ in FIRES {
            fires.push(Fire { squeeze: next(1, 0)?, expand1x1: next(1, 0)?, expand3x3: next(1, 1)? });
        }
        let pool = MaxPool2dConfig::new([3, 3]).with_strides([2, 2]).with_ceil_mode(true).init();
        Some(Self { first, fires, pool })
    }

    /// `[B, 3, H, W]` → seven times `[B, CHANNELS, H / STRIDES, W / STRIDES]`, sizes about so.
    fn features(&self, input: Tensor<4>) -> Vec<Tensor<4>> {
        let mut found = vec![convolve(&self.first, input, None, true)];
        let mut current = found[0].clone();
        for (at, fire) in self.fires.iter().enumerate() {
            if matches!(at, 0 | 2 | 4) {
                current = self.pool.forward(current);
            }
            current = fire.forward(current);
            if !matches!(at, 0 | 2) {
                found.push(current.clone());
            }
        }
        found
    }
}

fn layer(convolution: Convolution, stride: usize, padding: usize, device: &Device) -> Conv2d {
    let Convolution { shape, weight, bias } = convolution;
    let mut layer = Conv2dConfig::new([shape[1], shape[0]], [shape[2], shape[3]])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
        .init(device);
    layer.weight = Param::from_tensor(Tensor::from_data(TensorData::new(weight, shape), device));
    layer.bias = Some(Param::from_tensor(Tensor::from_data(TensorData::new(bias, [shape[0]]), device)));
    layer
}

/// Names as torchvision has them, and shapes, in the order of computation.
pub(super) fn expected() -> Vec<(String, [usize; 4])> {
    let mut all = vec![("features.0".to_owned(), [64, 3, 3, 3])];
    for (number, from, squeezed, expanded) in FIRES {
        all.push((format!("features.{number}.squeeze"), [squeezed, from, 1, 1]));
        all.push((format!("features.{number}.expand1x1"), [expanded, squeezed, 1, 1]));
        all.push((format!("features.{number}.expand3x3"), [expanded, squeezed, 3, 3]));
    }
    all
}

/// A backbone that is ready to compute. Cheap to clone: clones share the weights.
#[derive(Clone, Debug)]
pub struct Backbone {
    network: Network,
    device: Device,
    /// Longest side of a tile, pixels.
    tile: usize,
}

impl Backbone {
    /// From ncnn's pair of files, `.param` and `.bin`; a classifier at the end is left out.
    pub fn from_ncnn(param: &[u8], bin: &[u8], device: &OpenDevice) -> Result<Self, WeightsError> {
        Self::new(ncnn::convolutions(param, bin).map_err(WeightsError::Ncnn)?, device)
    }

    /// From a checkpoint of torchvision's `squeezenet1_1` (PyTorch, or safetensors with the same names); a classifier is left
    /// out.
    pub fn from_checkpoint(bytes: Vec<u8>, device: &OpenDevice) -> Result<Self, WeightsError> {
        let weights = ForeignWeights::parse(bytes)?;
        let mut found = Vec::new();
        for (name, shape) in expected() {
            let (weight_shape, weight) = weights.values(&format!("{name}.weight"))?;
            let (_, bias) = weights.values(&format!("{name}.bias"))?;
            if weight_shape != shape || bias.len() != shape[0] {
                return Err(WeightsError::Other(format!(
                    "{name} is of {weight_shape:?} values with {} biases instead of {shape:?} with {}",
                    bias.len(),
                    shape[0]
                )));
            }
            found.push(Convolution { shape, weight, bias });
        }
        Self::new(found, device)
    }

    /// One that has learned nothing, from a seed (He's initialisation): for tests, and for measures that only need features
    /// of some kind.
    pub fn random(seed: u64, device: &OpenDevice) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let convolutions = expected().into_iter().map(|(_, shape)| {
            let inputs = shape[1] * shape[2] * shape[3];
            // Uniform values of variance 2 / inputs.
            let bound = (6.0 / inputs as f32).sqrt();
            let weight = (0..shape[0] * inputs).map(|_| random.random_range(-bound..bound)).collect();
            Convolution { shape, weight, bias: vec![0.0; shape[0]] }
        });
        let network = Network::new(convolutions, &device.device);
        Self { network: network.expect("a convolution each"), device: device.device.clone(), tile: TILE }
    }

    /// From the first convolutions of a network, in the order of computation.
    pub(super) fn new(convolutions: Vec<Convolution>, device: &OpenDevice) -> Result<Self, WeightsError> {
        let expected = expected();
        for (at, (name, shape)) in expected.iter().enumerate() {
            let Some(found) = convolutions.get(at) else {
                return Err(WeightsError::Other(format!(
                    "it has {} convolutions instead of {}",
                    convolutions.len(),
                    expected.len()
                )));
            };
            if found.shape != *shape {
                return Err(WeightsError::Other(format!(
                    "convolution {} ({name}) is of {:?} weights instead of {shape:?}",
                    at + 1,
                    found.shape
                )));
            }
            if !found.weight.iter().chain(&found.bias).all(|value| value.is_finite()) {
                return Err(WeightsError::Other(format!("{name} has weights that are no numbers")));
            }
        }
        let network = Network::new(convolutions.into_iter(), &device.device);
        let network = network.ok_or_else(|| WeightsError::Other("convolutions are missing".into()))?;
        Ok(Self { network, device: device.device.clone(), tile: TILE })
    }

    /// The device that it computes on.
    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// Features after each layer of pictures of values of 0 to 1, `[B, 3, H, W]` with sides of [`LEAST_SIDE`] at least; in one
    /// piece. Differentiable with respect to the pictures; the network's own weights are constants.
    pub(super) fn features(&self, pictures: Tensor<4>) -> Vec<Tensor<4>> {
        let of_channels =
            |values: [f32; 3]| Tensor::<1>::from_floats(values, &self.device).reshape([1, 3, 1, 1]);
        let centred = pictures.mul_scalar(2.0).sub_scalar(1.0) - of_channels(SHIFT);
        self.network.features(centred / of_channels(SCALE))
    }

    /// The mean over all places of the features of the last layer: 512 values for a picture of any size.
    pub fn pooled(&self, picture: &Picture) -> Result<Vec<f32>, MetricError> {
        let last = TAPS - 1;
        let (mut sums, mut places) = (vec![0.0_f64; CHANNELS[last]], 0);
        self.for_each_tile(&[picture], |tap, features| {
            if tap == last {
                let [_, channels, height, width] = features.dims();
                let per_channel = features.sum_dim(2).sum_dim(3).reshape([channels]);
                for (sum, value) in sums.iter_mut().zip(numbers(per_channel)?) {
                    *sum += f64::from(value);
                }
                places += height * width;
            }
            Ok(())
        })?;
        let pooled: Vec<f32> = sums.iter().map(|sum| (sum / places as f64) as f32).collect();
        if pooled.iter().all(|value| value.is_finite()) { Ok(pooled) } else { Err(MetricError::NoNumbers) }
    }

    /// The features of the last layer for a picture whose sides are at most those of a tile: rows, columns, and values, channel
    /// by channel.
    pub(crate) fn last(&self, picture: &Picture) -> Result<(usize, usize, Vec<f32>), MetricError> {
        let mut found = (0, 0, Vec::new());
        self.for_each_tile(&[picture], |tap, features| {
            if tap == TAPS - 1 {
                let [_, _, height, width] = features.dims();
                found = (height, width, numbers(features)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Gives, tile after tile of pictures that are of one size, the number of a layer and its features
    /// `[pictures, channels, height, width]`; together they are those of the whole pictures.
    pub(super) fn for_each_tile(
        &self,
        pictures: &[&Picture],
        mut visit: impl FnMut(usize, Tensor<4>) -> Result<(), MetricError>,
    ) -> Result<(), MetricError> {
        let Some(first) = pictures.first() else { return Ok(()) };
        let (width, height) = (first.width(), first.height());
        if width.min(height) < LEAST_SIDE {
            let measure = "a measure by the features of a network";
            return Err(MetricError::TooSmall { measure, width, height, least: (LEAST_SIDE, LEAST_SIDE) });
        }
        for rows in spans(height as usize, self.tile) {
            for columns in spans(width as usize, self.tile) {
                let input = self.input(pictures, &rows, &columns);
                for (tap, features) in self.network.features(input).into_iter().enumerate() {
                    let [batch, channels, found_height, found_width] = features.dims();
                    let (down, across) =
                        (rows.kept(STRIDES[tap], found_height), columns.kept(STRIDES[tap], found_width));
                    if !down.is_empty() && !across.is_empty() {
                        visit(tap, features.slice([0..batch, 0..channels, down, across]))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Part of some pictures → `[B, 3, H, W]` as the network takes it.
    fn input(&self, pictures: &[&Picture], rows: &Span, columns: &Span) -> Tensor<4> {
        let (height, width) = (rows.seen.len(), columns.seen.len());
        let mut values = Vec::with_capacity(pictures.len() * 3 * height * width);
        for picture in pictures {
            for channel in 0..3 {
                for y in rows.seen.clone() {
                    let row = &picture.rgb()[3 * y * picture.width() as usize..];
                    let pixels = columns.seen.clone().map(|x| f32::from(row[3 * x + channel]));
                    values
                        .extend(pixels.map(|value| (value / 127.5 - 1.0 - SHIFT[channel]) / SCALE[channel]));
                }
            }
        }
        Tensor::from_data(TensorData::new(values, [pictures.len(), 3, height, width]), &self.device)
    }
}

/// A stretch of a side of a picture.
struct Span {
    /// Pixels whose features are wanted.
    core: std::ops::Range<usize>,
    /// Pixels that change them.
    seen: std::ops::Range<usize>,
    /// Whether the side ends with it.
    last: bool,
}

impl Span {
    /// Which of `found` places of features at a stride belong to the core.
    fn kept(&self, stride: usize, found: usize) -> std::ops::Range<usize> {
        let from = (self.core.start - self.seen.start) / stride;
        let to = if self.last { found } else { found.min((self.core.end - self.seen.start) / stride) };
        from.min(to)..to
    }
}

/// Cuts a side into stretches of about equal length, at most `longest`, at multiples of the largest stride.
fn spans(side: usize, longest: usize) -> Vec<Span> {
    let step = side.div_ceil(side.div_ceil(longest)).next_multiple_of(STRIDES[TAPS - 1]);
    let cut = |start: usize| Span {
        core: start..(start + step).min(side),
        seen: start.saturating_sub(REACH)..(start + step + REACH).min(side),
        last: start + step >= side,
    };
    (0..side).step_by(step).map(cut).collect()
}

/// The numbers of a tensor, on the CPU.
pub(super) fn numbers<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, MetricError> {
    tensor.into_data().try_to_vec().map_err(|_| MetricError::NoNumbers)
}

#[cfg(test)]
mod tests {
    use super::super::formula::{backbone, convolutions, cpu, picture};
    use super::*;

    /// Against PyTorch: `models/tests/metrics_reference.py`.
    #[test]
    fn features_are_those_of_pytorch() {
        for (size, expected) in [
            ((70, 53), [0.214874, 0.155528, 0.533638, 0.786679]),
            ((17, 17), [0.000000, 0.823516, 0.262004, 0.212133]),
            ((130, 64), [0.560928, 0.056402, 0.709929, 0.980657]),
        ] {
            let pooled = backbone().pooled(&picture(size.0, size.1)).unwrap();
            let mean = pooled.iter().sum::<f32>() / 512.0;
            for (found, expected) in [pooled[0], pooled[200], pooled[511], mean].into_iter().zip(expected) {
                assert!((found - expected).abs() < 2e-5, "{found} instead of {expected} at {size:?}");
            }
        }
    }

    #[test]
    fn tiles_give_what_the_whole_picture_gives() {
        let whole = backbone();
        let tiled = Backbone { tile: 64, ..whole.clone() };
        for (width, height) in [(193, 40), (131, 209), (400, 17)] {
            let picture = picture(width, height);
            let shapes = |backbone: &Backbone| {
                let mut places = [0; TAPS];
                let count = |tap: usize, features: Tensor<4>| {
                    places[tap] += features.dims()[2] * features.dims()[3];
                    Ok(())
                };
                backbone.for_each_tile(&[&picture], count).unwrap();
                places
            };
            assert_eq!(shapes(&whole), shapes(&tiled), "{width} x {height}");
            let (a, b) = (whole.pooled(&picture).unwrap(), tiled.pooled(&picture).unwrap());
            let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{width} x {height}: {worst}");
        }
    }

    /// Both files of ncnn, as another program writes them; weights as 32-bit floats.
    fn files(convolutions: &[Convolution]) -> (String, Vec<u8>) {
        let (mut param, mut bin) = ("7767517\n0 0\nInput in0 0 1 in0\n".to_owned(), Vec::new());
        for (at, Convolution { shape, weight, bias }) in convolutions.iter().enumerate() {
            let [outputs, _, height, width] = shape;
            param += &format!(
                "Convolution layer{at} 1 1 a b 0={outputs} 1={width} 11={height} 5=1 6={} 9=1\n",
                weight.len()
            );
            bin.extend(0_u32.to_le_bytes());
            bin.extend(weight.iter().chain(bias).flat_map(|value| value.to_le_bytes()));
        }
        (param, bin)
    }

    #[test]
    fn ncnn_files_give_the_same_network() {
        let mut convolutions = convolutions();
        convolutions.push(Convolution {
            shape: [10, 512, 1, 1],
            weight: vec![0.5; 5120],
            bias: vec![0.0; 10],
        });
        let (param, bin) = files(&convolutions);
        let read = Backbone::from_ncnn(param.as_bytes(), &bin, &cpu()).unwrap();
        let picture = picture(40, 40);
        assert_eq!(read.pooled(&picture), backbone().pooled(&picture));
    }

    #[test]
    fn other_networks_are_refused() {
        let refused = |convolutions: Vec<Convolution>| {
            let (param, bin) = files(&convolutions);
            Backbone::from_ncnn(param.as_bytes(), &bin, &cpu()).unwrap_err().to_string()
        };
        let mut all = convolutions();
        assert!(refused(all[..20].to_vec()).contains("20 convolutions instead of 25"));
        all.swap(2, 3);
        let message = refused(all);
        assert!(message.contains("features.3.expand1x1") && message.contains("[64, 16, 3, 3]"), "{message}");
        let mut broken = convolutions();
        broken[7].weight[3] = f32::NAN;
        assert!(refused(broken).contains("no numbers"));
        let message =
            Backbone::from_checkpoint(crate::ae::weights::DEFAULT.to_vec(), &cpu()).unwrap_err().to_string();
        assert!(message.contains("features.0.weight"), "{message}");
    }

    #[test]
    fn pictures_that_are_too_small_are_an_error() {
        let error = backbone().pooled(&picture(300, 16)).unwrap_err();
        assert!(error.to_string().contains("17"), "{error}");
    }
}
