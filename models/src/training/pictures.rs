//! Photographs to train on: folders → [`Pictures`] → groups of random crops.
//!
//! A group shares one channel and one power scale, as the parts of one picture do when it is sent; in half of the groups
//! the crops are indeed of one picture, in the other half of different ones, which makes the parts differ as much as
//! those of a picture much larger than a crop. Crops are mirrored at random, and half of them are made smaller, by up
//! to 2.5.

use std::path::{Path, PathBuf};

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Rgb};
use rand::Rng;
use rand::rngs::StdRng;

use super::TrainingError;
use super::pack::{Entry, Pack};
use crate::ae::basis::BLOCK;
use crate::ae::thumbnail::Thumbnail;

/// Crops that share a channel and a power scale.
pub const GROUP: usize = 2;
/// Every so many pictures, one is held out for validation.
const HELD_OUT_EVERY: usize = 48;
/// Fewest pictures to train on.
const NEEDED: usize = 2;
/// Most that a crop is made smaller.
const MOST_ZOOM: f32 = 2.5;
/// Least light that a colour is left of a tinted crop.
const DARKEST: f32 = 0.6;

/// A square of a picture.
#[derive(Clone, Copy)]
struct Place {
    left: usize,
    top: usize,
    /// Its side, pixels.
    span: usize,
    mirror: bool,
}

/// Crops, about zero.
pub struct Crops {
    /// `groups · GROUP` crops of 3 × side × side values, plane by plane, less the mean colour of their group.
    pub values: Vec<f32>,
    /// The mean colour that was taken from each group.
    pub means: Vec<[f32; 3]>,
    /// Groups.
    pub groups: usize,
    /// Side, pixels.
    pub side: usize,
}

impl Crops {
    /// The crops as they are, values of 0 to 1.
    pub fn whole(&self) -> Vec<f32> {
        let area = self.side * self.side;
        let planes = self.values.chunks_exact(area).enumerate();
        planes
            .flat_map(|(at, plane)| {
                plane.iter().map(move |value| value + self.means[at / (3 * GROUP)][at % 3])
            })
            .collect()
    }

    /// The same without the crops' thumbnails: what the network of `ae` is given.
    pub fn without_thumbnails(self) -> Self {
        self.without_thumbnails_where(|| true)
    }

    /// The same without the thumbnails of those groups of which `taken`, asked once a group, says so.
    pub fn without_thumbnails_where(mut self, mut taken: impl FnMut() -> bool) -> Self {
        let side = self.side;
        for group in self.values.chunks_exact_mut(GROUP * 3 * side * side).filter(|_| taken()) {
            for crop in group.chunks_exact_mut(3 * side * side) {
                Thumbnail::of(crop, side, side).take_from(crop, side);
            }
        }
        self
    }

    /// The same in other light: in a share of the groups each colour is darker, down to 0.6 of itself, so that nobody takes the colours of
    /// few pictures for what they show.
    pub fn tinted(mut self, share: f64, rng: &mut StdRng) -> Self {
        let area = self.side * self.side;
        for (group, means) in self.values.chunks_exact_mut(GROUP * 3 * area).zip(&mut self.means) {
            if !rng.random_bool(share) {
                continue;
            }
            let light = [(); 3].map(|()| rng.random_range(DARKEST..=1.0));
            for (plane, light) in group.chunks_exact_mut(area).zip(light.into_iter().cycle()) {
                plane.iter_mut().for_each(|value| *value *= light);
            }
            means.iter_mut().zip(light).for_each(|(mean, light)| *mean *= light);
        }
        self
    }

