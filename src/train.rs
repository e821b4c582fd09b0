//! `semcast train`: weights of our own.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use semcast_models::ae::Tune;
use semcast_models::ae::network::Depth;
use semcast_models::metrics::Lpips;
use semcast_models::training::sct::labels::{Labels, Taught};
use semcast_models::training::sct::{
    Sct, correction::TrainedCorrection, judge::Weights, machine::TrainedMachine,
};
use semcast_models::training::{
    self, Progress, Task, ae::Ae, paper::Paper, sct_tables, segment::Segmentation, taef2::ProjectedTaef2,
};
use semcast_models::vscc::{losses::Method, network::Scale};
use semcast_models::{DeviceChoice, open_device};

use crate::exit::Failure;
use crate::flags::{SegmentationChoice, print_text, transform_weights};
use crate::metrics::LpipsWeights;

/// Train the networks of a system on folders of pictures
#[derive(ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    system: System,
}

#[derive(Subcommand)]
enum System {
    Ae(CodecArgs),
    Vae(CodecArgs),
    Vscc(VsccArgs),
    Taef2(Taef2Args),
    Sct(SctArgs),
    SctTables(SctTablesArgs),
    Correction(CorrectionArgs),
    Machine(MachineArgs),
    Segment(SegmentArgs),
}

/// Count the tables of sct-modular: how likely each quantised value is in its context
#[derive(ClapArgs)]
struct SctTablesArgs {
    /// Folder with pictures (PNG, JPEG, WebP, BMP), searched with its subfolders; may be repeated
    #[arg(long, value_name = "DIR", required = true)]
    data: Vec<PathBuf>,
    /// File that keeps the decoded pictures, made anew when the folders change [default: pictures.pack in --out]
    #[arg(long, value_name = "FILE")]
    cache: Option<PathBuf>,
    /// Folder for sct-tables.bin
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Crops to count over
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    crops: u32,
    /// Side of the crops in pixels, a multiple of 16
    #[arg(long, default_value_t = 384, value_parser = clap::value_parser!(u16).range(64..=2048))]
    crop: u16,
    /// Seed of the crops
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// auto: a real GPU if there is one, else the CPU; cpu; wgpu; cuda and tch in builds with these features
    #[arg(long, value_name = "WHICH", default_value = "auto")]
    device: DeviceChoice,
}

/// Train the correction of the systems sct-…, which makes up lost regions before the decoder
#[derive(ClapArgs)]
struct CorrectionArgs {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    judged: JudgedArgs,
    #[command(flatten)]
    regions: RegionArgs,
}

/// Train the machine mode of the systems sct-…, which classifies what arrives, after a segmentation network
#[derive(ClapArgs)]
struct MachineArgs {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    regions: RegionArgs,
    /// Share of the crops whose colours are darkened, each by a factor of its own, 0 to 1: helps with pictures unlike those trained on
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    tinted: f64,
}

/// What networks that look at regions work with
#[derive(ClapArgs)]
struct RegionArgs {
    /// Weight file of the network that it works with, which stays as it is: models/weights/sct.safetensors
    #[arg(long, value_name = "FILE")]
    codec: PathBuf,
    #[command(flatten)]
    teacher: SegmentationChoice,
    /// Crops a step, a multiple of 2
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(2..=1024))]
    batch: u16,
    /// Side of the crops in pixels, a multiple of 16
    #[arg(long, default_value_t = 192, value_parser = clap::value_parser!(u16).range(32..=1024))]
    crop: u16,
}

impl RegionArgs {
    fn codec(&self) -> anyhow::Result<Vec<u8>> {
        let unread = |error| Failure::Usage(format!("cannot read {}: {error}", self.codec.display()));
        Ok(std::fs::read(&self.codec).map_err(unread)?)
    }

    /// Labels are made by threads of their own, on the CPU.
    fn labels(&self) -> anyhow::Result<Option<Box<dyn Labels + Send>>> {
        let teacher = self.teacher.choice()?.open(&open_device(DeviceChoice::Cpu)?)?;
        Ok(teacher.map(|teacher| Box::new(Taught::by(teacher, self.crop.into())) as Box<dyn Labels + Send>))
    }

    fn sizes(&self) -> (usize, usize) {
        (self.batch.into(), self.crop.into())
    }
}

