//! `semcast receiver`: the receiver daemon.

use clap::Args as ClapArgs;
use semcast_common::config::Overrides;
use semcast_phy::radio::soapy::Direction;
use semcast_receiver::{
    daemon::{self, Link, Settings},
    metrics::Metrics,
};

use crate::{flags, radio_choice, recording};

/// Run a receiver: takes samples from the air, and gives pictures and text to `semcast watch`
#[derive(ClapArgs)]
pub struct Args {
    #[command(flatten)]
    source: flags::Source,
    #[command(flatten)]
    transform: flags::TransformChoice,
    #[command(flatten)]
    regions: flags::RegionReceiving,
    #[command(flatten)]
    device: flags::Device,
    #[command(flatten)]
    keys: flags::Keys,
    #[command(flatten)]
    child: flags::Child,
    /// UDP address of the air that gives samples
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "radio")]
    air: Option<String>,
    #[command(flatten)]
    radio: radio_choice::RadioChoice,
    #[command(flatten)]
    record: recording::Record,
    /// QUIC address of the transmitter
    #[arg(long, value_name = "HOST:PORT")]
    connect: Option<String>,
    /// QUIC address to listen on for `semcast watch`
    #[arg(long, value_name = "HOST:PORT")]
    watch_listen: Option<String>,
    /// TCP address that serves metrics for Prometheus; there is no authentication
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<String>,
    /// One way only: do not connect to the transmitter
    #[arg(long)]
    no_feedback: bool,
    /// Folder for what arrives
    #[arg(long, value_name = "DIR")]
    output_dir: Option<String>,
}

/// Runs it until it is stopped.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut overrides = Overrides::new();
    args.keys.add_to(&mut overrides);
    args.transform.add_to(&mut overrides);
    args.regions.add_to(&mut overrides);
    overrides
        .set("--device", "receiver.device", args.device.device.clone())
        .set("--air", "air.receive_addr", args.air.clone())
        // Over a radio in a file, too.
        .set("--air", "receiver.radio", args.air.as_ref().map(|air| format!("udp:{air}")))
        .set("--metrics", "receiver.metrics_addr", args.metrics.clone())
        .set("--connect", "control.connect", args.connect.clone())
        .set("--watch-listen", "control.watch_listen", args.watch_listen.clone())
        .set("--output-dir", "receiver.output_dir", args.output_dir.clone())
        .set("--no-feedback", "control.feedback", args.no_feedback.then_some(false));
    args.radio.add_to(Direction::Receive, &mut overrides);
    let Some(config) = flags::load(&args.source, &overrides)? else { return Ok(()) };
    args.child.set_clock();
    let radio = radio_choice::radio(&config, Direction::Receive)?;
    if args.radio.dry_run {
        return radio_choice::dry_run(&radio, Direction::Receive);
    }
    let (identity, peers) = flags::keys(&config)?;
    let metrics = Metrics::default();
    let settings = Settings {
        name: "receiver".into(),
        record: recording::config(&config, &args.record, "what a receiver of semcast heard")?,
        radio,
        numerology: flags::numerology(&config)?,
        link: config.control.feedback.then(|| Link { transmitter: config.control.connect.clone() }),
        watch: flags::address(&config.control.watch_listen)?,
        identity,
        peers,
        output: config.receiver.output_dir.clone().map(Into::into),
        options: flags::system_options(&config)?,
        device: flags::device(config.receiver.device),
        metrics: metrics.clone(),
    };
    let served =
        flags::serve_metrics(config.receiver.metrics_addr.as_deref(), |registry| metrics.register(registry))?;
    flags::runtime()?.block_on(daemon::run(
        settings,
        |address| flags::announce("receiver", &flags::addresses(&[("watch", address)], served)),
        flags::stop_signal(args.child.until_input_closes),
    ))?;
    Ok(())
}
