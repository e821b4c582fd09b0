//! What received pictures are judged by: LPIPS, and a discriminator that learns to tell them from photographs.
//!
//! The discriminator \[1\] looks at patches of 36 pixels: its convolutions give a figure for each, and there is nothing after
//! them. It knows nothing of what was sent. Its loss is the hinge loss (\[2\], eq. 17), that of the network the negative of its
//! figures (\[2\], eq. 18).
//!
//! Both losses are of one sum. In the network's, the discriminator is a constant; in the discriminator's, what arrived is: one
//! backward pass gives each half its own gradients alone, and one optimiser moves both. AdamW's steps do not depend on
//! the size of a gradient, so neither half changes the steps of the other.
//!
//! 1. P. Isola, J.-Y. Zhu, T. Zhou, A. A. Efros: Image-to-image translation with conditional adversarial networks. CVPR
//!    2017: section 3.2.2.
//! 2. T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida: Spectral normalization for generative adversarial networks. ICLR 2018.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::activation::{leaky_relu, relu};
use burn::tensor::{Device, Tensor};

use crate::ae::layers::{convolution, fold};
use crate::metrics::Lpips;

/// Channels between its layers.
const WIDTH: usize = 64;
/// Pixels along each axis that its first layer takes as one place.
const FOLD: usize = 4;
/// Below this mean square error, a group counts little: 45 dB.
const ERROR_FLOOR: f32 = 3.0e-5;

/// Tells patches of photographs from patches of received pictures.
#[derive(Module, Debug)]
pub struct Discriminator {
    first: Conv2d,
    second: Conv2d,
    third: Conv2d,
    verdict: Conv2d,
}

impl Discriminator {
    /// One that has learned nothing.
    pub fn new(device: &Device) -> Self {
        Self {
            first: convolution(3 * FOLD * FOLD, WIDTH, 3, 1, device),
            second: convolution(WIDTH, WIDTH, 3, 2, device),
            third: convolution(WIDTH, WIDTH, 3, 1, device),
            verdict: convolution(WIDTH, 1, 1, 1, device),
        }
    }

    /// Pictures of values of 0 to 1, `[B, 3, H, W]` → `[B, 1, H/8, W/8]`: above zero where it looks like a photograph.
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<4> {
        let mut hidden = fold(pictures.mul_scalar(2.0).sub_scalar(1.0), FOLD);
        for layer in [&self.first, &self.second, &self.third] {
            hidden = leaky_relu(layer.forward(hidden), 0.2);
        }
        self.verdict.forward(hidden)
    }
}

/// A network and what it is trained against.
#[derive(Module, Debug)]
pub struct Opposed<N: Module> {
    /// What is wanted.
    pub network: N,
    /// Of use in training only.
    pub discriminator: Discriminator,
}

impl<N: Module> Opposed<N> {
    /// A network beside a discriminator that has learned nothing.
    pub fn new(network: N, device: &Device) -> Self {
        Self { network, discriminator: Discriminator::new(device) }
    }
}

/// How much each part of the loss counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// The logarithm of the mean square error.
    pub error: f64,
    /// LPIPS.
    pub perceptual: f64,
    /// The discriminator; zero for none.
    pub adversarial: f64,
}

impl Weights {
    /// Whether they make sense.
    pub fn check(&self) -> Result<(), String> {
        let all = [self.error, self.perceptual, self.adversarial];
        if all.iter().all(|weight| (0.0..=1000.0).contains(weight)) && all[..2].iter().sum::<f64>() > 0.0 {
            Ok(())
        } else {
            Err("weights of the loss must be 0 to 1000, and that of the error or of LPIPS above 0".into())
        }
    }
}

/// LPIPS and the weights of the loss.
pub struct Judge {
    /// The measure, on a device that does not differentiate: its own weights are constants.
    pub lpips: Lpips,
    /// What counts how much.
    pub weights: Weights,
}

impl Judge {
    /// The loss of received pictures `[B, 3, H, W]`, values of 0 to 1, and that of the discriminator; `errors`: mean square
    /// errors of groups.
    pub fn loss(
        &self,
        discriminator: &Discriminator,
        pictures: Tensor<4>,
        arrived: Tensor<4>,
        errors: Tensor<1>,
    ) -> Tensor<1> {
        let Weights { error, perceptual, adversarial } = self.weights;
        let mut loss = errors.add_scalar(ERROR_FLOOR).log().mean().mul_scalar(error);
        if perceptual > 0.0 {
            loss = loss + self.lpips.between(pictures.clone(), arrived.clone()).mean().mul_scalar(perceptual);
        }
        if adversarial > 0.0 {
            let constant = arrived.clone().inner();
            let fooled = discriminator.valid().forward(arrived).mean();
            let [count, ..] = pictures.dims();
            let verdicts = discriminator.forward(Tensor::cat(vec![pictures, constant], 0));
            let [real, received] = [0, count].map(|at| verdicts.clone().narrow(0, at, count));
            let hinge = |rightly: Tensor<4>| relu(rightly.neg().add_scalar(1.0)).mean();
            loss = loss - fooled.mul_scalar(adversarial) + hinge(real) + hinge(received.neg());
        }
        loss
    }
}
