//! ESPNet: a segmentation network from efficient spatial pyramids of dilated convolutions.
//!
//! ```text
//! picture ─ 3×3/2 ─┬(½)─ + picture ─ pyramid/2 ─ p pyramids ─ + picture ─(¼)─ pyramid/2 ─ q pyramids ─(⅛)─ 1×1 ─ ×2 ─┐
//!                  └───────────────── 3×3 ◄─ ×2 ◄─ pyramid ◄──────┴─ 1×1 ────────────────────────────────────────────┘
//!                                      └─ ×2 ─► classes
//! ```
//!
//! S. Mehta, M. Rastegari, A. Caspi, L. Shapiro, H. Hajishirzi: ESPNet: efficient spatial pyramid of dilated convolutions for
//! semantic segmentation. ECCV 2018: sections 3 and 4. Sizes and names as in the published files.

use burn::module::Module;
use burn::nn::conv::{Conv2d, ConvTranspose2d, ConvTranspose2dConfig};
use burn::tensor::{Device, Tensor};

use super::layers::{ConvNormAct, Norm, NormAct, Shape, halved, plain};
use crate::foreign::{ForeignError, ForeignWeights, KeyMap};

const EPSILON: f64 = 1e-3;

/// Reduce, split, transform, merge (section 3.1), with hierarchical fusion of the branches (section 3.2).
#[derive(Module, Debug)]
struct Pyramid {
    c1: Conv2d,
    d1: Conv2d,
    d2: Conv2d,
    d4: Conv2d,
    d8: Conv2d,
    d16: Conv2d,
    norm: NormAct,
    identity: bool,
}

impl Pyramid {
    fn new(from: usize, to: usize, halves: bool, identity: bool, device: &Device) -> Self {
        let narrow = to / 5;
        let branch = |dilation, width| Shape { dilation, ..Shape::of(3) }.init(narrow, width, device);
        let reduce = if halves { Shape { stride: 2, ..Shape::of(3) } } else { Shape::of(1) };
        Self {
            c1: reduce.init(from, narrow, device),
            d1: branch(1, to - 4 * narrow),
            d2: branch(2, narrow),
            d4: branch(4, narrow),
            d8: branch(8, narrow),
            d16: branch(16, narrow),
            norm: NormAct::new(to, EPSILON, device),
            identity,
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let reduced = plain(&self.c1, input.clone());
        let mut parts = vec![plain(&self.d1, reduced.clone())];
        let mut sum: Option<Tensor<4>> = None;
        for layer in [&self.d2, &self.d4, &self.d8, &self.d16] {
            let branch = plain(layer, reduced.clone());
            let next = match sum {
                Some(sum) => sum + branch,
                None => branch,
            };
            parts.push(next.clone());
            sum = Some(next);
        }
        let merged = Tensor::cat(parts, 1);
        self.norm.forward(if self.identity { input + merged } else { merged })
    }
}

#[derive(Module, Debug)]
struct Encoder {
    level1: ConvNormAct,
    b1: NormAct,
    level2_0: Pyramid,
    level2: Vec<Pyramid>,
    b2: NormAct,
    level3_0: Pyramid,
    level3: Vec<Pyramid>,
    b3: NormAct,
    classifier: Conv2d,
}

/// The network.
#[derive(Module, Debug)]
pub struct EspNet {
    encoder: Encoder,
    level3_c: Conv2d,
    br: Norm,
    conv: ConvNormAct,
    up_l3: ConvTranspose2d,
    combine_before: NormAct,
    combine: Pyramid,
    up_l2: ConvTranspose2d,
    up_l2_norm: NormAct,
    classifier: ConvTranspose2d,
    /// Whether the last convolution sees the picture beside the first features.
    sees_picture: bool,
}

/// What the encoder hands on beside its features.
#[derive(Clone)]
pub struct Skips {
    pub(super) half: Tensor<4>,
    pub(super) quarter: Tensor<4>,
}

impl EspNet {
    /// The network in a published file, with as many classes and layers as the file has.
    pub fn load(file: &ForeignWeights, device: &Device) -> Result<Self, ForeignError> {
        let rows = |name: &str| file.values(name).map(|(shape, _)| shape);
        let classes = rows("encoder.classifier.conv.weight")?.first().copied().unwrap_or(0);
        let last = rows("conv.conv.weight")?.get(1).copied().unwrap_or(0);
        let count = |level: &str| {
            let prefix = format!("encoder.{level}.");
            let number = |name: &str| name.strip_prefix(&prefix)?.split('.').next()?.parse::<usize>().ok();
            file.shapes().filter_map(|(name, _)| number(name)).max().map_or(0, |last| (last + 1).min(64))
        };
        let (p, q) = (count("level2"), count("level3"));
        if !(2..=1000).contains(&classes) {
            return Err(ForeignError::Damaged(format!("{classes} classes: expected 2 to 1000")));
        }
        let empty = Self::new(classes, p, q, last == classes + 19, device);
        file.load_into(&Self::key_map()?, empty)
    }

