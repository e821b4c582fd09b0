//! Importance: how much each block of a picture matters, to people or to a machine.
//!
//! | map | what | for |
//! |---|---|---|
//! | entropy | about how many bits a block's values are worth, [`entropy`] | both |
//! | [`saliency`] | where people look | people |
//! | Grad-CAM | where the task's network looks, [`crate::sct::segmentation::gradcam`] | machines |
//! | given | a grey picture of any size | both |
//!
//! Each map is scaled to a mean of one ([`normalise`]); a mixture adds parts of them. The score of a region is the sum over its
//! blocks. Every value is finite and at least zero, whatever comes in.

pub mod classifier;
pub mod saliency;

use semcast_common::content::Picture;
use semcast_common::intent::{Importance, Intent, Keep, Parts, Raster};

use super::segmentation::Segmenter;
use super::segmentation::gradcam::CamMap;
use crate::ModelError;
use crate::ae::adaptation::ASSUMED_DB;
use crate::ae::basis::BLOCK;
use crate::ae::planes::Planes;
use crate::ae::transform::Transform;
use semcast_common::content::classes::{self, CLASSES, COUNT, OTHER, find};

/// What is left of the importance of a place that a network did not look at, beside one where it looked most.
const UNSEEN: f32 = 0.1;

/// Which blocks the user wants to keep, of the `classes` that were found.
pub fn kept(keep: &Keep, classes: &[u8], across: usize, down: usize) -> Result<Vec<bool>, ModelError> {
    Ok(match keep {
        Keep::Classes(names) => {
            let wanted = numbers(names)?;
            classes.iter().map(|class| wanted.contains(class)).collect()
        }
        Keep::Mask(mask) => brightness(mask, across, down).into_iter().map(|grey| grey >= 0.5).collect(),
    })
}

/// The numbers of classes by their names.
pub fn numbers(names: &[String]) -> Result<Vec<u8>, ModelError> {
    let mut numbers = Vec::new();
    for name in names {
        let found = find(name).ok_or_else(|| {
            ModelError::Choice(format!("no class is called {name:?}: one of {}", classes::names()))
        })?;
        numbers.extend(found);
    }
    Ok(numbers)
}

/// About how many bits the values of each block are worth: Σ ½·log₂(1 + v²/λ) over its channels, as a Gaussian of variance v²
/// would need at an error of λ (T. Cover, J. Thomas: Elements of information theory, 2nd ed., 2006, theorem 10.3.2).
///
/// `values`: channel by channel, each block by block; `variance`: λ of each channel, what it varies by over natural pictures, so
/// that common values cost about half a bit.
pub fn entropy(values: &[f32], variance: &[f32], blocks: usize) -> Vec<f32> {
    let mut bits = vec![0.0_f32; blocks];
    for (channel, variance) in values.chunks_exact(blocks.max(1)).zip(variance) {
        for (bits, value) in bits.iter_mut().zip(channel) {
            let worth =
                0.5 * (value * value / variance.max(f32::MIN_POSITIVE)).ln_1p() * std::f32::consts::LOG2_E;
            *bits += if worth.is_finite() { worth } else { 0.0 };
        }
    }
    bits
}

/// The [`entropy`] of each block of a picture as a transform sees it.
pub fn entropy_of(picture: &Picture, transform: &dyn Transform) -> Result<Vec<f32>, ModelError> {
    let (mut planes, mean) = Planes::of(picture, BLOCK);
    planes.take_thumbnail();
    let values = transform.encode(&planes, mean, ASSUMED_DB, false)?.values;
    Ok(entropy(&values, transform.variance(), planes.width / BLOCK * (planes.height / BLOCK)))
}

/// Scales a map to a mean of one. What is no number, infinite or negative counts as nothing; a map of nothing becomes one of
/// ones.
pub fn normalise(map: &mut [f32]) {
    let mut sum = 0.0_f64;
    for value in map.iter_mut() {
        *value = if value.is_finite() { value.max(0.0) } else { 0.0 };
        sum += f64::from(*value);
    }
    let mean = sum / map.len().max(1) as f64;
    // Below the first, division would leave the range of numbers.
    if mean > 1.0e-30 {
        map.iter_mut().for_each(|value| *value = (f64::from(*value) / mean) as f32);
    } else {
        map.fill(1.0);
    }
}

