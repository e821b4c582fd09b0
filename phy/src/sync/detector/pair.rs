//! The closer look: around a candidate, both chirps at every sample and with the exact energy under each.
//!
//! A stretch of up-chirp positions is correlated at once, with the down-chirps that may belong to them, so
//! that whatever the signal, no position is worked on twice.

use std::sync::Arc;

use num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use super::{
    CHIRP_LEVEL, Detection, PAIR_LEVEL,
    kernels::SEGMENT,
    statistic::{LEAST_SHARE, Statistic, sanitised, template},
};
use crate::{mode::Mode, numerology::Numerology, sync::preamble::chirp_rate};

/// Largest carrier offset that is searched, where the chirps allow it: 20 ppm at 2.4 GHz ...
const MOST_CFO_HZ: f64 = 48_000.0;
/// ... but at least so many subcarriers ...
const LEAST_CFO_SUBCARRIERS: f64 = 1.5;
/// ... and at most this share of the occupied band: it moves the peaks by the same share of the chirp.
const MOST_CFO_SHARE: f64 = 0.25;

/// Looks for pairs of one mode's chirps.
pub(super) struct PairSearch {
    mode: Mode,
    length: usize,
    /// How far a down-chirp's peak may be from where it belongs without a carrier offset.
    reach: usize,
    /// How far beyond the first position that passes the strongest pair is looked for.
    window: usize,
    /// Cycles per sample that move each peak by one sample.
    rate: f64,
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
    /// Conjugate spectra of up-chirp and down-chirp.
    templates: [Vec<Complex32>; 2],
    buffer: Vec<Complex32>,
    scratch: Vec<Complex32>,
    /// γ² of the up-chirps from `first` on, and of the down-chirps from `first + length − reach` on.
    correlations: [Vec<f32>; 2],
    statistic: Statistic,
    /// Whether not even the strongest of both make a pair.
    hopeless: bool,
    /// Position at which the stretch starts that was correlated last.
    first: Option<i64>,
}

impl PairSearch {
    pub(super) fn new(mode: Mode, numerology: &Numerology) -> Self {
        let length = mode.chirp_samples(numerology);
        let rate = chirp_rate(mode, numerology);
        let most_cfo = (MOST_CFO_HZ / numerology.sample_rate_hz)
            .max(LEAST_CFO_SUBCARRIERS / numerology.fft_size as f64)
            .min(MOST_CFO_SHARE * numerology.occupied_fraction());
        // Both peaks move, in opposite directions, and paths of the channel may differ by a prefix.
        let reach = (2.0 * most_cfo / rate).ceil() as usize + numerology.cyclic_prefix / 2 + 2;
        // The slopes of a peak pass before it does, and so may an early path that is not the strongest.
        let resolution = (8.0 / numerology.occupied_fraction()).ceil() as usize;
        let window = 2 * numerology.cyclic_prefix + resolution;
        let block = (length + 2 * reach + window + SEGMENT).next_power_of_two();
        let mut planner = FftPlanner::new();
        let forward = planner.plan_fft_forward(block);
        let inverse = planner.plan_fft_inverse(block);
        let scratch = forward.get_inplace_scratch_len().max(inverse.get_inplace_scratch_len());
        let mut scratch = vec![Complex32::default(); scratch];
        let templates = [true, false].map(|upwards| {
            let mut template = template(mode, numerology, upwards);
            template.resize(block, Complex32::default());
            forward.process_with_scratch(&mut template, &mut scratch);
            template.iter_mut().for_each(|value| *value = value.conj() / block as f32);
            template
        });
        let positions = block - length + 1;
        Self {
            mode,
            length,
            reach,
            window,
            rate,
            forward,
            inverse,
            templates,
            buffer: vec![Complex32::default(); block],
            scratch,
            correlations: [vec![0.0; positions], vec![0.0; positions]],
            statistic: Statistic::new(length, 1.0, 0.0),
            hopeless: true,
            first: None,
        }
    }

    /// Forgets the stretch.
    pub(super) fn clear(&mut self) {
        self.first = None;
    }

    /// Whether the segment at `position` can be [`search`](Self::search)ed without further samples.
    pub(super) fn covers(&self, position: i64) -> bool {
        // Each up-chirp takes the down-chirps up to `reach` to both sides.
        let positions = (self.correlations[0].len() - 2 * self.reach) as i64;
        self.first.is_some_and(|first| {
            first <= position && position + (SEGMENT + self.window) as i64 <= first + positions
        })
    }

    /// How far apart up-chirp and down-chirp may be from where they belong.
    pub(super) fn reach(&self) -> usize {
        self.reach
    }

    /// Samples that [`correlate`](Self::correlate) takes.
    pub(super) fn span(&self) -> usize {
        self.length - self.reach + self.buffer.len()
    }

    /// Correlates the stretch that starts at stream position `first`, where `samples[0]` stands.
    pub(super) fn correlate(&mut self, samples: &[Complex32], first: i64) {
        let up = self.correlate_one(0, samples);
        let down = self.correlate_one(1, &samples[self.length - self.reach..]);
        self.statistic = up.min(down);
        let most = |values: &[f32]| self.statistic.level(values.iter().copied().fold(0.0, f32::max));
        let [up, down] = &self.correlations;
        self.hopeless = most(down) < CHIRP_LEVEL || most(up) + most(down) < PAIR_LEVEL;
        self.first = Some(first);
    }

