//! The numbers of both systems: the network's, and of `sct-modular` the tables as well.

use semcast_common::message::ModelDigest;

use super::{Kind, tables};
use crate::ae::weights;

/// The network's weights that come with the program.
pub static DEFAULT: &[u8] = include_bytes!("../../weights/sct.safetensors");
/// Those of the receiver's correction, which senders need not know.
pub static CORRECTION: &[u8] = include_bytes!("../../weights/sct-correction.safetensors");

/// Those of the receiver's machine mode, likewise.
pub static MACHINE: &[u8] = include_bytes!("../../weights/sct-machine.safetensors");

/// What both ends must share: of `sct-modular` the tables too, without which no byte can be read.
pub fn digest(kind: Kind, network: &[u8]) -> ModelDigest {
    match kind {
        Kind::Integrated => weights::digest_of(network),
        Kind::Modular => weights::digest_of(&[network, tables::DEFAULT].concat()),
    }
}
