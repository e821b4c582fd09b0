//! Layers that both halves of the network are built from.
//!
//! Shapes are `[batch, channel, height, width]`.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Initializer, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData};

use crate::convolution::convolve;

/// A convolution with a square kernel, padded with zeros so that a stride of one keeps the size.
pub fn convolution(from: usize, to: usize, kernel: usize, stride: usize, device: &Device) -> Conv2d {
    let pad = kernel / 2;
    Conv2dConfig::new([from, to], [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .init(device)
}

/// A convolution that gives zero until it has been trained: a branch that starts by changing nothing.
pub fn silent_convolution(from: usize, to: usize, kernel: usize, device: &Device) -> Conv2d {
    let pad = kernel / 2;
    Conv2dConfig::new([from, to], [kernel, kernel])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .with_initializer(Initializer::Zeros)
        .init(device)
}

/// Two 3 × 3 convolutions beside an identity.
#[derive(Module, Debug)]
pub struct Residual {
    first: Conv2d,
    second: Conv2d,
}

impl Residual {
    /// A block of `channels` channels whose branch starts small.
    pub fn new(channels: usize, device: &Device) -> Self {
        let first = convolution(channels, channels, 3, 1, device);
        // A quarter of the usual spread.
        let small = Initializer::KaimingUniform { gain: 0.25 / 3.0_f64.sqrt(), fan_out_only: false };
        let second = Conv2dConfig::new([channels, channels], [3, 3])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .with_initializer(small)
            .init(device);
        Self { first, second }
    }

    /// A block of `channels` channels that changes nothing until it has been trained.
    pub fn silent(channels: usize, device: &Device) -> Self {
        let first = convolution(channels, channels, 3, 1, device);
        Self { first, second: silent_convolution(channels, channels, 3, device) }
    }

    /// `[B, C, H, W]` → `[B, C, H, W]`.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let inner = convolve(&self.first, input.clone(), None, true);
        convolve(&self.second, inner, Some(input), false)
    }
}

/// A 1 × 1 convolution whose weights are given, stored enlarged by [`MixingGain`](Mix::GAIN).
///
/// The optimiser moves every stored weight by about the learning rate, so enlarging the stored weights makes the
/// (already good) transform learn that much more slowly than the random layers around it.
#[derive(Module, Debug)]
pub struct Mix {
    weight: Param<Tensor<4>>,
}

impl Mix {
    /// How much larger the stored weights are than those that act.
    pub const GAIN: f32 = 8.0;

    /// From rows of weights, one row an output channel.
    pub fn new(rows: &[Vec<f32>], device: &Device) -> Self {
        let columns = rows.first().map_or(0, Vec::len);
        let values: Vec<f32> = rows.iter().flatten().map(|weight| weight * Self::GAIN).collect();
        let data = TensorData::new(values, [rows.len(), columns, 1, 1]);
        Self { weight: Param::from_tensor(Tensor::from_data(data, device)) }
    }

    /// `[B, columns, H, W]` → `[B, rows, H, W]`.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        use burn::tensor::{module::conv2d, ops::ConvOptions};
        let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
        conv2d(input.mul_scalar(1.0 / Self::GAIN), self.weight.val(), None, options)
    }
}

/// Gathers squares of `side` × `side` pixels into channels, in the order plane, row, column.
///
/// `[B, C, H, W]` → `[B, C·side², H/side, W/side]`.
pub fn fold(input: Tensor<4>, side: usize) -> Tensor<4> {
    let [batch, channels, height, width] = input.dims();
    let (rows, columns) = (height / side, width / side);
    input
        .reshape([batch, channels, rows, side, columns, side]) // [B, C, h, s, w, s]
        .permute([0, 1, 3, 5, 2, 4]) // [B, C, s, s, h, w]
        .reshape([batch, channels * side * side, rows, columns])
}

/// The inverse of [`fold`]: `[B, C·side², h, w]` → `[B, C, h·side, w·side]`.
pub fn unfold(input: Tensor<4>, side: usize) -> Tensor<4> {
    let [batch, channels, rows, columns] = input.dims();
    let planes = channels / (side * side);
    input
        .reshape([batch, planes, side, side, rows, columns]) // [B, C, s, s, h, w]
        .permute([0, 1, 4, 2, 5, 3]) // [B, C, h, s, w, s]
        .reshape([batch, planes, rows * side, columns * side])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfold_undoes_fold() {
        let device = Device::flex();
        let values: Vec<f32> = (0..2 * 3 * 8 * 12).map(|value| value as f32).collect();
        let picture = Tensor::<4>::from_data(TensorData::new(values, [2, 3, 8, 12]), &device);
        let folded = fold(picture.clone(), 4);
        assert_eq!(folded.dims(), [2, 48, 2, 3]);
        assert_eq!(unfold(folded, 4).into_data(), picture.into_data());
    }
}
