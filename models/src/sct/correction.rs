//! Semantic distortion correction: values that were lost are made up from their surroundings, before the decoder makes a picture
//! of them. Receivers use it for blocks of which nothing arrived; of what arrived in part the decoder makes more by itself.
//!
//! In → out: what is known of a picture's values, the label of each block → the same, with an estimate where little was known
//! and how far it can be trusted.
//!
//! A value of known estimate `m` and variance left `p` (both in units of the spread of its channel) becomes `m + √p·d` with
//! the variance `p·r`; the network gives `d`, and `r` between 0 and 1. Where a value is known, `p` is near zero and nothing
//! changes; before it has learned, nothing changes anywhere. What is left over of a picture is thus a sample of what might have
//! been there: it is trained against a discriminator, and the decoder is told what to expect of it. The error mask of the paper
//! (004, section IV) is `p`.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};

use super::surroundings::{Known, Surroundings, WIDTH, check, one_hot, pieces};
use crate::ae::layers::silent_convolution;
use crate::ae::network::{CHANNELS, UNKNOWN};
use crate::ae::transform::{Code, values};
use crate::ae::weights::load;
use crate::convolution::convolve;
use crate::{ModelError, OpenDevice};

/// Kinds of blocks that are told apart; blocks of other labels are of no known kind.
pub const LABELS: usize = 16;
/// Where `r` begins: sigmoid of it.
const FIRST: f32 = 4.0;
/// Greatest share of a value's variance that is left, so that the decoder is told a number.
const MOST_LEFT: f32 = 0.999;

/// The network.
#[derive(Module, Debug)]
pub struct CorrectionNetwork {
    surroundings: Surroundings,
    change: Conv2d,
    left: Conv2d,
}

impl CorrectionNetwork {
    /// One that changes nothing.
    pub fn new(device: &Device) -> Self {
        Self {
            surroundings: Surroundings::new(LABELS, device),
            change: silent_convolution(WIDTH, CHANNELS, 1, device),
            left: silent_convolution(WIDTH, CHANNELS, 1, device),
        }
    }

    /// What is known, and labels `[B, LABELS, h, w]` → what is known now.
    pub fn forward(&self, known: &Known, labels: Tensor<4>) -> Known {
        let hidden = self.surroundings.forward(known, Some(labels));
        let change = convolve(&self.change, hidden.clone(), None, false);
        let share = sigmoid(convolve(&self.left, hidden, None, false).add_scalar(FIRST));
        let left = known.trust.clone().neg().add_scalar(1.0).clamp(0.0, MOST_LEFT);
        Known {
            // The root of nothing has no slope, but what is left does not learn.
            estimate: known.estimate.clone() + left.clone().sqrt() * change,
            trust: (left * share).neg().add_scalar(1.0),
            colour: known.colour.clone(),
        }
    }
}

/// What the decoder must be given so that it comes to the same estimate: received values and their noise variances;
/// `variance`: that of each channel, `[CHANNELS]`.
pub fn as_received(known: Known, variance: Tensor<1>) -> (Tensor<4>, Tensor<4>) {
    let variance = variance.reshape([1, CHANNELS, 1, 1]);
    let Known { estimate, trust, .. } = known;
    let received = estimate / trust.clone() * variance.clone().sqrt();
    let noise = trust.clone().neg().add_scalar(1.0) / trust * variance;
    (received, noise.clamp(0.0, UNKNOWN))
}

/// Whether receivers repair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// They do.
    #[default]
    On,
    /// They do not.
    Off,
}

/// The network that is ready to repair.
pub struct Correction {
    network: CorrectionNetwork,
    variance: Tensor<1>,
    device: Device,
}

impl Correction {
    /// With the bytes of a weight file. `variance`: that of each channel as the decoder has it, `CHANNELS` of them.
    pub fn with_weights(bytes: Vec<u8>, variance: &[f32], device: &OpenDevice) -> Result<Self, ModelError> {
        let network = from_bytes(bytes, &device.device).map_err(|error| {
            ModelError::Internal(format!("the weights of the correction do not load: {error}"))
        })?;
        Self::new(network, variance, device)
    }

    fn new(network: CorrectionNetwork, variance: &[f32], device: &OpenDevice) -> Result<Self, ModelError> {
        if variance.len() != CHANNELS || !variance.iter().all(|variance| *variance > 0.0) {
            return Err(ModelError::Internal(format!("{CHANNELS} variances above zero are needed")));
        }
        let device = device.device.clone();
        let variance = Tensor::from_data(TensorData::new(variance.to_vec(), [CHANNELS]), &device);
        Ok(Self { network, variance, device })
    }

    /// The values of a picture, repaired; `colours`: those that mean and thumbnail tell of the blocks, 0 to 1, plane by plane;
    /// `labels`: the class of each block, row by row, [`LABELS`] or more where it is not known.
    pub fn repair(&self, code: &Code, colours: &[f32], labels: &[u8]) -> Result<Code, ModelError> {
        check(code, colours)?;
        let (across, down) = (code.across, code.down);
        if labels.len() != across * down {
            return Err(ModelError::Internal(format!(
                "{} labels for {across} × {down} blocks",
                labels.len()
            )));
        }
        let mut repaired = Code::unknown(CHANNELS, across, down);
        for piece in pieces(code, colours, &self.variance, &self.device) {
            let (rows, columns) = (piece.tile.rows, piece.tile.columns);
            let of_row = |row: usize| &labels[row * across + columns.start..][..columns.length];
            let seen: Vec<u8> = (rows.start..rows.start + rows.length).flat_map(of_row).copied().collect();
            let labels = one_hot(&seen, LABELS, [1, rows.length, columns.length], &self.device);
            let known = self.network.forward(&piece.known, labels);
            let (received, noise) = as_received(known, self.variance.clone());
            piece.tile.keep(&values(received)?, &mut repaired.values, across, 1);
            piece.tile.keep(&values(noise)?, &mut repaired.variance, across, 1);
        }
        Ok(repaired)
    }
}

