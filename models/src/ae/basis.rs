//! The linear start of the codec: a 16 × 16 block transform whose coefficients go on the air in proportion.
//!
//! In → out: a picture of RGB values → the 256 coefficients of each 16 × 16 block that vary most over natural
//! pictures, in falling order of their variance, and the factor by which each is scaled.
//!
//! The transform is the orthonormal 2-D DCT-II of each plane of an orthonormal luma/chroma space. Scaling
//! coefficient `i`, of variance `λ_i`, by `λ_i^(-1/4)` makes the mean square error of linear transmission smallest
//! for a given power (\[1\], eq. 8). The network of [`super::network`] starts from here and learns the rest.
//!
//! 1. S. Jakubczak, D. Katabi: SoftCast: one-size-fits-all wireless video. ACM SIGCOMM 2010.

/// Side of a block, pixels.
pub const BLOCK: usize = 16;
/// Values in a block: three planes of 16 × 16.
pub const BLOCK_VALUES: usize = 3 * BLOCK * BLOCK;

/// Rows of the orthonormal colour transform: luma, then two colour differences.
const COLOUR: [[f32; 3]; 3] = [
    [0.577_350_3, 0.577_350_3, 0.577_350_3],
    [std::f32::consts::FRAC_1_SQRT_2, 0.0, -std::f32::consts::FRAC_1_SQRT_2],
    [-0.408_248_3, 0.816_496_6, -0.408_248_3],
];

/// The most varying coefficients of a block transform.
#[derive(Clone, Debug)]
pub struct Basis {
    /// One row of [`BLOCK_VALUES`] a coefficient, over values in the order plane, row, column.
    pub rows: Vec<Vec<f32>>,
    /// Variance of each coefficient over the pictures it was measured on, falling.
    pub variance: Vec<f32>,
}

impl Basis {
    /// All coefficients of the block transform, unordered, with their variance over `blocks`
    /// (each [`BLOCK_VALUES`] values about zero, in the order plane, row, column), cut to the `keep` that vary most.
    pub fn measure<'a>(blocks: impl Iterator<Item = &'a [f32]>, keep: usize) -> Self {
        let rows = all_rows();
        let mut energy = vec![0.0_f64; BLOCK_VALUES];
        let mut count = 0_u64;
        for block in blocks {
            count += 1;
            for (sum, row) in energy.iter_mut().zip(&rows) {
                let coefficient: f32 = row.iter().zip(block).map(|(a, b)| a * b).sum();
                *sum += f64::from(coefficient * coefficient);
            }
        }
        let mut order: Vec<usize> = (0..BLOCK_VALUES).collect();
        order.sort_by(|&a, &b| energy[b].total_cmp(&energy[a]).then(a.cmp(&b)));
        order.truncate(keep);
        Self {
            variance: order.iter().map(|&i| (energy[i] / count.max(1) as f64).max(1e-6) as f32).collect(),
            rows: order.iter().map(|&i| rows[i].clone()).collect(),
        }
    }

    /// A basis whose variances follow a fixed law instead of a measurement: what an untrained network starts from.
    pub fn typical(keep: usize) -> Self {
        let rows = all_rows();
        let variance = |index: usize| {
            let (plane, row, column) = (index / (BLOCK * BLOCK), index / BLOCK % BLOCK, index % BLOCK);
            let colour = if plane == 0 { 1.0 } else { 0.05 };
            colour * 4.0 / (1.0 + (row * row + column * column) as f32).powf(1.4)
        };
        let mut order: Vec<usize> = (0..BLOCK_VALUES).collect();
        order.sort_by(|&a, &b| variance(b).total_cmp(&variance(a)).then(a.cmp(&b)));
        order.truncate(keep);
        Self {
            variance: order.iter().map(|&i| variance(i)).collect(),
            rows: order.iter().map(|&i| rows[i].clone()).collect(),
        }
    }
}

/// The rows of the whole transform, [`BLOCK_VALUES`] of them: plane by plane, vertical frequency, horizontal frequency.
fn all_rows() -> Vec<Vec<f32>> {
    let cosine = |frequency: usize, position: usize| {
        let scale = if frequency == 0 { 1.0 } else { 2.0_f32 };
        (scale / BLOCK as f32).sqrt()
            * (std::f32::consts::PI * (position as f32 + 0.5) * frequency as f32 / BLOCK as f32).cos()
    };
    let mut rows = Vec::with_capacity(BLOCK_VALUES);
    for colour in COLOUR {
        for vertical in 0..BLOCK {
            for horizontal in 0..BLOCK {
                let mut row = Vec::with_capacity(BLOCK_VALUES);
                for weight in colour {
                    for y in 0..BLOCK {
                        for x in 0..BLOCK {
                            row.push(weight * cosine(vertical, y) * cosine(horizontal, x));
                        }
                    }
                }
                rows.push(row);
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_orthonormal() {
        let rows = all_rows();
        for i in (0..BLOCK_VALUES).step_by(37) {
            for j in (0..BLOCK_VALUES).step_by(29).chain([i]) {
                let product: f32 = rows[i].iter().zip(&rows[j]).map(|(a, b)| a * b).sum();
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((product - expected).abs() < 1e-4, "rows {i} and {j}: {product}");
            }
        }
    }

    #[test]
    fn measured_variances_fall_and_the_constant_block_comes_first() {
        let blocks = [vec![0.3_f32; BLOCK_VALUES], vec![-0.2; BLOCK_VALUES]];
        let basis = Basis::measure(blocks.iter().map(Vec::as_slice), 8);
        assert!(basis.variance.windows(2).all(|pair| pair[0] >= pair[1]));
        assert!(basis.rows[0].iter().all(|&value| (value - basis.rows[0][0]).abs() < 1e-6));
    }
}
