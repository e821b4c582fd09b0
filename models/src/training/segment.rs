//! Training of the segmentation network that comes with the program: pictures → its weights.
//!
//! No person labelled the pictures: two published networks are the teachers \[1\]. One knows things (Pascal VOC), the other
//! knows streets (Cityscapes). What the first one takes for background, the second one explains: all of it where there is a road
//! below and none above, elsewhere plants and sky, and the rest with doubts. What nobody is sure of is another thing. Crops are
//! labelled once, before the first step, and labels are kept in a file; the network sees them at half their size, parts of them at
//! a time, mirrored and with other colours at random. The loss is the cross-entropy against the teachers' probabilities, in which
//! rare classes count more.
//!
//! The errors that are reported are shares of places whose class is not the teachers': their PSNR is −10 lg of that.
//!
//! 1. G. Hinton, O. Vinyals, J. Dean: Distilling the knowledge in a neural network. arXiv:1503.02531, 2015.

use std::path::PathBuf;
use std::sync::OnceLock;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use semcast_common::content::Picture;

use super::TrainingError;
use super::pictures::{Crops, GROUP, Pictures};
use super::task::{Figure, Outcome, Task};
use crate::ae::weights::{digest_of, to_bytes};
use crate::sct::analysis::reduced::resized;
use crate::sct::segmentation::small::{PLACE_PIXELS, Small};
use crate::sct::segmentation::{NetworkName, Segmenter};
use crate::{ModelError, OpenDevice};
use semcast_common::content::classes::{CLASSES, COUNT, OTHER};

/// Seed of the crops that are labelled.
const POOL_SEED: u64 = 0x005e_6e47;
/// Side of the crops that the teachers see, pixels.
const WHOLE: usize = 192;
/// Side to which they are made smaller for the network, pixels.
const CROP: usize = 96;
/// Side of the parts of them that a step sees, pixels.
const PART: usize = 80;
/// Places of a crop and of a part, along each axis.
const PLACES: usize = CROP / PLACE_PIXELS;
const PART_PLACES: usize = PART / PLACE_PIXELS;
/// Pixels to which crops are enlarged for the teachers.
const TEACHER_SIDE: usize = 256;
/// Mean probability of road in the lower half from which on a crop shows a street, and in the upper half up to which it does.
const STREET: (f32, f32) = (0.25, 0.08);
/// What is believed of the teacher of streets where there is no street, by class: of plants and sky all, of walls half, of the
/// rest little, for it has seen nothing but streets.
const OFF_STREET: [f32; COUNT] =
    [0.0, 0.1, 0.0, 0.1, 0.1, 0.1, 0.0, 0.0, 0.0, 0.5, 0.35, 0.35, 1.0, 1.0, 0.1];
const ROAD: usize = 10;
/// Least and greatest weight of a class.
const WEIGHTS: (f32, f32) = (0.4, 4.0);

/// The network, as it is trained.
pub struct Segmentation {
    things: Segmenter,
    streets: Segmenter,
    digest: String,
    batch: usize,
    labelled: usize,
    folder: PathBuf,
    training: OnceLock<Pool>,
    held_out: OnceLock<Pool>,
}

/// Labelled crops.
struct Pool {
    /// Interleaved RGB of each crop.
    pixels: Vec<u8>,
    /// For each place of each crop, the probabilities of the classes, 255 for one.
    labels: Vec<u8>,
    /// How much each class counts.
    weights: [f32; COUNT],
}

/// Parts of crops and the probabilities of their places.
pub struct Batch {
    pixels: Vec<f32>,
    labels: Vec<f32>,
    weights: Vec<f32>,
    side: usize,
}

impl Segmentation {
    /// `things`: a file of ESPNetv2 trained on Pascal VOC; `streets`: one of ESPNet or ESPNetv2 trained on Cityscapes. `batch`
    /// crops a step; `pool` crops are labelled beforehand and their labels kept in `folder`.
    pub fn new(
        things: Vec<u8>,
        streets: Vec<u8>,
        batch: usize,
        pool: usize,
        folder: PathBuf,
    ) -> Result<Self, TrainingError> {
        if batch == 0 || pool < 64 {
            return Err(TrainingError::Setting("a step needs a crop, and the pool at least 64".into()));
        }
        let device = OpenDevice { device: Device::flex(), description: String::new(), fallback: None };
        let digest = digest_of(&[things.as_slice(), streets.as_slice()].concat()).to_string();
        let unusable = |error: ModelError| TrainingError::Setting(error.to_string());
        let things = Segmenter::load(NetworkName::EspNetV2, things, &device).map_err(unusable)?;
        let streets = Segmenter::load(NetworkName::EspNetV2, streets.clone(), &device)
            .or_else(|_| Segmenter::load(NetworkName::EspNet, streets, &device))
            .map_err(unusable)?;
        let (things, streets) = (things.with_longest(TEACHER_SIDE), streets.with_longest(TEACHER_SIDE));
        let (training, held_out) = (OnceLock::new(), OnceLock::new());
        Ok(Self {
            things,
            streets,
            digest,
            batch,
            labelled: pool / GROUP * GROUP,
            folder,
            training,
            held_out,
        })
    }

