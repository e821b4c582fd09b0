//! The training loop: a [`Task`] and folders of pictures → a weight file and its card.
//!
//! AdamW \[1\] with a warm-up and half a cosine \[2\]; gradients are clipped to a norm of one; what is kept is a moving average
//! of the weights. Batches are drawn by threads of their own, ahead of the step that uses them, and batch `n` follows from
//! the seed and `n` alone: the same run gives the same batches however many threads there are, and after a
//! resumption.
//!
//! A run leaves in its folder, at every checkpoint: `<name>.safetensors`, `strip.png`, `checkpoint/`, and a line in
//! `metrics.jsonl` every twenty seconds; at its end the card `<name>.md`. A run that was killed goes on with `resume`
//! and has lost at most what came after its last checkpoint.
//!
//! 1. I. Loshchilov, F. Hutter: Decoupled weight decay regularization. ICLR 2019.
//! 2. I. Loshchilov, F. Hutter: SGDR: stochastic gradient descent with warm restarts. ICLR 2017, eq. 5.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use burn::optim::{
    AdamWConfig, GradientsParams, grad_clipping::GradientClippingConfig, module_optimizer::ModuleOptimizer,
};
use burn::tensor::{Device, Tensor};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Serialize;

use semcast_common::content::file::encode_png;

use super::parameters::{self, Parameters};
use super::pictures::Pictures;
use super::task::{Figure, Task};
use super::{TrainingError, card, checkpoint, loader};

/// Share of the moving average that one step keeps.
const AVERAGE_KEEP: f32 = 0.998;
/// Steps between two updates of the moving average.
const AVERAGE_EVERY: u64 = 4;
/// Steps over which the learning rate rises, and share of a shorter run.
const WARM_UP: f64 = 200.0;
const WARM_UP_SHARE: f64 = 0.1;
/// Share of the greatest learning rate that is left at the last step.
const LAST_RATE: f64 = 0.02;
/// Seconds between two reports.
const REPORT_SECONDS: u64 = 20;

/// Settings of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folders of photographs.
    pub data: Vec<PathBuf>,
    /// Where the decoded pictures are kept; none: in `out`.
    pub cache: Option<PathBuf>,
    /// Folder for weights, checkpoints, metrics.
    pub out: PathBuf,
    /// Steps in all: the learning rate falls to nearly nothing at the last.
    pub steps: u64,
    /// Greatest learning rate.
    pub learning_rate: f64,
    /// Weight decay of AdamW.
    pub weight_decay: f32,
    /// Seed of everything random.
    pub seed: u64,
    /// Weight file to begin with.
    pub from: Option<PathBuf>,
    /// Go on from the checkpoint in `out`, if there is one.
    pub resume: bool,
    /// Seconds between two checkpoints.
    pub checkpoint_seconds: u64,
    /// Stop after this many seconds, leaving a checkpoint; for none, run all steps.
    pub stop_after_seconds: Option<u64>,
    /// The command that this run is, for the card.
    pub command: String,
}

/// How far a run is.
#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Mean PSNR of the training crops since the last report, dB.
    pub training_psnr_db: f64,
    /// Figures over held-out pictures after the moving average, when they were measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub validation: Vec<Figure>,
    /// Learning rate.
    pub learning_rate: f64,
    /// Crops a second since the last report.
    pub crops_per_second: f64,
    /// Seconds since this run began.
    pub seconds: f64,
    /// Seconds that are left at this speed.
    pub seconds_left: f64,
}

/// A run at a step.
pub(super) struct Run<N> {
    pub network: N,
    pub optimizer: ModuleOptimizer,
    pub average: Parameters,
    pub step: u64,
}

