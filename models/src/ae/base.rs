//! The base of a picture: rates and thumbnail, as bytes. All else that is sent builds on it.
//!
//! It is one stream of a range coder (see [`crate::coder`]) with bits that follow what they see: the rate of each cell, row by
//! row, then, where there is a thumbnail, its levels, plane by plane: luminance, orange and green of YCgCo-R (H. Malvar, G. Sullivan:
//! YCoCg-R: a color space with RGB reversibility and low dynamic range. JVT-I014, 2003).
//!
//! Every number is written as its distance from what its neighbours make of it, by the median edge detector of JPEG-LS
//! (ITU-T T.87, A.4.1).

use super::rates::Grid;
use super::thumbnail::{MOST_LEVEL, Thumbnail};
use crate::ModelError;
use crate::coder::{AdaptiveBit, Decoder, Encoder, Sink};

/// Bits that count up to a distance, each with a probability of its own.
const COUNTED: usize = 10;
/// Rates of a transform.
const RATES: i16 = 8;
/// Luminance and the two colour differences of levels lie within this.
const MOST_DIFFERENCE: i16 = 2 * MOST_LEVEL;

/// Probabilities of a distance.
#[derive(Default)]
struct Model {
    /// Whether it is more than so much.
    more: [AdaptiveBit; COUNTED],
    negative: AdaptiveBit,
}

/// Where numbers go to or come from: a writer changes none.
trait Stream {
    /// A distance from what was expected.
    fn distance(&mut self, distance: i16, model: &mut Model) -> Option<i16>;
}

impl Stream for Encoder {
    fn distance(&mut self, distance: i16, model: &mut Model) -> Option<i16> {
        let size = usize::from(distance.unsigned_abs());
        for (counted, more) in model.more.iter_mut().enumerate().take(size + 1) {
            self.adaptive(size > counted, more);
        }
        if size >= COUNTED {
            self.gamma((size - COUNTED + 1) as u32);
        }
        if size > 0 {
            self.adaptive(distance < 0, &mut model.negative);
        }
        Some(distance)
    }
}

impl Stream for Decoder<'_> {
    fn distance(&mut self, _distance: i16, model: &mut Model) -> Option<i16> {
        let mut size = 0;
        for more in &mut model.more {
            if !self.adaptive(more)? {
                break;
            }
            size += 1;
        }
        if size == COUNTED as i16 {
            size = size.checked_add(i16::try_from(self.gamma()? - 1).ok()?)?;
        }
        Some(if size > 0 && self.adaptive(&mut model.negative)? { -size } else { size })
    }
}

/// What a number is likely to be by those before it, `across` in a row, and how far these are apart; none for the first.
pub fn expected(plane: &[i16], at: usize, across: usize) -> Option<(i16, i16)> {
    let left = (!at.is_multiple_of(across)).then(|| plane[at - 1]);
    let above = at.checked_sub(across).map(|above| plane[above]);
    match (left, above) {
        (Some(left), Some(above)) => {
            let corner = plane[at - across - 1];
            let (least, most) = (left.min(above), left.max(above));
            Some(((left + above - corner).clamp(least, most), (most - least).max((corner - left).abs())))
        }
        (one, other) => Some((one.or(other)?, 2)),
    }
}

/// Passes `plane`, `across` numbers a row, each within `range`, through a stream; none if what comes is not within it.
fn pass(
    stream: &mut impl Stream,
    plane: &mut [i16],
    across: usize,
    range: std::ops::RangeInclusive<i16>,
) -> Option<()> {
    // What is expected where neighbours differ is less sure.
    let mut models: [Model; 3] = std::array::from_fn(|_| Model::default());
    for at in 0..plane.len() {
        let (expected, apart) =
            expected(plane, at, across).unwrap_or((range.start().midpoint(*range.end()), 2));
        let model = &mut models[usize::from(apart.unsigned_abs()).min(2)];
        let number = expected.checked_add(stream.distance(plane[at] - expected, model)?)?;
        plane[at] = Some(number).filter(|number| range.contains(number))?;
    }
    Some(())
}

/// Red, green, blue → luminance, orange, green differences, and back.
fn to_differences([red, green, blue]: [i16; 3]) -> [i16; 3] {
    let orange = red - blue;
    let middle = blue + (orange >> 1);
    let greens = green - middle;
    [middle + (greens >> 1), orange, greens]
}

fn to_colours([luminance, orange, greens]: [i16; 3]) -> [i16; 3] {
    let middle = luminance - (greens >> 1);
    let blue = middle - (orange >> 1);
    [blue + orange, greens + middle, blue]
}

fn each_cell(levels: &[i16], convert: fn([i16; 3]) -> [i16; 3]) -> Vec<i16> {
    let cells = levels.len() / 3;
    let mut out = vec![0; levels.len()];
    for cell in 0..cells {
        let converted = convert(std::array::from_fn(|plane| levels[plane * cells + cell]));
        converted.into_iter().enumerate().for_each(|(plane, value)| out[plane * cells + cell] = value);
    }
    out
}

