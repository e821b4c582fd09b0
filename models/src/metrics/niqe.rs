//! NIQE (reference 6 of the [parent module](super)): how far a picture is from natural ones, with nothing to compare it to.
//!
//! Parameters that the user names + a picture → a figure, lower for more natural; photos have about 2 to 5.
//!
//! Luma (BT.601, 16 to 235, rounded) is brought to zero mean and unit spread under a window of 7 × 7; blocks of 96 × 96, and
//! the same at half the size, are described by 18 figures each: the shape and spread of a generalised normal distribution
//! fitted to the values, and four figures of an asymmetric one fitted to the products of neighbours in each of four
//! directions. The mean and covariance of these over the blocks are compared with those of natural pictures (eq. 10).
//! As in the authors' program, the picture is cut to whole blocks, and neighbours are taken around the ends of a block.

use std::sync::LazyLock;

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use semcast_common::content::Picture;

use super::{MetricError, WeightsError};
use crate::foreign::archive;

/// Side of a block at full size, pixels.
const BLOCK: usize = 96;
/// Figures a block and scale.
const FIGURES: usize = 18;
/// Side of the window.
const WINDOW: usize = 7;
/// Bound on the work for eigenvalues.
const MOST_TURNS: usize = 100_000;

/// Mean and covariance for natural pictures, and the window.
#[derive(Clone, Debug)]
pub struct Niqe {
    mean: DVector<f64>,
    covariance: DMatrix<f64>,
    window: Vec<f64>,
}

impl Niqe {
    /// From the bytes of `niqe_pris_params.npz`, NumPy's archive of `mu_pris_param` (36), `cov_pris_param` (36 × 36) and
    /// `gaussian_window` (7 × 7).
    pub fn from_npz(bytes: &[u8]) -> Result<Self, WeightsError> {
        let entries = archive::entries(bytes)?;
        let array = |name: &str, length: usize| -> Result<Vec<f64>, WeightsError> {
            let range = entries.get(&format!("{name}.npy"));
            let range = range.ok_or_else(|| WeightsError::Other(format!("there is no array {name}")))?;
            let values = numpy_array(&bytes[range.clone()], length);
            values.ok_or_else(|| {
                WeightsError::Other(format!("{name} is not an array of {length} 64-bit floats"))
            })
        };
        let features = 2 * FIGURES;
        let covariance = DMatrix::from_vec(features, features, array("cov_pris_param", features * features)?);
        if (&covariance - covariance.transpose()).amax() > 1e-9 * covariance.amax() {
            return Err(WeightsError::Other("cov_pris_param is not symmetric".into()));
        }
        let mean = DVector::from_vec(array("mu_pris_param", features)?);
        Ok(Self { mean, covariance, window: array("gaussian_window", WINDOW * WINDOW)? })
    }

    /// The figure of a picture of at least two whole blocks: 192 × 96 pixels or 96 × 192.
    pub fn score(&self, picture: &Picture) -> Result<f64, MetricError> {
        let (width, height) = (picture.width(), picture.height());
        let (columns, rows) = (width as usize / BLOCK, height as usize / BLOCK);
        if columns * rows < 2 {
            let least = (2 * BLOCK as u32, BLOCK as u32);
            return Err(MetricError::TooSmall { measure: "NIQE", width, height, least });
        }
        let full = Plane::luma(picture, columns * BLOCK, rows * BLOCK);
        let half = full.halved();
        let mut figures = vec![Vec::with_capacity(2 * FIGURES); columns * rows];
        for (plane, side) in [(full, BLOCK), (half, BLOCK / 2)] {
            let plane = plane.normalised(&self.window);
            for (at, figures) in figures.iter_mut().enumerate() {
                describe(&plane.block(at % columns * side, at / columns * side, side), figures);
            }
        }
        self.distance(&figures)
    }