/// Train the network of the systems sct-… further for people; begin with --from models/weights/ae.safetensors
#[derive(ClapArgs)]
struct SctArgs {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    judged: JudgedArgs,
    /// Share of the learning rate at which the encoder learns; 0 keeps it as it is
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    encoder_rate: f64,
    /// Crops a step, a multiple of 2
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(2..=1024))]
    batch: u16,
    /// Side of the crops in pixels, a multiple of 16
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(32..=1024))]
    crop: u16,
}

/// What received pictures are judged by
#[derive(ClapArgs)]
struct JudgedArgs {
    #[command(flatten)]
    lpips: LpipsWeights,
    /// Weight of the logarithm of the mean square error
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.1)]
    error_weight: f64,
    /// Weight of LPIPS
    #[arg(long, value_name = "WEIGHT", default_value_t = 1.0)]
    perceptual_weight: f64,
    /// Weight of the discriminator; 0 for none
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.01)]
    adversarial_weight: f64,
}

impl JudgedArgs {
    fn weights(&self) -> Weights {
        Weights {
            error: self.error_weight,
            perceptual: self.perceptual_weight,
            adversarial: self.adversarial_weight,
        }
    }

    fn lpips(&self, device: DeviceChoice) -> anyhow::Result<Lpips> {
        let backbone = self.lpips.backbone(&open_device(device)?)?;
        let lpips = self.lpips.on(backbone.as_ref())?;
        Ok(lpips.ok_or_else(|| Failure::Usage("name --lpips-backbone and --lpips-linear".into()))?)
    }
}

/// Train variational source-channel coding, whose codes have a variance that is matched to the channel's noise
#[derive(ClapArgs)]
struct VsccArgs {
    #[command(flatten)]
    codec: CodecArgs,
    /// Channel matching constant, 0.01 to 1000: the variance of a code that the loss aims at
    #[arg(long, value_name = "D", default_value_t = 1.0)]
    d: f32,
}

/// Train an autoencoder: joint source-channel coding of pictures
#[derive(ClapArgs)]
struct CodecArgs {
    #[command(flatten)]
    run: RunArgs,
    /// default: the network of the systems, for all SNRs and rates; paper: that of the paper, for one SNR and one rate
    #[arg(long, value_name = "WHICH", default_value = "default", value_parser = ["default", "paper"])]
    network: String,
    /// SNR to train the paper's network for, in dB
    #[arg(long, value_name = "DB", default_value_t = 5.0, allow_negative_numbers = true)]
    snr: f32,
    /// Width of the paper's network: the paper's divided by 1, 2, 4 or 8
    #[arg(long, value_name = "DIVISOR", default_value_t = 1)]
    narrower: usize,
    /// What the default network of ae is to raise: psnr or ms-ssim
    #[arg(long, value_name = "WHICH", default_value = "psnr", value_parser = ["psnr", "ms-ssim"])]
    tune: String,
    /// Residual blocks of the default network: of its encoder and its decoder at a sixteenth of the size, and of its decoder
    /// at an eighth, 3 to 32 each; those that --from does not have begin by changing nothing
    #[arg(long, value_name = "ENCODER,DECODER,EIGHTH", default_value = "3,3,3", value_parser = depth)]
    depth: Depth,
    /// Crops a step, a multiple of 2
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(2..=1024))]
    batch: u16,
    /// Side of the crops in pixels, a multiple of 16
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(32..=1024))]
    crop: u16,
}

/// Train the projection of TAEF2's latents, for the autoencoder with --transform taef2
#[derive(ClapArgs)]
struct Taef2Args {
    #[command(flatten)]
    run: RunArgs,
    /// The two files of TAEF2: taef2_encoder.pth and taef2_decoder.pth, or the same as safetensors
    #[arg(long, value_name = "FILE", num_args = 2, required = true)]
    transform_weights: Vec<PathBuf>,
    /// Crops a step, a multiple of 2
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(2..=1024))]
    batch: u16,
    /// Side of the crops in pixels, a multiple of 16
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(32..=1024))]
    crop: u16,
    /// Crops whose latents are made before the first step, and kept in --out
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(64..=1_000_000))]
    pool: u32,
}

