//! Tapped delay line: y\[n\] = Σᵢ gᵢ\[n\]·x(n − τᵢ), with τᵢ to any fraction of a sample.
//!
//! A delay that is a whole number of samples is taken as it is. If any is not, every tap goes
//! through the interpolator of [`kernel`](super::kernel), and the line as a whole lags by
//! [`KERNEL_LATENCY`] samples, as a longer first path would.
//!
//! Gains that vary are evaluated now and then and joined by straight lines. So is then the filter that all
//! taps together make, h(t) = h₀ + (t − t₀)·h′: two filters a sample, however many taps there are.
//!
//! Tap powers are normalised to a sum of one. A line whose gains do not change is one filter; if it
//! has several static taps, it is scaled to unit mean |H(f)|² over the occupied part of the band, so
//! that the SNR set is the SNR averaged over resource elements.

use num_complex::{Complex32, Complex64};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::f64::consts::TAU;

use super::config::{Fading, Tap};
use super::fading::{PathGain, evaluation_interval};
use super::kernel::{KERNEL_LATENCY, KERNEL_TAPS, fractional_delay};

/// Outputs computed side by side.
const LANES: usize = 8;
/// Delays closer than this to the sample grid are on it.
const GRID_TOLERANCE: f64 = 1e-6;

/// The filter of one tap: coefficients from a whole delay on.
#[derive(Debug, Clone)]
struct Placement {
    start: usize,
    coefficients: Vec<f64>,
}

#[derive(Debug, Clone)]
enum Line {
    Constant { filter: Vec<Complex32> },
    Varying(VaryingFilter),
}

/// A filter that is a straight line in time between evaluations of the gains.
#[derive(Debug, Clone)]
struct VaryingFilter {
    taps: Vec<(PathGain, Placement)>,
    interval: usize,
    /// Samples since the start.
    index: u64,
    /// The filter at the last evaluation ...
    filter: Vec<Complex32>,
    /// ... and what is added to it up to the next.
    change: Vec<Complex32>,
    next: Vec<Complex32>,
}

impl VaryingFilter {
    fn new(taps: Vec<(PathGain, Placement)>, span: usize, doppler: f64) -> Self {
        let zeros = vec![Complex32::default(); span];
        let interval = evaluation_interval(doppler);
        let mut varying =
            Self { taps, interval, index: 0, filter: zeros.clone(), change: zeros.clone(), next: zeros };
        varying.evaluate(0);
        varying
    }

    /// Evaluates the filter at a sample into `next`.
    fn evaluate(&mut self, index: u64) {
        self.next.fill(Complex32::default());
        for (path, placement) in &self.taps {
            let gain = narrow(path.at(index));
            for (h, &c) in self.next[placement.start..].iter_mut().zip(&placement.coefficients) {
                *h += gain * c as f32;
            }
        }
    }

    /// Filters `samples`, which lie in `re` and `im` behind `memory` earlier ones.
    fn apply(&mut self, samples: &mut [Complex32], re: &[f32], im: &[f32], memory: usize) {
        let mut done = 0;
        while done < samples.len() {
            let within = (self.index % self.interval as u64) as usize;
            if within == 0 {
                std::mem::swap(&mut self.filter, &mut self.next);
                self.evaluate(self.index + self.interval as u64);
                for ((change, to), from) in self.change.iter_mut().zip(&self.next).zip(&self.filter) {
                    *change = to - from;
                }
            }
            let run = (self.interval - within).min(samples.len() - done);
            for (block, out) in samples[done..done + run].chunks_mut(LANES).enumerate() {
                let newest = memory + done + block * LANES;
                let start = filter_block(&self.filter, re, im, newest);
                let change = filter_block(&self.change, re, im, newest);
                for (lane, out) in out.iter_mut().enumerate() {
                    let share = (within + block * LANES + lane) as f32 / self.interval as f32;
                    *out = start[lane] + change[lane] * share;
                }
            }
            done += run;
            self.index += run as u64;
        }
    }
}

fn narrow(value: Complex64) -> Complex32 {
    Complex32::new(value.re as f32, value.im as f32)
}

/// A delay line with its memory.
#[derive(Debug, Clone)]
pub struct DelayLine {
    line: Line,
    /// Inputs still needed, oldest first, then the block at hand and padding for a block of lanes.
    re: Vec<f32>,
    im: Vec<f32>,
    memory: usize,
}

fn place(taps: &[Tap], sample_rate_hz: f64) -> Vec<Placement> {
    let delays: Vec<f64> = taps.iter().map(|t| t.delay_ns * 1e-9 * sample_rate_hz).collect();
    let on_grid = delays.iter().all(|d| (d - d.round()).abs() < GRID_TOLERANCE);
    delays
        .iter()
        .map(|delay| {
            if on_grid {
                return Placement { start: delay.round() as usize, coefficients: vec![1.0] };
            }
            Placement {
                start: delay.floor() as usize,
                coefficients: fractional_delay(delay - delay.floor()).to_vec(),
            }
        })
        .collect()
}

