//! Channel fit: noisy responses on some subcarriers → taps at the few delays that a channel has.
//!
//! All paths of a channel that OFDM can carry lie within the cyclic prefix, most of them within a small part of
//! it. The response is fitted by taps in that window with a Gaussian prior of equal power on each (a
//! regularised least squares, at high SNR the LMMSE estimate for a uniform power-delay profile; O. Edfors et
//! al., IEEE Trans. Commun. 46(7), 1998). In: responses (received × conjugate of sent) and their noise variance. Out:
//! taps, of which [`Ofdm::response`](crate::ofdm::Ofdm::response) makes the response on every subcarrier.

use num_complex::{Complex32, Complex64};

use crate::{
    numerology::Numerology,
    simd::{Instructions, dispatched},
};

/// Delays before and after the cyclic prefix that are fitted too: band-limited paths leak.
const LEAKAGE_TAPS: usize = 3;
/// Fits that are kept for the next frame.
const MAX_FITS: usize = 64;

/// Neighbouring delays, in samples after the start of the DFT window's cyclic prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DelayWindow {
    /// The shortest; may be negative.
    pub first: i32,
    /// How many.
    pub taps: usize,
}

impl DelayWindow {
    /// All delays that the cyclic prefix covers, and some for leakage.
    pub fn widest(numerology: &Numerology) -> Self {
        Self { first: -(LEAKAGE_TAPS as i32), taps: numerology.cyclic_prefix + 2 * LEAKAGE_TAPS }
    }

    /// The part from `earliest` to `latest`, both included, that lies in the widest window; at least one tap.
    pub fn spanning(numerology: &Numerology, earliest: i32, latest: i32) -> Self {
        let widest = Self::widest(numerology);
        let end = widest.first + widest.taps as i32 - 1;
        let first = earliest.clamp(widest.first, end);
        Self { first, taps: (latest.clamp(first, end) - first + 1) as usize }
    }
}

/// Which pilots a fit is for: names the set, so that fits can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PilotSet {
    /// Number of the set; equal numbers mean equal subcarriers.
    pub number: u32,
}

/// A fit from given pilots to given delays: a matrix.
#[derive(Clone, Debug)]
pub struct Fit {
    key: Key,
    /// Tap by tap, a weight for each pilot.
    weights: Vec<Complex32>,
    /// Degrees of freedom that the fit takes from the pilots, as a share of them.
    freedom: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    window: DelayWindow,
    pilots: PilotSet,
    ridge: i32,
}

impl Fit {
    /// Writes the taps for responses on the fit's pilots.
    pub fn apply(&self, responses: &[Complex32], taps: &mut [Complex32]) {
        multiply(Instructions::detect(), &self.weights, responses, taps);
    }

    /// Degrees of freedom that the fit takes from the pilots, as a share of them: residuals are smaller than
    /// the noise by that much, and the response at the pilots has that share of it.
    pub fn freedom(&self) -> f32 {
        self.freedom
    }
}

dispatched! {
    /// Multiplies a matrix, row by row, by a vector.
    fn multiply(matrix: &[Complex32], vector: &[Complex32], product: &mut [Complex32]) {
        for (value, row) in product.iter_mut().zip(matrix.chunks_exact(vector.len().max(1))) {
            // Eight sums at a time: the order is fixed, and the loop has no chain of additions.
            let (mut re, mut im) = ([0.0f32; 8], [0.0f32; 8]);
            let (row, last_row) = row.as_chunks::<8>();
            let (columns, last_columns) = vector.as_chunks::<8>();
            for (a, b) in row.iter().zip(columns) {
                for i in 0..8 {
                    re[i] += a[i].re * b[i].re - a[i].im * b[i].im;
                    im[i] += a[i].re * b[i].im + a[i].im * b[i].re;
                }
            }
            let rest: Complex32 = last_row.iter().zip(last_columns).map(|(a, b)| a * b).sum();
            *value = Complex32::new(re.iter().sum(), im.iter().sum()) + rest;
        }
    }
}

/// Makes fits. Planned once a numerology.
pub struct DelayFitter {
    fft_size: usize,
    frequencies: Vec<i32>,
    turns: Turns,
    factor: Factor,
    /// What `factor` is for, if for all subcarriers.
    factored: Option<(DelayWindow, i32)>,
    right: Vec<Complex64>,
    basis: Vec<Complex32>,
    fits: Vec<Fit>,
    /// Place of the next fit among those kept.
    next: usize,
}

