//! Flags of recordings, `semcast record` and `semcast replay`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use semcast_common::{
    config::{Config, Overrides},
    control::{Identity, Peers},
};
use semcast_phy::radio::{
    RadioSource,
    air::AirRecord,
    open::Radio,
    sigmf::{Datatype, RecordConfig, Recorder, files},
    soapy::Direction,
};
use semcast_receiver::{
    daemon::{self, Settings},
    metrics::Metrics,
};

use crate::{exit::Failure, flags, radio_choice};

/// How samples are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// 32-bit floats
    #[default]
    Cf32,
    /// 16-bit integers
    Ci16,
    /// 8-bit integers
    Ci8,
}

impl Format {
    fn datatype(self) -> Datatype {
        match self {
            Self::Cf32 => Datatype::Cf32,
            Self::Ci16 => Datatype::Ci16,
            Self::Ci8 => Datatype::Ci8,
        }
    }
}

/// What is recorded beside the work of a daemon.
#[derive(Args, Default, Clone)]
pub struct Record {
    /// Record samples as FILE.sigmf-data with FILE.sigmf-meta (the air: FILE-in, FILE-out0, ...)
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// How samples are recorded
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    record_format: Format,
}

impl Record {
    /// What an air records.
    pub fn of_air(&self) -> Option<AirRecord> {
        let path = self.record.as_ref().map(|path| files(path).0.with_extension(""))?;
        Some(AirRecord { path, format: self.record_format.datatype() })
    }
}

/// What a transmitter or a receiver records, if anything.
pub fn config(config: &Config, record: &Record, description: &str) -> anyhow::Result<Option<RecordConfig>> {
    let Some(path) = &record.record else { return Ok(None) };
    Ok(Some(RecordConfig {
        path: path.clone(),
        datatype: record.record_format.datatype(),
        sample_rate_hz: flags::numerology(config)?.sample_rate_hz,
        frequency_hz: config.soapy.frequency_hz,
        description: description.into(),
        wait: true,
    }))
}

/// Record what a radio hears, in SigMF: FILE.sigmf-data and FILE.sigmf-meta
#[derive(Args)]
pub struct RecordArgs {
    #[command(flatten)]
    source: flags::Source,
    #[command(flatten)]
    radio: radio_choice::RadioChoice,
    #[command(flatten)]
    child: flags::Child,
    /// End after so many seconds of samples, instead of when stopped
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// How samples are written
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    format: Format,
    /// The recording
    file: PathBuf,
}

/// Records until it is stopped, or has enough.
pub fn record(args: RecordArgs) -> anyhow::Result<()> {
    let mut overrides = Overrides::new();
    args.radio.add_to(Direction::Receive, &mut overrides);
    let Some(config) = flags::load(&args.source, &overrides)? else { return Ok(()) };
    let radio = radio_choice::radio(&config, Direction::Receive)?;
    if args.radio.dry_run {
        return radio_choice::dry_run(&radio, Direction::Receive);
    }
    let seconds = args.seconds.unwrap_or(f64::INFINITY);
    if seconds.is_nan() || seconds <= 0.0 {
        return Err(Failure::Usage(format!("--seconds {seconds}: allowed is above 0")).into());
    }
    let record = Record { record: Some(args.file), record_format: args.format };
    let Some(record) = self::config(&config, &record, "recorded by semcast")? else { return Ok(()) };
    let mut source = radio.source(record.sample_rate_hz)?;
    let recorder = Recorder::start(&record)?;
    let runtime = flags::runtime()?;
    let stop = runtime.spawn(flags::stop_signal(args.child.until_input_closes));
    flags::announce("record", &[]);
    let most = (seconds * record.sample_rate_hz) as u64;
    let (mut samples, mut recorded, mut lost) = (Vec::new(), 0u64, 0);
    while recorded < most && !stop.is_finished() && !source.has_ended() {
        samples.clear();
        let received = source.receive(&mut samples)?;
        let room = usize::try_from(most - recorded).unwrap_or(usize::MAX);
        samples.truncate(room);
        recorder.record(received.first_sample, &samples);
        recorded += samples.len() as u64;
        lost += received.lost_before;
    }
    drop(recorder);
    runtime.shutdown_background();
    let (metadata, data) = files(&record.path);
    let seconds = recorded as f64 / record.sample_rate_hz;
    flags::print_text(&format!(
        "{}\n{}\n{recorded} samples, {seconds:.3} s; {lost} lost on the way\n",
        metadata.display(),
        data.display()
    ));
    Ok(())
}

/// Receive from a recording in SigMF, and end with it
#[derive(Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    source: flags::Source,
    #[command(flatten)]
    transform: flags::TransformChoice,
    #[command(flatten)]
    regions: flags::RegionReceiving,
    #[command(flatten)]
    device: flags::Device,
    /// Folder for what arrives
    #[arg(long, value_name = "DIR")]
    output: Option<String>,
    /// The recording: either file, or what their names begin with
    file: PathBuf,
}

/// Decodes all of a recording.
pub fn replay(args: ReplayArgs) -> anyhow::Result<()> {
    let mut overrides = Overrides::new();
    args.transform.add_to(&mut overrides);
    args.regions.add_to(&mut overrides);
    overrides.set("--device", "receiver.device", args.device.device.clone()).set(
        "--output",
        "receiver.output_dir",
        args.output.clone(),
    );
    let Some(config) = flags::load(&args.source, &overrides)? else { return Ok(()) };
    let output = config.receiver.output_dir.clone().unwrap_or_else(|| "received".into());
    let settings = Settings {
        name: "replay".into(),
        radio: Radio::Sigmf(args.file),
        record: None,
        numerology: flags::numerology(&config)?,
        link: None,
        // Nobody knows the port or has a key that fits: a replay has no clients.
        watch: ([127, 0, 0, 1], 0).into(),
        identity: Identity::generate()?,
        peers: Peers::from_arguments(std::iter::empty::<&str>())?,
        output: Some(output.clone().into()),
        options: flags::system_options(&config)?,
        device: flags::device(config.receiver.device),
        metrics: Metrics::default(),
    };
    let received = flags::runtime()?.block_on(daemon::run(settings, |_| {}, flags::stop_signal(false)))?;
    let (frames, messages) = (received.frames, received.messages);
    if messages == 0 {
        let text = format!("no message could be decoded; frames heard: {frames}");
        return Err(Failure::Delivery(text).into());
    }
    flags::print_text(&format!("{messages} messages from {frames} frames, in {output}\n"));
    Ok(())
}
