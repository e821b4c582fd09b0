//! Flags that say what is to be kept of a picture, and how they become an intent.

use std::path::Path;

use anyhow::Context;
use clap::Args;
use semcast_common::{
    content::file,
    intent::{Importance, Intent, Keep, MAX_CLASSES, Preserve, Purpose, Raster},
};

use crate::exit::Failure;

/// What is to be kept of a picture; for the systems sct-modular and sct-integrated.
#[derive(Args, Clone, Debug, Default)]
pub struct Semantics {
    /// Regions of a picture that are sent: overall (all that the rate has room for), selective (what matters; the receiver
    /// makes up the rest from a map),
    /// auto (by how much their importances differ)
    #[arg(long, value_name = "WHICH")]
    mode: Option<Preserve>,
    /// Whom a picture is for: people or machine
    #[arg(long = "for", value_name = "WHOM")]
    purpose: Option<Purpose>,
    /// What makes a region important: entropy, saliency, gradcam; mix: entropy and twice saliency for people, or
    /// gradcam for a machine; mix:E,S,G: so many parts of each; or a picture file, bright where it matters
    #[arg(long, value_name = "WHAT|FILE")]
    importance: Option<String>,
    /// Regions to keep: classes, as in person,car, or a picture file, bright over what is to be kept
    #[arg(long, value_name = "CLASSES|FILE")]
    keep: Option<String>,
}

impl Semantics {
    /// What the sender wants; files are read.
    pub fn intent(&self) -> anyhow::Result<Intent> {
        let importance = match self.importance.as_deref() {
            None => Importance::default(),
            Some(text) => match Importance::from_name(text) {
                Some(importance) => importance,
                None => Importance::Map(raster("--importance", text)?),
            },
        };
        let keep = match self.keep.as_deref() {
            None => None,
            Some(text) if Path::new(text).extension().is_some() => Some(Keep::Mask(raster("--keep", text)?)),
            Some(text) => {
                let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
                Some(Keep::Classes(names))
            }
        };
        let intent = Intent {
            preserve: self.mode.unwrap_or_default(),
            purpose: self.purpose.unwrap_or_default(),
            importance,
            keep,
        };
        intent.check().map_err(|error| {
            Failure::Usage(format!("--keep: {error}; name at most {MAX_CLASSES} classes, or a picture file"))
        })?;
        Ok(intent)
    }
}

/// A picture file as a small grey map.
fn raster(flag: &str, path: &str) -> anyhow::Result<Raster> {
    let names = Importance::NAMES.join(", ");
    let hint =
        if flag == "--importance" { format!(" (one of {names}, or a picture file)") } else { String::new() };
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::Usage(format!("{flag}: cannot read {path}{hint}: {error}")))?;
    let picture = file::decode_picture(&bytes).with_context(|| format!("{flag} {path}"))?;
    Ok(Raster::of(&picture))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_files_and_classes_are_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mask.png");
        let white = semcast_common::content::Picture::new(4, 2, vec![255; 24]).expect("a picture");
        std::fs::write(&path, file::encode_png(&white).expect("a file")).expect("written");
        let path = path.to_string_lossy().into_owned();
        let semantics = Semantics {
            importance: Some("saliency".into()),
            keep: Some("person, car".into()),
            mode: Some(Preserve::Selective),
            ..Semantics::default()
        };
        let intent = semantics.intent().expect("an intent");
        assert_eq!(intent.importance, Importance::Saliency);
        assert_eq!(intent.keep, Some(Keep::Classes(vec!["person".into(), "car".into()])));
        let mask = Raster { width: 4, height: 2, values: vec![255; 8] };
        let semantics =
            Semantics { importance: Some(path.clone()), keep: Some(path), ..Semantics::default() };
        let intent = semantics.intent().expect("an intent");
        assert_eq!((intent.importance, intent.keep), (Importance::Map(mask.clone()), Some(Keep::Mask(mask))));
        let wrong = Semantics { importance: Some("beauty".into()), ..Semantics::default() };
        assert!(wrong.intent().expect_err("no such name").to_string().contains("gradcam"));
        let wrong = Semantics { keep: Some(",".into()), ..Semantics::default() };
        assert!(wrong.intent().is_err());
    }
}
