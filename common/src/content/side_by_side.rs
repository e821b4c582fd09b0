//! The picture that was sent and the one that arrived, beside each other.

use super::{ContentError, Picture};

/// Width of the line between the two, pixels.
const SEPARATOR: u32 = 4;
/// Its colour.
const SEPARATOR_RGB: [u8; 3] = [255, 255, 255];

/// Original on the left, received on the right, a thin line between. A picture that is less high than the other is
/// continued downwards in the colour of the line.
pub fn side_by_side(original: &Picture, received: &Picture) -> Result<Picture, ContentError> {
    let width = original.width().saturating_add(SEPARATOR).saturating_add(received.width());
    let height = original.height().max(received.height());
    super::check_size(width, height)?;
    let mut rgb = Vec::with_capacity(3 * width as usize * height as usize);
    for y in 0..height {
        for (index, picture) in [original, received].into_iter().enumerate() {
            if index > 0 {
                rgb.extend(SEPARATOR_RGB.repeat(SEPARATOR as usize));
            }
            let length = 3 * picture.width() as usize;
            match picture.rgb().chunks_exact(length).nth(y as usize) {
                Some(row) => rgb.extend_from_slice(row),
                None => rgb.extend(SEPARATOR_RGB.repeat(picture.width() as usize)),
            }
        }
    }
    Picture::new(width, height, rgb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_pictures_are_there() {
        let black = Picture::new(2, 3, vec![0; 18]).unwrap();
        let grey = Picture::new(1, 2, vec![9; 6]).unwrap();
        let both = side_by_side(&black, &grey).unwrap();
        assert_eq!((both.width(), both.height()), (7, 3));
        let row = |y: usize| both.rgb()[y * 21..(y + 1) * 21].to_vec();
        assert_eq!(row(0)[..6], [0; 6]);
        assert_eq!(row(0)[6..18], [255; 12]);
        assert_eq!(row(1)[18..], [9; 3]);
        assert_eq!(row(2)[18..], [255; 3]);
    }

    #[test]
    fn two_pictures_too_wide_together_are_an_error() {
        let wide = Picture::new(10_000, 1, vec![0; 30_000]).unwrap();
        assert!(side_by_side(&wide, &wide).is_err());
    }
}
