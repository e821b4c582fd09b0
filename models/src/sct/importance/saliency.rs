//! Saliency: where people look first, by two measures that need no learning.
//!
//! - What is unexpected in the spectrum of the brightness of a small picture: the logarithm of its amplitude less its local
//!   mean, with its phase, transformed back \[1\].
//! - How far the colour of a block is from the mean colour of the picture \[2\].
//!
//! Both are scaled to a mean of one and added. Photographers put what matters in the middle, and faces and vehicles are looked at
//! wherever they are: the sum is multiplied by a prior of the place (ours: from 0.6 at the corners to 1.4 in the middle) and by
//! that of the class, if one is known.
//!
//! 1. X. Hou, L. Zhang: Saliency detection: a spectral residual approach. CVPR 2007: eq. 9 to 11.
//! 2. R. Achanta, S. Hemami, F. Estrada, S. Süsstrunk: Frequency-tuned salient region detection. CVPR 2009: eq. 4.

use num_complex::Complex32;
use semcast_common::content::Picture;

use super::{interpolated, normalise};
use crate::ae::basis::BLOCK;
use crate::sct::analysis::reduced::resized;
use crate::sct::analysis::superpixels::{difference, lab};
use semcast_common::content::classes::CLASSES;

/// Side of the small picture; \[1\]'s.
const SIDE: usize = 64;
/// Passes of a mean over 5 × 5 places, for \[1\]'s smoothing by a Gaussian.
const PASSES: usize = 2;
/// Prior of the place: at the edge of the picture's inscribed ellipse and beyond, and how much is added in the middle.
const EDGE: f32 = 0.6;
const MIDDLE: f32 = 0.8;

/// The saliency of each block, at least zero; `classes`: the class of each.
pub fn map(picture: &Picture, classes: &[u8]) -> Vec<f32> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let (across, down) = (width.div_ceil(BLOCK), height.div_ceil(BLOCK));
    let residual = spectral_residual(picture);
    let mut unexpected = Vec::with_capacity(across * down);
    let mut place = Vec::with_capacity(across * down);
    for row in 0..down {
        for column in 0..across {
            let (x, y) = ((column as f32 + 0.5) / across as f32, (row as f32 + 0.5) / down as f32);
            unexpected.push(interpolated(&residual, SIDE, SIDE, x, y));
            let far = (2.0 * x - 1.0).powi(2) + (2.0 * y - 1.0).powi(2);
            place.push(EDGE + MIDDLE * (-2.0 * far).exp());
        }
    }
    let mut rare = colour_contrast(picture, across, down);
    normalise(&mut unexpected);
    normalise(&mut rare);
    let class = |class: &u8| CLASSES.get(usize::from(*class)).map_or(1.0, |class| class.prior);
    let both = unexpected.into_iter().zip(rare).zip(place).zip(classes);
    both.map(|(((unexpected, rare), place), known)| (unexpected + rare) * place * class(known)).collect()
}

/// How far the colour of each block is from the mean of all.
fn colour_contrast(picture: &Picture, across: usize, down: usize) -> Vec<f32> {
    let lab = lab(&resized(picture, across, down));
    let count = lab.len().max(1) as f64;
    let mean = [0, 1, 2].map(|at| (lab.iter().map(|pixel| f64::from(pixel[at])).sum::<f64>() / count) as f32);
    lab.iter().map(|pixel| difference(pixel, &mean).sqrt()).collect()
}

/// \[1\]'s map of [`SIDE`] × [`SIDE`] places.
fn spectral_residual(picture: &Picture) -> Vec<f32> {
    let brightness = resized(picture, SIDE, SIDE);
    let values = brightness
        .chunks_exact(3)
        .map(|pixel| Complex32::new(pixel.iter().map(|&value| f32::from(value)).sum::<f32>() / 765.0, 0.0));
    let spectrum = transform(values.collect(), false);
    let amplitude: Vec<f32> = spectrum.iter().map(|value| value.norm().max(1.0e-6).ln()).collect();
    let expected = smooth(&amplitude, 1);
    let residual = amplitude.iter().zip(expected).zip(&spectrum);
    let residual = residual.map(|((amplitude, expected), value)| {
        Complex32::from_polar((amplitude - expected).exp(), value.arg())
    });
    let found = transform(residual.collect(), true);
    let mut map: Vec<f32> = found.iter().map(|value| value.norm()).collect();
    for _ in 0..PASSES {
        map = smooth(&map, 2);
    }
    map
}

