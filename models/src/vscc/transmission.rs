//! The paper's chain: power constraint, channel, resampling; how it is trained and the three ways to test it (Fig. 6).
//!
//! Ours, because the paper states none, is a **hard power constraint**: the codes of each picture are scaled so that a
//! complex symbol, which is two of them, has a mean power of 1 over the picture. All variances, σ₁², σ₂² and d, are
//! in units of the mean square of a code as it is sent, so σ₂² = 10^(−SNR/10), whatever the picture.
//!
//! Sampling: z = μ + n with n of variance σ₂², and ŷ = z + σ₁·ε; together that is one draw of N(μ, σ₁² + σ₂²).
//! A transmitted variance costs as many symbols again. It is sent as its logarithm less the knowledge base's,
//! scaled to the same power; the scale, two bytes, is side information.

use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

use super::losses::{Method, matching};
use super::network::{FEATURES, PaperNetwork};

/// How a network is tested, Fig. 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Testing {
    /// What was received is decoded.
    Direct,
    /// Resampled with the variance that was sent too: twice the symbols.
    Transmitted,
    /// Resampled with the variance of the knowledge base.
    Fixed,
}

impl Testing {
    /// Complex symbols a value of the picture.
    pub fn bandwidth_ratio(self) -> f64 {
        let reals = if self == Self::Transmitted { 2 * FEATURES } else { FEATURES };
        reals as f64 / 2.0 / 768.0
    }
}

/// What a batch becomes in training.
pub struct Passed {
    /// The pictures that arrive, `[B, 3, H, W]`.
    pub arrived: Tensor<4>,
    /// Sum of the divergences of all codes, nats; none for an AE.
    pub divergence: Option<Tensor<1>>,
    /// How far the knowledge base is from the mean of the variances: least where it is that mean.
    pub knowledge: Option<Tensor<1>>,
}

/// Scales the codes of each picture to a mean square of 1.
pub fn constrain(codes: Tensor<4>) -> Tensor<4> {
    let [batch, features, height, width] = codes.dims();
    let power = codes.clone().square().reshape([batch, features * height * width]).mean_dim(1);
    codes / power.add_scalar(1e-8).sqrt().reshape([batch, 1, 1, 1])
}

/// Values of variance one.
pub fn normal(shape: [usize; 4], rng: &mut StdRng, device: &Device) -> Tensor<4> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| StandardNormal.sample(rng)).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Noise variance of a code at an SNR.
pub fn noise_variance(snr_db: f32) -> f32 {
    10.0_f32.powf(-snr_db / 10.0)
}

/// Sends `[B, 3, H, W]` as in training: the channel is a layer, the code is drawn once.
pub fn pass(
    network: &PaperNetwork,
    pictures: Tensor<4>,
    method: Method,
    snr_db: f32,
    rng: &mut StdRng,
) -> Passed {
    let device = pictures.device();
    let posterior = network.encoder.forward(pictures);
    let mean = constrain(posterior.mean);
    let shape = mean.dims();
    let noise = noise_variance(snr_db);
    let received = mean.clone() + normal(shape, rng, &device).mul_scalar(noise.sqrt());
    if !method.is_variational() {
        return Passed { arrived: network.decoder.forward(received), divergence: None, knowledge: None };
    }
    let variance = posterior.log_variance.exp();
    let drawn = received + variance.clone().sqrt() * normal(shape, rng, &device);
    let noises = variance.zeros_like().add_scalar(noise);
    let divergence = matching(method, mean, variance.clone(), noises).map(Tensor::sum);
    let known = network.known_log_variance.val().reshape([1, FEATURES, 1, 1]);
    Passed {
        arrived: network.decoder.forward(drawn),
        divergence,
        knowledge: Some(distance(known, variance.detach()).mean()),
    }
}

/// How far `exp(known)` is from a variance (Itakura and Saito's distance but for what `known` cannot change): the mean of it
/// is least where `exp(known)` is the mean of the variances.
pub fn distance(known: Tensor<4>, variance: Tensor<4>) -> Tensor<4> {
    variance * known.clone().neg().exp() + known
}

/// What a picture's channel noise made of it, before resampling.
pub struct Received {
    codes: Tensor<4>,
    deviation: Option<Tensor<4>>,
}

