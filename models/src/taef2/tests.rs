//! The two halves of TAEF2 against PyTorch (constants printed by `models/tests/taef2_reference.py`), its projection, and the
//! system over both.

use burn::tensor::{Device, Tensor, TensorData};
use num_complex::Complex32;
use semcast_common::content::{Content, Picture};
use semcast_common::intent::Intent;
use semcast_common::message::{Feature, Payload, ReceivedFeature, ReceivedMessage};

use super::projection::{CHANNELS, Projection};
use super::start::Start;
use super::transform::ProjectedTaef2;
use super::*;
use crate::ae::Autoencoder;
use crate::{Budget, DeviceChoice, ModelError, System, open_device};

/// Values 0 to 1, as the script makes them.
fn picture(height: usize, width: usize) -> Tensor<4> {
    let mut values = Vec::new();
    for c in 0..3 {
        for y in 0..height {
            for x in 0..width {
                values.push(((7 * c + 5 * y + 3 * x + c * x * y) % 32) as f32 / 31.0);
            }
        }
    }
    Tensor::from_data(TensorData::new(values, [1, 3, height, width]), &Device::flex())
}

/// Mean, mean square, and twelve values at equal distances.
fn check(tensor: Tensor<4>, mean: f32, square: f32, picked: [f32; 12]) {
    let values: Vec<f32> = tensor.into_data().iter::<f32>().collect();
    let count = values.len() as f32;
    let step = values.len() / 12;
    let scale = square.sqrt();
    let near = |found: f32, expected: f32| {
        assert!((found - expected).abs() < 1e-4 * scale.max(1.0), "{found} instead of {expected}");
    };
    near(values.iter().sum::<f32>() / count, mean);
    assert!((values.iter().map(|value| value * value).sum::<f32>() / count / square - 1.0).abs() < 1e-4);
    for (at, expected) in picked.into_iter().enumerate() {
        near(values[at * step], expected);
    }
}

fn small() -> (Encoder, Decoder) {
    let device = Device::flex();
    let load = |bytes: &[u8]| ForeignWeights::parse(bytes.to_vec()).unwrap();
    let encoder = load(include_bytes!("../../tests/taef2/encoder.pth"));
    let decoder = load(include_bytes!("../../tests/taef2/decoder.pth"));
    (
        encoder.load_into(&Encoder::key_map().unwrap(), Encoder::new(4, 2, &device)).unwrap(),
        decoder.load_into(&Decoder::key_map().unwrap(), Decoder::new(4, 2, &device)).unwrap(),
    )
}

#[test]
fn a_small_network_gives_what_pytorch_gives() {
    let (encoder, decoder) = small();
    let latents = encoder.forward(picture(32, 48));
    assert_eq!(latents.dims(), [1, 2, 4, 6]);
    check(
        latents.clone(),
        0.121407,
        0.059967,
        [
            0.067243, -0.307262, -0.166738, 0.261543, -0.044838, 0.069974, 0.105195, -0.035521, -0.126753,
            -0.082647, 0.205263, 0.193315,
        ],
    );
    check(
        decoder.forward(latents),
        0.000232,
        14.188553,
        [
            0.023516, 0.231980, 0.152504, 0.498862, -0.374005, -0.377031, -0.702693, -0.285519, 0.137650,
            -0.434248, -0.255503, -0.982748,
        ],
    );
}

#[test]
fn halves_are_told_apart_and_others_are_refused_by_name() {
    let encoder = include_bytes!("../../tests/taef2/encoder.pth").to_vec();
    let decoder = include_bytes!("../../tests/taef2/decoder.pth").to_vec();
    // The small network has the right names and the wrong shapes.
    let error = Taef2::new([decoder, encoder.clone()], &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("misshapen: enter.weight") && !error.contains("missing"), "{error}");
    let error = Taef2::new([encoder.clone(), encoder], &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("misshapen"), "{error}");
}

/// The folder of `taef2_encoder.pth` and `taef2_decoder.pth`.
#[expect(clippy::disallowed_methods, reason = "the weights are not ours to commit")]
fn real() -> Taef2 {
    let folder = std::path::PathBuf::from(std::env::var("SEMCAST_TAEF2").expect("SEMCAST_TAEF2 is set"));
    let files = ["taef2_decoder.pth", "taef2_encoder.pth"];
    Taef2::new(files.map(|file| std::fs::read(folder.join(file)).unwrap()), &Device::flex()).unwrap()
}

#[test]
#[ignore = "needs the files of TAEF2, in a folder named by SEMCAST_TAEF2"]
fn taef2_gives_what_pytorch_gives() {
    let taef2 = real();
    let latents = taef2.encoder.forward(picture(32, 48));
    check(
        latents.clone(),
        0.057407,
        0.676277,
        [
            0.432296, -0.339411, -0.129609, -0.156545, 1.104128, 0.737333, -1.456496, -0.324640, 0.000698,
            0.655355, -0.231195, -0.020380,
        ],
    );
    check(
        taef2.decoder.forward(latents),
        0.488707,
        0.278929,
        [
            0.607832, 0.597976, 0.746450, 0.678602, 0.570525, 0.595841, 0.631230, 0.521117, 0.608168,
            0.636182, 0.652172, 0.555904,
        ],
    );
}

