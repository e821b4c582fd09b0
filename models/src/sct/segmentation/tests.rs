//! The networks against PyTorch (constants printed by `models/tests/segmentation_reference.py`), and what they are good for.

use std::path::PathBuf;

use burn::tensor::Tensor;
use semcast_common::content::{Picture, file::decode_picture};

use super::layers::{bilinear, pooled};
use super::*;
use crate::DeviceChoice;
use crate::open_device;

fn cpu() -> OpenDevice {
    open_device(DeviceChoice::Cpu).unwrap()
}

fn picture(width: u32, height: u32) -> Picture {
    let value = |at: u32| ((at % 251) ^ (at / 97 % 256)) as u8;
    Picture::new(width, height, (0..3 * width * height).map(value).collect()).unwrap()
}

fn tensor(values: Vec<f32>, shape: [usize; 4]) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn numbers(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

#[test]
fn resampling_is_that_of_pytorch() {
    let input = tensor((0..12).map(|at| (at * at) as f32).collect(), [1, 1, 3, 4]);
    assert_eq!(numbers(bilinear(input.clone(), [3, 4])), numbers(input.clone()));
    // Corners stay, and what is between them lies on a line.
    let up = numbers(bilinear(input.clone(), [5, 7]));
    assert_eq!((up[0], up[6], up[28], up[34]), (0.0, 9.0, 64.0, 121.0));
    assert!((up[1] - 0.5).abs() < 1e-5 && (up[7] - 8.0).abs() < 1e-5);
    // Columns 0 to 1 and 2 to 3; rows 0 to 1 and 1 to 2.
    let means = numbers(pooled(input, [2, 2]));
    assert_eq!(means, [10.5, 24.5, 46.5, 76.5]);
}

#[test]
fn every_size_gets_labels() {
    let segmenter = Segmenter::new(&cpu()).unwrap();
    for (width, height) in [(1, 1), (3, 700), (64, 64), (200, 31)] {
        let picture = picture(width, height);
        let map = segmenter.segment(&picture).unwrap();
        assert_eq!(map.labels.len(), map.across * map.down);
        assert!(map.labels.iter().all(|&label| usize::from(label) < COUNT));
        let blocks = map.majority(width as usize, height as usize, 16);
        assert_eq!(blocks.len(), width.div_ceil(16) as usize * height.div_ceil(16) as usize);
    }
}

#[test]
fn majorities_are_those_of_the_blocks() {
    // Left half road, right half sky, and blocks of a third of the width.
    let row = [10, 10, 10, 13, 13, 13];
    let map = LabelMap { across: 6, down: 4, labels: row.repeat(4) };
    assert_eq!(map.majority(48, 16, 16), [10, 10, 13]);
    assert_eq!(map.majority(1, 1, 16), [10]);
    let fine = map.majority(96, 64, 16);
    assert_eq!(fine[..6], row);
}

#[test]
fn what_counts_more_needs_less_of_a_block() {
    // A person is a quarter of the first block and a sixteenth of the second.
    let mut labels = vec![10; 32];
    (labels[0], labels[8], labels[1], labels[9], labels[4]) = (1, 1, 1, 1, 1);
    let map = LabelMap { across: 8, down: 4, labels };
    let mut weights = [1; COUNT];
    assert_eq!(map.weighed(32, 16, 16, &weights), [10, 10]);
    weights[1] = 4;
    assert_eq!(map.weighed(32, 16, 16, &weights), [1, 10]);
}

#[test]
fn gradcam_is_finite_and_about_what_was_found() {
    let segmenter = Segmenter::new(&cpu()).unwrap();
    let picture = picture(160, 96);
    let found = segmenter.segment(&picture).unwrap().labels;
    let all: Vec<u8> = (0..COUNT as u8).collect();
    let map = segmenter.gradcam(&picture, &all).unwrap();
    assert_eq!(map.values.len(), map.across * map.down);
    assert!(map.values.iter().all(|value| (0.0..=1.0).contains(value)));
    let absent: Vec<u8> = all.into_iter().filter(|class| !found.contains(class)).collect();
    assert!(segmenter.gradcam(&picture, &absent).unwrap().values.iter().all(|&value| value == 0.0));
}

#[test]
fn other_files_are_refused() {
    for name in [NetworkName::EspNet, NetworkName::EspNetV2] {
        let error = Segmenter::load(name, small::WEIGHTS.to_vec(), &cpu()).unwrap_err().to_string();
        assert!(error.contains("segmentation network"), "{error}");
        assert_eq!(name.name().parse(), Ok(name));
    }
    let error = Segmenter::load(NetworkName::Small, b"nothing".to_vec(), &cpu()).unwrap_err().to_string();
    assert!(error.contains("segmentation network"), "{error}");
    assert!("unet".parse::<NetworkName>().unwrap_err().contains("espnetv2"));
}

/// A folder that an environment variable names.
#[expect(clippy::disallowed_methods, reason = "weights and pictures are not ours to commit")]
fn folder(variable: &str) -> PathBuf {
    PathBuf::from(std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is set")))
}

#[expect(clippy::disallowed_methods, reason = "weights and pictures are not ours to commit")]
fn read(path: PathBuf) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

/// File, network, mean, mean square and twelve values of what PyTorch makes of a picture.
const PARITY: [(&str, NetworkName, f32, f32, [f32; 12]); 5] = [
    (
        "espnet/espnet_p_2_q_8.pth",
        NetworkName::EspNet,
        -0.829183,
        19073.9,
        [
            -87.5032, -134.913, -168.822, -5.75616, 168.772, -171.098, -40.2634, 81.9128, 61.761, 33.9751,
            32.3763, 129.562,
        ],
    ),
    (
        "espnet/espnet_p_2_q_8_camvid.pth",
        NetworkName::EspNet,
        1.31932,
        33649.9,
        [
            -153.334, 118.177, -27.4718, -293.843, -113.156, 197.479, 33.9842, 88.2541, 16.7702, 102.201,
            10.6058, 64.4969,
        ],
    ),
    (
        "edgenets/espnetv2_s_1.0_city_512x256.pth",
        NetworkName::EspNetV2,
        -0.361673,
        39.5032,
        [
            3.15073, 5.06859, 10.3653, 0.611641, -12.9744, 4.58148, -1.91953, -0.453029, 1.64122, 0.865454,
            -3.87424, 0.751531,
        ],
    ),
    (
        "edgenets/espnetv2_s_1.0_pascal_256x256.pth",
        NetworkName::EspNetV2,
        0.001771,
        20.1898,
        [
            10.485, -2.83324, -4.06833, -2.45764, 1.49754, -0.617974, -1.61119, -1.0308, -6.77168, 1.49191,
            0.579104, -0.144035,
        ],
    ),
    (
        "edgenets/espnetv2_s_2.0_pascal_384x384.pth",
        NetworkName::EspNetV2,
        0.001066,
        27.5915,
        [
            11.5768, -4.78593, -4.35393, 0.470775, -0.195603, 0.400296, -3.30869, -1.85457, -5.44261,
            4.42266, -0.915393, 0.587949,
        ],
    ),
];

#[test]
#[ignore = "needs the published networks, in folders espnet and edgenets of one that SEMCAST_SEGMENTATION names"]
fn published_networks_give_what_pytorch_gives() {
    let folder = folder("SEMCAST_SEGMENTATION");
    let mut values = Vec::new();
    for c in 0..3 {
        for y in 0..64 {
            values.extend((0..96).map(|x| ((7 * c + 5 * y + 3 * x + c * x * y) % 32) as f32 / 31.0 - 0.5));
        }
    }
    for (file, name, mean, square, picked) in PARITY {
        let segmenter = Segmenter::load(name, read(folder.join(file)), &cpu()).unwrap();
        let (features, beside) = segmenter.features(tensor(values.clone(), [1, 3, 64, 96]));
        let found = numbers(segmenter.logits(features, beside));
        let scale = square.sqrt();
        let near = |found: f32, expected: f32| {
            assert!((found - expected).abs() < 2e-4 * scale, "{found} instead of {expected}: {file}");
        };
        near(found.iter().sum::<f32>() / found.len() as f32, mean);
        let step = found.len() / 12;
        picked.into_iter().enumerate().for_each(|(at, expected)| near(found[at * step], expected));
    }
}

/// CamVid's classes, of which ours are alike: sky, building with fence, sign with pole, road, pavement, tree, car, people with
/// their cycles.
const GROUPS: [&[u8]; 8] = [&[13], &[9], &[14], &[10], &[11], &[12], &[3, 4], &[1, 5]];

/// Intersection over union of each group over CamVid's test pictures, and the share of pixels whose group is right.
fn on_camvid(segmenter: &Segmenter) -> (Vec<f64>, f64) {
    let folder = folder("SEMCAST_CAMVID");
    let group = |class: u8| GROUPS.iter().position(|group| group.contains(&class));
    let mut counts = vec![[0_usize; 3]; GROUPS.len()];
    let (mut right, mut all) = (0_usize, 0_usize);
    let mut files: Vec<_> =
        std::fs::read_dir(folder.join("test")).unwrap().map(|entry| entry.unwrap()).collect();
    files.sort_by_key(|entry| entry.file_name());
    for file in files {
        let picture = decode_picture(&read(file.path())).unwrap();
        let annotation =
            image::load_from_memory(&read(folder.join("testannot").join(file.file_name()))).unwrap();
        let map = segmenter.segment(&picture).unwrap();
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        for (at, truth) in annotation.to_luma8().into_raw().into_iter().enumerate() {
            let Some(truth) = CAMVID[..11].get(usize::from(truth)).and_then(|&class| group(class)) else {
                continue;
            };
            let (x, y) = (at % width * map.across / width, at / width * map.down / height);
            let found = group(map.labels[y * map.across + x]);
            counts[truth][0] += 1;
            if let Some(found) = found {
                counts[found][1] += 1;
            }
            counts[truth][2] += usize::from(found == Some(truth));
            right += usize::from(found == Some(truth));
            all += 1;
        }
    }
    let iou = counts.iter().map(|&[truth, found, both]| both as f64 / (truth + found - both).max(1) as f64);
    (iou.collect(), right as f64 / all as f64)
}

#[test]
#[ignore = "needs the published networks and CamVid, named by SEMCAST_SEGMENTATION and SEMCAST_CAMVID; prints a table"]
#[expect(clippy::print_stdout, reason = "the table is what it is run for")]
fn accuracy_on_street_scenes() {
    let published = folder("SEMCAST_SEGMENTATION");
    let load = |name, file: &str| Segmenter::load(name, read(published.join(file)), &cpu()).unwrap();
    let mut networks = vec![("small".to_owned(), Segmenter::new(&cpu()).unwrap())];
    networks.extend(PARITY.map(|(file, name, ..)| (file.to_owned(), load(name, file))));
    for (name, segmenter) in networks {
        let (iou, right) = on_camvid(&segmenter);
        let mean = iou.iter().sum::<f64>() / iou.len() as f64;
        let iou: Vec<String> = iou.iter().map(|value| format!("{value:.3}")).collect();
        println!("{name}: {} mean {mean:.3}, pixels {right:.3}", iou.join(" "));
        if name.contains("camvid") {
            assert!(mean > 0.55, "{mean}");
        }
    }
}
