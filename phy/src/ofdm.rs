//! OFDM: subcarriers → samples and back, one symbol at a time.
//!
//! In: `subcarriers()` complex values of unit mean power. Out: `symbol_samples()` samples of unit mean
//! power (the cyclic prefix first). The receiver's DFT undoes the scale, so a resource element comes back
//! with the power it was given. Reference: 3GPP TS 38.211 §5.3.1.

use std::sync::Arc;

use num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use crate::{
    numerology::Numerology,
    simd::{Instructions, dispatched},
};

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

    /// Transforms `fft_size` samples (no prefix), less the constant `dc` and freed from a carrier offset whose
    /// phase is zero `phase_origin` samples before the first, and writes the occupied subcarriers.
    pub fn demodulate(
        &mut self,
        samples: &[Complex32],
        dc: Complex32,
        carrier: &Carrier,
        phase_origin: i64,
        subcarriers: &mut [Complex32],
    ) {
        self.spectrum(samples, dc, carrier, phase_origin);
        let scale = (self.bins.len() as f32).sqrt() / self.buffer.len() as f32;
        for (value, &bin) in subcarriers.iter_mut().zip(&self.bins) {
            *value = self.buffer[bin] * scale;
        }
    }

    /// As [`Self::demodulate`], but all bins of the DFT, unscaled.
    pub fn spectrum(
        &mut self,
        samples: &[Complex32],
        dc: Complex32,
        carrier: &Carrier,
        phase_origin: i64,
    ) -> &[Complex32] {
        carrier.derotate(&samples[..self.numerology.fft_size], dc, phase_origin, &mut self.buffer);
        self.forward.process_with_scratch(&mut self.buffer, &mut self.scratch);
        &self.buffer
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

    /// Response on the subcarriers from taps at the delays `first`, `first + 1`, … samples.
    pub fn response(&mut self, first: i32, taps: &[Complex32], response: &mut [Complex32]) {
        self.buffer.fill(Complex32::default());
        let mask = self.buffer.len() - 1;
        for (l, &tap) in taps.iter().enumerate() {
            self.buffer[(first + l as i32) as usize & mask] = tap;
        }
        self.forward.process_with_scratch(&mut self.buffer, &mut self.scratch);
        for (value, &bin) in response.iter_mut().zip(&self.bins) {
            *value = self.buffer[bin];
        }
    }
}

/// Samples for which the turn of a carrier is tabulated.
const TABLE: usize = 64;

/// A carrier offset, ready to be taken out of samples.
#[derive(Clone, Debug)]
pub struct Carrier {
    cfo: f64,
    table: [Complex32; TABLE],
    instructions: Instructions,
}

impl Carrier {
    /// Of `cfo` cycles per sample.
    pub fn new(cfo: f64) -> Self {
        Self {
            cfo,
            table: std::array::from_fn(|n| turn(cfo * n as f64)),
            instructions: Instructions::detect(),
        }
    }

    /// The offset in cycles per sample.
    pub fn cfo(&self) -> f64 {
        self.cfo
    }

    /// Writes (sample `i` − `dc`) × exp(−j2π·cfo·(origin + i)). The phase is exact every 64 samples, so that
    /// neither time nor rounding adds up over a long frame.
    pub fn derotate(&self, samples: &[Complex32], dc: Complex32, origin: i64, out: &mut [Complex32]) {
        for (block, (from, to)) in samples.chunks(TABLE).zip(out.chunks_mut(TABLE)).enumerate() {
            let phasor = turn(self.cfo * (origin + (block * TABLE) as i64) as f64);
            multiply(self.instructions, from, &self.table, dc, phasor, to);
        }
    }
}

dispatched! {
    /// Writes (from − dc)·phasor·table.
    fn multiply(
        from: &[Complex32],
        table: &[Complex32; TABLE],
        dc: Complex32,
        phasor: Complex32,
        to: &mut [Complex32],
    ) {
        for ((to, from), step) in to.iter_mut().zip(from).zip(table) {
            let (re, im) = (from.re - dc.re, from.im - dc.im);
            let turn_re = phasor.re * step.re - phasor.im * step.im;
            let turn_im = phasor.re * step.im + phasor.im * step.re;
            to.re = re * turn_re - im * turn_im;
            to.im = re * turn_im + im * turn_re;
        }
    }
}

fn turn(cycles: f64) -> Complex32 {
    let (sin, cos) = (-std::f64::consts::TAU * cycles.fract()).sin_cos();
    Complex32::new(cos as f32, sin as f32)
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
        let still = Carrier::new(0.0);
        let samples = &samples[numerology.cyclic_prefix..];
        ofdm.demodulate(samples, Complex32::default(), &still, 0, &mut received);
        for (a, b) in sent.iter().zip(&received) {
            assert!((a - b).norm() < 1e-5);
        }
    }

    #[test]
    fn derotation_undoes_a_carrier_offset_far_from_its_origin() {
        let cfo = 0.003_217;
        let origin = 1_000_003;
        let dc = Complex32::new(3.0, -4.0);
        let samples: Vec<_> = (0..2000)
            .map(|i| {
                let phase = std::f64::consts::TAU * cfo * (origin + i) as f64;
                Complex32::new(phase.cos() as f32, phase.sin() as f32) + dc
            })
            .collect();
        let mut still = vec![Complex32::default(); samples.len()];
        Carrier::new(cfo).derotate(&samples, dc, origin, &mut still);
        assert!(still.iter().all(|s| (s - Complex32::new(1.0, 0.0)).norm() < 1e-4));
    }
}
