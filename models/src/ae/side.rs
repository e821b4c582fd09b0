//! Side information of the `ae` system: what the decoder must know before the symbols mean anything.
//!
//! | byte | content |
//! |---|---|
//! | 0 | version of this layout, 1 |
//! | 1–2 | width in pixels, little endian |
//! | 3–4 | height in pixels, little endian |
//! | 5–7 | mean red, green, blue, 0 to 255 |
//! | 8–9 | power of the encoder's values, 256 · log2, little endian; −32768: the picture is of one colour |
//! | 10– | rate of each cell (see [`super::rates`]), row by row, three bits each from the lowest bit of a byte up |

use semcast_common::content::check_size;

use super::basis::BLOCK;
use super::rates::{Grid, RATES};
use crate::ModelError;

/// Bytes before the rates.
const FIXED_BYTES: usize = 10;
/// Bits of a rate.
const RATE_BITS: usize = 3;
const VERSION: u8 = 1;
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
    /// Mean square of the values that are sent, before they are scaled to unit power; none for a picture of one colour.
    pub power: Option<f32>,
    /// Rate of each cell, an index into [`RATES`].
    pub rates: Vec<u8>,
}

/// The cells of a picture. Blocks at its right and lower edge may reach beyond it.
pub fn grid(width: u32, height: u32) -> Grid {
    Grid::new(width.div_ceil(BLOCK as u32) as usize, height.div_ceil(BLOCK as u32) as usize)
}

impl Side {
    /// The cells of the picture.
    pub fn grid(&self) -> Grid {
        grid(self.width, self.height)
    }

    /// Complex symbols of each block, row by row.
    pub fn symbols(&self) -> Vec<usize> {
        let grid = self.grid();
        (0..grid.across * grid.down).map(|block| RATES[usize::from(self.rates[grid.cell(block)])]).collect()
    }

    /// To bytes. A power is rounded to a 256th of an octave.
    pub fn to_bytes(&self) -> Vec<u8> {
        let level = |power: f32| (256.0 * power.log2()).round().clamp(-32_000.0, 32_000.0) as i16;
        let mut bytes = vec![VERSION];
        bytes.extend((self.width as u16).to_le_bytes());
        bytes.extend((self.height as u16).to_le_bytes());
        bytes.extend(self.mean);
        bytes.extend(self.power.map_or(FLAT, level).to_le_bytes());
        bytes.resize(FIXED_BYTES + (RATE_BITS * self.rates.len()).div_ceil(8), 0);
        for (cell, &rate) in self.rates.iter().enumerate() {
            for bit in 0..RATE_BITS {
                let at = RATE_BITS * cell + bit;
                bytes[FIXED_BYTES + at / 8] |= (rate >> bit & 1) << (at % 8);
            }
        }
        bytes
    }

    /// From bytes that may be anything.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        let Some((&[version, w0, w1, h0, h1, red, green, blue, p0, p1], packed)) =
            bytes.split_first_chunk::<FIXED_BYTES>()
        else {
            return Err(ModelError::Side(format!("{} bytes instead of at least {FIXED_BYTES}", bytes.len())));
        };
        if version != VERSION {
            return Err(ModelError::Side(format!("version {version} instead of {VERSION}")));
        }
        let (width, height) =
            (u32::from(u16::from_le_bytes([w0, w1])), u32::from(u16::from_le_bytes([h0, h1])));
        check_size(width, height).map_err(|error| ModelError::Side(error.to_string()))?;
        let cells = grid(width, height).cells();
        let expected = (RATE_BITS * cells).div_ceil(8);
        if packed.len() != expected {
            return Err(ModelError::Side(format!("{} bytes of rates instead of {expected}", packed.len())));
        }
        let bit = |at: usize| packed[at / 8] >> (at % 8) & 1;
        let rate = |cell: usize| (0..RATE_BITS).map(|index| bit(RATE_BITS * cell + index) << index).sum();
        let power = match i16::from_le_bytes([p0, p1]) {
            FLAT => None,
            level => Some((f32::from(level) / 256.0).clamp(-60.0, 60.0).exp2()),
        };
        Ok(Self { width, height, mean: [red, green, blue], power, rates: (0..cells).map(rate).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use semcast_common::message::MAX_SIDE_BYTES;

    #[test]
    fn round_trip() {
        for (width, height) in [(768, 513), (1, 1), (16_384, 2000)] {
            let cells = grid(width, height).cells();
            let rates = (0..cells).map(|cell| (cell * 5 % 8) as u8).collect();
            let side = Side { width, height, mean: [1, 2, 255], power: Some(0.25), rates };
            assert_eq!(Side::parse(&side.to_bytes()).unwrap(), side);
            assert!(side.to_bytes().len() <= MAX_SIDE_BYTES);
            let flat = Side { power: None, ..side };
            assert_eq!(Side::parse(&flat.to_bytes()).unwrap(), flat);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_fail(
            bytes in proptest::collection::vec(any::<u8>(), 0..64), width in 1_u16..3000, height in 1_u16..3000,
        ) {
            let _ = Side::parse(&bytes);
            let mut likely = vec![1];
            likely.extend(width.to_le_bytes());
            likely.extend(height.to_le_bytes());
            likely.extend(bytes);
            if let Ok(side) = Side::parse(&likely) {
                prop_assert!(side.power.is_none_or(f32::is_finite));
                prop_assert!(side.rates.iter().all(|&rate| usize::from(rate) < RATES.len()));
                prop_assert_eq!(side.symbols().len(), side.grid().across * side.grid().down);
            }
        }
    }
}
