//! The tables of Figs. 7 to 9 of *Variational Source-Channel Coding* (see `semcast_models::vscc`) on a narrow copy of the
//! paper's network: one network for each loss, SNR and channel matching constant, all from one start.
//!
//! `cargo run --release -p semcast-models --example figures_003 -- --data DIR,DIR --test DIR --out DIR [--snr -5,5,15]
//! [--d 1,2,5,10,15] [--narrower 4] [--start-steps 1000] [--steps 150] [--resamplings 10] [--seed 1]`
//!
//! `start.safetensors` in `--out` is the common start, an AE over −5 to 15 dB; it is trained if it is not there.
//! Each network then has `--steps` steps of eight crops of 64 × 64 pixels of its own loss at its own SNR, the same crops
//! for all. Tested are the middles of the test pictures, 128 × 128 pixels, at half their size. A line of a table is the
//! mean over the pictures; of its resamplings, the least, the mean and the greatest.

#![allow(clippy::print_stdout, reason = "a program whose output is its result")]
#![expect(clippy::disallowed_methods, reason = "folders are named on the command line")]

use std::error::Error;
use std::path::{Path, PathBuf};

use burn::optim::{AdamWConfig, GradientsParams, grad_clipping::GradientClippingConfig};
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand::rngs::StdRng;
use semcast_common::content::{Picture, file::decode_picture};
use semcast_models::metrics::{psnr_db, ssim};
use semcast_models::training::{Task, paper::Paper, parameters, pictures::Pictures};
use semcast_models::vscc::losses::Method;
use semcast_models::vscc::network::{PaperNetwork, Scale};
use semcast_models::vscc::transmission::{Testing, receive};

const SIDE: usize = 64;
/// Not below six: the CPU backend has a slow way to differentiate narrow convolutions of four or fewer pictures.
const BATCH: usize = 8;
const TEST_SNR_DB: [i32; 8] = [-10, -5, 0, 5, 10, 15, 20, 25];

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option =
        |name: &str| arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1)).cloned();
    let numbers = |name: &str, default: &str| -> Result<Vec<f32>, _> {
        option(name).unwrap_or(default.into()).split(',').map(str::parse::<f32>).collect()
    };
    let number = |name: &str, default: u64| option(name).map_or(Ok(default), |text| text.parse::<u64>());
    let folder = |name: &'static str| option(name).map(PathBuf::from).ok_or(format!("{name} DIR is needed"));
    let (test, out) = (folder("--test")?, folder("--out")?);
    let data: Vec<PathBuf> =
        option("--data").ok_or("--data DIR,DIR is needed")?.split(',').map(Into::into).collect();
    let scale = Scale::new(number("--narrower", 4)? as usize).ok_or("--narrower: one of 1, 2, 4, 8")?;
    let (start_steps, steps) = (number("--start-steps", 1000)?, number("--steps", 150)?);
    let (resamplings, seed) = (number("--resamplings", 10)?, number("--seed", 1)?);
    std::fs::create_dir_all(&out)?;
    let pictures = Pictures::open(&data, &out.join("pictures.pack"), SIDE)?;
    let originals = originals(&test)?;

    let paper = |method, snr_db| Paper::new(method, snr_db, scale, BATCH, SIDE);
    let wide = paper(Method::Ae, (-5.0, 15.0))?;
    let start = out.join("start.safetensors");
    let differentiated = Device::flex().autodiff();
    if !start.exists() {
        let network = wide.start(&pictures, seed, &differentiated)?;
        std::fs::write(&start, wide.to_bytes(&fit(&wide, network, &pictures, start_steps, 2e-3, seed))?)?;
    }
    let start = std::fs::read(&start)?;

    let header = TEST_SNR_DB.map(|snr_db| format!(" {snr_db} dB |")).concat();
    println!(
        "| trained at | loss | tested | metric |{header}\n|---|---|---|---|{}",
        "---|".repeat(TEST_SNR_DB.len())
    );
    for snr_db in numbers("--snr", "-5,5,15")? {
        let mut methods = vec![Method::Ae, Method::Vae];
        methods.extend(numbers("--d", "1,2,5,10,15")?.into_iter().map(|d| Method::Vscc { d }));
        for method in methods {
            let task = paper(method, (snr_db, snr_db))?;
            let network = task.load(start.clone(), &differentiated)?;
            let trained = fit(&task, network, &pictures, steps, 5e-4, seed);
            // Tested as it would be loaded.
            let network = task.load(task.to_bytes(&trained)?, &Device::flex())?;
            let testings: &[Testing] = match method {
                Method::Ae => &[Testing::Direct],
                Method::Vae | Method::Vscc { .. } => &[Testing::Fixed, Testing::Transmitted],
            };
            for &testing in testings {
                let draws = if testing == Testing::Direct { 1 } else { resamplings };
                table(&network, method, snr_db, testing, &originals, draws, seed)?;
            }
            let known = parameters::read(&network).pop().unwrap_or_default();
            let mean = known.iter().map(|log| log.exp()).sum::<f32>() / known.len() as f32;
            if method.is_variational() {
                println!("<!-- {snr_db} dB {method:?}: mean variance of the knowledge base {mean:.4} -->");
            }
        }
    }
    Ok(())
}

