//! Latents of TAEF2 ↔ the values of symbols: the part of the transform that is trained here.
//!
//! ```text
//! latents − mean ─ fold 2 ─ 128×128 ─┬─ ·λ^(-1/4) ──────────┬─ ·(1+gate) + correction ─► 128 reals a block
//!  [B,32,H/8,W/8]                    └─ 3×3 ─ residual(1/16) ─┘                          [B,128,H/16,W/16]
//!
//! values, variances ─ LMMSE ─┬─ ·(1+gate) + correction ─ ·λ^(1/4) ─ 128×128 ─ unfold 2 ─┬─────────── + ─► latents
//!                            └─ residual(1/16) ─┴──────────────── unfold 2 ─ residual(1/8) ─┘
//! ```
//!
//! Both matrices come from [`super::start`] and stay as they are: they lead to coordinates in which an error counts as it
//! does in the picture, ordered by their variances λ. The loss is the square of the error in these coordinates, so
//! that the decoder of TAEF2, which takes a hundred times as long as all of this, is not needed to train it. Everything
//! else is as in [`crate::ae::network`]; residual and correction start from nothing.

use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData, activation::relu};

use super::network::LATENTS;
use super::start::Start;
use crate::ae::layers::{Residual, convolution, fold, silent_convolution, unfold};
use crate::ae::rates::Rates;

/// Real values a block of 16 × 16 pixels: four times the latents.
pub const CHANNELS: usize = 4 * LATENTS;
/// Complex symbols a block; all of them are a bandwidth ratio of 1/12.
pub const RATES: Rates = [4, 8, 14, 20, 28, 38, 50, 64];
const SIXTEENTH: usize = 96;
const EIGHTH: usize = 64;

/// From latents to values.
#[derive(Module, Debug)]
struct Sender {
    enter: Conv2d,
    sixteenth: Vec<Residual>,
    gate: Conv2d,
    correction: Conv2d,
}

/// From received values to latents.
#[derive(Module, Debug)]
struct Receiver {
    log_variance: Param<Tensor<1>>,
    enter: Conv2d,
    sixteenth: Vec<Residual>,
    gate: Conv2d,
    correction: Conv2d,
    to_eighth: Conv2d,
    latents_to_eighth: Conv2d,
    eighth: Vec<Residual>,
    refinement: Conv2d,
}

/// Both ways, as they are trained and stored.
#[derive(Module, Debug)]
pub struct Projection {
    mean: Param<Tensor<1>>,
    spread: Param<Tensor<1>>,
    to_coordinates: Param<Tensor<4>>,
    from_coordinates: Param<Tensor<4>>,
    log_power: Param<Tensor<1>>,
    sender: Sender,
    receiver: Receiver,
}

fn vector(values: &[f32], device: &Device) -> Param<Tensor<1>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device))
}

fn matrix(rows: &[Vec<f32>], device: &Device) -> Param<Tensor<4>> {
    let shape = [rows.len(), rows.first().map_or(0, Vec::len), 1, 1];
    Param::from_tensor(Tensor::from_data(TensorData::new(rows.concat(), shape), device))
}

/// A value that training leaves as it is.
fn fixed<const D: usize>(value: &Param<Tensor<D>>) -> Tensor<D> {
    value.val().detach()
}

fn mixed(input: Tensor<4>, matrix: Tensor<4>) -> Tensor<4> {
    conv2d(input, matrix, None, ConvOptions::new([1, 1], [0, 0], [1, 1], 1))
}

fn residuals(count: usize, channels: usize, device: &Device) -> Vec<Residual> {
    (0..count).map(|_| Residual::new(channels, device)).collect()
}

fn run(blocks: &[Residual], input: Tensor<4>) -> Tensor<4> {
    blocks.iter().fold(input, |hidden, block| block.forward(hidden))
}

