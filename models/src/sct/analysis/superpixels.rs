//! Superpixels: parts of a picture that are of one colour and close together.
//!
//! Simple linear iterative clustering: k-means over colour (CIELAB) and place, each centre looking no further than twice the
//! distance between centres, and then stray pieces joined to a neighbour (\[1\], sections 3 and 4). It begins from a grid and
//! knows no chance, so the same picture gives the same superpixels.
//!
//! 1. R. Achanta, A. Shaji, K. Smith, A. Lucchi, P. Fua, S. Süsstrunk: SLIC superpixels compared to state-of-the-art superpixel
//!    methods. IEEE TPAMI 34(11), 2012: algorithm 1, eq. 3.

/// Weight of place against colour (m of \[1\]).
const COMPACTNESS: f32 = 10.0;
/// Rounds of k-means; \[1\] uses ten.
const ROUNDS: usize = 6;
/// A connected piece smaller than its superpixel's share of the picture by this factor is joined to a neighbour.
const PIECE: usize = 4;

/// The pixels of a picture as lightness, green to red, blue to yellow.
pub fn lab(rgb: &[u8]) -> Vec<[f32; 3]> {
    // Of each of the 256 values, once.
    let linear: Vec<f32> = (0..256)
        .map(|value| {
            let value = value as f32 / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        })
        .collect();
    let root = |value: f32| {
        if value > 0.008_856 { value.cbrt() } else { value.mul_add(7.787, 16.0 / 116.0) }
    };
    let convert = |pixel: &[u8]| {
        let [r, g, b] = [0, 1, 2].map(|at| linear[usize::from(pixel[at])]);
        // sRGB to XYZ over the white of D65.
        let x = root((0.412_456 * r + 0.357_576 * g + 0.180_438 * b) / 0.950_47);
        let y = root(0.212_673 * r + 0.715_152 * g + 0.072_175 * b);
        let z = root((0.019_334 * r + 0.119_192 * g + 0.950_304 * b) / 1.088_83);
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    };
    rgb.chunks_exact(3).map(convert).collect()
}

/// The superpixel of each pixel of a picture of `width` pixels a row, and how many there are: about `wanted`.
pub fn slic(lab: &[[f32; 3]], width: usize, wanted: usize) -> (Vec<u32>, usize) {
    let height = lab.len() / width.max(1);
    if lab.is_empty() {
        return (Vec::new(), 0);
    }
    let step = ((lab.len() as f32 / wanted.max(1) as f32).sqrt()).max(1.0);
    let count = |side: usize| ((side as f32 / step).round() as usize).clamp(1, side);
    let (columns, rows) = (count(width), count(height));
    let mut centres: Vec<([f32; 3], f32, f32)> = Vec::new();
    for row in 0..rows {
        for column in 0..columns {
            let x = ((2 * column + 1) * width / (2 * columns)).min(width - 1);
            let y = ((2 * row + 1) * height / (2 * rows)).min(height - 1);
            centres.push((lab[y * width + x], x as f32, y as f32));
        }
    }
    let spread = (width as f32 / columns as f32).max(height as f32 / rows as f32).max(1.0);
    let nearness = (COMPACTNESS / spread).powi(2);
    let mut labels = vec![0_u32; lab.len()];
    let mut distances = vec![f32::INFINITY; lab.len()];
    for _ in 0..ROUNDS {
        distances.fill(f32::INFINITY);
        for (number, &(colour, cx, cy)) in centres.iter().enumerate() {
            let range = |centre: f32, side: usize| {
                let from = (centre - spread).floor().max(0.0) as usize;
                from..((centre + spread).ceil() as usize + 1).min(side)
            };
            for y in range(cy, height) {
                for x in range(cx, width) {
                    let at = y * width + x;
                    let far = (x as f32 - cx).powi(2) + (y as f32 - cy).powi(2);
                    let distance = difference(&colour, &lab[at]) + nearness * far;
                    if distance < distances[at] {
                        distances[at] = distance;
                        labels[at] = number as u32;
                    }
                }
            }
        }
        let mut sums = vec![([0.0_f64; 3], 0.0_f64, 0.0_f64, 0.0_f64); centres.len()];
        for (at, &label) in labels.iter().enumerate() {
            let sum = &mut sums[label as usize];
            (0..3).for_each(|channel| sum.0[channel] += f64::from(lab[at][channel]));
            sum.1 += (at % width) as f64;
            sum.2 += (at / width) as f64;
            sum.3 += 1.0;
        }
        for (centre, (colour, x, y, pixels)) in centres.iter_mut().zip(sums) {
            if pixels > 0.0 {
                *centre = (colour.map(|sum| (sum / pixels) as f32), (x / pixels) as f32, (y / pixels) as f32);
            }
        }
    }
    connected(&labels, width, lab.len() / centres.len() / PIECE)
}

