//! The rungs of the MCS ladder with their measured thresholds.

use super::Modulation::{self, Qam16, Qam64, Qam256, Qpsk};

/// One rung of the ladder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rung {
    pub(super) modulation: Modulation,
    /// Code rate times 1024.
    pub(super) rate_1024: u16,
    /// SNR in dB for a frame error rate of 1e-2.
    pub(super) threshold_db: f32,
}

const fn rung(modulation: Modulation, rate_1024: u16, threshold_db: f32) -> Rung {
    Rung { modulation, rate_1024, threshold_db }
}

/// All rungs, the most robust first.
pub(super) const LADDER: &[Rung] = &[
    rung(Qpsk, 80, -7.60),
    rung(Qpsk, 100, -6.62),
    rung(Qpsk, 125, -5.61),
    rung(Qpsk, 157, -4.68),
    rung(Qpsk, 193, -3.76),
    rung(Qpsk, 240, -2.67),
    rung(Qpsk, 300, -1.59),
    rung(Qpsk, 370, -0.55),
    rung(Qpsk, 449, 0.53),
    rung(Qpsk, 526, 1.46),
    rung(Qpsk, 602, 2.38),
    rung(Qpsk, 679, 3.25),
    rung(Qam16, 378, 4.30),
    rung(Qam16, 434, 5.31),
    rung(Qam16, 490, 6.21),
    rung(Qam16, 553, 7.04),
    rung(Qam16, 616, 8.01),
    rung(Qam16, 680, 8.98),
    rung(Qam64, 466, 9.77),
    rung(Qam64, 517, 10.76),
    rung(Qam64, 567, 11.76),
    rung(Qam64, 616, 12.61),
    rung(Qam64, 666, 13.57),
    rung(Qam64, 719, 14.52),
    rung(Qam64, 772, 15.53),
    rung(Qam64, 822, 16.48),
    rung(Qam64, 873, 17.52),
    rung(Qam256, 682, 18.47),
    rung(Qam256, 711, 19.12),
    rung(Qam256, 754, 20.10),
    rung(Qam256, 797, 21.11),
    rung(Qam256, 841, 22.11),
    rung(Qam256, 885, 23.19),
    rung(Qam256, 916, 24.08),
    rung(Qam256, 948, 25.13),
];
