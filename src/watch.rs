//! `semcast watch`: what arrives at a running receiver.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args as ClapArgs;
use semcast_common::{
    config::Overrides,
    content::{Content, file},
};

use crate::{
    exit::Failure,
    flags::{self, print_text},
    link::{self, Arrival},
};

/// Watch what arrives at a running receiver: prints a line a message, and writes pictures and text to files
#[derive(ClapArgs)]
pub struct Args {
    #[command(flatten)]
    source: flags::Source,
    #[command(flatten)]
    keys: flags::Keys,
    /// QUIC address of the receiver
    #[arg(long, value_name = "HOST:PORT")]
    connect: Option<String>,
    /// Folder for what arrives; without one, texts are printed and pictures are only told of
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// End after so many messages
    #[arg(long, value_name = "MESSAGES")]
    count: Option<u64>,
}

/// Watches until it is stopped, or `--count` messages have come.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut overrides = Overrides::new();
    args.keys.add_to(&mut overrides);
    overrides.set("--connect", "control.watch_listen", args.connect.clone());
    let Some(config) = flags::load(&args.source, &overrides)? else { return Ok(()) };
    let (identity, peers) = flags::keys(&config)?;
    if let Some(folder) = &args.output {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    flags::runtime()?.block_on(async {
        let mut watcher = link::watcher(&config.control.watch_listen, &identity, &peers).await?;
        let mut left = args.count.unwrap_or(u64::MAX);
        while left > 0 {
            let arrival = tokio::select! {
                arrival = link::next_arrival(&mut watcher) => arrival?,
                () = flags::stop_signal(false) => break,
            };
            let Some(arrival) = arrival else {
                return Err(Failure::Unavailable("the receiver has closed the connection".into()).into());
            };
            show(&arrival, args.output.as_deref())?;
            left -= u64::from(!arrival.arrived.intermediate);
        }
        watcher.finish().await;
        Ok(())
    })
}

fn show(arrival: &Arrival, folder: Option<&Path>) -> anyhow::Result<()> {
    let part = &arrival.arrived.part;
    let what = match &arrival.content {
        Content::Picture(picture) => format!("picture {}x{}", picture.width(), picture.height()),
        Content::Text(text) => format!("text of {} bytes", text.len()),
        Content::Labels(labels) => format!("what is in a picture {}x{}", labels.width(), labels.height()),
    };
    let mut line = format!(
        "message {:04x}-{:05}: {what}, {} at {:.1} dB, confidence {:.2}",
        part.session, part.message_id, part.system, part.snr_db_estimated, part.confidence
    );
    if arrival.arrived.intermediate {
        line += ", intermediate";
    }
    let name = |extension| format!("{:04x}-{:05}.{extension}", part.session, part.message_id);
    match (&arrival.content, folder) {
        (Content::Picture(picture), Some(folder)) => {
            let path = folder.join(name("png"));
            std::fs::write(&path, file::encode_png(picture)?)
                .with_context(|| format!("cannot write {}", path.display()))?;
            line += &format!(", {}", path.display());
        }
        (Content::Text(text), Some(folder)) => {
            let path = folder.join(name("txt"));
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            line += &format!(", {}", path.display());
        }
        (Content::Labels(labels), Some(folder)) => {
            let path = folder.join(name("json"));
            std::fs::write(&path, labels.to_json())
                .with_context(|| format!("cannot write {}", path.display()))?;
            line += &format!(", {}", path.display());
        }
        (Content::Labels(labels), None) => {
            for found in labels.shares() {
                line += &format!(
                    "\n{}: {:.1} % of blocks, {:.2} sure",
                    found.class,
                    100.0 * found.share,
                    found.confidence
                );
            }
        }
        (Content::Text(text), None) => line += &format!("\n{text}"),
        (Content::Picture(_), None) => {}
    }
    print_text(&format!("{line}\n"));
    Ok(())
}
