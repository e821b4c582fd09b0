//! FID and KID: how far the pictures of one set are, as a set, from those of another.
//!
//! In → out: features of every picture of both sets ([`Backbone::pooled`](super::squeezenet::Backbone::pooled)) → a figure.
//!
//! Published figures use features of InceptionV3; figures by other features, such as SqueezeNet's here, cannot be laid
//! beside them.

use nalgebra::{DMatrix, DVector};
use rand::{SeedableRng, rngs::StdRng, seq::index};

use super::MetricError;

/// Pictures a set below which [`fid`] by the 512 features of SqueezeNet is too biased to be used: with fewer, the
/// covariance has directions without any variance. Heusel et al. ask for more pictures than features, too.
pub const FID_PICTURES: usize = 513;

/// Fewest pictures a set for [`kid`].
pub const KID_PICTURES: usize = 4;

/// Random parts of the sets by which the kernel distance is measured.
const SUBSETS: usize = 100;
/// Most pictures of a part.
const MOST_OF_SUBSET: usize = 1000;
/// Bound on the work for eigenvalues; they take two or three turns each.
const MOST_TURNS: usize = 100_000;

/// Fréchet distance between normal distributions with the mean and covariance of both sets of features (reference 4 of the
/// [parent module](super), eq. 6): `|m₁ − m₂|² + tr(C₁ + C₂ − 2·(C₁·C₂)^½)`. At least two pictures a set; see
/// [`FID_PICTURES`].
pub fn fid(first: &[Vec<f32>], second: &[Vec<f32>]) -> Result<f64, MetricError> {
    let (mean_1, deviations_1) = moments(first)?;
    let (mean_2, deviations_2) = moments(second)?;
    same_features(first, second)?;
    // With C₁ = A'A and C₂ = B'B, C₁·C₂ has the eigenvalues of (BA')'(BA'), and zeros.
    let root = if deviations_1.nrows() > deviations_1.ncols() {
        square_root(&deviations_1)?
    } else {
        deviations_1.clone()
    };
    let product = &deviations_2 * root.transpose();
    let mixed: f64 = eigenvalues(product.tr_mul(&product))?.iter().map(|value| value.max(0.0).sqrt()).sum();
    let distance =
        (mean_1 - mean_2).norm_squared() + deviations_1.norm_squared() + deviations_2.norm_squared();
    Ok((distance - 2.0 * mixed).max(0.0))
}

/// Mean, and deviations from it (a picture a row) scaled so that their squares add up to the covariance.
fn moments(set: &[Vec<f32>]) -> Result<(DVector<f64>, DMatrix<f64>), MetricError> {
    let values = matrix(set, 2)?;
    let mean = values.row_mean();
    let scale = ((values.nrows() - 1) as f64).sqrt();
    let deviations = DMatrix::from_fn(values.nrows(), values.ncols(), |row, column| {
        (values[(row, column)] - mean[column]) / scale
    });
    Ok((mean.transpose(), deviations))
}

/// A square matrix R with R'R = A'A.
fn square_root(a: &DMatrix<f64>) -> Result<DMatrix<f64>, MetricError> {
    let eigen = nalgebra::SymmetricEigen::try_new(a.tr_mul(a), f64::EPSILON, MOST_TURNS);
    let eigen = eigen.ok_or(MetricError::NoNumbers)?;
    let roots = eigen.eigenvalues.map(|value| value.max(0.0).sqrt());
    Ok(DMatrix::from_diagonal(&roots) * eigen.eigenvectors.transpose())
}

fn eigenvalues(symmetric: DMatrix<f64>) -> Result<DVector<f64>, MetricError> {
    let eigen = nalgebra::SymmetricEigen::try_new(symmetric, f64::EPSILON, MOST_TURNS);
    eigen.map(|eigen| eigen.eigenvalues).ok_or(MetricError::NoNumbers)
}

/// A kernel distance with its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Kid {
    /// The squared distance; without bias, and so below zero about as often as above for two sets of one distribution.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
}

/// Kernel distance (reference 5 of the [parent module](super), section 4): the unbiased estimate of the squared maximum mean
/// discrepancy with the kernel `(x·y / features + 1)³`, the mean over random parts of both sets that follow from the
/// seed. A part has half of the smaller set, at most 1000 pictures; the standard error is that of the delete-d jackknife.
/// At least [`KID_PICTURES`] a set. The sets must not show the same pictures: for those, see [`kid_of_pairs`].
pub fn kid(first: &[Vec<f32>], second: &[Vec<f32>], seed: u64) -> Result<Kid, MetricError> {
    kernel_distance(first, second, seed, false)
}

/// [`kid`] where each picture of the second set came from the one at its place in the first. A picture and what became of it
/// are alike for what they show, which would make the estimate too low: such pairs are left out of it, and a part has both
/// of a pair or neither (reference 7, eq. 4).
pub fn kid_of_pairs(first: &[Vec<f32>], second: &[Vec<f32>], seed: u64) -> Result<Kid, MetricError> {
    let (smaller, larger) = (first.len().min(second.len()), first.len().max(second.len()));
    if smaller < larger {
        return Err(MetricError::TooFew { given: smaller, least: larger });
    }
    kernel_distance(first, second, seed, true)
}