impl DelayFitter {
    /// Prepares for a numerology.
    pub fn new(numerology: &Numerology) -> Self {
        let length = numerology.fft_size;
        Self {
            fft_size: length,
            frequencies: (0..numerology.subcarriers()).map(|k| numerology.frequency_index(k)).collect(),
            turns: Turns::new(length),
            factor: Factor::default(),
            factored: None,
            right: Vec::new(),
            basis: Vec::new(),
            fits: Vec::new(),
            next: 0,
        }
    }

    /// Fits all subcarriers. `correlation(d)` is the sum over them of response × exp(j2π·f·d/N), the value at
    /// delay d of the impulse response; `noise_variance` that of each response, `power` their mean power.
    /// Returns the variance of the response that the taps make within the band.
    pub fn fit_all(
        &mut self,
        window: DelayWindow,
        correlation: impl Fn(i32) -> Complex32,
        noise_variance: f32,
        power: f32,
        taps: &mut Vec<Complex32>,
    ) -> f32 {
        let subcarriers = self.frequencies.len();
        let level = ridge_level(noise_variance, power, window, subcarriers);
        // From frame to frame little changes.
        if self.factored != Some((window, level)) {
            self.factor.make(&self.turns, window.taps, self.frequencies.iter().copied(), ridge(level));
            self.factored = Some((window, level));
        }
        self.right.clear();
        self.right.extend((0..window.taps as i32).map(|l| {
            let value = correlation(window.first + l);
            Complex64::new(f64::from(value.re), f64::from(value.im))
        }));
        self.factor.solve(&mut self.right);
        taps.clear();
        taps.extend(self.right.iter().map(|tap| Complex32::new(tap.re as f32, tap.im as f32)));
        // Of the delays' degrees of freedom as many show within the band as it covers of the spectrum, and one
        // or two at its edges.
        let freedom = window.taps as f32 * subcarriers as f32 / self.fft_size as f32 + 2.0;
        noise_variance * freedom.min(window.taps as f32) / subcarriers as f32
    }

    /// The fit from `pilots`, named by `set`, to `window`; `power` is the mean power of a response without noise.
    pub fn fit(
        &mut self,
        window: DelayWindow,
        set: PilotSet,
        pilots: &[usize],
        noise_variance: f32,
        power: f32,
    ) -> &Fit {
        let key =
            Key { window, pilots: set, ridge: ridge_level(noise_variance, power, window, pilots.len()) };
        if let Some(index) = self.fits.iter().position(|fit| fit.key == key) {
            return &self.fits[index];
        }
        let index = self.next;
        // What is replaced leaves its memory.
        let weights = self.fits.get_mut(index).map(|fit| std::mem::take(&mut fit.weights));
        let fit = self.make(key, pilots, weights.unwrap_or_default());
        self.next = (index + 1) % MAX_FITS;
        if index < self.fits.len() {
            self.fits[index] = fit;
        } else {
            self.fits.push(fit);
        }
        &self.fits[index]
    }

    /// Appends, for every row of taps in `window`, the response at the given frequency indices.
    pub fn coarse(
        &mut self,
        window: DelayWindow,
        frequencies: &[i32],
        taps: &[Complex32],
        out: &mut Vec<Complex32>,
    ) {
        let delays = window.first..window.first + window.taps as i32;
        self.basis.clear();
        for &frequency in frequencies {
            self.basis.extend(delays.clone().map(|delay| {
                let turn = self.turns.at(frequency, delay);
                Complex32::new(turn.re as f32, -turn.im as f32)
            }));
        }
        for row in taps.chunks_exact(window.taps) {
            let bases = self.basis.chunks_exact(window.taps);
            out.extend(
                bases.map(|turns| turns.iter().zip(row).map(|(turn, tap)| turn * tap).sum::<Complex32>()),
            );
        }
    }

