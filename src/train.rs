//! `semcast train`: weights of our own.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use semcast_models::training::{self, Progress, Task, ae::Ae};
use semcast_models::{DeviceChoice, open_device};

use crate::flags::print_text;

/// Train the networks of a system on folders of pictures
#[derive(ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    system: System,
}

#[derive(Subcommand)]
enum System {
    Ae(AeArgs),
}

/// Train the autoencoder: joint source-channel coding of pictures, one model for all SNRs and rates
#[derive(ClapArgs)]
struct AeArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Crops a step, a multiple of 2
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(2..=1024))]
    batch: u16,
    /// Side of the crops in pixels, a multiple of 16
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(32..=1024))]
    crop: u16,
}

/// What all trainings share.
#[derive(ClapArgs)]
struct RunArgs {
    /// Folder with pictures (PNG, JPEG, WebP, BMP), searched with its subfolders; may be repeated
    #[arg(long, value_name = "DIR", required = true)]
    data: Vec<PathBuf>,
    /// File that keeps the decoded pictures, made anew when the folders change [default: pictures.pack in --out]
    #[arg(long, value_name = "FILE")]
    cache: Option<PathBuf>,
    /// Folder for checkpoints, metrics.jsonl, the validation strip, weights and card
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Steps of the whole run: the learning rate falls to nearly nothing over them
    #[arg(long, default_value_t = 8500, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Largest learning rate
    #[arg(long, default_value_t = 1e-3)]
    learning_rate: f64,
    /// Weight decay of AdamW
    #[arg(long, default_value_t = 0.0)]
    weight_decay: f32,
    /// Seed of crops, channel and initial weights
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Weight file to begin with, such as models/weights/ae.safetensors
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Go on from the last checkpoint in --out
    #[arg(long)]
    resume: bool,
    /// Write a checkpoint this often, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 100)]
    checkpoint: u64,
    /// Stop after so many seconds, with a checkpoint; --resume goes on
    #[arg(long, value_name = "SECONDS")]
    stop_after: Option<u64>,
    /// auto: a real GPU if there is one, else the CPU; cpu; wgpu; cuda and tch in builds with these features
    #[arg(long, value_name = "WHICH", default_value = "auto")]
    device: DeviceChoice,
}

/// Trains, with a line of progress now and then.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.system {
        System::Ae(args) => train(&Ae::new(args.batch.into(), args.crop.into())?, args.run),
    }
}

fn train(task: &impl Task, args: RunArgs) -> anyhow::Result<()> {
    let device = open_device(args.device)?;
    let options = training::Options {
        data: args.data,
        cache: args.cache,
        out: args.out.clone(),
        steps: args.steps,
        learning_rate: args.learning_rate,
        weight_decay: args.weight_decay,
        seed: args.seed,
        from: args.from,
        resume: args.resume,
        checkpoint_seconds: args.checkpoint,
        stop_after_seconds: args.stop_after,
        command: std::env::args().collect::<Vec<_>>().join(" "),
    };
    print_text(&format!("training on {}\n", device.description));
    training::train(task, &options, &device.device, &mut |progress| print_text(&line(progress)))?;
    print_text(&format!("{}\n", args.out.join(format!("{}.safetensors", task.name())).display()));
    Ok(())
}

fn line(progress: &Progress) -> String {
    let held_out: String =
        progress.validation.iter().map(|(name, value)| format!(", held out {name} {value:.2}")).collect();
    format!(
        "step {}/{}: PSNR {:.2} dB{held_out}, {:.1} crops/s, {:.0} min left\n",
        progress.step,
        progress.steps,
        progress.training_psnr_db,
        progress.crops_per_second,
        progress.seconds_left / 60.0
    )
}
