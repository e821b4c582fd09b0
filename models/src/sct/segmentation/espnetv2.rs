//! ESPNetv2: depthwise dilated convolutions, and a pyramid of scales on the way back up.
//!
//! ```text
//! picture ─ 3×3/2 ─┬(½)─ down ─┬(¼)─ down ─ 3 units ─┬(⅛)─ down ─ 7 units ─(1/16)─ scales ─┐
//!                  │           │                     └──────────── + ◄──── ×2 ─────────────┘
//!                  │           └────────────── + ◄─ ×2 ─ scales ◄──┘
//!                  └─── + ◄─ ×2 ─ scales ◄─────┘
//!                       └─ scales ─► classes (½)
//! ```
//!
//! S. Mehta, M. Rastegari, L. Shapiro, H. Hajishirzi: ESPNetv2: a light-weight, power efficient, and general purpose
//! convolutional neural network. CVPR 2019: sections 3.1 to 3.3 and 4.2. Sizes and names as in the published files.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};

use super::layers::{ConvNorm, ConvNormAct, NormAct, Prelu, Shape, bilinear, halved, plain, pooled};
use crate::foreign::{ForeignError, ForeignWeights, KeyMap};

const EPSILON: f64 = 1e-5;
/// Branches of a unit.
const BRANCHES: usize = 4;
/// Scales of a pyramid, in tenths.
const TENTHS: [usize; 5] = [20, 15, 10, 5, 1];
/// The least side of a scale.
const LEAST_SCALE: usize = 5;

/// Extremely efficient spatial pyramid: grouped reduction, depthwise dilated branches, fused one on another (section 3.1).
#[derive(Module, Debug)]
struct Unit {
    proj_1x1: ConvNormAct,
    spp_dw: Vec<Conv2d>,
    conv_1x1_exp: ConvNorm,
    br_after_cat: NormAct,
    module_act: Prelu,
}

impl Unit {
    /// `reach`: the widest kernel that a branch may stand for; branches beyond it are not dilated.
    fn new(from: usize, to: usize, reach: usize, stride: usize, device: &Device) -> Self {
        let width = to / BRANCHES;
        let grouped = || Shape { groups: BRANCHES, ..Shape::of(1) };
        let mut dilations: Vec<usize> =
            (1..=BRANCHES).map(|at| if 2 * at < reach { at } else { 1 }).collect();
        dilations.sort_unstable();
        let branch =
            |dilation| Shape { kernel: 3, stride, dilation, groups: width }.init(width, width, device);
        Self {
            proj_1x1: ConvNormAct::new(grouped(), from, width, EPSILON, device),
            spp_dw: dilations.into_iter().map(branch).collect(),
            conv_1x1_exp: ConvNorm::new(grouped(), to, to, EPSILON, device),
            br_after_cat: NormAct::new(to, EPSILON, device),
            module_act: Prelu::new(to, device),
        }
    }

    fn merged(&self, input: Tensor<4>) -> Tensor<4> {
        let reduced = self.proj_1x1.forward(input);
        let mut parts: Vec<Tensor<4>> = Vec::new();
        for layer in &self.spp_dw {
            let branch = plain(layer, reduced.clone());
            parts.push(match parts.last() {
                Some(last) => last.clone() + branch,
                None => branch,
            });
        }
        self.conv_1x1_exp.forward(self.br_after_cat.forward(Tensor::cat(parts, 1)))
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.module_act.forward(self.merged(input.clone()) + input)
    }
}

/// Half the size, with a look at the picture (section 3.2).
#[derive(Module, Debug)]
struct Down {
    eesp: Unit,
    reinforce: ConvNormAct,
    reinforce_to: ConvNorm,
    act: Prelu,
}

impl Down {
    fn new(from: usize, to: usize, reach: usize, device: &Device) -> Self {
        Self {
            eesp: Unit::new(from, to - from, reach, 2, device),
            reinforce: ConvNormAct::new(Shape::of(3), 3, 3, EPSILON, device),
            reinforce_to: ConvNorm::new(Shape::of(1), 3, to, EPSILON, device),
            act: Prelu::new(to, device),
        }
    }

    /// `picture`: of the size of the output.
    fn forward(&self, input: Tensor<4>, picture: Tensor<4>) -> Tensor<4> {
        let both = Tensor::cat(vec![halved(input.clone()), self.eesp.merged(input)], 1);
        self.act.forward(both + self.reinforce_to.forward(self.reinforce.forward(picture)))
    }
}

#[derive(Module, Debug)]
struct Base {
    level1: ConvNormAct,
    level2_0: Down,
    level3_0: Down,
    level3: Vec<Unit>,
    level4_0: Down,
    level4: Vec<Unit>,
}