    /// Eq. 10. A block without any texture has no spread: its missing figures count for nothing.
    fn distance(&self, figures: &[Vec<f64>]) -> Result<f64, MetricError> {
        let mean = DVector::from_fn(2 * FIGURES, |column, _| {
            let known: Vec<f64> =
                figures.iter().map(|row| row[column]).filter(|value| value.is_finite()).collect();
            known.iter().sum::<f64>() / known.len() as f64
        });
        let whole: Vec<&Vec<f64>> =
            figures.iter().filter(|row| row.iter().all(|value| value.is_finite())).collect();
        if whole.len() < 2 {
            return Err(MetricError::Flat);
        }
        let rows = DMatrix::from_fn(whole.len(), 2 * FIGURES, |row, column| whole[row][column]);
        let centre = rows.row_mean();
        let deviations =
            DMatrix::from_fn(rows.nrows(), rows.ncols(), |row, column| rows[(row, column)] - centre[column]);
        let covariance = deviations.tr_mul(&deviations) / (rows.nrows() - 1) as f64;
        let pooled = (covariance + &self.covariance) / 2.0;
        let eigen =
            SymmetricEigen::try_new(pooled, f64::EPSILON, MOST_TURNS).ok_or(MetricError::NoNumbers)?;
        let along = eigen.eigenvectors.tr_mul(&(&self.mean - mean));
        let least = 1e-15 * eigen.eigenvalues.amax();
        let squares = along.iter().zip(eigen.eigenvalues.iter()).filter(|(_, value)| value.abs() > least);
        let distance = squares.map(|(part, value)| part * part / value).sum::<f64>().sqrt();
        if distance.is_finite() { Ok(distance) } else { Err(MetricError::NoNumbers) }
    }
}

/// The values of a NumPy array file of 64-bit floats, if there are `length` of them: magic, version, length of the header,
/// header as text, values (NumPy: "NPY format", versions 1.0 to 3.0). In the order of the file: what is read here is
/// symmetric.
fn numpy_array(bytes: &[u8], length: usize) -> Option<Vec<f64>> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let header = match rest.first()? {
        1 => 4 + usize::from(u16::from_le_bytes(rest.get(2..4)?.try_into().ok()?)),
        2 | 3 => 6_usize.checked_add(u32::from_le_bytes(rest.get(2..6)?.try_into().ok()?) as usize)?,
        _ => return None,
    };
    let (header, values) = rest.split_at_checked(header)?;
    if !header.windows(5).any(|text| text == b"'<f8'") || values.len() != 8 * length {
        return None;
    }
    let values: Vec<f64> =
        values.chunks_exact(8).filter_map(|eight| Some(f64::from_le_bytes(eight.try_into().ok()?))).collect();
    values.iter().all(|value| value.is_finite()).then_some(values)
}

/// Values row by row.
struct Plane {
    width: usize,
    height: usize,
    values: Vec<f64>,
}

impl Plane {
    fn luma(picture: &Picture, width: usize, height: usize) -> Self {
        let rows = picture.rgb().chunks_exact(3 * picture.width() as usize).take(height);
        let values = rows.flat_map(|row| row.chunks_exact(3).take(width)).map(|pixel| {
            let sum: f64 = [65.481, 128.553, 24.966].iter().zip(pixel).map(|(c, &v)| c * f64::from(v)).sum();
            (16.0 + sum / 255.0).round()
        });
        Self { width, height, values: values.collect() }
    }

    /// Half the size by cubic interpolation (Keys, a = -0.5) stretched by two so that it does not alias; pixels beyond
    /// the edge are mirrored.
    fn halved(&self) -> Self {
        let weights = [0.25_f64, 0.75, 1.25, 1.75].map(|distance| {
            let (square, cube) = (distance.powi(2), distance.powi(3));
            if distance <= 1.0 {
                1.5 * cube - 2.5 * square + 1.0
            } else {
                -0.5 * cube + 2.5 * square - 4.0 * distance + 2.0
            }
        });
        let total = 2.0 * weights.iter().sum::<f64>();
        let narrow = |plane: &Self| {
            // Halves the width and turns columns into rows.
            let width = plane.width / 2;
            let mut values = Vec::with_capacity(width * plane.height);
            for x in 0..width {
                for row in plane.values.chunks_exact(plane.width) {
                    let at = |offset: isize| row[mirrored(2 * x as isize + offset, plane.width)];
                    let pairs = weights.iter().zip(0..);
                    let sum: f64 = pairs.map(|(weight, tap)| weight * (at(-tap) + at(1 + tap))).sum();
                    values.push(sum / total);
                }
            }
            Self { width: plane.height, height: width, values }
        };
        narrow(&narrow(self))
    }

    /// Eq. 1: less the mean under the window, over the spread under it plus one; pixels beyond the edge are those at it.
    fn normalised(&self, window: &[f64]) -> Self {
        let reach = WINDOW as isize / 2;
        let mut values = Vec::with_capacity(self.values.len());
        for y in 0..self.height {
            for x in 0..self.width {
                let (mut mean, mut square) = (0.0, 0.0);
                for (row, weights) in (-reach..).zip(window.chunks_exact(WINDOW)) {
                    let line = clamped(y as isize + row, self.height) * self.width;
                    for (column, weight) in (-reach..).zip(weights) {
                        let value = self.values[line + clamped(x as isize + column, self.width)];
                        mean += weight * value;
                        square += weight * value * value;
                    }
                }
                let spread = (square - mean * mean).abs().sqrt();
                values.push((self.values[y * self.width + x] - mean) / (spread + 1.0));
            }
        }
        Self { values, ..*self }
    }

