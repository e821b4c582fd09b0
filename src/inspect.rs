//! `semcast inspect`: what the semantic analysis finds in a picture.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use semcast_common::content::Picture;
use semcast_common::content::file::{decode_picture, encode_png};
use semcast_common::report::{Table, number};
use semcast_models::ae::{basis::BLOCK, transform::Convolutional, weights};
use semcast_models::sct::analysis::{self, Analysis, Inspection};
use semcast_models::sct::graphic::Labels;
use semcast_models::sct::importance::{self, Importance, Keep, Options, Purpose};
use semcast_models::sct::segmentation::classes::name;
use semcast_models::sct::segmentation::{LabelMap, NetworkName, Segmenter};
use semcast_models::{DeviceChoice, OpenDevice, open_device};
use serde::Serialize;

use crate::{exit::Failure, flags::print_text};

mod overlay;

/// Bytes that the label map may take as a vector graphic, where it is measured.
const GRAPHIC_BYTES: usize = 300;

/// Show what the semantic analysis finds in a picture: maps of importance, classes, regions and their scores
///
/// Writes entropy.png, saliency.png, gradcam.png, importance.png, labels.png, regions.png and inspect.json.
#[derive(ClapArgs)]
pub struct Args {
    /// Picture to look at (PNG, JPEG, WebP, BMP)
    picture: PathBuf,
    /// Folder for what is found
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    semantics: SemanticArgs,
    /// auto: a real GPU if there is one, else the CPU; cpu; wgpu
    #[arg(long, value_name = "WHICH", default_value = "auto")]
    device: DeviceChoice,
}

/// What is to matter in a picture.
#[derive(ClapArgs)]
pub struct SemanticArgs {
    /// Whom the picture is for: people or machine
    #[arg(long = "for", value_name = "WHOM", default_value = "people")]
    purpose: Purpose,
    /// entropy, saliency, gradcam; mix: entropy and twice saliency for people, gradcam for a machine; mix:E,S,G: so many parts
    /// of each; or a picture whose bright places matter
    #[arg(long, value_name = "WHICH", default_value = "mix")]
    importance: String,
    /// What to keep: classes such as person,car (all of them: docs/SEMANTICS.md), or a picture that is bright there
    #[arg(long, value_name = "CLASSES|FILE")]
    keep: Option<String>,
    /// Network that tells what places show: small (comes with semcast), espnet, espnetv2, or none
    #[arg(long, value_name = "NAME", default_value = "small")]
    segmentation: String,
    /// Its weights, for espnet and espnetv2: a file such as espnet_p_2_q_8.pth
    #[arg(long, value_name = "FILE")]
    segmentation_weights: Option<PathBuf>,
}

fn usage(message: String) -> anyhow::Error {
    Failure::Usage(message).into()
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| usage(format!("cannot read {}: {error}", path.display())))
}

fn picture(path: &Path) -> anyhow::Result<Picture> {
    decode_picture(&read(path)?).map_err(|error| usage(format!("{}: {error}", path.display())))
}

impl SemanticArgs {
    /// What is to matter; reads the files that are named.
    pub fn options(&self) -> anyhow::Result<Options> {
        let importance = match Importance::parse(&self.importance) {
            Some(importance) => importance,
            None if Path::new(&self.importance).exists() => {
                Importance::Given(picture(Path::new(&self.importance))?)
            }
            None => {
                return Err(usage(format!(
                    "--importance {}: one of entropy, saliency, gradcam, mix, mix:E,S,G (0 to 255 each, not all 0), or a picture",
                    self.importance
                )));
            }
        };
        let keep = match &self.keep {
            Some(file) if Path::new(file).is_file() => Some(Keep::Mask(picture(Path::new(file))?)),
            Some(classes) => Some(Keep::classes(classes).map_err(|error| {
                usage(format!("--keep {classes}: {error}; and there is no picture of that name"))
            })?),
            None => None,
        };
        Ok(Options { purpose: self.purpose, importance, keep })
    }

    /// The segmentation network, if there is to be one.
    pub fn segmenter(&self, device: &OpenDevice) -> anyhow::Result<Option<Segmenter>> {
        if self.segmentation == "none" {
            return Ok(None);
        }
        let network: NetworkName =
            self.segmentation.parse().map_err(|error| usage(format!("--segmentation: {error}, none")))?;
        let segmenter = match &self.segmentation_weights {
            Some(path) => Segmenter::load(network, read(path)?, device)
                .map_err(|error| usage(format!("{}: {error}", path.display())))?,
            None if network == NetworkName::Small => Segmenter::new(device)?,
            None => {
                return Err(usage(format!(
                    "--segmentation {network} needs --segmentation-weights FILE: see docs/SEMANTICS.md for where to get it"
                )));
            }
        };
        Ok(Some(segmenter))
    }
}

/// What is written to inspect.json.
#[derive(Serialize)]
struct Report<'a> {
    picture: String,
    width: u32,
    height: u32,
    blocks_across: usize,
    blocks_down: usize,
    /// Pixels along the side of a block.
    block_pixels: usize,
    r#for: &'static str,
    importance: &'a str,
    keep: Option<&'a str>,
    /// Whether anything of what is to be kept is there.
    kept: bool,
    segmentation: &'a str,
    /// Standard deviation of the density over the blocks; its mean is one.
    spread: f32,
    regions: Vec<Row>,
    graphic: Graphic,
}

