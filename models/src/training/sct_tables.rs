//! The tables of `sct-modular`: magnitudes of quantised values, counted by context over crops of photographs.
//!
//! First the size of each channel is measured, and whether its values follow from those of neighbouring blocks. Then every
//! region of every crop is written at each of several steps, into counters instead of a stream.

use std::path::PathBuf;

use burn::tensor::Device;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rayon::prelude::*;
use semcast_common::intent::Intent;

use super::TrainingError;
use super::pictures::{GROUP, Pictures};
use crate::ae::adaptation::ASSUMED_DB;
use crate::ae::basis::BLOCK;
use crate::ae::network::CHANNELS;
use crate::ae::planes::Planes;
use crate::ae::transform::{Convolutional, Transform};
use crate::ae::weights::from_bytes;
use crate::sct::analysis::{Analysis, analyse};
use crate::sct::importance::entropy;
use crate::sct::modular::{Layout, coefficients, quantise, write};
use crate::sct::tables::{Counts, LEAST_EXPONENT, PER_OCTAVE, Tables};
use crate::sct::weights;
use crate::{ModelError, OpenDevice};

/// Steps at which values are counted: those of pictures between some 22 and 42 dB.
const STEPS: std::ops::RangeInclusive<u8> = 40..=92;
/// Distance of these steps.
const STEP_BY: usize = 4;
/// A channel is predicted if that leaves less than this of its variance.
const WORTH_PREDICTING: f64 = 0.6;
/// Name of the file.
const FILE: &str = "sct-tables.bin";

/// What to count over.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folders with pictures.
    pub data: Vec<PathBuf>,
    /// File that keeps the decoded pictures; by default in `out`.
    pub cache: Option<PathBuf>,
    /// Folder for the tables.
    pub out: PathBuf,
    /// Crops to count over.
    pub crops: usize,
    /// Side of a crop in pixels, a multiple of 16.
    pub side: usize,
    /// Seed of the crops.
    pub seed: u64,
}

/// The values of a crop.
struct Coded {
    values: Vec<f32>,
    analysis: Analysis,
}

/// Counts, and writes the tables; returns the file's path.
pub fn train(options: &Options, device: &OpenDevice) -> Result<PathBuf, TrainingError> {
    if !options.side.is_multiple_of(BLOCK) || options.side < 4 * BLOCK {
        return Err(TrainingError::Setting(format!(
            "crops of {} pixels: a multiple of {BLOCK}, at least {}",
            options.side,
            4 * BLOCK
        )));
    }
    std::fs::create_dir_all(&options.out).map_err(TrainingError::io(&options.out))?;
    let cache = options.cache.clone().unwrap_or_else(|| options.out.join("pictures.pack"));
    let pictures = Pictures::open(&options.data, &cache, options.side)?;
    let failed = |error: ModelError| TrainingError::Setting(error.to_string());
    let transform = transform(&device.device, device)?;
    let mut rng = StdRng::seed_from_u64(options.seed);
    let area = options.side * options.side;
    let mut coded = Vec::with_capacity(options.crops);
    while coded.len() < options.crops {
        let crops = pictures.crops(1, options.side, &mut rng);
        for values in crops.values.chunks_exact(3 * area).take(GROUP) {
            let mut planes = Planes { width: options.side, height: options.side, values: values.to_vec() };
            let side = options.side as u32;
            let crop = planes.to_picture(side, side, [128; 3]).map_err(failed)?;
            planes.take_thumbnail();
            let values = transform.encode(&planes, [0; 3], ASSUMED_DB, false).map_err(failed)?.values;
            let entropy = entropy(&values, transform.variance(), values.len() / CHANNELS);
            // As pictures of which nobody knows what they show.
            let analysis = analyse(&crop, &entropy, &Intent::default(), None).map_err(failed)?;
            coded.push(Coded { values, analysis });
        }
    }
    let (sizes, predicted) = measure(&coded, transform.variance());
    let start = Tables::new(sizes.clone(), predicted.clone(), &Counts::default());
    let counts = coded.par_iter().map(|coded| count(coded, transform.variance(), &start)).reduce(
        Counts::default,
        |mut all, counts| {
            all.add(&counts);
            all
        },
    );
    let tables = Tables::new(sizes, predicted, &counts);
    let path = options.out.join(FILE);
    std::fs::write(&path, tables.to_bytes()).map_err(TrainingError::io(&path))?;
    Ok(path)
}

