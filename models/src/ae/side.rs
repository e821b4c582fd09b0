//! Side information of the `ae` system: what the decoder must know before the symbols mean anything. What every frame
//! carries of it is short; the rest is the [`base`].
//!
//! | byte | content |
//! |---|---|
//! | 0 | bits 0–3: version of this layout, 5; bit 4: with the variances' power; bit 5: the base has a thumbnail; bits 6–7: zero |
//! | 1–2 | width in pixels, little endian |
//! | 3–4 | height in pixels, little endian |
//! | 5–7 | mean red, green, blue, 0 to 255 |
//! | 8 | SNR that the encoder was told, dB, signed |
//! | 9–10 | power of the encoder's values, 256 · log2, little endian; −32768: what is left of the picture without its thumbnail is zero |
//! | 11 | side of a cell of one rate, blocks, 1 to 255 |
//! | 12–13 | with bit 4 only, `vae` and `vscc`: power of the logarithms of the variances that follow the values, as above |

use semcast_common::content::check_size;

use super::base;
use super::basis::BLOCK;
use super::rates::{Grid, Rates};
use super::thumbnail::Thumbnail;
use crate::ModelError;

/// Bytes that always are there.
const FIXED_BYTES: usize = 12;
const VERSION: u8 = 5;
const WITH_VARIANCES: u8 = 1 << 4;
const WITH_THUMBNAIL: u8 = 1 << 5;
const FLAT: i16 = i16::MIN;

/// What the decoder must know of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// Mean colour.
    pub mean: [u8; 3],
    /// SNR that the encoder was told to expect, dB; it decides how power is shared out.
    pub told_db: i8,
    /// Mean square of the values that are sent, before they are scaled to unit power; none if all are zero.
    pub power: Option<f32>,
    /// Mean square of the logarithms of the variances that are sent after the values, before they are scaled to unit
    /// power; none if none are sent.
    pub variance_power: Option<f32>,
    /// The cells of one rate. Blocks at the picture's right and lower edge may reach beyond it.
    pub grid: Grid,
    /// Rate of each cell, an index into those of the transform.
    pub rates: Vec<u8>,
    /// What the values do not tell of the picture.
    pub thumbnail: Option<Thumbnail>,
}

/// Blocks of a picture, from left to right and from top to bottom.
pub fn blocks(width: u32, height: u32) -> (usize, usize) {
    (width.div_ceil(BLOCK as u32) as usize, height.div_ceil(BLOCK as u32) as usize)
}

impl Side {
    /// The rate of each block, row by row.
    pub fn rates_of_blocks(&self) -> Vec<usize> {
        let Grid { across, down, .. } = self.grid;
        (0..across * down).map(|block| usize::from(self.rates[self.grid.cell(block)])).collect()
    }

    /// Complex symbols of each block, row by row.
    pub fn symbols(&self, rates: &Rates) -> Vec<usize> {
        self.rates_of_blocks().into_iter().map(|rate| rates[rate]).collect()
    }

    /// To what every frame carries. A power is rounded to a 256th of an octave.
    pub fn to_bytes(&self) -> Vec<u8> {
        let level = |power: f32| (256.0 * power.log2()).round().clamp(-32_000.0, 32_000.0) as i16;
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let mut bytes = vec![
            VERSION
                | flag(self.variance_power.is_some(), WITH_VARIANCES)
                | flag(self.thumbnail.is_some(), WITH_THUMBNAIL),
        ];
        bytes.extend((self.width as u16).to_le_bytes());
        bytes.extend((self.height as u16).to_le_bytes());
        bytes.extend(self.mean);
        bytes.extend(self.told_db.to_le_bytes());
        bytes.extend(self.power.map_or(FLAT, level).to_le_bytes());
        bytes.push(self.grid.side as u8);
        bytes.extend(self.variance_power.map(|power| level(power).to_le_bytes()).into_iter().flatten());
        bytes
    }

    /// To the base: rates and thumbnail.
    pub fn base_bytes(&self) -> Vec<u8> {
        base::to_bytes(&self.grid, &self.rates, self.thumbnail.as_ref())
    }