/// The importance of each block of a picture, with a mean of one. `entropy`: of each block; `classes`: the class of each.
pub fn measure(
    picture: &Picture,
    entropy: &[f32],
    classes: &[u8],
    intent: &Intent,
    segmenter: Option<&Segmenter>,
) -> Result<Vec<f32>, ModelError> {
    let across = (picture.width() as usize).div_ceil(BLOCK);
    let down = (picture.height() as usize).div_ceil(BLOCK);
    let parts = match (&intent.importance, intent.importance.parts(intent.purpose)) {
        (Importance::Map(given), _) => {
            let mut map = brightness(given, across, down);
            normalise(&mut map);
            return Ok(map);
        }
        (_, parts) => parts.unwrap_or(Parts::of(intent.purpose)),
    };
    let mut mixed = vec![0.0_f32; across * down];
    let mut add = |part: u8, mut map: Vec<f32>| {
        normalise(&mut map);
        mixed.iter_mut().zip(map).for_each(|(sum, value)| *sum += f32::from(part) * value);
    };
    if parts.entropy > 0 {
        add(parts.entropy, entropy.to_vec());
    }
    if parts.saliency > 0 {
        add(parts.saliency, saliency::map(picture, classes));
    }
    if parts.gradcam > 0 {
        add(parts.gradcam, gradcam(picture, classes, segmenter)?);
    }
    normalise(&mut mixed);
    Ok(mixed)
}

/// Where the network of the task looks. That of a segmentation network: for the people, animals, vehicles and signs that it found, or
/// if there are none, for whatever it found. That of its [`classifier`], if it has one: for the likeliest class. Without a network,
/// everywhere alike.
pub fn gradcam(
    picture: &Picture,
    classes: &[u8],
    segmenter: Option<&Segmenter>,
) -> Result<Vec<f32>, ModelError> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let (across, down) = (width.div_ceil(BLOCK), height.div_ceil(BLOCK));
    let Some(segmenter) = segmenter else { return Ok(vec![1.0; across * down]) };
    let found = |class: &u8| *class != OTHER && classes.contains(class);
    let things: Vec<u8> =
        (0..COUNT as u8).filter(|class| found(class) && CLASSES[usize::from(*class)].prior > 1.0).collect();
    let wanted = if things.is_empty() { (0..COUNT as u8).filter(found).collect() } else { things };
    let CamMap { across: columns, down: rows, values } = match segmenter.classifier() {
        Some(classifier) => classifier.look(picture)?.1,
        None => segmenter.gradcam(picture, &wanted)?,
    };
    let at = |x: f32, y: f32| interpolated(&values, columns, rows, x, y);
    let middle = |block: usize, pixels: usize| {
        let end = ((block + 1) * BLOCK).min(pixels);
        (block * BLOCK + end) as f32 / (2 * pixels) as f32
    };
    let block = |block: usize| at(middle(block % across, width), middle(block / across, height));
    Ok((0..across * down).map(block).map(|value| value + UNSEEN).collect())
}

/// The value of a map at a place of 0 to 1 across and down, linear between the middles of its places.
fn interpolated(values: &[f32], across: usize, down: usize, x: f32, y: f32) -> f32 {
    let axis = |at: f32, length: usize| {
        let at = (at * length as f32 - 0.5).clamp(0.0, (length - 1) as f32);
        let low = at as usize;
        (low, (low + 1).min(length - 1), at - low as f32)
    };
    let ((left, right, fx), (top, bottom, fy)) = (axis(x, across), axis(y, down));
    let row = |row: usize| values[row * across + left] * (1.0 - fx) + values[row * across + right] * fx;
    row(top) * (1.0 - fy) + row(bottom) * fy
}

/// The brightness of a map, 0 to 1, in the middle of each place of a grid that it is stretched over.
fn brightness(map: &Raster, across: usize, down: usize) -> Vec<f32> {
    let middle = |at: usize, count: usize| (at as f32 + 0.5) / count as f32;
    let value = |block: usize| map.at(middle(block % across, across), middle(block / across, down));
    (0..across * down).map(|block| f32::from(value(block)) / 255.0).collect()
}

#[cfg(test)]
mod tests;
