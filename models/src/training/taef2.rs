//! Training of the projection of TAEF2's latents: pictures → its weights.
//!
//! Crops are encoded once, before the first step, and kept in a file: a step looks at latents alone. The loss is that of
//! [`super::ae`], with the square of the error in the coordinates of [`crate::taef2::start`] for that of the picture,
//! to which it is equal as far as the decoder is linear. What the decoder makes of latents that arrive without error is not
//! counted: it is the same for all.

use std::path::PathBuf;
use std::sync::OnceLock;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use semcast_common::content::Picture;

use super::TrainingError;
use super::channel::{Draw, Passed, Setting, draw};
use super::pictures::{Crops, GROUP, Pictures};
use super::run::psnr_db;
use super::task::{Figure, Outcome, Task};
use crate::ae::basis::BLOCK;
use crate::foreign::ForeignError;
use crate::taef2::network::{LATENTS, UNIT};
use crate::taef2::projection::{CHANNELS, Projection, RATES};
use crate::taef2::start::{Start, add_product, zeros};
use crate::taef2::{Taef2, weights};

/// Below this mean square error, a group counts little: 45 dB.
const ERROR_FLOOR: f32 = 3.0e-5;
/// Values of a block of the picture.
const BLOCK_VALUES: f32 = (3 * BLOCK * BLOCK) as f32;
/// Blocks along each axis of a cell of one rate.
const CELL: usize = 4;
/// Crops on which the sensitivity of the decoder is measured.
const SENSITIVITY_CROPS: usize = 24;
/// Standard deviation of the changes by which it is measured: latents have about one.
const SENSITIVITY_STEP: f32 = 0.25;
/// Seed of the crops that are encoded.
const POOL_SEED: u64 = 0x0007_aef2;
/// Complex symbols a block at which held-out pictures are sent: a bandwidth ratio of 1/16.
const VALIDATION_SYMBOLS: usize = 48;
/// SNRs at which held-out pictures are sent, dB.
const VALIDATION_SNR_DB: [f32; 4] = [0.0, 5.0, 10.0, 20.0];

/// The projection, as it is trained.
pub struct ProjectedTaef2 {
    taef2: Taef2,
    batch: usize,
    crop: usize,
    /// Groups of crops that are encoded beforehand.
    groups: usize,
    folder: PathBuf,
    training: OnceLock<Vec<f32>>,
    held_out: OnceLock<Vec<f32>>,
}

/// Latents of groups of crops and what the channel does to them.
pub struct Batch {
    latents: Vec<f32>,
    channel: Draw,
    groups: usize,
}

impl ProjectedTaef2 {
    /// `files`: those of TAEF2; `batch` crops a step, a multiple of two; crops of `crop` pixels, a multiple of 16; `pool`
    /// crops are encoded beforehand and kept in `folder`.
    pub fn new(
        files: [Vec<u8>; 2],
        batch: usize,
        crop: usize,
        pool: usize,
        folder: PathBuf,
    ) -> Result<Self, TrainingError> {
        let wrong = |message: &str| Err(TrainingError::Setting(message.into()));
        if batch == 0 || !batch.is_multiple_of(GROUP) {
            return wrong("the batch must be a multiple of 2, at least 2");
        }
        if !(32..=1024).contains(&crop) || !crop.is_multiple_of(BLOCK) {
            return wrong("the crop must be a multiple of 16 pixels, 32 to 1024");
        }
        if pool < 64 {
            return wrong("at least 64 crops must be encoded");
        }
        let taef2 = Taef2::new(files, &Device::flex())
            .map_err(|error: ForeignError| TrainingError::Setting(error.to_string()))?;
        let (training, held_out) = (OnceLock::new(), OnceLock::new());
        Ok(Self { taef2, batch, crop, groups: pool / GROUP, folder, training, held_out })
    }

    /// Values of the latents of one crop.
    fn length(&self) -> usize {
        LATENTS * (self.crop / UNIT).pow(2)
    }

