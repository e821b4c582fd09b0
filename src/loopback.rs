//! `semcast loopback`: transmitter, air and receiver as three processes on this machine, and one message.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args as ClapArgs;
use semcast_common::{
    config::{Config, Overrides},
    content::{Content, file, side_by_side, test_card},
    control::{ControlConnection, Identity, Peers},
    report::{Clocks, Report, Setting},
    wire::SendOptions,
};

use crate::{
    air,
    children::Process,
    exit::Failure,
    flags::{self, print_text},
    link::{self, Arrival, Submission},
    quality,
    semantics::Semantics,
};

/// Show the whole link on this machine: a transmitter, an emulated channel and a receiver as three
/// processes; sends a picture or a text, and tells what arrived and what it cost
#[derive(ClapArgs)]
pub struct Args {
    #[command(flatten)]
    pub what: What,
    #[command(flatten)]
    pub setup: Setup,
    /// Folder for what arrives: received.png and side-by-side.png, or received.txt
    #[arg(long, value_name = "DIR", default_value = "semcast-output")]
    pub output: PathBuf,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// What to send.
#[derive(ClapArgs)]
#[group(multiple = false)]
pub struct What {
    /// Picture to send (PNG, JPEG, WebP or BMP); without one, a test card is drawn
    pub picture: Option<PathBuf>,
    /// Text to send
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    /// File with text to send
    #[arg(long, value_name = "FILE")]
    pub text_file: Option<PathBuf>,
}

impl What {
    /// Reads it.
    pub fn submission(&self) -> anyhow::Result<Submission> {
        match (&self.picture, &self.text, &self.text_file) {
            (Some(picture), ..) => Submission::picture_file(picture),
            (_, Some(text), _) => Ok(Submission::text(text.clone())),
            (_, _, Some(file)) => Submission::text_file(file),
            _ => {
                let bytes = file::encode_png(&test_card::draw(1)?)?;
                Ok(Submission { kind: semcast_common::wire::SubmitKind::PictureFile, bytes: bytes.into() })
            }
        }
    }
}

/// How the three processes are set up.
#[derive(ClapArgs)]
pub struct Setup {
    #[command(flatten)]
    source: flags::Source,
    #[command(flatten)]
    channel: flags::Channel,
    #[command(flatten)]
    sending: flags::Sending,
    #[command(flatten)]
    semantics: Semantics,
    /// Time for all rounds of sending, in ms: while it lasts, what arrived badly is sent again, the most important first
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..=600_000))]
    budget_ms: Option<u32>,
    #[command(flatten)]
    transform: flags::TransformChoice,
    #[command(flatten)]
    regions: flags::RegionReceiving,
    #[command(flatten)]
    segmentation: flags::SegmentationChoice,
    #[command(flatten)]
    device: flags::Device,
    /// Step of the MCS ladder for coded payloads, instead of what the SNR suggests
    #[arg(long, value_name = "INDEX")]
    pub mcs: Option<u8>,
    /// One way only: no control link between transmitter and receiver
    #[arg(long)]
    no_feedback: bool,
}

impl Setup {
    /// Flags that set up one of the three processes.
    fn overrides(&self) -> Overrides {
        let mut overrides = Overrides::new();
        self.channel.add_to(&mut overrides);
        self.sending.add_to(&mut overrides);
        self.transform.add_to(&mut overrides);
        self.regions.add_to(&mut overrides);
        self.segmentation.add_to(&mut overrides);
        overrides
            .set("--device", "transmitter.device", self.device.device.clone())
            .set("--device", "receiver.device", self.device.device.clone())
            .set("--no-feedback", "control.feedback", self.no_feedback.then_some(false));
        overrides
    }

    /// The configuration of three processes on this machine; `None` when it was only to be printed.
    pub fn load(&self) -> anyhow::Result<Option<Config>> {
        let mut overrides = self.overrides();
        // The processes' own logs are kept apart: here only warnings are worth a line.
        if self.source.config.is_none() && std::env::var_os("SEMCAST_LOG").is_none() {
            overrides.set("log", "log.filter", Some("warn".to_string()));
        }
        let config = flags::load(&self.source, &overrides)?;
        if let Some(config) = &config {
            // Told before any process is started, and as wrong usage.
            air::air_config(config)?.validate()?;
            flags::system_options(config)?;
        }
        Ok(config)
    }