/// Mean of |H(f)|² over the middle `occupied_fraction` of the band.
fn mean_power_gain(filter: &[Complex64], occupied_fraction: f64) -> f64 {
    const POINTS: usize = 512;
    let total: f64 = (0..POINTS)
        .map(|point| {
            let frequency = ((point as f64 + 0.5) / POINTS as f64 - 0.5) * occupied_fraction;
            let response: Complex64 =
                filter.iter().enumerate().map(|(k, c)| c * Complex64::cis(-TAU * frequency * k as f64)).sum();
            response.norm_sqr()
        })
        .sum();
    total / POINTS as f64
}

impl DelayLine {
    /// Draws the gains. `doppler` is in cycles per sample.
    pub fn new(
        taps: &[Tap],
        sample_rate_hz: f64,
        occupied_fraction: f64,
        doppler: f64,
        generator: &mut Xoshiro256PlusPlus,
    ) -> Self {
        let powers: Vec<f64> = taps.iter().map(|t| 10f64.powf(t.power_db / 10.0)).collect();
        let total: f64 = powers.iter().sum();
        let paths: Vec<PathGain> = taps
            .iter()
            .zip(&powers)
            .map(|(tap, power)| PathGain::draw(tap.fading, power / total, doppler, generator))
            .collect();
        let placements = place(taps, sample_rate_hz);
        let span = placements.iter().map(|p| p.start + p.coefficients.len()).max().unwrap_or(1);
        let line = if paths.iter().all(PathGain::is_constant) {
            let mut filter = vec![Complex64::default(); span];
            for (path, placement) in paths.iter().zip(&placements) {
                for (k, coefficient) in placement.coefficients.iter().enumerate() {
                    filter[placement.start + k] += path.at(0) * coefficient;
                }
            }
            if taps.iter().all(|tap| tap.fading == Fading::Static) {
                let gain = mean_power_gain(&filter, occupied_fraction);
                if gain > 1e-12 {
                    filter.iter_mut().for_each(|c| *c /= gain.sqrt());
                }
            }
            Line::Constant { filter: filter.into_iter().map(narrow).collect() }
        } else {
            let taps = paths.into_iter().zip(placements).collect();
            Line::Varying(VaryingFilter::new(taps, span, doppler))
        };
        Self { line, re: vec![0.0; span - 1], im: vec![0.0; span - 1], memory: span - 1 }
    }

    /// Passes the samples through, where they lie.
    pub fn apply(&mut self, samples: &mut [Complex32]) {
        let count = samples.len();
        // A block of lanes may start at any sample and reach beyond the last.
        let padded = count + LANES;
        self.re.extend(samples.iter().map(|sample| sample.re));
        self.im.extend(samples.iter().map(|sample| sample.im));
        self.re.resize(self.memory + padded, 0.0);
        self.im.resize(self.memory + padded, 0.0);
        match &mut self.line {
            Line::Constant { filter } => {
                for (block, out) in samples.chunks_mut(LANES).enumerate() {
                    let newest = self.memory + block * LANES;
                    out.copy_from_slice(&filter_block(filter, &self.re, &self.im, newest)[..out.len()]);
                }
            }
            Line::Varying(varying) => varying.apply(samples, &self.re, &self.im, self.memory),
        }
        self.re.drain(..count);
        self.im.drain(..count);
        self.re.truncate(self.memory);
        self.im.truncate(self.memory);
    }
}

fn window(values: &[f32], at: usize) -> &[f32; LANES] {
    values[at..].first_chunk().expect("padded by a block of lanes")
}

/// Outputs `newest..newest + LANES` of a complex filter, each summed in order of delay.
fn filter_block(filter: &[Complex32], re: &[f32], im: &[f32], newest: usize) -> [Complex32; LANES] {
    let mut sum_re = [0f32; LANES];
    let mut sum_im = [0f32; LANES];
    for (k, h) in filter.iter().enumerate() {
        let x_re = window(re, newest - k);
        let x_im = window(im, newest - k);
        for lane in 0..LANES {
            sum_re[lane] += h.re * x_re[lane] - h.im * x_im[lane];
            sum_im[lane] += h.re * x_im[lane] + h.im * x_re[lane];
        }
    }
    std::array::from_fn(|lane| Complex32::new(sum_re[lane], sum_im[lane]))
}