    /// Latents of crops, [`Self::length`] values each.
    fn encode(&self, crops: &Crops) -> Vec<f32> {
        let (side, area) = (crops.side, crops.side * crops.side);
        let mut latents = Vec::with_capacity(crops.groups * GROUP * self.length());
        for (index, crop) in crops.values.chunks_exact(3 * area).enumerate() {
            let mut values = crop.to_vec();
            for (plane, mean) in values.chunks_exact_mut(area).zip(crops.means[index / GROUP]) {
                plane.iter_mut().for_each(|value| *value += mean);
            }
            let picture =
                Tensor::<4>::from_data(TensorData::new(values, [1, 3, side, side]), &Device::flex());
            latents.extend(self.taef2.encoder.forward(picture).into_data().iter::<f32>());
        }
        latents
    }

    /// The latents of all crops to train on; from the file, if it is there.
    fn pool(&self, pictures: &Pictures) -> &[f32] {
        self.training.get_or_init(|| {
            let name = format!(
                "latents-{}-{}-{}-{}.f32",
                self.taef2.digest,
                self.crop,
                self.groups,
                pictures.training()
            );
            let (path, wanted) = (self.folder.join(name), self.groups * GROUP * self.length());
            if let Ok(bytes) = std::fs::read(&path)
                && bytes.len() == 4 * wanted
            {
                let four = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
                return bytes.chunks_exact(4).map(four).collect();
            }
            let mut rng = StdRng::seed_from_u64(POOL_SEED);
            let mut latents = Vec::with_capacity(wanted);
            for _ in 0..self.groups {
                latents.extend(self.encode(&pictures.crops(1, self.crop, &mut rng)));
            }
            // Without the file, the next run only begins later.
            let bytes: Vec<u8> = latents.iter().flat_map(|value| value.to_le_bytes()).collect();
            let _ = std::fs::write(&path, bytes);
            latents
        })
    }

    fn held_out(&self, pictures: &Pictures) -> &[f32] {
        self.held_out.get_or_init(|| self.encode(&pictures.validation_crops(self.crop)))
    }

    /// How the decoder passes small changes of a block's latents on: the mean of `JᵀJ`, from random changes `d` by the
    /// mean of `Jᵀ(J·d)·dᵀ` over the variance of `d`.
    fn sensitivity(&self, pool: &[f32], device: &Device, rng: &mut StdRng) -> Vec<Vec<f64>> {
        let decoder = self.taef2.decoder.clone().no_grad();
        let side = self.crop / UNIT;
        let shape = [1, LATENTS, side, side];
        let crops = pool.len() / self.length();
        let mut sum = zeros();
        let mut count = 0;
        for index in 0..SENSITIVITY_CROPS.min(crops) {
            let start = index * (crops / SENSITIVITY_CROPS.min(crops)) * self.length();
            let latents = pool[start..start + self.length()].to_vec();
            let change: Vec<f32> = (0..self.length())
                .map(|_| {
                    let normal: f32 = StandardNormal.sample(rng);
                    SENSITIVITY_STEP * normal
                })
                .collect();
            let tensor = |values: Vec<f32>| Tensor::<4>::from_data(TensorData::new(values, shape), device);
            let latents = tensor(latents);
            let changed = (latents.clone() + tensor(change.clone())).require_grad();
            let difference = decoder.forward(changed.clone()) - decoder.forward(latents).detach();
            let gradients = difference.square().sum().mul_scalar(0.5).backward();
            let Some(gradient) = changed.grad(&gradients) else { continue };
            let gradient: Vec<f32> = gradient.into_data().iter::<f32>().collect();
            for (gradient, change) in blocks(&gradient, side).iter().zip(blocks(&change, side)) {
                let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
                add_product(&mut sum, &wide(gradient), &wide(&change), 1.0);
                count += 1;
            }
        }
        let unit = f64::from(SENSITIVITY_STEP).powi(2) * f64::from(count.max(1));
        sum.iter_mut().flatten().for_each(|value| *value /= unit);
        sum
    }

