//! `semcast send`: a picture or a text to a running transmitter.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args as ClapArgs;
use semcast_common::{
    config::Overrides,
    wire::{ModeChoice, SendOptions},
};

use crate::{
    cbr::Cbr,
    flags::{self, print_text},
    link,
    loopback::What,
    semantics::Semantics,
};

/// Send a picture or a text through a running transmitter
#[derive(ClapArgs)]
pub struct Args {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    source: flags::Source,
    #[command(flatten)]
    keys: flags::Keys,
    /// QUIC address of the transmitter
    #[arg(long, value_name = "HOST:PORT")]
    connect: Option<String>,
    /// System: ae, ae-ms-ssim, vae, vscc, sct-modular or sct-integrated (pictures), or classical (pictures and text)
    #[arg(long, value_name = "NAME")]
    system: Option<semcast_common::message::SystemId>,
    /// Net channel bandwidth ratio to fit a picture to: complex symbols per RGB value
    #[arg(long, value_name = "RATIO")]
    cbr: Option<Cbr>,
    /// SNR to prepare the message for, in dB, instead of what the receiver reports
    #[arg(long, value_name = "DB", allow_negative_numbers = true)]
    design_snr: Option<f64>,
    /// Step of the MCS ladder for coded payloads
    #[arg(long, value_name = "INDEX")]
    mcs: Option<u8>,
    /// Frames: auto (by what the receiver reports), normal (short) or robust (heard far below the noise)
    #[arg(long, value_name = "WHICH")]
    frames: Option<ModeChoice>,
    /// Most rounds of sending again what was lost
    #[arg(long, value_name = "ROUNDS")]
    max_resends: Option<u8>,
    #[command(flatten)]
    semantics: Semantics,
    /// Time for all rounds of sending, in ms: while it lasts, what arrived badly is sent again, the most important first
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..=600_000))]
    budget_ms: Option<u32>,
    /// How often to send it, 1 to 1000
    #[arg(long, value_name = "TIMES", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeat: u16,
    /// Write the report of the last transmission as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Sends it and prints a report a transmission.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut overrides = Overrides::new();
    args.keys.add_to(&mut overrides);
    overrides.set("--connect", "control.connect", args.connect.clone());
    let Some(config) = flags::load(&args.source, &overrides)? else { return Ok(()) };
    let submission = args.what.submission()?;
    submission.content()?;
    let (identity, peers) = flags::keys(&config)?;
    let options = SendOptions {
        system: args.system,
        cbr: args.cbr.as_ref().map(Cbr::value),
        design_snr_db: args.design_snr,
        mcs: args.mcs,
        frames: args.frames,
        max_resends: args.max_resends,
        budget_ms: args.budget_ms,
        intent: args.semantics.intent()?,
        repeat: args.repeat,
    };
    flags::runtime()?.block_on(async {
        let mut sender = link::sender(&config.control.connect, &identity, &peers).await?;
        let mut sent = link::submit(&mut sender, &submission, options).await?;
        for left in (0..args.repeat).rev() {
            for note in &sent.notes {
                tracing::warn!("{note}");
            }
            let report = link::remote_report(&sent);
            print_text(&report.table());
            if left > 0 {
                sent = link::report(&mut sender).await?;
            } else if let Some(path) = &args.report {
                std::fs::write(path, report.to_json())
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
        sender.finish().await;
        Ok(())
    })
}
