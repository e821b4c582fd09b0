//! The systems of semcast: content → semantic message, and what arrived of it → content.
//!
//! In the order of the chain:
//!
//! - [`System`]: the two halves that every system has, and [`system`], which makes one.
//! - [`classical`]: AVIF's codec, lossless WebP, or the text itself, over a digital link.
//! - [`ae`]: a convolutional autoencoder whose values go on the air as they are; `vae` and `vscc` are its variational kin.
//! - [`vscc`]: the losses of all three, and the network of the paper that they come from.
//! - [`sct`]: regions of a picture and what they matter; sent as bytes or as symbols.
//! - [`repetition`]: what is done with more symbols than there are values.
//! - [`convolution`]: what networks compute most, on the CPU.
//! - [`taef2`]: another transform for it, a small autoencoder of a third party.
//! - [`foreign`]: weights that other programs have written.
//! - [`metrics`]: how good the picture is that arrived.
//! - [`device`]: which processor computes.
//! - [`training`]: how the weights came about; it alone does input and output.
//!
//! Pictures inside networks are `[batch, channel, height, width]`. Nothing here knows how symbols cross the air.

pub mod ae;
pub mod classical;
pub mod coder;
pub mod convolution;
pub mod device;
pub mod foreign;
pub mod metrics;
pub mod repetition;
pub mod sct;
pub mod taef2;
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "training reads pictures, writes checkpoints and tells the time"
)]
pub mod training;
pub mod vscc;

use semcast_common::content::Content;
use semcast_common::intent::Intent;
use semcast_common::message::{
    ModelDigest, PROTECTION_LEVELS, ReceivedMessage, SemanticMessage, SystemId, VarianceChoice,
};

pub use device::{DeviceChoice, OpenDevice, open_device};

/// Bytes that every coded segment has beside its own: a CRC of 24 bits.
pub const CHECK_BYTES: usize = 3;
/// Symbols that a byte takes where a budget does not say what bytes cost.
const SYMBOLS_PER_BYTE: f64 = 8.0;

/// Noise variance of a symbol at least, against division by nothing; 80 dB.
const LEAST_VARIANCE: f32 = 1.0e-8;

/// What a message may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Complex symbols for analog payloads.
    pub symbols: usize,
    /// Bytes for digital payloads: what the same symbols carry at the modulation and code rate of the link.
    pub bytes: usize,
    /// What a byte costs on each level of protection, over what it costs on the link's own step, times 256.
    pub costs_256: [u16; PROTECTION_LEVELS],
    /// SNR that the symbols are expected to meet, dB, as far as it is known.
    pub snr_db: Option<f32>,
}

impl Budget {
    /// A budget under which bytes cost the same on every level.
    pub fn new(symbols: usize, bytes: usize) -> Self {
        Self { symbols, bytes, costs_256: [256; PROTECTION_LEVELS], snr_db: None }
    }

    /// Complex symbols that the bytes of a feature take on a level of protection, with the check sum of their segment.
    pub fn symbols_for(&self, bytes: usize, level: usize) -> usize {
        let per_byte =
            if self.bytes > 0 { self.symbols as f64 / self.bytes as f64 } else { SYMBOLS_PER_BYTE };
        let dearer = self.costs_256.get(level).map_or(1.0, |&cost| f64::from(cost) / 256.0);
        ((bytes + CHECK_BYTES) as f64 * per_byte * dearer).ceil() as usize
    }
}

/// What a decoder makes of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The content.
    pub content: Content,
    /// How far the decoder trusts it, 0 to 1: 1 when nothing was lost or uncertain.
    pub confidence: f32,
}

/// Why a system could not encode or decode.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The system does not take this kind of content.
    #[error("the system {system} sends pictures only: send text with --system {instead}")]
    Unsupported {
        /// The system that was asked.
        system: SystemId,
        /// A system that takes it.
        instead: SystemId,
    },
    /// What a picture shows is made by receivers.
    #[error("labels arrive, they are not sent: send the picture with --for machine")]
    NoSource,
    /// The budget is too small for anything.
    #[error("a budget of {given} {unit} is too small: this content needs at least {needed} {unit}")]
    Budget {
        /// What was allowed.
        given: usize,
        /// What is needed.
        needed: usize,
        /// Of what: bytes or complex symbols.
        unit: &'static str,
    },
    /// What the sender chose does not exist.
    #[error("{0}")]
    Choice(String),
    /// The message was made by a model other than ours.
    #[error(
        "the sender's model of the system {system} is {theirs}, ours is {ours}: both ends need the same weights"
    )]
    ModelMismatch {
        /// The system.
        system: SystemId,
        /// The model that the message names.
        theirs: ModelDigest,
        /// The model that is loaded here.
        ours: ModelDigest,
    },
    /// The message belongs to another system.
    #[error("a message of the system {theirs} was given to the decoder of {ours}")]
    SystemMismatch {
        /// The system that the message names.
        theirs: SystemId,
        /// The system that was asked.
        ours: SystemId,
    },
    /// The side information makes no sense.
    #[error("side information of the message is damaged: {0}")]
    Side(String),
    /// The features make no sense, or too much of them is missing.
    #[error("the message cannot be decoded: {0}")]
    Damaged(String),
    /// The chosen device cannot be had.
    #[error("no such device: {0}")]
    Device(String),
    /// Weights that the user named cannot be used.
    #[error("{0}")]
    Weights(String),
    /// The codec or the network failed.
    #[error("{0}")]
    Internal(String),
}

/// A system: an encoder and a decoder that share a model.
pub trait System: Send {
    /// Which system this is.
    fn id(&self) -> SystemId;

