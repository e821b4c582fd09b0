//! More symbols than there are values to send: what is sent is sent again from its beginning, and the receiver adds up what it got.
//!
//! Symbols of a picture are in the order of their values' variances, so what is repeated first is that of which noise spoils most.
//! Nothing is told of it: symbols beyond those of the rates are repetitions.

use std::borrow::Cow;

use num_complex::Complex32;

use crate::LEAST_VARIANCE;

/// Repeats symbols, in their order and as often as it takes, until they are as many as `length`.
pub fn repeat(symbols: &mut Vec<Complex32>, length: usize) {
    let own = symbols.len();
    let again: Vec<Complex32> = symbols.iter().copied().cycle().take(length.saturating_sub(own)).collect();
    symbols.extend(again);
}

/// `own` symbols and their noise variances from those that came, `own` or more: each as the mean of all that came of it, weighed by
/// how little noise it has. What never came has an infinite variance.
pub fn gather<'a>(
    symbols: &'a [Complex32],
    noise_variance: &'a [f32],
    own: usize,
) -> (Cow<'a, [Complex32]>, Cow<'a, [f32]>) {
    if symbols.len() <= own {
        return (symbols.into(), noise_variance.into());
    }
    let (mut sums, mut weights) = (vec![Complex32::ZERO; own], vec![0.0_f32; own]);
    for (at, (symbol, variance)) in symbols.iter().zip(noise_variance).enumerate() {
        if own > 0 && symbol.is_finite() && *variance >= 0.0 && variance.is_finite() {
            let weight = variance.max(LEAST_VARIANCE).recip();
            sums[at % own] += symbol * weight;
            weights[at % own] += weight;
        }
    }
    let variances = weights.iter().map(|weight| weight.recip()).collect();
    let known = |(sum, weight): (Complex32, f32)| if weight > 0.0 { sum / weight } else { Complex32::ZERO };
    (sums.into_iter().zip(weights).map(known).collect(), variances)
}

/// How far symbols can be trusted on average, 0 to 1.
pub fn mean_trust(noise_variance: &[f32]) -> f32 {
    let trust = |variance: &f32| f64::from(if *variance >= 0.0 { 1.0 / (1.0 + variance) } else { 0.0 });
    (noise_variance.iter().map(trust).sum::<f64>() / noise_variance.len().max(1) as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_twice_has_less_noise_and_what_never_came_has_no_end_of_it() {
        let mut sent = vec![Complex32::new(1.0, 0.0), Complex32::new(0.0, 2.0), Complex32::new(3.0, 0.0)];
        repeat(&mut sent, 2);
        assert_eq!(sent.len(), 3);
        repeat(&mut sent, 5);
        assert_eq!(sent[3..], [sent[0], sent[1]]);
        sent[0] += 0.3;
        let (symbols, variance) = gather(&sent, &[0.2, f32::INFINITY, f32::INFINITY, 0.1, 0.5], 3);
        assert!((symbols[0] - Complex32::new(1.1, 0.0)).norm() < 1e-6, "{}", symbols[0]);
        assert!((variance[0] - 0.2 / 3.0).abs() < 1e-6);
        assert_eq!((symbols[1], variance[1]), (Complex32::new(0.0, 2.0), 0.5));
        assert_eq!((symbols[2], variance[2]), (Complex32::ZERO, f32::INFINITY));
        assert!(gather(&sent, &[0.1; 5], 0).0.is_empty());
        assert_eq!(gather(&sent[..3], &[0.1; 3], 3).0[..], sent[..3]);
    }

    #[test]
    fn no_symbols_stay_none() {
        let mut none = Vec::new();
        repeat(&mut none, 5);
        assert!(none.is_empty());
    }
}
