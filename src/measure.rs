//! `semcast measure`: the same transmission many times, and where the time goes.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args as ClapArgs;
use indicatif::ProgressIterator;
use semcast_common::report::LatencySummary;

use crate::{
    flags::{self, print_text},
    loopback::{Setup, Trio, What},
};

/// Measure latency: sends the same content many times through a transmitter, an emulated channel and a
/// receiver on this machine, and prints the 50th, 95th and 99th percentile of every stage, in ms
#[derive(ClapArgs)]
pub struct Args {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    setup: Setup,
    /// How often to send, 1 to 1000
    #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    /// Write the report of every transmission, one JSON object a line
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let Some(config) = args.setup.load()? else { return Ok(()) };
    let submission = args.what.submission()?;
    submission.content()?;
    let options = args.setup.options()?;
    let runtime = flags::runtime()?;
    runtime.block_on(async {
        let mut trio = Trio::start(&config).await?;
        let mut reports = Vec::new();
        let mut failed = None;
        for _ in (0..args.count).progress() {
            let transfer = tokio::select! {
                result = trio.transfer(&submission, options.clone(), &config) => result,
                () = flags::stop_signal(false) => break,
            };
            match transfer {
                Ok((report, ..)) => reports.push(report),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        trio.end(None).await?;
        if let Some(path) = &args.report {
            let lines: Vec<String> = reports.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
            let text = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>();
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        if !reports.is_empty() {
            print_text(&LatencySummary::of(&reports).table());
            print_text(&format!("{} transmissions\n", reports.len()));
        }
        failed.map_or(Ok(()), Err)
    })
}
