//! A picture much reduced: the mean colours of cells of [`CELL`] × [`CELL`] pixels. It travels as bytes (see [`super::base`]), and the
//! network sends what is left of the picture without it.
//!
//! Values that are sent as they are have a power that grows with the root of their variance, so the slow changes of a
//! picture, a few values a cell, would take a third of all power at low SNR. As bytes they take a hundredth of the symbols.

use super::basis::BLOCK;

/// Side of a cell, pixels.
pub const CELL: usize = 64;
/// Distance of two levels, in units of a picture from 0 to 1.
const STEP: f32 = 8.0 / 255.0;
/// Greatest level: a cell that differs from the mean as much as colours can.
pub const MOST_LEVEL: i16 = 32;

/// What the cells of a picture differ from its mean colour by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// Cells from left to right.
    pub across: usize,
    /// Cells from top to bottom.
    pub down: usize,
    /// Red, green and blue plane, each row by row, in steps of 8 of the 255 that a colour has.
    pub levels: Vec<i16>,
}

/// Where a pixel lies between the middles of cells: that before it, that after it, and how far it is from the first.
#[derive(Clone, Copy)]
struct Between {
    before: usize,
    after: usize,
    share: f32,
}

impl Between {
    /// Those of the middles of `count` squares of `size` pixels.
    fn of(count: usize, size: usize, cells: usize) -> Vec<Self> {
        let last = cells.saturating_sub(1);
        let at = |square: usize| {
            let place = ((square as f32 + 0.5) * size as f32 / CELL as f32 - 0.5).clamp(0.0, last as f32);
            let before = place as usize;
            Self { before, after: (before + 1).min(last), share: place - before as f32 }
        };
        (0..count).map(at).collect()
    }

    fn mix(self, value: impl Fn(usize) -> f32) -> f32 {
        let before = value(self.before);
        before + self.share * (value(self.after) - before)
    }
}

impl Thumbnail {
    /// That of a picture of one colour, with the cells of `width` × `height` pixels.
    pub fn flat(width: usize, height: usize) -> Self {
        let (across, down) = (width.div_ceil(CELL), height.div_ceil(CELL));
        Self { across, down, levels: vec![0; 3 * across * down] }
    }

    /// That of planes of `width` × `height` values, about the mean colour.
    pub fn of(planes: &[f32], width: usize, height: usize) -> Self {
        let mut thumbnail = Self::flat(width, height);
        let mut levels = thumbnail.levels.iter_mut();
        for plane in planes.chunks_exact((width * height).max(1)) {
            for rows in plane.chunks(CELL * width) {
                for left in (0..width).step_by(CELL) {
                    let right = width.min(left + CELL);
                    let sum: f32 =
                        rows.chunks_exact(width).map(|row| row[left..right].iter().sum::<f32>()).sum();
                    let mean = sum / ((right - left) * (rows.len() / width)) as f32;
                    if let Some(level) = levels.next() {
                        let most = f32::from(MOST_LEVEL);
                        *level = (mean / STEP).round().clamp(-most, most) as i16;
                    }
                }
            }
        }
        thumbnail
    }

    /// Planes without it.
    pub fn take_from(&self, planes: &mut [f32], width: usize) {
        self.apply(planes, width, 1, -STEP);
    }

    /// Planes with it again.
    pub fn give_to(&self, planes: &mut [f32], width: usize) {
        self.apply(planes, width, 1, STEP);
    }

    /// What it tells of each of `across` × `down` blocks of [`BLOCK`] pixels on the average, plane by plane.
    pub fn of_blocks(&self, across: usize, down: usize) -> Vec<f32> {
        // The middles of cells lie between blocks, so that within a block it changes evenly.
        let mut planes = vec![0.0; 3 * across * down];
        self.apply(&mut planes, across, BLOCK, STEP);
        planes
    }

    /// Adds levels times `scale` to planes with `width` squares of `size` pixels in a row, linear between the middles of the
    /// cells and constant beyond them.
    fn apply(&self, planes: &mut [f32], width: usize, size: usize, scale: f32) {
        let height = planes.len() / 3 / width.max(1);
        let (columns, rows) = (Between::of(width, size, self.across), Between::of(height, size, self.down));
        let planes = planes.chunks_exact_mut((width * height).max(1));
        for (plane, levels) in planes.zip(self.levels.chunks_exact((self.across * self.down).max(1))) {
            for (line, row) in plane.chunks_exact_mut(width).zip(&rows) {
                let level = |column| row.mix(|row| scale * f32::from(levels[row * self.across + column]));
                let across: Vec<f32> = (0..self.across).map(level).collect();
                line.iter_mut()
                    .zip(&columns)
                    .for_each(|(value, column)| *value += column.mix(|at| across[at]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back_and_little_is_left_of_slow_changes() {
        let (width, height) = (208, 144);
        let mut planes: Vec<f32> = (0..3 * width * height)
            .map(|at| (at % width) as f32 / 400.0 - (at / width % height) as f32 / 300.0)
            .collect();
        let original = planes.clone();
        let thumbnail = Thumbnail::of(&planes, width, height);
        assert_eq!((thumbnail.across, thumbnail.down, thumbnail.levels.len()), (4, 3, 36));
        let blocks = thumbnail.of_blocks(width / BLOCK, height / BLOCK);
        thumbnail.take_from(&mut planes, width);
        let of_block = |planes: &[f32]| {
            let of_row = |row: usize| &planes[row * width + 2 * BLOCK..][..BLOCK];
            (BLOCK..2 * BLOCK).flat_map(of_row).sum::<f32>() / (BLOCK * BLOCK) as f32
        };
        let taken = of_block(&original) - of_block(&planes);
        assert!((taken - blocks[width / BLOCK + 2]).abs() < 1e-5, "{taken}");
        let power = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>();
        assert!(power(&planes) < 0.06 * power(&original), "{} {}", power(&planes), power(&original));
        thumbnail.give_to(&mut planes, width);
        assert!(planes.iter().zip(&original).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn one_colour_has_nothing_to_take() {
        for (width, height) in [(16, 16), (64, 80), (1040, 16)] {
            let mut planes = vec![0.0; 3 * width * height];
            let thumbnail = Thumbnail::of(&planes, width, height);
            assert_eq!(thumbnail, Thumbnail::flat(width, height));
            thumbnail.take_from(&mut planes, width);
            assert!(planes.iter().all(|&value| value == 0.0));
        }
    }
}
