//! The multipath fading profiles of LTE: name → taps, all of them Rayleigh.
//!
//! Delays are fixed: rms delay spreads of 43 ns (EPA), 357 ns (EVA) and 991 ns (ETU). The standard pairs them with a
//! largest Doppler shift in their names (EPA 5 Hz, EVA 5 and 70 Hz, ETU 70 and 300 Hz), which is a setting of its own here.
//!
//! Reference: 3GPP TS 36.101 V17.0.0, Annex B.2.1, Tables B.2.1-1 to B.2.1-4.

use std::fmt;

use super::config::{Fading, Tap};

/// The three profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LteModel {
    /// Extended pedestrian A, Table B.2.1-2: 7 taps to 410 ns.
    Epa,
    /// Extended vehicular A, Table B.2.1-3: 9 taps to 2510 ns.
    Eva,
    /// Extended typical urban, Table B.2.1-4: 9 taps to 5 µs.
    Etu,
}

/// (delay in ns, power in dB).
type Table = &'static [(f64, f64)];

const EPA: Table =
    &[(0.0, 0.0), (30.0, -1.0), (70.0, -2.0), (90.0, -3.0), (110.0, -8.0), (190.0, -17.2), (410.0, -20.8)];

const EVA: Table = &[
    (0.0, 0.0),
    (30.0, -1.5),
    (150.0, -1.4),
    (310.0, -3.6),
    (370.0, -0.6),
    (710.0, -9.1),
    (1090.0, -7.0),
    (1730.0, -12.0),
    (2510.0, -16.9),
];

const ETU: Table = &[
    (0.0, -1.0),
    (50.0, -1.0),
    (120.0, -1.0),
    (200.0, 0.0),
    (230.0, 0.0),
    (500.0, 0.0),
    (1600.0, -3.0),
    (2300.0, -5.0),
    (5000.0, -7.0),
];

impl LteModel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Epa, Self::Eva, Self::Etu];

    /// The taps.
    pub fn taps(self) -> Vec<Tap> {
        let table = match self {
            Self::Epa => EPA,
            Self::Eva => EVA,
            Self::Etu => ETU,
        };
        let rayleigh =
            |&(delay_ns, power_db): &(f64, f64)| Tap { delay_ns, power_db, fading: Fading::Rayleigh };
        table.iter().map(rayleigh).collect()
    }
}

impl fmt::Display for LteModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Epa => "epa",
            Self::Eva => "eva",
            Self::Etu => "etu",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_spreads_are_those_of_table_b_2_1_1() {
        for (model, expected_ns) in LteModel::ALL.into_iter().zip([43.0, 357.0, 991.0]) {
            let taps = model.taps();
            let power = |tap: &Tap| 10f64.powf(tap.power_db / 10.0);
            let total: f64 = taps.iter().map(power).sum();
            let moment =
                |n: i32| taps.iter().map(|tap| power(tap) * tap.delay_ns.powi(n)).sum::<f64>() / total;
            let spread = (moment(2) - moment(1).powi(2)).sqrt();
            assert!((spread - expected_ns).abs() < 1.0, "{model}: {spread} ns");
        }
    }
}
