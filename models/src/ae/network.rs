//! The network of the `ae` system: an encoder from pictures to symbols, a decoder back.
//!
//! ```text
//! picture − mean ──┬── fold 16 ─ linear 768→256 ───────────────┬─ ·(1+gate) + correction ─► 256 reals a block
//!  [B,3,H,W]       └── fold 4 ─ 3×3/2 ─ residual(1/8) ─ 3×3/2 ─┴─ residual(1/16) ─┘           [B,256,H/16,W/16]
//!
//! symbols, variances ─ LMMSE ─┬─ ·(1+gate) + correction ─ linear 256→768 ─ unfold 16 ─┬────────── + ─► picture − mean
//!                             └─ residual(1/16) ─┴─ unfold 2 ─ residual(1/8) ─ unfold 2 ─ residual(1/4) ─┘
//! ```
//!
//! Conventions: channel `2i` and `2i+1` of a block are the real and the imaginary part of a complex symbol; channels
//! are ordered by importance, so that the first `2k` of them are a code of `k` complex symbols a block. The noise
//! variance given to the decoder is that of each real value, in the units of the encoder's output; a value that was
//! not sent or did not arrive has a variance of [`UNKNOWN`].
//!
//! 1. E. Bourtsoulatze, D. Burth Kurka, D. Gündüz: Deep joint source-channel coding for wireless image
//!    transmission. IEEE TCCN 5(3), 2019: analog symbols from a convolutional network, power constraint eq. 4.
//! 2. J. Xu et al.: Wireless image transmission using deep source channel coding with attention modules. IEEE
//!    TCSVT 32(4), 2022: one network over a range of SNR, told the SNR.

use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor, TensorData};

use crate::convolution::convolve;

use super::adaptation::{Adaptation, Modulation, knots_of};
use super::basis::{BLOCK, BLOCK_VALUES, Basis};
use super::layers::{Mix, Residual, convolution, fold, silent_convolution, unfold};
use super::posterior::Posterior;

/// Real values a block, at most: 128 complex symbols for 768 values, a bandwidth ratio of 1/6.
pub const CHANNELS: usize = 256;
/// Noise variance that stands for "nothing is known of this value".
pub const UNKNOWN: f32 = 1.0e6;
/// Pixels around a place that can change what a network of the least depth makes of it.
const ENCODER_REACH: usize = 160;
const DECODER_REACH: usize = 192;
/// Pixels by which a residual block reaches further, at a sixteenth and at an eighth of the size.
const SIXTEENTH_REACH: usize = 32;
const EIGHTH_REACH: usize = 16;

const ENCODER_EIGHTH: usize = 64;
/// Features of a block, inside the encoder.
pub const ENCODER_SIXTEENTH: usize = 128;
const DECODER_SIXTEENTH: usize = 128;
const DECODER_EIGHTH: usize = 64;
const DECODER_QUARTER: usize = 48;

/// Residual blocks that networks may have more or fewer of; a weight file tells how many its network has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Of the encoder, at a sixteenth of the size.
    pub encoder: usize,
    /// Of the decoder, at a sixteenth of the size.
    pub decoder: usize,
    /// Of the decoder, at an eighth of the size.
    pub decoder_eighth: usize,
}

impl Depth {
    /// That of a new network.
    pub const LEAST: Self = Self { encoder: 3, decoder: 3, decoder_eighth: 3 };
    /// Most blocks at any place.
    pub const MOST: usize = 32;
}

/// From picture to symbols.
#[derive(Module, Debug)]
pub struct Encoder {
    linear: Mix,
    spread: Param<Tensor<1>>,
    to_eighth: Conv2d,
    eighth: Vec<Residual>,
    to_sixteenth: Conv2d,
    from_linear: Conv2d,
    sixteenth: Vec<Residual>,
    gate: Conv2d,
    correction: Conv2d,
}

/// From received symbols to picture.
#[derive(Module, Debug)]
pub struct Decoder {
    log_variance: Param<Tensor<1>>,
    from_symbols: Conv2d,
    sixteenth: Vec<Residual>,
    gate: Conv2d,
    correction: Conv2d,
    linear: Mix,
    to_eighth: Conv2d,
    picture_to_eighth: Conv2d,
    eighth: Vec<Residual>,
    to_quarter: Conv2d,
    picture_to_quarter: Conv2d,
    quarter: Vec<Residual>,
    refinement: Conv2d,
}

/// Both halves, as they are trained and stored.
#[derive(Module, Debug)]
pub struct Network {
    /// From picture to symbols.
    pub encoder: Encoder,
    /// From received symbols to picture.
    pub decoder: Decoder,
    /// What the encoder does with the SNR, if it is one that is told.
    pub adaptation: Option<Adaptation>,
    /// How sure the encoder is of its values; `ae` has none.
    pub posterior: Option<Posterior>,
}