#[derive(Serialize)]
struct Row {
    region: usize,
    class: Option<&'static str>,
    blocks: usize,
    /// Sum of the importance of the blocks, whose mean over the picture is one.
    score: f32,
    /// Of all scores.
    share: f32,
    /// Score a block.
    density: f32,
}

/// The regions as a vector graphic.
#[derive(Serialize)]
struct Graphic {
    bytes: usize,
    /// Share of blocks whose region comes back.
    agreement: f32,
    exact_bytes: usize,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let content = picture(&args.picture)?;
    let options = args.semantics.options()?;
    let device = open_device(args.device)?;
    let segmenter = args.semantics.segmenter(&device)?;
    std::fs::create_dir_all(&args.out)
        .map_err(|error| usage(format!("cannot make the folder {}: {error}", args.out.display())))?;
    let network = weights::from_bytes(weights::DEFAULT.to_vec(), &device.device)
        .map_err(|error| anyhow::anyhow!("the weights of the transform do not load: {error}"))?;
    let entropy = importance::entropy_of(&content, &Convolutional::new(network, &device)?)?;
    let found = analysis::inspect(&content, &entropy, &options, segmenter.as_ref())?;
    let saliency = importance::saliency::map(&content, &found.classes);
    let gradcam = importance::gradcam(&content, &found.classes, segmenter.as_ref())?;

    let (width, height) = (content.width(), content.height());
    let across = found.analysis.across;
    let maps = [
        ("entropy", &entropy),
        ("saliency", &saliency),
        ("gradcam", &gradcam),
        ("importance", &found.importance),
    ];
    for (name, map) in maps {
        save(&args.out, name, &overlay::heat(map, across, width, height)?)?;
    }
    let labels = match &segmenter {
        Some(segmenter) => segmenter.segment(&content)?,
        None => LabelMap { across, down: found.analysis.down, labels: found.classes.clone() },
    };
    save(&args.out, "labels", &overlay::labels(&labels, width, height)?)?;
    save(&args.out, "regions", &overlay::regions(&content, &found.analysis)?)?;

    let rows = rows(&found.analysis);
    let report = Report {
        picture: args.picture.display().to_string(),
        width,
        height,
        blocks_across: across,
        blocks_down: found.analysis.down,
        block_pixels: BLOCK,
        r#for: match options.purpose {
            Purpose::People => "people",
            Purpose::Machine => "machine",
        },
        importance: &args.semantics.importance,
        keep: args.semantics.keep.as_deref(),
        kept: found.kept,
        segmentation: &args.semantics.segmentation,
        spread: found.analysis.spread(),
        graphic: graphic(&found)?,
        regions: rows,
    };
    let path = args.out.join("inspect.json");
    std::fs::write(&path, serde_json::to_string_pretty(&report)? + "\n")
        .map_err(|error| usage(format!("cannot write {}: {error}", path.display())))?;
    print_text(&table(&report));
    Ok(())
}

fn rows(analysis: &Analysis) -> Vec<Row> {
    let total: f32 = analysis.regions.iter().map(|region| region.importance).sum();
    let all = analysis.regions.iter().zip(analysis.sizes()).zip(analysis.densities()).enumerate();
    all.map(|(at, ((region, blocks), density))| Row {
        region: at + 1,
        class: region.class.map(name),
        blocks,
        score: region.importance,
        share: if total > 0.0 { region.importance / total } else { 0.0 },
        density,
    })
    .collect()
}

fn graphic(found: &Inspection) -> anyhow::Result<Graphic> {
    let Analysis { across, down, of_block, .. } = &found.analysis;
    let labels = Labels::new(*across, *down, of_block.clone())?;
    let (bytes, painted) = labels.encode(GRAPHIC_BYTES);
    let (exact, _) = labels.encode(usize::MAX);
    Ok(Graphic { bytes: bytes.len(), agreement: painted.agreement(&labels), exact_bytes: exact.len() })
}

fn table(report: &Report) -> String {
    let mut table = Table::new(["region", "class", "blocks", "score", "share", "density"]);
    for row in &report.regions {
        table.row([
            row.region.to_string(),
            row.class.unwrap_or("-").to_owned(),
            row.blocks.to_string(),
            number(row.score.into(), 1),
            number(row.share.into(), 3),
            number(row.density.into(), 2),
        ]);
    }
    let missing = if report.kept { "" } else { "nothing of what is to be kept is in the picture\n" };
    let graphic = &report.graphic;
    format!(
        "{table}{missing}regions as a vector graphic: {} bytes, {:.1} % of the blocks right; {} bytes for all of them\n",
        graphic.bytes,
        100.0 * graphic.agreement,
        graphic.exact_bytes
    )
}

fn save(folder: &Path, name: &str, picture: &Picture) -> anyhow::Result<()> {
    let path = folder.join(format!("{name}.png"));
    let written = std::fs::write(&path, encode_png(picture)?);
    written.map_err(|error| usage(format!("cannot write {}: {error}", path.display())))
}
