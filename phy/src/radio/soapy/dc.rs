//! Takes the mean out of a stream: the spike that direct-conversion receivers have at their centre.
//!
//! y\[n] = x\[n] − m\[n], m\[n+1] = m\[n] + α·y\[n]: a high-pass with its −3 dB at α·fs/2π. With α = 2⁻¹⁴ that is 75 Hz at
//! 7.68 Msamples/s, far below half a subcarrier's spacing, and nothing is sent at DC.

use num_complex::Complex32;

/// Share of a sample in the mean.
const ALPHA: f32 = 1.0 / 16_384.0;
/// Samples whose mean the filter begins with, so that it need not first find it.
const FIRST: usize = 4096;

/// The filter's memory.
#[derive(Debug, Clone, Default)]
pub struct DcFilter {
    mean: Option<Complex32>,
}

impl DcFilter {
    /// Filters samples in place.
    pub fn filter(&mut self, samples: &mut [Complex32]) {
        if samples.is_empty() {
            return;
        }
        let mut mean = self.mean.unwrap_or_else(|| {
            let first = &samples[..samples.len().min(FIRST)];
            first.iter().sum::<Complex32>() / first.len() as f32
        });
        for sample in samples {
            *sample -= mean;
            mean += *sample * ALPHA;
        }
        self.mean = Some(mean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_goes_and_a_tone_stays() {
        let offset = Complex32::new(0.3, -0.2);
        let tone = |n: usize| Complex32::from_polar(0.1, n as f32 * 0.05);
        let mut samples: Vec<Complex32> = (0..100_000).map(|n| tone(n) + offset).collect();
        let mut filter = DcFilter::default();
        for block in samples.chunks_mut(1000) {
            filter.filter(block);
        }
        let rest: f32 = samples
            .iter()
            .enumerate()
            .skip(1000)
            .map(|(n, sample)| (sample - tone(n)).norm_sqr())
            .sum::<f32>()
            / 99_000.0;
        assert!(rest < 1e-5, "{rest}");
    }
}
