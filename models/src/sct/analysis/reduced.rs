//! Pictures of another size: what analyses look at, so that their cost does not grow with the picture.

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Rgb};
use semcast_common::content::Picture;

/// The picture at `width` × `height` pixels, interleaved RGB: means over areas where it becomes smaller along both axes,
/// else linear interpolation.
pub fn resized(picture: &Picture, width: usize, height: usize) -> Vec<u8> {
    let (from_width, from_height) = (picture.width() as usize, picture.height() as usize);
    if (width, height) == (from_width, from_height) {
        return picture.rgb().to_vec();
    }
    if width <= from_width && height <= from_height {
        return means(picture.rgb(), (from_width, from_height), (width, height));
    }
    let image = ImageBuffer::<Rgb<u8>, &[u8]>::from_raw(picture.width(), picture.height(), picture.rgb());
    let larger = |image: ImageBuffer<Rgb<u8>, &[u8]>| {
        imageops::resize(&image, width as u32, height as u32, FilterType::Triangle).into_raw()
    };
    image.map_or_else(|| vec![0; 3 * width * height], larger)
}

/// Means over areas of whole pixels, which overlap by one where sizes do not divide.
fn means(rgb: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let span = |at: usize, from: usize, to: usize| at * from / to..((at + 1) * from).div_ceil(to);
    let columns: Vec<_> = (0..to.0).map(|x| span(x, from.0, to.0)).collect();
    let mut out = Vec::with_capacity(3 * to.0 * to.1);
    let mut sums = vec![[0_u32; 3]; to.0];
    for y in 0..to.1 {
        let rows = span(y, from.1, to.1);
        sums.fill([0; 3]);
        for row in rows.clone() {
            let row = &rgb[3 * row * from.0..3 * (row + 1) * from.0];
            for (sum, columns) in sums.iter_mut().zip(&columns) {
                for pixel in row[3 * columns.start..3 * columns.end].chunks_exact(3) {
                    (0..3).for_each(|channel| sum[channel] += u32::from(pixel[channel]));
                }
            }
        }
        for (sum, columns) in sums.iter().zip(&columns) {
            let count = (rows.len() * columns.len()) as u32;
            out.extend(sum.map(|sum| ((sum + count / 2) / count) as u8));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_as_asked_and_flat_pictures_stay_flat() {
        for (from, to) in
            [((1, 1), (32, 16)), ((100, 37), (10, 9)), ((7, 300), (14, 20)), ((64, 64), (64, 64))]
        {
            let rgb = [10, 200, 90].repeat((from.0 * from.1) as usize);
            let picture = Picture::new(from.0, from.1, rgb).unwrap();
            let found = resized(&picture, to.0, to.1);
            assert_eq!(found, [10, 200, 90].repeat(to.0 * to.1));
        }
    }

    #[test]
    fn smaller_pictures_are_means() {
        let picture = Picture::new(4, 2, (0..24).map(|at| at * 10).collect()).unwrap();
        // Columns 0 and 1 of both rows: red 0, 30, 120, 150.
        assert_eq!(resized(&picture, 2, 1)[0], 75);
    }
}
