//! The tapped delay line models of 3GPP: model and delay spread → taps.
//!
//! Delays in the tables are in units of the rms delay spread, powers are mean powers. TDL-A, -B and -C have
//! no line of sight; -D and -E have a specular first path, whose Doppler shift is 0.7 of the largest, on
//! top of a Rayleigh one. In use powers are scaled to a sum of one.
//!
//! Reference: 3GPP TR 38.901 V18.0.0, §7.7.2, Tables 7.7.2-1 to 7.7.2-5; §7.7.3 for the scaling of delays
//! and usual delay spreads: 10 ns very short, 30 short, 100 nominal, 300 long, 1000 very long.

use std::fmt;

use super::config::{Fading, Tap};

/// The five profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TdlModel {
    /// Table 7.7.2-1, no line of sight: 23 taps.
    A,
    /// Table 7.7.2-2, no line of sight: 23 taps.
    B,
    /// Table 7.7.2-3, no line of sight: 24 taps.
    C,
    /// Table 7.7.2-4, line of sight with K = 13.3 dB: 14 taps.
    D,
    /// Table 7.7.2-5, line of sight with K = 22 dB: 15 taps.
    E,
}

/// (normalised delay, power in dB), in the order of the tables.
type Table = &'static [(f64, f64)];

const TDL_A: Table = &[
    (0.0000, -13.4),
    (0.3819, 0.0),
    (0.4025, -2.2),
    (0.5868, -4.0),
    (0.4610, -6.0),
    (0.5375, -8.2),
    (0.6708, -9.9),
    (0.5750, -10.5),
    (0.7618, -7.5),
    (1.5375, -15.9),
    (1.8978, -6.6),
    (2.2242, -16.7),
    (2.1718, -12.4),
    (2.4942, -15.2),
    (2.5119, -10.8),
    (3.0582, -11.3),
    (4.0810, -12.7),
    (4.4579, -16.2),
    (4.5695, -18.3),
    (4.7966, -18.9),
    (5.0066, -16.6),
    (5.3043, -19.9),
    (9.6586, -29.7),
];

const TDL_B: Table = &[
    (0.0000, 0.0),
    (0.1072, -2.2),
    (0.2155, -4.0),
    (0.2095, -3.2),
    (0.2870, -9.8),
    (0.2986, -1.2),
    (0.3752, -3.4),
    (0.5055, -5.2),
    (0.3681, -7.6),
    (0.3697, -3.0),
    (0.5700, -8.9),
    (0.5283, -9.0),
    (1.1021, -4.8),
    (1.2756, -5.7),
    (1.5474, -7.5),
    (1.7842, -1.9),
    (2.0169, -7.6),
    (2.8294, -12.2),
    (3.0219, -9.8),
    (3.6187, -11.4),
    (4.1067, -14.9),
    (4.2790, -9.2),
    (4.7834, -11.3),
];

#[expect(clippy::approx_constant, reason = "a delay of the table is close to 2/π")]
const TDL_C: Table = &[
    (0.0000, -4.4),
    (0.2099, -1.2),
    (0.2219, -3.5),
    (0.2329, -5.2),
    (0.2176, -2.5),
    (0.6366, 0.0),
    (0.6448, -2.2),
    (0.6560, -3.9),
    (0.6584, -7.4),
    (0.7935, -7.1),
    (0.8213, -10.7),
    (0.9336, -11.1),
    (1.2285, -5.1),
    (1.3083, -6.8),
    (2.1704, -8.7),
    (2.7105, -13.2),
    (4.2589, -13.9),
    (4.6003, -13.9),
    (5.4902, -15.8),
    (5.6077, -17.1),
    (6.3065, -16.0),
    (6.6374, -15.7),
    (7.0427, -21.6),
    (8.6523, -22.8),
];

