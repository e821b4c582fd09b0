//! The network of the paper's Fig. 5.
//!
//! ```text
//! picture ─ conv 32 ─ 4 × (residual 32-64-128-192, conv/2) ─ residual, residual, attention, residual
//! [B,3,H,W]        ─ norm, Swish, conv ─ conv 1×1 ─► k means and k log-variances      [B,2k,H/16,W/16]
//!
//! codes ─ conv 1×1 ─ conv 192 ─ residual, attention, residual ─ 4 × (residual 192-128-64-32, double, conv)
//!       ─ residual, residual ─ norm, Swish, conv 3 ─ tanh ─► picture
//! ```
//!
//! Group normalisation is in groups of 32 channels ("the number of images per group is set to 32"). The text and the figure leave
//! open the order of attention and residual blocks, the size of kernels (3 × 3 unless
//! said), how pictures are normalised (less their mean colour, which is side information in all systems here), how sides are doubled (repetition) and how a log-variance comes about (k more outputs, which the AE does not use).
//! [`Scale`] makes all layers narrower, so that the figures' seventeen networks can be trained on a CPU; one is the paper's.

use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor, activation::tanh};

use super::layers::{AttentionBlock, Normed, ResidualBlock};
use crate::ae::layers::{convolution, silent_convolution};

/// Features of a place: real values of the code.
pub const FEATURES: usize = 16;
/// Pixels a place along each axis.
pub const REDUCTION: usize = 16;
/// Channels after each residual block of the encoder, in the paper.
const CHANNELS: [usize; 4] = [32, 64, 128, 192];
/// Channels in a group of a group normalisation, in the paper.
const GROUP: usize = 32;
/// Log-variance that an untrained network begins with.
const FIRST_LOG_VARIANCE: f32 = -3.0;

/// The paper's width divided by 1, 2, 4 or 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale(usize);

impl Scale {
    /// Divided by `divisor`; none unless that is 1, 2, 4 or 8.
    pub fn new(divisor: usize) -> Option<Self> {
        [1, 2, 4, 8].contains(&divisor).then_some(Self(divisor))
    }

    /// The divisor.
    pub fn divisor(self) -> usize {
        self.0
    }

    fn channels(self) -> [usize; 4] {
        CHANNELS.map(|channels| channels / self.0)
    }

    fn group(self) -> usize {
        GROUP / self.0
    }
}

/// What the encoder makes of a picture.
pub struct Posterior {
    /// Mean of each code.
    pub mean: Tensor<4>,
    /// Logarithm of its variance, in units of the mean square of what is sent.
    pub log_variance: Tensor<4>,
}

/// From picture to codes.
#[derive(Module, Debug)]
pub struct Encoder {
    enter: Conv2d,
    blocks: Vec<ResidualBlock>,
    halve: Vec<Conv2d>,
    last_blocks: Vec<ResidualBlock>,
    attention: AttentionBlock,
    last_norm: Normed,
    leave: Conv2d,
    match_channel: Conv2d,
    log_variance: Conv2d,
}

/// From codes to picture.
#[derive(Module, Debug)]
pub struct Decoder {
    match_channel: Conv2d,
    enter: Conv2d,
    first_blocks: Vec<ResidualBlock>,
    attention: AttentionBlock,
    blocks: Vec<ResidualBlock>,
    double: Vec<Conv2d>,
    last_blocks: Vec<ResidualBlock>,
    last_norm: Normed,
    leave: Conv2d,
}

/// Both halves, and what both know beforehand.
#[derive(Module, Debug)]
pub struct PaperNetwork {
    /// From picture to codes.
    pub encoder: Encoder,
    /// From codes to picture.
    pub decoder: Decoder,
    /// The knowledge base: logarithm of the mean variance of each feature over the training pictures.
    pub known_log_variance: Param<Tensor<1>>,
}

impl PaperNetwork {
    /// Untrained.
    pub fn new(scale: Scale, device: &Device) -> Self {
        Self {
            encoder: Encoder::new(scale, device),
            decoder: Decoder::new(scale, device),
            known_log_variance: Param::from_tensor(Tensor::full([FEATURES], FIRST_LOG_VARIANCE, device)),
        }
    }
}

impl Encoder {
    fn new(scale: Scale, device: &Device) -> Self {
        let (channels, group) = (scale.channels(), scale.group());
        let [narrow, .., wide] = channels;
        let from = [narrow, channels[0], channels[1], channels[2]];
        let levels = || from.into_iter().zip(channels);
        Self {
            enter: convolution(3, narrow, 3, 1, device),
            blocks: levels().map(|(from, to)| ResidualBlock::new(from, to, group, device)).collect(),
            halve: channels
                .into_iter()
                .map(|channels| convolution(channels, channels, 3, 2, device))
                .collect(),
            last_blocks: (0..3).map(|_| ResidualBlock::new(wide, wide, group, device)).collect(),
            attention: AttentionBlock::new(wide, group, device),
            last_norm: Normed::new(wide, group, device),
            leave: convolution(wide, FEATURES, 3, 1, device),
            match_channel: convolution(FEATURES, FEATURES, 1, 1, device),
            log_variance: silent_convolution(wide, FEATURES, 1, device),
        }
    }