/// The training of a network, all in memory: seventeen short ones need no checkpoints.
fn fit(
    task: &Paper,
    mut network: PaperNetwork,
    pictures: &Pictures,
    steps: u64,
    rate: f64,
    seed: u64,
) -> PaperNetwork {
    let device = Device::flex().autodiff();
    let clipping = Some(GradientClippingConfig::Norm(1.0));
    let mut optimizer = AdamWConfig::new().with_weight_decay(0.0).with_grad_clipping(clipping).init();
    let mut rng = StdRng::seed_from_u64(seed);
    for step in 0..steps {
        let batch = task.batch(pictures, &mut rng);
        let outcome = task.run(&network, &batch, &device);
        if step % 50 == 49 {
            let error: f32 = outcome.errors.into_scalar();
            eprintln_progress(&format!(
                "{}: step {} of {steps}, {:.2} dB",
                task.name(),
                step + 1,
                -10.0 * error.log10()
            ));
        }
        let gradients = GradientsParams::from_grads(outcome.loss.backward(), &network);
        let warm_up = ((step + 1) as f64 / 30.0).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos());
        network = optimizer.step(rate * warm_up * (0.02 + 0.98 * cosine), network, gradients);
    }
    network
}

#[expect(clippy::print_stderr, reason = "progress does not belong into the table")]
fn eprintln_progress(text: &str) {
    eprintln!("{text}");
}

/// The middles of the pictures in a folder, at half their size.
fn originals(folder: &Path) -> Outcome<Vec<Picture>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let mut pictures = Vec::new();
    for path in paths {
        let Ok(picture) = decode_picture(&std::fs::read(&path)?) else { continue };
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        if width.min(height) < 2 * SIDE {
            continue;
        }
        let (left, top) = (width / 2 - SIDE, height / 2 - SIDE);
        let mut rgb = Vec::with_capacity(3 * SIDE * SIDE);
        for at in 0..3 * SIDE * SIDE {
            let (y, x, plane) = (at / 3 / SIDE, at / 3 % SIDE, at % 3);
            let pixel =
                |x: usize, y: usize| u32::from(picture.rgb()[3 * ((top + y) * width + left + x) + plane]);
            let sum = pixel(2 * x, 2 * y)
                + pixel(2 * x + 1, 2 * y)
                + pixel(2 * x, 2 * y + 1)
                + pixel(2 * x + 1, 2 * y + 1);
            rgb.push(((sum + 2) / 4) as u8);
        }
        pictures.push(Picture::new(SIDE as u32, SIDE as u32, rgb)?);
    }
    if pictures.is_empty() {
        Err("the test folder has no picture of at least 128 x 128 pixels".into())
    } else {
        Ok(pictures)
    }
}

/// Prints PSNR and SSIM of a network over all test SNRs.
fn table(
    network: &PaperNetwork,
    method: Method,
    trained_db: f32,
    testing: Testing,
    originals: &[Picture],
    resamplings: u64,
    seed: u64,
) -> Outcome<()> {
    let means: Vec<[f32; 3]> = originals.iter().map(mean).collect();
    let values: Vec<f32> =
        originals.iter().zip(&means).flat_map(|(picture, mean)| planes(picture, mean)).collect();
    let shape = [originals.len(), 3, SIDE, SIDE];
    let sent = Tensor::<4>::from_data(TensorData::new(values, shape), &Device::flex());
    let mut cells = [String::new(), String::new()];
    for snr_db in TEST_SNR_DB {
        let mut rng = StdRng::seed_from_u64(seed);
        let received = receive(network, sent.clone(), testing, snr_db as f32, &mut rng);
        let mut figures = [Vec::new(), Vec::new()];
        for _ in 0..resamplings {
            let arrived: Vec<f32> =
                network.decoder.forward(received.draw(&mut rng)).into_data().iter::<f32>().collect();
            let mut sums = [0.0; 2];
            for ((values, mean), original) in arrived.chunks_exact(3 * SIDE * SIDE).zip(&means).zip(originals)
            {
                let arrived = picture(values, mean)?;
                sums[0] += psnr_db(original, &arrived)?;
                sums[1] += ssim(original, &arrived)?;
            }
            figures
                .iter_mut()
                .zip(sums)
                .for_each(|(figures, sum)| figures.push(sum / originals.len() as f64));
        }
        for ((cell, figures), digits) in cells.iter_mut().zip(figures).zip([2, 4]) {
            let mean = figures.iter().sum::<f64>() / figures.len() as f64;
            let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
            let most = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            *cell += &if figures.len() == 1 {
                format!(" {mean:.digits$} |")
            } else {
                format!(" {least:.digits$}/{mean:.digits$}/{most:.digits$} |")
            };
        }
    }
    let name = match method {
        Method::Vscc { d } => format!("VSCC d={d}"),
        other => other.name().to_uppercase(),
    };
    for (metric, cell) in ["PSNR", "SSIM"].into_iter().zip(cells) {
        println!("| {trained_db} dB | {name} | {testing:?} | {metric} |{cell}");
    }
    Ok(())
}

/// Mean colour, rounded as it is when it is sent.
fn mean(picture: &Picture) -> [f32; 3] {
    std::array::from_fn(|plane| {
        let sum: u64 = picture.rgb().iter().skip(plane).step_by(3).map(|&value| u64::from(value)).sum();
        (sum as f32 / (SIDE * SIDE) as f32).round()
    })
}

fn planes(picture: &Picture, mean: &[f32; 3]) -> Vec<f32> {
    let plane = |plane: usize| {
        picture
            .rgb()
            .iter()
            .skip(plane)
            .step_by(3)
            .map(move |&value| (f32::from(value) - mean[plane]) / 255.0)
    };
    (0..3).flat_map(plane).collect()
}

fn picture(values: &[f32], mean: &[f32; 3]) -> Outcome<Picture> {
    let value = |at: usize| values[at % 3 * SIDE * SIDE + at / 3] * 255.0 + mean[at % 3];
    let rgb = (0..3 * SIDE * SIDE).map(|at| value(at).round().clamp(0.0, 255.0) as u8).collect();
    Ok(Picture::new(SIDE as u32, SIDE as u32, rgb)?)
}
