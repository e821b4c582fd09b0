//! Side information of the `ae` system: what the decoder must know before the symbols mean anything.
//!
//! | byte | content |
//! |---|---|
//! | 0 | version of this layout, 3; 4 with the variances' power |
//! | 1–2 | width in pixels, little endian |
//! | 3–4 | height in pixels, little endian |
//! | 5–7 | mean red, green, blue, 0 to 255 |
//! | 8 | SNR that the encoder was told, dB, signed |
//! | 9–10 | power of the encoder's values, 256 · log2, little endian; −32768: the picture is of one colour |
//! | 11–12 | in version 4 only, `vae` and `vscc`: power of the logarithms of the variances that follow the values, as above |
//! | then | rate of each cell (see [`super::rates`]), row by row, three bits each from the lowest bit of a byte up |

use semcast_common::content::check_size;

use super::basis::BLOCK;
use super::rates::{Grid, Rates};
use crate::ModelError;

/// Bytes before the rates.
const FIXED_BYTES: usize = 11;
/// Bits of a rate.
const RATE_BITS: usize = 3;
const VERSION: u8 = 3;
const VERSION_WITH_VARIANCES: u8 = 4;
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
    /// Mean square of the values that are sent, before they are scaled to unit power; none for a picture of one colour.
    pub power: Option<f32>,
    /// Mean square of the logarithms of the variances that are sent after the values, before they are scaled to unit
    /// power; none if none are sent.
    pub variance_power: Option<f32>,
    /// Rate of each cell, an index into those of the transform.
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

    /// The rate of each block, row by row.
    pub fn rates_of_blocks(&self) -> Vec<usize> {
        let grid = self.grid();
        (0..grid.across * grid.down).map(|block| usize::from(self.rates[grid.cell(block)])).collect()
    }

    /// Complex symbols of each block, row by row.
    pub fn symbols(&self, rates: &Rates) -> Vec<usize> {
        self.rates_of_blocks().into_iter().map(|rate| rates[rate]).collect()
    }

    /// To bytes. A power is rounded to a 256th of an octave.
    pub fn to_bytes(&self) -> Vec<u8> {
        let level = |power: f32| (256.0 * power.log2()).round().clamp(-32_000.0, 32_000.0) as i16;
        let mut bytes = vec![if self.variance_power.is_some() { VERSION_WITH_VARIANCES } else { VERSION }];
        bytes.extend((self.width as u16).to_le_bytes());
        bytes.extend((self.height as u16).to_le_bytes());
        bytes.extend(self.mean);
        bytes.extend(self.told_db.to_le_bytes());
        bytes.extend(self.power.map_or(FLAT, level).to_le_bytes());
        bytes.extend(self.variance_power.map(|power| level(power).to_le_bytes()).into_iter().flatten());
        let rates = bytes.len();
        bytes.resize(rates + (RATE_BITS * self.rates.len()).div_ceil(8), 0);
        for (cell, &rate) in self.rates.iter().enumerate() {
            for bit in 0..RATE_BITS {
                let at = RATE_BITS * cell + bit;
                bytes[rates + at / 8] |= (rate >> bit & 1) << (at % 8);
            }
        }
        bytes
    }

    /// From bytes that may be anything.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        let Some((&[version, w0, w1, h0, h1, red, green, blue, told, p0, p1], packed)) =
            bytes.split_first_chunk::<FIXED_BYTES>()
        else {
            return Err(ModelError::Side(format!("{} bytes instead of at least {FIXED_BYTES}", bytes.len())));
        };
        let power = |bytes| match i16::from_le_bytes(bytes) {
            FLAT => None,
            level => Some((f32::from(level) / 256.0).clamp(-60.0, 60.0).exp2()),
        };
        let (variance_power, packed) = match (version, packed.split_first_chunk()) {
            (VERSION, _) => (None, packed),
            (VERSION_WITH_VARIANCES, Some((&bytes, packed))) => (power(bytes), packed),
            _ => {
                let text =
                    format!("version {version} instead of {VERSION} or {VERSION_WITH_VARIANCES}, or cut off");
                return Err(ModelError::Side(text));
            }
        };
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
        let (mean, power) = ([red, green, blue], power([p0, p1]));
        let rates = (0..cells).map(rate).collect();
        Ok(Self { width, height, mean, told_db: told as i8, power, variance_power, rates })
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
            let cells = grid(width, height).cells();
            let rates = (0..cells).map(|cell| (cell * 5 % 8) as u8).collect();
            let side = Side {
                width,
                height,
                mean: [1, 2, 255],
                told_db: -5,
                power: Some(0.25),
                variance_power: None,
                rates,
            };
            assert_eq!(Side::parse(&side.to_bytes()).unwrap(), side);
            let with_variances = Side { variance_power: Some(4.0), ..side.clone() };
            assert_eq!(Side::parse(&with_variances.to_bytes()).unwrap(), with_variances);
            assert!(with_variances.to_bytes().len() <= MAX_SIDE_BYTES);
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
            let mut likely = vec![3 + (width % 2) as u8];
            likely.extend(width.to_le_bytes());
            likely.extend(height.to_le_bytes());
            likely.extend(bytes);
            if let Ok(side) = Side::parse(&likely) {
                prop_assert!(side.power.is_none_or(f32::is_finite));
                prop_assert!(side.variance_power.is_none_or(f32::is_finite));
                prop_assert!(side.rates.iter().all(|&rate| usize::from(rate) < RATES.len()));
                prop_assert_eq!(side.symbols(&RATES).len(), side.grid().across * side.grid().down);
            }
        }
    }
}