    /// What the teachers say of the places of a picture, [`COUNT`] probabilities each.
    fn teach(&self, picture: &Picture) -> Result<Vec<f32>, ModelError> {
        let things = on_places(self.things.probabilities(picture)?);
        let streets = on_places(self.streets.probabilities(picture)?);
        let places = PLACES * PLACES;
        let road = |half: &[f32]| {
            half.chunks_exact(COUNT).map(|place| place[ROAD]).sum::<f32>() / (places / 2) as f32
        };
        let (upper, lower) = streets.split_at(places / 2 * COUNT);
        let believed =
            if road(lower) >= STREET.0 && road(upper) <= STREET.1 { [1.0; COUNT] } else { OFF_STREET };
        let mut all = Vec::with_capacity(places * COUNT);
        for (thing, street) in things.chunks_exact(COUNT).zip(streets.chunks_exact(COUNT)) {
            let background = thing[usize::from(OTHER)];
            let mut both = [0.0; COUNT];
            for class in 1..COUNT {
                both[class] = thing[class] + background * believed[class] * street[class];
            }
            both[usize::from(OTHER)] = (1.0 - both.iter().sum::<f32>()).max(0.0);
            all.extend(both);
        }
        Ok(all)
    }

    fn label(&self, crops: &Crops) -> Pool {
        let area = WHOLE * WHOLE;
        let mut pool = Pool { pixels: Vec::new(), labels: Vec::new(), weights: [1.0; COUNT] };
        for (index, crop) in crops.values.chunks_exact(3 * area).enumerate() {
            let mean = crops.means[index / GROUP];
            let value = |at: usize, plane: usize| {
                (255.0 * (crop[plane * area + at] + mean[plane])).round().clamp(0.0, 255.0) as u8
            };
            let rgb = (0..area).flat_map(|at| [value(at, 0), value(at, 1), value(at, 2)]).collect();
            // Sides and bytes fit, and what a teacher cannot say anything of is another thing.
            let Ok(picture) = Picture::new(WHOLE as u32, WHOLE as u32, rgb) else { continue };
            let other = |at: usize| if at % COUNT == usize::from(OTHER) { 1.0 } else { 0.0 };
            let nothing = |_| (0..PLACES * PLACES * COUNT).map(other).collect();
            let taught = self.teach(&picture).unwrap_or_else(nothing);
            pool.pixels.extend(resized(&picture, CROP, CROP));
            pool.labels.extend(taught.iter().map(|value| (255.0 * value).round().clamp(0.0, 255.0) as u8));
        }
        pool
    }

    fn pool(&self, pictures: &Pictures) -> &Pool {
        self.training.get_or_init(|| {
            let name = format!("labels-{}-{}-{}.u8", self.digest, self.labelled, pictures.training());
            let (path, wanted) =
                (self.folder.join(name), self.labelled * (3 * CROP * CROP + PLACES * PLACES * COUNT));
            let mut pool = match std::fs::read(&path) {
                Ok(mut pixels) if pixels.len() == wanted => {
                    let labels = pixels.split_off(self.labelled * 3 * CROP * CROP);
                    Pool { pixels, labels, weights: [1.0; COUNT] }
                }
                _ => {
                    let mut rng = StdRng::seed_from_u64(POOL_SEED);
                    let mut all = Pool { pixels: Vec::new(), labels: Vec::new(), weights: [1.0; COUNT] };
                    for _ in 0..self.labelled / GROUP {
                        let some = self.label(&pictures.crops(1, WHOLE, &mut rng));
                        all.pixels.extend(some.pixels);
                        all.labels.extend(some.labels);
                    }
                    // Without the file, the next run only begins later.
                    let _ = std::fs::write(&path, [all.pixels.as_slice(), &all.labels].concat());
                    all
                }
            };
            pool.weights = pool.balanced();
            pool
        })
    }

    fn held_out(&self, pictures: &Pictures) -> &Pool {
        self.held_out.get_or_init(|| self.label(&pictures.validation_crops(WHOLE)))
    }

