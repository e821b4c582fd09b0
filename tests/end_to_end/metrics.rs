//! `semcast metrics`: figures of pictures in files, and what it asks for.

use std::path::{Path, PathBuf};

use semcast_common::content::{Picture, file};
use serde_json::Value;

use crate::harness::{Finished, program, psnr_db, run, scene};

fn save(folder: &Path, name: &str, picture: &Picture) -> PathBuf {
    std::fs::create_dir_all(folder).expect("a folder");
    let path = folder.join(name);
    std::fs::write(&path, file::encode_png(picture).expect("a picture file")).expect("a file");
    path
}

/// The picture with 16 levels a channel.
fn coarse(picture: &Picture) -> Picture {
    let rgb = picture.rgb().iter().map(|value| (value >> 4 << 4) + 8).collect();
    Picture::new(picture.width(), picture.height(), rgb).expect("a picture")
}

async fn metrics(reference: &Path, received: &Path, flags: &[&str]) -> Finished {
    let mut command = program();
    command.args(["metrics", "--device", "cpu"]).arg(reference).arg(received).args(flags);
    run(command).await
}

#[tokio::test]
async fn folders_are_compared_picture_by_picture() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (sent, received) = (folder.path().join("sent"), folder.path().join("received"));
    let pictures = [scene(96, 64, 1), scene(40, 80, 2)];
    for (picture, name) in pictures.iter().zip(["one.png", "two.png"]) {
        save(&sent, name, picture);
        save(&received, name, &coarse(picture));
    }
    let finished = metrics(&sent, &received, &["--json"]).await.expect_code(0);
    let lines: Vec<Value> =
        finished.output.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!(lines.len(), 3, "{}", finished.output);
    for (line, picture) in lines.iter().zip(&pictures) {
        let expected = psnr_db(picture, &coarse(picture));
        assert!((line["psnr_db"].as_f64().expect("a number") - expected).abs() < 1e-3, "{line}");
        assert!(line.get("lpips").is_none(), "{line}");
    }
    let ssim = |line: usize| lines[line]["ssim"].as_f64().expect("a number");
    assert!((ssim(2) - (ssim(0) + ssim(1)) / 2.0).abs() < 1e-9, "{}", finished.output);
    let table = metrics(&sent, &received, &[]).await.expect_code(0).output;
    assert!(table.contains("mean of 2") && table.contains("MS-SSIM"), "{table}");
}

#[tokio::test]
async fn what_is_missing_is_named_with_its_source() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (sent, received) = (folder.path().join("sent"), folder.path().join("received"));
    let one = save(&sent, "one.png", &scene(40, 40, 1));
    let other = save(&received, "two.png", &scene(48, 40, 1));
    let text = folder.path().join("weights.pth");
    std::fs::write(&text, "no weights").expect("a file");
    let text = text.to_string_lossy();
    for (reference, received, flags, code, reason) in [
        (&sent, &received, vec![], 2, "one.png has no counterpart"),
        (&one, &received, vec![], 2, "two folders"),
        (&one, &other, vec![], 3, "one size"),
        (&one, &one, vec!["--lpips-backbone", &*text], 2, "PerceptualSimilarity"),
        (&sent, &sent, vec!["--lpips-backbone", &*text], 2, "squeezenet1_1"),
        (&one, &one, vec!["--niqe", "nowhere.npz"], 2, "niqe_pris_params.npz"),
        (&one, &one, vec!["--niqe", &*text], 2, "BasicSR"),
    ] {
        metrics(reference, received, &flags).await.expect_code(code).expect_errors(&["error: ", reason]);
    }
}
