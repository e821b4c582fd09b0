//! A trial: one picture, once, by one system over one channel, and what came of it.

use semcast_common::{config::Allocation, message::SystemId, wire::Overhead};
use semcast_models::metrics::{ClassQuality, PictureQuality, similarity_db};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Code, Feedback};

/// Form of these structures and meaning of their figures: goes up when results before and after cannot be compared.
const FORM: u32 = 1;

/// Everything that a trial's result depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Of the program and of this form.
    pub version: String,
    pub system: SystemId,
    /// Digest of its weights.
    pub model: String,
    /// File name.
    pub picture: String,
    pub picture_digest: String,
    /// Payload symbols allowed, per RGB value.
    pub cbr: f64,
    /// What the channel delivers.
    pub snr_db: f64,
    /// What the transmitter is told, if that is something else.
    pub told_snr_db: Option<f64>,
    pub channel: String,
    pub doppler_hz: f64,
    pub cfo_hz: f64,
    pub clock_offset_ppm: f64,
    pub seed: u64,
    pub ideal: bool,
    pub feedback: Feedback,
    pub max_resends: u8,
    /// Airtime for all rounds, in ms; left out where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_ms: Option<u32>,
    /// Grid and impairments, in words; left out where they are the usual ones.
    #[serde(default, skip_serializing_if = "is_default")]
    pub radio: String,
    /// Left out where it is the usual one, so that results from before it could be chosen keep their names.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allocation: Allocation,
    /// What is to be kept of the picture, in words; left out likewise.
    #[serde(default, skip_serializing_if = "is_default")]
    pub intent: String,
    /// Digest of the weights of LPIPS, if it is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lpips_weights: Option<String>,
    /// How bytes are protected.
    #[serde(default, skip_serializing_if = "is_default")]
    pub code: Code,
    /// Digest of the labels by which quality is measured, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels_digest: Option<String>,
    /// By what the task is judged, and who does it, if it is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Trial {
    /// The version of this build.
    pub fn version() -> String {
        format!("{}/{FORM}", env!("CARGO_PKG_VERSION"))
    }

    /// A name for all of it.
    pub fn id(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Seed of the channel: the same for all systems, rates and SNRs.
    pub fn channel_seed(&self) -> u64 {
        let digest = Sha256::digest(format!("{} {}", self.picture_digest, self.seed));
        digest.iter().take(8).fold(0, |seed, &byte| seed << 8 | u64::from(byte))
    }

    /// What the transmitter prepares for where nobody reports.
    pub fn planned_snr_db(&self) -> f64 {
        self.told_snr_db.unwrap_or(self.snr_db)
    }
}

/// What crossed the air.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Resource elements that carry the message.
    pub payload_symbols: u64,
    /// All that the frames could have carried, preambles, pilots and headers included; `None` on an idealised channel.
    pub total_symbols: Option<u64>,
    /// What of it is no payload, by cause.
    pub overhead: Option<Overhead>,
    /// Frames, sounding included.
    pub frames: u32,
    /// Of these, frames that brought again what was lost.
    pub resent: u32,
    /// Step of the MCS ladder for bytes; empty if there are none.
    pub mcs: String,
    /// Mean SNR that the receiver estimated over the message's frames.
    pub snr_db_estimated: Option<f64>,
    /// Share of the message's bytes and symbols that did not arrive.
    pub missing: f64,
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Why there was no picture at the receiver: then a grey one was compared.
    pub lost: Option<String>,
    #[serde(flatten)]
    pub metrics: Metrics,
    /// Quality by class, where there are labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassQuality>,
    #[serde(flatten)]
    pub cost: Cost,
    /// Payload symbols over RGB values.
    pub cbr_net: f64,
    /// All symbols over RGB values.
    pub cbr_gross: Option<f64>,
    /// Of the picture that was sent; trials that send the same bytes share one.
    pub encode_ms: f64,
    /// `None` if nothing was decoded.
    pub decode_ms: Option<f64>,
}

/// How near the received picture is. Equal pictures have no finite PSNR: they count as [`MOST_DB`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    pub psnr_db: f64,
    pub ssim: f64,
    pub ms_ssim: f64,
    pub ms_ssim_db: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lpips: Option<f64>,
    /// Share of blocks whose class is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_accuracy: Option<f64>,
}

/// Most that any figure in dB counts for.
pub const MOST_DB: f64 = 100.0;

impl From<&PictureQuality> for Metrics {
    fn from(quality: &PictureQuality) -> Self {
        Self {
            psnr_db: quality.psnr_db.min(MOST_DB),
            ssim: quality.ssim,
            ms_ssim: quality.ms_ssim,
            ms_ssim_db: similarity_db(quality.ms_ssim).min(MOST_DB),
            lpips: quality.lpips,
            task_accuracy: None,
        }
    }
}

/// A trial with its outcome: a line of the results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub id: String,
    #[serde(flatten)]
    pub trial: Trial,
    #[serde(flatten)]
    pub outcome: Outcome,
}
