//! Picture ↔ planes of values about zero, which is what networks take.

use semcast_common::content::Picture;

use super::thumbnail::Thumbnail;
use crate::ModelError;

/// Red, green and blue plane, one after the other, each row by row.
pub struct Planes {
    /// Width, pixels.
    pub width: usize,
    /// Height, pixels.
    pub height: usize,
    /// Values.
    pub values: Vec<f32>,
}

impl Planes {
    /// Planes of zeros.
    pub fn zeros(width: usize, height: usize) -> Self {
        Self { width, height, values: vec![0.0; 3 * width * height] }
    }

    /// A picture's values in 0 to 1 less its mean colour, and that colour; filled up to multiples of `unit` pixels by
    /// repeating the last column and row.
    pub fn of(picture: &Picture, unit: usize) -> (Self, [u8; 3]) {
        let (from_width, from_height) = (picture.width() as usize, picture.height() as usize);
        let (width, height) = (from_width.next_multiple_of(unit), from_height.next_multiple_of(unit));
        let rgb = picture.rgb();
        let mut sums = [0_u64; 3];
        for pixel in rgb.chunks_exact(3) {
            (0..3).for_each(|channel| sums[channel] += u64::from(pixel[channel]));
        }
        let pixels = (from_width * from_height) as u64;
        let mean = sums.map(|sum| ((sum + pixels / 2) / pixels) as u8);
        let mut values = Vec::with_capacity(3 * width * height);
        for channel in 0..3 {
            for y in 0..height {
                let row = 3 * y.min(from_height - 1) * from_width;
                values.extend((0..width).map(|x| {
                    let value = rgb[row + 3 * x.min(from_width - 1) + channel];
                    (f32::from(value) - f32::from(mean[channel])) / 255.0
                }));
            }
        }
        (Self { width, height, values }, mean)
    }

    /// Leaves what the picture's thumbnail does not tell of it, and returns that.
    pub fn take_thumbnail(&mut self) -> Thumbnail {
        let thumbnail = Thumbnail::of(&self.values, self.width, self.height);
        thumbnail.take_from(&mut self.values, self.width);
        thumbnail
    }

    /// Adds a thumbnail of planes of this size.
    pub fn give_thumbnail(&mut self, thumbnail: &Thumbnail) {
        thumbnail.give_to(&mut self.values, self.width);
    }

    /// Whether nothing is in them: the picture is of one colour, or its thumbnail tells all of it.
    pub fn is_flat(&self) -> bool {
        self.values.iter().all(|&value| value == 0.0)
    }

    /// A rectangle of all three planes.
    pub fn window(&self, left: usize, top: usize, width: usize, height: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(3 * width * height);
        for plane in self.values.chunks_exact(self.width * self.height) {
            for row in plane.chunks_exact(self.width).skip(top).take(height) {
                values.extend_from_slice(&row[left..left + width]);
            }
        }
        values
    }

    /// The picture in the upper left `width` × `height` pixels, about a mean colour.
    pub fn to_picture(&self, width: u32, height: u32, mean: [u8; 3]) -> Result<Picture, ModelError> {
        let area = self.width * self.height;
        let mut rgb = Vec::with_capacity(3 * width as usize * height as usize);
        for y in 0..height as usize {
            for x in 0..width as usize {
                for (channel, mean) in mean.into_iter().enumerate() {
                    let value = self.values[channel * area + y * self.width + x];
                    rgb.push((255.0 * value + f32::from(mean)).round().clamp(0.0, 255.0) as u8);
                }
            }
        }
        Picture::new(width, height, rgb).map_err(|error| ModelError::Internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_come_back() {
        for (width, height) in [(1, 1), (16, 16), (17, 33)] {
            let rgb = (0..3 * width * height).map(|value| (value * 7 % 256) as u8).collect();
            let picture = Picture::new(width, height, rgb).unwrap();
            let (planes, mean) = Planes::of(&picture, 16);
            assert_eq!((planes.width % 16, planes.height % 16), (0, 0));
            assert_eq!(planes.to_picture(width, height, mean).unwrap(), picture);
        }
    }
}
