//! The segmentation network that comes with the program.
//!
//! ```text
//! picture, row ─ fold 4 ─ 3×3/2 ─ residual(⅛) ─┬─ 3×3/2 ─ 2 residuals(1/16) ─┬─ + ─ 1×1 ─ unfold 2 ─ + ─ 3×3 ─ 1×1 ─► classes (⅛)
//!                                         │                             └─ mean ─ 1×1 ─┘          │
//!                                         └──────────────────── 1×1 ──────────────────────────────┘
//! ```
//!
//! Its classes are those of [`semcast_common::content::classes`]. It learned from other networks, not from people: see its card,
//! `models/weights/segment.md`, and `crate::training::segment`.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor, TensorData, activation::relu};

use crate::ae::layers::{Residual, convolution, fold, unfold};
use crate::ae::weights::load;
use crate::convolution::convolve;
use semcast_common::content::classes::COUNT;

/// Pixels along each axis that one place of the features stands for.
pub const FEATURE_PIXELS: usize = 16;
/// Pixels along each axis of a place with a class of its own.
pub const PLACE_PIXELS: usize = 8;

const EIGHTH: usize = 64;
const SIXTEENTH: usize = 96;
const LEAVING: usize = 32;

/// The weights that come with the program; their card lies beside them.
pub static WEIGHTS: &[u8] = include_bytes!("../../../weights/segment.safetensors");

/// The network.
#[derive(Module, Debug)]
pub struct Small {
    to_eighth: Conv2d,
    eighth: Residual,
    to_sixteenth: Conv2d,
    sixteenth: Vec<Residual>,
    whole: Conv2d,
    up: Conv2d,
    beside: Conv2d,
    mix: Conv2d,
    leave: Conv2d,
}

fn plain(layer: &Conv2d, input: Tensor<4>) -> Tensor<4> {
    convolve(layer, input, None, false)
}

impl Small {
    /// One that has learned nothing.
    pub fn new(device: &Device) -> Self {
        Self {
            to_eighth: convolution(48 + 1, EIGHTH, 3, 2, device),
            eighth: Residual::new(EIGHTH, device),
            to_sixteenth: convolution(EIGHTH, SIXTEENTH, 3, 2, device),
            sixteenth: (0..2).map(|_| Residual::new(SIXTEENTH, device)).collect(),
            whole: convolution(SIXTEENTH, SIXTEENTH, 1, 1, device),
            up: convolution(SIXTEENTH, 4 * LEAVING, 1, 1, device),
            beside: convolution(EIGHTH, LEAVING, 1, 1, device),
            mix: convolution(LEAVING, LEAVING, 3, 1, device),
            leave: convolution(LEAVING, COUNT, 1, 1, device),
        }
    }

    /// The network in a weight file.
    pub fn from_bytes(bytes: Vec<u8>, device: &Device) -> Result<Self, String> {
        load(Self::new(device), bytes)
    }

    /// `[B, 3, H, W]`, values 0 to 1, sides multiples of [`FEATURE_PIXELS`] → features `[B, C, H/16, W/16]`, and what the
    /// last layers need besides, `[B, C, H/8, W/8]`.
    pub fn features(&self, picture: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let [batch, _, height, width] = picture.dims();
        let (rows, columns) = (height / 4, width / 4);
        // Sky is above and road below: how far down a row is, from -1 to 1.
        let place = |row: usize| (2 * row + 1) as f32 / rows as f32 - 1.0;
        let places: Vec<f32> = (0..rows * columns).map(|at| place(at / columns)).collect();
        let places =
            Tensor::<4>::from_data(TensorData::new(places, [1, 1, rows, columns]), &picture.device());
        let folded = fold(picture.sub_scalar(0.5).mul_scalar(4.0), 4);
        let folded = Tensor::cat(vec![folded, places.repeat_dim(0, batch)], 1);
        let eighth = self.eighth.forward(convolve(&self.to_eighth, folded, None, true));
        let hidden = convolve(&self.to_sixteenth, relu(eighth.clone()), None, true);
        let hidden = self.sixteenth.iter().fold(hidden, |hidden, layer| layer.forward(hidden));
        (hidden, eighth)
    }

    /// Features → logits of the classes, `[B, COUNT, H/8, W/8]`.
    pub fn classes(&self, features: Tensor<4>, beside: Tensor<4>) -> Tensor<4> {
        let whole = plain(&self.whole, features.clone().mean_dim(2).mean_dim(3));
        let up = unfold(plain(&self.up, relu(features + whole)), 2);
        let mixed = plain(&self.mix, convolve(&self.beside, relu(beside), Some(up), true));
        plain(&self.leave, relu(mixed))
    }
}