fn kernel_distance(
    first: &[Vec<f32>],
    second: &[Vec<f32>],
    seed: u64,
    pairs: bool,
) -> Result<Kid, MetricError> {
    let (x, y) = (matrix(first, KID_PICTURES)?, matrix(second, KID_PICTURES)?);
    same_features(first, second)?;
    let smaller = x.nrows().min(y.nrows());
    let size = (smaller / 2).min(MOST_OF_SUBSET);
    let mut random = StdRng::seed_from_u64(seed);
    let mut choose = |pictures| index::sample(&mut random, pictures, size).into_vec();
    let mut estimate = || {
        let of_x = choose(x.nrows());
        let of_y = if pairs { of_x.clone() } else { choose(y.nrows()) };
        discrepancy(&x.select_rows(&of_x), &y.select_rows(&of_y), pairs)
    };
    let estimates: Vec<f64> = (0..SUBSETS).map(|_| estimate()).collect();
    let value = estimates.iter().sum::<f64>() / SUBSETS as f64;
    let variance =
        estimates.iter().map(|estimate| (estimate - value).powi(2)).sum::<f64>() / (SUBSETS - 1) as f64;
    let standard_error = (variance * size as f64 / (smaller - size) as f64).sqrt();
    if value.is_finite() { Ok(Kid { value, standard_error }) } else { Err(MetricError::NoNumbers) }
}

/// The unbiased estimate for two sets of one length.
fn discrepancy(x: &DMatrix<f64>, y: &DMatrix<f64>, pairs: bool) -> f64 {
    let count = x.nrows() as f64;
    let features = x.ncols() as f64;
    let kernel =
        |a: &DMatrix<f64>, b: &DMatrix<f64>| (a * b.transpose()).map(|dot| (dot / features + 1.0).powi(3));
    let apart = |all: DMatrix<f64>| (all.sum() - all.trace()) / (count * (count - 1.0));
    let mixed = if pairs { apart(kernel(x, y)) } else { kernel(x, y).sum() / (count * count) };
    apart(kernel(x, x)) + apart(kernel(y, y)) - 2.0 * mixed
}

/// Features as rows, if there are enough of them.
fn matrix(set: &[Vec<f32>], least: usize) -> Result<DMatrix<f64>, MetricError> {
    if set.len() < least {
        return Err(MetricError::TooFew { given: set.len(), least });
    }
    let columns = set[0].len();
    if set.iter().any(|row| row.len() != columns) || !set.iter().flatten().all(|value| value.is_finite()) {
        return Err(MetricError::NoNumbers);
    }
    Ok(DMatrix::from_row_iterator(set.len(), columns, set.iter().flatten().map(|&value| f64::from(value))))
}

