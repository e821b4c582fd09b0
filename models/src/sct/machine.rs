//! Machine mode: the class of every block from what arrived of its values, without making a picture (paper 004, §II).
//!
//! In → out: what is known of a picture's values → [`Labels`]: a class for each block and how sure it is.
//!
//! The network sees what the decoder sees, an estimate of each value and how far it can be trusted, so it is as robust: what
//! is lost is told as lost, and its surroundings speak for it. Only the receiver has it; that a message is for a machine stands
//! in the map.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};
use semcast_common::content::Labels;
use semcast_common::content::classes::COUNT;

use super::surroundings::{Known, Surroundings, WIDTH, check, pieces};
use crate::ae::layers::convolution;
use crate::ae::network::CHANNELS;
use crate::ae::transform::{Code, values};
use crate::ae::weights::load;
use crate::convolution::convolve;
use crate::{ModelError, OpenDevice};

/// The network.
#[derive(Module, Debug)]
pub struct MachineNetwork {
    surroundings: Surroundings,
    classify: Conv2d,
}

impl MachineNetwork {
    /// One that has learned nothing.
    pub fn new(device: &Device) -> Self {
        Self { surroundings: Surroundings::new(0, device), classify: convolution(WIDTH, COUNT, 1, 1, device) }
    }

    /// What is known → how much speaks for each class, `[B, COUNT, h, w]`.
    pub fn forward(&self, known: &Known) -> Tensor<4> {
        convolve(&self.classify, self.surroundings.forward(known, None), None, false)
    }
}

/// The network that is ready to classify.
pub struct Machine {
    network: MachineNetwork,
    variance: Tensor<1>,
    device: Device,
}

impl Machine {
    /// With the bytes of a weight file. `variance`: that of each channel as the decoder has it, `CHANNELS` of them.
    pub fn with_weights(bytes: Vec<u8>, variance: &[f32], device: &OpenDevice) -> Result<Self, ModelError> {
        let network = from_bytes(bytes, &device.device).map_err(|error| {
            ModelError::Weights(format!("the weights of the machine mode do not load: {error}"))
        })?;
        if variance.len() != CHANNELS || !variance.iter().all(|variance| *variance > 0.0) {
            return Err(ModelError::Internal(format!("{CHANNELS} variances above zero are needed")));
        }
        let device = device.device.clone();
        let variance = Tensor::from_data(TensorData::new(variance.to_vec(), [CHANNELS]), &device);
        Ok(Self { network, variance, device })
    }

    /// Classifies the blocks of a picture of a size; `colours`: those that mean and thumbnail tell of the blocks, 0 to 1,
    /// plane by plane.
    pub fn classify(
        &self,
        code: &Code,
        colours: &[f32],
        width: u32,
        height: u32,
    ) -> Result<Labels, ModelError> {
        check(code, colours)?;
        let blocks = code.across * code.down;
        let mut shares = vec![0.0; COUNT * blocks];
        for piece in pieces(code, colours, &self.variance, &self.device) {
            let found = values(softmax(self.network.forward(&piece.known), 1))?;
            piece.tile.keep(&found, &mut shares, code.across, 1);
        }
        let best = |block: usize| {
            let share = |class: usize| shares[class * blocks + block];
            let best = (0..COUNT).max_by(|&a, &b| share(a).total_cmp(&share(b))).unwrap_or(0);
            (best as u8, (255.0 * share(best)).round() as u8)
        };
        let (classes, confidence) = (0..blocks).map(best).unzip();
        Labels::new(width, height, classes, confidence)
            .map_err(|error| ModelError::Internal(error.to_string()))
    }
}

/// The network in a weight file.
pub fn from_bytes(bytes: Vec<u8>, device: &Device) -> Result<MachineNetwork, String> {
    load(MachineNetwork::new(device), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeviceChoice, open_device};

    #[test]
    fn every_block_of_any_picture_has_a_class_and_what_is_lost_does_no_harm() {
        let device = open_device(DeviceChoice::Cpu).unwrap();
        let bytes = crate::ae::weights::to_bytes(&MachineNetwork::new(&device.device)).unwrap();
        let machine = Machine::with_weights(bytes, &[0.5; CHANNELS], &device).unwrap();
        for (across, down) in [(1, 1), (3, 7), (100, 2)] {
            let mut code = Code::unknown(CHANNELS, across, down);
            (code.values[0], code.variance[0]) = (f32::NAN, 0.1);
            let colours = vec![0.5; 3 * across * down];
            let found = machine.classify(&code, &colours, 16 * across as u32, 16 * down as u32).unwrap();
            // The likeliest of several is at least as likely as their mean.
            assert!(found.confidence().iter().all(|share| usize::from(*share) >= 255 / COUNT));
        }
        let colours = [0.5; 18];
        assert!(machine.classify(&Code::unknown(CHANNELS, 0, 3), &[], 1, 48).is_err());
        assert!(machine.classify(&Code::unknown(CHANNELS, 2, 3), &colours, 16, 48).is_err());
        assert!(machine.classify(&Code::unknown(CHANNELS, 2, 3), &colours[..6], 32, 48).is_err());
        assert!(Machine::with_weights(b"no weights".to_vec(), &[0.5; CHANNELS], &device).is_err());
    }
}
