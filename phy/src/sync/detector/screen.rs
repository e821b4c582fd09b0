//! Screening: a block of samples → which segments of it may hold the start of an up-chirp, for each mode.
//!
//! Overlap-save: one DFT of the block serves all modes; each multiplies it with the spectrum of its chirp
//! and transforms back. A correlation fills the occupied band only, so the way back takes just the bins
//! around it: the correlation comes out at a lower rate that still meets every peak within 3 dB. The energy under
//! the chirp is estimated from the segments that it touches. What passes is looked at closely
//! by [`pair`](super::pair), so neither costs more than a little sensitivity.

use std::sync::Arc;

use num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use super::{
    CHIRP_LEVEL,
    kernels::{self, Moments, SEGMENT},
    statistic::{GARBAGE, LEAST_SHARE, Statistic, sanitised, template},
};
use crate::{mode::Mode, numerology::Numerology, simd::Instructions};

/// One mode's up-chirp.
struct Correlator {
    mode: Mode,
    length: usize,
    /// The spectrum's kept bins, conjugate, in the order of the short inverse transform.
    template: Vec<Complex32>,
    /// The largest |correlation|² in each segment of positions.
    maxima: Vec<f32>,
    /// |correlation|² over the energy under the chirp from which on a closer look is worth it.
    threshold: f64,
}

/// Energy and sum of all samples before some segment.
#[derive(Clone, Copy, Debug, Default)]
struct Running {
    energy: f64,
    re: f64,
    im: f64,
}

impl Running {
    fn plus(self, moments: &Moments) -> Self {
        Self {
            energy: self.energy + f64::from(moments.energy),
            re: self.re + f64::from(moments.sum.re),
            im: self.im + f64::from(moments.sum.im),
        }
    }

    /// Energy of the `count` samples between `earlier` and here, without their mean.
    fn energy_since(&self, earlier: &Self, count: usize) -> f64 {
        let (re, im) = (self.re - earlier.re, self.im - earlier.im);
        (self.energy - earlier.energy - (re * re + im * im) / count as f64).max(0.0)
    }
}

/// The up-chirps of all modes against one block after the other.
pub(super) struct Screen {
    instructions: Instructions,
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
    correlators: [Correlator; Mode::ALL.len()],
    spectrum: Vec<Complex32>,
    product: Vec<Complex32>,
    scratch: Vec<Complex32>,
    moments: Vec<Moments>,
    /// One more than segments: before each, and after the last.
    running: Vec<Running>,
    positions: usize,
}

impl Screen {
    pub(super) fn new(numerology: &Numerology) -> Self {
        let longest =
            Mode::ALL.map(|mode| mode.chirp_samples(numerology)).into_iter().max().unwrap_or(SEGMENT);
        let block = 4 * longest;
        // Values 1/(1.14 B) apart meet the peak of a chirp of bandwidth B within 3 dB.
        let needed = 1.14 * numerology.occupied_fraction();
        let quarters = [2, 3].into_iter().find(|&quarters| quarters as f64 >= 4.0 * needed).unwrap_or(4);
        let kept = block / 4 * quarters;
        let mut planner = FftPlanner::new();
        let forward = planner.plan_fft_forward(block);
        let inverse = planner.plan_fft_inverse(kept);
        let scratch = forward.get_inplace_scratch_len().max(inverse.get_inplace_scratch_len());
        let mut scratch = vec![Complex32::default(); scratch];
        let correlators = Mode::ALL.map(|mode| {
            let mut template = template(mode, numerology, true);
            template.resize(block, Complex32::default());
            forward.process_with_scratch(&mut template, &mut scratch);
            template.drain(kept / 2..block - kept / 2);
            template.iter_mut().for_each(|value| *value = value.conj() / block as f32);
            Correlator {
                mode,
                length: mode.chirp_samples(numerology),
                template,
                maxima: vec![0.0; block / SEGMENT],
                threshold: 0.0,
            }
        });
        Self {
            instructions: Instructions::detect(),
            forward,
            inverse,
            correlators,
            spectrum: vec![Complex32::default(); block],
            product: vec![Complex32::default(); kept],
            scratch,
            moments: vec![Moments::default(); block / SEGMENT],
            running: vec![Running::default(); block / SEGMENT + 1],
            positions: block - longest,
        }
    }

    /// Samples of a block.
    pub(super) fn block(&self) -> usize {
        self.spectrum.len()
    }

    /// Positions that a block tests, from its first sample on; whole segments.
    pub(super) fn positions(&self) -> usize {
        self.positions
    }

    /// Calls `candidate` with the first position and the mode of every segment that deserves a closer look,
    /// in the order of positions. `samples` are one block.
    pub(super) fn run(&mut self, samples: &[Complex32], mut candidate: impl FnMut(usize, Mode)) {
        self.load(samples);
        let count = samples.len();
        let energy = self.running[self.moments.len()].energy_since(&self.running[0], count);
        if energy < f64::from(f32::MIN_POSITIVE) {
            return;
        }
        self.forward.process_with_scratch(&mut self.spectrum, &mut self.scratch);
        for correlator in &mut self.correlators {
            let half = self.product.len() / 2;
            let (low, high) = self.product.split_at_mut(half);
            let (template_low, template_high) = correlator.template.split_at(half);
            let correlated = kernels::multiply(self.instructions, &self.spectrum[..half], template_low, low)
                + kernels::multiply(self.instructions, &self.spectrum[count - half..], template_high, high);
            self.inverse.process_with_scratch(&mut self.product, &mut self.scratch);
            kernels::peaks(self.instructions, &self.product, &mut correlator.maxima);
            let statistic = Statistic::new(correlator.length, energy / count as f64, f64::from(correlated));
            correlator.threshold = correlator.length as f64 * f64::from(statistic.correlation(CHIRP_LEVEL));
        }
        let silence = LEAST_SHARE * energy;
        for segment in 0..self.positions / SEGMENT {
            for correlator in &self.correlators {
                // The windows that start in the segment reach into one segment more than they fill.
                let touched = correlator.length + SEGMENT;
                let end = &self.running[segment + touched / SEGMENT];
                let share = correlator.length as f64 / touched as f64;
                let energy = share * end.energy_since(&self.running[segment], touched);
                if f64::from(correlator.maxima[segment]) >= correlator.threshold * energy.max(silence) {
                    candidate(segment * SEGMENT, correlator.mode);
                }
            }
        }
    }

    /// Fills `spectrum` with the samples, garbage replaced by zeros, and sums up their moments.
    fn load(&mut self, samples: &[Complex32]) {
        kernels::load(self.instructions, samples, &mut self.spectrum, &mut self.moments);
        for (moments, values) in self.moments.iter_mut().zip(self.spectrum.chunks_exact_mut(SEGMENT)) {
            if moments.energy < GARBAGE {
                continue;
            }
            values.iter_mut().for_each(|value| *value = sanitised(*value));
            *moments = Moments {
                energy: values.iter().map(|value| value.norm_sqr()).sum(),
                sum: values.iter().sum(),
            };
        }
        let mut running = Running::default();
        for (before, moments) in self.running.iter_mut().zip(&self.moments) {
            *before = running;
            running = running.plus(moments);
        }
        self.running[self.moments.len()] = running;
    }
}