    /// How busy the picture is around each block: the mean difference of neighbouring pixels over a cell of
    /// `cell` × `cell` blocks, as sending gives one rate to such a cell.
    pub fn activity(&self, cell: usize) -> Vec<f32> {
        let blocks = self.side / BLOCK;
        let mut activity = Vec::new();
        for crop in self.values.chunks_exact(3 * self.side * self.side) {
            let cells = blocks.div_ceil(cell);
            let mut sums = vec![(0.0_f32, 1.0e-6_f32); cells * cells];
            // Green tells enough.
            let plane = &crop[self.side * self.side..2 * self.side * self.side];
            for y in 0..self.side - 1 {
                for x in 0..self.side - 1 {
                    let at = y * self.side + x;
                    let sum = &mut sums[y / (cell * BLOCK) * cells + x / (cell * BLOCK)];
                    sum.0 += (plane[at + 1] - plane[at]).abs() + (plane[at + self.side] - plane[at]).abs();
                    sum.1 += 1.0;
                }
            }
            for block in 0..blocks * blocks {
                let (sum, count) = sums[block / blocks / cell * cells + block % blocks / cell];
                activity.push(sum / count + 1.0e-3);
            }
        }
        activity
    }
}

/// Decoded photographs.
pub struct Pictures {
    pack: Pack,
    folders: Vec<(PathBuf, usize)>,
    training: Vec<Entry>,
    held_out: Vec<Entry>,
    cumulative_area: Vec<u64>,
}

impl Pictures {
    /// Every picture of at least `side` × `side` pixels below `folders`; decoded, they are kept in the file `cache`.
    pub fn open(folders: &[PathBuf], cache: &Path, side: usize) -> Result<Self, TrainingError> {
        let pack = Pack::open(folders, cache)?;
        let large = |entry: &&Entry| entry.width.min(entry.height) as usize >= side;
        let entries: Vec<Entry> = pack.entries.iter().filter(large).copied().collect();
        if entries.len() < NEEDED {
            return Err(TrainingError::TooFewPictures { found: entries.len(), needed: NEEDED, side });
        }
        let count = |folder: usize| entries.iter().filter(|entry| entry.folder as usize == folder).count();
        let folders = folders.iter().cloned().enumerate().map(|(at, path)| (path, count(at))).collect();
        let (mut training, mut held_out) = (Vec::new(), Vec::new());
        for (index, entry) in entries.into_iter().enumerate() {
            if index % HELD_OUT_EVERY == 1 { held_out.push(entry) } else { training.push(entry) }
        }
        let cumulative_area = training
            .iter()
            .scan(0, |sum, entry| {
                *sum += entry.length() as u64;
                Some(*sum)
            })
            .collect();
        Ok(Self { pack, folders, training, held_out, cumulative_area })
    }

    /// Number of pictures to train on.
    pub fn training(&self) -> usize {
        self.training.len()
    }

    /// Number of pictures to validate on.
    pub fn held_out(&self) -> usize {
        self.held_out.len()
    }

    /// The folders, and the number of pictures from each.
    pub fn folders(&self) -> &[(PathBuf, usize)] {
        &self.folders
    }

    /// Pixels of the shortest side of all pictures.
    pub fn least_side(&self) -> usize {
        let all = self.training.iter().chain(&self.held_out);
        all.map(|entry| entry.width.min(entry.height) as usize).min().unwrap_or(0)
    }

    /// A picture, drawn in proportion to its area.
    fn draw(&self, rng: &mut StdRng) -> &Entry {
        let total = self.cumulative_area.last().copied().unwrap_or(1);
        let at = rng.random_range(0..total);
        &self.training[self.cumulative_area.partition_point(|&sum| sum <= at)]
    }

    /// Random crops.
    pub fn crops(&self, groups: usize, side: usize, rng: &mut StdRng) -> Crops {
        let (mut values, mut means) = (Vec::with_capacity(groups * GROUP * 3 * side * side), Vec::new());
        for _ in 0..groups {
            let start = values.len();
            let mut picture = self.draw(rng);
            let one_picture = rng.random_bool(0.5);
            for index in 0..GROUP {
                if index > 0 && !one_picture {
                    picture = self.draw(rng);
                }
                let most = (picture.width.min(picture.height) as f32 / side as f32).min(MOST_ZOOM);
                let zoom = if rng.random_bool(0.5) { most.powf(rng.random::<f32>()) } else { 1.0 };
                let span = ((side as f32 * zoom) as usize).max(side);
                let left = rng.random_range(0..=picture.width as usize - span);
                let top = rng.random_range(0..=picture.height as usize - span);
                let place = Place { left, top, span, mirror: rng.random_bool(0.5) };
                self.crop(picture, place, side, &mut values);
            }
            means.push(remove_mean(&mut values[start..], side));
        }
        Crops { values, means, groups, side }
    }