    /// The configuration of a client of processes that run already, found where `client` says.
    pub fn load_client(&self, mut client: Overrides) -> anyhow::Result<Option<Config>> {
        if self.source.config.is_none() && std::env::var_os("SEMCAST_LOG").is_none() {
            client.set("log", "log.filter", Some("warn".to_string()));
        }
        flags::load(&self.source, &client)
    }

    /// How to send through processes that run already: refuses flags that would set one of them up.
    pub fn client_options(&self) -> anyhow::Result<SendOptions> {
        const OF_CLIENTS: [&str; 5] = ["--system", "--cbr", "--design-snr", "--frames", "--max-resends"];
        if let Some(flag) = self.overrides().flags().find(|flag| !OF_CLIENTS.contains(flag)) {
            return Err(Failure::Usage(format!(
                "{flag} sets up a process, but with --connect they run already: give it to the one that it is for"
            ))
            .into());
        }
        let refused = |error: String| Failure::Usage(error);
        let sending = &self.sending;
        let max_resends = sending.max_resends.map(u8::try_from).transpose();
        Ok(SendOptions {
            system: sending.system.as_deref().map(str::parse).transpose().map_err(refused)?,
            cbr: sending.cbr.as_ref().map(crate::cbr::Cbr::value),
            design_snr_db: sending.design_snr,
            frames: sending.frames.as_deref().map(str::parse).transpose().map_err(refused)?,
            max_resends: max_resends.map_err(|_| refused("--max-resends: 0 to 255".into()))?,
            ..self.options()?
        })
    }

    /// How to send under this setup.
    pub fn options(&self) -> anyhow::Result<SendOptions> {
        Ok(SendOptions {
            mcs: self.mcs,
            budget_ms: self.budget_ms,
            intent: self.semantics.intent()?,
            ..SendOptions::default()
        })
    }
}

/// Three processes and the clients of two of them.
pub struct Trio {
    folder: tempfile::TempDir,
    processes: Vec<Process>,
    /// The client of the transmitter.
    pub sender: ControlConnection,
    /// The client of the receiver.
    pub watcher: ControlConnection,
}