/// Square of the distance of two colours.
pub fn difference(a: &[f32; 3], b: &[f32; 3]) -> f32 {
    (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2) + (a[2] - b[2]).powi(2)
}

/// Gives every connected piece a number of its own; pieces of at most `least` pixels join the piece before them.
fn connected(labels: &[u32], width: usize, least: usize) -> (Vec<u32>, usize) {
    const NONE: u32 = u32::MAX;
    let mut numbers = vec![NONE; labels.len()];
    let (mut count, mut stack, mut piece) = (0, Vec::new(), Vec::new());
    for start in 0..labels.len() {
        if numbers[start] != NONE {
            continue;
        }
        let before = [(start % width > 0).then(|| start - 1), start.checked_sub(width)];
        let before = before.into_iter().flatten().map(|at| numbers[at]).find(|&number| number != NONE);
        stack.push(start);
        numbers[start] = count;
        piece.clear();
        while let Some(at) = stack.pop() {
            piece.push(at);
            for next in neighbours(at, width, labels.len()) {
                if numbers[next] == NONE && labels[next] == labels[start] {
                    numbers[next] = count;
                    stack.push(next);
                }
            }
        }
        match before {
            Some(before) if piece.len() <= least => piece.iter().for_each(|&at| numbers[at] = before),
            _ => count += 1,
        }
    }
    (numbers, count as usize)
}

/// The up to four neighbours of a place in a grid of `length` places, `width` a row.
pub fn neighbours(at: usize, width: usize, length: usize) -> impl Iterator<Item = usize> {
    let left = (!at.is_multiple_of(width)).then(|| at - 1);
    let right = (at % width + 1 < width && at + 1 < length).then(|| at + 1);
    let below = (at + width < length).then(|| at + width);
    [left, right, at.checked_sub(width), below].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_cielab() {
        let found = lab(&[255, 255, 255, 0, 0, 0, 255, 0, 0]);
        for (found, expected) in found.iter().zip([[100.0, 0.0, 0.0], [0.0, 0.0, 0.0], [53.24, 80.09, 67.2]])
        {
            assert!(difference(found, &expected) < 0.02, "{found:?} instead of {expected:?}");
        }
    }

    #[test]
    fn borders_of_colour_are_borders_of_superpixels() {
        let (width, height) = (40, 30);
        let rgb: Vec<u8> = (0..width * height)
            .flat_map(|at| if at % width < 17 { [200, 30, 30] } else { [30, 30, 200] })
            .collect();
        let (labels, count) = slic(&lab(&rgb), width, 12);
        assert!((4..=24).contains(&count), "{count}");
        for row in labels.chunks_exact(width) {
            assert!(row[..17].iter().all(|left| !row[17..].contains(left)));
        }
    }

    #[test]
    fn any_size_works_and_pieces_are_connected() {
        for (width, height, wanted) in [(1, 1, 100), (300, 1, 20), (1, 50, 3), (13, 7, 1000), (64, 64, 1)] {
            let rgb: Vec<u8> = (0..3 * width * height).map(|at| (at * at % 253) as u8).collect();
            let (labels, count) = slic(&lab(&rgb), width, wanted);
            assert_eq!(labels.len(), width * height);
            assert!((1..=width * height).contains(&count));
            assert!(labels.iter().all(|&label| (label as usize) < count));
            let whole: Vec<u32> = labels.clone();
            let (_, pieces) = connected(&whole, width, 0);
            assert_eq!(pieces, count);
        }
    }
}
