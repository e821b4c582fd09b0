//! What an encoder that is told the SNR does with it: it changes its features, and shares power out among its channels.
//!
//! Both are tables over the SNR, linear between [`KNOTS_DB`] and constant beyond them, which are learned with the network.
//!
//! - Features of a block are scaled and shifted (an attention module of \[1, section III-B\] without its pooling: the SNR alone
//!   decides).
//! - The amplitude of a value follows from its channel, the rate of its block and the SNR. Of the linear codes for Gaussian
//!   channels, the one with the least mean square error gives a channel of variance λ, over noise of variance N, the power
//!   `max(0, c·√λ − N)` \[2\]: at high SNR the √λ of [`Basis`](super::basis::Basis), at low SNR less for weak channels. The
//!   values of pictures are far from Gaussian, and that power costs 3 dB at 0 dB where no network has learned to live with
//!   it; so amplitudes begin as they are at high SNR.
//!
//! The table of amplitudes is part of the weights, so the receiver, which reads the SNR that the encoder was told from the
//! side information, takes the amplitudes back.
//!
//! 1. J. Xu et al.: Wireless image transmission using deep source channel coding with attention modules. IEEE TCSVT 32(4),
//!    2022.
//! 2. K.-H. Lee, D. P. Petersen: Optimal linear coding for vector channels. IEEE Trans. Commun. 24(12), 1976.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::network::{CHANNELS, ENCODER_SIXTEENTH};
use super::rates::{RATES, gain};

/// SNRs at which the tables have rows, dB.
pub const KNOTS_DB: [f32; 6] = [-5.0, 0.0, 5.0, 10.0, 15.0, 20.0];
/// SNR that an encoder assumes when it is told none, dB.
pub const ASSUMED_DB: i8 = 10;
/// SNRs that an encoder may be told, dB: what lies beyond the tables changes nothing.
pub const TOLD_DB: std::ops::RangeInclusive<i8> = -5..=20;

/// How much a logarithm of an amplitude is more than what is stored: it learns faster than its neighbours by as much.
const PACE: f32 = 3.0;

/// The tables.
#[derive(Module, Debug)]
pub struct Adaptation {
    log_amplitude: Param<Tensor<2>>,
    features: Param<Tensor<2>>,
}

/// How features change, each `[B, ENCODER_SIXTEENTH, 1, 1]`.
#[derive(Clone, Debug)]
pub struct Modulation {
    scales: [Tensor<4>; 2],
    shifts: [Tensor<4>; 2],
}

impl Modulation {
    /// Features as they enter (`0`) or leave (`1`) the encoder's last blocks, `[B, ENCODER_SIXTEENTH, h, w]`.
    pub fn apply(&self, place: usize, features: Tensor<4>) -> Tensor<4> {
        features.clone() + features * self.scales[place].clone() + self.shifts[place].clone()
    }

    /// What comes of the features that leave, for one SNR, by 1 × 1 weights `[outputs, ENCODER_SIXTEENTH, 1, 1]`: the weights
    /// that make the same of the features as they were, and what is added, `[outputs]`.
    pub fn through(&self, weight: Tensor<4>) -> (Tensor<4>, Tensor<1>) {
        let outputs = weight.dims()[0];
        let shifted = (weight.clone() * self.shifts[1].clone()).sum_dim(1).reshape([outputs]);
        (weight.clone() + weight * self.scales[1].clone(), shifted)
    }
}

/// How much each row of the tables counts at an SNR.
pub fn knots(snr_db: f32) -> [f32; KNOTS_DB.len()] {
    let at = snr_db.clamp(KNOTS_DB[0], KNOTS_DB[KNOTS_DB.len() - 1]);
    std::array::from_fn(|row| (1.0 - (at - KNOTS_DB[row]).abs() / (KNOTS_DB[1] - KNOTS_DB[0])).max(0.0))
}

/// The rows' shares for several SNRs, `[SNRs, rows]`.
pub fn knots_of(snr_db: impl IntoIterator<Item = f32>, device: &Device) -> Tensor<2> {
    let shares: Vec<f32> = snr_db.into_iter().flat_map(knots).collect();
    let rows = KNOTS_DB.len();
    Tensor::from_data(TensorData::new(shares.clone(), [shares.len() / rows, rows]), device)
}

impl Adaptation {
    /// Tables that have learned nothing: the SNR changes nothing.
    pub fn new(device: &Device) -> Self {
        let zeros = |columns| Param::from_tensor(Tensor::zeros([KNOTS_DB.len(), columns], device));
        Self { log_amplitude: zeros(RATES.len() * CHANNELS), features: zeros(4 * ENCODER_SIXTEENTH) }
    }

    /// Where the tables are.
    pub fn device(&self) -> Device {
        self.features.val().device()
    }

    /// Amplitudes of the values over the [`gain`] of their block, `[B, RATES, CHANNELS]`, for the shares of [`knots_of`].
    pub fn amplitudes(&self, knots: Tensor<2>) -> Tensor<3> {
        let count = knots.dims()[0];
        knots.matmul(self.log_amplitude.val()).mul_scalar(PACE).exp().reshape([count, RATES.len(), CHANNELS])
    }

    /// How features change, for the shares of [`knots_of`].
    pub fn modulation(&self, knots: Tensor<2>) -> Modulation {
        let count = knots.dims()[0];
        let parts: [Tensor<2>; 4] = {
            let all = knots.matmul(self.features.val());
            std::array::from_fn(|part| {
                let first = part * ENCODER_SIXTEENTH;
                all.clone().slice([0..count, first..first + ENCODER_SIXTEENTH])
            })
        };
        let [enter, leave, enter_shift, leave_shift] =
            parts.map(|part| part.reshape([count, ENCODER_SIXTEENTH, 1, 1]));
        Modulation { scales: [enter, leave], shifts: [enter_shift, leave_shift] }
    }

    /// The amplitude of each channel's values, rate by rate, for an encoder that was told `snr_db`.
    pub fn table(&self, snr_db: f32) -> Result<Vec<Vec<f32>>, String> {
        let device = self.log_amplitude.val().device();
        let values = self.amplitudes(knots_of([snr_db], &device));
        let values = values.try_into_vec_as::<f32>().map_err(|error| error.to_string())?;
        let rows = values.chunks_exact(CHANNELS).zip(RATES);
        Ok(rows.map(|(row, symbols)| row.iter().map(|value| value * gain(symbols)).collect()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_count_in_proportion_to_their_distance_and_end_values_go_on() {
        assert_eq!(knots(-20.0), [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(knots(10.0), [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(knots(12.5), [0.0, 0.0, 0.0, 0.5, 0.5, 0.0]);
        assert_eq!(knots(99.0), [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn tables_that_have_learned_nothing_change_nothing() {
        let device = Device::flex();
        let adaptation = Adaptation::new(&device);
        for (amplitudes, symbols) in adaptation.table(5.0).unwrap().iter().zip(RATES) {
            assert!(amplitudes.iter().all(|amplitude| (amplitude - gain(symbols)).abs() < 1e-6));
        }
        let features = Tensor::ones([2, ENCODER_SIXTEENTH, 1, 1], &device);
        let modulation = adaptation.modulation(knots_of([3.0, 18.0], &device));
        assert_eq!(modulation.apply(1, features.clone()).into_data(), features.into_data());
    }
}
