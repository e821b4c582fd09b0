//! Targets for decoders of what crossed the air; with the feature `models`.

use semcast_models::{
    ae,
    classical::{
        self,
        side::{PictureSide, Side},
        text,
    },
    sct,
    sct::graphic::Labels,
};

/// Largest picture, in pixels, that is decoded: more would only be slower.
const MOST_PIXELS: u32 = 1 << 16;

/// Side information of every system, and labels that travel as a vector graphic.
pub fn side_information(bytes: &[u8]) {
    if let Ok(side) = Side::parse(bytes) {
        assert_eq!(side.to_bytes(), bytes);
    }
    if let Some((side, base)) =
        bytes.split_at_checked(if bytes.first().is_some_and(|first| first & 16 != 0) { 14 } else { 12 })
        && let Ok(side) = ae::side::Side::parse(side, Some(base))
    {
        assert!(!side.symbols(&ae::rates::RATES).is_empty());
        let again = ae::side::Side::parse(&side.to_bytes(), Some(&side.base_bytes()));
        assert!(again.is_ok_and(|again| again == side));
    }
    if let Ok(side) = sct::side::Side::parse(bytes) {
        assert_eq!(side.to_bytes(), bytes);
    }
    // The labels of a picture of 768 x 512 pixels, as a vector graphic.
    if let Ok(labels) = Labels::decode(bytes, 48, 32) {
        assert_eq!(labels.values.len(), 48 * 32);
    }
}

/// Map of the regions of the `sct` systems: which of them, blocks from left to right and from top to bottom, then the map.
pub fn region_map(bytes: &[u8]) {
    let Some((&[kind, across, down], map)) = bytes.split_first_chunk::<3>() else { return };
    let kind = if kind & 1 == 0 { sct::Kind::Modular } else { sct::Kind::Integrated };
    let (across, down) = (usize::from(across % 64) + 1, usize::from(down % 64) + 1);
    if let Ok(map) = sct::map::Map::parse(map, kind, across, down) {
        let again = sct::map::Map::parse(&map.to_bytes(kind), kind, across, down);
        assert!(again.is_ok_and(|again| again.of_block == map.of_block && again.rates == map.rates));
    }
}

/// Bytes of a region of `sct-modular`: step, channels, whether its end is lost, then the bytes.
pub fn region(bytes: &[u8]) {
    let Some((&[step, channels, cut], coded)) = bytes.split_first_chunk::<3>() else { return };
    let Ok(tables) = sct::tables::Tables::parse(sct::tables::DEFAULT) else { return };
    let layouts = sct::modular::Layout::of(&[0; 24], 6, 1);
    let quantiser =
        sct::map::Quantiser { step: step.min(sct::map::MAX_STEP), channels: usize::from(channels) + 1 };
    let quantised = sct::modular::read(coded, cut & 1 == 1, &tables, &layouts[0], quantiser);
    assert!(quantised.len() <= 24 * quantiser.channels);
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