impl Trio {
    /// Starts them with keys of their own on ports of their own, and waits until the link is up.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let settings = folder.path().join("semcast.toml");
        std::fs::write(&settings, config.to_commented_toml()).context("cannot write a temporary file")?;
        let start = async |name: &'static str, more: &[(&str, String)]| {
            let mut arguments = vec!["--config".to_string(), path_text(&settings)];
            arguments.extend(more.iter().flat_map(|(flag, value)| [(*flag).to_string(), value.clone()]));
            Process::start(name, &arguments, &folder.path().join(format!("{name}.log"))).await
        };
        let [transmitter_key, receiver_key, client_key] =
            [Identity::generate()?, Identity::generate()?, Identity::generate()?];
        let key = |name: &str, identity: &Identity| -> anyhow::Result<String> {
            Ok(path_text(&identity.save(&folder.path().join(name), false)?.0))
        };
        let any_port = || "127.0.0.1:0".to_string();

        let air = start("air", &[("--transmit-addr", any_port()), ("--receive-addr", any_port())]).await?;
        let transmitter = start(
            "transmitter",
            &[
                ("--air", air.address("transmit")?),
                ("--listen", any_port()),
                // Nobody starts it again, and the same seed is to put the same samples on the air.
                ("--number", (config.air.seed as u16).to_string()),
                ("--key", key("transmitter", &transmitter_key)?),
                ("--peer", receiver_key.fingerprint().to_string()),
                ("--peer", client_key.fingerprint().to_string()),
            ],
        )
        .await?;
        let control = transmitter.address("control")?;
        let receiver = start(
            "receiver",
            &[
                ("--air", air.address("receive")?),
                ("--connect", control.clone()),
                ("--watch-listen", any_port()),
                ("--key", key("receiver", &receiver_key)?),
                ("--peer", transmitter_key.fingerprint().to_string()),
                ("--peer", client_key.fingerprint().to_string()),
            ],
        )
        .await?;
        let watch = receiver.address("watch")?;

        let peers = Peers::from_arguments([
            transmitter_key.fingerprint().to_string(),
            receiver_key.fingerprint().to_string(),
        ])?;
        let sender = link::sender(&control, &client_key, &peers).await?;
        let mut watcher = link::watcher(&watch, &client_key, &peers).await?;
        link::wait_until_up(&mut watcher, config.control.feedback).await?;
        Ok(Self { folder, processes: vec![transmitter, receiver, air], sender, watcher })
    }

    /// Sends once and waits for what arrives.
    pub async fn transfer(
        &mut self,
        submission: &Submission,
        options: SendOptions,
        config: &Config,
    ) -> anyhow::Result<(Report, Content, Arrival)> {
        let sent = link::submit(&mut self.sender, submission, options).await?;
        let arrival = link::arrival(&mut self.watcher, &sent).await?;
        for note in &sent.notes {
            tracing::warn!("{note}");
        }
        let original = submission.content()?;
        let (content, received) = (original.clone(), arrival.content.clone());
        let task = flags::segmentation(&config.sct)?;
        let compared = move || quality::compare(&content, &received, &task);
        let quality = tokio::task::spawn_blocking(compared).await??;
        let setting = Setting {
            seed: config.air.seed,
            channel: config.air.channel.clone(),
            snr_db: config.air.snr_db,
            clocks: Clocks::estimated_or(sent.clock, Clocks::One),
        };
        let mut report = Report::merge(&setting, &sent.transmitter, Some(&arrival.arrived.part), quality);
        report.exact = Some(original == arrival.content);
        Ok((report, original, arrival))
    }

    /// Ends all three. `keep_logs`: where their logs go, if anywhere.
    pub async fn end(self, keep_logs: Option<&Path>) -> anyhow::Result<()> {
        self.sender.finish().await;
        self.watcher.finish().await;
        for process in self.processes {
            process.end().await;
        }
        if let Some(folder) = keep_logs {
            std::fs::create_dir_all(folder)?;
            for name in ["transmitter", "receiver", "air"] {
                let log = format!("{name}.log");
                std::fs::copy(self.folder.path().join(&log), folder.join(&log))?;
            }
        }
        Ok(())
    }
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Runs it once.
pub fn run(args: Args) -> anyhow::Result<()> {
    let Some(config) = args.setup.load()? else { return Ok(()) };
    let submission = args.what.submission()?;
    let options = args.setup.options()?;
    // Looked at here first: starting three processes for what is no picture would waste the user's time.
    submission.content()?;
    std::fs::create_dir_all(&args.output)
        .with_context(|| format!("cannot make the folder {}", args.output.display()))?;
    flags::runtime()?.block_on(async {
        let mut trio = Trio::start(&config).await?;
        let result = tokio::select! {
            result = trio.transfer(&submission, options, &config) => result,
            () = flags::stop_signal(false) => Err(Failure::Delivery("interrupted".into()).into()),
        };
        trio.end(Some(&args.output)).await?;
        let (report, original, arrival) = result?;
        if let Some(path) = &args.report {
            write(path, report.to_json().as_bytes())?;
        }
        print_text(&report.table());
        for path in save(&args.output, &original, &arrival.content)? {
            print_text(&format!("{}\n", path.display()));
        }
        Ok(())
    })
}

/// Writes what arrived, and beside it what was sent.
fn save(folder: &Path, original: &Content, received: &Content) -> anyhow::Result<Vec<PathBuf>> {
    match (original, received) {
        (Content::Picture(original), Content::Picture(received)) => {
            let (alone, beside) = (folder.join("received.png"), folder.join("side-by-side.png"));
            write(&alone, &file::encode_png(received)?)?;
            let mut paths = vec![alone];
            match side_by_side::side_by_side(original, received) {
                Ok(both) => {
                    write(&beside, &file::encode_png(&both)?)?;
                    paths.push(beside);
                }
                // Two of the largest pictures do not fit into one.
                Err(error) => tracing::warn!(%error, "no side-by-side picture"),
            }
            Ok(paths)
        }
        (_, Content::Text(received)) => {
            let path = folder.join("received.txt");
            write(&path, received.as_bytes())?;
            print_text(&format!("{received}\n"));
            Ok(vec![path])
        }
        (_, Content::Labels(labels)) => {
            let (picture, text) = (folder.join("labels.png"), folder.join("labels.json"));
            write(&picture, &file::encode_png(&labels.to_picture()?)?)?;
            write(&text, labels.to_json().as_bytes())?;
            Ok(vec![picture, text])
        }
        (_, Content::Picture(_)) => anyhow::bail!("a text was sent and a picture arrived"),
    }
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
