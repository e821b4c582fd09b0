//! Weight files: safetensors, stored as 16-bit floats, which halves them and changes no picture by more than 0.01 dB.

use burn::tensor::{DType, Device};
use burn_store::{FloatCastAdapter, ModuleSnapshot, SafetensorsStore};

use semcast_common::message::ModelDigest;
use sha2::{Digest, Sha256};

use super::basis::Basis;
use super::network::{CHANNELS, Network};

/// The weights that come with the program; their card lies beside them.
pub static DEFAULT: &[u8] = include_bytes!("../../weights/ae.safetensors");

/// The name of the default weights: the first bytes of their SHA-256.
pub fn digest() -> ModelDigest {
    digest_of(DEFAULT)
}

/// The name of a weight file.
pub fn digest_of(bytes: &[u8]) -> ModelDigest {
    let hash = Sha256::digest(bytes);
    ModelDigest(std::array::from_fn(|at| hash[at]))
}

/// The bytes of a weight file.
pub fn to_bytes(network: &Network) -> Result<Vec<u8>, String> {
    let mut store = SafetensorsStore::from_bytes(None)
        .with_to_adapter(FloatCastAdapter::to(DType::F16))
        .skip_enum_variants(true);
    network.save_into(&mut store).map_err(|error| error.to_string())?;
    store.get_bytes().map_err(|error| error.to_string())
}

/// The network in a weight file.
pub fn from_bytes(bytes: Vec<u8>, device: &Device) -> Result<Network, String> {
    let mut network = Network::new(&Basis::typical(CHANNELS), device);
    let mut store = SafetensorsStore::from_bytes(Some(bytes))
        .with_from_adapter(FloatCastAdapter::to(DType::F32))
        .skip_enum_variants(true);
    let result = network.load_from(&mut store).map_err(|error| error.to_string())?;
    if result.is_success() && result.missing.is_empty() { Ok(network) } else { Err(result.to_string()) }
}