/// Sends `[B, 3, H, W]` as in a test.
pub fn receive(
    network: &PaperNetwork,
    pictures: Tensor<4>,
    testing: Testing,
    snr_db: f32,
    rng: &mut StdRng,
) -> Received {
    let device = pictures.device();
    let posterior = network.encoder.forward(pictures);
    let mean = constrain(posterior.mean);
    let shape = mean.dims();
    let noise = noise_variance(snr_db);
    let codes = mean + normal(shape, rng, &device).mul_scalar(noise.sqrt());
    let known = network.known_log_variance.val().reshape([1, FEATURES, 1, 1]);
    let deviation = match testing {
        Testing::Direct => None,
        Testing::Fixed => Some(known.expand(shape)),
        Testing::Transmitted => {
            let excess = posterior.log_variance - known.clone();
            let [batch, features, height, width] = shape;
            let power = excess.clone().square().reshape([batch, features * height * width]).mean_dim(1);
            let scale = power.add_scalar(1e-8).sqrt().reshape([batch, 1, 1, 1]);
            let sent = excess / scale.clone();
            let received = sent + normal(shape, rng, &device).mul_scalar(noise.sqrt());
            // The best linear estimate: towards the knowledge base as the noise grows.
            Some(known + received.mul_scalar(1.0 / (1.0 + noise)) * scale)
        }
    }
    .map(|log_variance| log_variance.mul_scalar(0.5).exp());
    Received { codes, deviation }
}

impl Received {
    /// The codes, drawn anew at every call.
    pub fn draw(&self, rng: &mut StdRng) -> Tensor<4> {
        let codes = self.codes.clone();
        match &self.deviation {
            None => codes,
            Some(deviation) => {
                let (shape, device) = (codes.dims(), codes.device());
                codes + deviation.clone() * normal(shape, rng, &device)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use rand::SeedableRng;

    use super::*;
    use crate::vscc::network::Scale;

    fn pictures(side: usize) -> Tensor<4> {
        let values: Vec<f32> = (0..3 * side * side).map(|value| (value * 31 % 101) as f32 / 100.0).collect();
        Tensor::from_data(TensorData::new(values, [1, 3, side, side]), &Device::flex())
    }

    fn network() -> PaperNetwork {
        PaperNetwork::new(Scale::new(8).unwrap(), &Device::flex())
    }

    fn mean_square(tensor: Tensor<4>) -> f32 {
        tensor.square().mean().into_scalar()
    }

    #[test]
    fn a_symbol_has_a_power_of_one_whatever_the_picture() {
        for scale in [0.01_f32, 30.0] {
            let codes = network().encoder.forward(pictures(64)).mean.mul_scalar(scale);
            assert!((mean_square(constrain(codes)) - 1.0).abs() < 1e-2);
        }
    }

    /// What is drawn differs from what was received by the variance that is announced.
    #[test]
    fn resampling_has_the_variance_of_the_knowledge_base() {
        let mut network = network();
        let announced = 0.37_f32;
        network.known_log_variance =
            Param::from_tensor(Tensor::full([FEATURES], announced.ln(), &Device::flex()));
        let mut rng = StdRng::seed_from_u64(1);
        let received = receive(&network, pictures(128), Testing::Fixed, 5.0, &mut rng);
        let draws: Vec<f32> =
            (0..40).map(|_| mean_square(received.draw(&mut rng) - received.codes.clone())).collect();
        let found = draws.iter().sum::<f32>() / draws.len() as f32;
        assert!((found / announced - 1.0).abs() < 0.03, "{found} instead of {announced}");
        let direct = receive(&network, pictures(128), Testing::Direct, 5.0, &mut rng);
        assert_eq!(mean_square(direct.draw(&mut rng) - direct.codes.clone()), 0.0);
    }

    #[test]
    fn a_transmitted_variance_arrives_without_noise_and_falls_back_to_the_known_one_in_noise() {
        let network = network();
        let mut rng = StdRng::seed_from_u64(1);
        let truth = network.encoder.forward(pictures(64)).log_variance.mul_scalar(0.5).exp();
        let clean = receive(&network, pictures(64), Testing::Transmitted, 80.0, &mut rng);
        assert!(mean_square(clean.deviation.unwrap() / truth.clone() - 1.0) < 1e-4);
        let lost = receive(&network, pictures(64), Testing::Transmitted, -60.0, &mut rng);
        let known = network.known_log_variance.val().mul_scalar(0.5).exp().reshape([1, FEATURES, 1, 1]);
        assert!(mean_square(lost.deviation.unwrap() / known - 1.0) < 1e-2);
    }

    #[test]
    fn the_knowledge_base_is_where_the_distance_is_least() {
        let device = Device::flex();
        let variance =
            Tensor::<4>::from_data(TensorData::new(vec![0.1_f32, 0.5, 0.9], [3, 1, 1, 1]), &device);
        let at = |known: f32| -> f32 {
            distance(Tensor::full([1, 1, 1, 1], known.ln(), &device), variance.clone()).mean().into_scalar()
        };
        assert!(at(0.5) < at(0.45) && at(0.5) < at(0.55), "0.5 is the mean of the three");
    }

    #[test]
    fn seeds_repeat_a_run() {
        let network = network();
        let run = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            let passed = pass(&network, pictures(32), Method::Vscc { d: 2.0 }, 5.0, &mut rng);
            assert!(passed.divergence.is_some() && passed.knowledge.is_some());
            passed.arrived.into_data()
        };
        assert_eq!(run(4), run(4));
        assert_ne!(run(4), run(5));
    }
}
