//! `semcast evaluate`: the race of systems over one channel.
//!
//! Every combination of system, SNR, rate, channel, picture and seed is a trial. In the order of the chain:
//!
//! - [`settings`]: flags → what is to be run. [`pictures`]: which pictures.
//! - [`race`]: trials on threads. [`chain`]: a message through the real chain, [`ideal`]: through an idealised one.
//! - [`trial`]: what a trial is and what came of it. [`store`]: the file that keeps them.
//! - [`summary`]: trials → means. [`tables`], [`plots`]: means → files. [`rivals`]: published curves beside ours.

mod chain;
mod ideal;
mod pictures;
mod plots;
mod progress;
mod race;
mod rivals;
mod settings;
mod store;
mod summary;
mod tables;
mod task;
mod trial;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args as ClapArgs, ValueEnum};
use semcast_common::{config::Allocation, message::SystemId, telemetry};
use serde::{Deserialize, Serialize};

use crate::cbr::Cbr;
use crate::flags::{self, print_text};
use crate::metrics::LpipsWeights;
use crate::semantics::Semantics;
use settings::Settings;

/// Race systems over the same channel: every combination of system, SNR, rate, channel, picture and seed
///
/// Trials run through the real chain (message, frames, preamble, pilots, detection, estimation, codes), in one
/// process. All systems get the same pictures, the same power, the same payload symbols and the same seeds of
/// the channel. Results are kept in DIR/results.jsonl as they come: what is there is not run again, so a
/// run that was stopped goes on where it was. DIR also gets summary.json, summary.csv, summary.md, and a curve
/// as SVG for each channel, rate and metric. A message that is lost counts as a grey picture.
#[derive(ClapArgs)]
pub struct Args {
    /// Systems, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_values_t = [SystemId::Classical, SystemId::Ae])]
    systems: Vec<SystemId>,
    /// Es/N0 per resource element at the receiver in dB, -30 to 60, separated by commas
    #[arg(long, value_name = "DB,...", value_delimiter = ',', allow_hyphen_values = true,
        default_values_t = [1.0, 4.0, 7.0, 10.0, 13.0], value_parser = settings::snr_db)]
    snr: Vec<f64>,
    /// Net channel bandwidth ratios: complex symbols per RGB value, as fractions or numbers, separated by commas
    #[arg(long, value_name = "RATIO,...", value_delimiter = ',', default_value = "1/16")]
    cbr: Vec<Cbr>,
    /// Channels by the names of `semcast air`, separated by commas; rayleigh is block fading, one gain a picture
    #[arg(long, value_name = "NAMES", default_value = "awgn")]
    channel: String,
    /// Doppler spread of fading taps, in Hz; 0 keeps a channel still for a whole picture
    #[arg(long, value_name = "HZ", allow_negative_numbers = true)]
    doppler: Option<f64>,
    /// Carrier frequency offset, in Hz
    #[arg(long, value_name = "HZ", allow_negative_numbers = true)]
    cfo: Option<f64>,
    /// Offset of the receiver's sampling clock, in parts per million
    #[arg(long, value_name = "PPM", allow_negative_numbers = true)]
    clock_offset: Option<f64>,
    /// Configuration file of which the grid in its part radio and the impairments in its part air hold: amplifier, phase noise,
    /// converters, interferers, dropouts, offsets. Channels and SNRs are those of the flags
    #[arg(long, value_name = "FILE", conflicts_with = "ideal")]
    config: Option<PathBuf>,
    /// Pictures (PNG, JPEG, WebP, BMP), or folders of them; without any, a test card is drawn
    #[arg(long, value_name = "FOLDER|FILE", num_args = 1..)]
    pictures: Vec<PathBuf>,
    /// Take only the first so many pictures
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Channels for each picture: seeds 1 to this, at most 1000000
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    seeds: u64,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The literature's channel: payload symbols alone; noise and channel perfectly known; headers and side
    /// information for nothing. Every result is marked as such
    #[arg(long)]
    ideal: bool,
    /// SNR in dB, -30 to 60, that the transmitter is told, whatever the channel delivers; without it, that of
    /// the channel (its mean, if it fades)
    #[arg(long, value_name = "DB", allow_negative_numbers = true, value_parser = settings::snr_db)]
    told_snr: Option<f64>,
    /// What the transmitter hears from the receiver
    #[arg(long, value_enum, default_value = "none")]
    feedback: Feedback,
    /// Most rounds of sending again what was lost, 0 to 20, where there is feedback
    #[arg(long, value_name = "ROUNDS", default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=20))]
    max_resends: u8,
    /// Airtime for all rounds of sending, in ms: while it lasts, what arrived badly is sent again, the most important first.
    /// For --feedback ideal
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..=600_000), conflicts_with = "ideal")]
    budget_ms: Option<u32>,
    /// How bytes are protected in an idealised channel
    #[arg(long, value_enum, default_value = "ldpc")]
    code: Code,
    /// Folder of label maps, PNGs of the pictures' names whose values are numbers of classes: quality is measured by class, too
    #[arg(long, value_name = "FOLDER")]
    labels: Option<PathBuf>,
    /// Names of the classes for the tables, a line each, from number 0. If every line is or ends in a class of semcast
    /// (docs/SEMANTICS.md), as in `tree vegetation`, the task of classifying blocks is judged, too: by what the receiver
    /// tells with --for machine, else by what the network of --segmentation says of the received picture
    #[arg(long, value_name = "FILE", requires = "labels")]
    label_names: Option<PathBuf>,
    /// Resource blocks for the features of a message: by importance, or for comparison none, random, equal, inverse
    #[arg(long, value_name = "HOW", default_value = "importance", conflicts_with = "ideal", value_parser = allocation)]
    allocation: Allocation,
    #[command(flatten)]
    semantics: Semantics,
    #[command(flatten)]
    segmentation: flags::SegmentationChoice,
    #[command(flatten)]
    regions: flags::RegionReceiving,
    /// Forget the results that are there
    #[arg(long)]
    fresh: bool,
    /// Threads, 1 to 256 [default: one a processor]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Published curves to draw beside those of --ideal, such as docs/rivals.json
    #[arg(long, value_name = "FILE")]
    rivals: Option<PathBuf>,
    #[command(flatten)]
    lpips: LpipsWeights,
    #[command(flatten)]
    device: flags::Device,
}

