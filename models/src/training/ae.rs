//! The training loop of the `ae` system: pictures → its weights.
//!
//! Each step sends random crops over random channels (see [`super::channel`]) and lowers the mean over the groups of
//! `ln(mean square error)`, which is the mean PSNR but for a factor: every rate and SNR counts alike, in decibels.
//! Powers are normalised over each group exactly as they are over a picture when it is sent. The weights that are
//! kept are a moving average over the last steps.
//!
//! A checkpoint is written every minute or two, so that a run that was killed goes on with `resume`.

mod strip;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::module::Module;
use burn::optim::{
    AdamConfig, GradientsParams, grad_clipping::GradientClippingConfig, module_optimizer::ModuleOptimizer,
};
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use super::TrainingError;
use super::channel::{Draw, Setting, draw};
use super::parameters::{self, Parameters};
use super::pictures::{Crops, GROUP, Pictures};
use crate::ae::basis::{BLOCK, BLOCK_VALUES, Basis};
use crate::ae::network::{CHANNELS, Network, UNKNOWN};
use crate::ae::weights;

/// Below this mean square error, a group counts little: 45 dB.
const ERROR_FLOOR: f32 = 3.0e-5;
/// Share of the moving average that one step keeps.
const AVERAGE_KEEP: f32 = 0.998;
/// Steps between two updates of the moving average.
const AVERAGE_EVERY: u64 = 4;
/// Crops on which the starting transform is measured.
const BASIS_GROUPS: usize = 100;
/// Complex symbols a block at which held-out pictures are sent: a bandwidth ratio of 1/16.
const VALIDATION_SYMBOLS: usize = 48;
/// Name of the checkpoint's folder.
const CHECKPOINT: &str = "checkpoint";

/// Settings of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folders of photographs.
    pub data: Vec<PathBuf>,
    /// Folder for weights, checkpoints, metrics.
    pub out: PathBuf,
    /// Steps in all: the learning rate falls to nearly nothing at the last.
    pub steps: u64,
    /// Crops a step, a multiple of two.
    pub batch: usize,
    /// Side of a crop, pixels, a multiple of 16.
    pub crop: usize,
    /// Greatest learning rate.
    pub learning_rate: f64,
    /// Seed of everything random.
    pub seed: u64,
    /// Weight file to begin with, instead of the transform measured on the pictures.
    pub from: Option<PathBuf>,
    /// Go on from the checkpoint in `out`, if there is one.
    pub resume: bool,
    /// Seconds between two checkpoints.
    pub checkpoint_seconds: u64,
    /// Stop after this many seconds, leaving a checkpoint; for none, run all steps.
    pub stop_after_seconds: Option<u64>,
}

/// How far a run is.
#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Mean PSNR of the training groups since the last report, dB.
    pub training_psnr_db: f64,
    /// Mean PSNR of held-out crops after the moving average, dB, at 48 symbols a block (bandwidth ratio 1/16):
    /// at 0, 10 and 20 dB; when it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_psnr_db: Option<[f64; 3]>,
    /// Learning rate.
    pub learning_rate: f64,
    /// Crops a second since the last report.
    pub crops_per_second: f64,
    /// Seconds since this run began.
    pub seconds: f64,
}

#[derive(Serialize, Deserialize)]
struct State {
    step: u64,
    seed: u64,
}

struct Run {
    network: Network,
    optimizer: ModuleOptimizer,
    average: Parameters,
    step: u64,
}

