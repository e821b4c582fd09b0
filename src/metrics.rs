//! `semcast metrics`: how good received pictures are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use indicatif::ProgressIterator;
use semcast_common::content::{Picture, file::decode_picture};
use semcast_common::report::{Table, number};
use semcast_models::metrics::{
    Backbone, Lpips, MetricError, Niqe, PictureMetrics, PictureQuality, WeightsError,
    sets::{self, FID_PICTURES},
};
use semcast_models::{DeviceChoice, OpenDevice, open_device};
use serde::Serialize;

use crate::{exit::Failure, flags::print_text};

const BACKBONE_SOURCE: &str = "SqueezeNet 1.1: torchvision's squeezenet1_1 (download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth), \
    or ncnn's conversion of it, a .param file with its .bin file beside it";
const LINEAR_SOURCE: &str = "the linear weights of LPIPS v0.1 for SqueezeNet: lpips/weights/v0.1/squeeze.pth in github.com/richzhang/PerceptualSimilarity";
const NIQE_SOURCE: &str =
    "the parameters of NIQE: basicsr/metrics/niqe_pris_params.npz in github.com/XPixelGroup/BasicSR";

/// Weights of the perceptual measure.
#[derive(ClapArgs, Default, Clone)]
pub struct LpipsWeights {
    /// SqueezeNet 1.1, the network behind LPIPS, FID and KID: ncnn's .param (its .bin beside it), torchvision's
    /// .pth, or .safetensors
    #[arg(long, value_name = "FILE")]
    pub lpips_backbone: Option<PathBuf>,
    /// Linear weights of LPIPS v0.1 for SqueezeNet: squeeze.pth
    #[arg(long, value_name = "FILE", requires = "lpips_backbone")]
    pub lpips_linear: Option<PathBuf>,
}

impl LpipsWeights {
    /// A name for the contents of the files that LPIPS is measured with; none if they were not named.
    pub fn digest(&self) -> anyhow::Result<Option<String>> {
        let (Some(backbone), Some(linear)) = (&self.lpips_backbone, &self.lpips_linear) else {
            return Ok(None);
        };
        let mut bytes = weight_bytes(backbone, BACKBONE_SOURCE)?;
        if let Some("param") = backbone.extension().and_then(|extension| extension.to_str()) {
            bytes.extend(weight_bytes(&backbone.with_extension("bin"), BACKBONE_SOURCE)?);
        }
        bytes.extend(weight_bytes(linear, LINEAR_SOURCE)?);
        Ok(Some(semcast_models::ae::weights::digest_of(&bytes).to_string()))
    }

    /// The network, if it was named.
    pub fn backbone(&self, device: &OpenDevice) -> anyhow::Result<Option<Backbone>> {
        let Some(path) = &self.lpips_backbone else { return Ok(None) };
        let bytes = weight_bytes(path, BACKBONE_SOURCE)?;
        let backbone = match path.extension().and_then(|extension| extension.to_str()) {
            Some("param") => {
                let bin = weight_bytes(&path.with_extension("bin"), BACKBONE_SOURCE)?;
                Backbone::from_ncnn(&bytes, &bin, device)
            }
            Some("bin") => {
                let param = weight_bytes(&path.with_extension("param"), BACKBONE_SOURCE)?;
                Backbone::from_ncnn(&param, &bytes, device)
            }
            _ => Backbone::from_checkpoint(bytes, device),
        };
        backbone.map(Some).map_err(|error| unusable(path, &error, BACKBONE_SOURCE))
    }

    /// The measure on a network, if its weights were named.
    pub fn on(&self, backbone: Option<&Backbone>) -> anyhow::Result<Option<Lpips>> {
        let (Some(backbone), Some(path)) = (backbone, &self.lpips_linear) else { return Ok(None) };
        let lpips = Lpips::new(backbone.clone(), weight_bytes(path, LINEAR_SOURCE)?);
        lpips.map(Some).map_err(|error| unusable(path, &error, LINEAR_SOURCE))
    }
}

/// Measure pictures against those that they should be: PSNR, SSIM, MS-SSIM, LPIPS, NIQE; FID and KID of two folders
///
/// Two pictures, or two folders whose picture files have the same names (their extensions may differ). Folders of pictures
/// that are not of one size each to each can only be compared as sets: see --sets-only. What weights LPIPS, NIQE, FID
/// and KID need is not part of the program; the messages of a wrong call tell where to get it.
#[derive(ClapArgs)]
pub struct Args {
    /// A picture (PNG, JPEG, WebP, BMP), or a folder of them
    reference: PathBuf,
    /// What arrived: a picture or a folder
    received: PathBuf,
    #[command(flatten)]
    weights: LpipsWeights,
    /// Parameters of NIQE: niqe_pris_params.npz
    #[arg(long, value_name = "FILE")]
    niqe: Option<PathBuf>,
    /// Compare the folders as sets alone, whatever their files are called: FID and KID
    #[arg(long, requires = "lpips_backbone")]
    sets_only: bool,
    /// Seed of the parts of the sets from which KID is estimated
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// auto: a real GPU if there is one, else the CPU; cpu; wgpu
    #[arg(long, value_name = "WHICH", default_value = "auto")]
    device: DeviceChoice,
    /// One JSON object a line: a picture each, then their mean, then the sets
    #[arg(long)]
    json: bool,
}