/// What the transmitter hears from the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Feedback {
    /// Nothing: one way, no control link; nothing is sent twice
    None,
    /// Reports on the channel (after a sounding frame) and receipts, at once and without loss: the link is adapted
    /// to what the receiver measured, and what was lost is sent again
    Ideal,
}

/// How bytes are protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Code {
    /// The LDPC codes and constellations of this program, as on the real link
    #[default]
    Ldpc,
    /// None: log2(1 + SNR) bits a symbol arrive intact, the bound that published curves call ideal capacity. Only with
    /// --ideal over awgn
    Capacity,
}

/// Reads how resource blocks are given away.
fn allocation(name: &str) -> Result<Allocation, String> {
    let all = ["none", "importance", "random", "equal", "inverse"];
    let known = serde_json::from_value(name.into());
    known.map_err(|_| format!("one of {}", all.join(", ")))
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    telemetry::start("warn")?;
    let settings = Settings::new(&args)?;
    let rivals = match &args.rivals {
        Some(path) => rivals::load(path, settings.ideal)?,
        None => Vec::new(),
    };
    let folder = &args.out;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let trials = settings.trials();
    let mut store = store::Store::open(&folder.join("results.jsonl"), args.fresh)?;
    race::run(&settings, &trials, &mut store)?;
    let results = store.of(&trials);
    let groups = summary::groups(&settings, &results);
    tables::write(folder, &settings, &groups)?;
    plots::write(folder, &settings, &groups, &rivals)?;
    print_text(&tables::markdown(&settings, &groups));
    Ok(())
}
