//! Flags that several subcommands share, and how they become a configuration.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use semcast_common::{
    clock,
    config::{Config, ModelDevice, Overrides, Sct, Segmentation, Transform},
    control::{Identity, Peers},
    metrics::{self, Registry},
    telemetry,
};
use semcast_models::sct::correction::Switch;
use semcast_models::sct::segmentation::{Choice, ClassifierFiles, NetworkName};
use semcast_models::{DeviceChoice, SystemOptions};
use semcast_phy::numerology::Numerology;

use crate::cbr::Cbr;
use crate::exit::Failure;

/// Where settings come from.
#[derive(Args, Default)]
pub struct Source {
    /// Configuration file (TOML); the environment (SEMCAST_...) and flags go over it
    #[arg(long, value_name = "FILE", env = "SEMCAST_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print the settings that would be used, as a commented configuration file, and exit
    #[arg(long)]
    pub print_config: bool,
}

/// The emulated channel.
#[derive(Args, Default, Clone)]
pub struct Channel {
    /// Es/N0 per resource element at the receiver, in dB
    #[arg(long, value_name = "DB", allow_negative_numbers = true)]
    pub snr: Option<f64>,
    /// Channel: awgn, rayleigh, rician, rician:K_DB, multipath, multipath-rayleigh, tdl-a to tdl-e, tdl-a:DELAY_SPREAD_NS,
    /// epa, eva, etu, or taps:DELAY_NS/POWER_DB[/rayleigh],...
    #[arg(long, value_name = "NAME")]
    pub channel: Option<String>,
    /// Doppler spread of fading taps, in Hz; 0 keeps a channel still for the whole run
    #[arg(long, value_name = "HZ")]
    pub doppler: Option<f64>,
    /// Carrier frequency offset, in Hz
    #[arg(long, value_name = "HZ", allow_negative_numbers = true)]
    pub cfo: Option<f64>,
    /// Offset of the receiver's sampling clock, in parts per million
    #[arg(long, value_name = "PPM", allow_negative_numbers = true)]
    pub clock_offset: Option<f64>,
    /// Delay, in samples
    #[arg(long, value_name = "SAMPLES")]
    pub delay: Option<i64>,
    /// fast: as fast as both ends can; paced: at the sample rate
    #[arg(long, value_name = "HOW", value_parser = ["fast", "paced"])]
    pub pacing: Option<String>,
    /// Seed of channel taps and noise
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<i64>,
    /// Power amplifier of the transmitter: none, rapp, rapp:SMOOTHNESS or saleh
    #[arg(long, value_name = "NAME")]
    pub amplifier: Option<String>,
    /// Saturation of the amplifier over the signal's mean power, in dB
    #[arg(long, value_name = "DB", allow_negative_numbers = true)]
    pub backoff: Option<f64>,
    /// Line width of the transmitter's oscillator, in Hz
    #[arg(long, value_name = "HZ")]
    pub phase_noise: Option<f64>,
    /// Bits of the receiver's converter
    #[arg(long, value_name = "BITS")]
    pub adc_bits: Option<i64>,
    /// Other stations: up to 8 of `KIND/POWER_DB[/offset=HZ][/duty=SHARE][/burst=MS],...` with KIND tone, noise or ofdm
    #[arg(long, value_name = "LIST")]
    pub interferers: Option<String>,
    /// Share of the datagrams to receivers that are lost
    #[arg(long, value_name = "SHARE")]
    pub loss: Option<f64>,
}