/// Trains on `device`, calling `report` now and then, and returns the bytes of the weight file.
pub fn train<T: Task>(
    task: &T,
    options: &Options,
    device: &Device,
    report: &mut dyn FnMut(&Progress),
) -> Result<Vec<u8>, TrainingError> {
    if options.steps == 0 {
        return Err(TrainingError::Setting("at least one step is needed".into()));
    }
    std::fs::create_dir_all(&options.out).map_err(TrainingError::io(&options.out))?;
    let cache = options.cache.clone().unwrap_or_else(|| options.out.join("pictures.pack"));
    let pictures = Pictures::open(&options.data, &cache, task.least_side())?;
    let run = start(task, options, &pictures, &device.clone().autodiff())?;
    let first = run.step;
    let draw = |step: u64| {
        // Neighbouring steps must not have neighbouring seeds.
        let seed = options.seed ^ (step + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        task.batch(&pictures, &mut StdRng::seed_from_u64(seed))
    };
    std::thread::scope(|scope| {
        let mut batches = loader::start(scope, first..options.steps, &draw);
        steps(task, options, &pictures, device, run, &mut batches, report)
    })
}

fn steps<T: Task>(
    task: &T,
    options: &Options,
    pictures: &Pictures,
    device: &Device,
    mut run: Run<T::Network>,
    batches: &mut dyn Iterator<Item = T::Batch>,
    report: &mut dyn FnMut(&Progress),
) -> Result<Vec<u8>, TrainingError> {
    let differentiated = device.clone().autodiff();
    let log_path = options.out.join("metrics.jsonl");
    let mut log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log_path)
        .map_err(TrainingError::io(&log_path))?;
    let began = Instant::now();
    let first = run.step;
    let (mut reported, mut saved) = (Instant::now(), Instant::now());
    let mut errors: Vec<Tensor<1>> = Vec::new();
    let mut figures = Vec::new();
    for batch in batches {
        let outcome = task.run(&run.network, &batch, &differentiated);
        // Read only when they are reported: a GPU need not wait for the CPU at every step.
        errors.push(outcome.errors.detach());
        let gradients = GradientsParams::from_grads(outcome.loss.backward(), &run.network);
        let rate = learning_rate(options, run.step);
        run.network = run.optimizer.step(task.learning_rates(rate), run.network, gradients);
        run.step += 1;
        if run.step % AVERAGE_EVERY == 0 {
            // A young average would remember the start for too long.
            let keep =
                AVERAGE_KEEP.powi(AVERAGE_EVERY as i32).min(run.step as f32 / (run.step as f32 + 40.0));
            parameters::average(&mut run.average, &parameters::read(&run.network), keep);
        }
        let stop = options.stop_after_seconds.is_some_and(|limit| began.elapsed().as_secs() >= limit);
        let last = stop || run.step == options.steps;
        let due = last || saved.elapsed().as_secs() >= options.checkpoint_seconds;
        if due || reported.elapsed().as_secs() >= REPORT_SECONDS {
            let seconds = began.elapsed().as_secs_f64();
            let mut progress = Progress {
                step: run.step,
                steps: options.steps,
                training_psnr_db: mean_psnr_db(&errors),
                validation: Vec::new(),
                learning_rate: rate,
                crops_per_second: (errors.len() * task.crops()) as f64 / reported.elapsed().as_secs_f64(),
                seconds,
                seconds_left: (options.steps - run.step) as f64 * seconds / (run.step - first) as f64,
            };
            if due {
                let network = averaged(task, &run, device)?;
                figures = task.validate(&network, pictures, device);
                progress.validation.clone_from(&figures);
                checkpoint::save(task, options, &run, &network)?;
                if let Some(strip) = task.strip(&network, pictures, device) {
                    let path = options.out.join("strip.png");
                    let bytes =
                        encode_png(&strip).map_err(|error| TrainingError::Setting(error.to_string()))?;
                    std::fs::write(&path, bytes).map_err(TrainingError::io(&path))?;
                }
                saved = Instant::now();
            }
            let line = serde_json::to_string(&progress).unwrap_or_default();
            writeln!(log, "{line}").map_err(TrainingError::io(&log_path))?;
            report(&progress);
            errors.clear();
            reported = Instant::now();
        }
        if stop {
            break;
        }
    }
    let network = averaged(task, &run, device)?;
    if figures.is_empty() {
        figures = task.validate(&network, pictures, device);
    }
    let bytes = task.to_bytes(&network).map_err(TrainingError::checkpoint(&options.out))?;
    let path = options.out.join(format!("{}.safetensors", task.name()));
    std::fs::write(&path, &bytes).map_err(TrainingError::io(&path))?;
    let path = options.out.join(format!("{}.md", task.name()));
    let text = card::write(task, options, pictures, &run, &bytes, &figures);
    std::fs::write(&path, text).map_err(TrainingError::io(&path))?;
    Ok(bytes)
}

fn learning_rate(options: &Options, step: u64) -> f64 {
    let rising = WARM_UP.min(WARM_UP_SHARE * options.steps as f64);
    let warm_up = ((step + 1) as f64 / rising).min(1.0);
    let done = step as f64 / options.steps as f64;
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
    options.learning_rate * warm_up * (LAST_RATE + (1.0 - LAST_RATE) * cosine)
}

pub(super) fn optimizer(options: &Options) -> ModuleOptimizer {
    AdamWConfig::new()
        .with_epsilon(1e-8)
        .with_weight_decay(options.weight_decay)
        .with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))
        .init()
}

fn start<T: Task>(
    task: &T,
    options: &Options,
    pictures: &Pictures,
    device: &Device,
) -> Result<Run<T::Network>, TrainingError> {
    let network = match &options.from {
        Some(path) => {
            let bytes = std::fs::read(path).map_err(TrainingError::io(path))?;
            task.load(bytes, device)
                .map_err(|error| TrainingError::Setting(format!("{}: {error}", path.display())))?
        }
        None => task.start(pictures, options.seed, device)?,
    };
    // A checkpoint's network is as deep as the one that the run began with.
    if options.resume
        && let Some(run) = checkpoint::load(options, &network)?
    {
        return Ok(run);
    }
    let average = parameters::read(&network);
    Ok(Run { network, optimizer: optimizer(options), average, step: 0 })
}

