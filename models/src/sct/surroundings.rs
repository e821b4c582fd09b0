//! What is known of a block and of the blocks around it: the trunk of the receiver's small networks.
//!
//! ```text
//! estimate, trust, colour, label ─ 1×1 ─ 3×3 ─ 3×3 (2) ─ 3×3 (4) ─ 3×3 (8) ─ 3×3 ─ 3×3 ─► features
//! ```
//!
//! In brackets the dilation: a place sees [`REACH`] blocks around it for the price of six. Every 3 × 3 convolution is beside an
//! identity. Shapes are `[batch, channel, height, width]`, one place a block of 16 × 16 pixels.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Initializer, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData};

use crate::ModelError;
use crate::ae::layers::convolution;
use crate::ae::network::{CHANNELS, UNKNOWN};
use crate::ae::tiles::{Tile, tiles};
use crate::ae::transform::Code;
use crate::convolution::convolve;

/// Channels between the layers.
pub const WIDTH: usize = 96;
/// Dilations of the convolutions.
const DILATIONS: [usize; 6] = [1, 2, 4, 8, 1, 1];
/// Blocks around a place that can change its features.
pub const REACH: usize = 17;
/// Blocks that one pass keeps along each axis.
const CORE_BLOCKS: usize = 64;

/// What is known of values in units of the spread of their channel, `[B, CHANNELS, h, w]` each.
#[derive(Clone)]
pub struct Known {
    /// Linear minimum mean square error estimate of each value on its own.
    pub estimate: Tensor<4>,
    /// What a received value counts in it, 0 to 1: one less the variance that is left.
    pub trust: Tensor<4>,
    /// The colour that mean and thumbnail tell of each block, 0 to 1, `[B, 3, h, w]`.
    pub colour: Tensor<4>,
}

impl Known {
    /// From received values and their noise variances; `variance`: that of each channel over natural pictures, `[CHANNELS]`.
    /// As the decoder of [`crate::ae::network`] does it.
    pub fn of(
        received: Tensor<4>,
        noise_variance: Tensor<4>,
        variance: Tensor<1>,
        colour: Tensor<4>,
    ) -> Self {
        let variance = variance.reshape([1, CHANNELS, 1, 1]);
        let trust = variance.clone() / (variance.clone() + noise_variance);
        Self { estimate: received * trust.clone() / variance.sqrt(), trust, colour }
    }
}

/// The trunk.
#[derive(Module, Debug)]
pub struct Surroundings {
    enter: Conv2d,
    layers: Vec<Conv2d>,
}

impl Surroundings {
    /// One that has learned nothing, with `labels` kinds of blocks that are told apart.
    pub fn new(labels: usize, device: &Device) -> Self {
        let dilated = |dilation: usize| {
            Conv2dConfig::new([WIDTH, WIDTH], [3, 3])
                .with_dilation([dilation, dilation])
                .with_padding(PaddingConfig2d::Explicit(dilation, dilation, dilation, dilation))
                // Half of the usual spread, beside an identity.
                .with_initializer(Initializer::KaimingUniform {
                    gain: 0.5 / 3.0_f64.sqrt(),
                    fan_out_only: false,
                })
                .init(device)
        };
        Self {
            enter: convolution(2 * CHANNELS + 3 + labels, WIDTH, 1, 1, device),
            layers: DILATIONS.map(dilated).into(),
        }
    }

    /// What is known, and the label of each block as one of `labels` channels → `[B, WIDTH, h, w]`.
    pub fn forward(&self, known: &Known, labels: Option<Tensor<4>>) -> Tensor<4> {
        // About zero, and of the size of the others.
        let colour = known.colour.clone().sub_scalar(0.5).mul_scalar(4.0);
        let mut seen = vec![known.estimate.clone(), known.trust.clone(), colour];
        seen.extend(labels);
        let mut hidden = convolve(&self.enter, Tensor::cat(seen, 1), None, true);
        for layer in &self.layers {
            hidden = convolve(layer, hidden.clone(), Some(hidden), true);
        }
        hidden
    }
}

