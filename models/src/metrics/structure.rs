//! SSIM and MS-SSIM (references 1 and 2 of the [parent module](super)).
//!
//! The window is moved over all places where it lies wholly inside the picture. Where a side is shorter than the
//! window, the window is cut to the side. MS-SSIM halves the picture by averaging 2 × 2 pixels and needs five scales;
//! a picture whose shorter side is below 11 pixels at some scale is measured on the scales before it, with their
//! exponents scaled to the same sum.

use semcast_common::content::Picture;

use super::{SizesDiffer, same_size};

/// Side of the window, pixels.
pub(crate) const WINDOW: usize = 11;
/// Standard deviation of the window, pixels.
const SIGMA: f64 = 1.5;
/// `(0.01 · L)²` for values of 0 to `L` = 1.
pub(crate) const C1: f64 = 1.0e-4;
/// `(0.03 · L)²`.
pub(crate) const C2: f64 = 9.0e-4;
/// Exponents of the five scales, finest first (reference 2, section 3.2).
pub(crate) const EXPONENTS: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];

/// One channel of a picture.
#[derive(Clone)]
struct Plane {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

impl Plane {
    fn of(picture: &Picture, channel: usize) -> Self {
        let values = picture.rgb().iter().skip(channel).step_by(3).map(|&value| f32::from(value) / 255.0);
        Self { width: picture.width() as usize, height: picture.height() as usize, values: values.collect() }
    }

    fn product(&self, other: &Self) -> Self {
        let values = self.values.iter().zip(&other.values).map(|(a, b)| a * b).collect();
        Self { values, ..*self }
    }

    /// Half the size, each pixel the mean of four; an odd last row or column is left out.
    fn halved(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut values = Vec::with_capacity(width * height);
        for y in 0..height {
            let (upper, lower) = (2 * y * self.width, (2 * y + 1) * self.width);
            for x in 0..width {
                let sum: f32 = [upper + 2 * x, upper + 2 * x + 1, lower + 2 * x, lower + 2 * x + 1]
                    .iter()
                    .map(|&at| self.values[at])
                    .sum();
                values.push(sum / 4.0);
            }
        }
        Self { width, height, values }
    }

    /// Weighted mean under the window at every place.
    fn blurred(&self) -> Self {
        let (across, down) = (window(self.width), window(self.height));
        let width = self.width + 1 - across.len();
        let height = self.height + 1 - down.len();
        let mut rows = Vec::with_capacity(width * self.height);
        for row in self.values.chunks_exact(self.width) {
            rows.extend((0..width).map(|x| dot(&across, &row[x..])));
        }
        let mut values = vec![0.0_f32; width * height];
        for (y, out) in values.chunks_exact_mut(width).enumerate() {
            for (weight, row) in down.iter().zip(rows[y * width..].chunks_exact(width)) {
                out.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
            }
        }
        Self { width, height, values }
    }
}

fn dot(weights: &[f32], values: &[f32]) -> f32 {
    weights.iter().zip(values).map(|(weight, value)| weight * value).sum()
}

/// The Gaussian window along one side of `side` pixels.
pub(crate) fn window(side: usize) -> Vec<f32> {
    let length = WINDOW.min(side);
    let middle = (length - 1) as f64 / 2.0;
    let weights: Vec<f64> =
        (0..length).map(|at| (-((at as f64 - middle) / SIGMA).powi(2) / 2.0).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| (weight / sum) as f32).collect()
}

/// Mean SSIM, and the mean of its contrast and structure terms alone.
fn similarity(first: &Plane, second: &Plane) -> (f64, f64) {
    let (mean_1, mean_2) = (first.blurred(), second.blurred());
    let square_1 = first.product(first).blurred();
    let square_2 = second.product(second).blurred();
    let mixed = first.product(second).blurred();
    let (mut all, mut structure) = (0.0, 0.0);
    for at in 0..mean_1.values.len() {
        let [m1, m2, s1, s2, s12] =
            [&mean_1, &mean_2, &square_1, &square_2, &mixed].map(|plane| f64::from(plane.values[at]));
        let (variance_1, variance_2, covariance) = (s1 - m1 * m1, s2 - m2 * m2, s12 - m1 * m2);
        let term = (2.0 * covariance + C2) / (variance_1 + variance_2 + C2);
        structure += term;
        all += term * (2.0 * m1 * m2 + C1) / (m1 * m1 + m2 * m2 + C1);
    }
    let count = mean_1.values.len() as f64;
    (all / count, structure / count)
}

/// Structural similarity, the mean over the channels; 1 for equal pictures.
pub fn ssim(first: &Picture, second: &Picture) -> Result<f64, SizesDiffer> {
    same_size(first, second)?;
    let channel = |index| similarity(&Plane::of(first, index), &Plane::of(second, index)).0;
    Ok((0..3).map(channel).sum::<f64>() / 3.0)
}

/// Multi-scale structural similarity, the mean over the channels; 1 for equal pictures.
pub fn ms_ssim(first: &Picture, second: &Picture) -> Result<f64, SizesDiffer> {
    same_size(first, second)?;
    let shorter = first.width().min(first.height()) as usize;
    let scales = (1..EXPONENTS.len()).take_while(|&scale| shorter >> scale >= WINDOW).count() + 1;
    let total: f64 = EXPONENTS[..scales].iter().sum();
    let channel = |index| {
        let (mut a, mut b) = (Plane::of(first, index), Plane::of(second, index));
        let mut product = 1.0;
        for (scale, exponent) in EXPONENTS[..scales].iter().enumerate() {
            if scale > 0 {
                (a, b) = (a.halved(), b.halved());
            }
            let (all, structure) = similarity(&a, &b);
            let term = if scale + 1 == scales { all } else { structure };
            product *= term.max(0.0).powf(exponent / total);
        }
        product
    };
    Ok((0..3).map(channel).sum::<f64>() / 3.0)
}
