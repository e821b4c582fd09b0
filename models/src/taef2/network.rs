//! The two halves of TAEF2, from 3 × 3 convolutions.
//!
//! ```text
//! picture ─ 3×3 ─ block ─ 3×3/2 ─ 3 blocks ─ 3×3/2 ─ 3 blocks ─ 3×3/2 ─┆─ 3 pooled blocks ─ 3×3 ─► latents
//! [B,3,H,W]        H         H/2                H/4                    ┆        H/8           [B,32,H/8,W/8]
//!
//! latents ─ 3·tanh(x/3) ─ 3×3 ─ 3 pooled blocks ─┆─ ×2 ─ 3×3 ─ 3 blocks ─ ×2 ─ 3×3 ─ 3 blocks ─ ×2 ─ 3×3 ─ block ─ 3×3 ─► picture
//!                                   H/8          ┆            H/4                  H/2                   H
//! ```
//!
//! A block is three 3 × 3 convolutions with ReLU between them, beside an identity, and ReLU behind the sum. A pooled block
//! first adds to its input a 1 × 1 convolution to four times the channels, group normalisation, ReLU and a 1 × 1
//! convolution back; normalisation sees the whole picture, so large pictures are cut into tiles only on the far side of ┆.
//!
//! O. Boer Bohan: TAESD, <https://github.com/madebyollin/taesd>, 2023–2025: the family that TAEF2 belongs to.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, PaddingConfig2d};
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor, activation::relu};

use crate::convolution::convolve;
use crate::foreign::{ForeignError, KeyMap};

/// Channels of the hidden layers.
pub const HIDDEN: usize = 64;
/// Channels of the latents.
pub const LATENTS: usize = 32;
/// Pixels a latent, along each axis.
pub const UNIT: usize = 8;
/// Groups of a normalisation, and how much wider it is than the block around it.
const GROUPS: usize = 4;
/// Latents lie within about this many times one.
const LATENT_BOUND: f32 = 3.0;

fn convolution(from: usize, to: usize, kernel: usize, stride: usize, bias: bool, device: &Device) -> Conv2d {
    let pad = kernel / 2;
    Conv2dConfig::new([from, to], [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .with_bias(bias)
        .init(device)
}

/// What a pooled block adds to its input.
#[derive(Module, Debug)]
struct Pool {
    widen: Conv2d,
    norm: GroupNorm,
    narrow: Conv2d,
}

/// Three convolutions beside an identity.
#[derive(Module, Debug)]
struct Block {
    first: Conv2d,
    second: Conv2d,
    third: Conv2d,
    pool: Option<Pool>,
}

impl Block {
    fn new(width: usize, pooled: bool, device: &Device) -> Self {
        let three = || convolution(width, width, 3, 1, true, device);
        let wide = GROUPS * width;
        let pool = pooled.then(|| Pool {
            widen: convolution(width, wide, 1, 1, false, device),
            norm: GroupNormConfig::new(GROUPS, wide).init(device),
            narrow: convolution(wide, width, 1, 1, false, device),
        });
        Self { first: three(), second: three(), third: three(), pool }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let input = match &self.pool {
            Some(pool) => {
                let wide = convolve(&pool.widen, input.clone(), None, false);
                convolve(&pool.narrow, relu(pool.norm.forward(wide)), Some(input), false)
            }
            None => input,
        };
        let hidden = convolve(&self.first, input.clone(), None, true);
        let hidden = convolve(&self.second, hidden, None, true);
        convolve(&self.third, hidden, Some(input), true)
    }
}

fn blocks(count: usize, width: usize, pooled: bool, device: &Device) -> Vec<Block> {
    (0..count).map(|_| Block::new(width, pooled, device)).collect()
}

fn run(blocks: &[Block], input: Tensor<4>) -> Tensor<4> {
    blocks.iter().fold(input, |hidden, block| block.forward(hidden))
}

fn plain(layer: &Conv2d, input: Tensor<4>) -> Tensor<4> {
    convolve(layer, input, None, false)
}

fn doubled(input: Tensor<4>) -> Tensor<4> {
    let options = InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0, 2.0]);
    interpolate(input, options)
}

/// Rules that turn names of TAEF2's layers, which are numbers, into ours.
fn key_map(layers: &[(usize, &str)]) -> Result<KeyMap, ForeignError> {
    let mut map = KeyMap::pytorch();
    for (number, name) in layers {
        map = map.rename(&format!(r"^{number}\."), &format!("{name}."))?;
    }
    for (theirs, ours) in [("conv.0", "first"), ("conv.2", "second"), ("conv.4", "third")] {
        map = map.rename(&format!(r"\.{theirs}\."), &format!(".{ours}."))?;
    }
    for (theirs, ours) in [("pool.0", "pool.widen"), ("pool.1", "pool.norm"), ("pool.3", "pool.narrow")] {
        map = map.rename(&format!(r"\.{theirs}\."), &format!(".{ours}."))?;
    }
    Ok(map)
}

/// From picture to latents.
#[derive(Module, Debug)]
pub struct Encoder {
    enter: Conv2d,
    full: Block,
    to_half: Conv2d,
    half: Vec<Block>,
    to_quarter: Conv2d,
    quarter: Vec<Block>,
    to_eighth: Conv2d,
    eighth: Vec<Block>,
    leave: Conv2d,
}

