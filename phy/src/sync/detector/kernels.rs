//! The loops of the screening that run over every sample.

use num_complex::Complex32;

use crate::simd::dispatched;

/// Positions that share one estimate of the energy under the chirp, and one maximum.
pub(super) const SEGMENT: usize = 64;

/// Values that are worked on together.
const LANES: usize = 16;

/// Energy and sum of a segment's samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Moments {
    pub energy: f32,
    pub sum: Complex32,
}

dispatched! {
    /// Copies whole segments of samples, and gives the moments of each.
    pub(super) fn load(samples: &[Complex32], out: &mut [Complex32], moments: &mut [Moments]) {
        let segments = samples.as_chunks::<SEGMENT>().0.iter().zip(out.as_chunks_mut::<SEGMENT>().0);
        for ((segment, out), moments) in segments.zip(moments) {
            let (mut energy, mut re, mut im) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
            for group in segment.as_chunks::<LANES>().0 {
                for lane in 0..LANES {
                    let value = group[lane];
                    energy[lane] += value.re * value.re + value.im * value.im;
                    re[lane] += value.re;
                    im[lane] += value.im;
                }
            }
            *out = *segment;
            let sum = Complex32::new(sum(&re), sum(&im));
            *moments = Moments { energy: self::sum(&energy), sum };
        }
    }
}

dispatched! {
    /// `product` = `spectrum` · `template`, element by element; returns the energy of the product.
    pub(super) fn multiply(
        spectrum: &[Complex32],
        template: &[Complex32],
        product: &mut [Complex32],
    ) -> f32 {
        let mut energy = [0.0; LANES];
        let factors = spectrum.as_chunks::<LANES>().0.iter().zip(template.as_chunks::<LANES>().0);
        for ((a, b), product) in factors.zip(product.as_chunks_mut::<LANES>().0) {
            for lane in 0..LANES {
                let re = a[lane].re * b[lane].re - a[lane].im * b[lane].im;
                let im = a[lane].re * b[lane].im + a[lane].im * b[lane].re;
                energy[lane] += re * re + im * im;
                product[lane] = Complex32::new(re, im);
            }
        }
        sum(&energy)
    }
}

dispatched! {
    /// The largest squared magnitude of every group of `values.len() / maxima.len()` values, which must be a
    /// multiple of 16.
    pub(super) fn peaks(values: &[Complex32], maxima: &mut [f32]) {
        let group = values.len() / maxima.len();
        for (values, maximum) in values.chunks_exact(group).zip(maxima) {
            let mut most = [0.0; LANES];
            for values in values.as_chunks::<LANES>().0 {
                for lane in 0..LANES {
                    let value = values[lane];
                    most[lane] = larger(most[lane], value.re * value.re + value.im * value.im);
                }
            }
            *maximum = halves(&most, larger);
        }
    }
}

/// One instruction, which `f32::max` with its rule for NaN is not.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

#[inline(always)]
fn sum(values: &[f32; LANES]) -> f32 {
    halves(values, |a, b| a + b)
}

/// Combines both halves, then both halves of that, down to one value.
#[inline(always)]
fn halves(values: &[f32; LANES], combine: impl Fn(f32, f32) -> f32) -> f32 {
    let mut values = *values;
    let mut count = LANES / 2;
    while count > 0 {
        for lane in 0..count {
            values[lane] = combine(values[lane], values[lane + count]);
        }
        count /= 2;
    }
    values[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Instructions;

    #[test]
    fn every_version_does_what_its_name_says() {
        let a: Vec<_> =
            (0..192).map(|n| Complex32::new((n as f32).sin(), (0.7 * n as f32).cos() - 0.3)).collect();
        let b: Vec<_> = a.iter().rev().map(|value| value.conj() * 0.5).collect();
        for version in Instructions::all_available() {
            let (mut out, mut moments) = (vec![Complex32::default(); 192], [Moments::default(); 3]);
            load(version, &a, &mut out, &mut moments);
            assert_eq!(out, a);
            for (segment, moments) in a.chunks(SEGMENT).zip(&moments) {
                let energy: f32 = segment.iter().map(|value| value.norm_sqr()).sum();
                assert!((moments.energy - energy).abs() < 1e-4 * energy, "{version:?}");
                assert!((moments.sum - segment.iter().sum::<Complex32>()).norm() < 1e-4, "{version:?}");
            }

            let energy = multiply(version, &a, &b, &mut out);
            for ((a, b), product) in a.iter().zip(&b).zip(&out) {
                assert!((a * b - product).norm() < 1e-6, "{version:?}");
            }
            let expected: f32 = out.iter().map(|value| value.norm_sqr()).sum();
            assert!((energy - expected).abs() < 1e-4 * expected, "{version:?}");

            let mut maxima = [0.0; 4];
            peaks(version, &a, &mut maxima);
            for (values, maximum) in a.chunks(48).zip(maxima) {
                let expected = values.iter().map(|value| value.norm_sqr()).fold(0.0, f32::max);
                assert!((maximum - expected).abs() < 1e-6, "{version:?}");
            }
        }
    }
}
