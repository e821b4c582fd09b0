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
    /// Semantics-guided source and channel coding: regions by importance, as bytes.
    SctModular = 4,
    /// The same with regions as analog symbols.
    SctIntegrated = 5,
    /// [`Ae`](Self::Ae) with weights and rates for MS-SSIM instead of PSNR.
    AeMsSsim = 6,
}

impl SystemId {
    /// All systems, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Classical,
        Self::Ae,
        Self::Vae,
        Self::Vscc,
        Self::SctModular,
        Self::SctIntegrated,
        Self::AeMsSsim,
    ];

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
            Self::SctModular => "sct-modular",
            Self::SctIntegrated => "sct-integrated",
            Self::AeMsSsim => "ae-ms-ssim",
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

/// Levels of protection that coded features can have.
pub const PROTECTION_LEVELS: usize = 5;
/// The level of bytes that symbols sent as they are depend on: those are of use far below the SNR that they were made for, so the
/// bytes must be.
pub const BASE_LEVEL: usize = PROTECTION_LEVELS - 1;
/// How far below the link's own step, in dB of its threshold, the steps of the other levels lie.
pub const PROTECTION_DB: [f32; BASE_LEVEL] = [3.0, 1.0, 0.5, 0.0];

/// The protection of a feature: of several, the most important is the best protected (nothing else means anything without it),
/// and the others are, by thirds of falling importance, of the levels 1 to 3. A single feature takes the link's own step. `rank`:
/// place of the feature by falling importance, from 0.
pub fn protection_level(rank: usize, features: usize) -> usize {
    let last = BASE_LEVEL - 1;
    match (rank, features.saturating_sub(1)) {
        (_, 0) => last,
        (0, _) => 0,
        (rank, others) => last - last * others.saturating_sub(rank) / others,
    }
}

/// The levels of protection of features; of equally important ones the earlier is the more important. The most important is of
/// [`BASE_LEVEL`] if it is bytes and others are symbols.
pub fn protection_levels(features: &[Feature]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..features.len()).collect();
    order.sort_by(|&a, &b| features[b].importance.total_cmp(&features[a].importance));
    let mut levels = vec![0; features.len()];
    for (rank, &feature) in order.iter().enumerate() {
        levels[feature] = protection_level(rank, features.len());
    }
    let digital = |feature: &Feature| matches!(feature.payload, Payload::Digital(_));
    if let Some(&first) = order.first()
        && digital(&features[first])
        && !features.iter().all(digital)
    {
        levels[first] = BASE_LEVEL;
    }
    levels
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protection_falls_with_importance() {
        let levels = |features: usize| -> Vec<usize> {
            (0..features).map(|rank| protection_level(rank, features)).collect()
        };
        assert_eq!(levels(1), [3]);
        assert_eq!(levels(2), [0, 3]);
        assert_eq!(levels(4), [0, 1, 2, 3]);
        assert_eq!(levels(13), [0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
        let feature = |(importance, digital)| {
            let payload = if digital { Payload::Digital(Bytes::new()) } else { Payload::Analog(Vec::new()) };
            Feature { importance, payload }
        };
        let mixed = |digital: [bool; 4]| {
            let features: Vec<Feature> = [1.0, 5.0, 1.0, 9.0].into_iter().zip(digital).map(feature).collect();
            protection_levels(&features)
        };
        assert_eq!(mixed([true; 4]), [2, 1, 3, 0]);
        assert_eq!(mixed([false; 4]), [2, 1, 3, 0]);
        assert_eq!(mixed([false, false, true, true]), [2, 1, 3, BASE_LEVEL]);
        assert_eq!(mixed([true, true, true, false]), [2, 1, 3, 0]);
        for features in 1..=MAX_FEATURES {
            assert!(levels(features).is_sorted());
        }
    }
}