/// The first entry is the line of sight.
const TDL_D: Table = &[
    (0.0000, -0.2),
    (0.0000, -13.5),
    (0.0350, -18.8),
    (0.6120, -21.0),
    (1.3630, -22.8),
    (1.4050, -17.9),
    (1.8040, -20.1),
    (2.5960, -21.9),
    (1.7750, -22.9),
    (4.0420, -27.8),
    (7.9370, -23.6),
    (9.4240, -24.8),
    (9.7080, -30.0),
    (12.5250, -27.7),
];

/// The first entry is the line of sight.
const TDL_E: Table = &[
    (0.0000, -0.03),
    (0.0000, -22.03),
    (0.5133, -15.8),
    (0.5440, -18.1),
    (0.5630, -19.8),
    (0.5440, -22.9),
    (0.7112, -22.4),
    (1.9092, -18.6),
    (1.9293, -20.8),
    (1.9589, -22.6),
    (2.6426, -22.3),
    (3.7136, -25.6),
    (5.4524, -20.2),
    (12.0034, -29.8),
    (20.6519, -29.2),
];

impl TdlModel {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::A, Self::B, Self::C, Self::D, Self::E];

    /// The taps at an rms delay spread in ns.
    pub fn taps(self, delay_spread_ns: f64) -> Vec<Tap> {
        let (table, line_of_sight) = match self {
            Self::A => (TDL_A, false),
            Self::B => (TDL_B, false),
            Self::C => (TDL_C, false),
            Self::D => (TDL_D, true),
            Self::E => (TDL_E, true),
        };
        table
            .iter()
            .enumerate()
            .map(|(index, &(delay, power_db))| Tap {
                delay_ns: delay * delay_spread_ns,
                power_db,
                fading: if line_of_sight && index == 0 { Fading::Specular } else { Fading::Rayleigh },
            })
            .collect()
    }
}

impl fmt::Display for TdlModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "tdl-a",
            Self::B => "tdl-b",
            Self::C => "tdl-c",
            Self::D => "tdl-d",
            Self::E => "tdl-e",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn powers(taps: &[Tap]) -> Vec<f64> {
        let linear: Vec<f64> = taps.iter().map(|tap| 10f64.powf(tap.power_db / 10.0)).collect();
        let total: f64 = linear.iter().sum();
        linear.iter().map(|power| power / total).collect()
    }

    #[test]
    fn delay_spread_is_the_one_asked_for() {
        for model in TdlModel::ALL {
            for asked_ns in [10.0, 100.0, 300.0] {
                let taps = model.taps(asked_ns);
                let powers = powers(&taps);
                let mean: f64 = taps.iter().zip(&powers).map(|(tap, p)| p * tap.delay_ns).sum();
                let square: f64 = taps.iter().zip(&powers).map(|(tap, p)| p * tap.delay_ns.powi(2)).sum();
                let spread = (square - mean * mean).sqrt();
                // The powers of Table 7.7.2-4 are rounded to 0.1 dB, which leaves 0.6 %.
                assert!((spread / asked_ns - 1.0).abs() < 0.007, "{model} {asked_ns}: {spread}");
            }
        }
    }

    #[test]
    fn tables_have_their_lengths_ends_and_lines_of_sight() {
        let expected = [(23, 9.6586), (23, 4.7834), (24, 8.6523), (14, 12.525), (15, 20.6519)];
        for (model, (count, last)) in TdlModel::ALL.into_iter().zip(expected) {
            let taps = model.taps(1.0);
            assert_eq!((taps.len(), taps[0].delay_ns, taps[count - 1].delay_ns), (count, 0.0, last));
            let specular = taps.iter().filter(|tap| tap.fading == Fading::Specular).count();
            assert_eq!(specular, usize::from(matches!(model, TdlModel::D | TdlModel::E)));
        }
        for (model, k_factor_db) in [(TdlModel::D, 13.3), (TdlModel::E, 22.0)] {
            let taps = model.taps(1.0);
            assert!((taps[0].power_db - taps[1].power_db - k_factor_db).abs() < 1e-9);
            assert_eq!(taps[1].delay_ns, 0.0);
        }
    }
}
