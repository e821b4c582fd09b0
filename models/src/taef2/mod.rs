//! TAEF2, the tiny autoencoder distilled from that of FLUX.2, as the transform of the `ae` system (`--transform taef2`).
//!
//! In → out: picture → latents, 32 values for 8 × 8 pixels → symbols of unit mean power → received symbols with their
//! noise variances → latents → picture.
//!
//! - [`network`]: TAEF2 itself; its weights are a third party's (MIT licence), and the user names their files.
//! - [`projection`]: latents ↔ values, trained here, from a [`start`] that is computed. [`weights`]: its numbers.
//! - [`transform`]: both together, as `ae` takes them.
//!
//! O. Boer Bohan: TAESD and its kin, <https://github.com/madebyollin/taesd>, 2023–2025.

pub mod network;
pub mod projection;
pub mod start;
pub mod transform;
pub mod weights;

use burn::tensor::Device;
use semcast_common::message::ModelDigest;
use sha2::{Digest, Sha256};

use crate::foreign::{ForeignError, ForeignWeights};
use network::{Decoder, Encoder, HIDDEN, LATENTS};

/// Both halves of TAEF2.
#[derive(Clone, Debug)]
pub struct Taef2 {
    /// From picture to latents.
    pub encoder: Encoder,
    /// From latents to picture.
    pub decoder: Decoder,
    /// The name of both files together.
    pub digest: ModelDigest,
}

impl Taef2 {
    /// From the bytes of `taef2_encoder.pth` and `taef2_decoder.pth`, or of the same as safetensors, in either order.
    pub fn new(files: [Vec<u8>; 2], device: &Device) -> Result<Self, ForeignError> {
        let [first, second] = files;
        let (first, second) = (ForeignWeights::parse(first)?, ForeignWeights::parse(second)?);
        // The decoder begins with what has no weights, so that its first layer is number 1.
        let is_encoder = |file: &ForeignWeights| file.shapes().any(|(name, _)| name == "0.weight");
        let (encoder, decoder) =
            if is_encoder(&second) && !is_encoder(&first) { (second, first) } else { (first, second) };
        let mut names = Sha256::new();
        names.update(encoder.digest().0);
        names.update(decoder.digest().0);
        let hash = names.finalize();
        Ok(Self {
            encoder: encoder.load_into(&Encoder::key_map()?, Encoder::new(HIDDEN, LATENTS, device))?,
            decoder: decoder.load_into(&Decoder::key_map()?, Decoder::new(HIDDEN, LATENTS, device))?,
            digest: ModelDigest(std::array::from_fn(|at| hash[at])),
        })
    }
}

#[cfg(test)]
mod tests;