#[test]
fn an_untrained_projection_passes_latents_on() {
    let device = Device::flex();
    let projection = Projection::new(&Start::plain(), &device);
    let values: Vec<f32> = (0..LATENTS * 24).map(|at| ((at * 37 % 101) as f32 - 50.0) / 40.0).collect();
    let latents = Tensor::<4>::from_data(TensorData::new(values.clone(), [1, LATENTS, 4, 6]), &device);
    let sent = projection.encode(latents);
    assert_eq!(sent.dims(), [1, CHANNELS, 2, 3]);
    let variance = sent.zeros_like().add_scalar(1e-6);
    let arrived: Vec<f32> = projection.decode(sent, variance).into_data().iter::<f32>().collect();
    for (arrived, value) in arrived.iter().zip(&values) {
        assert!((arrived - value).abs() < 1e-3, "{arrived} instead of {value}");
    }
}

/// The system over TAEF2's architecture with random weights.
fn random_system() -> Autoencoder<ProjectedTaef2> {
    let device = open_device(DeviceChoice::Cpu).unwrap();
    device.device.seed(5);
    let taef2 = Taef2 {
        encoder: Encoder::new(HIDDEN, LATENTS, &device.device),
        decoder: Decoder::new(HIDDEN, LATENTS, &device.device),
        digest: ModelDigest([7; 8]),
    };
    let mut start = Start::plain();
    // Random encoders answer faintly.
    start.variance = vec![1e-3; CHANNELS];
    let projection = weights::to_bytes(&Projection::new(&start, &device.device)).unwrap();
    Autoencoder::taef2_with_weights(taef2, projection, &device).unwrap()
}

fn content(width: u32, height: u32) -> Content {
    let value = |at: u32| ((at % 251) ^ (at / 97 % 256)) as u8;
    Content::Picture(Picture::new(width, height, (0..3 * width * height).map(value).collect()).unwrap())
}

fn arrived(message: &semcast_common::message::SemanticMessage) -> ReceivedMessage {
    let [Feature { payload: Payload::Digital(base), .. }, Feature { payload: Payload::Analog(symbols), .. }] =
        message.features.as_slice()
    else {
        panic!("a base and symbols");
    };
    let noise_variance = vec![1e-4; symbols.len()];
    ReceivedMessage {
        system: message.system,
        model: message.model,
        side: message.side.clone(),
        features: vec![
            ReceivedFeature::Digital { bytes: base.clone(), missing: Vec::new() },
            ReceivedFeature::Analog { symbols: symbols.clone(), noise_variance },
        ],
    }
}

#[test]
fn pictures_of_any_size_arrive_over_taef2() {
    let mut system = random_system();
    for (width, height) in [(1_u32, 1_u32), (17, 33), (40, 16)] {
        let blocks = width.div_ceil(16) as usize * height.div_ceil(16) as usize;
        let message =
            system.encode(&content(width, height), Budget::new(60 * blocks, 0), &Intent::default()).unwrap();
        let Payload::Analog(symbols) = &message.features[1].payload else { panic!("symbols are analog") };
        assert!(symbols.len() <= 60 * blocks && symbols.len() >= 4 * blocks);
        let power = symbols.iter().map(Complex32::norm_sqr).sum::<f32>() / symbols.len() as f32;
        assert!((power - 1.0).abs() < 1e-3, "{power}");
        let Content::Picture(picture) = system.decode(&arrived(&message)).unwrap().content else {
            panic!("a picture came back as text")
        };
        assert_eq!((picture.width(), picture.height()), (width, height));
    }
}

#[test]
fn ends_with_different_transforms_refuse_each_other() {
    let mut over_taef2 = random_system();
    let mut own = Autoencoder::new(&open_device(DeviceChoice::Cpu).unwrap()).unwrap();
    let message = over_taef2.encode(&content(32, 32), Budget::new(200, 0), &Intent::default()).unwrap();
    let error = own.decode(&arrived(&message)).unwrap_err();
    assert!(matches!(error, ModelError::ModelMismatch { .. }), "{error}");
    let message = own.encode(&content(32, 32), Budget::new(200, 0), &Intent::default()).unwrap();
    let error = over_taef2.decode(&arrived(&message)).unwrap_err();
    assert!(matches!(error, ModelError::ModelMismatch { .. }), "{error}");
}

#[test]
fn tiles_of_taef2_give_the_same_as_one_pass() {
    let mut system = random_system();
    let Content::Picture(picture) = content(14 * 16, 20) else { panic!("a picture") };
    // Everything is sent, so that rates cannot turn on a rounding error.
    let (side, expected) = system.modulate(&picture, Budget::new(64 * 28, 0)).unwrap();
    let one = system.demodulate(&side, &expected, &vec![0.1; expected.len()]).unwrap();
    // 14 blocks are more than a core of 2 with 5 around it on both sides.
    system.transform_mut().core_blocks = 2;
    let (_, symbols) = system.modulate(&picture, Budget::new(64 * 28, 0)).unwrap();
    let most = expected.iter().zip(&symbols).map(|(a, b)| (a - b).norm()).fold(0.0, f32::max);
    assert!(most < 1e-2, "symbols differ by {most}");
    let other = system.demodulate(&side, &expected, &vec![0.1; expected.len()]).unwrap();
    let most = one.rgb().iter().zip(other.rgb()).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(most <= Some(1), "pixels differ by {most:?}");
}
