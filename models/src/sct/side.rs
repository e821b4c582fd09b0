//! Side information of both systems: what is known of a picture even where its map is lost.
//!
//! | byte | content |
//! |---|---|
//! | 0 | version of this layout, 1 |
//! | 1–2 | width in pixels, little endian |
//! | 3–4 | height in pixels, little endian |
//! | 5–7 | mean red, green, blue, 0 to 255 |

use semcast_common::content::check_size;

use crate::ModelError;
use crate::ae::basis::BLOCK;

const VERSION: u8 = 1;

/// Size and mean colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// Mean colour.
    pub mean: [u8; 3],
}

impl Side {
    /// Blocks from left to right, and from top to bottom.
    pub fn blocks(&self) -> (usize, usize) {
        (self.width.div_ceil(BLOCK as u32) as usize, self.height.div_ceil(BLOCK as u32) as usize)
    }

    /// To bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend((self.width as u16).to_le_bytes());
        bytes.extend((self.height as u16).to_le_bytes());
        bytes.extend(self.mean);
        bytes
    }

    /// From bytes that may be anything.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        let &[VERSION, w0, w1, h0, h1, red, green, blue] = bytes else {
            let count = bytes.len();
            return Err(ModelError::Side(format!("{count} bytes that are no 8 of version {VERSION}")));
        };
        let side = |low, high| u32::from(u16::from_le_bytes([low, high]));
        let (width, height) = (side(w0, w1), side(h0, h1));
        check_size(width, height).map_err(|error| ModelError::Side(error.to_string()))?;
        Ok(Self { width, height, mean: [red, green, blue] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn round_trip() {
        let side = Side { width: 768, height: 513, mean: [1, 2, 255] };
        assert_eq!(Side::parse(&side.to_bytes()).unwrap(), side);
        assert_eq!(side.blocks(), (48, 33));
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            for bytes in [bytes.clone(), [&[VERSION][..], &bytes].concat()] {
                if let Ok(side) = Side::parse(&bytes) {
                    prop_assert_eq!(side.to_bytes(), bytes);
                }
            }
        }
    }
}