impl Projection {
    /// A projection that has learned nothing: linear transmission of the coordinates.
    pub fn new(start: &Start, device: &Device) -> Self {
        let log_power: Vec<f32> = start.variance.iter().map(|variance| variance.ln()).collect();
        // What is sent of a coordinate of variance λ has the variance λ · (λ^(-1/4))² = λ^(1/2).
        let log_variance: Vec<f32> = log_power.iter().map(|log| 0.5 * log).collect();
        Self {
            mean: vector(&start.mean, device),
            spread: vector(&start.spread, device),
            to_coordinates: matrix(&start.forward, device),
            from_coordinates: matrix(&start.back, device),
            log_power: vector(&log_power, device),
            sender: Sender {
                enter: convolution(CHANNELS, SIXTEENTH, 3, 1, device),
                sixteenth: residuals(1, SIXTEENTH, device),
                gate: silent_convolution(SIXTEENTH, CHANNELS, 1, device),
                correction: silent_convolution(SIXTEENTH, CHANNELS, 1, device),
            },
            receiver: Receiver {
                log_variance: vector(&log_variance, device),
                enter: convolution(2 * CHANNELS, SIXTEENTH, 1, 1, device),
                sixteenth: residuals(2, SIXTEENTH, device),
                gate: silent_convolution(SIXTEENTH, CHANNELS, 1, device),
                correction: silent_convolution(SIXTEENTH, CHANNELS, 1, device),
                to_eighth: convolution(SIXTEENTH, 4 * EIGHTH, 1, 1, device),
                latents_to_eighth: convolution(LATENTS, EIGHTH, 3, 1, device),
                eighth: residuals(4, EIGHTH, device),
                refinement: silent_convolution(EIGHTH, LATENTS, 3, device),
            },
        }
    }

    /// `λ^exponent` of each coordinate.
    fn power(&self, exponent: f32) -> Tensor<4> {
        fixed(&self.log_power).mul_scalar(exponent).exp().reshape([1, CHANNELS, 1, 1])
    }

    fn channel(&self, values: &Param<Tensor<1>>) -> Tensor<4> {
        fixed(values).reshape([1, LATENTS, 1, 1])
    }

    /// Variance of each channel as it is sent, over natural pictures.
    pub fn variance(&self) -> Result<Vec<f32>, String> {
        let variance = self.receiver.log_variance.val().exp();
        variance.try_into_vec_as::<f32>().map_err(|error| error.to_string())
    }

    /// Latents `[B, LATENTS, h, w]`, h and w even → coordinates `[B, CHANNELS, h/2, w/2]`. The squares of a block's
    /// coordinates add up to the squares of what they do to its 768 values.
    pub fn coordinates(&self, latents: Tensor<4>) -> Tensor<4> {
        mixed(fold(latents - self.channel(&self.mean), 2), fixed(&self.to_coordinates))
    }

    /// Latents `[B, LATENTS, h, w]`, h and w even → values `[B, CHANNELS, h/2, w/2]`, unscaled.
    pub fn encode(&self, latents: Tensor<4>) -> Tensor<4> {
        let coordinates = self.coordinates(latents);
        let linear = coordinates.clone() * self.power(-0.25);
        let hidden = relu(self.sender.enter.forward(coordinates * self.power(-0.5)));
        let hidden = run(&self.sender.sixteenth, hidden);
        let gate = self.sender.gate.forward(hidden.clone());
        let correction = self.sender.correction.forward(hidden) * self.power(0.25);
        linear.clone() + linear * gate + correction
    }

    /// Received values and their noise variances, both `[B, CHANNELS, h, w]` → latents `[B, LATENTS, 2h, 2w]`.
    pub fn decode(&self, received: Tensor<4>, noise_variance: Tensor<4>) -> Tensor<4> {
        let variance = self.receiver.log_variance.val().exp().reshape([1, CHANNELS, 1, 1]);
        // Linear minimum mean square error estimate of each value on its own.
        let trust = variance.clone() / (variance.clone() + noise_variance);
        let estimate = received * trust.clone();
        let spread = variance.sqrt();
        let known = Tensor::cat(vec![estimate.clone() / spread.clone(), trust], 1);
        let hidden = run(&self.receiver.sixteenth, relu(self.receiver.enter.forward(known)));
        let gate = self.receiver.gate.forward(hidden.clone());
        let correction = self.receiver.correction.forward(hidden.clone());
        let estimate = estimate.clone() + estimate * gate + correction * spread;
        let latents = unfold(mixed(estimate * self.power(0.25), fixed(&self.from_coordinates)), 2);

        let scale = self.channel(&self.spread);
        let hidden = relu(
            unfold(self.receiver.to_eighth.forward(hidden), 2)
                + self.receiver.latents_to_eighth.forward(latents.clone() / scale.clone()),
        );
        let hidden = run(&self.receiver.eighth, hidden);
        latents + self.receiver.refinement.forward(hidden) * scale + self.channel(&self.mean)
    }
}
