//! Where the projection starts from: coordinates of latents in which errors count as they do in the picture.
//!
//! In → out: latents of natural pictures, and how the decoder passes small changes of them on → two matrices.
//!
//! A change `e` of the 128 latents of a block changes the picture by a square of about `eᵀ·G·e`, where `G` is the mean of
//! `JᵀJ` over natural pictures and `J` the derivative of the decoder. With the latents' covariance `C` and the
//! eigenvectors `V` of `G^(1/2)·C·G^(1/2)`, the coordinates `Vᵀ·G^(1/2)·(latents − mean)` are uncorrelated, and of all
//! linear codes of `k` values, their first `k` leave the smallest such square (Karhunen–Loève).

use super::network::LATENTS;
use super::projection::CHANNELS;

/// Share of the mean sensitivity that every direction has at least: none may be lost to the measurement's noise.
const LEAST_SENSITIVITY: f64 = 0.02;
/// Sweeps of the eigenvalue iteration; it converges in ten.
const SWEEPS: usize = 30;

/// A square matrix of [`CHANNELS`] rows.
pub type Matrix = Vec<Vec<f64>>;

/// What a projection begins with.
#[derive(Clone, Debug)]
pub struct Start {
    /// Mean of each latent channel.
    pub mean: Vec<f32>,
    /// Standard deviation of each latent channel.
    pub spread: Vec<f32>,
    /// Rows from a block's latents less their mean to its coordinates.
    pub forward: Vec<Vec<f32>>,
    /// The inverse of it.
    pub back: Vec<Vec<f32>>,
    /// Variance of each coordinate, falling.
    pub variance: Vec<f32>,
}

impl Start {
    /// A start of the right shapes that knows nothing.
    pub fn plain() -> Self {
        let unit = |row: usize| (0..CHANNELS).map(|column| f32::from(u8::from(row == column))).collect();
        let rows: Vec<Vec<f32>> = (0..CHANNELS).map(unit).collect();
        Self {
            mean: vec![0.0; LATENTS],
            spread: vec![1.0; LATENTS],
            forward: rows.clone(),
            back: rows,
            variance: vec![1.0; CHANNELS],
        }
    }

    /// From blocks of latents, [`CHANNELS`] values each in the order channel, row, column, and the sensitivity `G`.
    pub fn measure(blocks: &[Vec<f32>], sensitivity: &Matrix) -> Self {
        let count = blocks.len().max(1) as f64;
        let of_channel = |channel: usize| {
            let values = || blocks.iter().flat_map(move |block| &block[4 * channel..4 * channel + 4]);
            let mean = values().map(|&value| f64::from(value)).sum::<f64>() / (4.0 * count);
            let square =
                values().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / (4.0 * count);
            (mean, square.sqrt().max(1e-3))
        };
        let (mean, spread): (Vec<f64>, Vec<f64>) = (0..LATENTS).map(of_channel).unzip();
        let mut covariance = zeros();
        for block in blocks {
            let centred: Vec<f64> =
                block.iter().enumerate().map(|(at, &value)| f64::from(value) - mean[at / 4]).collect();
            add_product(&mut covariance, &centred, &centred, 1.0 / count);
        }
        let (mut values, vectors) = eigen(symmetric(sensitivity));
        let average = values.iter().map(|value| value.max(0.0)).sum::<f64>() / CHANNELS as f64;
        values.iter_mut().for_each(|value| *value = value.max(LEAST_SENSITIVITY * average).max(1e-12));
        let root = from_eigen(&values, &vectors, f64::sqrt);
        let inverse_root = from_eigen(&values, &vectors, |value| 1.0 / value.sqrt());
        let (variance, axes) = eigen(symmetric(&product(&product(&root, &covariance), &root)));
        let mut order: Vec<usize> = (0..CHANNELS).collect();
        order.sort_by(|&a, &b| variance[b].total_cmp(&variance[a]));
        // Eigenvectors are columns of `axes`.
        let rows: Matrix = order.iter().map(|&axis| axes.iter().map(|row| row[axis]).collect()).collect();
        let narrow = |matrix: Matrix| -> Vec<Vec<f32>> {
            matrix.into_iter().map(|row| row.into_iter().map(|value| value as f32).collect()).collect()
        };
        let largest = order.first().map_or(1.0, |&axis| variance[axis]);
        Self {
            mean: mean.into_iter().map(|value| value as f32).collect(),
            spread: spread.into_iter().map(|value| value as f32).collect(),
            forward: narrow(product(&rows, &root)),
            back: narrow(product(&inverse_root, &transposed(&rows))),
            variance: order.iter().map(|&axis| variance[axis].max(1e-6 * largest) as f32).collect(),
        }
    }
}

/// A matrix of zeros.
pub fn zeros() -> Matrix {
    vec![vec![0.0; CHANNELS]; CHANNELS]
}

/// Adds `weight · a · bᵀ`.
pub fn add_product(to: &mut Matrix, a: &[f64], b: &[f64], weight: f64) {
    for (row, a) in to.iter_mut().zip(a) {
        for (value, b) in row.iter_mut().zip(b) {
            *value += weight * a * b;
        }
    }
}

fn transposed(matrix: &Matrix) -> Matrix {
    (0..matrix.len()).map(|column| matrix.iter().map(|row| row[column]).collect()).collect()
}

