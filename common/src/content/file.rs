//! Picture files: PNG, JPEG, WebP and BMP bytes to a [`Picture`], and a [`Picture`] to PNG bytes.
//!
//! A file's own word for its size is checked against [`MAX_SIDE`](super::MAX_SIDE) and [`MAX_PIXELS`] before any
//! pixel is decoded, and the decoder's memory is bounded, so neither a huge picture nor a decompression bomb costs
//! more than reading its header.

use std::io::Cursor;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageReader, Limits};

use super::{ContentError, MAX_PIXELS, Picture, check_size};

/// Most bytes that a decoder may allocate: a picture of [`MAX_PIXELS`] with four 16-bit channels, and some working room.
const MAX_DECODER_BYTES: u64 = 8 * MAX_PIXELS + (64 << 20);

/// Decodes the bytes of a PNG, JPEG, WebP or BMP file. Turns the picture upright if the file says how it was held,
/// lays transparent pictures on white, and keeps eight bits a channel.
pub fn decode_picture(bytes: &[u8]) -> Result<Picture, ContentError> {
    let unreadable = |error: image::ImageError| ContentError::Format(error.to_string());
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| ContentError::Format(error.to_string()))?;
    if reader.format().is_none() {
        return Err(ContentError::Format("its first bytes belong to none of them".into()));
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(unreadable)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    let orientation = decoder.orientation().map_err(unreadable)?;
    let mut decoded = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    decoded.apply_orientation(orientation);
    let rgb = if decoded.color().has_alpha() { on_white(decoded) } else { decoded.into_rgb8() };
    let (width, height) = rgb.dimensions();
    Picture::new(width, height, rgb.into_raw())
}

/// Lays a transparent picture on white.
fn on_white(picture: DynamicImage) -> image::RgbImage {
    let rgba = picture.into_rgba8();
    let (width, height) = rgba.dimensions();
    image::RgbImage::from_fn(width, height, |x, y| {
        let [red, green, blue, alpha] = rgba.get_pixel(x, y).0.map(u32::from);
        let blend = |value: u32| ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        image::Rgb([blend(red), blend(green), blend(blue)])
    })
}

/// The bytes of a PNG file.
pub fn encode_png(picture: &Picture) -> Result<Vec<u8>, ContentError> {
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive)
        .write_image(picture.rgb(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .map_err(|error| ContentError::Format(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A BMP header that claims a size, with no pixels behind it.
    fn bitmap_header(width: i32, height: i32) -> Vec<u8> {
        let mut bytes = b"BM".to_vec();
        bytes.extend(54_u32.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(54_u32.to_le_bytes());
        bytes.extend(40_u32.to_le_bytes());
        bytes.extend(width.to_le_bytes());
        bytes.extend(height.to_le_bytes());
        bytes.extend(1_u16.to_le_bytes());
        bytes.extend(24_u16.to_le_bytes());
        bytes.extend([0; 24]);
        bytes
    }

    #[test]
    fn png_round_trip() {
        let rgb = (0..3 * 7 * 5).map(|value| (value * 2) as u8).collect();
        let picture = Picture::new(7, 5, rgb).unwrap();
        assert_eq!(decode_picture(&encode_png(&picture).unwrap()).unwrap(), picture);
    }

    #[test]
    fn a_hundred_megapixels_are_refused_by_their_header() {
        let result = decode_picture(&bitmap_header(10_000, 10_000));
        assert!(matches!(result, Err(ContentError::Size { width: 10_000, height: 10_000 })), "{result:?}");
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        // 16,000 × 16,000 grey pixels of one colour deflate to some 250 kB; the header alone must be enough.
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x3e\x80\0\0\x3e\x80\x08\0\0\0\0".to_vec();
        png.extend([0x64, 0x15, 0x80, 0x02]);
        png.extend(b"\0\x03\xd0\x90IDAT");
        assert!(matches!(decode_picture(&png), Err(ContentError::Size { .. })));
    }

    #[test]
    fn other_bytes_are_an_error() {
        for bytes in
            [&b""[..], b"hello", b"\x89PNG\r\n\x1a\n", &[0xff, 0xd8, 0xff, 0xe0, 0, 16], &bitmap_header(3, 3)]
        {
            assert!(matches!(decode_picture(bytes), Err(ContentError::Format(_))), "{bytes:?}");
        }
    }

    #[test]
    fn transparency_is_laid_on_white() {
        let transparent = image::RgbaImage::from_pixel(2, 1, image::Rgba([10, 20, 30, 0]));
        let mut bytes = Cursor::new(Vec::new());
        transparent.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        assert_eq!(decode_picture(bytes.get_ref()).unwrap().rgb(), [255; 6]);
    }
}
