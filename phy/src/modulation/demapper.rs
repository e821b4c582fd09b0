//! Max-log soft demapper: complex symbol and noise variance → one LLR for each bit.
//!
//! A Gray-mapped square constellation splits into two axes. On an axis with n levels ±1, ±3, …, in
//! units of the constellation's amplitude, the nearest point of the other sign is always ∓1, and the
//! exact max-log value of the sign bit at position u is piecewise linear, steeper by 4 at each boundary
//! between levels: S_n(u) = sgn(u) · 4 (|u| + Σ_{k=1}^{n/2−1} max(0, |u| − 2k)). The next bit is the sign
//! bit of u' = n/2 − |u| with half the levels, and so on. The LLR is S times amplitude² / N₀.
//!
//! Reference: F. Tosato and P. Bisaglia, "Simplified soft-output demapper for binary interleaved COFDM
//! with application to HIPERLAN/2", IEEE ICC 2002 (the folding of the axis; theirs drops the outer
//! segments, which are kept here).

use num_complex::Complex32;

use super::Modulation;
use crate::simd::{Instructions, dispatched};

/// LLRs are limited to this magnitude.
pub const MAX_LLR: f32 = 1e4;

impl Modulation {
    /// Appends the LLRs of one symbol; `noise_variance` is that of the complex noise on it.
    ///
    /// An infinite variance or a NaN anywhere gives zeros, that is an erasure.
    pub fn demap(self, symbol: Complex32, noise_variance: f32, llrs: &mut Vec<f32>) {
        self.demap_all(&[symbol], &[noise_variance], llrs);
    }

    /// Appends the LLRs of symbols with a noise variance for each, in the order of the bits.
    ///
    /// Stops at the end of the shorter slice.
    pub fn demap_all(self, symbols: &[Complex32], noise_variances: &[f32], llrs: &mut Vec<f32>) {
        demap_into(Instructions::detect(), self, symbols, noise_variances, llrs);
    }
}

dispatched! {
    fn demap_into(
        modulation: Modulation,
        symbols: &[Complex32],
        noise_variances: &[f32],
        llrs: &mut Vec<f32>,
    ) {
        match modulation {
            Modulation::Qpsk => demap::<2>(modulation.amplitude(), symbols, noise_variances, llrs),
            Modulation::Qam16 => demap::<4>(modulation.amplitude(), symbols, noise_variances, llrs),
            Modulation::Qam64 => demap::<6>(modulation.amplitude(), symbols, noise_variances, llrs),
            Modulation::Qam256 => demap::<8>(modulation.amplitude(), symbols, noise_variances, llrs),
        }
    }
}

/// Symbols that are worked on together, few enough for the first-level cache.
const BLOCK: usize = 256;

#[inline(always)]
fn demap<const ORDER: usize>(
    amplitude: f32,
    symbols: &[Complex32],
    noise_variances: &[f32],
    llrs: &mut Vec<f32>,
) {
    let per_unit = amplitude.recip();
    let count = symbols.len().min(noise_variances.len());
    let start = llrs.len();
    llrs.resize(start + count * ORDER, 0.0);
    let groups = llrs[start..].as_chunks_mut::<ORDER>().0;
    let mut axes = [[0.0; 2]; BLOCK];
    let mut weights = [[0.0; 2]; BLOCK];
    let mut values = [[[0.0; 2]; BLOCK]; 4];
    for ((groups, symbols), variances) in
        groups.chunks_mut(BLOCK).zip(symbols.chunks(BLOCK)).zip(noise_variances.chunks(BLOCK))
    {
        let axes = &mut axes[..groups.len()];
        let weights = &mut weights[..groups.len()];
        for (axes, symbol) in axes.iter_mut().zip(symbols) {
            *axes = [symbol.re * per_unit, symbol.im * per_unit];
        }
        for (weights, variance) in weights.iter_mut().zip(variances) {
            *weights = [amplitude * amplitude / variance.clamp(f32::MIN_POSITIVE, f32::INFINITY); 2];
        }
        if ORDER >= 8 {
            sign_bits::<8>(axes, weights, &mut values[ORDER / 2 - 4]);
        }
        if ORDER >= 6 {
            sign_bits::<4>(axes, weights, &mut values[ORDER / 2 - 3]);
        }
        if ORDER >= 4 {
            sign_bits::<2>(axes, weights, &mut values[ORDER / 2 - 2]);
        }
        sign_bits::<1>(axes, weights, &mut values[ORDER / 2 - 1]);
        for (index, group) in groups.iter_mut().enumerate() {
            for pair in 0..ORDER / 2 {
                group[2 * pair] = values[pair][index][0];
                group[2 * pair + 1] = values[pair][index][1];
            }
        }
    }
}