fn symmetric(matrix: &Matrix) -> Matrix {
    let other = transposed(matrix);
    let mean = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| 0.5 * (a + b)).collect();
    matrix.iter().zip(&other).map(mean).collect()
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let columns = transposed(b);
    let dot = |row: &[f64], column: &[f64]| row.iter().zip(column).map(|(a, b)| a * b).sum::<f64>();
    a.iter().map(|row| columns.iter().map(|column| dot(row, column)).collect()).collect()
}

fn from_eigen(values: &[f64], vectors: &Matrix, of: impl Fn(f64) -> f64) -> Matrix {
    let scaled: Matrix = vectors
        .iter()
        .map(|row| row.iter().zip(values).map(|(vector, &value)| vector * of(value)).collect())
        .collect();
    product(&scaled, &transposed(vectors))
}

/// Eigenvalues, and eigenvectors as columns, of a symmetric matrix, by Jacobi's rotations.
fn eigen(mut matrix: Matrix) -> (Vec<f64>, Matrix) {
    let size = matrix.len();
    let mut vectors: Matrix =
        (0..size).map(|row| (0..size).map(|column| f64::from(u8::from(row == column))).collect()).collect();
    let total: f64 = matrix.iter().flatten().map(|value| value * value).sum();
    for _ in 0..SWEEPS {
        let mut off = 0.0;
        for p in 0..size {
            for q in p + 1..size {
                let between = matrix[p][q];
                off += between * between;
                if between * between <= 1e-30 * total {
                    continue;
                }
                let half = (matrix[q][q] - matrix[p][p]) / (2.0 * between);
                let tangent = half.signum() / (half.abs() + (half * half + 1.0).sqrt());
                let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
                let sine = tangent * cosine;
                let turn = |row: &mut Vec<f64>| {
                    let (a, b) = (row[p], row[q]);
                    row[p] = cosine * a - sine * b;
                    row[q] = sine * a + cosine * b;
                };
                matrix.iter_mut().for_each(turn);
                vectors.iter_mut().for_each(turn);
                let (above, below) = matrix.split_at_mut(q);
                for (upper, lower) in above[p].iter_mut().zip(&mut below[0]) {
                    (*upper, *lower) = (cosine * *upper - sine * *lower, sine * *upper + cosine * *lower);
                }
            }
        }
        if off <= 1e-22 * total {
            break;
        }
    }
    ((0..size).map(|at| matrix[at][at]).collect(), vectors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use rand_distr::{Distribution, StandardNormal};

    /// Blocks whose values depend on each other, and a sensitivity that is far from equal.
    fn example() -> (Vec<Vec<f32>>, Matrix) {
        let mut rng = StdRng::seed_from_u64(1);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let mixing: Matrix = (0..CHANNELS).map(|_| (0..CHANNELS).map(|_| normal()).collect()).collect();
        let blocks = (0..600)
            .map(|_| {
                let source: Vec<f64> = (0..CHANNELS).map(|at| normal() / (1.0 + at as f64)).collect();
                let value = |row: &Vec<f64>| row.iter().zip(&source).map(|(a, b)| a * b).sum::<f64>() as f32;
                mixing.iter().map(value).collect()
            })
            .collect();
        let mut sensitivity = zeros();
        (0..CHANNELS).for_each(|at| sensitivity[at][at] = 1.0 + (at % 7) as f64);
        (blocks, sensitivity)
    }

    #[test]
    fn coordinates_are_uncorrelated_falling_and_keep_the_metric() {
        let (blocks, sensitivity) = example();
        let start = Start::measure(&blocks, &sensitivity);
        assert!(start.variance.windows(2).all(|pair| pair[0] >= pair[1]));
        let mut covariance = zeros();
        let mean: Vec<f64> = (0..CHANNELS).map(|at| f64::from(start.mean[at / 4])).collect();
        for block in &blocks {
            let centred: Vec<f64> =
                block.iter().zip(&mean).map(|(&value, mean)| f64::from(value) - mean).collect();
            let row = |row: &Vec<f32>| row.iter().zip(&centred).map(|(&a, b)| f64::from(a) * b).sum::<f64>();
            let coordinates: Vec<f64> = start.forward.iter().map(row).collect();
            let squares: f64 = coordinates.iter().map(|value| value * value).sum();
            let metric: f64 =
                centred.iter().enumerate().map(|(at, value)| sensitivity[at][at] * value * value).sum();
            assert!((squares / metric - 1.0).abs() < 1e-3, "{squares} instead of {metric}");
            add_product(&mut covariance, &coordinates, &coordinates, 1.0 / blocks.len() as f64);
        }
        for i in (0..CHANNELS).step_by(9) {
            for j in (0..CHANNELS).step_by(11) {
                let expected = if i == j { f64::from(start.variance[i]) } else { 0.0 };
                let scale = f64::from(start.variance[i] * start.variance[j]).sqrt();
                assert!(
                    (covariance[i][j] - expected).abs() < 0.02 * scale + 1e-4 * f64::from(start.variance[0])
                );
            }
        }
    }

    #[test]
    fn one_matrix_undoes_the_other() {
        let (blocks, sensitivity) = example();
        let start = Start::measure(&blocks, &sensitivity);
        for i in (0..CHANNELS).step_by(13) {
            for j in 0..CHANNELS {
                let sum: f32 = (0..CHANNELS).map(|k| start.back[i][k] * start.forward[k][j]).sum();
                assert!((sum - f32::from(u8::from(i == j))).abs() < 1e-3, "{i} {j}: {sum}");
            }
        }
    }
}