/// The figures of a picture, or their mean.
#[derive(Serialize)]
struct Row {
    picture: String,
    #[serde(flatten)]
    quality: PictureQuality,
    /// Of the received picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    niqe: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    niqe_of_reference: Option<f64>,
}

/// The figures of two sets.
#[derive(Serialize)]
struct Sets {
    reference_pictures: usize,
    received_pictures: usize,
    features: &'static str,
    fid: f64,
    fid_is_usable: bool,
    /// Whether the sets show the same pictures.
    pairs: bool,
    kid: f64,
    kid_standard_error: f64,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let folders = match (args.reference.is_dir(), args.received.is_dir()) {
        (false, true) | (true, false) => {
            return Err(usage("name two pictures, or two folders: not one of each".into()));
        }
        (folders, _) => folders,
    };
    if args.sets_only && !folders {
        return Err(usage("--sets-only compares two folders".into()));
    }
    if !folders && args.weights.lpips_backbone.is_some() && args.weights.lpips_linear.is_none() {
        return Err(usage(format!("LPIPS needs --lpips-linear too, {LINEAR_SOURCE}")));
    }
    let device = open_device(args.device)?;
    let backbone = args.weights.backbone(&device)?;
    let metrics = PictureMetrics::new(args.weights.on(backbone.as_ref())?);
    let niqe = args.niqe.as_deref().map(parameters).transpose()?;
    if !folders {
        let name = args.received.display().to_string();
        let row =
            measure(name, &picture(&args.reference)?, &picture(&args.received)?, &metrics, niqe.as_ref())?;
        return print(&[row], args.json);
    }

    let (references, received) = (list(&args.reference)?, list(&args.received)?);
    if !args.sets_only {
        let pairs = pairs(&references, &received)?;
        let mut rows = Vec::new();
        for (name, original, arrived) in pairs.into_iter().progress() {
            rows.push(measure(name, &picture(original)?, &picture(arrived)?, &metrics, niqe.as_ref())?);
        }
        rows.push(mean(&rows));
        print(&rows, args.json)?;
    }
    match backbone {
        Some(backbone) if references.len() >= sets::KID_PICTURES && received.len() >= sets::KID_PICTURES => {
            compare_sets(&backbone, [&references, &received], &args)
        }
        Some(_) if args.sets_only => Err(Failure::Content(format!(
            "sets of {} and {} pictures are too small to be compared: at least {} are needed",
            references.len(),
            received.len(),
            sets::KID_PICTURES
        ))
        .into()),
        _ => Ok(()),
    }
}

fn measure(
    name: String,
    reference: &Picture,
    received: &Picture,
    metrics: &PictureMetrics,
    niqe: Option<&Niqe>,
) -> anyhow::Result<Row> {
    let figures = || {
        let quality = metrics.measure(reference, received)?;
        let score = |picture| niqe.map(|niqe| niqe.score(picture)).transpose();
        Ok((quality, score(received)?, score(reference)?))
    };
    let (quality, niqe, niqe_of_reference) = figures().map_err(|error| not_measured(&name, &error))?;
    Ok(Row { picture: name, quality, niqe, niqe_of_reference })
}

fn mean(rows: &[Row]) -> Row {
    let count = rows.len() as f64;
    let over = |figure: &dyn Fn(&Row) -> f64| rows.iter().map(figure).sum::<f64>() / count;
    let known = |figure: &dyn Fn(&Row) -> Option<f64>| {
        rows.iter().map(figure).sum::<Option<f64>>().map(|sum| sum / count)
    };
    let quality = PictureQuality {
        psnr_db: over(&|row| row.quality.psnr_db),
        ssim: over(&|row| row.quality.ssim),
        ms_ssim: over(&|row| row.quality.ms_ssim),
        lpips: known(&|row| row.quality.lpips),
    };
    Row {
        picture: format!("mean of {}", rows.len()),
        quality,
        niqe: known(&|row| row.niqe),
        niqe_of_reference: known(&|row| row.niqe_of_reference),
    }
}

