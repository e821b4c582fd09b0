//! What blocks of crops show, for what learns to use it or to tell it.

use semcast_common::content::Picture;

use crate::ae::basis::BLOCK;
use crate::sct::segmentation::Segmenter;

/// The label of a block of which nothing is known.
pub const UNKNOWN_LABEL: u8 = u8::MAX;

/// Tells what blocks show.
pub trait Labels: Sync {
    /// The class of each block of 16 × 16 pixels, row by row of each crop; [`UNKNOWN_LABEL`] where it cannot tell. Crops are
    /// of `side` × `side` pixels, values of 0 to 1, plane by plane.
    fn of(&self, crops: &[f32], side: usize) -> Vec<u8>;
}

/// What a segmentation network says.
pub struct Taught {
    teacher: Segmenter,
}

impl Taught {
    /// `crop`: side of the crops, pixels; the network sees them as they are.
    pub fn by(teacher: Segmenter, crop: usize) -> Self {
        Self { teacher: teacher.with_longest(crop) }
    }
}

impl Labels for Taught {
    fn of(&self, crops: &[f32], side: usize) -> Vec<u8> {
        let area = side * side;
        let mut labels = Vec::new();
        for crop in crops.chunks_exact(3 * area) {
            let value = |at: usize, plane: usize| 255.0 * crop[plane * area + at];
            let rgb = (0..area).flat_map(|at| [0, 1, 2].map(|plane| value(at, plane).round() as u8));
            let found = Picture::new(side as u32, side as u32, rgb.collect())
                .ok()
                .and_then(|picture| self.teacher.segment(&picture).ok());
            match found {
                Some(map) => labels.extend(map.majority(side, side, BLOCK)),
                None => labels.resize(labels.len() + (side / BLOCK).pow(2), UNKNOWN_LABEL),
            }
        }
        labels
    }
}