/// The network in a weight file.
pub fn from_bytes(bytes: Vec<u8>, device: &Device) -> Result<CorrectionNetwork, String> {
    load(CorrectionNetwork::new(device), bytes)
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::Distribution;

    use super::*;
    use crate::{DeviceChoice, open_device};

    const VARIANCE: [f32; CHANNELS] = [0.25; CHANNELS];

    fn code(across: usize, down: usize) -> Code {
        let mut code = Code::unknown(CHANNELS, across, down);
        for at in 0..code.values.len() {
            if at % 7 != 0 {
                (code.values[at], code.variance[at]) = ((at * 37 % 101) as f32 / 100.0 - 0.5, 0.01);
            }
        }
        code
    }

    /// One whose last layers do something.
    fn lively() -> Correction {
        let device = open_device(DeviceChoice::Cpu).unwrap();
        let mut network = CorrectionNetwork::new(&device.device);
        let random = |layer: &mut Conv2d| {
            let spread = Distribution::Normal(0.0, 0.05);
            layer.weight =
                Param::from_tensor(Tensor::random([CHANNELS, WIDTH, 1, 1], spread, &device.device));
        };
        random(&mut network.change);
        random(&mut network.left);
        Correction::new(network, &VARIANCE, &device).unwrap()
    }

    #[test]
    fn it_has_less_than_a_million_numbers() {
        assert!(CorrectionNetwork::new(&Device::flex()).num_params() < 1_000_000);
    }

    #[test]
    fn before_it_has_learned_the_decoder_comes_to_the_same_estimate() {
        let device = open_device(DeviceChoice::Cpu).unwrap();
        let network = CorrectionNetwork::new(&device.device);
        let bytes = crate::ae::weights::to_bytes(&network).unwrap();
        let correction = Correction::with_weights(bytes, &VARIANCE, &device).unwrap();
        let before = code(5, 3);
        let after = correction.repair(&before, &[0.5; 45], &[255; 15]).unwrap();
        let estimate = |code: &Code, at: usize| code.values[at] * 0.25 / (0.25 + code.variance[at]);
        for at in 0..before.values.len() {
            assert!((estimate(&before, at) - estimate(&after, at)).abs() < 0.01, "{at}");
        }
    }

    #[test]
    fn what_is_known_stays_and_what_is_not_changes_at_any_size() {
        let correction = lively();
        for (across, down) in [(1, 1), (2, 9), (31, 1)] {
            let (before, mut after) = (code(across, down), code(across, down));
            // Nothing is known of every seventh; of some all is.
            for at in (1..after.values.len()).step_by(7) {
                after.variance[at] = 0.0;
            }
            let after =
                correction.repair(&after, &vec![0.5; 3 * across * down], &vec![3; across * down]).unwrap();
            let mut changed = 0;
            for at in 0..before.values.len() {
                assert!(after.values[at].is_finite() && after.variance[at] >= 0.0);
                match at % 7 {
                    0 => changed += usize::from(after.values[at] != 0.0 && after.variance[at] < UNKNOWN),
                    1 => assert!((after.values[at] - before.values[at]).abs() < 1e-5),
                    _ => {}
                }
            }
            assert!(changed * 7 > after.values.len() * 9 / 10);
        }
    }

    #[test]
    fn labels_matter_and_pieces_leave_no_seams() {
        let correction = lively();
        let (across, down) = (2, 110);
        let labels: Vec<u8> = (0..across * down).map(|block| (block / 9 % 3) as u8).collect();
        let repaired = |rows: std::ops::Range<usize>, labels: &[u8]| {
            let whole = code(across, down);
            let mut part = Code::unknown(CHANNELS, across, rows.len());
            for channel in 0..CHANNELS {
                let (from, to) = ((channel * down + rows.start) * across, channel * rows.len() * across);
                let length = rows.len() * across;
                part.values[to..to + length].copy_from_slice(&whole.values[from..from + length]);
                part.variance[to..to + length].copy_from_slice(&whole.variance[from..from + length]);
            }
            let colours = vec![0.5; 3 * rows.len() * across];
            correction.repair(&part, &colours, &labels[rows.start * across..rows.end * across]).unwrap()
        };
        let whole = repaired(0..down, &labels);
        // Row 64 is the first of the second piece; what is computed here is one piece.
        let part = repaired(40..100, &labels);
        for channel in [0, 100, 255] {
            for row in 62..67 {
                let at = |rows: usize, row: usize| (channel * rows + row) * across;
                let (a, b) = (whole.values[at(down, row)], part.values[at(60, row - 40)]);
                assert!((a - b).abs() < 1e-3 * a.abs().max(1.0), "{a} {b} in row {row}");
            }
        }
        let other = repaired(40..100, &vec![255; across * down]);
        assert!(part.values.iter().zip(&other.values).any(|(a, b)| (a - b).abs() > 1e-3));
        assert!(correction.repair(&code(3, 3), &[0.5; 27], &[0; 8]).is_err());
        assert!(correction.repair(&code(3, 3), &[0.5; 26], &[0; 9]).is_err());
    }
}