    fn block(&self, left: usize, top: usize, side: usize) -> Self {
        let rows = (top..top + side).map(|y| &self.values[y * self.width + left..][..side]);
        Self { width: side, height: side, values: rows.flatten().copied().collect() }
    }
}

fn mirrored(at: isize, length: usize) -> usize {
    let length = length as isize;
    let at = if at < 0 { -at - 1 } else { at };
    (if at >= length { 2 * length - 1 - at } else { at }) as usize
}

fn clamped(at: isize, length: usize) -> usize {
    at.clamp(0, length as isize - 1) as usize
}

/// Adds the 18 figures of a block.
fn describe(block: &Plane, figures: &mut Vec<f64>) {
    let fit = Fit::of(&block.values);
    figures.extend([fit.shape, (fit.left + fit.right) / 2.0]);
    let side = block.width;
    for (down, across) in [(0, 1), (1, 0), (1, 1), (1, side - 1)] {
        let products: Vec<f64> = (0..side * side)
            .map(|at| {
                let (y, x) = (at / side, at % side);
                let neighbour = (y + side - down) % side * side + (x + side - across) % side;
                block.values[at] * block.values[neighbour]
            })
            .collect();
        let fit = Fit::of(&products);
        let mean = (fit.right - fit.left) * libm::tgamma(2.0 / fit.shape) / libm::tgamma(1.0 / fit.shape);
        figures.extend([fit.shape, mean, fit.left, fit.right]);
    }
}

/// An asymmetric generalised normal distribution (eq. 7) with the moments of some values.
struct Fit {
    shape: f64,
    left: f64,
    right: f64,
}

/// Shapes that are tried, 0.2 to 10, each with `Γ(2/s)² / (Γ(1/s)·Γ(3/s))`.
static SHAPES: LazyLock<Vec<(f64, f64)>> = LazyLock::new(|| {
    let shapes = (200..=10_000).map(|thousandths| f64::from(thousandths) / 1000.0);
    let ratio = |shape: f64| {
        libm::tgamma(2.0 / shape).powi(2) / (libm::tgamma(1.0 / shape) * libm::tgamma(3.0 / shape))
    };
    shapes.map(|shape| (shape, ratio(shape))).collect()
});

impl Fit {
    fn of(values: &[f64]) -> Self {
        // Not a number where nothing is on one side.
        let spread = |side: fn(f64) -> bool| {
            let squares = values.iter().filter(|value| side(**value)).map(|value| value * value);
            let (sum, count) = squares.fold((0.0, 0_usize), |(sum, count), square| (sum + square, count + 1));
            (sum / count as f64).sqrt()
        };
        let (left, right) = (spread(|value| value < 0.0), spread(|value| value > 0.0));
        let count = values.len() as f64;
        let mean = values.iter().map(|value| value.abs()).sum::<f64>() / count;
        let square = values.iter().map(|value| value * value).sum::<f64>() / count;
        let balance = left / right;
        let ratio = mean * mean / square * (balance.powi(3) + 1.0) * (balance + 1.0)
            / (balance.powi(2) + 1.0).powi(2);
        // The ratio grows with the shape.
        let above = SHAPES.partition_point(|(_, tried)| *tried < ratio).clamp(1, SHAPES.len() - 1);
        let (below, above) = (SHAPES[above - 1], SHAPES[above]);
        let shape = if (ratio - below.1).abs() <= (above.1 - ratio).abs() { below.0 } else { above.0 };
        let scale = (libm::tgamma(1.0 / shape) / libm::tgamma(3.0 / shape)).sqrt();
        Self { shape, left: left * scale, right: right * scale }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::formula::{coarse, picture};
    use super::*;

    /// NumPy's file of an array.
    fn array(shape: &str, values: impl IntoIterator<Item = f64>) -> Vec<u8> {
        let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.bytes());
        bytes.extend(values.into_iter().flat_map(f64::to_le_bytes));
        bytes
    }