    /// From bytes that may be anything; `base`: none if it has not arrived. Then nothing of the picture is known but its size
    /// and its colour.
    pub fn parse(bytes: &[u8], base: Option<&[u8]>) -> Result<Self, ModelError> {
        let Some((&[version, w0, w1, h0, h1, red, green, blue, told, p0, p1, side], rest)) =
            bytes.split_first_chunk::<FIXED_BYTES>()
        else {
            return Err(ModelError::Side(format!("{} bytes instead of at least {FIXED_BYTES}", bytes.len())));
        };
        let flags = version & !0x0f;
        if version & 0x0f != VERSION || flags & !(WITH_VARIANCES | WITH_THUMBNAIL) != 0 {
            let found = version & 0x0f;
            return Err(ModelError::Side(format!("version {found} with flags {flags:#x}, not {VERSION}")));
        }
        let power = |bytes| match i16::from_le_bytes(bytes) {
            FLAT => None,
            level => Some((f32::from(level) / 256.0).clamp(-60.0, 60.0).exp2()),
        };
        let variance_power = match (flags & WITH_VARIANCES != 0, rest) {
            (false, []) => None,
            (true, &[low, high]) => power([low, high]),
            _ => return Err(ModelError::Side(format!("{} bytes too many or too few", rest.len()))),
        };
        let (width, height) =
            (u32::from(u16::from_le_bytes([w0, w1])), u32::from(u16::from_le_bytes([h0, h1])));
        check_size(width, height).map_err(|error| ModelError::Side(error.to_string()))?;
        let (across, down) = blocks(width, height);
        let grid = Grid { across, down, side: usize::from(side) };
        if side == 0 {
            return Err(ModelError::Side("cells of no blocks".into()));
        }
        let planes = (flags & WITH_THUMBNAIL != 0).then_some((across * BLOCK, down * BLOCK));
        let (mean, told_db) = ([red, green, blue], told as i8);
        let side = |power, rates, thumbnail| Self {
            width,
            height,
            mean,
            told_db,
            power,
            variance_power,
            grid,
            rates,
            thumbnail,
        };
        let Some(base) = base else { return Ok(side(None, Vec::new(), None)) };
        let (rates, thumbnail) = base::parse(base, &grid, planes)?;
        Ok(side(power([p0, p1]), rates, thumbnail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ae::rates::RATES;
    use proptest::prelude::*;
    use semcast_common::message::MAX_SIDE_BYTES;

    #[test]
    fn round_trip() {
        for (width, height) in [(768, 513), (1, 1), (16_384, 2000)] {
            let (across, down) = blocks(width, height);
            let grid = Grid::fine(across, down, 0);
            let side = Side {
                width,
                height,
                mean: [1, 2, 255],
                told_db: -5,
                power: Some(0.25),
                variance_power: None,
                grid,
                rates: (0..grid.cells()).map(|cell| (cell * 5 % 8) as u8).collect(),
                thumbnail: None,
            };
            let back = |side: &Side| Side::parse(&side.to_bytes(), Some(&side.base_bytes())).unwrap();
            assert_eq!(back(&side), side);
            let mut thumbnail = Thumbnail::flat(across * BLOCK, down * BLOCK);
            thumbnail.levels.iter_mut().enumerate().for_each(|(at, level)| *level = (at % 40) as i16 - 20);
            let with_thumbnail = Side { thumbnail: Some(thumbnail), ..side.clone() };
            assert_eq!(back(&with_thumbnail), with_thumbnail);
            let with_variances = Side { variance_power: Some(4.0), ..with_thumbnail };
            assert_eq!(back(&with_variances), with_variances);
            assert!(with_variances.to_bytes().len() <= MAX_SIDE_BYTES);
            let flat = Side { power: None, ..side.clone() };
            assert_eq!(back(&flat), flat);
            let alone = Side::parse(&side.to_bytes(), None).unwrap();
            assert_eq!(alone, Side { power: None, rates: Vec::new(), ..side });
        }
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_fail(
            bytes in proptest::collection::vec(any::<u8>(), 0..10), base in proptest::collection::vec(any::<u8>(), 0..64),
            width in 1_u16..3000, height in 1_u16..3000, flags in 0_u8..4,
        ) {
            let _ = Side::parse(&bytes, Some(&base));
            let mut likely = vec![VERSION | flags << 4];
            likely.extend(width.to_le_bytes());
            likely.extend(height.to_le_bytes());
            likely.extend(bytes);
            if let Ok(side) = Side::parse(&likely, Some(&base)) {
                prop_assert!(side.power.is_none_or(f32::is_finite));
                prop_assert!(side.variance_power.is_none_or(f32::is_finite));
                prop_assert!(side.rates.iter().all(|&rate| usize::from(rate) < RATES.len()));
                prop_assert_eq!(side.symbols(&RATES).len(), side.grid.across * side.grid.down);
            }
        }
    }
}