/// Trains, calling `report` now and then, and returns the bytes of the weight file, which is also written to
/// `out/ae.safetensors` at every checkpoint.
pub fn train(options: &Options, report: &mut dyn FnMut(&Progress)) -> Result<Vec<u8>, TrainingError> {
    check(options)?;
    std::fs::create_dir_all(&options.out).map_err(TrainingError::io(&options.out))?;
    let pictures = Pictures::read(&options.data, options.crop)?;
    let device = Device::flex().autodiff();
    let mut run = start(options, &pictures, &device)?;
    let log_path = options.out.join("metrics.jsonl");
    let mut log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log_path)
        .map_err(TrainingError::io(&log_path))?;

    let began = Instant::now();
    let (mut reported, mut saved) = (Instant::now(), Instant::now());
    let (mut sum_db, mut since) = (0.0, 0_u64);
    while run.step < options.steps {
        let mut rng =
            StdRng::seed_from_u64(options.seed ^ (run.step + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let groups = options.batch / GROUP;
        let crops = pictures.crops(groups, options.crop, &mut rng);
        let settings: Vec<Setting> = (0..groups).map(|_| Setting::random(&mut rng)).collect();
        let channel = draw(&settings, &crops.activity(), &mut rng);
        let (errors, _) = transmit(&run.network, &crops, &channel, &device);
        let loss = errors.clone().add_scalar(ERROR_FLOOR).log().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &run.network);
        let rate = learning_rate(options, run.step);
        run.network = run.optimizer.step(rate, run.network, gradients);
        run.step += 1;
        sum_db += mean_psnr_db(errors);
        since += 1;
        if run.step % AVERAGE_EVERY == 0 {
            // A young average would remember the start for too long.
            let keep =
                AVERAGE_KEEP.powi(AVERAGE_EVERY as i32).min(run.step as f32 / (run.step as f32 + 40.0));
            parameters::average(&mut run.average, &parameters::read(&run.network), keep);
        }
        let stop = options.stop_after_seconds.is_some_and(|limit| began.elapsed().as_secs() >= limit);
        let last = stop || run.step == options.steps;
        let checkpoint = last || saved.elapsed().as_secs() >= options.checkpoint_seconds;
        if checkpoint || reported.elapsed().as_secs() >= 20 {
            let mut progress = Progress {
                step: run.step,
                steps: options.steps,
                training_psnr_db: sum_db / since as f64,
                validation_psnr_db: None,
                learning_rate: rate,
                crops_per_second: (since * options.batch as u64) as f64 / reported.elapsed().as_secs_f64(),
                seconds: began.elapsed().as_secs_f64(),
            };
            if checkpoint {
                let network = averaged(&run.average);
                progress.validation_psnr_db =
                    Some([0.0, 10.0, 20.0].map(|snr_db| validate(&network, &pictures, snr_db)));
                save(options, &run, &network)?;
                strip::write(&options.out.join("strip.png"), &network, &pictures)?;
                saved = Instant::now();
            }
            let line = serde_json::to_string(&progress).unwrap_or_default();
            writeln!(log, "{line}").map_err(TrainingError::io(&log_path))?;
            report(&progress);
            (sum_db, since, reported) = (0.0, 0, Instant::now());
        }
        if stop {
            break;
        }
    }
    weights::to_bytes(&averaged(&run.average)).map_err(TrainingError::checkpoint(&options.out))
}

fn check(options: &Options) -> Result<(), TrainingError> {
    let wrong = |message: &str| Err(TrainingError::Setting(message.into()));
    if options.batch == 0 || !options.batch.is_multiple_of(GROUP) {
        return wrong("the batch must be a multiple of 2, at least 2");
    }
    if !(32..=1024).contains(&options.crop) || !options.crop.is_multiple_of(BLOCK) {
        return wrong("the crop must be a multiple of 16 pixels, 32 to 1024");
    }
    if options.steps == 0 {
        return wrong("at least one step is needed");
    }
    Ok(())
}

/// Warm-up over 200 steps, then half a cosine down to a fiftieth.
fn learning_rate(options: &Options, step: u64) -> f64 {
    let warm_up = ((step + 1) as f64 / 200.0).min(1.0);
    let done = step as f64 / options.steps as f64;
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
    options.learning_rate * warm_up * (0.02 + 0.98 * cosine)
}

fn optimizer() -> ModuleOptimizer {
    AdamConfig::new().with_epsilon(1e-8).with_grad_clipping(Some(GradientClippingConfig::Norm(1.0))).init()
}

fn start(options: &Options, pictures: &Pictures, device: &Device) -> Result<Run, TrainingError> {
    let folder = options.out.join(CHECKPOINT);
    if options.resume && folder.exists() {
        return load(&folder, device);
    }
    let network = match &options.from {
        Some(path) => {
            let bytes = std::fs::read(path).map_err(TrainingError::io(path))?;
            weights::from_bytes(bytes, device)
                .map_err(|error| TrainingError::Setting(format!("{}: {error}", path.display())))?
        }
        None => {
            let mut rng = StdRng::seed_from_u64(options.seed);
            let crops = pictures.crops(BASIS_GROUPS, options.crop, &mut rng);
            let blocks = blocks(&crops);
            let basis = Basis::measure(blocks.chunks_exact(BLOCK_VALUES), CHANNELS);
            device.seed(options.seed);
            Network::new(&basis, device)
        }
    };
    let average = parameters::read(&network);
    Ok(Run { network, optimizer: optimizer(), average, step: 0 })
}

/// The blocks of crops, [`BLOCK_VALUES`] values each.
fn blocks(crops: &Crops) -> Vec<f32> {
    let side = crops.side;
    let mut blocks = Vec::with_capacity(crops.values.len());
    for crop in crops.values.chunks_exact(3 * side * side) {
        for top in (0..side).step_by(BLOCK) {
            for left in (0..side).step_by(BLOCK) {
                for plane in 0..3 {
                    for y in top..top + BLOCK {
                        let at = plane * side * side + y * side + left;
                        blocks.extend_from_slice(&crop[at..at + BLOCK]);
                    }
                }
            }
        }
    }
    blocks
}