impl Network {
    /// A network that has learned nothing: linear transmission over `basis` ([`CHANNELS`] rows).
    pub fn new(basis: &Basis, device: &Device) -> Self {
        let (encoder, decoder) = (Encoder::new(basis, device), Decoder::new(basis, device));
        Self { encoder, decoder, adaptation: None, posterior: None }
    }

    /// The same with at least so many residual blocks; those that are added change nothing until they have been trained.
    pub fn deepened(mut self, depth: Depth, device: &Device) -> Self {
        let fill = |blocks: &mut Vec<Residual>, count: usize, channels| {
            blocks.extend((blocks.len()..count).map(|_| Residual::silent(channels, device)));
        };
        fill(&mut self.encoder.sixteenth, depth.encoder, ENCODER_SIXTEENTH);
        fill(&mut self.decoder.sixteenth, depth.decoder, DECODER_SIXTEENTH);
        fill(&mut self.decoder.eighth, depth.decoder_eighth, DECODER_EIGHTH);
        self
    }

    /// The same with an encoder that is told the SNR, but has learned nothing of it.
    pub fn adaptive(self, device: &Device) -> Self {
        Self { adaptation: Some(Adaptation::new(device)), ..self }
    }

    /// The same without what follows the SNR: its encoder does for any SNR what it did when it was told `snr_db`, but for what
    /// becomes of features as they enter its last blocks, which is little, and for amplitudes.
    pub fn settled(mut self, snr_db: f32) -> Self {
        if let Some(adaptation) = self.adaptation.take() {
            let told = knots_of([snr_db], &adaptation.device());
            self.encoder.settle(&adaptation.modulation(told));
        }
        self
    }

    /// The same with a posterior that has learned nothing.
    pub fn variational(self, device: &Device) -> Self {
        Self { posterior: Some(Posterior::new(device)), ..self }
    }
}

fn residuals(count: usize, channels: usize, device: &Device) -> Vec<Residual> {
    (0..count).map(|_| Residual::new(channels, device)).collect()
}

fn vector(values: Vec<f32>, device: &Device) -> Param<Tensor<1>> {
    let length = values.len();
    Param::from_tensor(Tensor::from_data(TensorData::new(values, [length]), device))
}

impl Encoder {
    fn new(basis: &Basis, device: &Device) -> Self {
        let scaled: Vec<Vec<f32>> = basis
            .rows
            .iter()
            .zip(&basis.variance)
            .map(|(row, variance)| row.iter().map(|weight| weight * variance.powf(-0.25)).collect())
            .collect();
        Self {
            linear: Mix::new(&scaled, device),
            spread: vector(basis.variance.iter().map(|variance| variance.powf(0.25)).collect(), device),
            to_eighth: convolution(48, ENCODER_EIGHTH, 3, 2, device),
            eighth: residuals(2, ENCODER_EIGHTH, device),
            to_sixteenth: convolution(ENCODER_EIGHTH, ENCODER_SIXTEENTH, 3, 2, device),
            from_linear: convolution(CHANNELS, ENCODER_SIXTEENTH, 1, 1, device),
            sixteenth: residuals(Depth::LEAST.encoder, ENCODER_SIXTEENTH, device),
            gate: silent_convolution(ENCODER_SIXTEENTH, CHANNELS, 1, device),
            correction: silent_convolution(ENCODER_SIXTEENTH, CHANNELS, 1, device),
        }
    }

    /// Pixels around a place that can change what becomes of it, a multiple of [`BLOCK`].
    pub fn reach(&self) -> usize {
        ENCODER_REACH + (self.sixteenth.len() - Depth::LEAST.encoder) * SIXTEENTH_REACH
    }

    /// Makes what `told` does to the features that leave the last blocks a part of the layers that they go to.
    fn settle(&mut self, told: &Modulation) {
        for layer in [&mut self.gate, &mut self.correction] {
            let (scaled, shifted) = told.through(layer.weight.val());
            layer.weight = Param::from_tensor(scaled.detach());
            layer.bias = layer.bias.take().map(|bias| Param::from_tensor((bias.val() + shifted).detach()));
        }
    }

    /// `[B, 3, H, W]`, values about zero, sides multiples of [`BLOCK`] → `[B, CHANNELS, H/16, W/16]`, unscaled.
    pub fn forward(&self, picture: Tensor<4>) -> Tensor<4> {
        self.forward_with_features(picture, None).0
    }

    /// As [`forward`](Self::forward), with the features that the values came from, `[B, ENCODER_SIXTEENTH, H/16, W/16]`;
    /// `told`: what becomes of features at an SNR.
    pub fn forward_with_features(
        &self,
        picture: Tensor<4>,
        told: Option<&Modulation>,
    ) -> (Tensor<4>, Tensor<4>) {
        let modulated = |place, features| match told {
            Some(told) => told.apply(place, features),
            None => features,
        };
        let linear = self.linear.forward(fold(picture.clone(), BLOCK));
        let spread = self.spread.val().reshape([1, CHANNELS, 1, 1]);
        // Pictures vary about zero by some 0.25; the layers like values near one.
        let mut hidden = convolve(&self.to_eighth, fold(picture.mul_scalar(4.0), 4), None, true);
        for block in &self.eighth {
            hidden = block.forward(hidden);
        }
        let known = linear.clone() / spread.clone();
        let known = convolve(&self.from_linear, known, None, false);
        let mut hidden = modulated(0, convolve(&self.to_sixteenth, hidden, Some(known), true));
        for block in &self.sixteenth {
            hidden = block.forward(hidden);
        }
        let hidden = modulated(1, hidden);
        let gate = convolve(&self.gate, hidden.clone(), None, false);
        let correction = convolve(&self.correction, hidden.clone(), None, false);
        (linear.clone() + linear * gate + correction * spread, hidden)
    }
}