    /// Sends latents over a drawn channel; mean square error of each group, as it is in the picture, and what arrives.
    fn transmit(
        &self,
        network: &Projection,
        latents: &[f32],
        channel: &Draw,
        groups: usize,
        device: &Device,
    ) -> (Tensor<1>, Tensor<4>) {
        let side = self.crop / UNIT;
        let (count, places) = (groups * GROUP, side / 2);
        let shape = [count, LATENTS, side, side];
        let latents = Tensor::<4>::from_data(TensorData::new(latents.to_vec(), shape), device);
        let Passed { received, variance, .. } = channel.pass(network.encode(latents.clone()), None);
        let arrived = network.decode(received, variance);
        let error = network.coordinates(arrived.clone()) - network.coordinates(latents);
        let squares = error.square().reshape([groups, GROUP * CHANNELS * places * places]);
        let errors = squares.sum_dim(1).reshape([groups]);
        (errors.div_scalar((GROUP * places * places) as f32 * BLOCK_VALUES), arrived)
    }
}

/// The blocks of latents of one crop, [`CHANNELS`] values each in the order channel, row, column.
fn blocks(latents: &[f32], side: usize) -> Vec<Vec<f32>> {
    let mut blocks = Vec::with_capacity(side * side / 4);
    for top in (0..side).step_by(2) {
        for left in (0..side).step_by(2) {
            let value = |at: usize| {
                let (channel, row, column) = (at / 4, top + at / 2 % 2, left + at % 2);
                latents[(channel * side + row) * side + column]
            };
            blocks.push((0..CHANNELS).map(value).collect());
        }
    }
    blocks
}

/// How much there is to tell in each block: the mean, over a cell as sending has them, of the differences between the
/// latents of neighbours.
fn activity(latents: &[f32], side: usize) -> Vec<f32> {
    let (places, cells) = (side / 2, (side / 2).div_ceil(CELL));
    let mut activity = Vec::new();
    for crop in latents.chunks_exact(LATENTS * side * side) {
        let mut sums = vec![(0.0_f32, 1.0e-6_f32); cells * cells];
        for plane in crop.chunks_exact(side * side) {
            for y in 0..side - 1 {
                for x in 0..side - 1 {
                    let at = y * side + x;
                    let sum = &mut sums[y / 2 / CELL * cells + x / 2 / CELL];
                    sum.0 += (plane[at + 1] - plane[at]).abs() + (plane[at + side] - plane[at]).abs();
                    sum.1 += 1.0;
                }
            }
        }
        for block in 0..places * places {
            let (sum, count) = sums[block / places / CELL * cells + block % places / CELL];
            activity.push(sum / count + 1.0e-3);
        }
    }
    activity
}

impl Task for ProjectedTaef2 {
    type Network = Projection;
    type Batch = Batch;

    fn name(&self) -> &str {
        "taef2"
    }

    fn describe(&self) -> String {
        "A projection of TAEF2's latents to complex symbols and a denoiser of them, for the system `ae` with \
         `--transform taef2`: one network for all rates from 4 to 64 complex symbols a block of 16 x 16 pixels, and for \
         all SNRs."
            .into()
    }

    fn least_side(&self) -> usize {
        self.crop
    }

    fn crops(&self) -> usize {
        self.batch
    }

    fn start(&self, pictures: &Pictures, seed: u64, device: &Device) -> Result<Projection, TrainingError> {
        let pool = self.pool(pictures);
        // The decoder's derivative is taken where TAEF2 is loaded.
        let differentiated = Device::flex().autodiff();
        let sensitivity = self.sensitivity(pool, &differentiated, &mut StdRng::seed_from_u64(seed));
        let blocks: Vec<Vec<f32>> =
            pool.chunks_exact(self.length()).flat_map(|crop| blocks(crop, self.crop / UNIT)).collect();
        device.seed(seed);
        Ok(Projection::new(&Start::measure(&blocks, &sensitivity), device))
    }

