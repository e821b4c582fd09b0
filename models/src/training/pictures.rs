//! Folders of photographs, held decoded in memory, and random crops of them.
//!
//! In → out: paths → [`Pictures`] → groups of crops. A group shares one channel and one power scale, as the parts of
//! one picture do when it is sent; in half of the groups the crops are indeed of one picture, in the other half of
//! different ones, which makes the parts differ as much as those of a picture much larger than a crop.

use std::path::{Path, PathBuf};

use rand::Rng;
use rand::rngs::StdRng;
use rayon::prelude::*;
use semcast_common::content::{Picture, file::decode_picture};

use super::TrainingError;
use crate::ae::basis::BLOCK;

/// Side of a cell of one rate, blocks: about what a picture of 768 × 512 pixels has.
const CELL: usize = 4;
/// Crops that share a channel and a power scale.
pub const GROUP: usize = 2;
/// Every so many pictures, one is held out for validation.
const HELD_OUT_EVERY: usize = 48;
/// Fewest pictures to train on.
const NEEDED: usize = 2;

/// Decoded photographs.
pub struct Pictures {
    /// Those to train on.
    pub training: Vec<Picture>,
    /// Those to validate on.
    pub held_out: Vec<Picture>,
    cumulative_area: Vec<u64>,
}

/// Crops, about zero.
pub struct Crops {
    /// `groups · GROUP` crops of 3 × side × side values, plane by plane, less the mean colour of their group.
    pub values: Vec<f32>,
    /// Groups.
    pub groups: usize,
    /// Side, pixels.
    pub side: usize,
}

impl Crops {
    /// How busy the picture is around each block: the mean difference of neighbouring pixels over a cell of
    /// `CELL` × `CELL` blocks, as sending gives one rate to such a cell.
    pub fn activity(&self) -> Vec<f32> {
        let blocks = self.side / BLOCK;
        let mut activity = Vec::new();
        for crop in self.values.chunks_exact(3 * self.side * self.side) {
            let cells = blocks.div_ceil(CELL);
            let mut sums = vec![(0.0_f32, 1.0e-6_f32); cells * cells];
            // Green tells enough.
            let plane = &crop[self.side * self.side..2 * self.side * self.side];
            for y in 0..self.side - 1 {
                for x in 0..self.side - 1 {
                    let at = y * self.side + x;
                    let sum = &mut sums[y / (CELL * BLOCK) * cells + x / (CELL * BLOCK)];
                    sum.0 += (plane[at + 1] - plane[at]).abs() + (plane[at + self.side] - plane[at]).abs();
                    sum.1 += 1.0;
                }
            }
            for block in 0..blocks * blocks {
                let (sum, count) = sums[block / blocks / CELL * cells + block % blocks / CELL];
                activity.push(sum / count + 1.0e-3);
            }
        }
        activity
    }
}

impl Pictures {
    /// Reads every picture of at least `side` × `side` pixels below `folders`, in the order of their paths.
    pub fn read(folders: &[PathBuf], side: usize) -> Result<Self, TrainingError> {
        let mut paths = Vec::new();
        for folder in folders {
            list(folder, &mut paths)?;
        }
        paths.sort();
        let pictures: Vec<Picture> = paths
            .par_iter()
            .filter_map(|path| decode_picture(&std::fs::read(path).ok()?).ok())
            .filter(|picture| picture.width().min(picture.height()) as usize >= side)
            .collect();
        if pictures.len() < NEEDED {
            return Err(TrainingError::TooFewPictures { found: pictures.len(), needed: NEEDED, side });
        }
        let (mut training, mut held_out) = (Vec::new(), Vec::new());
        for (index, picture) in pictures.into_iter().enumerate() {
            if index % HELD_OUT_EVERY == 1 { held_out.push(picture) } else { training.push(picture) }
        }
        let cumulative_area = training
            .iter()
            .scan(0, |sum, picture| {
                *sum += picture.values() as u64;
                Some(*sum)
            })
            .collect();
        Ok(Self { training, held_out, cumulative_area })
    }

    /// A picture, drawn in proportion to its area.
    fn draw(&self, rng: &mut StdRng) -> &Picture {
        let total = self.cumulative_area.last().copied().unwrap_or(1);
        let at = rng.random_range(0..total);
        &self.training[self.cumulative_area.partition_point(|&sum| sum <= at)]
    }

    /// Random crops.
    pub fn crops(&self, groups: usize, side: usize, rng: &mut StdRng) -> Crops {
        let mut values = Vec::with_capacity(groups * GROUP * 3 * side * side);
        for _ in 0..groups {
            let start = values.len();
            let mut picture = self.draw(rng);
            let one_picture = rng.random_bool(0.5);
            for index in 0..GROUP {
                if index > 0 && !one_picture {
                    picture = self.draw(rng);
                }
                let x = rng.random_range(0..=picture.width() as usize - side);
                let y = rng.random_range(0..=picture.height() as usize - side);
                crop(picture, x, y, side, rng.random_bool(0.5), &mut values);
            }
            remove_mean(&mut values[start..], side);
        }
        Crops { values, groups, side }
    }

    /// The middles of the held-out pictures, as groups of crops: the same at every call.
    pub fn validation_crops(&self, side: usize) -> Crops {
        let mut values = Vec::new();
        let pictures = if self.held_out.len() >= GROUP { &self.held_out } else { &self.training };
        let groups = (pictures.len() / GROUP).max(1);
        for group in 0..groups {
            let start = values.len();
            for index in 0..GROUP {
                let picture = &pictures[(group * GROUP + index) % pictures.len()];
                let (width, height) = (picture.width() as usize, picture.height() as usize);
                crop(picture, (width - side) / 2, (height - side) / 2, side, false, &mut values);
            }
            remove_mean(&mut values[start..], side);
        }
        Crops { values, groups, side }
    }
}

fn crop(picture: &Picture, left: usize, top: usize, side: usize, mirror: bool, values: &mut Vec<f32>) {
    let width = picture.width() as usize;
    for plane in 0..3 {
        for y in 0..side {
            for x in 0..side {
                let column = left + if mirror { side - 1 - x } else { x };
                values.push(f32::from(picture.rgb()[3 * ((top + y) * width + column) + plane]) / 255.0);
            }
        }
    }
}

/// Takes the mean colour of a group away, rounded as it is when it is sent.
fn remove_mean(group: &mut [f32], side: usize) {
    let area = side * side;
    for plane in 0..3 {
        let planes = || (plane * area..).step_by(3 * area).take(GROUP);
        let sum: f64 = planes().flat_map(|at| &group[at..at + area]).map(|&value| f64::from(value)).sum();
        let mean = ((sum / (GROUP * area) as f64 * 255.0).round() / 255.0) as f32;
        for at in planes() {
            group[at..at + area].iter_mut().for_each(|value| *value -= mean);
        }
    }
}

fn list(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), TrainingError> {
    for entry in std::fs::read_dir(folder).map_err(TrainingError::io(folder))? {
        let path = entry.map_err(TrainingError::io(folder))?.path();
        if path.is_dir() {
            list(&path, paths)?;
        } else if path.extension().is_some_and(|extension| {
            ["png", "jpg", "jpeg", "webp", "bmp"].iter().any(|known| extension.eq_ignore_ascii_case(known))
        }) {
            paths.push(path);
        }
    }
    Ok(())
}
