//! Training of the paper's network (see [`crate::vscc`]) and the tables of its Figs. 7 to 9.

use burn::optim::{AdamConfig, GradientsParams, grad_clipping::GradientClippingConfig};
use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use semcast_common::content::Picture;

use crate::vscc::losses::{Method, loss};
use crate::vscc::network::PaperNetwork;
use crate::vscc::transmission::pass;

/// One training.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// The loss.
    pub method: Method,
    /// SNR in dB, drawn between the two at every step.
    pub snr_db: (f32, f32),
    /// Steps.
    pub steps: usize,
    /// Crops a step.
    pub batch: usize,
    /// Side of a crop, pixels.
    pub crop: usize,
    /// Greatest learning rate.
    pub learning_rate: f64,
    /// Seed of crops, noise and draws.
    pub seed: u64,
}

/// Random crops, `[batch, 3, side, side]` in 0 to 1.
pub fn crops(pictures: &[Picture], batch: usize, side: usize, rng: &mut StdRng) -> TensorData {
    let mut values = Vec::with_capacity(batch * 3 * side * side);
    for _ in 0..batch {
        let picture = &pictures[rng.random_range(0..pictures.len())];
        let left = rng.random_range(0..=picture.width() as usize - side);
        let top = rng.random_range(0..=picture.height() as usize - side);
        cut(picture, left, top, side, &mut values);
    }
    TensorData::new(values, [batch, 3, side, side])
}

/// A square of a picture, plane by plane, in 0 to 1.
pub fn cut(picture: &Picture, left: usize, top: usize, side: usize, values: &mut Vec<f32>) {
    let width = picture.width() as usize;
    for plane in 0..3 {
        for y in top..top + side {
            let row = 3 * (y * width + left) + plane;
            values.extend((0..side).map(|x| f32::from(picture.rgb()[row + 3 * x]) / 255.0));
        }
    }
}

/// Loss and mean square error of one step.
pub fn step(
    network: &PaperNetwork,
    pictures: Tensor<4>,
    method: Method,
    snr_db: f32,
    rng: &mut StdRng,
) -> (Tensor<1>, Tensor<1>) {
    let values = pictures.dims().iter().product();
    let passed = pass(network, pictures.clone(), method, snr_db, rng);
    let error = (passed.arrived - pictures).square().mean();
    let total = loss(error.clone(), passed.divergence, values);
    let total = match passed.knowledge {
        Some(knowledge) => total + knowledge,
        None => total,
    };
    (total, error)
}

/// Trains from where `network` is, on a device that differentiates; `report` is told the step and the mean PSNR since it was last told.
pub fn fit(
    mut network: PaperNetwork,
    pictures: &[Picture],
    stretch: &Stretch,
    device: &Device,
    report: &mut dyn FnMut(usize, f64),
) -> PaperNetwork {
    let clipping = Some(GradientClippingConfig::Norm(1.0));
    let mut optimizer = AdamConfig::new().with_epsilon(1e-8).with_grad_clipping(clipping).init();
    let mut rng = StdRng::seed_from_u64(stretch.seed);
    let (mut sum_db, mut since) = (0.0, 0);
    for at in 0..stretch.steps {
        let batch = Tensor::<4>::from_data(crops(pictures, stretch.batch, stretch.crop, &mut rng), device);
        let (low, high) = stretch.snr_db;
        let snr_db = low + (high - low) * rng.random::<f32>();
        let (total, error) = step(&network, batch, stretch.method, snr_db, &mut rng);
        let gradients = GradientsParams::from_grads(total.backward(), &network);
        let warm_up = ((at + 1) as f64 / 50.0).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * at as f64 / stretch.steps as f64).cos());
        network = optimizer.step(stretch.learning_rate * warm_up * (0.02 + 0.98 * cosine), network, gradients);
        sum_db -= 10.0 * f64::from(error.into_scalar::<f32>().max(1e-10)).log10();
        since += 1;
        if since == 100 || at + 1 == stretch.steps {
            report(at + 1, sum_db / f64::from(since));
            (sum_db, since) = (0.0, 0);
        }
    }
    network
}
