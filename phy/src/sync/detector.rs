//! Detection: samples → where a pair of chirps stands in the noise.
//!
//! Both chirps are correlated over every sample (overlap-save, one forward and two inverse DFTs a block).
//! A correlation is divided by the energy under it, so under noise alone it is exponential of mean 1
//! whatever the gain, and the threshold is a constant false-alarm one. The statistic is the sum of the
//! up-chirp's value at p and the largest of the down-chirp's at p + N + δ, |δ| bounded by the CFO range.

use std::sync::Arc;

use num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use super::preamble::{chirp, chirp_rate};
use crate::numerology::Numerology;

/// Least normalised correlation of each chirp.
const SINGLE_THRESHOLD: f32 = 9.0;
/// Least sum of both. Under noise the sum of two exponentials passes 38 once in 10^15 positions; with the
/// hypotheses about CFO that is less than once in an hour at 20 Msamples/s.
const PAIR_THRESHOLD: f32 = 38.0;

/// Largest carrier offset that is searched, as a share of the sample rate or of the subcarrier spacing,
/// whichever is larger: 48 kHz (20 ppm at 2.4 GHz) at 7.68 Msamples/s.
const CFO_RANGE_CYCLES: f64 = 48_000.0 / 7_680_000.0;

/// A preamble that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Position of the preamble's first sample in the stream; off by up to half the channel's spread.
    pub position: i64,
    /// Coarse carrier offset in cycles per sample.
    pub cfo: f64,
    /// Sum of both normalised correlations (at most two DFT lengths).
    pub strength: f32,
}

/// Searches an endless stream.
pub struct Detector {
    length: usize,
    reach: usize,
    window: usize,
    rate: f64,
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
    templates: [Vec<Complex32>; 2],
    spectrum: Vec<Complex32>,
    product: Vec<Complex32>,
    scratch: Vec<Complex32>,
    energy: Vec<f32>,
    /// Normalised correlations from stream position `first` on: up-chirp, down-chirp.
    correlations: [Vec<f32>; 2],
    first: i64,
    tested: i64,
}

impl Detector {
    /// Plans the correlators of a numerology.
    pub fn new(numerology: &Numerology) -> Self {
        let length = numerology.fft_size;
        let block = 4 * length;
        let mut planner = FftPlanner::new();
        let forward = planner.plan_fft_forward(block);
        let inverse = planner.plan_fft_inverse(block);
        let mut scratch = vec![
            Complex32::default();
            forward.get_inplace_scratch_len().max(inverse.get_inplace_scratch_len())
        ];
        let templates = [true, false].map(|upwards| {
            let mut template = chirp(numerology, upwards);
            template.resize(block, Complex32::default());
            forward.process_with_scratch(&mut template, &mut scratch);
            template.iter().map(|value| value.conj() / block as f32).collect()
        });
        let rate = chirp_rate(numerology);
        let most_cfo = CFO_RANGE_CYCLES.max(1.5 / length as f64);
        Self {
            length,
            // Both peaks move, in opposite directions, and paths of the channel may differ by a prefix.
            reach: (2.0 * most_cfo / rate).ceil() as usize + numerology.cyclic_prefix / 2,
            window: 2 * numerology.cyclic_prefix,
            rate,
            forward,
            inverse,
            templates,
            spectrum: vec![Complex32::default(); block],
            product: vec![Complex32::default(); block],
            scratch,
            energy: Vec::with_capacity(block),
            correlations: [Vec::new(), Vec::new()],
            first: 0,
            tested: 0,
        }
    }

    /// Forgets everything and goes on at a stream position.
    pub fn restart(&mut self, position: i64) {
        self.correlations.iter_mut().for_each(Vec::clear);
        self.first = position;
        self.tested = position;
    }

    /// First stream position that has not been correlated.
    fn needed_from(&self) -> i64 {
        self.first + self.correlations[0].len() as i64
    }

    /// First stream position at which a preamble may still be found.
    pub fn oldest_candidate(&self) -> i64 {
        self.tested.min(self.needed_from())
    }

    /// Looks through `samples`, the first of which stands at stream position `start`, for the next
    /// preamble. `None`: more samples are needed.
    pub fn search(&mut self, samples: &[Complex32], start: i64) -> Option<Detection> {
        loop {
            if let Some(detection) = self.test() {
                return Some(detection);
            }
            let offset = usize::try_from(self.needed_from() - start).ok()?;
            let block = samples.get(offset..offset + self.spectrum.len())?;
            self.correlate(block);
        }
    }

    fn correlate(&mut self, block: &[Complex32]) {
        self.spectrum.copy_from_slice(block);
        self.forward.process_with_scratch(&mut self.spectrum, &mut self.scratch);
        let positions = block.len() - self.length + 1;

        self.energy.clear();
        let mut energy: f64 = block[..self.length].iter().map(|s| f64::from(s.norm_sqr())).sum();
        for p in 0..positions {
            self.energy.push(energy as f32);
            if p + 1 < positions {
                energy += f64::from(block[p + self.length].norm_sqr()) - f64::from(block[p].norm_sqr());
                energy = energy.max(0.0);
            }
        }

        let keep = self.length + self.reach + self.window;
        let drop = usize::try_from(self.tested - self.first).unwrap_or(0).min(self.correlations[0].len());
        if drop > 4 * keep {
            self.correlations.iter_mut().for_each(|c| drop_front(c, drop));
            self.first += drop as i64;
        }

        for (correlation, template) in self.correlations.iter_mut().zip(&self.templates) {
            for ((out, &a), &b) in self.product.iter_mut().zip(&self.spectrum).zip(template) {
                *out = a * b;
            }
            self.inverse.process_with_scratch(&mut self.product, &mut self.scratch);
            correlation.extend(self.product[..positions].iter().zip(&self.energy).map(|(value, &energy)| {
                let value = value.norm_sqr() / (energy + f32::MIN_POSITIVE);
                if value.is_finite() { value } else { 0.0 }
            }));
        }
    }