    /// The model that both ends must share; zero for none.
    fn model(&self) -> ModelDigest;

    /// Whether this kind of content can be sent with it.
    fn accepts(&self, content: &Content) -> bool {
        matches!(content, Content::Picture(_)) || self.id() == SystemId::Classical
    }

    /// Whether the channel must be known before a message is made and sent: for the code rate of what is coded, or for
    /// the resource blocks of several features. A system of one analog feature over its base does better if it is told, but need not be.
    fn adapts_to_channel(&self) -> bool {
        true
    }

    /// Computes something small with both halves, so that the first message takes no longer than the next.
    fn warm_up(&mut self) -> Result<(), ModelError>;

    /// Content → a message that costs at most `budget`. Systems that know no regions ignore `intent`.
    fn encode(
        &mut self,
        content: &Content,
        budget: Budget,
        intent: &Intent,
    ) -> Result<SemanticMessage, ModelError>;

    /// What arrived of a message → content. May be called again as more arrives.
    fn decode(&mut self, received: &ReceivedMessage) -> Result<Decoded, ModelError>;
}

/// What may be chosen of the systems.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemOptions {
    /// Contents of both files of TAEF2, over which `ae` is to work instead of its own network. Alike at both ends.
    pub taef2: Option<std::sync::Arc<[Vec<u8>; 2]>>,
    /// How `vae` and `vscc` tell the variance of their values. A receiver learns it from each message.
    pub variance: VarianceChoice,
    /// What tells a sender of `sct-modular` and `sct-integrated` what a place of a picture shows.
    pub segmentation: sct::segmentation::Choice,
    /// Whether a receiver of `sct-modular` and `sct-integrated` repairs what was lost.
    pub correction: sct::correction::Switch,
    /// The weight file of the machine mode of both, if it is not to be the one that comes with the program.
    pub machine: Option<std::sync::Arc<[u8]>>,
}

/// Makes a system. Classical codecs always run on the CPU.
pub fn system(
    id: SystemId,
    device: &OpenDevice,
    options: &SystemOptions,
) -> Result<Box<dyn System>, ModelError> {
    use ae::{Autoencoder, weights};
    let variational =
        |weights: &[u8]| Autoencoder::variational(id, weights.to_vec(), options.variance, device);
    Ok(match id {
        SystemId::Classical => Box::new(classical::Classical),
        SystemId::Ae => match &options.taef2 {
            Some(files) => Box::new(Autoencoder::taef2(files.as_ref().clone(), device)?),
            None => Box::new(Autoencoder::new(device)?),
        },
        SystemId::AeMsSsim => Box::new(Autoencoder::for_ms_ssim(weights::MS_SSIM.to_vec(), device)?),
        SystemId::Vae => Box::new(variational(weights::VAE)?),
        SystemId::Vscc => Box::new(variational(weights::VSCC)?),
        SystemId::SctModular => Box::new(sct::Sct::new(sct::Kind::Modular, options, device)?),
        SystemId::SctIntegrated => Box::new(sct::Sct::new(sct::Kind::Integrated, options, device)?),
    })
}

/// The model that a system uses with the weights that come with the program, without loading it.
pub fn model_digest(id: SystemId) -> ModelDigest {
    match id {
        SystemId::Classical => ModelDigest::default(),
        SystemId::Ae => ae::weights::digest_of(ae::weights::DEFAULT),
        SystemId::AeMsSsim => ae::weights::digest_of(ae::weights::MS_SSIM),
        SystemId::Vae => ae::weights::digest_of(ae::weights::VAE),
        SystemId::Vscc => ae::weights::digest_of(ae::weights::VSCC),
        SystemId::SctModular => sct::weights::digest(sct::Kind::Modular, sct::weights::DEFAULT),
        SystemId::SctIntegrated => sct::weights::digest(sct::Kind::Integrated, sct::weights::DEFAULT),
    }
}

/// A model that comes with the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltInModel {
    /// The system that uses it.
    pub system: SystemId,
    /// What both ends must share.
    pub digest: ModelDigest,
    /// Length of the weight file.
    pub bytes: usize,
    /// Where the weight file lies in the project, beside the card that tells how it came about.
    pub file: &'static str,
}

/// All models that come with the program.
pub fn built_in_models() -> Vec<BuiltInModel> {
    use ae::weights;
    let models = [
        (SystemId::Ae, weights::DEFAULT, "models/weights/ae.safetensors"),
        (SystemId::AeMsSsim, weights::MS_SSIM, "models/weights/ae-ms-ssim.safetensors"),
        (SystemId::Vae, weights::VAE, "models/weights/vae.safetensors"),
        (SystemId::Vscc, weights::VSCC, "models/weights/vscc.safetensors"),
        (SystemId::SctIntegrated, sct::weights::DEFAULT, "models/weights/sct.safetensors"),
    ];
    let model = |(system, bytes, file): (_, &[u8], _)| BuiltInModel {
        system,
        digest: weights::digest_of(bytes),
        bytes: bytes.len(),
        file,
    };
    models.map(model).into()
}

/// Refuses a message that was made by another system or another model.
fn check_origin(received: &ReceivedMessage, ours: &dyn System) -> Result<(), ModelError> {
    if received.system != ours.id() {
        return Err(ModelError::SystemMismatch { theirs: received.system, ours: ours.id() });
    }
    if received.model != ours.model() {
        return Err(ModelError::ModelMismatch {
            system: ours.id(),
            theirs: received.model,
            ours: ours.model(),
        });
    }
    Ok(())
}
