//! `semcast radio`: what radios there are, what they hear, and what they are like.

mod accept;
mod calibrate;
mod devices;
mod pair;
mod spectrum;

use clap::{Args as ClapArgs, Subcommand};
use semcast_common::config::Overrides;

use crate::flags;

/// Find, look at, calibrate and accept radios
#[derive(ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(devices::ListArgs),
    Probe(devices::ProbeArgs),
    Spectrum(spectrum::Args),
    Calibrate(calibrate::Args),
    Accept(accept::Args),
}

/// Runs one of them.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::List(args) => devices::list(&args),
        Command::Probe(args) => devices::probe(&args),
        Command::Spectrum(args) => spectrum::run(args),
        Command::Calibrate(args) => calibrate::run(args),
        Command::Accept(args) => accept::run(args),
    }
}

/// What they print is their result: of the log only warnings are worth a line, unless more is asked for.
fn quietly(source: &flags::Source, overrides: &mut Overrides) {
    if source.config.is_none() && std::env::var_os("SEMCAST_LOG").is_none() {
        overrides.set("log", "log.filter", Some("warn".to_string()));
    }
}