    fn new(classes: usize, p: usize, q: usize, sees_picture: bool, device: &Device) -> Self {
        let up = || {
            ConvTranspose2dConfig::new([classes, classes], [2, 2])
                .with_stride([2, 2])
                .with_bias(false)
                .init(device)
        };
        let norm = |channels| NormAct::new(channels, EPSILON, device);
        let enter = Shape { stride: 2, ..Shape::of(3) };
        let pyramids = |count: usize, width| {
            (0..count).map(|_| Pyramid::new(width, width, false, true, device)).collect()
        };
        let encoder = Encoder {
            level1: ConvNormAct::new(enter, 3, 16, EPSILON, device),
            b1: norm(19),
            level2_0: Pyramid::new(19, 64, true, false, device),
            level2: pyramids(p, 64),
            b2: norm(131),
            level3_0: Pyramid::new(131, 128, true, false, device),
            level3: pyramids(q, 128),
            b3: norm(256),
            classifier: Shape::of(1).init(256, classes, device),
        };
        let seen = classes + if sees_picture { 19 } else { 16 };
        Self {
            encoder,
            level3_c: Shape::of(1).init(131, classes, device),
            br: Norm::new(classes, EPSILON, device),
            conv: ConvNormAct::new(Shape::of(3), seen, classes, EPSILON, device),
            up_l3: up(),
            combine_before: norm(2 * classes),
            combine: Pyramid::new(2 * classes, classes, false, false, device),
            up_l2: up(),
            up_l2_norm: norm(classes),
            classifier: up(),
            sees_picture,
        }
    }

    fn key_map() -> Result<KeyMap, ForeignError> {
        KeyMap::new()
            .rename(r"\.(c1|d\d+)\.conv\.", ".$1.")?
            .rename(r"(level[23]_0)\.(bn|act)\.", "$1.norm.$2.")?
            .rename(r"(level[23]\.\d+|combine_l2_l3\.1)\.bn\.", "$1.norm.")?
            .rename(r"^combine_l2_l3\.0\.", "combine_before.")?
            .rename(r"^combine_l2_l3\.1\.", "combine.")?
            .rename(r"^up_l2\.1\.", "up_l2_norm.")?
            .rename(r"^(up_l\d)\.0\.", "$1.")?
            .rename(r"^level3_C\.conv\.", "level3_c.")?
            .rename(r"^encoder\.classifier\.conv\.", "encoder.classifier.")
    }

    /// `[B, 3, H, W]`, sides multiples of 8 → `[B, 256, H/8, W/8]` and what the decoder needs besides.
    pub fn features(&self, picture: Tensor<4>) -> (Tensor<4>, Skips) {
        let encoder = &self.encoder;
        let (half, quarter) = (halved(picture.clone()), halved(halved(picture.clone())));
        let entered = encoder.level1.forward(picture);
        let one = encoder.b1.forward(Tensor::cat(vec![entered.clone(), half], 1));
        let first = encoder.level2_0.forward(one.clone());
        let two = encoder.level2.iter().fold(first.clone(), |hidden, layer| layer.forward(hidden));
        let two = encoder.b2.forward(Tensor::cat(vec![two, first, quarter], 1));
        let first = encoder.level3_0.forward(two.clone());
        let three = encoder.level3.iter().fold(first.clone(), |hidden, layer| layer.forward(hidden));
        let three = encoder.b3.forward(Tensor::cat(vec![first, three], 1));
        (three, Skips { half: if self.sees_picture { one } else { entered }, quarter: two })
    }

    /// Features → `[B, classes, H, W]`.
    pub fn classes(&self, features: Tensor<4>, skips: Skips) -> Tensor<4> {
        let deep = self.up_l3.forward(self.br.forward(plain(&self.encoder.classifier, features)));
        let both = Tensor::cat(vec![plain(&self.level3_c, skips.quarter), deep], 1);
        let both = self.combine.forward(self.combine_before.forward(both));
        let both = self.up_l2_norm.forward(self.up_l2.forward(both));
        self.classifier.forward(self.conv.forward(Tensor::cat(vec![both, skips.half], 1)))
    }
}