/// Writes a thumbnail.
pub fn write_thumbnail(encoder: &mut Encoder, thumbnail: &Thumbnail) {
    let mut differences = each_cell(&thumbnail.levels, to_differences);
    for plane in differences.chunks_exact_mut((thumbnail.across * thumbnail.down).max(1)) {
        // What is written lies within its range.
        let _ = pass(encoder, plane, thumbnail.across, -MOST_DIFFERENCE..=MOST_DIFFERENCE);
    }
}

/// Bytes of a thumbnail by itself.
pub fn thumbnail_bytes(thumbnail: &Thumbnail) -> usize {
    let mut encoder = Encoder::default();
    write_thumbnail(&mut encoder, thumbnail);
    encoder.finish().len()
}

/// Reads that of planes of some width and height; none if what comes is none.
pub fn read_thumbnail(decoder: &mut Decoder, width: usize, height: usize) -> Option<Thumbnail> {
    let mut thumbnail = Thumbnail::flat(width, height);
    for plane in thumbnail.levels.chunks_exact_mut((thumbnail.across * thumbnail.down).max(1)) {
        pass(decoder, plane, thumbnail.across, -MOST_DIFFERENCE..=MOST_DIFFERENCE)?;
    }
    thumbnail.levels = each_cell(&thumbnail.levels, to_colours);
    Some(thumbnail)
}

/// The bytes of rates, which are indexes, over the cells of `grid`, and of a thumbnail.
pub fn to_bytes(grid: &Grid, rates: &[u8], thumbnail: Option<&Thumbnail>) -> Vec<u8> {
    let mut encoder = Encoder::default();
    let mut plane: Vec<i16> = rates.iter().map(|&rate| i16::from(rate)).collect();
    // What is written lies within its range.
    let _ = pass(&mut encoder, &mut plane, grid.cells_across(), 0..=RATES - 1);
    if let Some(thumbnail) = thumbnail {
        write_thumbnail(&mut encoder, thumbnail);
    }
    encoder.finish()
}

/// The rates of the cells of `grid`, and the thumbnail of planes of some width and height, if there is one.
pub fn parse(
    bytes: &[u8],
    grid: &Grid,
    planes: Option<(usize, usize)>,
) -> Result<(Vec<u8>, Option<Thumbnail>), ModelError> {
    let nonsense = || ModelError::Damaged("the rates and the thumbnail of the picture make no sense".into());
    let mut decoder = Decoder::new(bytes, false);
    let mut rates = vec![0; grid.cells()];
    pass(&mut decoder, &mut rates, grid.cells_across(), 0..=RATES - 1).ok_or_else(nonsense)?;
    let rates = rates.into_iter().map(|rate| rate as u8).collect();
    let Some((width, height)) = planes else { return Ok((rates, None)) };
    let thumbnail = read_thumbnail(&mut decoder, width, height).ok_or_else(nonsense)?;
    Ok((rates, Some(thumbnail)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rates_and_thumbnails_come_back(
            across in 1_usize..30, down in 1_usize..20, side in 1_usize..4, seed in any::<u64>(), rough in 1_i64..40,
        ) {
            let grid = Grid { across, down, side };
            let mut state = seed;
            let mut random = |most: i64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as i64 % most
            };
            let rates: Vec<u8> = (0..grid.cells()).map(|_| random(rough.min(8)) as u8).collect();
            let (width, height) = (across * 16, down * 16);
            let mut thumbnail = Thumbnail::flat(width, height);
            let most = i64::from(MOST_LEVEL);
            thumbnail.levels.iter_mut().for_each(|level| *level = (random(2 * rough) - rough).clamp(-most, most) as i16);
            let bytes = to_bytes(&grid, &rates, Some(&thumbnail));
            prop_assert_eq!(parse(&bytes, &grid, Some((width, height))).unwrap(), (rates.clone(), Some(thumbnail)));
            let bytes = to_bytes(&grid, &rates, None);
            prop_assert_eq!(parse(&bytes, &grid, None).unwrap(), (rates, None));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), across in 1_usize..40) {
            let grid = Grid { across, down: 9, side: 2 };
            if let Ok((rates, Some(thumbnail))) = parse(&bytes, &grid, Some((16 * across, 144))) {
                prop_assert!(rates.iter().all(|&rate| rate < 8));
                prop_assert!(thumbnail.levels.iter().all(|level| level.abs() <= 4 * MOST_DIFFERENCE));
            }
        }
    }

    #[test]
    fn smooth_ones_take_few_bytes() {
        let grid = Grid { across: 48, down: 32, side: 2 };
        let rates: Vec<u8> = (0..grid.cells()).map(|cell| (cell % 24 / 4) as u8).collect();
        let mut thumbnail = Thumbnail::flat(768, 512);
        thumbnail.levels.iter_mut().enumerate().for_each(|(at, level)| *level = (at % 12) as i16);
        let bytes = to_bytes(&grid, &rates, Some(&thumbnail));
        assert!(
            bytes.len() < 110,
            "{} bytes for {} numbers",
            bytes.len(),
            rates.len() + thumbnail.levels.len()
        );
    }
}
