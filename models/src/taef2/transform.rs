//! TAEF2 and its projection as a transform of the `ae` system.

use burn::tensor::{Device, Tensor, TensorData};
use semcast_common::message::ModelDigest;
use sha2::{Digest, Sha256};

use super::Taef2;
use super::network::{HIDDEN, LATENTS, UNIT};
use super::projection::{CHANNELS, Projection, RATES};
use super::weights;
use crate::ae::Autoencoder;
use crate::ae::basis::BLOCK;
use crate::ae::planes::Planes;
use crate::ae::rates::Rates;
use crate::ae::tiles::{Tile, tiles};
use crate::ae::transform::{Code, Encoded, Transform, values};
use crate::ae::weights::digest_of;
use crate::{ModelError, OpenDevice};

/// Blocks of 16 pixels that one pass at full size keeps along each axis; more are computed around them.
const CORE_BLOCKS: usize = 24;
/// Blocks around a place that can change what the layers of one side of TAEF2 make of it: 65 pixels.
const REACH: usize = 5;
/// Latents a block, along each axis.
const LATENTS_A_BLOCK: usize = BLOCK / UNIT;

/// Latents of TAEF2, projected.
pub struct ProjectedTaef2 {
    taef2: Taef2,
    projection: Projection,
    variance: Vec<f32>,
    device: Device,
    pub(super) core_blocks: usize,
}

impl ProjectedTaef2 {
    fn new(taef2: Taef2, weights: Vec<u8>, device: &OpenDevice) -> Result<Self, ModelError> {
        let projection = weights::from_bytes(weights, &device.device)
            .map_err(|error| ModelError::Internal(format!("the weights do not load: {error}")))?;
        let variance = projection.variance().map_err(|error| {
            ModelError::Internal(format!("the weights cannot be read from the device: {error}"))
        })?;
        Ok(Self { taef2, projection, variance, device: device.device.clone(), core_blocks: CORE_BLOCKS })
    }

    fn tensor(&self, values: Vec<f32>, shape: [usize; 4]) -> Tensor<4> {
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }
}

/// The name of TAEF2 and a projection together.
fn digest(taef2: &Taef2, weights: &[u8]) -> ModelDigest {
    let mut names = Sha256::new();
    names.update(taef2.digest.0);
    names.update(digest_of(weights).0);
    let hash = names.finalize();
    ModelDigest(std::array::from_fn(|at| hash[at]))
}

impl Autoencoder<ProjectedTaef2> {
    /// The `ae` system over TAEF2, whose files the user names, with the projection that comes with the program.
    pub fn taef2(files: [Vec<u8>; 2], device: &OpenDevice) -> Result<Self, ModelError> {
        let taef2 = Taef2::new(files, &device.device)
            .map_err(|error| ModelError::Weights(format!("the files of TAEF2: {error}")))?;
        Self::taef2_with_weights(taef2, weights::DEFAULT.to_vec(), device)
    }

    /// With the bytes of another weight file of the projection.
    pub fn taef2_with_weights(
        taef2: Taef2,
        weights: Vec<u8>,
        device: &OpenDevice,
    ) -> Result<Self, ModelError> {
        let digest = digest(&taef2, &weights);
        Ok(Self::over(ProjectedTaef2::new(taef2, weights, device)?, digest))
    }
}

impl Transform for ProjectedTaef2 {
    fn rates(&self) -> &'static Rates {
        &RATES
    }

    fn variance(&self) -> &[f32] {
        &self.variance
    }

    fn goes_without_thumbnail(&self) -> bool {
        // TAEF2 knows whole pictures only.
        false
    }

    fn encode(
        &self,
        planes: &Planes,
        mean: [u8; 3],
        _told_db: i8,
        _with_log_ratios: bool,
    ) -> Result<Encoded, ModelError> {
        let (across, down) = (planes.width / BLOCK, planes.height / BLOCK);
        let (wide, high) = (across * LATENTS_A_BLOCK, down * LATENTS_A_BLOCK);
        let mut hidden = vec![0.0; HIDDEN * wide * high];
        for tile in tiles(across, down, self.core_blocks, REACH) {
            let Tile { rows, columns } = tile;
            let (width, height) = (columns.length * BLOCK, rows.length * BLOCK);
            let mut window = planes.window(columns.start * BLOCK, rows.start * BLOCK, width, height);
            for (plane, mean) in window.chunks_exact_mut(width * height).zip(mean) {
                plane.iter_mut().for_each(|value| *value += f32::from(mean) / 255.0);
            }
            let near = values(self.taef2.encoder.near(self.tensor(window, [1, 3, height, width])))?;
            tile.keep(&near, &mut hidden, across, LATENTS_A_BLOCK);
        }
        let latents = self.taef2.encoder.far(self.tensor(hidden, [1, HIDDEN, high, wide]));
        let values = values(self.projection.encode(latents))?;
        Ok(Encoded { values, log_ratios: Vec::new() })
    }

    fn decode(&self, code: &Code, mean: [u8; 3], planes: &mut Planes) -> Result<(), ModelError> {
        let Code { across, down, .. } = *code;
        let shape = [1, CHANNELS, down, across];
        let received = self.tensor(code.values.clone(), shape);
        let variance = self.tensor(code.variance.clone(), shape);
        let latents = self.projection.decode(received, variance);
        debug_assert_eq!(latents.dims()[1], LATENTS);
        let hidden = Planes {
            width: across * LATENTS_A_BLOCK,
            height: down * LATENTS_A_BLOCK,
            values: values(self.taef2.decoder.far(latents))?,
        };
        for tile in tiles(across, down, self.core_blocks, REACH) {
            let Tile { rows, columns } = tile;
            let (left, top) = (columns.start * LATENTS_A_BLOCK, rows.start * LATENTS_A_BLOCK);
            let (width, height) = (columns.length * LATENTS_A_BLOCK, rows.length * LATENTS_A_BLOCK);
            let window = hidden.window(left, top, width, height);
            let near = values(self.taef2.decoder.near(self.tensor(window, [1, HIDDEN, height, width])))?;
            tile.keep(&near, &mut planes.values, across, BLOCK);
        }
        let area = planes.width * planes.height;
        for (plane, mean) in planes.values.chunks_exact_mut(area).zip(mean) {
            plane.iter_mut().for_each(|value| *value -= f32::from(mean) / 255.0);
        }
        Ok(())
    }
}
