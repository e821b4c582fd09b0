//! One step of each task: what should move moves, what should not does not.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor, TensorData};

use super::super::parameters;
use super::correction::TrainedCorrection;
use super::judge::{Discriminator, Judge, Opposed, Weights};
use super::*;
use crate::ae::basis::Basis;
use crate::ae::network::CHANNELS;
use crate::metrics::{Backbone, Lpips};
use crate::{DeviceChoice, open_device};

const ALL: Weights = Weights { error: 0.1, perceptual: 1.0, adversarial: 0.1 };
const UNJUDGED: Weights = Weights { error: 1.0, perceptual: 0.0, adversarial: 0.0 };

fn lpips() -> Lpips {
    let device = open_device(DeviceChoice::Cpu).unwrap();
    Lpips::uniform(Backbone::random(1, &device))
}

fn pictures() -> (tempfile::TempDir, Pictures) {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..3_u32 {
        let value = |at: u32| (at.wrapping_mul(index + 7) / 3 % 251) as u8;
        let picture = Picture::new(64, 64, (0..64 * 64 * 3).map(value).collect()).unwrap();
        let bytes = semcast_common::content::file::encode_png(&picture).unwrap();
        std::fs::write(folder.path().join(format!("{index}.png")), bytes).unwrap();
    }
    let pictures = Pictures::open(&[folder.path().to_owned()], &folder.path().join("pack"), 32).unwrap();
    (folder, pictures)
}

/// Which tensors have a gradient, in the order of the network.
fn moved<M: Module + Clone>(network: &M, loss: Tensor<1>) -> Vec<bool> {
    let gradients = GradientsParams::from_grads(loss.backward(), network);
    let mut optimizer = burn::optim::AdamWConfig::new().with_weight_decay(0.0).init();
    let after = optimizer.step(0.01, network.clone(), gradients);
    let pairs = parameters::read(network).into_iter().zip(parameters::read(&after));
    pairs.map(|(before, after)| before != after).collect()
}

#[test]
fn a_judge_gives_each_half_its_own_gradients_alone() {
    let device = Device::flex().autodiff();
    let plain = Device::flex();
    plain.seed(2);
    let random = || Tensor::<4>::random([2, 3, 32, 32], Distribution::Uniform(0.0, 1.0), &plain);
    let (pictures, arrived) = (random(), random().autodiff().require_grad());
    let discriminator = Discriminator::new(&device);
    let judge = |weights| Judge { lpips: lpips(), weights };
    let errors = || (arrived.clone() - pictures.clone()).square().mean();
    let loss = |weights| judge(weights).loss(&discriminator, pictures.clone(), arrived.clone(), errors());
    // The gradient of the picture is that of the network's loss: with the hinge it would change with the discriminator's.
    let slope = |loss: Tensor<1>| {
        let gradients = loss.backward();
        arrived.grad(&gradients).unwrap().into_data().iter::<f32>().collect::<Vec<_>>()
    };
    let fooled = slope(discriminator.valid().forward(arrived.clone()).mean().mul_scalar(-0.1));
    let with = slope(loss(ALL));
    let without = slope(loss(Weights { adversarial: 0.0, ..ALL }));
    for ((with, without), fooled) in with.iter().zip(&without).zip(&fooled) {
        assert!((with - without - fooled).abs() < 1e-5 + 1e-3 * fooled.abs());
    }
    assert!(with.iter().all(|slope| slope.is_finite()));
    // And the discriminator's is that of the hinge, whatever the weight.
    // But for what is added to all verdicts: within the margins, both kinds pull at it alike.
    assert!(moved(&discriminator, loss(ALL))[..7].iter().all(|moved| *moved));
    assert!(!moved(&discriminator, loss(UNJUDGED)).iter().any(|moved| *moved));
}

#[test]
fn the_encoder_stays_unless_it_is_asked_to_learn() {
    let device = Device::flex().autodiff();
    let (_folder, pictures) = pictures();
    for (rate, expected) in [(0.0, false), (0.5, true)] {
        let task = Sct::new(lpips(), ALL, rate, 2, 32).unwrap();
        // Its own weights: on so few places, rectifiers of the deeper network of `ae` leave a layer without a slope.
        let opposed = task.load(crate::sct::weights::DEFAULT.to_vec(), &device).unwrap();
        let batch = task.batch(&pictures, &mut StdRng::seed_from_u64(3));
        let outcome = task.run(&opposed, &batch, &device);
        let moved = moved(&opposed, outcome.loss);
        let encoder = parameters::read(&opposed.network.encoder).len();
        assert_eq!(moved[..encoder].iter().any(|moved| *moved), expected);
        let decoder = parameters::read(&opposed.network.decoder).len();
        assert!(moved[encoder..encoder + decoder].iter().all(|moved| *moved));
    }
}

