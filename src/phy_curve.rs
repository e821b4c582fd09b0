//! `semcast phy-curve`: error rates of the physical layer, from its codes alone to the whole link.

mod allocation;
mod codes;
mod crew;
mod detection;
mod figure;
mod link;
mod lost;
mod mcs;
mod papr;
mod polar;

use clap::{Args as ClapArgs, ValueEnum};
use semcast_phy::{curves::ErrorCount, numerology::Numerology};

use crate::figures::Printer;
use figure::Figure;

/// Measure error rates of the physical layer over seeded channels
///
/// Every trial has a seed of its own, counted up from --seed: the figures depend neither on the number of
/// threads nor on the machine. SNR is Es/N0 of a resource element unless said otherwise.
#[derive(ClapArgs)]
pub struct Args {
    /// What to measure
    #[arg(value_enum)]
    what: What,
    /// One JSON object a figure
    #[arg(long)]
    json: bool,
    /// Seed of the first trial, 0 to 4294967295
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u32,
    /// Trials, or trials at each SNR, 10 to 1000000 [default: by what is measured, 200 to 10000]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(10..=1_000_000))]
    frames: Option<u64>,
    /// Threads, 1 to 256
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Noise in which `detection` counts false alarms, 0 to 600 minutes of air time
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0, value_parser = minutes)]
    minutes: f64,
}

/// What can be measured.
#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// LDPC codes, 20 iterations: the Eb/N0 at which one frame in a hundred is lost, beside a reference
    Codes,
    /// Polar codes: frame error rate over Eb/N0
    Polar,
    /// Every rung of the MCS ladder: frame error rate around its threshold
    Mcs,
    /// QPSK of rate 1/2 through detection, header and estimation, and what these cost
    Link,
    /// Preambles at −13 dB a sample that are found, and false alarms in noise
    Detection,
    /// Frames lost at 20 dB, and in the robust mode at −13 dB a sample
    Lost,
    /// Errors of the most important segments for every way of giving away resource blocks
    Allocation,
    /// Peak-to-average power ratio at 99 % before and after clipping
    Papr,
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.0..=600.0).contains(&minutes) => Ok(minutes),
        _ => Err("must be a number from 0 to 600".into()),
    }
}

/// How to measure.
struct Run {
    printer: Printer,
    first_seed: u64,
    frames: Option<u64>,
    threads: usize,
    minutes: f64,
}

impl Run {
    fn frames(&self, default: u64) -> u64 {
        self.frames.unwrap_or(default)
    }

    fn print(&self, figure: Figure) -> anyhow::Result<()> {
        self.printer.print(&figure)
    }
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let run = Run {
        printer: Printer { json: args.json },
        first_seed: args.seed.into(),
        frames: args.frames,
        threads: args.threads.into(),
        minutes: args.minutes,
    };
    match args.what {
        What::Codes => codes::run(&run),
        What::Polar => polar::run(&run),
        What::Mcs => mcs::run(&run),
        What::Link => link::run(&run),
        What::Detection => detection::run(&run),
        What::Lost => lost::run(&run),
        What::Allocation => allocation::run(&run),
        What::Papr => papr::run(&run),
    }
}

/// The error rate at which codes and links are compared.
const TARGET: f64 = 1e-2;

/// Looks for the SNR at which the error rate falls to [`TARGET`], going up. `None` if it does not.
fn threshold_db(
    from_db: f64,
    step_db: f64,
    mut measure: impl FnMut(f64) -> anyhow::Result<ErrorCount>,
) -> anyhow::Result<Option<f64>> {
    let mut failure = None;
    let found = semcast_phy::curves::snr_for_error_rate(TARGET, from_db, step_db, |snr_db| {
        measure(snr_db).unwrap_or_else(|error| {
            failure = Some(error);
            // Ends the search.
            ErrorCount { frames: 1, ..ErrorCount::default() }
        })
    });
    match failure {
        Some(error) => Err(error),
        None => Ok(found),
    }
}

/// A resource element's SNR in dB where a sample's is known.
fn element_snr_db(numerology: &Numerology, sample_snr_db: f64) -> f64 {
    sample_snr_db - 10.0 * numerology.occupied_fraction().log10()
}
