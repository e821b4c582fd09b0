//! Readings over levels → what limits the link at the top and at the bottom.
//!
//! Model: with the transmitter's level g as a power ratio, the error power over the signal's is 1/SNR(g) = a + b/g. a is what grows with the
//! signal (quantisation in proportion, phase noise, estimation): the EVM floor is √a. b is noise that does not depend on it; at
//! level 0 dB the SNR against noise alone is 1/b.
//!
//! Noise figure: with the power P at the receiver's input at level 0 dB known (dBm, in the occupied band B in Hz), F = P − 10·log₁₀(1/b) −
//! 10·log₁₀(k·T₀·B / 1 mW), where k·T₀ is −173.975 dBm/Hz at T₀ = 290 K (IEEE Std 686; ITU-R P.372 §2). Assumed: the noise is white over
//! B and comes from the receiver and a source at T₀ alone, P is right, and the transmitter's own noise falls with its level.

use serde::{Deserialize, Serialize};

use super::probe::Reading;

/// k·T₀ in dBm/Hz at 290 K.
pub const THERMAL_DBM_PER_HZ: f64 = -173.975;

/// What one level gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Level in dB over the usual one; of a sweep of the receiver's gain, that gain.
    pub level_db: f64,
    /// Probes sent.
    pub sent: usize,
    /// Probes that arrived intact.
    pub intact: usize,
    /// Mean SNR in dB as estimated, of those that were heard.
    pub snr_db: Option<f64>,
    /// Root mean square EVM in percent, of those that were heard.
    pub evm_percent: Option<f64>,
}

/// The mean of values, if there are any.
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value;
        count += 1.0;
    }
    (count > 0.0).then(|| sum / count)
}

/// The median of values, if there are any; the mean of the middle two of an even number.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 0 => Some(0.5 * (values[middle - 1] + values[middle])),
        _ => Some(values[middle]),
    }
}

impl Point {
    /// Sums up the readings of `sent` probes at a level.
    pub fn new(level_db: f64, sent: usize, readings: &[Reading]) -> Self {
        Self {
            level_db,
            sent,
            intact: readings.iter().filter(|reading| reading.intact).count(),
            snr_db: mean(readings.iter().map(|reading| reading.snr_db)),
            evm_percent: mean(readings.iter().map(|reading| reading.error_power))
                .map(|power| 100.0 * power.sqrt()),
        }
    }

    /// Whether every probe arrived.
    pub fn works(&self) -> bool {
        self.sent > 0 && self.intact == self.sent
    }
}

/// The two parameters of the model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// EVM in percent that is left at any level.
    pub evm_floor_percent: f64,
    /// SNR in dB against the noise alone, at level 0 dB.
    pub noise_snr_db: f64,
}

/// Fits the model to at least two points that differ in level, by least squares of relative errors; `None` with fewer, or if no noise shows.
pub fn fit(points: &[Point]) -> Option<Fit> {
    // y = a + b·x with x = 1/g and weights 1/y².
    let mut sums = [0.0f64; 5];
    let mut levels: Vec<f64> = Vec::new();
    for point in points {
        // Below this the estimate has a bias of its own, and few probes are heard.
        let Some(snr_db) = point.snr_db.filter(|snr_db| *snr_db > 3.0) else { continue };
        let (x, y) = (10f64.powf(-point.level_db / 10.0), 10f64.powf(-snr_db / 10.0));
        let weight = 1.0 / (y * y);
        for (sum, term) in sums.iter_mut().zip([1.0, x, x * x, y, x * y]) {
            *sum += weight * term;
        }
        levels.push(point.level_db);
    }
    levels.dedup();
    let [w, wx, wxx, wy, wxy] = sums;
    let determinant = w * wxx - wx * wx;
    if levels.len() < 2 || determinant <= 1e-9 * w * wxx {
        return None;
    }
    let mut a = (wxx * wy - wx * wxy) / determinant;
    let mut b = (w * wxy - wx * wy) / determinant;
    if a < 0.0 {
        // No floor shows within the sweep.
        (a, b) = (0.0, wxy / wxx);
    }
    (b > 0.0).then(|| Fit { evm_floor_percent: 100.0 * a.sqrt(), noise_snr_db: -10.0 * b.log10() })
}

/// The longest run of neighbouring points that work, as lowest and highest level in dB.
pub fn usable(points: &[Point]) -> Option<(f64, f64)> {
    let mut sorted: Vec<&Point> = points.iter().collect();
    sorted.sort_by(|a, b| a.level_db.total_cmp(&b.level_db));
    let runs = sorted.split(|point| !point.works());
    let longest = runs.max_by_key(|run| run.len())?;
    Some((longest.first()?.level_db, longest.last()?.level_db))
}

/// Noise figure in dB, from the power at the receiver's input at level 0 dB and the occupied bandwidth.
pub fn noise_figure_db(input_dbm: f64, noise_snr_db: f64, occupied_hz: f64) -> f64 {
    input_dbm - noise_snr_db - (THERMAL_DBM_PER_HZ + 10.0 * occupied_hz.log10())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(level_db: f64, floor: f64, noise_snr_db: f64) -> Point {
        let error = floor * floor + 10f64.powf(-(noise_snr_db + level_db) / 10.0);
        Point {
            level_db,
            sent: 5,
            intact: 5,
            snr_db: Some(-10.0 * error.log10()),
            evm_percent: Some(100.0 * error.sqrt()),
        }
    }

    #[test]
    fn floor_and_noise_are_told_apart() {
        let points: Vec<Point> = (0..10).map(|step| point(-3.0 * f64::from(step), 0.02, 35.0)).collect();
        let fit = fit(&points).expect("a fit");
        assert!(
            (fit.evm_floor_percent - 2.0).abs() < 1e-6 && (fit.noise_snr_db - 35.0).abs() < 1e-6,
            "{fit:?}"
        );
    }

    #[test]
    fn a_link_of_noise_alone_has_no_floor() {
        let points: Vec<Point> = (0..6).map(|step| point(-3.0 * f64::from(step), 0.0, 20.0)).collect();
        let fit = fit(&points).expect("a fit");
        assert!(fit.evm_floor_percent < 0.1 && (fit.noise_snr_db - 20.0).abs() < 1e-6, "{fit:?}");
        assert_eq!(super::fit(&points[..1]), None);
        assert_eq!(super::fit(&[]), None);
    }

    #[test]
    fn a_noise_figure_is_what_lies_above_thermal_noise() {
        // 4.5 MHz: −107.44 dBm of thermal noise; 20 dB above that at 10 dB SNR is a noise figure of 10 dB.
        let thermal = THERMAL_DBM_PER_HZ + 10.0 * 4.5e6f64.log10();
        assert!((thermal + 107.443).abs() < 1e-3);
        assert!((noise_figure_db(thermal + 20.0, 10.0, 4.5e6) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn the_usable_range_has_no_holes() {
        let mut points: Vec<Point> = (0..8).map(|step| point(-3.0 * f64::from(step), 0.0, 30.0)).collect();
        assert_eq!(usable(&points), Some((-21.0, 0.0)));
        points[2].intact = 4;
        assert_eq!(usable(&points), Some((-21.0, -9.0)));
        points.iter_mut().for_each(|point| point.intact = 0);
        assert_eq!(usable(&points), None);
    }

    #[test]
    fn medians_need_values() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0]), Some(2.5));
    }
}