impl Channel {
    /// Adds the flags that were given.
    pub fn add_to(&self, overrides: &mut Overrides) {
        overrides
            .set("--snr", "air.snr_db", self.snr)
            .set("--channel", "air.channel", self.channel.clone())
            .set("--doppler", "air.doppler_hz", self.doppler)
            .set("--cfo", "air.cfo_hz", self.cfo)
            .set("--clock-offset", "air.clock_offset_ppm", self.clock_offset)
            .set("--delay", "air.delay_samples", self.delay)
            .set("--pacing", "air.pacing", self.pacing.clone())
            .set("--seed", "air.seed", self.seed)
            .set("--amplifier", "air.amplifier", self.amplifier.clone())
            .set("--backoff", "air.backoff_db", self.backoff)
            .set("--phase-noise", "air.phase_noise_hz", self.phase_noise)
            .set("--adc-bits", "air.adc_bits", self.adc_bits)
            .set("--interferers", "air.interferers", self.interferers.clone())
            .set("--loss", "air.loss", self.loss);
    }
}

/// What the system ae works on.
#[derive(Args, Default, Clone)]
pub struct TransformChoice {
    /// What the system ae works on, alike at both ends: convolutional (its own network) or taef2 (latents of TAEF2)
    #[arg(long, value_name = "NAME", value_parser = ["convolutional", "taef2"])]
    pub transform: Option<String>,
    /// For --transform taef2, its two files: taef2_encoder.pth and taef2_decoder.pth, or the same as safetensors
    #[arg(long, value_name = "FILE", num_args = 2)]
    pub transform_weights: Vec<String>,
}

impl TransformChoice {
    /// Adds the flags that were given.
    pub fn add_to(&self, overrides: &mut Overrides) {
        overrides.set("--transform", "ae.transform", self.transform.clone()).set_list(
            "--transform-weights",
            "ae.transform_weights",
            &self.transform_weights,
        );
    }
}

/// What a receiver of regions does with them.
#[derive(Args, Default, Clone)]
pub struct RegionReceiving {
    /// Whether a receiver of sct-modular and sct-integrated repairs regions that were lost: on, or off for comparison
    #[arg(long, value_name = "WHETHER", value_parser = ["on", "off"])]
    pub correction: Option<String>,
    /// Weights of the machine mode, for messages that are sent with --for machine: a file from `semcast train machine`
    #[arg(long, value_name = "FILE")]
    pub machine_weights: Option<String>,
}

impl RegionReceiving {
    /// Adds the flags that were given.
    pub fn add_to(&self, overrides: &mut Overrides) {
        overrides
            .set("--correction", "sct.correction", self.correction.as_deref().map(|word| word == "on"))
            .set("--machine-weights", "sct.machine_weights", self.machine_weights.clone());
    }

    /// The weights of the machine mode, if a file is named.
    pub fn machine(&self) -> anyhow::Result<Option<Arc<[u8]>>> {
        self.machine_weights.as_deref().map(|path| read(Path::new(path))).transpose()
    }

    /// Whether regions are repaired.
    pub fn switch(&self) -> Switch {
        if self.correction.as_deref() == Some("off") { Switch::Off } else { Switch::On }
    }
}

/// What tells a sender of regions what it sees.
#[derive(Args, Default, Clone)]
pub struct SegmentationChoice {
    /// Network that tells sct-modular and sct-integrated what a place shows: small (comes with semcast), espnet, espnetv2; none, the default, cuts by looks alone
    #[arg(long, value_name = "NAME", value_parser = ["small", "espnet", "espnetv2", "none"])]
    pub segmentation: Option<String>,
    /// Its weights, for espnet and espnetv2: a file such as espnet_p_2_q_8.pth
    #[arg(long, value_name = "FILE")]
    pub segmentation_weights: Option<String>,
    /// SqueezeNet 1.1, whose class is what gradcam is about then: ncnn's .param (its .bin beside it), torchvision's .pth, or
    /// .safetensors
    #[arg(long, value_name = "FILE")]
    pub classifier: Option<String>,
}

impl SegmentationChoice {
    /// Adds the flags that were given.
    pub fn add_to(&self, overrides: &mut Overrides) {
        overrides
            .set("--segmentation", "sct.segmentation", self.segmentation.clone())
            .set("--segmentation-weights", "sct.segmentation_weights", self.segmentation_weights.clone())
            .set("--classifier", "sct.classifier", self.classifier.clone());
    }

