//! `semcast measure`: the same transmission many times, and where the time goes.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args as ClapArgs;
use indicatif::ProgressIterator;
use semcast_common::{
    config::Overrides,
    report::{LatencySummary, Report, Waterfall},
};

use crate::{
    flags::{self, print_text},
    link,
    loopback::{Setup, Trio, What},
};

/// Measure latency: sends the same content many times, and prints how long every stage takes, in ms
///
/// Without --connect, through a transmitter, an emulated channel and a receiver that it starts on this machine. With
/// --connect, through a transmitter that runs already, whose receiver may be on another host: times of the one are
/// compared with times of the other by the offset between their clocks, which is estimated over the control link.
#[derive(ClapArgs)]
pub struct Args {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    setup: Setup,
    #[command(flatten)]
    keys: flags::Keys,
    /// QUIC address of a transmitter that runs already: measure its link, with --key and --peer as for `semcast send`
    #[arg(long, value_name = "HOST:PORT")]
    connect: Option<String>,
    /// How often to send, 1 to 1000
    #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    /// Write the report of every transmission, one JSON object a line
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write the percentiles of all stages as JSON
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let runtime = flags::runtime()?;
    let (reports, failed) = if args.connect.is_some() {
        runtime.block_on(running(&args))?
    } else {
        if args.keys.key.is_some() || !args.keys.peer.is_empty() {
            let text = "--key and --peer are for --connect: processes on this machine get keys of their own";
            return Err(crate::exit::Failure::Usage(text.into()).into());
        }
        runtime.block_on(here(&args))?
    };
    if let Some(path) = &args.report {
        let lines: Vec<String> = reports.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        write(path, &lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>())?;
    }
    if !reports.is_empty() {
        let waterfall = Waterfall::of(&reports);
        if let Some(path) = &args.summary {
            write(path, &waterfall.to_json())?;
        }
        print_text(&format!("{}\n{}", LatencySummary::of(&reports).table(), waterfall.chart()));
        print_text(&format!("{} transmissions\n", reports.len()));
    }
    failed.map_or(Ok(()), Err)
}

/// The reports of all transmissions, and why there are not more.
type Outcome = (Vec<Report>, Option<anyhow::Error>);

/// Through three processes on this machine.
async fn here(args: &Args) -> anyhow::Result<Outcome> {
    let Some(config) = args.setup.load()? else { return Ok((Vec::new(), None)) };
    let submission = args.what.submission()?;
    submission.content()?;
    let options = args.setup.options()?;
    let mut trio = Trio::start(&config).await?;
    let outcome = repeat(args.count, async || {
        let (report, ..) = trio.transfer(&submission, options.clone(), &config).await?;
        Ok(report)
    })
    .await;
    trio.end(None).await?;
    Ok(outcome)
}

/// Through a transmitter that runs already.
async fn running(args: &Args) -> anyhow::Result<Outcome> {
    let options = args.setup.client_options()?;
    let mut client = Overrides::new();
    args.keys.add_to(&mut client);
    client.set("--connect", "control.connect", args.connect.clone());
    let Some(config) = args.setup.load_client(client)? else { return Ok((Vec::new(), None)) };
    let submission = args.what.submission()?;
    submission.content()?;
    let (identity, peers) = flags::keys(&config)?;
    let mut sender = link::sender(&config.control.connect, &identity, &peers).await?;
    let outcome = repeat(args.count, async || {
        let sent = link::submit(&mut sender, &submission, options.clone()).await?;
        for note in &sent.notes {
            tracing::warn!("{note}");
        }
        if sent.receiver.is_none() {
            tracing::warn!("no receiver is connected to the transmitter: times beyond it are not known");
        }
        Ok(link::remote_report(&sent))
    })
    .await;
    sender.finish().await;
    Ok(outcome)
}

/// Sends so often, until it fails or the user has had enough.
async fn repeat(count: u16, mut transfer: impl AsyncFnMut() -> anyhow::Result<Report>) -> Outcome {
    let mut reports = Vec::new();
    for _ in (0..count).progress() {
        let report = tokio::select! {
            report = transfer() => report,
            () = flags::stop_signal(false) => break,
        };
        match report {
            Ok(report) => reports.push(report),
            Err(error) => return (reports, Some(error)),
        }
    }
    (reports, None)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
