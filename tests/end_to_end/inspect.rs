//! `semcast inspect`: what it writes, and what it refuses.

use std::path::Path;

use semcast_common::content::{Picture, file};
use serde_json::Value;

use crate::harness::{Finished, program, run, scene};

fn save(path: &Path, picture: &Picture) {
    std::fs::write(path, file::encode_png(picture).expect("a picture file")).expect("a file");
}

async fn inspect(folder: &Path, flags: &[&str]) -> Finished {
    let mut command = program();
    command.arg("inspect").arg(folder.join("photo.png")).arg("--out").arg(folder.join("found"));
    command.args(["--device", "cpu"]).args(flags);
    run(command).await
}

#[tokio::test]
async fn a_photo_has_maps_regions_and_scores() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    save(&folder.path().join("photo.png"), &scene(150, 90, 1));
    let mask = folder.path().join("mask.png");
    let left = |at: u32| if at % 10 < 5 { [255; 3] } else { [0; 3] };
    save(&mask, &Picture::new(10, 6, (0..60).flat_map(left).collect()).expect("a picture"));
    let mask = mask.to_str().expect("a name").to_owned();
    for flags in [
        &[][..],
        &["--segmentation", "none", "--for", "machine"],
        &["--keep", &mask, "--importance", "mix:1,2,3"],
    ] {
        let table = inspect(folder.path(), flags).await.expect_code(0).output;
        assert!(table.contains("density"), "{table}");
        let found = folder.path().join("found");
        for name in ["entropy", "saliency", "gradcam", "importance", "labels", "regions"] {
            let bytes = std::fs::read(found.join(format!("{name}.png"))).expect("a map");
            let picture = file::decode_picture(&bytes).expect("a picture");
            assert_eq!((picture.width(), picture.height()), (150, 90), "{name}");
        }
        let report = std::fs::read_to_string(found.join("inspect.json")).expect("a report");
        let report: Value = serde_json::from_str(&report).expect("JSON");
        let regions = report["regions"].as_array().expect("regions");
        let blocks: u64 = regions.iter().filter_map(|region| region["blocks"].as_u64()).sum();
        let shares: f64 = regions.iter().filter_map(|region| region["share"].as_f64()).sum();
        assert!(blocks == 60 && (shares - 1.0).abs() < 1e-3, "{report}");
    }
}

#[tokio::test]
async fn what_it_does_not_know_is_refused_with_what_it_knows() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    save(&folder.path().join("photo.png"), &scene(40, 40, 1));
    for (flags, parts) in [
        (&["--keep", "unicorn"][..], &["unicorn", "person", "vehicle"][..]),
        (&["--importance", "beauty"], &["beauty", "gradcam"]),
        (&["--segmentation", "unet"], &["unet", "espnetv2"]),
        (&["--segmentation", "espnet"], &["--segmentation-weights"]),
        (&["--segmentation", "none", "--classifier", "x.pth"], &["--classifier"]),
    ] {
        inspect(folder.path(), flags).await.expect_code(2).expect_errors(parts);
    }
}