/// With an encoder that does not learn, neither it nor the variances of its values change: messages stay as they are.
#[test]
fn steps_lower_the_loss_of_a_batch_and_keep_the_encoder() {
    let device = Device::flex().autodiff();
    let (_folder, pictures) = pictures();
    let task = Sct::new(lpips(), Weights { adversarial: 0.0, ..ALL }, 0.0, 2, 32).unwrap();
    let batch = task.batch(&pictures, &mut StdRng::seed_from_u64(3));
    device.seed(1);
    let mut opposed = Opposed::new(Network::new(&Basis::typical(CHANNELS), &device), &device);
    let mut optimizer = burn::optim::AdamWConfig::new().with_weight_decay(0.0).init();
    let sent = |opposed: &Opposed<Network>| {
        let encoder = parameters::read(&opposed.network.encoder);
        (encoder, opposed.network.decoder.log_variance().into_data().iter::<f32>().collect::<Vec<_>>())
    };
    let before = sent(&opposed);
    let mut losses = Vec::new();
    for _ in 0..6 {
        let loss = task.run(&opposed, &batch, &device).loss;
        losses.push(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &opposed);
        opposed = optimizer.step(task.learning_rates(1e-3), opposed, gradients);
    }
    assert!(losses[5] < losses[0] - 0.01, "{losses:?}");
    assert!(sent(&opposed) == before);
}

#[test]
fn the_weight_file_is_the_networks_alone_and_that_of_ae_is_a_start() {
    let device = Device::flex();
    let task = Sct::new(lpips(), ALL, 0.0, 2, 32).unwrap();
    let opposed = task.load(weights::DEFAULT.to_vec(), &device).unwrap();
    let bytes = task.to_bytes(&opposed).unwrap();
    // What the encoder of `ae` does with the SNR is left out.
    assert!(bytes.len() < weights::DEFAULT.len());
    assert_eq!(task.parameters(&opposed), opposed.network.num_params());
    assert!(task.load(b"no weights".to_vec(), &device).is_err());
    assert!(Sct::new(lpips(), Weights { error: -1.0, ..ALL }, 0.0, 2, 32).is_err());
    assert!(Sct::new(lpips(), ALL, 2.0, 2, 32).is_err());
}

#[test]
fn a_correction_learns_with_the_codec_as_it_is() {
    let device = Device::flex().autodiff();
    let (_folder, pictures) = pictures();
    let codec = weights::DEFAULT.to_vec();
    let task = TrainedCorrection::new(codec, lpips(), ALL, None, (2, 64), &Device::flex()).unwrap();
    let batch = task.batch(&pictures, &mut StdRng::seed_from_u64(5));
    let mut opposed = task.start(&pictures, 1, &device).unwrap();
    let mut optimizer = burn::optim::AdamWConfig::new().with_weight_decay(0.0).init();
    let mut losses = Vec::new();
    for _ in 0..8 {
        let loss = task.run(&opposed, &batch, &device).loss;
        losses.push(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &opposed);
        opposed = optimizer.step(1e-3, opposed, gradients);
    }
    assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    assert!(losses[7] < losses[0], "{losses:?}");
    let back = task.load(task.to_bytes(&opposed).unwrap(), &Device::flex()).unwrap();
    assert_eq!(parameters::read(&back.network).len(), parameters::read(&opposed.network).len());
    assert_eq!(task.validate(&back, &pictures, &Device::flex()).len(), 8);
}

#[test]
fn distances_of_tensors_are_those_of_pictures() {
    let lpips = lpips();
    let picture = |salt: usize| {
        let values = (0..3 * 40 * 48).map(|at| ((at * (31 + salt)) % 251) as u8).collect();
        Picture::new(48, 40, values).unwrap()
    };
    let tensor = |picture: &Picture| {
        let rgb = TensorData::new(
            picture.rgb().iter().map(|&value| f32::from(value) / 255.0).collect::<Vec<_>>(),
            [1, 40, 48, 3],
        );
        Tensor::<4>::from_data(rgb, &Device::flex()).permute([0, 3, 1, 2])
    };
    let (first, second) = (picture(0), picture(6));
    let found: f32 = lpips.between(tensor(&first), tensor(&second)).into_scalar();
    let expected = lpips.distance(&first, &second).unwrap() as f32;
    assert!((found / expected - 1.0).abs() < 1e-4, "{found} instead of {expected}");
    let received = tensor(&first).autodiff().require_grad();
    let gradients = lpips.between(tensor(&first), received.clone()).sum().backward();
    assert!(received.grad(&gradients).unwrap().into_data().iter::<f32>().all(|slope| slope.is_finite()));
}