fn compare_sets(
    backbone: &Backbone,
    folders: [&BTreeMap<String, PathBuf>; 2],
    args: &Args,
) -> anyhow::Result<()> {
    let features = |folder: &BTreeMap<String, PathBuf>| -> anyhow::Result<Vec<Vec<f32>>> {
        let one = |path: &PathBuf| {
            backbone
                .pooled(&picture(path)?)
                .map_err(|error| not_measured(&path.display().to_string(), &error))
        };
        folder.values().progress().map(one).collect()
    };
    let (first, second) = (features(folders[0])?, features(folders[1])?);
    let kid = if args.sets_only { sets::kid } else { sets::kid_of_pairs };
    let both = || Ok((sets::fid(&first, &second)?, kid(&first, &second, args.seed)?));
    let (fid, kid) = both().map_err(|error| not_measured("the folders", &error))?;
    let smaller = first.len().min(second.len());
    let found = Sets {
        reference_pictures: first.len(),
        received_pictures: second.len(),
        features: "SqueezeNet 1.1, last layer, pooled: not comparable with figures by InceptionV3",
        fid,
        fid_is_usable: smaller >= FID_PICTURES,
        pairs: !args.sets_only,
        kid: kid.value,
        kid_standard_error: kid.standard_error,
    };
    if args.json {
        return print_json(&found);
    }
    print_text(&format!(
        "\nsets of {} and {} pictures, by the features of {}\nKID {:.6} ± {:.6} (standard error)\nFID {fid:.4}{}\n",
        first.len(),
        second.len(),
        found.features,
        kid.value,
        kid.standard_error,
        if found.fid_is_usable {
            String::new()
        } else {
            format!(": of no use, {smaller} pictures are too few; FID needs {FID_PICTURES} a set")
        }
    ));
    Ok(())
}

fn print(rows: &[Row], json: bool) -> anyhow::Result<()> {
    if json {
        return rows.iter().try_for_each(print_json);
    }
    let mut table =
        Table::new(["picture", "PSNR dB", "SSIM", "MS-SSIM", "LPIPS", "NIQE", "of the reference"]);
    for Row { picture, quality, niqe, niqe_of_reference } in rows {
        table.row([
            picture.clone(),
            number(quality.psnr_db, 4),
            number(quality.ssim, 6),
            number(quality.ms_ssim, 6),
            number(quality.lpips.unwrap_or(f64::NAN), 5),
            number(niqe.unwrap_or(f64::NAN), 3),
            number(niqe_of_reference.unwrap_or(f64::NAN), 3),
        ]);
    }
    print_text(&table.to_string());
    Ok(())
}

fn print_json(figures: &impl Serialize) -> anyhow::Result<()> {
    print_text(&format!("{}\n", serde_json::to_string(figures)?));
    Ok(())
}

fn picture(path: &Path) -> anyhow::Result<Picture> {
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::Content(format!("cannot read {}: {error}", path.display())))?;
    let picture = decode_picture(&bytes);
    Ok(picture.map_err(|error| Failure::Content(format!("{}: {error}", path.display())))?)
}

/// The picture files of a folder, by their names without extension.
fn list(folder: &Path) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let unreadable = |error| Failure::Usage(format!("cannot read the folder {}: {error}", folder.display()));
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let known =
            ["png", "jpg", "jpeg", "webp", "bmp"].iter().any(|known| extension.eq_ignore_ascii_case(known));
        let Some(name) = path.file_stem().filter(|_| known && path.is_file()) else { continue };
        let name = name.to_string_lossy().into_owned();
        if found.insert(name.clone(), path).is_some() {
            return Err(usage(format!("{} has two pictures called {name}", folder.display())));
        }
    }
    if found.is_empty() {
        return Err(usage(format!("{} has no picture (PNG, JPEG, WebP, BMP)", folder.display())));
    }
    Ok(found)
}

/// Name, reference and received picture of each pair.
fn pairs<'a>(
    references: &'a BTreeMap<String, PathBuf>,
    received: &'a BTreeMap<String, PathBuf>,
) -> anyhow::Result<Vec<(String, &'a PathBuf, &'a PathBuf)>> {
    let missing = |from: &BTreeMap<String, PathBuf>, to: &BTreeMap<String, PathBuf>| {
        from.values()
            .zip(from.keys())
            .find(|(_, name)| !to.contains_key(*name))
            .map(|(path, _)| path.display().to_string())
    };
    if let Some(path) = missing(references, received).or_else(|| missing(received, references)) {
        return Err(usage(format!(
            "{path} has no counterpart of the same name in the other folder; --sets-only compares folders by FID and KID alone"
        )));
    }
    Ok(references.iter().map(|(name, path)| (name.clone(), path, &received[name])).collect())
}

fn parameters(path: &Path) -> anyhow::Result<Niqe> {
    Niqe::from_npz(&weight_bytes(path, NIQE_SOURCE)?).map_err(|error| unusable(path, &error, NIQE_SOURCE))
}

fn weight_bytes(path: &Path, source: &str) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| usage(format!("cannot read {}: {error}; expected is {source}", path.display())))
}

fn unusable(path: &Path, error: &WeightsError, source: &str) -> anyhow::Error {
    usage(format!("cannot use {}: {error}; expected is {source}", path.display()))
}

fn not_measured(what: &str, error: &MetricError) -> anyhow::Error {
    Failure::Content(format!("cannot measure {what}: {error}")).into()
}

fn usage(message: String) -> anyhow::Error {
    Failure::Usage(message).into()
}
