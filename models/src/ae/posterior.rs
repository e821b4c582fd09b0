//! What `vae` and `vscc` have over `ae`: the encoder says how sure it is of each of its values.
//!
//! The network of Y. Feng et al. (see [`crate::vscc`]) draws what it decodes from N(μ, σ₁² + σ₂²), where the encoder chooses
//! μ and σ₁² and the channel adds σ₂². Here μ is the value that `ae` would send, σ₁² comes from one more layer of the
//! encoder, and the decoder, which knows the noise variance of every value anyhow, is told σ₁² + σ₂².
//!
//! Ours, where the paper's network has one rate, one SNR and no power constraint:
//!
//! - σ₁² and the channel matching constant d are in units of λ, the variance of the value's channel over all pictures,
//!   which the network learns: channels differ in power by a factor of a thousand.
//! - The noise of a value, σ₂², is that of its own symbol at its own rate, after the picture's power has been scaled to 1
//!   per symbol. A value that is not sent has no part in the loss.
//! - The sender sends means; the receiver draws, once and from a seed that follows from the message, so that every
//!   receiver sees the same picture.
//! - *Fixed* variance (the default): the mean of σ₁²/λ of each channel over the training pictures, kept with the
//!   weights. *Transmitted* variance: ln σ₁²/λ less its known mean, as many symbols again as the means have. The receiver
//!   estimates it linearly, so that as noise grows, or where a symbol is lost, it becomes the fixed one: the paper's section V
//!   asks for such an estimate.

use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};

use super::layers::silent_convolution;
use super::network::{CHANNELS, ENCODER_SIXTEENTH};

/// Logarithm of σ₁²/λ that an untrained network begins with.
const FIRST_LOG_RATIO: f32 = -4.0;
/// Range of that logarithm.
pub const LOG_RATIOS: std::ops::RangeInclusive<f32> = -12.0..=3.0;

/// How sure the encoder is.
#[derive(Module, Debug)]
pub struct Posterior {
    log_ratio: Conv2d,
    known: Param<Tensor<1>>,
}

impl Posterior {
    /// One that has learned nothing.
    pub fn new(device: &Device) -> Self {
        Self {
            log_ratio: silent_convolution(ENCODER_SIXTEENTH, CHANNELS, 1, device),
            known: Param::from_tensor(Tensor::full([CHANNELS], FIRST_LOG_RATIO, device)),
        }
    }

    /// Features of the encoder, `[B, ENCODER_SIXTEENTH, h, w]` → ln σ₁²/λ of each value, `[B, CHANNELS, h, w]`.
    pub fn log_ratio(&self, features: Tensor<4>) -> Tensor<4> {
        let (least, most) = LOG_RATIOS.into_inner();
        self.log_ratio.forward(features).add_scalar(FIRST_LOG_RATIO).clamp(least, most)
    }

    /// The knowledge base: logarithm of the mean of σ₁²/λ of each channel over the training pictures.
    pub fn known(&self) -> Tensor<1> {
        self.known.val()
    }
}
