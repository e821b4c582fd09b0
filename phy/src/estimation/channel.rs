//! Channel estimation: noisy responses at the training symbols → a smooth response on every subcarrier.
//!
//! An OFDM channel has few delays: all paths lie within the cyclic prefix. The response is fitted by
//! taps at those delays with a Gaussian prior of equal power on each (a regularised least squares, the
//! LMMSE estimate for a uniform power-delay profile; O. Edfors et al., IEEE Trans. Commun. 46(7), 1998).
//! In: least-squares response, `subcarriers()` values, and its noise variance. Out: the same, denoised.

use num_complex::{Complex32, Complex64};

use crate::numerology::Numerology;

/// Delays before and after the cyclic prefix that are fitted too: band-limited paths leak.
const LEAKAGE_TAPS: usize = 3;

/// Fits delays within the cyclic prefix. Planned once a numerology.
pub struct ChannelEstimator {
    taps: usize,
    /// exp(−j2π·f·d/N), row by row of subcarriers.
    basis: Vec<Complex32>,
    gram: Vec<Complex64>,
    factor: Vec<Complex64>,
    right: Vec<Complex64>,
}

impl ChannelEstimator {
    /// Prepares the delays of a numerology.
    pub fn new(numerology: &Numerology) -> Self {
        let taps = numerology.cyclic_prefix + 2 * LEAKAGE_TAPS;
        let delays: Vec<f64> = (0..taps).map(|l| l as f64 - LEAKAGE_TAPS as f64).collect();
        let frequencies: Vec<f64> =
            (0..numerology.subcarriers()).map(|k| f64::from(numerology.frequency_index(k))).collect();
        let turn = |cycles: f64| Complex64::from_polar(1.0, -std::f64::consts::TAU * cycles);
        let length = numerology.fft_size as f64;
        let basis = frequencies
            .iter()
            .flat_map(|f| delays.iter().map(move |d| turn(f * d / length)))
            .map(|value| Complex32::new(value.re as f32, value.im as f32))
            .collect();
        let gram = (0..taps * taps)
            .map(|index| {
                let difference = (index % taps) as f64 - (index / taps) as f64;
                frequencies.iter().map(|f| turn(f * difference / length)).sum()
            })
            .collect();
        Self {
            taps,
            basis,
            gram,
            factor: vec![Complex64::default(); taps * taps],
            right: vec![Complex64::default(); taps],
        }
    }

    /// Replaces `response` by its fit. `noise_variance` is that of each value of `response`.
    pub fn denoise(&mut self, response: &mut [Complex32], noise_variance: f32) {
        let taps = self.taps;
        let power = response.iter().map(|value| value.norm_sqr()).sum::<f32>() / response.len() as f32;
        let tap_power = f64::from((power - noise_variance).max(0.01 * power)) / taps as f64;
        // A floor keeps the fit of the band-limited (ill-conditioned) system finite without noise.
        let ridge = f64::from(noise_variance) / tap_power.max(f64::MIN_POSITIVE);
        let ridge = ridge.clamp(1e-6 * response.len() as f64, 1e6 * response.len() as f64);

        self.right.fill(Complex64::default());
        for (row, value) in self.basis.chunks_exact(taps).zip(response.iter()) {
            for (sum, phasor) in self.right.iter_mut().zip(row) {
                let product = phasor.conj() * value;
                *sum += Complex64::new(f64::from(product.re), f64::from(product.im));
            }
        }
        self.factor.copy_from_slice(&self.gram);
        for l in 0..taps {
            self.factor[l * taps + l] += ridge;
        }
        solve_positive_definite(&mut self.factor, &mut self.right);
        for (row, value) in self.basis.chunks_exact(taps).zip(response.iter_mut()) {
            *value = row
                .iter()
                .zip(&self.right)
                .map(|(phasor, tap)| phasor * Complex32::new(tap.re as f32, tap.im as f32))
                .sum();
        }
    }
}

/// Solves A·x = b in place by Cholesky's method; A (row by row) is Hermitian and positive definite.
fn solve_positive_definite(a: &mut [Complex64], b: &mut [Complex64]) {
    let n = b.len();
    for j in 0..n {
        for k in 0..j {
            let factor = a[j * n + k].conj();
            for i in j..n {
                let product = a[i * n + k] * factor;
                a[i * n + j] -= product;
            }
        }
        let pivot = a[j * n + j].re.max(f64::MIN_POSITIVE).sqrt();
        for i in j..n {
            a[i * n + j] /= pivot;
        }
    }
    for i in 0..n {
        for k in 0..i {
            let product = a[i * n + k] * b[k];
            b[i] -= product;
        }
        b[i] /= a[i * n + i].re;
    }
    for i in (0..n).rev() {
        for k in i + 1..n {
            let product = a[k * n + i].conj() * b[k];
            b[i] -= product;
        }
        b[i] /= a[i * n + i].re;
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};
    use rand_distr::StandardNormal;

    use super::*;

    fn response(numerology: &Numerology, paths: &[(f64, Complex32)]) -> Vec<Complex32> {
        (0..numerology.subcarriers())
            .map(|k| {
                let f = f64::from(numerology.frequency_index(k)) / numerology.fft_size as f64;
                paths
                    .iter()
                    .map(|&(delay, gain)| {
                        gain * Complex32::from_polar(1.0, (-std::f64::consts::TAU * f * delay) as f32)
                    })
                    .sum()
            })
            .collect()
    }

    #[test]
    fn denoising_gains_most_of_the_ratio_of_subcarriers_to_taps() {
        let numerology = Numerology::default();
        let truth = response(
            &numerology,
            &[
                (10.0, Complex32::new(0.8, 0.1)),
                (17.3, Complex32::new(-0.2, 0.5)),
                (24.6, Complex32::new(0.1, 0.2)),
            ],
        );
        let mut rng = StdRng::seed_from_u64(4);
        let variance = 0.1f32;
        let mut estimate = truth.clone();
        for value in &mut estimate {
            let (re, im): (f32, f32) = (rng.sample(StandardNormal), rng.sample(StandardNormal));
            *value += Complex32::new(re, im) * (variance / 2.0).sqrt();
        }
        ChannelEstimator::new(&numerology).denoise(&mut estimate, variance);
        let error: f32 =
            truth.iter().zip(&estimate).map(|(a, b)| (a - b).norm_sqr()).sum::<f32>() / truth.len() as f32;
        assert!(error < variance / 7.0, "error {error} of noise {variance}");
    }

    #[test]
    fn without_noise_the_response_is_kept() {
        let numerology = Numerology::default();
        let truth =
            response(&numerology, &[(18.0, Complex32::new(1.0, 0.0)), (30.5, Complex32::new(0.3, -0.3))]);
        let mut estimate = truth.clone();
        ChannelEstimator::new(&numerology).denoise(&mut estimate, 1e-7);
        let error: f32 =
            truth.iter().zip(&estimate).map(|(a, b)| (a - b).norm_sqr()).sum::<f32>() / truth.len() as f32;
        assert!(error < 1e-4, "{error}");
    }
}