impl Encoder {
    /// With random numbers; TAEF2 itself has [`HIDDEN`] channels within and [`LATENTS`] latents.
    pub fn new(hidden: usize, latents: usize, device: &Device) -> Self {
        let down = || convolution(hidden, hidden, 3, 2, false, device);
        Self {
            enter: convolution(3, hidden, 3, 1, true, device),
            full: Block::new(hidden, false, device),
            to_half: down(),
            half: blocks(3, hidden, false, device),
            to_quarter: down(),
            quarter: blocks(3, hidden, false, device),
            to_eighth: down(),
            eighth: blocks(3, hidden, true, device),
            leave: convolution(hidden, latents, 3, 1, true, device),
        }
    }

    /// Names of the layers in TAEF2's file.
    pub fn key_map() -> Result<KeyMap, ForeignError> {
        key_map(&[
            (0, "enter"),
            (1, "full"),
            (2, "to_half"),
            (3, "half.0"),
            (4, "half.1"),
            (5, "half.2"),
            (6, "to_quarter"),
            (7, "quarter.0"),
            (8, "quarter.1"),
            (9, "quarter.2"),
            (10, "to_eighth"),
            (11, "eighth.0"),
            (12, "eighth.1"),
            (13, "eighth.2"),
            (14, "leave"),
        ])
    }

    /// Up to ┆: `[B, 3, H, W]`, values 0 to 1, sides multiples of [`UNIT`] → `[B, hidden, H/8, W/8]`.
    pub fn near(&self, picture: Tensor<4>) -> Tensor<4> {
        let hidden = self.full.forward(plain(&self.enter, picture));
        let hidden = run(&self.half, plain(&self.to_half, hidden));
        let hidden = run(&self.quarter, plain(&self.to_quarter, hidden));
        plain(&self.to_eighth, hidden)
    }

    /// From ┆ on: `[B, hidden, H/8, W/8]`, of the whole picture → `[B, latents, H/8, W/8]`.
    pub fn far(&self, hidden: Tensor<4>) -> Tensor<4> {
        plain(&self.leave, run(&self.eighth, hidden))
    }

    /// `[B, 3, H, W]`, values 0 to 1, sides multiples of [`UNIT`] → `[B, latents, H/8, W/8]`.
    pub fn forward(&self, picture: Tensor<4>) -> Tensor<4> {
        self.far(self.near(picture))
    }
}

/// From latents to picture.
#[derive(Module, Debug)]
pub struct Decoder {
    enter: Conv2d,
    eighth: Vec<Block>,
    to_quarter: Conv2d,
    quarter: Vec<Block>,
    to_half: Conv2d,
    half: Vec<Block>,
    to_full: Conv2d,
    full: Block,
    leave: Conv2d,
}

impl Decoder {
    /// With random numbers; TAEF2 itself has [`HIDDEN`] channels within and [`LATENTS`] latents.
    pub fn new(hidden: usize, latents: usize, device: &Device) -> Self {
        let up = || convolution(hidden, hidden, 3, 1, false, device);
        Self {
            enter: convolution(latents, hidden, 3, 1, true, device),
            eighth: blocks(3, hidden, true, device),
            to_quarter: up(),
            quarter: blocks(3, hidden, false, device),
            to_half: up(),
            half: blocks(3, hidden, false, device),
            to_full: up(),
            full: Block::new(hidden, false, device),
            leave: convolution(hidden, 3, 3, 1, true, device),
        }
    }

    /// Names of the layers in TAEF2's file.
    pub fn key_map() -> Result<KeyMap, ForeignError> {
        key_map(&[
            (1, "enter"),
            (3, "eighth.0"),
            (4, "eighth.1"),
            (5, "eighth.2"),
            (7, "to_quarter"),
            (8, "quarter.0"),
            (9, "quarter.1"),
            (10, "quarter.2"),
            (12, "to_half"),
            (13, "half.0"),
            (14, "half.1"),
            (15, "half.2"),
            (17, "to_full"),
            (18, "full"),
            (19, "leave"),
        ])
    }

    /// Up to ┆: `[B, latents, H/8, W/8]`, of the whole picture → `[B, hidden, H/8, W/8]`.
    pub fn far(&self, latents: Tensor<4>) -> Tensor<4> {
        let bounded = latents.div_scalar(LATENT_BOUND).tanh().mul_scalar(LATENT_BOUND);
        run(&self.eighth, convolve(&self.enter, bounded, None, true))
    }

    /// From ┆ on: `[B, hidden, H/8, W/8]` → `[B, 3, H, W]`, values about 0 to 1.
    pub fn near(&self, hidden: Tensor<4>) -> Tensor<4> {
        let hidden = run(&self.quarter, plain(&self.to_quarter, doubled(hidden)));
        let hidden = run(&self.half, plain(&self.to_half, doubled(hidden)));
        plain(&self.leave, self.full.forward(plain(&self.to_full, doubled(hidden))))
    }

    /// `[B, latents, H/8, W/8]` → `[B, 3, H, W]`, values about 0 to 1.
    pub fn forward(&self, latents: Tensor<4>) -> Tensor<4> {
        self.near(self.far(latents))
    }
}