/// Whole samples by which a line with these taps lags on top of its tap delays.
pub fn latency(taps: &[Tap], sample_rate_hz: f64) -> usize {
    match place(taps, sample_rate_hz).first() {
        Some(placement) if placement.coefficients.len() == KERNEL_TAPS => KERNEL_LATENCY,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::rand_core::SeedableRng;

    fn tap(delay_ns: f64, power_db: f64, fading: Fading) -> Tap {
        Tap { delay_ns, power_db, fading }
    }

    fn response(line: &mut DelayLine, frequency: f64) -> Complex64 {
        let count = 4096;
        let at = |n: usize| Complex64::cis(TAU * frequency * n as f64);
        let mut samples: Vec<Complex32> =
            (0..count).map(|n| Complex32::new(at(n).re as f32, at(n).im as f32)).collect();
        line.apply(&mut samples);
        let last = samples[count - 1];
        Complex64::new(f64::from(last.re), f64::from(last.im)) / at(count - 1)
    }

    #[test]
    fn whole_sample_taps_lie_where_they_should() {
        let taps = [tap(0.0, 0.0, Fading::Static), tap(3000.0, -6.0, Fading::Static)];
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut line = DelayLine::new(&taps, 1e6, 1.0, 0.0, &mut generator);
        let mut samples = vec![Complex32::default(); 20];
        samples[2] = Complex32::new(1.0, 0.0);
        line.apply(&mut samples);
        let powers: Vec<f32> = samples.iter().map(Complex32::norm_sqr).collect();
        assert!((powers.iter().sum::<f32>() - 1.0).abs() < 1e-3);
        assert!((10.0 * (powers[5] / powers[2]).log10() + 6.0).abs() < 1e-3, "{powers:?}");
        assert_eq!(latency(&taps, 1e6), 0);
    }

    #[test]
    fn fractional_taps_have_the_phase_slope_of_their_delay() {
        let taps = [tap(0.0, -200.0, Fading::Static), tap(1250.0, 0.0, Fading::Static)];
        for frequency in [-0.35, -0.1, 0.2, 0.4] {
            let mut generator = Xoshiro256PlusPlus::seed_from_u64(1);
            let mut line = DelayLine::new(&taps, 1e6, 0.8, 0.0, &mut generator);
            let reference = response(&mut line.clone(), 0.0);
            let lag = latency(&taps, 1e6) as f64 + 1.25;
            let actual = response(&mut line, frequency) / reference;
            let ideal = Complex64::cis(-TAU * frequency * lag);
            assert!((actual - ideal).norm() < 2e-3, "{frequency}: {actual} {ideal}");
        }
    }

    #[test]
    fn varying_line_agrees_with_the_constant_one_when_it_hardly_varies() {
        let rician = Fading::Rician { k_factor_db: 50.0 };
        let taps = [tap(0.0, 0.0, rician), tap(777.0, -3.0, rician)];
        let mut samples: Vec<Complex32> =
            (0..1000).map(|n| Complex32::new((n as f32 * 0.3).sin(), (n as f32 * 0.7).cos())).collect();
        let mut constant = samples.clone();
        let build = |doppler| {
            let mut generator = Xoshiro256PlusPlus::seed_from_u64(9);
            // One tap's draw shifts the next one's phase, so only the first is compared here.
            DelayLine::new(&taps[..1], 1e6, 1.0, doppler, &mut generator)
        };
        build(1e-5).apply(&mut samples);
        build(0.0).apply(&mut constant);
        for (a, b) in samples.iter().zip(&constant) {
            assert!((a - b).norm() < 0.02, "{a} {b}");
        }
    }

    #[test]
    fn a_varying_line_is_the_sum_of_its_taps() {
        let taps = [tap(0.0, 0.0, Fading::Rayleigh), tap(2000.0, -3.0, Fading::Rayleigh)];
        let doppler = 2e-4;
        let generator = || Xoshiro256PlusPlus::seed_from_u64(11);
        let mut samples: Vec<Complex32> =
            (0..3000).map(|n| Complex32::new((n as f32 * 0.3).sin(), (n as f32 * 0.7).cos())).collect();
        let input = samples.clone();
        DelayLine::new(&taps, 1e6, 1.0, doppler, &mut generator()).apply(&mut samples);
        let powers = [1.0, 10f64.powf(-0.3)].map(|power| power / (1.0 + 10f64.powf(-0.3)));
        let mut draws = generator();
        let paths = powers.map(|power| PathGain::draw(Fading::Rayleigh, power, doppler, &mut draws));
        for n in 2..3000 {
            let expected =
                narrow(paths[0].at(n as u64)) * input[n] + narrow(paths[1].at(n as u64)) * input[n - 2];
            assert!((samples[n] - expected).norm() < 1e-3, "{n}: {} {expected}", samples[n]);
        }
    }
}
