//! The preamble: `[up-chirp L][down-chirp L][cyclic prefix][training N] … [training N]`, N the DFT length.
//! How long the chirps are and how often the training symbol is repeated is the [`Mode`]'s.
//!
//! A linear chirp turns a carrier offset into a time shift of its correlation peak, the down-chirp into the
//! opposite shift: half the sum of the two peak times is the frame's time, half the difference its CFO.
//! So two correlators find a frame at any carrier offset. The chirps sweep only the occupied band.
//! The training symbol carries a fixed QPSK sequence on all subcarriers; sent again and again behind one
//! prefix, its repetition gives the fine CFO whatever the channel (P. H. Moose, IEEE Trans. Commun. 42(10), 1994).

use num_complex::Complex32;

use crate::{mode::Mode, modulation::scrambler::GoldSequence, numerology::Numerology, ofdm::Ofdm};

/// Initial value of the Gold sequence of the training symbol.
const TRAINING_SEED: u32 = 0x5EC4_0001;

/// Samples of a preamble, up to the first header symbol's cyclic prefix.
pub fn preamble_samples(mode: Mode, numerology: &Numerology) -> usize {
    2 * mode.chirp_samples(numerology)
        + numerology.cyclic_prefix
        + mode.training_symbols() * numerology.fft_size
}

/// Cycles per sample of carrier offset that move an up-chirp's peak one sample earlier.
pub fn chirp_rate(mode: Mode, numerology: &Numerology) -> f64 {
    numerology.occupied_fraction() / mode.chirp_samples(numerology) as f64
}

/// A chirp of unit power over the occupied band; upwards or downwards.
pub fn chirp(mode: Mode, numerology: &Numerology, upwards: bool) -> Vec<Complex32> {
    let length = mode.chirp_samples(numerology);
    let rate = if upwards { 1.0 } else { -1.0 } * chirp_rate(mode, numerology);
    (0..length)
        .map(|n| {
            let time = n as f64 + 0.5 - length as f64 / 2.0;
            let phase = std::f64::consts::PI * rate * time * time;
            Complex32::new(phase.cos() as f32, phase.sin() as f32)
        })
        .collect()
}

/// The training sequence: unit-power QPSK on every subcarrier.
pub fn training_sequence(numerology: &Numerology) -> Vec<Complex32> {
    qpsk_sequence(TRAINING_SEED, numerology.subcarriers())
}

/// `length` unit-power QPSK symbols of the Gold sequence with initial value `seed`.
pub fn qpsk_sequence(seed: u32, length: usize) -> Vec<Complex32> {
    let mut bits = GoldSequence::new(seed);
    let mut level =
        || if bits.next_bit() { -std::f32::consts::FRAC_1_SQRT_2 } else { std::f32::consts::FRAC_1_SQRT_2 };
    (0..length).map(|_| Complex32::new(level(), level())).collect()
}

/// The whole preamble as samples of unit mean power.
pub fn preamble(mode: Mode, numerology: &Numerology, ofdm: &mut Ofdm) -> Vec<Complex32> {
    let mut samples = chirp(mode, numerology, true);
    samples.extend(chirp(mode, numerology, false));
    let training = training_sequence(numerology);
    for copy in 0..mode.training_symbols() {
        let prefix = if copy == 0 { numerology.cyclic_prefix } else { 0 };
        ofdm.modulate(&training, prefix, &mut samples);
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preamble_has_its_length_and_unit_power() {
        let numerology = Numerology::default();
        for mode in Mode::ALL {
            let samples = preamble(mode, &numerology, &mut Ofdm::new(numerology));
            assert_eq!(samples.len(), preamble_samples(mode, &numerology));
            let power = samples.iter().map(|s| s.norm_sqr()).sum::<f32>() / samples.len() as f32;
            assert!((power - 1.0).abs() < 0.02, "{power}");
        }
    }
}