/// The values of the sign bits of axes with n = 2 · `HALF` levels; the axes become those of the next bits.
#[inline(always)]
fn sign_bits<const HALF: usize>(axes: &mut [[f32; 2]], weights: &[[f32; 2]], values: &mut [[f32; 2]; BLOCK]) {
    let sides = values.as_flattened_mut().iter_mut().zip(axes.as_flattened_mut());
    for ((value, axis), weight) in sides.zip(weights.as_flattened()) {
        let distance = axis.abs();
        let mut sum = distance;
        for boundary in 1..HALF {
            let beyond = distance - 2.0 * boundary as f32;
            sum += if beyond > 0.0 { beyond } else { 0.0 };
        }
        *value = limit(weight * (4.0 * sum).copysign(*axis));
        *axis = HALF as f32 - distance;
    }
}

/// Keeps LLRs finite; what is not a number becomes an erasure.
#[inline(always)]
fn limit(llr: f32) -> f32 {
    if llr.is_nan() { 0.0 } else { llr.clamp(-MAX_LLR, MAX_LLR) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (min over points with bit 1 − min over points with bit 0 of |y − x|²) / N₀, over all points.
    fn exhaustive(modulation: Modulation, symbol: Complex32, noise_variance: f32) -> Vec<f32> {
        let order = usize::from(modulation.bits_per_symbol());
        let bits: Vec<u8> =
            (0..1usize << order).flat_map(|v| (0..order).map(move |bit| (v >> bit & 1) as u8)).collect();
        let mut points = Vec::new();
        modulation.map(&bits, &mut points);
        let nearest = |bit: usize, value: u8| {
            let points = points.iter().zip(bits.chunks(order)).filter(|(_, group)| group[bit] == value);
            points.map(|(point, _)| (symbol - point).norm_sqr()).fold(f32::INFINITY, f32::min)
        };
        (0..order).map(|bit| (nearest(bit, 1) - nearest(bit, 0)) / noise_variance).collect()
    }

    #[test]
    fn closed_form_equals_the_search_over_all_points() {
        for modulation in Modulation::ALL {
            for step in 0..4000 {
                let angle = step as f32 * 2.399;
                let symbol = Complex32::from_polar((step as f32 / 4000.0).sqrt() * 1.9, angle);
                let mut llrs = Vec::new();
                modulation.demap(symbol, 0.3, &mut llrs);
                for (llr, expected) in llrs.iter().zip(exhaustive(modulation, symbol, 0.3)) {
                    assert!(
                        (llr - expected).abs() < 2e-4 * (1.0 + expected.abs()),
                        "{modulation:?} {symbol} {llr} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn all_versions_give_the_same_bits_at_every_length() {
        for modulation in Modulation::ALL {
            for count in [0, 1, 255, 256, 700] {
                let symbols: Vec<Complex32> =
                    (0..count).map(|i| Complex32::from_polar(i as f32 * 0.003, i as f32)).collect();
                let variances: Vec<f32> = (0..count).map(|i| 0.01 + i as f32 * 0.003).collect();
                let mut expected = Vec::new();
                for (&symbol, &variance) in symbols.iter().zip(&variances) {
                    modulation.demap(symbol, variance, &mut expected);
                }
                for instructions in Instructions::all_available() {
                    let mut llrs = Vec::new();
                    demap_into(instructions, modulation, &symbols, &variances, &mut llrs);
                    assert_eq!(llrs, expected, "{modulation:?} {count} {instructions:?}");
                }
            }
        }
    }

    #[test]
    fn values_that_are_no_measurement_give_finite_llrs() {
        let strange = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, -1.0, 0.0];
        for modulation in Modulation::ALL {
            for re in strange {
                for variance in strange {
                    let mut llrs = Vec::new();
                    modulation.demap(Complex32::new(re, 0.5), variance, &mut llrs);
                    assert_eq!(llrs.len(), usize::from(modulation.bits_per_symbol()));
                    assert!(llrs.iter().all(|llr| llr.abs() <= MAX_LLR));
                    if variance == f32::INFINITY || variance.is_nan() {
                        assert!(llrs.iter().all(|&llr| llr == 0.0));
                    }
                }
            }
        }
    }
}