/// Labels of blocks, row by row of each of `batch` pictures, as one of `labels` channels `[B, labels, h, w]`. Labels beyond
/// the last are of no channel: nothing is known of such a block.
pub fn one_hot(
    of_block: &[u8],
    labels: usize,
    [batch, height, width]: [usize; 3],
    device: &Device,
) -> Tensor<4> {
    let places = height * width;
    let mut values = vec![0.0; batch * labels * places];
    for (at, &label) in of_block.iter().enumerate().take(batch * places) {
        if usize::from(label) < labels {
            values[(at / places * labels + usize::from(label)) * places + at % places] = 1.0;
        }
    }
    Tensor::from_data(TensorData::new(values, [batch, labels, height, width]), device)
}

/// A piece of a picture's values.
pub struct Piece {
    /// Where it is.
    pub tile: Tile,
    /// What is known of them, a batch of one.
    pub known: Known,
}

/// The pieces of a picture's values, so that memory does not grow with the picture. `colours`: those of the blocks, 0 to 1,
/// plane by plane.
pub fn pieces<'a>(
    code: &'a Code,
    colours: &'a [f32],
    variance: &'a Tensor<1>,
    device: &'a Device,
) -> impl Iterator<Item = Piece> + 'a {
    tiles(code.across, code.down, CORE_BLOCKS, REACH).into_iter().map(move |tile| {
        let Tile { rows, columns } = tile;
        let tensor = |from: &[f32], channels: usize, missing: f32| {
            let window = window(from, channels, missing, code, &tile);
            let shape = [1, channels, rows.length, columns.length];
            Tensor::<4>::from_data(TensorData::new(window, shape), device)
        };
        let received = tensor(&code.values, CHANNELS, 0.0);
        let noise = tensor(&code.variance, CHANNELS, UNKNOWN);
        Piece { tile, known: Known::of(received, noise, variance.clone(), tensor(colours, 3, 0.5)) }
    })
}

fn window(from: &[f32], channels: usize, missing: f32, code: &Code, tile: &Tile) -> Vec<f32> {
    let Tile { rows, columns } = tile;
    let mut window = Vec::with_capacity(channels * rows.length * columns.length);
    for channel in 0..channels {
        for row in rows.start..rows.start + rows.length {
            let start = (channel * code.down + row) * code.across + columns.start;
            // What is no number is not known.
            let values = from.iter().skip(start).take(columns.length);
            window.extend(values.map(|value| if value.is_finite() { *value } else { missing }));
        }
    }
    window
}

/// Refuses values and colours that are not those of a picture.
pub fn check(code: &Code, colours: &[f32]) -> Result<(), ModelError> {
    let wanted = CHANNELS * code.across * code.down;
    if colours.len() != 3 * code.across * code.down {
        return Err(ModelError::Internal(format!(
            "{} colour values for {} × {} blocks of 3",
            colours.len(),
            code.across,
            code.down
        )));
    }
    if wanted == 0 || code.values.len() != wanted || code.variance.len() != wanted {
        return Err(ModelError::Internal(format!(
            "{} values and {} variances for {} × {} blocks of {CHANNELS}, of which there must be one at least",
            code.values.len(),
            code.variance.len(),
            code.across,
            code.down
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reach_is_what_the_dilations_add_up_to() {
        assert_eq!(DILATIONS.iter().sum::<usize>(), REACH);
    }

    #[test]
    fn labels_go_where_they_belong_and_unknown_ones_nowhere() {
        let labels = one_hot(&[0, 2, 255, 1, 1, 1, 1, 9], 3, [2, 2, 2], &Device::flex());
        let values: Vec<f32> = labels.into_data().iter::<f32>().collect();
        let mut expected = vec![0.0; 24];
        [0, 9, 7, 16, 17, 18].into_iter().for_each(|at: usize| expected[at] = 1.0);
        assert_eq!(values, expected);
    }
}
