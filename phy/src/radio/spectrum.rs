//! Power spectrum of received samples: Welch's method with a Hann window and half overlap (P. D. Welch, "The use of fast Fourier transform
//! for the estimation of power spectra", IEEE Trans. Audio Electroacoust. 15, 1967).

use std::sync::Arc;

use num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

/// Averages spectra of a stream.
pub struct Spectrum {
    fft: Arc<dyn Fft<f32>>,
    window: Vec<f32>,
    /// Power of the window, by which a segment's spectrum is divided.
    scale: f32,
    pending: Vec<Complex32>,
    buffer: Vec<Complex32>,
    scratch: Vec<Complex32>,
    power: Vec<f64>,
    segments: u64,
    peak: f32,
}

impl Spectrum {
    /// Fewest and most bins.
    pub const BINS: std::ops::RangeInclusive<usize> = 8..=65_536;

    /// With this many bins over the sampled band, from 8 to 65,536; what lies outside is brought into that range.
    pub fn new(bins: usize) -> Self {
        let bins = bins.clamp(*Self::BINS.start(), *Self::BINS.end());
        let fft = FftPlanner::new().plan_fft_forward(bins);
        let window: Vec<f32> = (0..bins)
            .map(|n| 0.5 - 0.5 * (2.0 * std::f32::consts::PI * n as f32 / bins as f32).cos())
            .collect();
        let scale = 1.0 / (bins as f32 * window.iter().map(|w| w * w).sum::<f32>());
        Self {
            scratch: vec![Complex32::default(); fft.get_inplace_scratch_len()],
            buffer: vec![Complex32::default(); bins],
            power: vec![0.0; bins],
            pending: Vec::new(),
            segments: 0,
            peak: 0.0,
            fft,
            window,
            scale,
        }
    }

    /// Takes samples that follow on the former ones.
    pub fn push(&mut self, samples: &[Complex32]) {
        self.peak =
            samples.iter().fold(self.peak, |peak, sample| peak.max(sample.re.abs()).max(sample.im.abs()));
        self.pending.extend_from_slice(samples);
        let bins = self.window.len();
        let mut at = 0;
        while at + bins <= self.pending.len() {
            for ((value, sample), weight) in self.buffer.iter_mut().zip(&self.pending[at..]).zip(&self.window)
            {
                *value = sample * weight;
            }
            self.fft.process_with_scratch(&mut self.buffer, &mut self.scratch);
            for (bin, power) in self.power.iter_mut().enumerate() {
                // The lowest frequency first.
                let value = self.buffer[(bin + bins / 2) % bins];
                *power += f64::from(value.norm_sqr() * self.scale);
            }
            self.segments += 1;
            at += bins / 2;
        }
        self.pending.drain(..at);
    }

    /// Power in each bin in dB of full scale, the lowest frequency first; all bins together hold the mean power of the samples. Empty
    /// before there was a bin's worth of them.
    pub fn dbfs(&self) -> Vec<f64> {
        if self.segments == 0 {
            return Vec::new();
        }
        let least = 1e-20;
        self.power.iter().map(|power| 10.0 * (power / self.segments as f64).max(least).log10()).collect()
    }

    /// Largest real or imaginary part so far.
    pub fn peak(&self) -> f32 {
        self.peak
    }

    /// Samples that are averaged.
    pub fn samples(&self) -> u64 {
        self.segments * (self.window.len() / 2) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_stands_at_its_frequency_with_its_power() {
        let mut spectrum = Spectrum::new(64);
        // A quarter of the band above the centre, 6 dB below full scale, in uneven pieces.
        let samples: Vec<Complex32> =
            (0..10_000).map(|n| Complex32::from_polar(0.5, std::f32::consts::FRAC_PI_2 * n as f32)).collect();
        for piece in samples.chunks(77) {
            spectrum.push(piece);
        }
        let dbfs = spectrum.dbfs();
        let strongest = (0..64).max_by(|a, b| dbfs[*a].total_cmp(&dbfs[*b]));
        assert_eq!(strongest, Some(48));
        let total = 10.0 * dbfs.iter().map(|db| 10f64.powf(db / 10.0)).sum::<f64>().log10();
        assert!((total + 6.02).abs() < 0.01, "{total} dB");
        assert!(dbfs[0] < -100.0, "{} dB", dbfs[0]);
        assert!((spectrum.peak() - 0.5).abs() < 1e-3);
    }

    #[test]
    fn few_samples_are_no_spectrum() {
        let mut spectrum = Spectrum::new(64);
        spectrum.push(&[Complex32::new(1.0, 0.0); 63]);
        assert!(spectrum.dbfs().is_empty());
        spectrum.push(&[Complex32::new(1.0, 0.0)]);
        assert_eq!(spectrum.dbfs().len(), 64);
    }
}
