//! The blocks of Fig. 5. Shapes are `[batch, channel, height, width]`.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, GroupNormConfig};
use burn::tensor::{
    Device, Tensor,
    activation::{silu, softmax},
};

use crate::ae::layers::convolution;

/// Group normalisation and Swish.
#[derive(Module, Debug)]
pub struct Normed {
    norm: GroupNorm,
}

impl Normed {
    /// In groups of `group` channels.
    pub fn new(channels: usize, group: usize, device: &Device) -> Self {
        Self { norm: GroupNormConfig::new(channels / group, channels).init(device) }
    }

    /// `[B, C, H, W]` → `[B, C, H, W]`.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        silu(self.norm.forward(input))
    }
}

/// Residual block: twice (group normalisation, Swish, 3 × 3 convolution) beside an identity, or a 1 × 1
/// convolution where the number of channels changes.
#[derive(Module, Debug)]
pub struct ResidualBlock {
    first_norm: Normed,
    first: Conv2d,
    second_norm: Normed,
    second: Conv2d,
    shortcut: Option<Conv2d>,
}

impl ResidualBlock {
    /// From `from` channels to `to`.
    pub fn new(from: usize, to: usize, group: usize, device: &Device) -> Self {
        Self {
            first_norm: Normed::new(from, group, device),
            first: convolution(from, to, 3, 1, device),
            second_norm: Normed::new(to, group, device),
            second: convolution(to, to, 3, 1, device),
            shortcut: (from != to).then(|| convolution(from, to, 1, 1, device)),
        }
    }

    /// `[B, from, H, W]` → `[B, to, H, W]`.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let inner = self.first.forward(self.first_norm.forward(input.clone()));
        let inner = self.second.forward(self.second_norm.forward(inner));
        let beside = match &self.shortcut {
            Some(shortcut) => shortcut.forward(input),
            None => input,
        };
        beside + inner
    }
}

/// Attention of every place to every other, beside an identity.
#[derive(Module, Debug)]
pub struct AttentionBlock {
    norm: GroupNorm,
    query: Conv2d,
    key: Conv2d,
    value: Conv2d,
    out: Conv2d,
}

impl AttentionBlock {
    /// Of `channels` channels.
    pub fn new(channels: usize, group: usize, device: &Device) -> Self {
        let mix = || convolution(channels, channels, 1, 1, device);
        Self {
            norm: GroupNormConfig::new(channels / group, channels).init(device),
            query: mix(),
            key: mix(),
            value: mix(),
            out: mix(),
        }
    }

    /// `[B, C, H, W]` → `[B, C, H, W]`.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = input.dims();
        let flat = |tensor: Tensor<4>| tensor.reshape([batch, channels, height * width]);
        let normed = self.norm.forward(input.clone());
        let query = flat(self.query.forward(normed.clone())).swap_dims(1, 2); // [B, HW, C]
        let key = flat(self.key.forward(normed.clone())); // [B, C, HW]
        let value = flat(self.value.forward(normed)).swap_dims(1, 2); // [B, HW, C]
        let scores = softmax(query.matmul(key).div_scalar((channels as f32).sqrt()), 2);
        let seen = scores.matmul(value).swap_dims(1, 2).reshape([batch, channels, height, width]);
        input + self.out.forward(seen)
    }
}