fn transform(device: &Device, open: &OpenDevice) -> Result<Convolutional, TrainingError> {
    let network = from_bytes(weights::DEFAULT.to_vec(), device).map_err(TrainingError::Setting)?;
    Convolutional::new(network, open).map_err(|error| TrainingError::Setting(error.to_string()))
}

/// The size of each channel's coefficients, or of what prediction leaves of them, and whether it is predicted.
fn measure(coded: &[Coded], variance: &[f32]) -> (Vec<i16>, Vec<bool>) {
    let of_channel = |channel: usize| {
        let (mut energy, mut left, mut count) = (0.0_f64, 0.0_f64, 0_u64);
        for Coded { values, analysis } in coded {
            let across = analysis.across;
            let blocks = values.len() / CHANNELS;
            let plane = &values[channel * blocks..(channel + 1) * blocks];
            for (block, &value) in
                plane.iter().enumerate().filter(|(block, _)| block % across > 0 && *block >= across)
            {
                let (a, b, c) = (plane[block - 1], plane[block - across], plane[block - across - 1]);
                let prediction = (a + b - c).clamp(a.min(b), a.max(b));
                energy += f64::from(value * value);
                left += f64::from((value - prediction).powi(2));
                count += 1;
            }
        }
        let predicted = left < WORTH_PREDICTING * energy;
        let mean = if predicted { left } else { energy } / count.max(1) as f64;
        let size = 0.5 * (mean * f64::from(variance[channel])).max(1e-12).log2() - f64::from(LEAST_EXPONENT);
        ((f64::from(PER_OCTAVE) * size).round() as i16, predicted)
    };
    (0..CHANNELS).into_par_iter().map(of_channel).unzip()
}

/// Writes all regions of a crop at all steps into counters.
fn count(coded: &Coded, variance: &[f32], tables: &Tables) -> Counts {
    let Coded { values, analysis } = coded;
    let blocks = values.len() / CHANNELS;
    let mut counts = Counts::default();
    for layout in Layout::of(&analysis.of_block, analysis.across, analysis.regions.len()) {
        let coefficients = coefficients(values, variance, blocks, &layout);
        for step in STEPS.step_by(STEP_BY) {
            let (quantised, channels) = quantise(&coefficients, layout.blocks.len(), step);
            write(&mut counts, tables, &layout, step, &quantised, channels);
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeviceChoice, open_device};

    #[test]
    fn tables_are_made_of_a_folder_of_pictures() {
        let folder = tempfile::tempdir().unwrap();
        for seed in 0..3_u32 {
            let value =
                |x: u32, y: u32| [x * y / (7 + seed), 3 * x + seed * 40, y * 2].map(|value| value as u8);
            let picture = image::RgbImage::from_fn(96, 80, |x, y| image::Rgb(value(x, y)));
            picture.save(folder.path().join(format!("{seed}.png"))).unwrap();
        }
        let options = Options {
            data: vec![folder.path().to_owned()],
            cache: None,
            out: folder.path().join("out"),
            crops: 4,
            side: 64,
            seed: 1,
        };
        let device = open_device(DeviceChoice::Cpu).unwrap();
        let path = train(&options, &device).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert!(Tables::parse(&bytes).is_ok());
        assert_eq!(std::fs::read(train(&options, &device).unwrap()).unwrap(), bytes, "the same seed");
        assert!(train(&Options { side: 70, ..options }, &device).is_err());
    }
}