    fn test(&mut self) -> Option<Detection> {
        let [up, down] = &self.correlations;
        let margin = self.length + self.reach + self.window + 2;
        let last = up.len().checked_sub(margin)?;
        let from = usize::try_from(self.tested - self.first).unwrap_or(0);
        for p in from..last {
            if up[p] < SINGLE_THRESHOLD || self.pair(up, down, p).1 < PAIR_THRESHOLD {
                continue;
            }
            // The first crossing stands on the slope of the peak: take the best of the next positions.
            let best = (p..p + self.window)
                .filter(|&q| up[q] >= SINGLE_THRESHOLD)
                .max_by(|&a, &b| self.pair(up, down, a).1.total_cmp(&self.pair(up, down, b).1))
                .unwrap_or(p);
            let (other, strength) = self.pair(up, down, best);
            let a = best as f64 + peak_offset(up, best);
            let b = other as f64 + peak_offset(down, other);
            let length = self.length as f64;
            let detection = Detection {
                position: self.first + ((a + b - length) / 2.0).round() as i64,
                cfo: self.rate * (b - a - length) / 2.0,
                strength,
            };
            self.tested = self.first + (p + self.window) as i64;
            return Some(detection);
        }
        self.tested = self.tested.max(self.first + last as i64);
        None
    }

    /// Where the down-chirp that fits an up-chirp at `p` is strongest, and the statistic of the pair.
    fn pair(&self, up: &[f32], down: &[f32], p: usize) -> (usize, f32) {
        let centre = p + self.length;
        let mut best = (centre, 0.0);
        for (q, &value) in (centre - self.reach..=centre + self.reach).zip(&down[centre - self.reach..]) {
            if value > best.1 {
                best = (q, value);
            }
        }
        let sum = if best.1 < SINGLE_THRESHOLD { 0.0 } else { up[p] + best.1 };
        (best.0, sum)
    }
}

fn drop_front(values: &mut Vec<f32>, count: usize) {
    values.copy_within(count.., 0);
    values.truncate(values.len() - count);
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

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};
    use rand_distr::StandardNormal;

    use super::*;
    use crate::{ofdm::Ofdm, sync::preamble::preamble};

    fn noise(rng: &mut StdRng, variance: f32) -> Complex32 {
        let scale = (variance / 2.0).sqrt();
        Complex32::new(rng.sample::<f32, _>(StandardNormal), rng.sample::<f32, _>(StandardNormal)) * scale
    }

    #[test]
    fn finds_time_and_carrier_offset_below_the_noise() {
        let numerology = Numerology::default();
        let pattern = preamble(&numerology, &mut Ofdm::new(numerology));
        let mut rng = StdRng::seed_from_u64(1);
        for trial in 0..20 {
            let cfo = rng.random_range(-0.006..0.006);
            let position = 5000 + 137 * trial;
            // −7 dB per complex sample
            let mut samples: Vec<_> = (0..16_000).map(|_| noise(&mut rng, 5.0)).collect();
            for (n, &value) in pattern.iter().enumerate() {
                let phase = std::f64::consts::TAU * cfo * n as f64;
                samples[position + n] += value * Complex32::new(phase.cos() as f32, phase.sin() as f32);
            }
            let found = Detector::new(&numerology).search(&samples, 0).expect("a preamble is there");
            assert!((found.position - position as i64).abs() <= 2, "{found:?} instead of {position}");
            assert!((found.cfo - cfo).abs() < 0.8 / 512.0, "{found:?} instead of {cfo}");
        }
    }

    #[test]
    fn stays_silent_on_noise_and_on_a_carrier() {
        let numerology = Numerology::default();
        let mut rng = StdRng::seed_from_u64(2);
        let samples: Vec<_> = (0..1_000_000)
            .map(|n| {
                let carrier = if n > 500_000 { Complex32::new(3.0, -2.0) } else { Complex32::default() };
                noise(&mut rng, 1.0) + carrier
            })
            .collect();
        assert_eq!(Detector::new(&numerology).search(&samples, 0), None);
        assert_eq!(Detector::new(&numerology).search(&vec![Complex32::default(); 20_000], 0), None);
    }

    #[test]
    fn result_does_not_depend_on_how_the_stream_is_cut() {
        let numerology = Numerology::default();
        let pattern = preamble(&numerology, &mut Ofdm::new(numerology));
        let mut rng = StdRng::seed_from_u64(3);
        let mut samples: Vec<_> = (0..30_000).map(|_| noise(&mut rng, 1.0)).collect();
        for (n, &value) in pattern.iter().enumerate() {
            samples[17_777 + n] += value;
        }
        let whole = Detector::new(&numerology).search(&samples, 0);
        let mut pieces = Detector::new(&numerology);
        let found = (1..=30).find_map(|piece| pieces.search(&samples[..piece * 1000], 0));
        assert!(whole.is_some());
        assert_eq!(whole, found);
    }
}
