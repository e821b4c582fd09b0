//! Which channels tell the colour of a block. Of a block of which nothing arrived, the map tells the colour of its region, and
//! these channels are given what the encoder makes of that.

use burn::tensor::{Device, Tensor, TensorData};

use crate::ae::network::{CHANNELS, Network};

/// A channel tells colour if the square of its mean over a picture of one colour is more than this share of its variance.
const SHARE: f32 = 0.5;
/// How far these colours are from grey: about the standard deviation of pictures.
const DISTANCE: f32 = 0.2;
/// Side of these pictures, pixels.
const SIDE: usize = 96;

/// One for each channel that tells colour, else zero, `[1, CHANNELS, 1, 1]`.
pub fn channels(network: &Network, device: &Device) -> Tensor<4> {
    // One colour each: grey, red against blue, green against both.
    let of = |colour: [f32; 3]| colour.map(|value| vec![DISTANCE * value; SIDE * SIDE]).concat();
    let values = [[1.0, 1.0, 1.0], [1.2, 0.0, -1.2], [-0.7, 1.4, -0.7]].map(of).concat();
    let pictures = Tensor::<4>::from_data(TensorData::new(values, [3, 3, SIDE, SIDE]), device);
    let middle = network.encoder.forward(pictures).slice([0..3, 0..CHANNELS, 2..4, 2..4]);
    let squares = middle.mean_dim(2).mean_dim(3).square().max_dim(0);
    let variance = network.decoder.log_variance().exp().reshape([1, CHANNELS, 1, 1]);
    (squares / variance).greater_elem(SHARE).float()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ae::weights::from_bytes;

    #[test]
    fn a_few_channels_tell_colour_and_the_first_does() {
        let device = Device::flex();
        let network = from_bytes(crate::sct::weights::DEFAULT.to_vec(), &device).unwrap();
        let found: Vec<f32> = channels(&network, &device).into_data().iter::<f32>().collect();
        assert_eq!(found.len(), CHANNELS);
        assert_eq!(found[0], 1.0);
        let count = found.iter().sum::<f32>();
        assert!((3.0..30.0).contains(&count), "{count} channels");
    }
}