    /// The fit of a key, in the memory of `weights`.
    fn make(&mut self, key: Key, pilots: &[usize], mut weights: Vec<Complex32>) -> Fit {
        let window = key.window;
        let frequencies = pilots.iter().map(|&k| self.frequencies[k]);
        self.factored = None;
        self.factor.make(&self.turns, window.taps, frequencies.clone(), ridge(key.ridge));
        weights.clear();
        weights.resize(window.taps * pilots.len(), Complex32::default());
        let mut freedom = 0.0;
        for (column, frequency) in frequencies.enumerate() {
            let phasor = |l: usize| self.turns.at(frequency, window.first + l as i32);
            self.right.clear();
            self.right.extend((0..window.taps).map(phasor));
            self.factor.solve(&mut self.right);
            for (l, weight) in self.right.iter().enumerate() {
                weights[l * pilots.len() + column] = Complex32::new(weight.re as f32, weight.im as f32);
                freedom += (phasor(l).conj() * weight).re;
            }
        }
        Fit { key, weights, freedom: (freedom / pilots.len() as f64) as f32 }
    }
}

/// exp(j2πi/N).
struct Turns(Vec<Complex64>);

impl Turns {
    fn new(length: usize) -> Self {
        let turn = |i: usize| Complex64::from_polar(1.0, std::f64::consts::TAU * i as f64 / length as f64);
        Self((0..length).map(turn).collect())
    }

    /// exp(j2π·frequency·delay/N).
    fn at(&self, frequency: i32, delay: i32) -> Complex64 {
        self.0[(frequency * delay) as usize & (self.0.len() - 1)]
    }
}

/// Cholesky's factor L of the equations of a fit.
#[derive(Default)]
struct Factor {
    /// Lower, row by row.
    values: Vec<Complex64>,
    differences: Vec<Complex64>,
}

impl Factor {
    /// Factorises AᴴA + ridge·I, A = exp(−j2π·f·d/N) on the frequencies of the pilots and `n` neighbouring delays.
    fn make(&mut self, turns: &Turns, n: usize, frequencies: impl Iterator<Item = i32> + Clone, ridge: f64) {
        let Self { values, differences } = self;
        differences.clear();
        differences.extend(
            (0..n as i32)
                .map(|difference| frequencies.clone().map(|f| turns.at(f, difference)).sum::<Complex64>()),
        );
        values.clear();
        values.resize(n * n, Complex64::default());
        for i in 0..n {
            for j in 0..=i {
                values[i * n + j] = differences[i - j];
            }
            values[i * n + i] += ridge;
        }
        for j in 0..n {
            for i in j..n {
                let (above, below) = (&values[j * n..j * n + j], &values[i * n..i * n + j]);
                let sum: Complex64 = below.iter().zip(above).map(|(a, b)| a * b.conj()).sum();
                let value = values[i * n + j] - sum;
                values[i * n + j] = if i == j {
                    Complex64::from(value.re.max(f64::MIN_POSITIVE).sqrt())
                } else {
                    value / values[j * n + j].re
                };
            }
        }
    }

    /// Solves L·Lᴴ·x = b in place.
    fn solve(&self, b: &mut [Complex64]) {
        let n = b.len();
        let factor = &self.values;
        for i in 0..n {
            let sum: Complex64 = factor[i * n..i * n + i].iter().zip(&*b).map(|(a, x)| a * x).sum();
            b[i] = (b[i] - sum) / factor[i * n + i].re;
        }
        for i in (0..n).rev() {
            let value = b[i] / factor[i * n + i].re;
            b[i] = value;
            for (x, a) in b[..i].iter_mut().zip(&factor[i * n..i * n + i]) {
                *x -= a.conj() * value;
            }
        }
    }
}

/// Noise over the power of a tap, as a level of [`ridge`].
fn ridge_level(noise_variance: f32, power: f32, window: DelayWindow, pilots: usize) -> i32 {
    let tap_power = power.max(f32::MIN_POSITIVE) / window.taps as f32;
    // The floor keeps the fit of the band-limited (ill-conditioned) system finite without noise. The ceiling
    // keeps it free of bias: it shrinks what the band hardly shows, not the channel, whose noise is better
    // taken out by smoothing in time.
    let pilots = pilots as f32;
    let ridge = (noise_variance / tap_power).clamp(1e-5 * pilots, 0.03 * pilots);
    (2.0 * ridge.log2()).round() as i32
}