    /// What the flags choose where there is no configuration; files are read.
    pub fn choice(&self) -> anyhow::Result<Choice> {
        let mut overrides = Overrides::default();
        self.add_to(&mut overrides);
        segmentation(&Config::load(None, [], &overrides)?.sct)
    }
}

/// Where encoders and decoders run.
#[derive(Args, Default, Clone)]
pub struct Device {
    /// auto: a real GPU if there is one, else the CPU; cpu; wgpu
    #[arg(long, value_name = "WHICH", value_parser = ["auto", "cpu", "wgpu"])]
    pub device: Option<String>,
}

/// Keys.
#[derive(Args, Default, Clone)]
pub struct Keys {
    /// Private key of this end, from `semcast keygen`
    #[arg(long, value_name = "FILE")]
    pub key: Option<String>,
    /// Certificate file or fingerprint of a peer that may talk to this end; may be repeated
    #[arg(long, value_name = "FILE|FINGERPRINT")]
    pub peer: Vec<String>,
}

impl Keys {
    /// Adds the flags that were given.
    pub fn add_to(&self, overrides: &mut Overrides) {
        overrides.set("--key", "control.key", self.key.clone()).set_list(
            "--peer",
            "control.peers",
            &self.peer,
        );
    }
}

/// How to send.
#[derive(Args, Default, Clone)]
pub struct Sending {
    /// System: ae, ae-ms-ssim, vae, vscc, sct-modular or sct-integrated (pictures), or classical (pictures and text)
    #[arg(long, value_name = "NAME")]
    pub system: Option<String>,
    /// Variance of the values of vae and vscc: fixed (both ends know a mean) or transmitted (twice the symbols)
    #[arg(long, value_name = "HOW", value_parser = ["fixed", "transmitted"])]
    pub variance: Option<String>,
    /// Net channel bandwidth ratio to fit a picture to: complex symbols per RGB value
    #[arg(long, value_name = "RATIO")]
    pub cbr: Option<Cbr>,
    /// SNR to prepare the message for, in dB, instead of what the receiver reports
    #[arg(long, value_name = "DB", allow_negative_numbers = true)]
    pub design_snr: Option<f64>,
    /// Frames: auto (by what the receiver reports), normal (short) or robust (heard far below the noise)
    #[arg(long, value_name = "WHICH", value_parser = ["auto", "normal", "robust"])]
    pub frames: Option<String>,
    /// Resource blocks for the features of a message: by importance, or for comparison none, random, equal, inverse
    #[arg(long, value_name = "HOW", value_parser = ["none", "importance", "random", "equal", "inverse"])]
    pub allocation: Option<String>,
    /// Lower the peaks of the signal towards so many dB above its mean power
    #[arg(long, value_name = "DB")]
    pub peak_limit: Option<f64>,
    /// Most rounds of sending again what was lost
    #[arg(long, value_name = "ROUNDS")]
    pub max_resends: Option<i64>,
}

impl Sending {
    /// Adds the flags that were given.
    pub fn add_to(&self, overrides: &mut Overrides) {
        overrides
            .set("--system", "transmitter.system", self.system.clone())
            .set("--variance", "transmitter.variance", self.variance.clone())
            .set("--cbr", "transmitter.cbr", self.cbr.as_ref().map(Cbr::value))
            .set("--design-snr", "transmitter.design_snr_db", self.design_snr)
            .set("--frames", "transmitter.frames", self.frames.clone())
            .set("--allocation", "transmitter.allocation", self.allocation.clone())
            .set("--peak-limit", "transmitter.peak_limit_db", self.peak_limit)
            .set("--max-resends", "transmitter.max_resends", self.max_resends);
    }
}

/// Loads the configuration and starts logging; `None` when it was only to be printed.
pub fn load(source: &Source, overrides: &Overrides) -> anyhow::Result<Option<Config>> {
    // The variable that names the file is no setting.
    let environment = std::env::vars().filter(|(name, _)| name != "SEMCAST_CONFIG");
    let config = Config::load(source.config.as_deref(), environment, overrides)?;
    if source.print_config {
        print_text(&config.to_commented_toml());
        return Ok(None);
    }
    telemetry::start(&config.log.filter)?;
    Ok(Some(config))
}

