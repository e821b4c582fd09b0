//! Weight files of the projection: safetensors, stored as 16-bit floats.

use burn::tensor::{DType, Device};
use burn_store::{FloatCastAdapter, ModuleSnapshot, SafetensorsStore};

use super::projection::Projection;
use super::start::Start;

/// The weights that come with the program; their card lies beside them.
pub static DEFAULT: &[u8] = include_bytes!("../../weights/taef2.safetensors");

/// The bytes of a weight file.
pub fn to_bytes(projection: &Projection) -> Result<Vec<u8>, String> {
    let mut store = SafetensorsStore::from_bytes(None)
        .with_to_adapter(FloatCastAdapter::to(DType::F16))
        .skip_enum_variants(true);
    projection.save_into(&mut store).map_err(|error| error.to_string())?;
    store.get_bytes().map_err(|error| error.to_string())
}

/// The projection in a weight file.
pub fn from_bytes(bytes: Vec<u8>, device: &Device) -> Result<Projection, String> {
    let weights = crate::foreign::ForeignWeights::parse(bytes).map_err(|error| error.to_string())?;
    let empty = Projection::new(&Start::plain(), device);
    weights.load_into(&crate::foreign::KeyMap::new(), empty).map_err(|error| error.to_string())
}