    /// The classes that the network gives the places of all crops of a pool, and those that the teachers gave.
    fn compare(&self, network: &Small, pool: &Pool, device: &Device) -> (Vec<u8>, Vec<u8>) {
        let (mut found, mut taught) = (Vec::new(), Vec::new());
        for (pixels, labels) in
            pool.pixels.chunks_exact(3 * CROP * CROP).zip(pool.labels.chunks_exact(PLACES * PLACES * COUNT))
        {
            let values: Vec<f32> = (0..3)
                .flat_map(|plane| pixels.iter().skip(plane).step_by(3).map(|&value| f32::from(value) / 255.0))
                .collect();
            let input = Tensor::<4>::from_data(TensorData::new(values, [1, 3, CROP, CROP]), device);
            let (features, beside) = network.features(input);
            let logits: Vec<f32> = network.classes(features, beside).into_data().iter::<f32>().collect();
            let places = PLACES * PLACES;
            found.extend((0..places).map(|place| best(|class| logits[class * places + place])));
            taught.extend(labels.chunks_exact(COUNT).map(|place| best(|class| f32::from(place[class]))));
        }
        (found, taught)
    }
}

/// The class of the greatest value, the first of equals.
fn best(of: impl Fn(usize) -> f32) -> u8 {
    (1..COUNT).fold(0, |best, class| if of(class) > of(best) { class } else { best }) as u8
}

/// Means of probabilities over the places of a crop.
fn on_places((across, down, values): (usize, usize, Vec<f32>)) -> Vec<f32> {
    let span = |place: usize, from: usize| {
        let start = place * from / PLACES;
        start..((place + 1) * from).div_ceil(PLACES).max(start + 1)
    };
    let mut means = Vec::with_capacity(PLACES * PLACES * COUNT);
    for row in 0..PLACES {
        for column in 0..PLACES {
            let mut sums = [0.0; COUNT];
            for y in span(row, down) {
                for x in span(column, across) {
                    let from = &values[(y * across + x) * COUNT..][..COUNT];
                    sums.iter_mut().zip(from).for_each(|(sum, value)| *sum += value);
                }
            }
            let total: f32 = sums.iter().sum();
            means.extend(sums.map(|sum| sum / total.max(f32::MIN_POSITIVE)));
        }
    }
    means
}

impl Pool {
    /// How much each class counts: rare ones more, by the root of how rare they are, the mean over places being about one.
    fn balanced(&self) -> [f32; COUNT] {
        let mut shares = [1.0e-4_f32; COUNT];
        let places = (self.labels.len() / COUNT).max(1) as f32;
        for place in self.labels.chunks_exact(COUNT) {
            (0..COUNT).for_each(|class| shares[class] += f32::from(place[class]) / 255.0 / places);
        }
        let mean: f32 = shares.iter().map(|share| share.sqrt()).sum();
        shares.map(|share| (1.0 / (mean * share.sqrt())).clamp(WEIGHTS.0, WEIGHTS.1))
    }
}

impl Task for Segmentation {
    type Network = Small;
    type Batch = Batch;

    fn name(&self) -> &str {
        "segment"
    }

    fn describe(&self) -> String {
        "A small network that tells what the places of a picture show (15 classes), for the analysis of `sct-modular` and \
         `sct-integrated`; distilled from two published networks."
            .into()
    }

    fn least_side(&self) -> usize {
        WHOLE
    }

    fn crops(&self) -> usize {
        self.batch
    }

    fn start(&self, pictures: &Pictures, seed: u64, device: &Device) -> Result<Small, TrainingError> {
        self.pool(pictures);
        device.seed(seed);
        Ok(Small::new(device))
    }

    fn batch(&self, pictures: &Pictures, rng: &mut StdRng) -> Batch {
        let pool = self.pool(pictures);
        let mut batch = Batch { pixels: Vec::new(), labels: Vec::new(), weights: Vec::new(), side: PART };
        for _ in 0..self.batch {
            let crop = rng.random_range(0..self.labelled);
            let pixels = &pool.pixels[crop * 3 * CROP * CROP..][..3 * CROP * CROP];
            let labels = &pool.labels[crop * PLACES * PLACES * COUNT..][..PLACES * PLACES * COUNT];
            let mut offset = || rng.random_range(0..=PLACES - PART_PLACES);
            let (left, top) = (offset(), offset());
            let mirror = rng.random_bool(0.5);
            let column = |x: usize, side: usize| if mirror { side - 1 - x } else { x };
            let contrast = rng.random_range(0.7..1.3_f32);
            let light: f32 = rng.random_range(-0.12..0.12);
            for plane in 0..3 {
                let shift = 0.5 + light + rng.random_range(-0.05..0.05_f32);
                for y in 0..PART {
                    let row = &pixels[3 * (top * PLACE_PIXELS + y) * CROP..];
                    batch.pixels.extend((0..PART).map(|x| {
                        let x = left * PLACE_PIXELS + column(x, PART);
                        (f32::from(row[3 * x + plane]) / 255.0 - 0.5) * contrast + shift
                    }));
                }
            }
            let place = |y: usize, x: usize| {
                let at = ((top + y) * PLACES + left + column(x, PART_PLACES)) * COUNT;
                &labels[at..at + COUNT]
            };
            for class in 0..COUNT {
                for y in 0..PART_PLACES {
                    batch.labels.extend((0..PART_PLACES).map(|x| f32::from(place(y, x)[class]) / 255.0));
                }
            }
            for y in 0..PART_PLACES {
                batch.weights.extend((0..PART_PLACES).map(|x| {
                    let shares = place(y, x).iter().zip(pool.weights);
                    shares.map(|(&share, weight)| f32::from(share) / 255.0 * weight).sum::<f32>()
                }));
            }
        }
        batch
    }