    /// An archive of stored entries.
    fn archive(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for (name, content) in entries {
            let mut checksum = crc32fast::Hasher::new();
            checksum.update(content);
            let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            common.extend(checksum.finalize().to_le_bytes());
            common.extend([(content.len() as u32).to_le_bytes(); 2].concat());
            common.extend((name.len() as u16).to_le_bytes());
            common.extend([0; 2]);
            directory.extend([b"PK\x01\x02\x14\x00".as_slice(), &common, &[0; 10]].concat());
            directory.extend((bytes.len() as u32).to_le_bytes());
            directory.extend(name.bytes());
            bytes.extend([b"PK\x03\x04", common.as_slice(), name.as_bytes(), content].concat());
        }
        let (start, length) = (bytes.len() as u32, directory.len() as u32);
        bytes.extend(directory);
        bytes.extend(b"PK\x05\x06\0\0\0\0");
        bytes.extend([(entries.len() as u16).to_le_bytes(); 2].concat());
        bytes.extend([length.to_le_bytes(), start.to_le_bytes()].concat());
        bytes.extend([0; 2]);
        bytes
    }

    /// Mean zero, covariance one, and a window whose weights fall to 0.6 from pixel to pixel.
    fn parameters() -> Vec<u8> {
        let line = |at: usize| 0.6_f64.powi((at as i32 - 3).abs());
        let total: f64 = (0..7).map(line).sum();
        archive(&[
            ("mu_pris_param.npy", array("(1, 36)", [0.0; 36])),
            ("cov_pris_param.npy", array("(36, 36)", (0..36 * 36).map(|at| f64::from(at % 37 == 0)))),
            (
                "gaussian_window.npy",
                array("(7, 7)", (0..49).map(|at| line(at / 7) * line(at % 7) / total / total)),
            ),
        ])
    }

    /// Against NumPy: `models/tests/metrics_reference.py`.
    #[test]
    fn figures_are_those_of_numpy() {
        let niqe = Niqe::from_npz(&parameters()).unwrap();
        let picture = picture(300, 200);
        for (picture, expected) in [(coarse(&picture, 4), 5.57524854), (picture, 5.51581524)] {
            let found = niqe.score(&picture).unwrap();
            assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
        }
    }

    #[test]
    fn pictures_without_two_blocks_or_texture_are_an_error() {
        let niqe = Niqe::from_npz(&parameters()).unwrap();
        assert!(niqe.score(&picture(192, 96)).is_ok());
        assert!(matches!(niqe.score(&picture(191, 191)), Err(MetricError::TooSmall { .. })));
        let flat = Picture::new(200, 200, vec![90; 3 * 200 * 200]).unwrap();
        assert_eq!(niqe.score(&flat), Err(MetricError::Flat));
    }

    #[test]
    fn missing_arrays_are_named() {
        let error = |bytes: &[u8]| Niqe::from_npz(bytes).unwrap_err().to_string();
        let bytes = archive(&[("mu_pris_param.npy", array("(36,)", [0.0; 36]))]);
        assert!(error(&bytes).contains("cov_pris_param"));
        let short = archive(&[("cov_pris_param.npy", array("(36,)", [0.0; 36]))]);
        assert!(error(&short).contains("1296"));
        assert!(error(b"no archive").contains("zip"));
    }

    proptest! {
        #[test]
        fn damaged_parameters_never_panic(at in 0_usize..11_900, to: u8, cut in 0_usize..11_900) {
            let mut bytes = parameters();
            let length = bytes.len();
            bytes[at.min(length - 1)] = to;
            bytes.truncate(cut.max(1));
            let _ = Niqe::from_npz(&bytes);
        }
    }

    /// Against the authors' program in MATLAB, which gives 5.7296 for BasicSR's `baboon.png`.
    #[test]
    #[ignore = "needs parameters and a picture: SEMCAST_NIQE, SEMCAST_BABOON"]
    #[expect(clippy::disallowed_methods, reason = "they are not ours to commit")]
    #[expect(clippy::print_stdout, reason = "deviations are for people")]
    fn matlab_reference_value() {
        let read = |name: &str| {
            std::fs::read(std::env::var(name).unwrap_or_else(|_| panic!("{name} is set"))).unwrap()
        };
        let niqe = Niqe::from_npz(&read("SEMCAST_NIQE")).unwrap();
        let picture = semcast_common::content::file::decode_picture(&read("SEMCAST_BABOON")).unwrap();
        let found = niqe.score(&picture).unwrap();
        println!("{found:.6}, {:+.6}", found - 5.729_573_38);
        assert!((found - 5.729_573_38).abs() < 1e-3, "{found}");
    }
}
