//! Weight files: safetensors, stored as 16-bit floats, which halves them and changes no picture by more than 0.01 dB.

use burn::tensor::{DType, Device};
use burn_store::{FloatCastAdapter, ModuleSnapshot, SafetensorsStore};

use semcast_common::message::ModelDigest;
use sha2::{Digest, Sha256};

use super::basis::Basis;
use super::network::{CHANNELS, Depth, Network};

/// The weights of `ae` that come with the program; their card lies beside them.
pub static DEFAULT: &[u8] = include_bytes!("../../weights/ae.safetensors");
/// Those of `ae-ms-ssim`.
pub static MS_SSIM: &[u8] = include_bytes!("../../weights/ae-ms-ssim.safetensors");
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
    load(fresh(&bytes, device), bytes)
}

/// The network in a weight file of `ae`.
pub fn adaptive_from_bytes(bytes: Vec<u8>, device: &Device) -> Result<Network, String> {
    load(fresh(&bytes, device).adaptive(device), bytes)
}

/// The network in a weight file of `vae` or `vscc`.
pub fn variational_from_bytes(bytes: Vec<u8>, device: &Device) -> Result<Network, String> {
    load(fresh(&bytes, device).adaptive(device).variational(device), bytes)
}

/// A network that is as deep as the one in a weight file.
fn fresh(bytes: &[u8], device: &Device) -> Network {
    let network = Network::new(&Basis::typical(CHANNELS), device);
    // What is no weight file is refused when its numbers are read.
    depth_of(bytes).map_or(network.clone(), |depth| network.deepened(depth, device))
}

/// The depth of the network in a weight file, by the names of its tensors.
fn depth_of(bytes: &[u8]) -> Option<Depth> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let header = rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(header).ok()?;
    let blocks = |place: &str| {
        let index = |name: &String| name.strip_prefix(place)?.split('.').next()?.parse::<usize>().ok();
        header.keys().filter_map(index).max().map_or(0, |last| last.saturating_add(1)).min(Depth::MOST)
    };
    Some(Depth {
        encoder: blocks("encoder.sixteenth."),
        decoder: blocks("decoder.sixteenth."),
        decoder_eighth: blocks("decoder.eighth."),
    })
}

/// A network with the numbers of a weight file instead of its own; they must be of the same shape.
pub fn load<M: ModuleSnapshot>(mut network: M, bytes: Vec<u8>) -> Result<M, String> {
    let mut store = SafetensorsStore::from_bytes(Some(bytes))
        .with_from_adapter(FloatCastAdapter::to(DType::F32))
        .skip_enum_variants(true);
    let result = network.load_from(&mut store).map_err(|error| error.to_string())?;
    if result.is_success() && result.missing.is_empty() { Ok(network) } else { Err(result.to_string()) }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use super::*;

    #[test]
    fn a_deeper_network_is_read_as_deep_as_it_was_written_and_begins_by_changing_nothing() {
        let device = Device::flex();
        let shallow = adaptive_from_bytes(DEFAULT.to_vec(), &device).unwrap();
        let before = depth_of(DEFAULT).unwrap();
        let depth = Depth { encoder: before.encoder + 1, decoder: before.decoder + 2, ..before };
        let bytes = to_bytes(&shallow.clone().deepened(depth, &device)).unwrap();
        assert_eq!(depth_of(&bytes), Some(depth));
        let deep = adaptive_from_bytes(bytes, &device).unwrap();
        assert_eq!(deep.encoder.reach(), shallow.encoder.reach() + 32);
        assert_eq!(deep.decoder.reach(), shallow.decoder.reach() + 64);
        let picture = Tensor::<4>::from_data([[[[0.25; 32]; 32]; 3]], &device);
        let code = |network: &Network| network.encoder.forward(picture.clone());
        let arrived = |network: &Network| network.decoder.forward(code(network), code(network) * 0.0 + 0.1);
        assert_eq!(code(&deep).into_data(), code(&shallow).into_data());
        assert_eq!(arrived(&deep).into_data(), arrived(&shallow).into_data());
    }

    #[test]
    fn a_settled_encoder_does_for_all_snrs_about_what_it_did_for_one() {
        let device = Device::flex();
        let told = adaptive_from_bytes(DEFAULT.to_vec(), &device).unwrap();
        let settled = told.clone().settled(10.0);
        assert!(settled.adaptation.is_none());
        let values = (0..3 * 32 * 48).map(|at| (at * 37 % 101) as f32 / 200.0 - 0.25).collect::<Vec<f32>>();
        let picture = Tensor::<4>::from_data(burn::tensor::TensorData::new(values, [1, 3, 32, 48]), &device);
        let at = |snr_db: f32| {
            let adaptation = told.adaptation.as_ref().unwrap();
            let modulation = adaptation.modulation(super::super::adaptation::knots_of([snr_db], &device));
            told.encoder.forward_with_features(picture.clone(), Some(&modulation)).0
        };
        let code = settled.encoder.forward(picture.clone());
        let far = |other: Tensor<4>| -> f32 { (code.clone() - other).square().mean().into_scalar() };
        let without = told.encoder.forward(picture.clone());
        let (near, others) = (far(at(10.0)), [far(without), far(at(-5.0))]);
        assert!(others.iter().all(|other| 5.0 * near < *other), "{near} and {others:?}");
    }

    #[test]
    fn what_is_no_weight_file_has_no_depth() {
        for bytes in [&b"short"[..], &[255; 64], &[2, 0, 0, 0, 0, 0, 0, 0, b'{', b'[']] {
            assert_eq!(depth_of(bytes), None);
            assert!(from_bytes(bytes.to_vec(), &Device::flex()).is_err());
        }
    }
}
