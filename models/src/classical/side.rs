//! Side information of the `classical` system.
//!
//! | byte | content |
//! |---|---|
//! | 0 | 0: text; 1: deflated text; 2: AV1, 4:2:0; 3: AV1, 4:4:4; 4: lossless WebP |
//! | 1–2, 3–4 | pictures: width and height in pixels, little endian |
//! | 5–6, 7–8 | pictures: width and height as coded |

use semcast_common::content::check_size;

use super::av1::Sampling;
use super::text::TextCode;
use crate::ModelError;

/// What the bytes of a message are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A text.
    Text(TextCode),
    /// A picture.
    Picture(PictureSide),
}

/// How a picture is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureCode {
    /// An AV1 still picture: open bitstream units.
    Av1(Sampling),
    /// A lossless WebP file.
    WebP,
}

/// What the decoder must know of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureSide {
    /// How it is coded.
    pub code: PictureCode,
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// Width as coded: less where the picture had to be made smaller.
    pub coded_width: u32,
    /// Height as coded.
    pub coded_height: u32,
}

impl Side {
    /// To bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(TextCode::Plain) => vec![0],
            Self::Text(TextCode::Deflated) => vec![1],
            Self::Picture(side) => {
                let code = match side.code {
                    PictureCode::Av1(Sampling::Half) => 2,
                    PictureCode::Av1(Sampling::Full) => 3,
                    PictureCode::WebP => 4,
                };
                let sides = [side.width, side.height, side.coded_width, side.coded_height];
                std::iter::once(code)
                    .chain(sides.into_iter().flat_map(|side| (side as u16).to_le_bytes()))
                    .collect()
            }
        }
    }

    /// From bytes that may be anything.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        let wrong = |what: &str| Err(ModelError::Side(what.into()));
        let Some((&code, rest)) = bytes.split_first() else { return wrong("there is none") };
        let code = match (code, rest.len()) {
            (0, 0) => return Ok(Self::Text(TextCode::Plain)),
            (1, 0) => return Ok(Self::Text(TextCode::Deflated)),
            (2, 8) => PictureCode::Av1(Sampling::Half),
            (3, 8) => PictureCode::Av1(Sampling::Full),
            (4, 8) => PictureCode::WebP,
            _ => return wrong("unknown code or length"),
        };
        let side = |at: usize| u32::from(u16::from_le_bytes([rest[at], rest[at + 1]]));
        let parsed = PictureSide {
            code,
            width: side(0),
            height: side(2),
            coded_width: side(4),
            coded_height: side(6),
        };
        for (width, height) in [(parsed.width, parsed.height), (parsed.coded_width, parsed.coded_height)] {
            check_size(width, height).map_err(|error| ModelError::Side(error.to_string()))?;
        }
        if parsed.coded_width > parsed.width || parsed.coded_height > parsed.height {
            return wrong("the coded picture is larger than the picture");
        }
        Ok(Self::Picture(parsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_parses_gives_the_same_bytes_again(bytes in proptest::collection::vec(any::<u8>(), 0..12), code in 0_u8..6) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() {
                *first = code;
            }
            if let Ok(side) = Side::parse(&bytes) {
                prop_assert_eq!(side.to_bytes(), bytes);
            }
        }

        #[test]
        fn pictures_round_trip(width in 1_u32..5000, height in 1_u32..5000, shrink in 1_u32..9) {
            let side = Side::Picture(PictureSide {
                code: PictureCode::Av1(Sampling::Full),
                width,
                height,
                coded_width: width.div_ceil(shrink),
                coded_height: height.div_ceil(shrink),
            });
            prop_assert_eq!(Side::parse(&side.to_bytes()).unwrap(), side);
        }
    }
}