/// The regularisation of a level: two levels to a factor of two, so that fits can be kept; the estimate's
/// error is flat around its least.
fn ridge(level: i32) -> f64 {
    (f64::from(level) / 2.0).exp2()
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};
    use rand_distr::StandardNormal;

    use super::*;
    use crate::ofdm::Ofdm;

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

    fn noisy(truth: &[Complex32], variance: f32, seed: u64) -> Vec<Complex32> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut noise = || {
            Complex32::new(rng.sample::<f32, _>(StandardNormal), rng.sample::<f32, _>(StandardNormal))
                * (variance / 2.0).sqrt()
        };
        truth.iter().map(|value| value + noise()).collect()
    }

    fn mean_error(truth: &[Complex32], estimate: &[Complex32]) -> f32 {
        truth.iter().zip(estimate).map(|(a, b)| (a - b).norm_sqr()).sum::<f32>() / truth.len() as f32
    }

    const PATHS: [(f64, Complex32); 3] = [
        (10.0, Complex32::new(0.8, 0.1)),
        (17.3, Complex32::new(-0.2, 0.5)),
        (24.6, Complex32::new(0.1, 0.2)),
    ];

    #[test]
    fn a_fit_gains_the_ratio_of_pilots_to_taps() {
        let numerology = Numerology::default();
        let mut ofdm = Ofdm::new(numerology);
        let mut fitter = DelayFitter::new(&numerology);
        let truth = response(&numerology, &PATHS);
        let variance = 0.1;
        let window = DelayWindow::widest(&numerology);
        let mut estimate = vec![Complex32::default(); truth.len()];

        let received = noisy(&truth, variance, 4);
        let mut taps = Vec::new();
        ofdm.impulse_response(&received, &mut taps);
        let correlations: Vec<_> = taps.iter().map(|tap| tap * truth.len() as f32).collect();
        let at = |delay: i32| correlations[delay.rem_euclid(512) as usize];
        fitter.fit_all(window, at, variance, 1.0, &mut taps);
        ofdm.response(window.first, &taps, &mut estimate);
        let error = mean_error(&truth, &estimate);
        assert!(error < variance / 7.0, "all subcarriers: error {error} of noise {variance}");

        let pilots: Vec<usize> = (0..300).step_by(3).collect();
        let responses: Vec<_> = pilots.iter().map(|&k| received[k]).collect();
        let fit = fitter.fit(window, PilotSet { number: 0 }, &pilots, variance, 1.0);
        taps.resize(window.taps, Complex32::default());
        fit.apply(&responses, &mut taps);
        assert!(fit.freedom() <= window.taps as f32 / 100.0, "{}", fit.freedom());
        ofdm.response(window.first, &taps, &mut estimate);
        let error = mean_error(&truth, &estimate);
        assert!(error < variance / 2.4, "every third: error {error} of noise {variance}");
    }

    #[test]
    fn without_noise_the_response_is_kept() {
        let numerology = Numerology::default();
        let mut ofdm = Ofdm::new(numerology);
        let truth =
            response(&numerology, &[(18.0, Complex32::new(1.0, 0.0)), (30.5, Complex32::new(0.3, -0.3))]);
        let window = DelayWindow::widest(&numerology);
        let pilots: Vec<usize> = (0..300).step_by(3).collect();
        let responses: Vec<_> = pilots.iter().map(|&k| truth[k]).collect();
        let mut fitter = DelayFitter::new(&numerology);
        let mut taps = vec![Complex32::default(); window.taps];
        fitter.fit(window, PilotSet { number: 0 }, &pilots, 1e-7, 1.0).apply(&responses, &mut taps);
        let mut estimate = vec![Complex32::default(); truth.len()];
        ofdm.response(window.first, &taps, &mut estimate);
        let error = mean_error(&truth, &estimate);
        assert!(error < 1e-4, "{error}");
    }

    #[test]
    fn kept_fits_are_bounded_and_the_same() {
        let numerology = Numerology::default();
        let mut fitter = DelayFitter::new(&numerology);
        let pilots = [3, 60, 120, 180, 240, 290];
        let window = DelayWindow::spanning(&numerology, 4, 6);
        let weights = |fitter: &mut DelayFitter| {
            fitter.fit(window, PilotSet { number: 7 }, &pilots, 0.1, 1.0).weights.clone()
        };
        let before = weights(&mut fitter);
        for number in 100..300 {
            fitter.fit(window, PilotSet { number }, &pilots, 0.1, 1.0);
            assert!(fitter.fits.len() <= MAX_FITS);
        }
        assert_eq!(weights(&mut fitter), before);
    }
}
