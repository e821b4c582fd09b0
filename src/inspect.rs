//! `semcast inspect`: what the semantic analysis finds in a picture.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use semcast_common::content::Picture;
use semcast_common::content::classes::name;
use semcast_common::content::file::{decode_picture, encode_png};
use semcast_common::report::{Table, number};
use semcast_models::ae::{basis::BLOCK, transform::Convolutional, weights};
use semcast_models::sct::analysis::{self, Analysis};
use semcast_models::sct::graphic::Labels;
use semcast_models::sct::importance;
use semcast_models::sct::preserving;
use semcast_models::sct::segmentation::LabelMap;
use semcast_models::{DeviceChoice, ModelError, open_device};
use serde::Serialize;

use crate::{
    exit::Failure,
    flags::{SegmentationChoice, print_text},
    semantics::Semantics,
};

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
    semantics: Semantics,
    #[command(flatten)]
    segmentation: SegmentationChoice,
    /// auto: a real GPU if there is one, else the CPU; cpu; wgpu
    #[arg(long, value_name = "WHICH", default_value = "auto")]
    device: DeviceChoice,
}

/// What the user has chosen and cannot have is no failure of ours.
fn refused(error: ModelError) -> anyhow::Error {
    match error {
        ModelError::Choice(message) => usage(message),
        other => other.into(),
    }
}

fn usage(message: String) -> anyhow::Error {
    Failure::Usage(message).into()
}

/// What is written to inspect.json.
#[derive(Serialize)]
struct Report {
    picture: String,
    width: u32,
    height: u32,
    blocks_across: usize,
    blocks_down: usize,
    /// Pixels along the side of a block.
    block_pixels: usize,
    mode: &'static str,
    r#for: &'static str,
    importance: String,
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
    /// Whether it is sent in detail.
    sent: bool,
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
    let path = &args.picture;
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::Content(format!("cannot read {}: {error}", path.display())))?;
    let content =
        decode_picture(&bytes).map_err(|error| Failure::Content(format!("{}: {error}", path.display())))?;
    let intent = args.semantics.intent()?;
    let device = open_device(args.device)?;
    let segmenter = args.segmentation.choice()?.open(&device)?;
    std::fs::create_dir_all(&args.out)
        .map_err(|error| usage(format!("cannot make the folder {}: {error}", args.out.display())))?;
    let network = weights::from_bytes(weights::DEFAULT.to_vec(), &device.device)
        .map_err(|error| anyhow::anyhow!("the weights of the transform do not load: {error}"))?;
    let entropy = importance::entropy_of(&content, &Convolutional::new(network, &device)?)?;
    let found = analysis::inspect(&content, &entropy, &intent, segmenter.as_ref()).map_err(refused)?;
    // As they would be sent: what is to be kept counts more.
    let (regions, sent) = preserving::choose(found.analysis.clone(), &intent).map_err(refused)?;
    let saliency = importance::saliency::map(&content, &found.classes);
    let gradcam = importance::gradcam(&content, &found.classes, segmenter.as_ref())?;

    let (width, height) = (content.width(), content.height());
    let across = regions.across;
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
        None => LabelMap { across, down: regions.down, labels: found.classes.clone() },
    };
    save(&args.out, "labels", &overlay::labels(&labels, width, height)?)?;
    save(&args.out, "regions", &overlay::regions(&content, &regions)?)?;

    let rows = rows(&regions, &sent);
    let report = Report {
        picture: args.picture.display().to_string(),
        width,
        height,
        blocks_across: across,
        blocks_down: regions.down,
        block_pixels: BLOCK,
        mode: intent.preserve.name(),
        r#for: intent.purpose.name(),
        importance: intent.importance.describe(),
        spread: regions.spread(),
        graphic: graphic(&regions)?,
        regions: rows,
    };
    let path = args.out.join("inspect.json");
    std::fs::write(&path, serde_json::to_string_pretty(&report)? + "\n")
        .map_err(|error| usage(format!("cannot write {}: {error}", path.display())))?;
    print_text(&table(&report));
    Ok(())
}

fn rows(analysis: &Analysis, sent: &[bool]) -> Vec<Row> {
    let total: f32 = analysis.regions.iter().map(|region| region.importance).sum();
    let all = analysis.regions.iter().zip(analysis.sizes()).zip(analysis.densities()).enumerate();
    all.map(|(at, ((region, blocks), density))| Row {
        region: at + 1,
        class: region.class.map(name),
        blocks,
        sent: sent[at],
        score: region.importance,
        share: if total > 0.0 { region.importance / total } else { 0.0 },
        density,
    })
    .collect()
}

fn graphic(analysis: &Analysis) -> anyhow::Result<Graphic> {
    let Analysis { across, down, of_block, .. } = analysis;
    let labels = Labels::new(*across, *down, of_block.clone())?;
    let (bytes, painted) = labels.encode(GRAPHIC_BYTES);
    let (exact, _) = labels.encode(usize::MAX);
    Ok(Graphic { bytes: bytes.len(), agreement: painted.agreement(&labels), exact_bytes: exact.len() })
}

fn table(report: &Report) -> String {
    let mut table = Table::new(["region", "class", "blocks", "sent", "score", "share", "density"]);
    for row in &report.regions {
        table.row([
            row.region.to_string(),
            row.class.unwrap_or("-").to_owned(),
            row.blocks.to_string(),
            if row.sent { "yes" } else { "no" }.into(),
            number(row.score.into(), 1),
            number(row.share.into(), 3),
            number(row.density.into(), 2),
        ]);
    }
    let graphic = &report.graphic;
    format!(
        "{table}regions as a vector graphic: {} bytes, {:.1} % of the blocks right; {} bytes for all of them\n",
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