/// The same filtered at five scales, and merged.
#[derive(Module, Debug)]
struct Scales {
    projection_layer: ConvNormAct,
    stages: Vec<Conv2d>,
    before: NormAct,
    mix: ConvNormAct,
    leave: Conv2d,
    br: Option<NormAct>,
}

impl Scales {
    fn new(from: usize, width: usize, to: usize, last: bool, device: &Device) -> Self {
        let depthwise = || Shape { groups: width, ..Shape::of(3) };
        let all = TENTHS.len() * width;
        let leave = Shape::of(1).init(width, to, device);
        let bias = last.then(|| burn::module::Param::from_tensor(Tensor::<1>::zeros([to], device)));
        Self {
            projection_layer: ConvNormAct::new(Shape::of(1), from, width, EPSILON, device),
            stages: TENTHS.iter().map(|_| depthwise().init(width, width, device)).collect(),
            before: NormAct::new(all, EPSILON, device),
            mix: ConvNormAct::new(depthwise(), all, width, EPSILON, device),
            leave: Conv2d { bias, ..leave },
            br: (!last).then(|| NormAct::new(to, EPSILON, device)),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let input = self.projection_layer.forward(input);
        let [batch, width, rows, columns] = input.dims();
        let size = [rows, columns];
        let mut parts = Vec::new();
        for (stage, tenths) in self.stages.iter().zip(TENTHS) {
            let scaled = size.map(|side| (side * tenths).div_ceil(10).max(LEAST_SCALE));
            parts.push(match tenths {
                10 => plain(stage, input.clone()),
                ..10 => bilinear(plain(stage, pooled(input.clone(), scaled)), size),
                _ => pooled(plain(stage, bilinear(input.clone(), scaled)), size),
            });
        }
        let merged = self.before.forward(Tensor::cat(parts, 1));
        // Channel by channel, so that one group sees one channel at all scales.
        let shuffled = merged
            .reshape([batch, TENTHS.len(), width, rows * columns])
            .swap_dims(1, 2)
            .reshape([batch, TENTHS.len() * width, rows, columns]);
        let left = plain(&self.leave, self.mix.forward(shuffled));
        match &self.br {
            Some(br) => br.forward(left),
            None => left,
        }
    }
}

/// Features of the encoder, weighted by what the whole picture shows.
#[derive(Module, Debug)]
struct Merge {
    weigh: Conv2d,
    expansion_layer: ConvNormAct,
}

impl Merge {
    fn new(from: usize, to: usize, device: &Device) -> Self {
        let (mut groups, mut rest) = (from, to);
        while rest > 0 {
            (groups, rest) = (rest, groups % rest);
        }
        let shape = Shape { groups, ..Shape::of(3) };
        Self {
            weigh: Shape::of(1).init(from, to, device),
            expansion_layer: ConvNormAct::new(shape, from, to, EPSILON, device),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let whole = input.clone().mean_dim(2).mean_dim(3);
        self.expansion_layer.forward(input) * sigmoid(plain(&self.weigh, whole))
    }
}

/// The network.
#[derive(Module, Debug)]
pub struct EspNetV2 {
    base_net: Base,
    bu_dec_l1: Scales,
    bu_dec_l2: Scales,
    bu_dec_l3: Scales,
    bu_dec_l4: Scales,
    merge_enc_dec_l2: Merge,
    merge_enc_dec_l3: Merge,
    merge_enc_dec_l4: Merge,
    bu_br_l2: NormAct,
    bu_br_l3: NormAct,
    bu_br_l4: NormAct,
}

/// What the encoder hands on beside its features: at 1/2, 1/4 and 1/8.
#[derive(Clone)]
pub struct Skips(pub(super) [Tensor<4>; 3]);

fn doubled(input: Tensor<4>) -> Tensor<4> {
    let [_, _, rows, columns] = input.dims();
    bilinear(input, [2 * rows, 2 * columns])
}

impl EspNetV2 {
    /// The network in a published file, as wide as it is there.
    pub fn load(file: &ForeignWeights, device: &Device) -> Result<Self, ForeignError> {
        let rows = |name: &str| {
            let (shape, _) = file.values(name)?;
            let rows = shape.first().copied().unwrap_or(0);
            let fits = (1..=4096).contains(&rows);
            fits.then_some(rows)
                .ok_or_else(|| ForeignError::Damaged(format!("{name} has {rows} rows: expected 1 to 4096")))
        };
        let base = |name: &str| rows(&format!("base_net.{name}.act.weight"));
        let decoder = |level: usize| rows(&format!("bu_dec_l{level}.merge_layer.3.weight"));
        let wide = [base("level1")?, base("level2_0")?, base("level3_0")?, base("level4_0")?];
        let narrow = [decoder(1)?, decoder(2)?, decoder(3)?, decoder(4)?];
        let rising = wide.windows(2).all(|pair| pair[1] > pair[0] && (pair[1] - pair[0]) % BRANCHES == 0);
        if !rising || wide.iter().any(|width| width % BRANCHES > 0) {
            return Err(ForeignError::Damaged(format!("no such network has {wide:?} channels")));
        }
        let empty = Self::new(wide, narrow, rows("bu_dec_l1.stages.0.weight")?, device);
        file.load_into(&Self::key_map()?, empty)
    }

