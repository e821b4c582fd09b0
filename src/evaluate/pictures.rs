//! Pictures of a race: which there are, by name and by what is in them. Pixels are decoded when their trials run.

use std::path::{Path, PathBuf};

use anyhow::Context;
use semcast_common::content::{Content, Picture, file, test_card};
use semcast_models::metrics::Labels;
use sha2::{Digest, Sha256};

use crate::exit::Failure;

const ENDINGS: [&str; 5] = ["png", "jpg", "jpeg", "webp", "bmp"];
/// Seed of the test card, as in `semcast loopback`.
const TEST_CARD: u64 = 1;

/// The pictures of a race.
pub struct PictureSet {
    /// Name of the folder, or what else they are.
    pub name: String,
    /// In the order of their numbers, then of their names.
    pub pictures: Vec<Entry>,
}

/// A picture.
#[derive(Debug)]
pub struct Entry {
    /// File name.
    pub name: String,
    /// First eight bytes of the file's SHA-256.
    pub digest: String,
    /// `None` for the test card.
    path: Option<PathBuf>,
    /// The map of its classes, if there are any, and the first eight bytes of that file's SHA-256.
    labels: Option<PathBuf>,
    pub labels_digest: Option<String>,
}

/// A picture, ready to be sent.
pub struct Loaded {
    /// Its pixels.
    pub content: Content,
    /// Bytes of its file.
    pub file_bytes: usize,
    /// What is at each pixel, if that is known.
    pub labels: Option<Labels>,
}

impl PictureSet {
    /// The first `limit` pictures of files and folders; the test card if none is named. `labels`: folder of label maps of
    /// the same names.
    pub fn find(paths: &[PathBuf], labels: Option<&Path>, limit: usize) -> anyhow::Result<Self> {
        if paths.is_empty() {
            let digest = digest(&test_card_file()?);
            if labels.is_some() {
                return Err(Failure::Usage("--labels needs --pictures that they are of".into()).into());
            }
            let card =
                Entry { name: "test card".into(), digest, path: None, labels: None, labels_digest: None };
            return Ok(Self { name: "test card".into(), pictures: vec![card] });
        }
        let mut files = Vec::new();
        for path in paths {
            if path.is_dir() {
                files.extend(folder(path)?);
            } else {
                files.push(path.clone());
            }
        }
        let name = match paths {
            [only] => file_name(only),
            _ => format!("{} pictures", files.len().min(limit)),
        };
        let pictures = files
            .into_iter()
            .take(limit)
            .map(|path| {
                let bytes = read(&path)?;
                // A file that is no picture is found now and not after an hour.
                file::decode_picture(&bytes).with_context(|| path.display().to_string())?;
                let map = labels
                    .map(|folder| folder.join(path.with_extension("png").file_name().unwrap_or_default()));
                let labels_digest = match &map {
                    Some(map) => {
                        let file = read(map)?;
                        labels_of(&file).with_context(|| map.display().to_string())?;
                        Some(digest(&file))
                    }
                    None => None,
                };
                let (name, digest) = (file_name(&path), digest(&bytes));
                Ok(Entry { name, digest, path: Some(path), labels: map, labels_digest })
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { name, pictures })
    }
}

impl Entry {
    /// Reads and decodes it.
    pub fn load(&self) -> anyhow::Result<Loaded> {
        let bytes = match &self.path {
            Some(path) => read(path)?,
            None => test_card_file()?,
        };
        let picture = file::decode_picture(&bytes).with_context(|| self.name.clone())?;
        let labels = match &self.labels {
            Some(path) => Some(labels_of(&read(path)?).with_context(|| path.display().to_string())?),
            None => None,
        };
        Ok(Loaded { content: Content::Picture(picture), file_bytes: bytes.len(), labels })
    }
}

impl Loaded {
    /// The picture that it is.
    pub fn picture(&self) -> anyhow::Result<&Picture> {
        match &self.content {
            Content::Picture(picture) => Ok(picture),
            _ => anyhow::bail!("only pictures are evaluated"),
        }
    }
}

/// The numbers of classes in a greyscale PNG.
fn labels_of(bytes: &[u8]) -> anyhow::Result<Labels> {
    let map = file::decode_picture(bytes)?;
    if map.rgb().chunks_exact(3).any(|pixel| pixel[0] != pixel[1] || pixel[1] != pixel[2]) {
        return Err(Failure::Content("a label map must be a greyscale PNG of numbers 0 to 255".into()).into());
    }
    let classes = map.rgb().iter().step_by(3).copied().collect();
    Ok(Labels { width: map.width(), height: map.height(), classes })
}

fn test_card_file() -> anyhow::Result<Vec<u8>> {
    Ok(file::encode_png(&test_card::draw(TEST_CARD)?)?)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    Ok(std::fs::read(path)
        .map_err(|error| Failure::Content(format!("cannot read {}: {error}", path.display())))?)
}

fn folder(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let unreadable =
        |error: std::io::Error| Failure::Content(format!("cannot read {}: {error}", path.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        if ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        let endings = ENDINGS.join(", ");
        return Err(Failure::Content(format!("{} has no pictures: {endings}", path.display())).into());
    }
    files.sort_by_cached_key(|path| {
        let name = file_name(path);
        let digits: String =
            name.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        (digits.parse::<u64>().unwrap_or(0), name)
    });
    Ok(files)
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use semcast_common::content::Picture;

    use super::*;

    #[test]
    fn a_folder_is_taken_in_the_order_of_its_numbers() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let png = file::encode_png(&Picture::new(4, 4, vec![7; 48]).expect("a picture")).expect("a file");
        for name in ["10.png", "2.png", "1.PNG", "notes.txt"] {
            std::fs::write(folder.path().join(name), &png).expect("a file");
        }
        let set = PictureSet::find(&[folder.path().into()], None, 2).expect("pictures");
        let names: Vec<_> = set.pictures.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["1.PNG", "2.png"]);
        assert_eq!(set.pictures[0].load().expect("a picture").file_bytes, png.len());
    }

    #[test]
    fn what_is_no_picture_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let empty = PictureSet::find(&[folder.path().into()], None, 9).map(|_| ()).expect_err("no pictures");
        assert!(empty.to_string().contains("jpeg"), "{empty}");
        let path = folder.path().join("letter.png");
        std::fs::write(&path, b"Dear reader").expect("a file");
        let error = PictureSet::find(&[path], None, 9).map(|_| ()).expect_err("no picture");
        assert!(format!("{error:#}").contains("letter.png"), "{error:#}");
    }
}