/// The OFDM grid of a configuration.
pub fn numerology(config: &Config) -> anyhow::Result<Numerology> {
    let radio = &config.radio;
    Ok(Numerology {
        fft_size: radio.fft_size,
        cyclic_prefix: radio.cyclic_prefix,
        resource_blocks: radio.resource_blocks,
        sample_rate_hz: radio.sample_rate_hz,
    }
    .validate()?)
}

/// This end's key and those that it trusts.
pub fn keys(config: &Config) -> anyhow::Result<(Identity, Peers)> {
    let Some(key) = &config.control.key else {
        return Err(Failure::Usage(
            "no key: make one with `semcast keygen NAME`, and name it with --key or control.key".into(),
        )
        .into());
    };
    Ok((Identity::load(key.as_ref())?, Peers::from_arguments(&config.control.peers)?))
}

/// The socket address behind HOST:PORT. A name that is not known now may be known later, so that is no wrong usage.
pub fn address(text: &str) -> anyhow::Result<SocketAddr> {
    let mut addresses = std::net::ToSocketAddrs::to_socket_addrs(text).map_err(|error| {
        Failure::Unavailable(format!("cannot resolve {text} (expected HOST:PORT): {error}"))
    })?;
    addresses.next().ok_or_else(|| Failure::Unavailable(format!("{text} has no address")).into())
}

/// The device of a configuration, for the models.
pub fn device(device: ModelDevice) -> DeviceChoice {
    match device {
        ModelDevice::Auto => DeviceChoice::Auto,
        ModelDevice::Cpu => DeviceChoice::Cpu,
        ModelDevice::Wgpu => DeviceChoice::Wgpu,
    }
}

/// What a configuration chooses of the systems; files of weights are read.
pub fn system_options(config: &Config) -> anyhow::Result<SystemOptions> {
    let taef2 = match config.ae.transform {
        Transform::Convolutional => None,
        Transform::Taef2 => {
            let paths: Vec<PathBuf> = config.ae.transform_weights.iter().map(PathBuf::from).collect();
            Some(transform_weights(&paths)?.into())
        }
    };
    let segmentation = segmentation(&config.sct)?;
    let correction = if config.sct.correction { Switch::On } else { Switch::Off };
    let machine = config.sct.machine_weights.as_deref().map(|path| read(Path::new(path))).transpose()?;
    Ok(SystemOptions { variance: config.transmitter.variance, taef2, segmentation, correction, machine })
}

/// A file that the user names.
fn read(path: &Path) -> anyhow::Result<Arc<[u8]>> {
    let unread = |error| Failure::Usage(format!("cannot read {}: {error}", path.display()));
    Ok(std::fs::read(path).map_err(unread)?.into())
}

/// What tells a sender what it sees; files are read.
pub fn segmentation(chosen: &Sct) -> anyhow::Result<Choice> {
    let network = match chosen.segmentation {
        Segmentation::Small => Some(NetworkName::Small),
        Segmentation::Espnet => Some(NetworkName::EspNet),
        Segmentation::Espnetv2 => Some(NetworkName::EspNetV2),
        Segmentation::None => None,
    };
    let weights = chosen.segmentation_weights.as_deref().map(|path| read(Path::new(path))).transpose()?;
    let lacking = match (network, &weights, &chosen.classifier) {
        (Some(NetworkName::EspNet | NetworkName::EspNetV2), None, _) => {
            Some("needs --segmentation-weights FILE: docs/SEMANTICS.md tells where to get it")
        }
        (None, Some(_), _) => Some("none has no --segmentation-weights"),
        (None, _, Some(_)) => Some("none: --classifier needs a segmentation network beside it"),
        _ => None,
    };
    if let Some(lacking) = lacking {
        return Err(Failure::Usage(format!("--segmentation {lacking}")).into());
    }
    let classifier = match chosen.classifier.as_deref().map(Path::new) {
        None => None,
        Some(path) if path.extension().is_some_and(|extension| extension == "param") => {
            Some(ClassifierFiles::Ncnn(read(path)?, read(&path.with_extension("bin"))?))
        }
        Some(path) => Some(ClassifierFiles::Checkpoint(read(path)?)),
    };
    Ok(Choice { network, weights, classifier })
}