/// Train the segmentation network that comes with the program, from two published ones
#[derive(ClapArgs)]
struct SegmentArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Teacher of things: ESPNetv2 trained on Pascal VOC, such as espnetv2_s_2.0_pascal_384x384.pth
    #[arg(long, value_name = "FILE")]
    things: PathBuf,
    /// Teacher of streets: ESPNet or ESPNetv2 trained on Cityscapes, such as espnet_p_2_q_8.pth
    #[arg(long, value_name = "FILE")]
    streets: PathBuf,
    /// Crops a step
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,
    /// Crops that are labelled before the first step; their labels are kept in --out
    #[arg(long, default_value_t = 1200, value_parser = clap::value_parser!(u32).range(64..=1_000_000))]
    pool: u32,
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
        System::Ae(args) => codec(Method::Ae, args),
        System::Vae(args) => codec(Method::Vae, args),
        System::Vscc(args) => codec(Method::Vscc { d: args.d }, args.codec),
        System::SctTables(args) => {
            let device = open_device(args.device)?;
            let options = sct_tables::Options {
                data: args.data,
                cache: args.cache,
                out: args.out,
                crops: args.crops as usize,
                side: args.crop.into(),
                seed: args.seed,
            };
            print_text(&format!("{}\n", sct_tables::train(&options, &device)?.display()));
            Ok(())
        }
        System::Taef2(args) => {
            let files = transform_weights(&args.transform_weights)?;
            let (pool, folder) = (args.pool as usize, args.run.out.clone());
            train(&ProjectedTaef2::new(files, args.batch.into(), args.crop.into(), pool, folder)?, args.run)
        }
        System::Sct(args) => {
            let lpips = args.judged.lpips(args.run.device)?;
            let (batch, crop) = (args.batch.into(), args.crop.into());
            train(&Sct::new(lpips, args.judged.weights(), args.encoder_rate, batch, crop)?, args.run)
        }
        System::Correction(CorrectionArgs { run, judged, regions }) => {
            let lpips = judged.lpips(run.device)?;
            let device = open_device(run.device)?.device;
            let (codec, labels, sizes) = (regions.codec()?, regions.labels()?, regions.sizes());
            train(&TrainedCorrection::new(codec, lpips, judged.weights(), labels, sizes, &device)?, run)
        }
        System::Machine(MachineArgs { run, regions, tinted }) => {
            let device = open_device(run.device)?.device;
            let labels = regions.labels()?.ok_or_else(|| {
                Failure::Usage("--segmentation none: there is nothing to learn without a teacher".into())
            })?;
            train(&TrainedMachine::new(regions.codec()?, labels, tinted, regions.sizes(), &device)?, run)
        }
        System::Segment(args) => {
            let read = |path: &PathBuf| {
                let unread = |error| Failure::Usage(format!("cannot read {}: {error}", path.display()));
                std::fs::read(path).map_err(unread)
            };
            let (things, streets) = (read(&args.things)?, read(&args.streets)?);
            let (pool, folder) = (args.pool as usize, args.run.out.clone());
            train(&Segmentation::new(things, streets, args.batch.into(), pool, folder)?, args.run)
        }
    }
}

fn depth(text: &str) -> Result<Depth, String> {
    let range = 3..=Depth::MOST;
    let blocks = text.split(',').map(|part| part.parse().ok().filter(|count| range.contains(count)));
    match blocks.collect::<Option<Vec<usize>>>().as_deref() {
        Some(&[encoder, decoder, decoder_eighth]) => Ok(Depth { encoder, decoder, decoder_eighth }),
        _ => Err(format!("three numbers from {} to {}, such as 4,5,4", range.start(), range.end())),
    }
}

fn codec(method: Method, args: CodecArgs) -> anyhow::Result<()> {
    let (batch, crop) = (args.batch.into(), args.crop.into());
    if args.network == "default" {
        let tune = if args.tune == "ms-ssim" { Tune::MsSsim } else { Tune::Psnr };
        return train(&Ae::with(method, batch, crop)?.at_least(args.depth)?.tuned(tune)?, args.run);
    }
    if args.tune != "psnr" {
        let text = format!("--tune {}: the paper's network is trained for PSNR only", args.tune);
        return Err(Failure::Usage(text).into());
    }
    let scale = Scale::new(args.narrower)
        .ok_or_else(|| Failure::Usage(format!("--narrower {}: one of 1, 2, 4, 8", args.narrower)))?;
    train(&Paper::new(method, (args.snr, args.snr), scale, batch, crop)?, args.run)
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
