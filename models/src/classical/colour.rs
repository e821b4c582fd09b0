//! RGB ↔ YCbCr (ITU-R BT.601, full range, as in JFIF), with chroma at full or half resolution.

use semcast_common::content::Picture;

use super::av1::Sampling;

/// Three planes of eight-bit samples.
#[derive(Clone, Debug)]
pub struct Planes {
    /// Width of the first plane.
    pub width: usize,
    /// Height of the first plane.
    pub height: usize,
    /// Size of the chroma planes.
    pub sampling: Sampling,
    /// Luma, blue difference, red difference, row by row.
    pub planes: [Vec<u8>; 3],
}

impl Planes {
    /// Width and height of the chroma planes.
    pub fn chroma_size(&self) -> (usize, usize) {
        match self.sampling {
            Sampling::Full => (self.width, self.height),
            Sampling::Half => (self.width.div_ceil(2), self.height.div_ceil(2)),
        }
    }
}

fn byte(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

/// From RGB, filling up to `width` × `height` by repeating the last column and row.
pub fn from_rgb(picture: &Picture, width: usize, height: usize, sampling: Sampling) -> Planes {
    let (from_width, from_height) = (picture.width() as usize, picture.height() as usize);
    let pixel = |x: usize, y: usize| {
        let at = 3 * (y.min(from_height - 1) * from_width + x.min(from_width - 1));
        [0, 1, 2].map(|channel| f32::from(picture.rgb()[at + channel]))
    };
    let blue = |[r, g, b]: [f32; 3]| -0.168_736 * r - 0.331_264 * g + 0.5 * b;
    let red = |[r, g, b]: [f32; 3]| 0.5 * r - 0.418_688 * g - 0.081_312 * b;
    let mut planes = Planes { width, height, sampling, planes: [const { Vec::new() }; 3] };
    for y in 0..height {
        planes.planes[0].extend((0..width).map(|x| {
            let [r, g, b] = pixel(x, y);
            byte(0.299 * r + 0.587 * g + 0.114 * b)
        }));
    }
    let (chroma_width, chroma_height) = planes.chroma_size();
    let step = if sampling == Sampling::Half { 2 } else { 1 };
    for y in 0..chroma_height {
        for x in 0..chroma_width {
            let mut mean = [0.0; 3];
            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                let (dx, dy) = (dx * (step - 1), dy * (step - 1));
                let [r, g, b] = pixel(step * x + dx, step * y + dy);
                mean = [mean[0] + r / 4.0, mean[1] + g / 4.0, mean[2] + b / 4.0];
            }
            planes.planes[1].push(byte(blue(mean) + 128.0));
            planes.planes[2].push(byte(red(mean) + 128.0));
        }
    }
    planes
}

/// To RGB values of the first `width` × `height` pixels, chroma interpolated linearly.
pub fn to_rgb(planes: &Planes, width: usize, height: usize) -> Vec<u8> {
    let (chroma_width, chroma_height) = planes.chroma_size();
    // A half-resolution sample lies in the middle of its four pixels: it and its nearer neighbour count 3 : 1.
    let taps = |at: usize, length: usize| match planes.sampling {
        Sampling::Full => (at, at, 1.0),
        Sampling::Half => {
            let near = at / 2;
            let far = if at.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(length - 1) };
            (near, far, 0.75)
        }
    };
    let mut rgb = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        let (near_row, far_row, row_weight) = taps(y, chroma_height);
        for x in 0..width {
            let (near, far, weight) = taps(x, chroma_width);
            let chroma = |plane: &[u8]| {
                let at = |row: usize, column: usize| f32::from(plane[row * chroma_width + column]);
                let along = |row| weight * at(row, near) + (1.0 - weight) * at(row, far);
                row_weight * along(near_row) + (1.0 - row_weight) * along(far_row) - 128.0
            };
            let luma = f32::from(planes.planes[0][y * planes.width + x]);
            let (blue, red) = (chroma(&planes.planes[1]), chroma(&planes.planes[2]));
            rgb.extend([
                byte(luma + 1.402 * red),
                byte(luma - 0.344_136 * blue - 0.714_136 * red),
                byte(luma + 1.772 * blue),
            ]);
        }
    }
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_survive() {
        for colour in [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 200, 90], [30, 60, 250]] {
            let picture = Picture::new(5, 3, colour.repeat(15)).unwrap();
            for sampling in [Sampling::Half, Sampling::Full] {
                let planes = from_rgb(&picture, 16, 16, sampling);
                let rgb = to_rgb(&planes, 5, 3);
                for (pixel, channel) in rgb.iter().zip(colour.iter().cycle()) {
                    assert!(pixel.abs_diff(*channel) <= 2, "{colour:?} came back as {:?}", &rgb[..3]);
                }
            }
        }
    }
}