    /// The middles of the held-out pictures, as groups of crops: the same at every call.
    pub fn validation_crops(&self, side: usize) -> Crops {
        let (mut values, mut means) = (Vec::new(), Vec::new());
        let pictures = if self.held_out.len() >= GROUP { &self.held_out } else { &self.training };
        let groups = (pictures.len() / GROUP).max(1);
        for group in 0..groups {
            let start = values.len();
            for index in 0..GROUP {
                let picture = &pictures[(group * GROUP + index) % pictures.len()];
                let (width, height) = (picture.width as usize, picture.height as usize);
                let (left, top) = ((width - side) / 2, (height - side) / 2);
                self.crop(picture, Place { left, top, span: side, mirror: false }, side, &mut values);
            }
            means.push(remove_mean(&mut values[start..], side));
        }
        Crops { values, means, groups, side }
    }

    /// Appends the planes of a square, made smaller to `side` pixels.
    fn crop(&self, picture: &Entry, place: Place, side: usize, values: &mut Vec<f32>) {
        let Place { left, top, span, mirror } = place;
        let width = picture.width as usize;
        let pixels = self.pack.pixels(picture);
        let mut square = Vec::with_capacity(3 * span * span);
        for row in top..top + span {
            square.extend_from_slice(&pixels[3 * (row * width + left)..][..3 * span]);
        }
        if span != side {
            let image = ImageBuffer::<Rgb<u8>, _>::from_raw(span as u32, span as u32, square);
            let smaller =
                image.map(|image| imageops::resize(&image, side as u32, side as u32, FilterType::Triangle));
            square = smaller.map(ImageBuffer::into_raw).unwrap_or_default();
        }
        for plane in 0..3 {
            for row in square.chunks_exact(3 * side) {
                let value = |x: usize| f32::from(row[3 * x + plane]) / 255.0;
                if mirror {
                    values.extend((0..side).rev().map(value));
                } else {
                    values.extend((0..side).map(value));
                }
            }
        }
    }
}

