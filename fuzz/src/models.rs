//! Targets for decoders of what crossed the air; with the feature `models`.

use semcast_models::{
    ae,
    classical::{
        self,
        side::{PictureSide, Side},
        text,
    },
};

/// Largest picture, in pixels, that is decoded: more would only be slower.
const MOST_PIXELS: u32 = 1 << 16;

/// Side information of every system.
pub fn side_information(bytes: &[u8]) {
    if let Ok(side) = Side::parse(bytes) {
        assert_eq!(side.to_bytes(), bytes);
    }
    if let Ok(side) = ae::side::Side::parse(bytes) {
        assert!(!side.symbols().is_empty());
    }
}

/// Content of the `classical` system: nine bytes of side information, then what was coded.
pub fn received_content(bytes: &[u8]) {
    let Some((&code, _)) = bytes.split_first() else { return };
    let Some((side, coded)) = bytes.split_at_checked(if code < 2 { 1 } else { 9 }) else { return };
    match Side::parse(side) {
        Ok(Side::Text(code)) => {
            let lost = coded.len() / 2..coded.len();
            for missing in [&[][..], &[lost][..]] {
                let _ = text::decode(code, coded, missing);
            }
        }
        Ok(Side::Picture(side)) if side.width * side.height <= MOST_PIXELS => picture(&side, coded),
        _ => {}
    }
}

fn picture(side: &PictureSide, coded: &[u8]) {
    if let Ok(picture) = classical::decode_picture(side, coded.to_vec()) {
        assert_eq!((picture.width(), picture.height()), (side.width, side.height));
    }
}
