//! `semcast train`: weights of our own.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use semcast_models::training::ae;

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
    /// Folder with pictures (PNG, JPEG, WebP, BMP), searched with its subfolders; may be repeated
    #[arg(long, value_name = "DIR", required = true)]
    data: Vec<PathBuf>,
    /// Folder for checkpoints, metrics.jsonl, the validation strip, and in the end weights and card
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Steps of the whole run: the learning rate falls to zero over them
    #[arg(long, default_value_t = 8500, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Crops a step, a multiple of 4
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,
    /// Side of the crops in pixels, a multiple of 16
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(32..=1024))]
    crop: u16,
    /// Largest learning rate
    #[arg(long, default_value_t = 1e-3)]
    learning_rate: f64,
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
}

/// Trains, with a line of progress now and then.
pub fn run(args: Args) -> anyhow::Result<()> {
    let System::Ae(args) = args.system;
    let options = ae::Options {
        data: args.data,
        out: args.out.clone(),
        steps: args.steps,
        batch: args.batch.into(),
        crop: args.crop.into(),
        learning_rate: args.learning_rate,
        seed: args.seed,
        from: args.from,
        resume: args.resume,
        checkpoint_seconds: args.checkpoint,
        stop_after_seconds: args.stop_after,
    };
    let mut first = None;
    ae::train(&options, &mut |progress| {
        let start = *first.get_or_insert(progress.step);
        let rate = (progress.step - start) as f64 / progress.seconds.max(1e-3);
        let left = if rate > 0.0 { (progress.steps - progress.step) as f64 / rate } else { f64::NAN };
        let validation = progress.validation_psnr_db.map_or_else(String::new, |[low, middle, high]| {
            format!(", held out at 0/10/20 dB {low:.2}/{middle:.2}/{high:.2} dB")
        });
        print_text(&format!(
            "step {}/{}: PSNR {:.2} dB{validation}, {:.1} crops/s, {:.0} min left\n",
            progress.step,
            progress.steps,
            progress.training_psnr_db,
            progress.crops_per_second,
            left / 60.0
        ));
    })?;
    print_text(&format!("{}\n", args.out.join("ae.safetensors").display()));
    Ok(())
}
