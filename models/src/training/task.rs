//! What a system brings to training, so that one loop trains them all.

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand::rngs::StdRng;
use semcast_common::content::Picture;

use super::TrainingError;
use super::pictures::Pictures;

/// What a network made of a batch.
pub struct Outcome {
    /// What is to become small: one value, differentiable.
    pub loss: Tensor<1>,
    /// Mean square errors of parts of the batch, for people: pictures vary over a range of one.
    pub errors: Tensor<1>,
}

/// A measured figure with a name, such as `psnr_db_10`.
pub type Figure = (String, f64);

/// A network, its batches and its loss.
pub trait Task: Sync {
    /// What is trained.
    type Network: Module;
    /// What one step looks at: pictures and what chance does to them.
    type Batch: Send;

    /// Name of the files: the weights are `<name>.safetensors`.
    fn name(&self) -> &str;

    /// What the network is, in a sentence or two for its card.
    fn describe(&self) -> String;

    /// Pixels that a picture must have along its shorter side.
    fn least_side(&self) -> usize;

    /// Crops in a batch.
    fn crops(&self) -> usize;

    /// A network that has learned nothing yet.
    fn start(&self, pictures: &Pictures, seed: u64, device: &Device) -> Result<Self::Network, TrainingError>;

    /// Numbers in the weight file.
    fn parameters(&self, network: &Self::Network) -> usize {
        network.num_params()
    }

    /// The learning rate of each part of the network, when that of the run is `rate`.
    fn learning_rates(&self, rate: f64) -> ModuleLearningRate {
        rate.into()
    }

    /// Draws a batch; called from several threads ahead of the steps that use it.
    fn batch(&self, pictures: &Pictures, rng: &mut StdRng) -> Self::Batch;

    /// Sends a batch through the network.
    fn run(&self, network: &Self::Network, batch: &Self::Batch, device: &Device) -> Outcome;

    /// Figures over the pictures that are held out.
    fn validate(&self, network: &Self::Network, pictures: &Pictures, device: &Device) -> Vec<Figure>;

    /// Held-out pictures beside what arrives of them; none if the pictures are too small to show.
    fn strip(&self, network: &Self::Network, pictures: &Pictures, device: &Device) -> Option<Picture>;

    /// The bytes of the weight file.
    fn to_bytes(&self, network: &Self::Network) -> Result<Vec<u8>, String>;

    /// The network in a weight file.
    fn load(&self, bytes: Vec<u8>, device: &Device) -> Result<Self::Network, String>;
}