    /// `[B, 3, H, W]`, values about zero (a range of 1), sides multiples of [`REDUCTION`] → [`FEATURES`] codes a place.
    pub fn forward(&self, picture: Tensor<4>) -> Posterior {
        let mut hidden = self.enter.forward(picture.mul_scalar(4.0));
        for (block, halve) in self.blocks.iter().zip(&self.halve) {
            hidden = halve.forward(block.forward(hidden));
        }
        for (index, block) in self.last_blocks.iter().enumerate() {
            if index == 2 {
                hidden = self.attention.forward(hidden);
            }
            hidden = block.forward(hidden);
        }
        let hidden = self.last_norm.forward(hidden);
        let mean = self.match_channel.forward(self.leave.forward(hidden.clone()));
        let log_variance = self.log_variance.forward(hidden).add_scalar(FIRST_LOG_VARIANCE).clamp(-12.0, 6.0);
        Posterior { mean, log_variance }
    }
}

impl Decoder {
    fn new(scale: Scale, device: &Device) -> Self {
        let (channels, group) = (scale.channels(), scale.group());
        let [narrow, .., wide] = channels;
        let from = [wide, channels[3], channels[2], channels[1]];
        let to = [channels[3], channels[2], channels[1], channels[0]];
        let levels = || from.into_iter().zip(to);
        let same =
            |channels: usize| (0..2).map(move |_| ResidualBlock::new(channels, channels, group, device));
        Self {
            match_channel: convolution(FEATURES, FEATURES, 1, 1, device),
            enter: convolution(FEATURES, wide, 3, 1, device),
            first_blocks: same(wide).collect(),
            attention: AttentionBlock::new(wide, group, device),
            blocks: levels().map(|(from, to)| ResidualBlock::new(from, to, group, device)).collect(),
            double: to.into_iter().map(|channels| convolution(channels, channels, 3, 1, device)).collect(),
            last_blocks: same(narrow).collect(),
            last_norm: Normed::new(narrow, group, device),
            leave: convolution(narrow, 3, 3, 1, device),
        }
    }

    /// `[B, FEATURES, h, w]` → `[B, 3, 16h, 16w]`, values about zero, −1 to 1.
    pub fn forward(&self, codes: Tensor<4>) -> Tensor<4> {
        let mut hidden = self.enter.forward(self.match_channel.forward(codes));
        for (index, block) in self.first_blocks.iter().enumerate() {
            if index == 1 {
                hidden = self.attention.forward(hidden);
            }
            hidden = block.forward(hidden);
        }
        for (block, convolution) in self.blocks.iter().zip(&self.double) {
            hidden = convolution.forward(repeat(block.forward(hidden)));
        }
        for block in &self.last_blocks {
            hidden = block.forward(hidden);
        }
        tanh(self.leave.forward(self.last_norm.forward(hidden)))
    }
}

/// Every pixel four times: `[B, C, H, W]` → `[B, C, 2H, 2W]`.
fn repeat(input: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = input.dims();
    input.reshape([batch * channels, height, 1, width, 1]).repeat(&[1, 1, 2, 1, 2]).reshape([
        batch,
        channels,
        2 * height,
        2 * width,
    ])
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    #[test]
    fn shapes_are_those_of_fig_5() {
        let device = Device::flex();
        let network = PaperNetwork::new(Scale::new(8).unwrap(), &device);
        let values: Vec<f32> = (0..2 * 3 * 32 * 48).map(|value| (value % 97) as f32 / 96.0 - 0.5).collect();
        let picture = Tensor::<4>::from_data(TensorData::new(values, [2, 3, 32, 48]), &device);
        let Posterior { mean, log_variance } = network.encoder.forward(picture);
        assert_eq!(mean.dims(), [2, FEATURES, 2, 3]);
        assert_eq!(log_variance.dims(), mean.dims());
        let arrived = network.decoder.forward(mean);
        assert_eq!(arrived.dims(), [2, 3, 32, 48]);
        let (least, most): (f32, f32) = (arrived.clone().min().into_scalar(), arrived.max().into_scalar());
        assert!((-1.0..=1.0).contains(&least) && (-1.0..=1.0).contains(&most), "{least} to {most}");
    }

    #[test]
    fn the_paper_scale_has_the_papers_channels() {
        assert_eq!(Scale::new(1).unwrap().channels(), [32, 64, 128, 192]);
        assert!(Scale::new(3).is_none() && Scale::new(0).is_none());
        let network = PaperNetwork::new(Scale::new(1).unwrap(), &Device::flex());
        let count = network.num_params();
        assert!((6_000_000..9_000_000).contains(&count), "{count} parameters");
    }

    #[test]
    fn doubling_repeats_rows_and_columns() {
        let device = Device::flex();
        let input =
            Tensor::<4>::from_data(TensorData::new(vec![1.0_f32, 2.0, 3.0, 4.0], [1, 1, 2, 2]), &device);
        let values: Vec<f32> = repeat(input).into_data().iter::<f32>().collect();
        assert_eq!(values, [1., 1., 2., 2., 1., 1., 2., 2., 3., 3., 4., 4., 3., 3., 4., 4.]);
    }
}