/// Means over squares of 2 · `reach` + 1 places; the picture repeats beyond its border, as a spectrum does.
fn smooth(values: &[f32], reach: usize) -> Vec<f32> {
    let span = 2 * reach + 1;
    let mean = |at: usize, step: usize, from: &[f32]| {
        // `step` is 1 along a row, SIDE along a column.
        let place = at / step % SIDE;
        let base = at - place * step;
        let near = (0..span).map(|shift| from[base + (place + shift + SIDE - reach) % SIDE * step]);
        near.sum::<f32>() / span as f32
    };
    let rows: Vec<f32> = (0..values.len()).map(|at| mean(at, 1, values)).collect();
    (0..values.len()).map(|at| mean(at, SIDE, &rows)).collect()
}

/// The discrete Fourier transform of [`SIDE`] × [`SIDE`] values, or back, without a scale: few enough to be added up.
fn transform(values: Vec<Complex32>, back: bool) -> Vec<Complex32> {
    let sign = if back { 1.0 } else { -1.0 };
    let angle = |at: usize| sign * std::f32::consts::TAU * at as f32 / SIDE as f32;
    let turns: Vec<Complex32> = (0..SIDE).map(|at| Complex32::from_polar(1.0, angle(at))).collect();
    let along_rows = |values: &[Complex32]| -> Vec<Complex32> {
        let mut out = vec![Complex32::default(); SIDE * SIDE];
        for (row, values) in values.chunks_exact(SIDE).enumerate() {
            for frequency in 0..SIDE {
                let terms = values.iter().enumerate().map(|(at, value)| value * turns[at * frequency % SIDE]);
                // Turned round on the way, so that columns are rows the next time.
                out[frequency * SIDE + row] = terms.sum();
            }
        }
        out
    };
    along_rows(&along_rows(&values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transform_comes_back() {
        let values: Vec<Complex32> =
            (0..SIDE * SIDE).map(|at| Complex32::new((at * at % 97) as f32 / 97.0, 0.0)).collect();
        let spectrum = transform(values.clone(), false);
        let sum: f32 = values.iter().map(|value| value.re).sum();
        assert!((spectrum[0].re - sum).abs() < 0.05);
        for (found, value) in transform(spectrum, true).iter().zip(&values) {
            assert!((found / (SIDE * SIDE) as f32 - value).norm() < 1e-3);
        }
    }

    #[test]
    fn the_odd_one_out_is_salient() {
        // A red spot on a grey field with a faint pattern.
        let (width, height) = (320, 240);
        let pixel = |at: u32| {
            let (x, y) = (at % width, at / width);
            let spot = (96..144).contains(&x) && (80..128).contains(&y);
            if spot { [220, 30, 30] } else { [100 + (x * 7 + y * 3) as u8 % 8; 3] }
        };
        let picture = Picture::new(width, height, (0..width * height).flat_map(pixel).collect()).unwrap();
        let map = map(&picture, &vec![0; 20 * 15]);
        let best = (0..map.len()).max_by(|&a, &b| map[a].total_cmp(&map[b])).unwrap();
        assert!((6..9).contains(&(best % 20)) && (5..8).contains(&(best / 20)), "block {best}");
    }

    #[test]
    fn classes_count() {
        let picture = Picture::new(64, 16, [90; 3 * 64 * 16].to_vec()).unwrap();
        let map = map(&picture, &[1, 0, 13, 1]);
        assert!(map[0] > 2.0 * map[2] && map[3] > map[2]);
    }
}
