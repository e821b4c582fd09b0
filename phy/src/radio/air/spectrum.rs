//! Power spectrum for a display: samples → decibels in bins from −fs/2 up, by Welch's method.
//!
//! Hann windows of one bin count, overlapping by half, averaged; 0 dB is the density of white noise of power 1.
//! P. Welch, "The use of fast Fourier transform for the estimation of power spectra", IEEE Trans. AU 15(2), 1967.

use num_complex::Complex32;
use rustfft::FftPlanner;

/// Below this a bin shows nothing.
const FLOOR_DB: f32 = -200.0;

/// The spectrum in `bins` bins (8 to 4096, else the nearest of these); empty if there are fewer samples than bins.
pub fn spectrum_db(samples: &[Complex32], bins: usize) -> Vec<f32> {
    let bins = bins.clamp(8, 4096);
    if samples.len() < bins {
        return Vec::new();
    }
    let window: Vec<f32> =
        (0..bins).map(|n| 0.5 - 0.5 * (std::f32::consts::TAU * n as f32 / bins as f32).cos()).collect();
    let window_power: f32 = window.iter().map(|w| w * w).sum();
    let fft = FftPlanner::new().plan_fft_forward(bins);
    let mut power = vec![0f32; bins];
    let mut windows = 0;
    let mut part = vec![Complex32::default(); bins];
    for start in (0..=samples.len() - bins).step_by((bins / 2).max(1)) {
        for ((out, sample), weight) in part.iter_mut().zip(&samples[start..]).zip(&window) {
            *out = sample * weight;
        }
        fft.process(&mut part);
        for (bin, value) in part.iter().enumerate() {
            power[(bin + bins / 2) % bins] += value.norm_sqr();
        }
        windows += 1;
    }
    let scale = 1.0 / (window_power * windows as f32);
    power.iter().map(|power| (10.0 * (power * scale).log10()).max(FLOOR_DB)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_stands_in_its_bin_and_silence_at_the_floor() {
        let tone: Vec<Complex32> =
            (0..4096).map(|n| Complex32::cis(-std::f32::consts::TAU * 0.25 * n as f32)).collect();
        let spectrum = spectrum_db(&tone, 64);
        // −fs/4 lies a quarter of the way up. All power in one bin of 64, less the 1.76 dB of the window.
        assert!((spectrum[16] - (10.0 * 64f32.log10() - 1.76)).abs() < 0.05, "{}", spectrum[16]);
        assert!(spectrum[..14].iter().chain(&spectrum[19..]).all(|&db| db < -60.0), "{spectrum:?}");
        assert_eq!(spectrum_db(&[Complex32::default(); 64], 64), [FLOOR_DB; 64]);
        assert!(spectrum_db(&tone[..10], 64).is_empty());
    }

    #[test]
    fn white_noise_of_power_one_is_at_0_db() {
        let mut state = 1u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((state >> 40) as f32 / (1 << 24) as f32 - 0.5) * 6f32.sqrt()
        };
        let noise: Vec<Complex32> = (0..100_000).map(|_| Complex32::new(uniform(), uniform())).collect();
        assert!(spectrum_db(&noise, 128).iter().all(|db| db.abs() < 1.0));
    }
}
