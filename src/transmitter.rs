//! `semcast transmitter`: the transmitter daemon.

use clap::Args as ClapArgs;
use semcast_common::config::Overrides;
use semcast_phy::radio::soapy::Direction;
use semcast_transmitter::{
    daemon::{self, Settings},
    metrics::Metrics,
};

use crate::{flags, radio_choice, recording};

/// Run a transmitter: takes pictures and text from `semcast send`, and puts them on the air
#[derive(ClapArgs)]
pub struct Args {
    #[command(flatten)]
    source: flags::Source,
    #[command(flatten)]
    sending: flags::Sending,
    #[command(flatten)]
    transform: flags::TransformChoice,
    #[command(flatten)]
    segmentation: flags::SegmentationChoice,
    #[command(flatten)]
    device: flags::Device,
    #[command(flatten)]
    keys: flags::Keys,
    #[command(flatten)]
    child: flags::Child,
    /// UDP address of the air that takes samples
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "radio")]
    air: Option<String>,
    #[command(flatten)]
    radio: radio_choice::RadioChoice,
    #[command(flatten)]
    record: recording::Record,
    /// QUIC address to listen on for receivers and `semcast send`
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// TCP address that serves metrics for Prometheus; there is no authentication
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<String>,
    /// One way only: let no receiver connect
    #[arg(long)]
    no_feedback: bool,
    /// Number of this transmitter in its frames, drawn if not given: makes a run repeatable
    #[arg(long, hide = true)]
    number: Option<u16>,
}

/// Runs it until it is stopped.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut overrides = Overrides::new();
    args.sending.add_to(&mut overrides);
    args.keys.add_to(&mut overrides);
    args.transform.add_to(&mut overrides);
    args.segmentation.add_to(&mut overrides);
    overrides
        .set("--device", "transmitter.device", args.device.device.clone())
        .set("--air", "air.transmit_addr", args.air.clone())
        // Over a radio in a file, too.
        .set("--air", "transmitter.radio", args.air.as_ref().map(|air| format!("udp:{air}")))
        .set("--metrics", "transmitter.metrics_addr", args.metrics.clone())
        .set("--listen", "control.listen", args.listen.clone())
        .set("--no-feedback", "control.feedback", args.no_feedback.then_some(false));
    args.radio.add_to(Direction::Transmit, &mut overrides);
    let Some(config) = flags::load(&args.source, &overrides)? else { return Ok(()) };
    args.child.set_clock();
    let radio = radio_choice::radio(&config, Direction::Transmit)?;
    if args.radio.dry_run {
        return radio_choice::dry_run(&radio, Direction::Transmit);
    }
    let (identity, peers) = flags::keys(&config)?;
    let metrics = Metrics::default();
    let settings = Settings {
        name: "transmitter".into(),
        record: recording::config(&config, &args.record, "bursts of a transmitter of semcast")?,
        radio,
        numerology: flags::numerology(&config)?,
        control: flags::address(&config.control.listen)?,
        identity,
        peers,
        feedback: config.control.feedback,
        system: config.transmitter.system,
        cbr: config.transmitter.cbr,
        design_snr_db: config.transmitter.design_snr_db,
        frames: config.transmitter.frames,
        allocation: config.transmitter.allocation,
        peak_limit_db: config.transmitter.peak_limit_db,
        max_resends: config.transmitter.max_resends,
        options: flags::system_options(&config)?,
        device: flags::device(config.transmitter.device),
        metrics: metrics.clone(),
        number: args.number,
    };
    let served = flags::serve_metrics(config.transmitter.metrics_addr.as_deref(), |registry| {
        metrics.register(registry)
    })?;
    flags::runtime()?.block_on(daemon::run(
        settings,
        |address| flags::announce("transmitter", &flags::addresses(&[("control", address)], served)),
        flags::stop_signal(args.child.until_input_closes),
    ))?;
    Ok(())
}