/// The network with the averaged weights, off the tape.
fn averaged<T: Task>(task: &T, run: &Run<T::Network>, device: &Device) -> Result<T::Network, TrainingError> {
    let bytes = task
        .to_bytes(&parameters::write(run.network.clone(), &run.average))
        .map_err(TrainingError::Setting)?;
    // Through the bytes of the weight file: what is judged is what will be used.
    task.load(bytes, device).map_err(TrainingError::Setting)
}

fn mean_psnr_db(errors: &[Tensor<1>]) -> f64 {
    let errors: Vec<f32> = errors
        .iter()
        .flat_map(|errors| errors.clone().into_data().iter::<f32>().collect::<Vec<_>>())
        .collect();
    psnr_db(&errors)
}

/// Mean PSNR of mean square errors, dB.
pub fn psnr_db(errors: &[f32]) -> f64 {
    let sum: f64 = errors.iter().map(|&error| -10.0 * f64::from(error.max(1e-10)).log10()).sum();
    sum / errors.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::super::ae::Ae;
    use super::*;
    use crate::ae::network::Network;

    fn options(folder: &std::path::Path) -> Options {
        Options {
            data: vec![folder.join("pictures")],
            cache: None,
            out: folder.join("out"),
            steps: 6,
            learning_rate: 1e-3,
            weight_decay: 0.0,
            seed: 3,
            from: None,
            resume: false,
            checkpoint_seconds: 1000,
            stop_after_seconds: None,
            command: "semcast train ae".into(),
        }
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("pictures")).unwrap();
        for index in 0..3_u32 {
            let value = |at: u32| (at.wrapping_mul(index + 7) / 3 % 251) as u8;
            let picture =
                semcast_common::content::Picture::new(64, 64, (0..64 * 64 * 3).map(value).collect());
            let bytes = encode_png(&picture.unwrap()).unwrap();
            std::fs::write(folder.path().join(format!("pictures/{index}.png")), bytes).unwrap();
        }
        folder
    }

    #[test]
    fn a_run_leaves_weights_card_metrics_and_strip() {
        let folder = folder();
        let options = options(folder.path());
        let task = Ae::new(2, 32).unwrap();
        let mut reports = Vec::new();
        let device = Device::flex();
        let bytes = train(&task, &options, &device, &mut |progress| reports.push(progress.clone())).unwrap();
        assert_eq!(reports.last().unwrap().step, 6);
        assert_eq!(reports.last().unwrap().validation.len(), 3);
        let network: Network = task.load(bytes.clone(), &device).unwrap();
        drop(network);
        assert_eq!(std::fs::read(options.out.join("ae.safetensors")).unwrap(), bytes);
        let card = std::fs::read_to_string(options.out.join("ae.md")).unwrap();
        for word in ["semcast train ae", "seed 3", "psnr_db_10", "| 3 |", "2 to train on, 1 held out"] {
            assert!(card.contains(word), "{word} is not in the card:\n{card}");
        }
        assert!(options.out.join("strip.png").exists());
        let metrics = std::fs::read_to_string(options.out.join("metrics.jsonl")).unwrap();
        let line: serde_json::Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
        assert_eq!(line["step"], 6);
    }

    #[test]
    fn a_run_that_was_stopped_goes_on_as_if_it_had_not_been() {
        let folder = folder();
        let task = Ae::new(2, 32).unwrap();
        let device = Device::flex();
        // The device's generator is shared by all threads: both runs begin with one file.
        let from = folder.path().join("start.safetensors");
        std::fs::write(&from, crate::ae::weights::DEFAULT).unwrap();
        let options = Options { from: Some(from), ..options(folder.path()) };
        let whole = train(&task, &options, &device, &mut |_| ()).unwrap();
        let out = folder.path().join("in-two-parts");
        let first = Options { out: out.clone(), stop_after_seconds: Some(0), ..options.clone() };
        train(&task, &first, &device, &mut |_| ()).unwrap();
        let mut steps = Vec::new();
        let second = Options { out, resume: true, ..options };
        let resumed = train(&task, &second, &device, &mut |progress| steps.push(progress.step)).unwrap();
        assert_eq!(steps.last(), Some(&6));
        let numbers = |bytes: Vec<u8>| parameters::read(&task.load(bytes, &device).unwrap());
        let pairs = numbers(whole).into_iter().flatten().zip(numbers(resumed).into_iter().flatten());
        let (mut difference, mut size) = (0.0_f64, 0.0_f64);
        for (a, b) in pairs {
            difference += f64::from(a - b).powi(2);
            size += f64::from(a).powi(2);
        }
        assert!(difference < 1e-6 * size, "{difference} of {size}");
        let wrong = Options { seed: 4, ..second };
        assert!(train(&task, &wrong, &device, &mut |_| ()).unwrap_err().to_string().contains("--seed 3"));
    }
}
