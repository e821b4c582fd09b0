//! The typed configuration: one structure a section, with the defaults.

use serde::{Deserialize, Serialize};

use crate::{
    message::{SystemId, VarianceChoice},
    wire::ModeChoice,
};

/// All settings. What each key means and may be is in [`super::KEYS`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The OFDM grid.
    pub radio: Radio,
    /// The emulated air, as server and for its clients.
    pub air: Air,
    /// Devices of SoapySDR.
    pub soapy: Soapy,
    /// The control link.
    pub control: Control,
    /// The transmitter.
    pub transmitter: Transmitter,
    /// The receiver.
    pub receiver: Receiver,
    /// The system `ae`, which both ends must set alike.
    pub ae: Ae,
    /// The systems `sct-modular` and `sct-integrated`.
    pub sct: Sct,
    /// Logging.
    pub log: Log,
}

/// The OFDM grid; both ends must have the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Radio {
    /// Complex samples per second.
    pub sample_rate_hz: f64,
    /// Length of the DFT in samples.
    pub fft_size: usize,
    /// Length of the cyclic prefix in samples.
    pub cyclic_prefix: usize,
    /// Occupied resource blocks of 12 subcarriers.
    pub resource_blocks: usize,
}

impl Default for Radio {
    fn default() -> Self {
        Self { sample_rate_hz: 7_680_000.0, fft_size: 512, cyclic_prefix: 36, resource_blocks: 25 }
    }
}

/// How fast the air lets samples through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pacing {
    /// As fast as both ends can.
    Fast,
    /// At the sample rate.
    Paced,
}

/// The emulated air.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Air {
    /// Where transmitters send their samples to.
    pub transmit_addr: String,
    /// Where receivers ask for samples.
    pub receive_addr: String,
    /// Where samples without headers are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_input: Option<String>,
    /// Where samples go without headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_output: Option<String>,
    /// How samples without headers are written.
    pub raw_format: String,
    /// Where the air serves its page and its HTTP interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// Es/N0 per resource element.
    pub snr_db: f64,
    /// Channel model by name.
    pub channel: String,
    /// Doppler spread of fading taps.
    pub doppler_hz: f64,
    /// Carrier frequency offset.
    pub cfo_hz: f64,
    /// Offset of the receiver's sampling clock.
    pub clock_offset_ppm: f64,
    /// Bulk delay.
    pub delay_samples: u32,
    /// Where metrics are served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_addr: Option<String>,
    /// Speed.
    pub pacing: Pacing,
    /// Seed of taps and noise.
    pub seed: u64,
    /// Bits of the transmitter's converter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dac_bits: Option<u32>,
    /// Its full scale over the mean amplitude.
    pub dac_full_scale_db: f64,
    /// Power amplifier by name.
    pub amplifier: String,
    /// Its saturation over the mean power.
    pub backoff_db: f64,
    /// Line width of the transmitter's oscillator.
    pub phase_noise_hz: f64,
    /// Bandwidth of the loop that holds the oscillator; 0 for none.
    pub phase_noise_loop_hz: f64,
    /// Gain of one branch of the transmitter's mixer over the other's.
    pub iq_gain_db: f64,
    /// Phase error between the branches.
    pub iq_phase_deg: f64,
    /// Dropouts a second.
    pub dropouts_per_s: f64,
    /// Length of a dropout.
    pub dropout_ms: f64,
    /// Interferers, as text.
    pub interferers: String,
    /// Gain of the receiver's front end.
    pub gain_db: f64,
    /// Range of its gain control, either way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agc_range_db: Option<f64>,
    /// Time constant of the gain control.
    pub agc_time_us: f64,
    /// Power of a DC offset over the signal's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dc_offset_db: Option<f64>,
    /// Bits of the receiver's converter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adc_bits: Option<u32>,
    /// Its full scale over the mean amplitude.
    pub adc_full_scale_db: f64,
    /// Share of datagrams to receivers that are lost.
    pub loss: f64,
    /// Datagrams lost in a row, on average.
    pub loss_burst: f64,
}

impl Default for Air {
    fn default() -> Self {
        Self {
            transmit_addr: "127.0.0.1:4810".into(),
            receive_addr: "127.0.0.1:4811".into(),
            raw_input: None,
            raw_output: None,
            raw_format: "cf32".into(),
            http: None,
            snr_db: 15.0,
            channel: "multipath".into(),
            doppler_hz: 0.0,
            cfo_hz: 0.0,
            clock_offset_ppm: 0.0,
            delay_samples: 0,
            metrics_addr: None,
            pacing: Pacing::Fast,
            seed: 1,
            dac_bits: None,
            dac_full_scale_db: 12.0,
            amplifier: "none".into(),
            backoff_db: 10.0,
            phase_noise_hz: 0.0,
            phase_noise_loop_hz: 0.0,
            iq_gain_db: 0.0,
            iq_phase_deg: 0.0,
            dropouts_per_s: 0.0,
            dropout_ms: 1.0,
            interferers: "none".into(),
            gain_db: 0.0,
            agc_range_db: None,
            agc_time_us: 100.0,
            dc_offset_db: None,
            adc_bits: None,
            adc_full_scale_db: 12.0,
            loss: 0.0,
            loss_burst: 1.0,
        }
    }
}