    fn run(&self, network: &Small, batch: &Batch, device: &Device) -> Outcome {
        let (side, places) = (batch.side, batch.side / PLACE_PIXELS);
        let tensor = |values: &[f32], shape: [usize; 4]| {
            Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), device)
        };
        let count = batch.pixels.len() / (3 * side * side);
        let (features, beside) = network.features(tensor(&batch.pixels, [count, 3, side, side]));
        let logits = network.classes(features, beside);
        let labels = tensor(&batch.labels, [count, COUNT, places, places]);
        let weights = tensor(&batch.weights, [count, 1, places, places]);
        let wrong = {
            let classes = |tensor: Tensor<4>| tensor.detach().argmax(1);
            let same = classes(logits.clone()).equal(classes(labels.clone()));
            same.float().neg().add_scalar(1.0).mean_dim(2).mean_dim(3).reshape([count])
        };
        let entropy = (log_softmax(logits, 1) * labels).sum_dim(1).neg();
        let loss = (entropy * weights.clone()).sum() / weights.sum().add_scalar(1e-6);
        Outcome { loss, errors: wrong.add_scalar(1e-4) }
    }

    /// Share of places with the teachers' class, and the mean over classes of intersection over union.
    fn validate(&self, network: &Small, pictures: &Pictures, device: &Device) -> Vec<Figure> {
        let (found, taught) = self.compare(network, self.held_out(pictures), device);
        let agreed = found.iter().zip(&taught).filter(|(a, b)| a == b).count();
        let mut figures = vec![("agreement".to_owned(), agreed as f64 / found.len().max(1) as f64)];
        let mut all = Vec::new();
        for class in 0..COUNT as u8 {
            let pairs = || found.iter().zip(&taught);
            let both = pairs().filter(|(a, b)| **a == class && **b == class).count();
            let either = pairs().filter(|(a, b)| **a == class || **b == class).count();
            // A class that the teachers hardly saw says nothing.
            if taught.iter().filter(|&&label| label == class).count() >= PLACES * PLACES / 4 {
                all.push(both as f64 / either.max(1) as f64);
            }
        }
        figures.push(("mean_iou".into(), all.iter().sum::<f64>() / all.len().max(1) as f64));
        figures.push(("classes_seen".into(), all.len() as f64));
        figures
    }

    /// Held-out crops, what the teachers say, what the network says: a row each.
    fn strip(&self, network: &Small, pictures: &Pictures, device: &Device) -> Option<Picture> {
        let pool = self.held_out(pictures);
        let (found, taught) = self.compare(network, pool, device);
        let crops = (found.len() / (PLACES * PLACES)).min(8);
        let mut rgb = Vec::with_capacity(crops * CROP * 3 * CROP * 3);
        for crop in 0..crops {
            for y in 0..CROP {
                rgb.extend_from_slice(&pool.pixels[3 * (crop * CROP + y) * CROP..][..3 * CROP]);
                for labels in [&taught, &found] {
                    let row = &labels[(crop * PLACES + y / PLACE_PIXELS) * PLACES..][..PLACES];
                    rgb.extend((0..CROP).flat_map(|x| CLASSES[usize::from(row[x / PLACE_PIXELS])].colour));
                }
            }
        }
        Picture::new(3 * CROP as u32, (crops * CROP) as u32, rgb).ok()
    }

    fn to_bytes(&self, network: &Small) -> Result<Vec<u8>, String> {
        to_bytes(network)
    }

    fn load(&self, bytes: Vec<u8>, device: &Device) -> Result<Small, String> {
        Small::from_bytes(bytes, device)
    }
}