/// Sends crops over a drawn channel; mean square error of each group, and the crops that arrive.
fn transmit(network: &Network, crops: &Crops, channel: &Draw, device: &Device) -> (Tensor<1>, Tensor<4>) {
    let (groups, side) = (crops.groups, crops.side);
    let (count, places) = (groups * GROUP, side / BLOCK);
    let tensor = |values: &[f32], shape: [usize; 4]| {
        Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), device)
    };
    let code = [count, CHANNELS, places, places];
    let picture = tensor(&crops.values, [count, 3, side, side]);
    let code_values = network.encoder.forward(picture.clone());
    let values = code_values.clone() * tensor(&channel.sent, code);
    // Mean power of a sent value, over each group: the unit of the noise.
    let shares = Tensor::<1>::from_data(TensorData::new(channel.sent_share.clone(), [groups]), device);
    let power = values.square().reshape([groups, GROUP * CHANNELS * places * places]).mean_dim(1)
        / shares.reshape([groups, 1]);
    let power = power.add_scalar(1e-8).repeat_dim(1, GROUP).reshape([count, 1, 1, 1]);
    let arrives = tensor(&channel.arrives, code);
    let unknown = arrives.clone().sub_scalar(1.0).mul_scalar(-UNKNOWN);
    let received = code_values * arrives + tensor(&channel.noise, code) * power.clone().sqrt();
    let variance = tensor(&channel.variance, code) * power + unknown;
    let decoded = network.decoder.forward(received, variance);
    let squares = (decoded.clone() - picture).square().reshape([groups, GROUP * 3 * side * side]);
    (squares.mean_dim(1).reshape([groups]), decoded)
}

fn mean_psnr_db(errors: Tensor<1>) -> f64 {
    let errors: Vec<f32> = errors.into_data().iter::<f32>().collect();
    errors.iter().map(|&error| -10.0 * f64::from(error.max(1e-10)).log10()).sum::<f64>() / errors.len() as f64
}

fn averaged(average: &Parameters) -> Network {
    let device = Device::flex();
    parameters::write(Network::new(&Basis::typical(CHANNELS), &device), average)
}

fn validate(network: &Network, pictures: &Pictures, snr_db: f32) -> f64 {
    let crops = pictures.validation_crops(192.min(pictures_least_side(pictures)));
    let setting = Setting { adaptation: 0.7, ..Setting::awgn(VALIDATION_SYMBOLS, snr_db) };
    let settings = vec![setting; crops.groups];
    let channel = draw(&settings, &crops.activity(), &mut StdRng::seed_from_u64(7));
    mean_psnr_db(transmit(network, &crops, &channel, &Device::flex()).0)
}

fn pictures_least_side(pictures: &Pictures) -> usize {
    let all = pictures.training.iter().chain(&pictures.held_out);
    let least = all.map(|picture| picture.width().min(picture.height())).min().unwrap_or(64);
    least as usize / BLOCK * BLOCK
}

fn save(options: &Options, run: &Run, averaged: &Network) -> Result<(), TrainingError> {
    let folder = options.out.join(CHECKPOINT);
    let fresh = options.out.join("checkpoint.new");
    let old = options.out.join("checkpoint.old");
    let _ = std::fs::remove_dir_all(&fresh);
    std::fs::create_dir_all(&fresh).map_err(TrainingError::io(&fresh))?;
    run.network.clone().save_file(fresh.join("network.bpk")).map_err(TrainingError::checkpoint(&fresh))?;
    run.optimizer.save(fresh.join("optimizer.bpk")).map_err(TrainingError::checkpoint(&fresh))?;
    let bytes: Vec<u8> = run.average.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    let put = |path: PathBuf, bytes: &[u8]| std::fs::write(&path, bytes).map_err(TrainingError::io(&path));
    put(fresh.join("average.f32"), &bytes)?;
    let state = serde_json::to_vec(&State { step: run.step, seed: options.seed }).unwrap_or_default();
    put(fresh.join("state.json"), &state)?;
    // Two renames: at every moment one whole checkpoint has a name.
    let _ = std::fs::remove_dir_all(&old);
    if folder.exists() {
        std::fs::rename(&folder, &old).map_err(TrainingError::io(&folder))?;
    }
    std::fs::rename(&fresh, &folder).map_err(TrainingError::io(&folder))?;
    let weights = weights::to_bytes(averaged).map_err(TrainingError::checkpoint(&folder))?;
    put(options.out.join("ae.safetensors.new"), &weights)?;
    let name = options.out.join("ae.safetensors");
    std::fs::rename(options.out.join("ae.safetensors.new"), &name).map_err(TrainingError::io(&name))
}

fn load(folder: &Path, device: &Device) -> Result<Run, TrainingError> {
    let state_path = folder.join("state.json");
    let state = std::fs::read(&state_path).map_err(TrainingError::io(&state_path))?;
    let state: State = serde_json::from_slice(&state).map_err(TrainingError::checkpoint(folder))?;
    let network = Network::new(&Basis::typical(CHANNELS), device)
        .try_load_file(folder.join("network.bpk"))
        .map_err(TrainingError::checkpoint(folder))?;
    let optimizer =
        optimizer().load(folder.join("optimizer.bpk")).map_err(TrainingError::checkpoint(folder))?;
    let average_path = folder.join("average.f32");
    let bytes = std::fs::read(&average_path).map_err(TrainingError::io(&average_path))?;
    let mut values =
        bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]));
    let average = parameters::read(&network)
        .iter()
        .map(|tensor| values.by_ref().take(tensor.len()).collect())
        .collect();
    Ok(Run { network, optimizer, average, step: state.step })
}
