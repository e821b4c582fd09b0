//! `semcast transmitter`: the transmitter daemon.

use clap::Args as ClapArgs;
use semcast_common::config::Overrides;
use semcast_transmitter::daemon::{self, Settings};

use crate::flags;

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
    #[arg(long, value_name = "HOST:PORT")]
    air: Option<String>,
    /// QUIC address to listen on for receivers and `semcast send`
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
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
        .set("--listen", "control.listen", args.listen.clone())
        .set("--no-feedback", "control.feedback", args.no_feedback.then_some(false));
    let Some(config) = flags::load(&args.source, &overrides)? else { return Ok(()) };
    args.child.set_clock();
    let (identity, peers) = flags::keys(&config)?;
    let settings = Settings {
        name: "transmitter".into(),
        air: flags::address(&config.air.transmit_addr)?,
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
        number: args.number,
    };
    flags::runtime()?.block_on(daemon::run(
        settings,
        |address| flags::announce("transmitter", &[("control", address)]),
        flags::stop_signal(args.child.until_input_closes),
    ))?;
    Ok(())
}
