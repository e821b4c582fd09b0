//! Layers of the published networks, with the names that their files use.
//!
//! Shapes are `[batch, channel, height, width]`. Normalisation always uses the stored mean and variance, also where gradients
//! are taken: nothing here is trained.

use burn::module::{Module, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Device, Tensor, TensorData, activation::relu};

use crate::convolution::convolve;

/// A square convolution that keeps the size but for its stride.
pub struct Shape {
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    pub groups: usize,
}

impl Shape {
    /// Plain, of one kernel size.
    pub fn of(kernel: usize) -> Self {
        Self { kernel, stride: 1, dilation: 1, groups: 1 }
    }

    /// The convolution without bias.
    pub fn init(self, from: usize, to: usize, device: &Device) -> Conv2d {
        let pad = self.kernel / 2 * self.dilation;
        Conv2dConfig::new([from, to], [self.kernel, self.kernel])
            .with_stride([self.stride, self.stride])
            .with_dilation([self.dilation, self.dilation])
            .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
            .with_groups(self.groups)
            .with_bias(false)
            .init(device)
    }
}

/// The convolution, without anything behind it.
pub fn plain(layer: &Conv2d, input: Tensor<4>) -> Tensor<4> {
    convolve(layer, input, None, false)
}

fn vector(value: f32, length: usize, device: &Device) -> Param<Tensor<1>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(vec![value; length], [length]), device))
}

fn per_channel(values: Tensor<1>) -> Tensor<4> {
    let [channels] = values.dims();
    values.reshape([1, channels, 1, 1])
}

/// Batch normalisation by a stored mean and variance.
#[derive(Module, Debug)]
pub struct Norm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    running_mean: Param<Tensor<1>>,
    running_var: Param<Tensor<1>>,
    epsilon: f64,
}

impl Norm {
    pub fn new(channels: usize, epsilon: f64, device: &Device) -> Self {
        let vector = |value| vector(value, channels, device);
        let (weight, bias, running_mean, running_var) = (vector(1.0), vector(0.0), vector(0.0), vector(1.0));
        Self { weight, bias, running_mean, running_var, epsilon }
    }

    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let scale = self.weight.val() / self.running_var.val().add_scalar(self.epsilon).sqrt();
        let shift = self.bias.val() - self.running_mean.val() * scale.clone();
        input * per_channel(scale) + per_channel(shift)
    }
}

/// A rectifier with a slope of each channel's own below zero.
#[derive(Module, Debug)]
pub struct Prelu {
    weight: Param<Tensor<1>>,
}

impl Prelu {
    pub fn new(channels: usize, device: &Device) -> Self {
        Self { weight: vector(0.25, channels, device) }
    }

    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let positive = relu(input.clone());
        positive.clone() + (input - positive) * per_channel(self.weight.val())
    }
}

/// Normalisation and rectifier.
#[derive(Module, Debug)]
pub struct NormAct {
    bn: Norm,
    act: Prelu,
}

impl NormAct {
    pub fn new(channels: usize, epsilon: f64, device: &Device) -> Self {
        Self { bn: Norm::new(channels, epsilon, device), act: Prelu::new(channels, device) }
    }

    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.act.forward(self.bn.forward(input))
    }
}

/// Convolution, normalisation and rectifier.
#[derive(Module, Debug)]
pub struct ConvNormAct {
    conv: Conv2d,
    bn: Norm,
    act: Prelu,
}

impl ConvNormAct {
    pub fn new(shape: Shape, from: usize, to: usize, epsilon: f64, device: &Device) -> Self {
        let (bn, act) = (Norm::new(to, epsilon, device), Prelu::new(to, device));
        Self { conv: shape.init(from, to, device), bn, act }
    }

    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.act.forward(self.bn.forward(plain(&self.conv, input)))
    }
}

/// Convolution and normalisation.
#[derive(Module, Debug)]
pub struct ConvNorm {
    conv: Conv2d,
    bn: Norm,
}

impl ConvNorm {
    pub fn new(shape: Shape, from: usize, to: usize, epsilon: f64, device: &Device) -> Self {
        Self { conv: shape.init(from, to, device), bn: Norm::new(to, epsilon, device) }
    }

    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.bn.forward(plain(&self.conv, input))
    }
}

/// The mean of 3 × 3 values at every second place; beyond the border there are zeros, which count.
pub fn halved(input: Tensor<4>) -> Tensor<4> {
    avg_pool2d(input, AvgPoolOptions::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]))
}

/// How the two sides of a tensor are resampled: by a matrix each, so that every backend can differentiate it.
fn resampled(input: Tensor<4>, matrix: impl Fn(usize, usize) -> Vec<f32>, to: [usize; 2]) -> Tensor<4> {
    let [batch, channels, height, width] = input.dims();
    let device = input.device();
    let tensor = |values: Vec<f32>, rows: usize, columns: usize| {
        Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), &device)
    };
    // Columns: [B·C·H, W] × [W, W'].
    let across = tensor(matrix(width, to[1]), to[1], width).transpose();
    let wide = input.reshape([batch * channels * height, width]).matmul(across);
    let down = tensor(matrix(height, to[0]), to[0], height).reshape([1, to[0], height]);
    let planes = wide.reshape([batch * channels, height, to[1]]);
    down.repeat_dim(0, batch * channels).matmul(planes).reshape([batch, channels, to[0], to[1]])
}

/// Bilinear interpolation to a size, corners on corners.
pub fn bilinear(input: Tensor<4>, to: [usize; 2]) -> Tensor<4> {
    let [_, _, height, width] = input.dims();
    if [height, width] == to {
        return input;
    }
    let matrix = |from: usize, to: usize| {
        let mut values = vec![0.0; from * to];
        for place in 0..to {
            let at = if to > 1 { (place * (from - 1)) as f32 / (to - 1) as f32 } else { 0.0 };
            let low = (at as usize).min(from - 1);
            let share = at - low as f32;
            values[place * from + low] += 1.0 - share;
            values[place * from + (low + 1).min(from - 1)] += share;
        }
        values
    };
    resampled(input, matrix, to)
}

/// Means over as many, about equal, parts as a size asks for.
pub fn pooled(input: Tensor<4>, to: [usize; 2]) -> Tensor<4> {
    let matrix = |from: usize, to: usize| {
        let mut values = vec![0.0; from * to];
        for place in 0..to {
            let (start, end) = (place * from / to, ((place + 1) * from).div_ceil(to));
            values[place * from + start..place * from + end].fill(1.0 / (end - start) as f32);
        }
        values
    };
    resampled(input, matrix, to)
}
