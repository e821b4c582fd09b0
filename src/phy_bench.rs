//! `semcast phy-bench`: what the stages of the physical layer, and the whole chain, do in a second.

mod chain;
mod coding;
mod kernels;
mod stopwatch;

use std::fmt;

use clap::{Args as ClapArgs, ValueEnum};
use num_complex::Complex32;
use semcast_phy::{
    channel::{Channel, ChannelConfig},
    modulation::{Modulation, scrambler::GoldSequence},
};
use serde::Serialize;
use stopwatch::Effort;

use crate::figures::Printer;

/// Measure the throughput of the physical layer on one thread: the receive chain, the transmit chain, noise
/// only, and the stages by themselves
///
/// The work of a figure is cut into pieces of less than a millisecond and repeated; each piece counts with its
/// fastest repetition, so that other load on the machine counts little. Inputs are the same on every run.
#[derive(ClapArgs)]
pub struct Args {
    /// One JSON object a figure
    #[arg(long)]
    json: bool,
    /// How long to repeat each figure, 0.01 to 60 s
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// Repeat each figure exactly so many times instead, 1 to 1000000: the same work on every run, for tools that count
    /// instructions
    #[arg(long, value_name = "NUMBER", conflicts_with = "seconds", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    repetitions: Option<u32>,
    /// Measure these stages only
    #[arg(long, value_enum, value_name = "STAGE", value_delimiter = ',')]
    filter: Vec<Stage>,
    /// Measure only cases whose name contains this, such as `64-QAM` or `FFT 1024`
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    case: String,
}

/// A part of the bench.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// Receive chain on frames with gaps, 30 dB SNR
    Receive,
    /// Transmit chain
    Transmit,
    /// Receive chain on noise alone
    Noise,
    /// LDPC decoder, fixed iterations
    LdpcDecode,
    /// LDPC encoder
    LdpcEncode,
    /// Polar decoder
    Polar,
    /// Soft demapping
    Demap,
    /// OFDM symbols to samples and back
    Ofdm,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=60.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be a number from 0.01 to 60".into()),
    }
}

/// One figure.
#[derive(Serialize)]
struct Figure {
    figure: &'static str,
    case: String,
    value: f64,
    unit: &'static str,
    /// Payload that arrives without an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    goodput_mbit_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frames: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    intact: Option<usize>,
    repetitions: u32,
}

impl Figure {
    fn new(figure: &'static str, case: String, value: f64, unit: &'static str, repetitions: u32) -> Self {
        let value = round(value);
        Self { figure, case, value, unit, goodput_mbit_s: None, frames: None, intact: None, repetitions }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:11}  {:34}  {:8.1} {:10}", self.figure, self.case, self.value, self.unit)?;
        if let Some(goodput) = self.goodput_mbit_s {
            write!(f, "  {goodput:7.1} Mbit/s")?;
        }
        if let (Some(intact), Some(frames)) = (self.intact, self.frames) {
            write!(f, "  {intact} of {frames} frames intact")?;
        }
        Ok(())
    }
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let effort = args.repetitions.map_or(Effort::Seconds(args.seconds), Effort::Repetitions);
    let bench = Bench { printer: Printer { json: args.json }, effort, case: args.case };
    for &stage in Stage::value_variants() {
        if !args.filter.is_empty() && !args.filter.contains(&stage) {
            continue;
        }
        match stage {
            Stage::Receive => chain::receive(&bench)?,
            Stage::Transmit => chain::transmit(&bench)?,
            Stage::Noise => chain::noise_only(&bench)?,
            Stage::LdpcDecode => coding::ldpc_decode(&bench)?,
            Stage::LdpcEncode => coding::ldpc_encode(&bench)?,
            Stage::Polar => coding::polar(&bench)?,
            Stage::Demap => kernels::demap(&bench)?,
            Stage::Ofdm => kernels::ofdm(&bench)?,
        }
    }
    Ok(())
}

/// What to measure, and how often.
struct Bench {
    printer: Printer,
    effort: Effort,
    case: String,
}

impl Bench {
    fn wants(&self, case: &str) -> bool {
        case.contains(&self.case)
    }

    fn print(&self, figure: Figure) -> anyhow::Result<()> {
        self.printer.print(&figure)
    }
}

/// To two digits behind the point.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn name(modulation: Modulation) -> &'static str {
    match modulation {
        Modulation::Qpsk => "QPSK",
        Modulation::Qam16 => "16-QAM",
        Modulation::Qam64 => "64-QAM",
        Modulation::Qam256 => "256-QAM",
    }
}

/// Bytes that are the same on every run.
fn bytes(seed: u32, count: usize) -> Vec<u8> {
    let mut sequence = GoldSequence::new(seed);
    (0..count.div_ceil(8)).flat_map(|_| sequence.next_word().to_le_bytes()).take(count).collect()
}

/// Complex white Gaussian noise of a variance, the same on every run.
fn noise(variance: f64, seed: u64, count: usize) -> anyhow::Result<Vec<Complex32>> {
    let config = ChannelConfig { snr_db: Some(-10.0 * variance.log10()), seed, ..ChannelConfig::default() };
    let mut samples = Vec::with_capacity(count);
    Channel::new(config, 1e6)?.flush(count, &mut samples);
    Ok(samples)
}