/// The contents of the two files of a transform.
pub fn transform_weights(paths: &[PathBuf]) -> anyhow::Result<[Vec<u8>; 2]> {
    let read = |path: &PathBuf| {
        std::fs::read(path)
            .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))
    };
    let [first, second] = paths else {
        let count = paths.len();
        return Err(Failure::Usage(format!(
            "--transform taef2 needs two files in --transform-weights, taef2_encoder.pth and taef2_decoder.pth; {count} given"
        ))
        .into());
    };
    Ok([read(first)?, read(second)?])
}

/// Prints what a subcommand is there to print.
#[expect(clippy::print_stdout, reason = "standard output is for results")]
pub fn print_text(text: &str) {
    print!("{text}");
}

/// Resolves on Ctrl-C, on SIGTERM, and, if asked, when standard input is closed: a child process ends with
/// the one that started it, however that one ended.
pub async fn stop_signal(with_input: bool) {
    let interrupt = async {
        // Without a handler the process could only be killed: then wait for that.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupt => {}
        () = terminate() => {}
        () = input_closed(), if with_input => {}
    }
}

#[cfg(unix)]
async fn terminate() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminate() {
    std::future::pending().await
}

async fn input_closed() {
    // A thread of its own: reading standard input blocks, and must not keep the runtime from ending.
    let (closed, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut sink = [0; 256];
        while matches!(std::io::Read::read(&mut std::io::stdin(), &mut sink), Ok(1..)) {}
        let _ = closed.send(());
    });
    let _ = wait.await;
}

/// Flags of processes that another one starts.
#[derive(Args, Default)]
pub struct Child {
    /// End when standard input is closed
    #[arg(long, hide = true)]
    pub until_input_closes: bool,
    /// For tests: read a clock that is ahead by so many µs, or behind
    #[arg(long, hide = true, allow_negative_numbers = true)]
    pub shift_clock_us: Option<i64>,
}

impl Child {
    /// Makes the process's clock wrong, if it is to be.
    pub fn set_clock(&self) {
        if let Some(shift_us) = self.shift_clock_us {
            tracing::warn!(shift_us, "this process reads a clock that is wrong, as it was told to");
            clock::shift_us(shift_us);
        }
    }
}

/// Prints the line by which whoever started this process learns its addresses.
pub fn announce(process: &str, addresses: &[(&str, SocketAddr)]) {
    let mut line = serde_json::Map::new();
    line.insert("ready".into(), process.into());
    for (name, address) in addresses {
        line.insert((*name).into(), address.to_string().into());
    }
    print_text(&format!("{}\n", serde_json::Value::Object(line)));
    let _ = std::io::Write::flush(&mut std::io::stdout());
}

/// Serves what `register` registers, if an address is set; returns the address.
pub fn serve_metrics(
    address_text: Option<&str>,
    register: impl FnOnce(&mut Registry),
) -> anyhow::Result<Option<SocketAddr>> {
    let Some(text) = address_text else { return Ok(None) };
    let mut registry = Registry::default();
    register(&mut registry);
    Ok(Some(metrics::serve(address(text)?, registry)?))
}

/// The addresses that a daemon announces, with that of its metrics, if they are served.
pub fn addresses<'a>(
    of: &[(&'a str, SocketAddr)],
    metrics: Option<SocketAddr>,
) -> Vec<(&'a str, SocketAddr)> {
    of.iter().copied().chain(metrics.map(|address| ("metrics", address))).collect()
}

/// A runtime for a daemon or a client.
pub fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}
