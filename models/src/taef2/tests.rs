//! The two halves of TAEF2 against PyTorch: constants printed by `models/tests/taef2_reference.py`.

use burn::tensor::{Device, Tensor, TensorData};

use super::*;

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
