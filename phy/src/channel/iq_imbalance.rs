//! IQ imbalance of a mixer: y = μ·x + ν·x*, an image of the spectrum at −f.
//!
//! With amplitude mismatch g and phase error φ between the branches μ = (1 + g·e^{jφ})/2 and ν = (1 − g·e^{jφ})/2, here
//! divided by √(|μ|² + |ν|²) so that the power stays. Image rejection |μ|²/|ν|² = (1 + 2g·cos φ + g²)/(1 − 2g·cos φ + g²).
//!
//! Reference: T. Schenk, "RF Imperfections in High-rate Wireless Systems", Springer, 2008, ch. 5.

use num_complex::{Complex32, Complex64};

/// A mixer whose two branches differ.
#[derive(Debug, Clone)]
pub(super) struct IqImbalance {
    direct: Complex32,
    image: Complex32,
}

impl IqImbalance {
    /// Branches that differ by `gain_db` and `phase_deg`.
    pub fn new(gain_db: f64, phase_deg: f64) -> Self {
        let mismatch = Complex64::from_polar(10f64.powf(gain_db / 20.0), phase_deg.to_radians());
        let (direct, image) = ((1.0 + mismatch) / 2.0, (1.0 - mismatch) / 2.0);
        let scale = (direct.norm_sqr() + image.norm_sqr()).sqrt();
        let narrow = |z: Complex64| Complex32::new((z.re / scale) as f32, (z.im / scale) as f32);
        Self { direct: narrow(direct), image: narrow(image) }
    }

    /// Mixes the samples where they lie.
    pub fn apply(&self, samples: &mut [Complex32]) {
        for sample in samples {
            *sample = self.direct * *sample + self.image * sample.conj();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    #[test]
    fn image_rejection_is_that_of_gain_and_phase() {
        // 1 dB and 5° give 23.0 dB by the formula of the module.
        for (gain_db, phase_deg) in [(1.0, 0.0), (0.0, 5.0), (1.0, 5.0), (-0.3, 1.0)] {
            let tone = |n: usize, f: f64| Complex64::cis(TAU * f * n as f64 / 1000.0);
            let mut samples: Vec<Complex32> =
                (0..1000).map(|n| tone(n, 37.0)).map(|z| Complex32::new(z.re as f32, z.im as f32)).collect();
            IqImbalance::new(gain_db, phase_deg).apply(&mut samples);
            let at = |f: f64| -> f64 {
                let sum: Complex64 = samples
                    .iter()
                    .enumerate()
                    .map(|(n, x)| Complex64::new(f64::from(x.re), f64::from(x.im)) * tone(n, -f))
                    .sum();
                (sum / 1000.0).norm_sqr()
            };
            let (direct, image) = (at(37.0), at(-37.0));
            let g = 10f64.powf(gain_db / 20.0);
            let cosine = 2.0 * g * phase_deg.to_radians().cos();
            let expected_db = 10.0 * ((1.0 + g * g + cosine) / (1.0 + g * g - cosine)).log10();
            let measured_db = 10.0 * (direct / image).log10();
            assert!((measured_db - expected_db).abs() < 0.05, "{measured_db} dB, expected {expected_db} dB");
            assert!((direct + image - 1.0).abs() < 1e-4, "power {}", direct + image);
        }
    }
}