/// Devices of SoapySDR; what is not set stays as the driver has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Soapy {
    /// Centre of the signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_hz: Option<f64>,
    /// Gain of transmitters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transmit_gain: Option<String>,
    /// Gain of receivers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive_gain: Option<String>,
    /// Antenna of transmitters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transmit_antenna: Option<String>,
    /// Antenna of receivers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive_antenna: Option<String>,
    /// Analog filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth_hz: Option<f64>,
    /// Oscillator beside the signal.
    pub offset_hz: f64,
    /// Correction of the reference clock.
    pub correction_ppm: f64,
    /// Sample format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Mean level of what is sent.
    pub level_dbfs: f64,
    /// Channel.
    pub channel: usize,
    /// Whether the mean is taken out.
    pub dc_filter: bool,
    /// Silence around bursts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pad_buffers: Option<usize>,
    /// Time of bursts.
    pub ahead_ms: u32,
}

impl Default for Soapy {
    fn default() -> Self {
        Self {
            frequency_hz: None,
            transmit_gain: None,
            receive_gain: None,
            transmit_antenna: None,
            receive_antenna: None,
            bandwidth_hz: None,
            offset_hz: 0.0,
            correction_ppm: 0.0,
            format: None,
            level_dbfs: -12.0,
            channel: 0,
            dc_filter: true,
            pad_buffers: None,
            ahead_ms: 0,
        }
    }
}

/// The control link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Where the transmitter listens for receivers and send clients.
    pub listen: String,
    /// Where receivers and send clients find the transmitter.
    pub connect: String,
    /// Where the receiver listens for watch clients, and where they find it.
    pub watch_listen: String,
    /// Private key file of this end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Keys that are trusted: fingerprints or certificate files.
    pub peers: Vec<String>,
    /// Whether receiver and transmitter use the control link at all.
    pub feedback: bool,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:4820".into(),
            connect: "127.0.0.1:4820".into(),
            watch_listen: "127.0.0.1:4821".into(),
            key: None,
            peers: Vec::new(),
            feedback: true,
        }
    }
}

/// Where network models run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelDevice {
    /// A real GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU, by wgpu.
    Wgpu,
}

impl ModelDevice {
    /// The name used by `--device`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
        }
    }
}

/// How resource blocks are given to the features of a message. All but the first two are for comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Allocation {
    /// Not at all: every feature lies over the whole band.
    None,
    /// The best blocks to the most important feature.
    #[default]
    Importance,
    /// In random order.
    Random,
    /// Equally many to each, in turn.
    Equal,
    /// The worst blocks to the most important feature.
    Inverse,
}

/// The transmitter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transmitter {
    /// What it sends through; without one, the air.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radio: Option<String>,
    /// The system to use unless a client asks for another.
    pub system: SystemId,
    /// How `vae` and `vscc` tell the variance of their values.
    pub variance: VarianceChoice,
    /// Net channel bandwidth ratio to fit messages to.
    pub cbr: f64,
    /// SNR to prepare messages for, instead of what the receiver reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub design_snr_db: Option<f64>,
    /// How robust frames are.
    pub frames: ModeChoice,
    /// How resource blocks are given to the features of a message.
    pub allocation: Allocation,
    /// Limit to which peaks of frames are lowered, in dB above the mean power.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_limit_db: Option<f64>,
    /// Where models run.
    pub device: ModelDevice,
    /// Where metrics are served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_addr: Option<String>,
    /// Most rounds of resending.
    pub max_resends: u8,
}

impl Default for Transmitter {
    fn default() -> Self {
        Self {
            radio: None,
            system: SystemId::Ae,
            variance: VarianceChoice::Fixed,
            cbr: 0.0625,
            design_snr_db: None,
            frames: ModeChoice::Auto,
            allocation: Allocation::Importance,
            peak_limit_db: None,
            device: ModelDevice::Auto,
            metrics_addr: None,
            max_resends: 3,
        }
    }
}

/// The receiver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    /// What it listens to; without one, the air.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radio: Option<String>,
    /// Where models run.
    pub device: ModelDevice,
    /// Where metrics are served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_addr: Option<String>,
    /// Folder for what arrives; nothing is written without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_dir: Option<String>,
}

impl Default for Receiver {
    fn default() -> Self {
        Self { radio: None, device: ModelDevice::Auto, metrics_addr: None, output_dir: None }
    }
}

/// Between which pictures and values the system `ae` works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transform {
    /// A network of its own.
    #[default]
    Convolutional,
    /// The latents of TAEF2, whose files the user names.
    Taef2,
}

/// The system `ae`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ae {
    /// What it works on.
    pub transform: Transform,
    /// Files of a transform that does not come with the program.
    pub transform_weights: Vec<String>,
}

/// Which network tells a sender what the places of its pictures show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Segmentation {
    /// The one that comes with the program.
    Small,
    /// ESPNet, whose file the user names.
    Espnet,
    /// ESPNetv2, whose file the user names.
    Espnetv2,
    /// None: regions are cut by how they look.
    #[default]
    None,
}

/// The systems `sct-modular` and `sct-integrated`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sct {
    /// Whether a receiver repairs what was lost.
    pub correction: bool,
    /// What tells a sender what it sees.
    pub segmentation: Segmentation,
    /// File of a network that does not come with the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segmentation_weights: Option<String>,
    /// File of a classifier, whose class Grad-CAM is about then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classifier: Option<String>,
    /// File of weights of the machine mode, for a receiver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_weights: Option<String>,
}

impl Default for Sct {
    fn default() -> Self {
        let segmentation = Segmentation::default();
        Self {
            correction: true,
            segmentation,
            segmentation_weights: None,
            classifier: None,
            machine_weights: None,
        }
    }
}

/// Logging.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// What is logged, as a filter of `tracing`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".into() }
    }
}
