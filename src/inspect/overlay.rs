//! Maps and regions as pictures.

use semcast_common::content::classes::CLASSES;
use semcast_common::content::{ContentError, Picture};
use semcast_models::ae::basis::BLOCK;
use semcast_models::sct::analysis::Analysis;
use semcast_models::sct::segmentation::LabelMap;

/// Rows of three bits of the digits and the point.
const GLYPHS: [[u8; 5]; 11] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 7, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 1, 2, 2],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
    [0, 0, 0, 0, 2],
];
/// Pixels along the side of a dot of a glyph.
const DOT: usize = 2;
const INK: [u8; 3] = [255, 255, 255];
const PAPER: [u8; 3] = [0, 0, 0];

/// A map of blocks in grey, its largest value white, at the size of the picture.
pub fn heat(map: &[f32], across: usize, width: u32, height: u32) -> Result<Picture, ContentError> {
    let most = map.iter().copied().filter(|value| value.is_finite()).fold(f32::MIN_POSITIVE, f32::max);
    let grey = |value: f32| (255.0 * (value / most).clamp(0.0, 1.0)).round() as u8;
    let pixel = |x: usize, y: usize| [grey(map[y / BLOCK * across + x / BLOCK]); 3];
    paint(width, height, pixel)
}

/// Classes in their colours, at the size of the picture.
pub fn labels(map: &LabelMap, width: u32, height: u32) -> Result<Picture, ContentError> {
    let pixel = |x: usize, y: usize| {
        let (column, row) = (x * map.across / width as usize, y * map.down / height as usize);
        let class = usize::from(map.labels[row * map.across + column]);
        CLASSES.get(class).unwrap_or(&CLASSES[0]).colour
    };
    paint(width, height, pixel)
}

/// The picture with the borders of its regions, and in each region's largest run of blocks its score.
pub fn regions(picture: &Picture, analysis: &Analysis) -> Result<Picture, ContentError> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let region = |x: usize, y: usize| analysis.of_block[y / BLOCK * analysis.across + x / BLOCK];
    let border = |x: usize, y: usize| {
        let here = region(x, y);
        (x > 0 && region(x - 1, y) != here) || (y > 0 && region(x, y - 1) != here)
    };
    let rgb = picture.rgb();
    let pixel = |x: usize, y: usize| {
        let at = 3 * (y * width + x);
        if border(x, y) { INK } else { [rgb[at], rgb[at + 1], rgb[at + 2]] }
    };
    let mut drawn = paint(picture.width(), picture.height(), pixel)?.rgb().to_vec();
    for (number, found) in analysis.regions.iter().enumerate() {
        let (column, row) = widest(analysis, number as u8);
        write(
            &mut drawn,
            (width, height),
            (column * BLOCK + 3, row * BLOCK + 4),
            &format!("{:.1}", found.importance),
        );
    }
    Picture::new(picture.width(), picture.height(), drawn)
}

/// Where the longest run of a region's blocks in a row begins: column and row.
fn widest(analysis: &Analysis, region: u8) -> (usize, usize) {
    let mut best = (0, (0, 0));
    for (row, blocks) in analysis.of_block.chunks_exact(analysis.across).enumerate() {
        let mut run = 0;
        for (column, &block) in blocks.iter().enumerate() {
            run = if block == region { run + 1 } else { 0 };
            if run > best.0 {
                best = (run, (column + 1 - run, row));
            }
        }
    }
    best.1
}

/// Digits in white on black; what is beyond the picture is left out.
fn write(rgb: &mut [u8], (width, height): (usize, usize), (left, top): (usize, usize), text: &str) {
    for (place, letter) in text.chars().enumerate() {
        let glyph = letter.to_digit(10).map_or(10, |digit| digit as usize);
        for y in 0..7 * DOT {
            for x in 0..4 * DOT {
                let (row, column) = (y / DOT, x / DOT);
                let set =
                    (1..6).contains(&row) && column < 3 && GLYPHS[glyph][row - 1] >> (2 - column) & 1 == 1;
                let (px, py) = (left + place * 4 * DOT + x, top + y);
                if px < width && py < height {
                    let at = 3 * (py * width + px);
                    rgb[at..at + 3].copy_from_slice(if set { &INK } else { &PAPER });
                }
            }
        }
    }
}

fn paint(width: u32, height: u32, pixel: impl Fn(usize, usize) -> [u8; 3]) -> Result<Picture, ContentError> {
    let (columns, rows) = (width as usize, height as usize);
    let rgb = (0..columns * rows).flat_map(|at| pixel(at % columns, at / columns)).collect();
    Picture::new(width, height, rgb)
}

#[cfg(test)]
mod tests {
    use semcast_models::sct::analysis::Region;

    use super::*;

    #[test]
    fn every_size_can_be_drawn() {
        for (width, height) in [(1, 1), (17, 40), (64, 33)] {
            let (across, down) = ((width as usize).div_ceil(BLOCK), (height as usize).div_ceil(BLOCK));
            let picture = Picture::new(width, height, vec![90; 3 * (width * height) as usize]).unwrap();
            let of_block = (0..across * down).map(|at| (at % 2) as u8).collect();
            let region = Region { class: None, importance: 12.3 };
            let analysis = Analysis { across, down, of_block, regions: vec![region; 2] };
            let drawn = regions(&picture, &analysis).unwrap();
            assert_eq!((drawn.width(), drawn.height()), (width, height));
            let map = LabelMap { across: 2, down: 1, labels: vec![0, 13] };
            assert_eq!(labels(&map, width, height).unwrap().rgb().len(), picture.rgb().len());
            assert!(heat(&vec![f32::NAN; across * down], across, width, height).is_ok());
        }
    }
}
