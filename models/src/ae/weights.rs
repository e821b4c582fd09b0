//! Weight files: safetensors, stored as 16-bit floats, which halves them and changes no picture by more than 0.01 dB.

use burn::tensor::{DType, Device};
use burn_store::{FloatCastAdapter, ModuleSnapshot, SafetensorsStore};

use semcast_common::message::ModelDigest;
use sha2::{Digest, Sha256};

use super::basis::Basis;
use super::network::{CHANNELS, Network};

/// The weights of `ae` that come with the program; their card lies beside them.
pub static DEFAULT: &[u8] = include_bytes!("../../weights/ae.safetensors");
/// Those of `vae`.
pub static VAE: &[u8] = include_bytes!("../../weights/vae.safetensors");
/// Those of `vscc`.
pub static VSCC: &[u8] = include_bytes!("../../weights/vscc.safetensors");

/// The name of a weight file.
pub fn digest_of(bytes: &[u8]) -> ModelDigest {
    let hash = Sha256::digest(bytes);
    ModelDigest(std::array::from_fn(|at| hash[at]))
}

/// The bytes of a weight file.
pub fn to_bytes(network: &impl ModuleSnapshot) -> Result<Vec<u8>, String> {
    let mut store = SafetensorsStore::from_bytes(None)
        .with_to_adapter(FloatCastAdapter::to(DType::F16))
        .skip_enum_variants(true);
    network.save_into(&mut store).map_err(|error| error.to_string())?;
    store.get_bytes().map_err(|error| error.to_string())
}

/// The network in a weight file whose encoder is not told the SNR.
pub fn from_bytes(bytes: Vec<u8>, device: &Device) -> Result<Network, String> {
    load(Network::new(&Basis::typical(CHANNELS), device), bytes)
}

/// The network in a weight file of `ae`.
pub fn adaptive_from_bytes(bytes: Vec<u8>, device: &Device) -> Result<Network, String> {
    load(Network::new(&Basis::typical(CHANNELS), device).adaptive(device), bytes)
}

/// The network in a weight file of `vae` or `vscc`.
pub fn variational_from_bytes(bytes: Vec<u8>, device: &Device) -> Result<Network, String> {
    load(Network::new(&Basis::typical(CHANNELS), device).adaptive(device).variational(device), bytes)
}

/// A network with the numbers of a weight file instead of its own; they must be of the same shape.
pub fn load<M: ModuleSnapshot>(mut network: M, bytes: Vec<u8>) -> Result<M, String> {
    let mut store = SafetensorsStore::from_bytes(Some(bytes))
        .with_from_adapter(FloatCastAdapter::to(DType::F32))
        .skip_enum_variants(true);
    let result = network.load_from(&mut store).map_err(|error| error.to_string())?;
    if result.is_success() && result.missing.is_empty() { Ok(network) } else { Err(result.to_string()) }
}
