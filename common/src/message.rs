//! The semantic message: what a system's encoder makes of content, and what its decoder is given.
//!
//! A message is a list of semantic feature vectors (SFVs), each with an importance and a payload that is
//! either bytes (coded and modulated by `phy`) or complex symbols that go on subcarriers as they are, and
//! side information that every part of the message needs (sizes, rates; a few bytes, sent most robustly).

use bytes::Bytes;
use num_complex::Complex32;
use serde::{Deserialize, Serialize};

/// An end-to-end method, chosen with `--system`. The number is what crosses the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum SystemId {
    /// An image codec or plain text over LDPC and QAM.
    Classical = 0,
    /// Autoencoder joint source-channel coding: analog symbols.
    Ae = 1,
    /// The same with values drawn from a distribution, trained as a variational autoencoder.
    Vae = 2,
    /// The same, trained by variational source-channel coding.
    Vscc = 3,
}

impl SystemId {
    /// All systems, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Classical, Self::Ae, Self::Vae, Self::Vscc];

    /// The number on the air.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// From the number on the air.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|id| id.number() == number)
    }

    /// The name used by `--system`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classical => "classical",
            Self::Ae => "ae",
            Self::Vae => "vae",
            Self::Vscc => "vscc",
        }
    }
}

impl std::fmt::Display for SystemId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for SystemId {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|id| id.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|id| id.name()).collect();
            format!("unknown system {name:?}: one of {}", names.join(", "))
        })
    }
}

/// How a sender of `vae` or `vscc` tells the variance of its values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VarianceChoice {
    /// Not at all: the receiver uses the mean variance over the training pictures, which it knows.
    #[default]
    Fixed,
    /// In as many symbols again as the values take.
    Transmitted,
}

/// First eight bytes of the SHA-256 of a weight file: both ends must hold the same model.
/// Zero for a system without a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelDigest(pub [u8; 8]);

impl std::fmt::Display for ModelDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What an encoder hands to the link.
#[derive(Clone, Debug, PartialEq)]
pub struct SemanticMessage {
    /// The system whose decoder understands this message.
    pub system: SystemId,
    /// The model that both ends must share.
    pub model: ModelDigest,
    /// Side information for the decoder: at most [`MAX_SIDE_BYTES`].
    pub side: Bytes,
    /// The semantic feature vectors, at most [`MAX_FEATURES`].
    pub features: Vec<Feature>,
}

/// Most bytes of side information: it travels in every frame.
pub const MAX_SIDE_BYTES: usize = 64;
/// Most feature vectors in a message: their shapes travel in every frame.
pub const MAX_FEATURES: usize = 64;

/// One semantic feature vector on its way out.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// How much it matters, ≥ 0.
    pub importance: f32,
    /// What is sent of it.
    pub payload: Payload,
}

/// How a feature vector is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// Bytes, protected by a channel code.
    Digital(Bytes),
    /// Complex symbols of unit mean power over the feature, sent as they are.
    Analog(Vec<Complex32>),
}

/// What arrived of a message. Decoding may be called again as more arrives.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedMessage {
    /// The system whose decoder understands this message.
    pub system: SystemId,
    /// The model that the sender used.
    pub model: ModelDigest,
    /// Side information, intact (a message whose side information was lost is never delivered).
    pub side: Bytes,
    /// The feature vectors, in the sender's order.
    pub features: Vec<ReceivedFeature>,
}

/// One semantic feature vector as received.
#[derive(Clone, Debug, PartialEq)]
pub enum ReceivedFeature {
    /// Bytes; lost stretches are named, and their bytes are zero.
    Digital {
        /// All bytes of the feature.
        bytes: Bytes,
        /// Byte ranges that did not arrive, in order, not overlapping. Empty when intact.
        missing: Vec<std::ops::Range<usize>>,
    },
    /// Equalised symbols, each with the noise variance that the receiver estimated for it (complex,
    /// per symbol, after equalisation); infinite where a symbol did not arrive (its value is then zero).
    Analog {
        /// Equalised symbols.
        symbols: Vec<Complex32>,
        /// Noise variance of each symbol.
        noise_variance: Vec<f32>,
    },
}