    fn new(wide: [usize; 4], narrow: [usize; 4], width: usize, device: &Device) -> Self {
        let units = |count: usize, width, reach| {
            (0..count).map(|_| Unit::new(width, width, reach, 1, device)).collect()
        };
        let enter = Shape { stride: 2, ..Shape::of(3) };
        let base_net = Base {
            level1: ConvNormAct::new(enter, 3, wide[0], EPSILON, device),
            level2_0: Down::new(wide[0], wide[1], 13, device),
            level3_0: Down::new(wide[1], wide[2], 11, device),
            level3: units(3, wide[2], 9),
            level4_0: Down::new(wide[2], wide[3], 9, device),
            level4: units(7, wide[3], 7),
        };
        let norm = |channels| NormAct::new(channels, EPSILON, device);
        Self {
            base_net,
            bu_dec_l1: Scales::new(wide[3], width, narrow[0], false, device),
            bu_dec_l2: Scales::new(narrow[0], width, narrow[1], false, device),
            bu_dec_l3: Scales::new(narrow[1], width, narrow[2], false, device),
            bu_dec_l4: Scales::new(narrow[2], width, narrow[3], true, device),
            merge_enc_dec_l2: Merge::new(wide[2], narrow[0], device),
            merge_enc_dec_l3: Merge::new(wide[1], narrow[1], device),
            merge_enc_dec_l4: Merge::new(wide[0], narrow[2], device),
            bu_br_l2: norm(narrow[0]),
            bu_br_l3: norm(narrow[1]),
            bu_br_l4: norm(narrow[2]),
        }
    }

    fn key_map() -> Result<KeyMap, ForeignError> {
        KeyMap::new()
            .rename(r"\.inp_reinf\.0\.", ".reinforce.")?
            .rename(r"\.inp_reinf\.1\.", ".reinforce_to.")?
            .rename(r"\.spp_dw\.(\d)\.conv\.", ".spp_dw.$1.")?
            .rename(r"\.merge_layer\.0\.", ".before.")?
            .rename(r"\.merge_layer\.2\.", ".mix.")?
            .rename(r"\.merge_layer\.3\.", ".leave.")?
            .rename(r"\.wt_layer\.1\.", ".weigh.")?
            .rename(r"\.cbr\.0\.", ".conv.")?
            .rename(r"\.cbr\.1\.", ".bn.")?
            .rename(r"\.cbr\.2\.", ".act.")?
            .rename(r"\.(before|br)\.br\.0\.", ".$1.bn.")?
            .rename(r"\.(before|br)\.br\.1\.", ".$1.act.")?
            .rename(r"^(bu_br_l\d)\.0\.", "$1.bn.")?
            .rename(r"^(bu_br_l\d)\.1\.", "$1.act.")
    }

    /// `[B, 3, H, W]`, sides multiples of 16 → `[B, C, H/16, W/16]` and what the decoder needs besides.
    pub fn features(&self, picture: Tensor<4>) -> (Tensor<4>, Skips) {
        let base = &self.base_net;
        let one = base.level1.forward(picture.clone());
        let quarter = halved(halved(picture));
        let two = base.level2_0.forward(one.clone(), quarter.clone());
        let eighth = halved(quarter);
        let three = base.level3_0.forward(two.clone(), eighth.clone());
        let three = base.level3.iter().fold(three, |hidden, layer| layer.forward(hidden));
        let four = base.level4_0.forward(three.clone(), halved(eighth));
        let four = base.level4.iter().fold(four, |hidden, layer| layer.forward(hidden));
        (four, Skips([one, two, three]))
    }

    /// Features → `[B, classes, H/2, W/2]`.
    pub fn classes(&self, features: Tensor<4>, skips: Skips) -> Tensor<4> {
        let Skips([one, two, three]) = skips;
        let up = self.bu_dec_l1.forward(features);
        let up = self.bu_br_l2.forward(self.merge_enc_dec_l2.forward(three) + doubled(up));
        let up = self.bu_dec_l2.forward(up);
        let up = self.bu_br_l3.forward(self.merge_enc_dec_l3.forward(two) + doubled(up));
        let up = self.bu_dec_l3.forward(up);
        let up = self.bu_br_l4.forward(self.merge_enc_dec_l4.forward(one) + doubled(up));
        self.bu_dec_l4.forward(up)
    }
}
