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
    rung(Qpsk, 22, -13.45),
    rung(Qpsk, 28, -12.41),
    rung(Qpsk, 36, -11.32),
    rung(Qpsk, 46, -10.24),
    rung(Qpsk, 60, -9.09),
    rung(Qpsk, 80, -7.82),
    rung(Qpsk, 100, -6.87),
    rung(Qpsk, 125, -5.87),
    rung(Qpsk, 157, -4.79),
    rung(Qpsk, 193, -4.00),
    rung(Qpsk, 240, -2.96),
    rung(Qpsk, 300, -1.89),
    rung(Qpsk, 370, -0.85),
    rung(Qpsk, 449, 0.24),
    rung(Qpsk, 526, 1.22),
    rung(Qpsk, 602, 2.14),
    rung(Qpsk, 679, 3.08),
    rung(Qam16, 378, 4.21),
    rung(Qam16, 434, 5.20),
    rung(Qam16, 490, 6.06),
    rung(Qam16, 553, 6.99),
    rung(Qam16, 616, 7.85),
    rung(Qam16, 680, 8.83),
    rung(Qam64, 466, 9.80),
    rung(Qam64, 517, 10.75),
    rung(Qam64, 567, 11.67),
    rung(Qam64, 616, 12.47),
    rung(Qam64, 666, 13.42),
    rung(Qam64, 719, 14.42),
    rung(Qam64, 772, 15.41),
    rung(Qam64, 822, 16.41),
    rung(Qam64, 873, 17.47),
    rung(Qam256, 682, 18.35),
    rung(Qam256, 711, 19.03),
    rung(Qam256, 754, 19.95),
    rung(Qam256, 797, 21.04),
    rung(Qam256, 841, 22.04),
    rung(Qam256, 885, 23.12),
    rung(Qam256, 916, 24.03),
    rung(Qam256, 948, 25.08),
];