/// Takes the mean colour of a group away, rounded as it is when it is sent, and returns it.
fn remove_mean(group: &mut [f32], side: usize) -> [f32; 3] {
    let area = side * side;
    std::array::from_fn(|plane| {
        let planes = || (plane * area..).step_by(3 * area).take(GROUP);
        let sum: f64 = planes().flat_map(|at| &group[at..at + area]).map(|&value| f64::from(value)).sum();
        let mean = ((sum / (GROUP * area) as f64 * 255.0).round() / 255.0) as f32;
        for at in planes() {
            group[at..at + area].iter_mut().for_each(|value| *value -= mean);
        }
        mean
    })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use semcast_common::content::{Picture, file::encode_png};

    use super::*;

    fn folder_of(pictures: &[(u32, u32)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (index, &(width, height)) in pictures.iter().enumerate() {
            // Red tells the picture, green the column, blue the row.
            let pixel = |at: u32| [40 * index as u8, (at % width) as u8, (at / width) as u8];
            let picture = Picture::new(width, height, (0..width * height).flat_map(pixel).collect()).unwrap();
            std::fs::write(folder.path().join(format!("{index}.png")), encode_png(&picture).unwrap())
                .unwrap();
        }
        std::fs::write(folder.path().join("broken.png"), b"no picture").unwrap();
        folder
    }

    #[test]
    fn folders_are_packed_once_and_again_when_they_change() {
        let folder = folder_of(&[(64, 48), (100, 120), (20, 200), (90, 90)]);
        let data = [folder.path().to_owned()];
        let cache = folder.path().join("pictures.pack");
        let pictures = Pictures::open(&data, &cache, 32).unwrap();
        assert_eq!((pictures.training(), pictures.held_out(), pictures.least_side()), (2, 1, 48));
        assert_eq!(pictures.folders()[0].1, 3);
        let written = std::fs::metadata(&cache).unwrap().modified().unwrap();
        let draw = |pictures: &Pictures| pictures.crops(3, 32, &mut StdRng::seed_from_u64(1)).values;
        let first = draw(&pictures);
        let again = Pictures::open(&data, &cache, 32).unwrap();
        assert_eq!(std::fs::metadata(&cache).unwrap().modified().unwrap(), written, "packed again");
        assert_eq!(draw(&again), first);

        std::fs::remove_file(folder.path().join("0.png")).unwrap();
        assert_eq!(Pictures::open(&data, &cache, 32).unwrap().folders()[0].1, 2);
        // A damaged pack is made anew.
        let length = std::fs::metadata(&cache).unwrap().len();
        std::fs::OpenOptions::new().write(true).open(&cache).unwrap().set_len(length / 2).unwrap();
        assert_eq!(Pictures::open(&data, &cache, 32).unwrap().folders()[0].1, 2);
        let error = Pictures::open(&data, &cache, 500).err().unwrap().to_string();
        assert!(error.contains("500x500"), "{error}");
    }

    #[test]
    fn crops_are_squares_of_a_picture_and_groups_have_no_mean() {
        let folder = folder_of(&[(200, 160), (200, 160), (200, 160)]);
        let pictures = Pictures::open(&[folder.path().to_owned()], &folder.path().join("pack"), 64).unwrap();
        let crops = pictures.crops(8, 64, &mut StdRng::seed_from_u64(2));
        assert_eq!(crops.values.len(), 8 * GROUP * 3 * 64 * 64);
        for group in crops.values.chunks_exact(GROUP * 3 * 64 * 64) {
            for plane in 0..3 {
                let planes = group.chunks_exact(64 * 64).skip(plane).step_by(3);
                let mean: f32 = planes.flatten().sum::<f32>() / (GROUP * 64 * 64) as f32;
                assert!(mean.abs() < 0.5 / 255.0 + 1e-4, "{mean}");
            }
        }
        // Columns rise or, mirrored, fall by one to two and a half grey levels a pixel.
        for crop in crops.values.chunks_exact(3 * 64 * 64) {
            let row = &crop[64 * 64..64 * 64 + 64];
            let slope = (row[60] - row[4]).abs() / 56.0 * 255.0;
            assert!((0.95..2.6).contains(&slope), "{slope}");
        }
    }

    #[test]
    fn tinted_crops_are_darker_by_one_factor_a_colour_of_a_group() {
        let (side, groups) = (16, 40);
        let values =
            (0..groups * GROUP * 3 * side * side).map(|at| (at % 97) as f32 / 200.0 - 0.24).collect();
        let crops = Crops { values, means: vec![[0.5, 0.4, 0.3]; groups], groups, side };
        let before = crops.whole();
        let tinted = crops.tinted(0.5, &mut StdRng::seed_from_u64(6));
        let after = tinted.whole();
        let area = side * side;
        let light = |group: usize, plane: usize| {
            let at = (group * GROUP * 3 + plane) * area;
            after[at] / before[at]
        };
        for (at, (before, after)) in before.iter().zip(&after).enumerate() {
            let light = light(at / (GROUP * 3 * area), at / area % 3);
            assert!((before * light - after).abs() < 1e-5);
            assert!((DARKEST - 1e-4..=1.0 + 1e-4).contains(&light), "{light}");
        }
        let dark = (0..groups).filter(|&group| (0..3).any(|plane| light(group, plane) < 0.999)).count();
        assert!((12..=28).contains(&dark), "{dark} of {groups}");
    }
}