    fn batch(&self, pictures: &Pictures, rng: &mut StdRng) -> Batch {
        let pool = self.pool(pictures);
        let groups = self.batch / GROUP;
        let mut latents = Vec::with_capacity(self.batch * self.length());
        for _ in 0..groups {
            let start = rng.random_range(0..self.groups) * GROUP * self.length();
            latents.extend_from_slice(&pool[start..start + GROUP * self.length()]);
        }
        let settings: Vec<Setting> = (0..groups).map(|_| Setting::random_over(&RATES, rng)).collect();
        let channel = draw(&settings, &activity(&latents, self.crop / UNIT), rng);
        Batch { latents, channel, groups }
    }

    fn run(&self, network: &Projection, batch: &Batch, device: &Device) -> Outcome {
        let (errors, _) = self.transmit(network, &batch.latents, &batch.channel, batch.groups, device);
        Outcome { loss: errors.clone().add_scalar(ERROR_FLOOR).log().mean(), errors }
    }

    fn validate(&self, network: &Projection, pictures: &Pictures, device: &Device) -> Vec<Figure> {
        let latents = self.held_out(pictures);
        let groups = latents.len() / (GROUP * self.length());
        let figure = |snr_db: f32| {
            let setting =
                Setting { adaptation: 0.7, rates: &RATES, ..Setting::awgn(VALIDATION_SYMBOLS, snr_db) };
            let activity = activity(latents, self.crop / UNIT);
            let channel = draw(&vec![setting; groups], &activity, &mut StdRng::seed_from_u64(7));
            let (errors, _) = self.transmit(network, latents, &channel, groups, device);
            let errors: Vec<f32> = errors.into_data().iter::<f32>().collect();
            (format!("latent_psnr_db_{snr_db}"), psnr_db(&errors))
        };
        VALIDATION_SNR_DB.map(figure).into()
    }

    /// A row for what TAEF2 makes of the first group when nothing is lost, and one for each SNR.
    fn strip(&self, network: &Projection, pictures: &Pictures, device: &Device) -> Option<Picture> {
        let latents = &self.held_out(pictures)[..GROUP * self.length()];
        let side = self.crop / UNIT;
        let shape = [GROUP, LATENTS, side, side];
        let mut rows =
            vec![Tensor::<4>::from_data(TensorData::new(latents.to_vec(), shape), &Device::flex())];
        for snr_db in VALIDATION_SNR_DB {
            let setting = Setting { rates: &RATES, ..Setting::awgn(VALIDATION_SYMBOLS, snr_db) };
            let channel = draw(&[setting], &activity(latents, side), &mut StdRng::seed_from_u64(7));
            let (_, arrived) = self.transmit(network, latents, &channel, 1, device);
            let values: Vec<f32> = arrived.into_data().iter::<f32>().collect();
            rows.push(Tensor::from_data(TensorData::new(values, shape), &Device::flex()));
        }
        let mut rgb = Vec::new();
        for row in rows.iter() {
            let pixels: Vec<f32> =
                self.taef2.decoder.forward(row.clone()).into_data().iter::<f32>().collect();
            for y in 0..self.crop {
                for column in 0..GROUP {
                    for x in 0..self.crop {
                        for plane in 0..3 {
                            let value = pixels[((column * 3 + plane) * self.crop + y) * self.crop + x];
                            rgb.push((255.0 * value).round().clamp(0.0, 255.0) as u8);
                        }
                    }
                }
            }
        }
        Picture::new((GROUP * self.crop) as u32, (rows.len() * self.crop) as u32, rgb).ok()
    }

    fn to_bytes(&self, network: &Projection) -> Result<Vec<u8>, String> {
        weights::to_bytes(network)
    }