impl Decoder {
    fn new(basis: &Basis, device: &Device) -> Self {
        let columns: Vec<Vec<f32>> = (0..BLOCK_VALUES)
            .map(|value| {
                let rows = basis.rows.iter().zip(&basis.variance);
                rows.map(|(row, variance)| row[value] * variance.powf(0.25)).collect()
            })
            .collect();
        // The variance of a coefficient as it is sent is λ · (λ^(-1/4))² = λ^(1/2).
        let log_variance = basis.variance.iter().map(|variance| 0.5 * variance.ln()).collect();
        Self {
            log_variance: vector(log_variance, device),
            from_symbols: convolution(2 * CHANNELS, DECODER_SIXTEENTH, 1, 1, device),
            sixteenth: residuals(Depth::LEAST.decoder, DECODER_SIXTEENTH, device),
            gate: silent_convolution(DECODER_SIXTEENTH, CHANNELS, 1, device),
            correction: silent_convolution(DECODER_SIXTEENTH, CHANNELS, 1, device),
            linear: Mix::new(&columns, device),
            to_eighth: convolution(DECODER_SIXTEENTH, 4 * DECODER_EIGHTH, 1, 1, device),
            picture_to_eighth: convolution(48, DECODER_EIGHTH, 3, 2, device),
            eighth: residuals(Depth::LEAST.decoder_eighth, DECODER_EIGHTH, device),
            to_quarter: convolution(DECODER_EIGHTH, 4 * DECODER_QUARTER, 1, 1, device),
            picture_to_quarter: convolution(48, DECODER_QUARTER, 3, 1, device),
            quarter: residuals(2, DECODER_QUARTER, device),
            refinement: silent_convolution(DECODER_QUARTER, 48, 3, device),
        }
    }

    /// Pixels around a place that can change what becomes of it, a multiple of [`BLOCK`].
    pub fn reach(&self) -> usize {
        DECODER_REACH
            + (self.sixteenth.len() - Depth::LEAST.decoder) * SIXTEENTH_REACH
            + (self.eighth.len() - Depth::LEAST.decoder_eighth) * EIGHTH_REACH
    }

    /// Logarithm of the variance of each channel as it is sent, over natural pictures.
    pub fn log_variance(&self) -> Tensor<1> {
        self.log_variance.val()
    }

    /// Variance of each channel as it is sent, over natural pictures.
    pub fn variance(&self) -> Result<Vec<f32>, String> {
        self.log_variance.val().exp().try_into_vec_as::<f32>().map_err(|error| error.to_string())
    }

    /// Received values and their noise variances, both `[B, CHANNELS, h, w]` → `[B, 3, 16h, 16w]` about zero.
    pub fn forward(&self, received: Tensor<4>, noise_variance: Tensor<4>) -> Tensor<4> {
        let variance = self.log_variance.val().exp().reshape([1, CHANNELS, 1, 1]);
        // Linear minimum mean square error estimate of each value on its own.
        let trust = variance.clone() / (variance.clone() + noise_variance);
        let estimate = received * trust.clone();
        let spread = variance.sqrt();
        let known = Tensor::cat(vec![estimate.clone() / spread.clone(), trust], 1);
        let mut hidden = convolve(&self.from_symbols, known, None, true);
        for block in &self.sixteenth {
            hidden = block.forward(hidden);
        }
        let gate = convolve(&self.gate, hidden.clone(), None, false);
        let correction = convolve(&self.correction, hidden.clone(), None, false);
        let estimate = estimate.clone() + estimate * gate + correction * spread;
        let picture = unfold(self.linear.forward(estimate), BLOCK);
        let quarters = fold(picture.clone().mul_scalar(4.0), 4);

        let finer = unfold(convolve(&self.to_eighth, hidden, None, false), 2);
        let mut hidden = convolve(&self.picture_to_eighth, quarters.clone(), Some(finer), true);
        for block in &self.eighth {
            hidden = block.forward(hidden);
        }
        let finer = unfold(convolve(&self.to_quarter, hidden, None, false), 2);
        let mut hidden = convolve(&self.picture_to_quarter, quarters, Some(finer), true);
        for block in &self.quarter {
            hidden = block.forward(hidden);
        }
        picture + unfold(convolve(&self.refinement, hidden, None, false), 4)
    }
}