fn same_features(first: &[Vec<f32>], second: &[Vec<f32>]) -> Result<(), MetricError> {
    if first[0].len() == second[0].len() { Ok(()) } else { Err(MetricError::NoNumbers) }
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    /// Points whose mean is `mean` and whose covariance is `diagonal`, both turned by `angle`.
    fn cross(mean: [f64; 2], diagonal: [f64; 2], angle: f64) -> Vec<Vec<f32>> {
        let (sine, cosine) = angle.sin_cos();
        let [a, b] = diagonal.map(|variance| (1.5 * variance).sqrt());
        [(a, 0.0), (-a, 0.0), (0.0, b), (0.0, -b)]
            .map(|(x, y)| (x * cosine - y * sine + mean[0], x * sine + y * cosine + mean[1]))
            .map(|(x, y)| vec![x as f32, y as f32])
            .to_vec()
    }

    fn cloud(count: usize, features: usize, shift: f32, seed: u64) -> Vec<Vec<f32>> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut row = || {
            let values = (0..features).map(|_| StandardNormal.sample(&mut random));
            values.map(|value: f32| value + shift).collect()
        };
        (0..count).map(|_| row()).collect()
    }

    #[test]
    fn frechet_distance_of_known_normal_distributions() {
        let plain = cross([0.0, 0.0], [4.0, 1.0], 0.0);
        // Covariances that commute: |Δm|² + Σ (σ₁ − σ₂)².
        let wider = cross([3.0, -4.0], [9.0, 0.25], 0.0);
        assert!((fid(&plain, &wider).unwrap() - (25.0 + 1.0 + 0.25)).abs() < 1e-5);
        // And that do not: tr (C₁·C₂)^½ = (tr C₁C₂ + 2·(det C₁C₂)^½)^½ in two dimensions. Turned by 45°, diag(9, 1) is
        // ((5, 4), (4, 5)).
        let turned = cross([0.0, 0.0], [9.0, 1.0], std::f64::consts::FRAC_PI_4);
        let expected = 5.0 + 10.0 - 2.0 * (25.0_f64 + 2.0 * 6.0).sqrt();
        assert!((fid(&plain, &turned).unwrap() - expected).abs() < 1e-5);
        assert!((fid(&turned, &plain).unwrap() - expected).abs() < 1e-5);
        assert!(fid(&plain, &plain).unwrap() < 1e-6);
    }

    #[test]
    fn frechet_distance_is_the_same_with_fewer_and_more_pictures_than_features() {
        // Features that are always zero change nothing but the way of computing.
        let (few, many) = (cloud(12, 5, 0.0, 1), cloud(12, 5, 0.5, 2));
        let wide = |set: &[Vec<f32>]| -> Vec<Vec<f32>> {
            set.iter().map(|row| [row.as_slice(), &[0.0; 20]].concat()).collect()
        };
        let (narrow, broad) = (fid(&few, &many).unwrap(), fid(&wide(&few), &wide(&many)).unwrap());
        assert!((narrow - broad).abs() < 1e-6 && narrow > 0.1, "{narrow} {broad}");
    }

    #[test]
    fn kernel_distance_of_one_distribution_is_about_zero_and_grows_with_the_shift() {
        let same = kid(&cloud(80, 16, 0.0, 1), &cloud(80, 16, 0.0, 2), 1).unwrap();
        assert!(same.value.abs() < 3.0 * same.standard_error, "{same:?}");
        let mut last = same.value;
        for shift in [0.5, 1.0] {
            let apart = kid(&cloud(80, 16, 0.0, 1), &cloud(80, 16, shift, 2), 1).unwrap();
            assert!(
                apart.value > last + 3.0 * apart.standard_error.min(same.standard_error),
                "{apart:?} after {last}"
            );
            last = apart.value;
        }
    }

    #[test]
    fn kernel_distance_has_no_bias_and_a_true_standard_error() {
        // E (x·y / d + 1)³ for independent normal x, y with means m, n: (1 + c)³ + 3·(1 + c)·v plus a third moment, where
        // c = m·n and v the variance of x·y / d.
        let moment = |m: f64, n: f64| {
            let (d, c) = (8.0, m * n);
            let variance = (1.0 + m * m + n * n) / d;
            let third = 6.0 * m * n / (d * d);
            (1.0 + c).powi(3) + 3.0 * (1.0 + c) * variance + third
        };
        let expected = moment(0.0, 0.0) + moment(0.3, 0.3) - 2.0 * moment(0.0, 0.3);
        let apart = |run| kid(&cloud(24, 8, 0.0, 2 * run), &cloud(24, 8, 0.3, 2 * run + 1), run).unwrap();
        let pairs = |run| kid_of_pairs(&cloud(24, 8, 0.0, run), &cloud(24, 8, 0.3, run), run).unwrap();
        for estimate in [&apart as &dyn Fn(u64) -> Kid, &pairs] {
            let runs: Vec<Kid> = (0..60).map(estimate).collect();
            let mean = runs.iter().map(|run| run.value).sum::<f64>() / 60.0;
            let spread = (runs.iter().map(|run| (run.value - mean).powi(2)).sum::<f64>() / 59.0).sqrt();
            assert!((mean - expected).abs() < 3.0 * spread / 60.0_f64.sqrt(), "{mean} instead of {expected}");
            let claimed = runs.iter().map(|run| run.standard_error).sum::<f64>() / 60.0;
            assert!((0.6..1.7).contains(&(claimed / spread)), "claimed {claimed}, found {spread}");
        }
    }

    #[test]
    fn pairs_of_the_same_pictures_show_small_changes() {
        let original = cloud(40, 16, 0.0, 1);
        assert!(kid_of_pairs(&original, &original, 1).unwrap().value.abs() < 1e-9);
        let changed = cloud(40, 16, 0.3, 1);
        let (pairs, apart) =
            (kid_of_pairs(&original, &changed, 1).unwrap(), kid(&original, &changed, 1).unwrap());
        assert!(pairs.value > 3.0 * pairs.standard_error, "{pairs:?}");
        assert!(apart.value < pairs.value, "{apart:?} {pairs:?}");
        assert!(kid_of_pairs(&original, &changed[1..], 1).is_err());
    }

    #[test]
    fn too_few_or_broken_features_are_an_error() {
        let (one, three, five) = (cloud(1, 4, 0.0, 1), cloud(3, 4, 0.0, 1), cloud(5, 4, 0.0, 1));
        assert_eq!(fid(&one, &five), Err(MetricError::TooFew { given: 1, least: 2 }));
        assert_eq!(kid(&five, &three, 1), Err(MetricError::TooFew { given: 3, least: 4 }));
        let mut broken = five.clone();
        broken[2][1] = f32::NAN;
        assert_eq!(fid(&five, &broken), Err(MetricError::NoNumbers));
        assert!(kid(&five, &cloud(5, 3, 0.0, 1), 1).is_err());
    }
}
