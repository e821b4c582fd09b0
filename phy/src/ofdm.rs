//! OFDM: subcarriers → samples and back, one symbol at a time.
//!
//! In: `subcarriers()` complex values of unit mean power. Out: `symbol_samples()` samples of unit mean
//! power (the cyclic prefix first). The receiver's DFT undoes the scale, so a resource element comes back
//! with the power it was given. Reference: 3GPP TS 38.211 §5.3.1.

use std::sync::Arc;

use num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use crate::numerology::Numerology;

/// Planned transforms and their scratch: nothing is allocated per symbol.
pub struct Ofdm {
    numerology: Numerology,
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
    buffer: Vec<Complex32>,
    scratch: Vec<Complex32>,
    bins: Vec<usize>,
}

impl Ofdm {
    /// Plans the transforms of a numerology.
    pub fn new(numerology: Numerology) -> Self {
        let mut planner = FftPlanner::new();
        let forward = planner.plan_fft_forward(numerology.fft_size);
        let inverse = planner.plan_fft_inverse(numerology.fft_size);
        let scratch = forward.get_inplace_scratch_len().max(inverse.get_inplace_scratch_len());
        Self {
            numerology,
            forward,
            inverse,
            buffer: vec![Complex32::default(); numerology.fft_size],
            scratch: vec![Complex32::default(); scratch],
            bins: (0..numerology.subcarriers()).map(|k| numerology.bin(k)).collect(),
        }
    }

    /// Appends one symbol, with a cyclic prefix of `prefix` samples, to `out`.
    pub fn modulate(&mut self, subcarriers: &[Complex32], prefix: usize, out: &mut Vec<Complex32>) {
        let scale = 1.0 / (self.bins.len() as f32).sqrt();
        self.buffer.fill(Complex32::default());
        for (&bin, &value) in self.bins.iter().zip(subcarriers) {
            self.buffer[bin] = value * scale;
        }
        self.inverse.process_with_scratch(&mut self.buffer, &mut self.scratch);
        let length = self.buffer.len();
        out.extend_from_slice(&self.buffer[length - prefix..]);
        out.extend_from_slice(&self.buffer);
    }

    /// Transforms `fft_size` samples (no prefix), turned by −`cfo` cycles per sample with phase zero at
    /// `phase_origin` samples before the first, and writes the occupied subcarriers, taken `shift` bins up.
    pub fn demodulate(
        &mut self,
        samples: &[Complex32],
        cfo: f64,
        phase_origin: i64,
        shift: i32,
        subcarriers: &mut [Complex32],
    ) {
        self.buffer.copy_from_slice(&samples[..self.numerology.fft_size]);
        derotate(&mut self.buffer, cfo, phase_origin);
        self.forward.process_with_scratch(&mut self.buffer, &mut self.scratch);
        let length = self.buffer.len();
        let scale = (self.bins.len() as f32).sqrt() / length as f32;
        for (value, &bin) in subcarriers.iter_mut().zip(&self.bins) {
            let bin = (bin as i32 + shift).rem_euclid(length as i32) as usize;
            *value = self.buffer[bin] * scale;
        }
    }

    /// Impulse response of `fft_size` taps from a response on the subcarriers (zero outside the band).
    pub fn impulse_response(&mut self, response: &[Complex32], taps: &mut Vec<Complex32>) {
        self.buffer.fill(Complex32::default());
        for (&bin, &value) in self.bins.iter().zip(response) {
            self.buffer[bin] = value;
        }
        self.inverse.process_with_scratch(&mut self.buffer, &mut self.scratch);
        let scale = 1.0 / self.bins.len() as f32;
        taps.clear();
        taps.extend(self.buffer.iter().map(|&tap| tap * scale));
    }
}

/// Multiplies sample `i` by exp(−j2π·cfo·(origin + i)).
///
/// The phasor is advanced by multiplication and set exactly again every 64 samples, so that neither time
/// nor rounding adds up over a long frame.
pub fn derotate(samples: &mut [Complex32], cfo: f64, origin: i64) {
    const EXACT_EVERY: usize = 64;
    let turn = |cycles: f64| {
        let (sin, cos) = (-std::f64::consts::TAU * cycles.fract()).sin_cos();
        Complex32::new(cos as f32, sin as f32)
    };
    let step = turn(cfo);
    for (block, chunk) in samples.chunks_mut(EXACT_EVERY).enumerate() {
        let mut phasor = turn(cfo * (origin + (block * EXACT_EVERY) as i64) as f64);
        for sample in chunk {
            *sample *= phasor;
            phasor *= step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_comes_back_and_has_unit_power() {
        let numerology = Numerology::default();
        let mut ofdm = Ofdm::new(numerology);
        let sent: Vec<_> = (0..numerology.subcarriers())
            .map(|k| Complex32::from_polar(1.0, (k * k) as f32 * 0.37))
            .collect();
        let mut samples = Vec::new();
        ofdm.modulate(&sent, numerology.cyclic_prefix, &mut samples);
        let power: f32 = samples[numerology.cyclic_prefix..].iter().map(|s| s.norm_sqr()).sum();
        assert!((power / numerology.fft_size as f32 - 1.0).abs() < 1e-4, "{power}");
        let mut received = vec![Complex32::default(); numerology.subcarriers()];
        ofdm.demodulate(&samples[numerology.cyclic_prefix..], 0.0, 0, 0, &mut received);
        for (a, b) in sent.iter().zip(&received) {
            assert!((a - b).norm() < 1e-5);
        }
    }

    #[test]
    fn derotation_undoes_a_carrier_offset_far_from_its_origin() {
        let cfo = 0.003_217;
        let origin = 1_000_003;
        let mut samples: Vec<_> = (0..2000)
            .map(|i| {
                let phase = std::f64::consts::TAU * cfo * (origin + i) as f64;
                Complex32::new(phase.cos() as f32, phase.sin() as f32)
            })
            .collect();
        derotate(&mut samples, cfo, origin);
        assert!(samples.iter().all(|s| (s - Complex32::new(1.0, 0.0)).norm() < 1e-4));
    }
}