    fn correlate_one(&mut self, direction: usize, samples: &[Complex32]) -> Statistic {
        for (value, &sample) in self.buffer.iter_mut().zip(samples) {
            *value = sanitised(sample);
        }
        let correlations = &mut self.correlations[direction];
        let energy = window_energies(&self.buffer, self.length, correlations);
        self.forward.process_with_scratch(&mut self.buffer, &mut self.scratch);
        for (value, &template) in self.buffer.iter_mut().zip(&self.templates[direction]) {
            *value *= template;
        }
        let correlated: f32 = self.buffer.iter().map(|value| value.norm_sqr()).sum();
        self.inverse.process_with_scratch(&mut self.buffer, &mut self.scratch);
        let silence = (LEAST_SHARE * energy) as f32;
        for (correlation, value) in correlations.iter_mut().zip(&self.buffer) {
            let energy = *correlation;
            *correlation =
                if energy > silence { value.norm_sqr() / (self.length as f32 * energy) } else { 0.0 };
        }
        Statistic::new(self.length, energy / self.buffer.len() as f64, f64::from(correlated))
    }

    /// The strongest pair around the first up-chirp that has one, among those in the segment at `position`,
    /// but not before `earliest`. Also gives the position from which on the next preamble may start.
    pub(super) fn search(&self, position: i64, earliest: i64) -> Option<(Detection, i64)> {
        if self.hopeless {
            return None;
        }
        let first = self.first?;
        let from = usize::try_from(position.max(earliest) - first).ok()?;
        let until = usize::try_from(position - first).ok()? + SEGMENT;
        let threshold = self.statistic.correlation(CHIRP_LEVEL);
        let up = &self.correlations[0];
        let passes = |&p: &usize| up[p] >= threshold;
        let crossing = (from..until).filter(passes).find(|&p| self.partner(p, threshold).1 >= PAIR_LEVEL)?;
        let mut best = (crossing, self.partner(crossing, threshold));
        for p in (crossing + 1..crossing + self.window).filter(passes) {
            let partner = self.partner(p, threshold);
            if partner.1 > best.1.1 {
                best = (p, partner);
            }
        }
        let (a, (b, strength)) = best;
        let a = a as f64 + peak_offset(up, a);
        // Shift of the down-chirp against where it belongs.
        let b = b as f64 - self.reach as f64 + peak_offset(&self.correlations[1], b);
        let detection = Detection {
            mode: self.mode,
            position: first + ((a + b) / 2.0).round() as i64,
            cfo: self.rate * (b - a) / 2.0,
            strength,
        };
        Some((detection, first + (crossing + self.window) as i64))
    }

    /// The strongest down-chirp that may belong to the up-chirp at `p`, and the level of both together; 0
    /// if there is none that passes.
    fn partner(&self, p: usize, threshold: f32) -> (usize, f32) {
        let [up, down] = &self.correlations;
        let mut best = (p, 0.0);
        for (q, &value) in (p..).zip(&down[p..=p + 2 * self.reach]) {
            if value > best.1 {
                best = (q, value);
            }
        }
        let (q, value) = best;
        let level = |correlation| self.statistic.level(correlation);
        (q, if value >= threshold { level(up[p]) + level(value) } else { 0.0 })
    }
}

/// Energy of every window of `length` samples without its mean; returns that of all samples.
fn window_energies(samples: &[Complex32], length: usize, energies: &mut [f32]) -> f64 {
    let (mut energy, mut re, mut im) = (0.0, 0.0, 0.0);
    let mut add = |sample: Complex32, sign: f64| {
        energy += sign * f64::from(sample.norm_sqr());
        re += sign * f64::from(sample.re);
        im += sign * f64::from(sample.im);
        (energy, re * re + im * im)
    };
    let mut last = (0.0, 0.0);
    for &sample in &samples[..length] {
        last = add(sample, 1.0);
    }
    let without_mean = |(energy, sum): (f64, f64)| energy - sum / length as f64;
    for (p, out) in energies.iter_mut().enumerate() {
        *out = without_mean(last).max(0.0) as f32;
        if let Some(&next) = samples.get(p + length) {
            add(samples[p], -1.0);
            last = add(next, 1.0);
        }
    }
    let (energy, re, im) = samples.iter().fold((0.0, 0.0, 0.0), |sum, sample| {
        (sum.0 + f64::from(sample.norm_sqr()), sum.1 + f64::from(sample.re), sum.2 + f64::from(sample.im))
    });
    (energy - (re * re + im * im) / samples.len() as f64).max(0.0)
}

/// Where between the neighbours of `p` the peak of a parabola through the magnitudes lies.
fn peak_offset(values: &[f32], p: usize) -> f64 {
    if p == 0 || p + 1 >= values.len() {
        return 0.0;
    }
    let [a, b, c] = [values[p - 1], values[p], values[p + 1]].map(|value| f64::from(value).sqrt());
    let curvature = a - 2.0 * b + c;
    if curvature >= -1e-9 { 0.0 } else { (0.5 * (a - c) / curvature).clamp(-0.5, 0.5) }
}