    fn load(&self, bytes: Vec<u8>, device: &Device) -> Result<Projection, String> {
        weights::from_bytes(bytes, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::taef2::network::{Decoder, Encoder, HIDDEN};
    use semcast_common::message::ModelDigest;

    /// Crops of 32 pixels, over TAEF2's architecture with random weights.
    fn task() -> ProjectedTaef2 {
        let device = Device::flex();
        device.seed(3);
        ProjectedTaef2 {
            taef2: Taef2 {
                encoder: Encoder::new(HIDDEN, LATENTS, &device),
                decoder: Decoder::new(HIDDEN, LATENTS, &device),
                digest: ModelDigest([3; 8]),
            },
            batch: 2,
            crop: 32,
            groups: 8,
            folder: PathBuf::new(),
            training: OnceLock::new(),
            held_out: OnceLock::new(),
        }
    }

    /// Latents whose channels differ in strength by the power `falling`, and whose neighbours are alike.
    fn latents(task: &ProjectedTaef2, crops: usize, falling: i32) -> Vec<f32> {
        let mut rng = StdRng::seed_from_u64(4);
        let side = task.crop / UNIT;
        let mut latents = Vec::new();
        for _ in 0..crops {
            for channel in 0..LATENTS {
                let base: f32 = StandardNormal.sample(&mut rng);
                let spread = 2.0 / (1.0 + channel as f32).powi(falling);
                latents.extend((0..side * side).map(|_| {
                    let own: f32 = StandardNormal.sample(&mut rng);
                    spread * (base + 0.5 * own)
                }));
            }
        }
        latents
    }

    #[test]
    fn a_change_of_latents_costs_what_the_sensitivity_says() {
        let task = task();
        let pool = latents(&task, 24, 0);
        let mut rng = StdRng::seed_from_u64(5);
        let sensitivity = task.sensitivity(&pool, &Device::flex().autodiff(), &mut rng);
        let side = task.crop / UNIT;
        let tensor = |values: &[f32]| {
            let shape = [1, LATENTS, side, side];
            Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
        };
        let (mut expected, mut found) = (0.0, 0.0);
        for crop in pool.chunks_exact(task.length()).take(12) {
            let change: Vec<f32> = (0..task.length())
                .map(|_| {
                    let normal: f32 = StandardNormal.sample(&mut rng);
                    0.1 * normal
                })
                .collect();
            for block in blocks(&change, side) {
                for (row, a) in sensitivity.iter().zip(&block) {
                    expected += row.iter().zip(&block).map(|(g, &b)| g * f64::from(a * b)).sum::<f64>();
                }
            }
            let decode = |latents: Tensor<4>| task.taef2.decoder.forward(latents);
            let difference = decode(tensor(crop) + tensor(&change)) - decode(tensor(crop));
            found += difference.square().sum().into_data().iter::<f32>().map(f64::from).sum::<f64>();
        }
        // A change of finite size: within a third, whatever the random network.
        assert!((found / expected - 1.0).abs() < 0.33, "{found} instead of {expected}");
    }

    #[test]
    fn an_untrained_projection_loses_less_with_better_channels() {
        let task = task();
        let pool = latents(&task, 16, 1);
        let blocks: Vec<_> =
            pool.chunks_exact(task.length()).flat_map(|crop| blocks(crop, task.crop / UNIT)).collect();
        let mut unit = zeros();
        (0..CHANNELS).for_each(|at| unit[at][at] = 1.0);
        let network = Projection::new(&Start::measure(&blocks, &unit), &Device::flex());
        let activity = activity(&pool, task.crop / UNIT);
        let psnr = |symbols: usize, snr_db: f32| {
            let setting = Setting { rates: &RATES, ..Setting::awgn(symbols, snr_db) };
            let channel = draw(&[setting; 8], &activity, &mut StdRng::seed_from_u64(6));
            let (errors, arrived) = task.transmit(&network, &pool, &channel, 8, &Device::flex());
            assert_eq!(arrived.dims(), [16, LATENTS, 4, 4]);
            psnr_db(&errors.into_data().iter::<f32>().collect::<Vec<_>>())
        };
        let by_snr = [0.0, 5.0, 10.0, 20.0].map(|snr_db| psnr(64, snr_db));
        assert!(by_snr.windows(2).all(|pair| pair[1] > pair[0] + 1.0), "{by_snr:?}");
        let by_rate = [8, 20, 38, 64].map(|symbols| psnr(symbols, 15.0));
        assert!(by_rate.windows(2).all(|pair| pair[1] > pair[0] + 0.3), "{by_rate:?}");
    }
}
