//! Decoded photographs in one file, so that decoding happens once and any number of them fits beside little memory.
//!
//! Folders → a pack: pixels of all pictures one after the other, then an index of their sizes, its length and a key.
//! The key is a digest over names, sizes and times of the files in the folders: a pack that is not of these
//! folders is made anew.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Rgb};
use memmap2::Mmap;
use rayon::prelude::*;
use semcast_common::content::{Picture, file::decode_picture};
use sha2::{Digest, Sha256};

use super::TrainingError;

/// Pixels of the longer side at most: larger photographs are made smaller, for their finest detail is noise.
const LONGEST: u32 = 1536;
/// Pictures that are decoded at a time.
const AT_A_TIME: usize = 64;
const KEY: usize = 32;
/// Bytes of an index entry: folder, width, height, offset.
const ENTRY: usize = 20;
/// Format version, part of the key.
const VERSION: &[u8] = b"semcast pictures 1";

/// Where a picture lies in the pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The folder it came from, by number.
    pub folder: u32,
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// First byte.
    pub offset: u64,
}

impl Entry {
    /// Bytes of its pixels.
    pub fn length(&self) -> usize {
        3 * self.width as usize * self.height as usize
    }
}

/// An open pack.
pub struct Pack {
    map: Mmap,
    /// The pictures.
    pub entries: Vec<Entry>,
}

impl Pack {
    /// Opens the pack at `path` if it is of these folders, else makes it.
    pub fn open(folders: &[PathBuf], path: &Path) -> Result<Self, TrainingError> {
        let mut files = Vec::new();
        for (number, folder) in folders.iter().enumerate() {
            let mut found = Vec::new();
            list(folder, &mut found)?;
            found.sort();
            files.extend(found.into_iter().map(|file| (number as u32, file)));
        }
        let key = key(&files)?;
        if let Some(pack) = Self::read(path, &key)? {
            return Ok(pack);
        }
        make(&files, path, &key)?;
        Self::read(path, &key)?.ok_or_else(|| {
            TrainingError::Setting(format!("{}: the pictures changed while they were read", path.display()))
        })
    }

    /// RGB bytes of a picture.
    pub fn pixels(&self, entry: &Entry) -> &[u8] {
        &self.map[entry.offset as usize..][..entry.length()]
    }

    fn read(path: &Path, key: &[u8; KEY]) -> Result<Option<Self>, TrainingError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(TrainingError::io(path)(error)),
        };
        // SAFETY: the pack is ours and is only ever replaced by renaming another file to its name, so the mapped
        // file does not change. Whoever writes into it regardless gets wrong pixels, whose bytes are all valid.
        let map = unsafe { Mmap::map(&file) }.map_err(TrainingError::io(path))?;
        let Some(entries) = index(&map, key) else { return Ok(None) };
        Ok(Some(Self { map, entries }))
    }
}

/// The index at the end of a pack; none if it is of other pictures, or damaged.
fn index(bytes: &[u8], key: &[u8; KEY]) -> Option<Vec<Entry>> {
    let (rest, found) = bytes.split_last_chunk::<KEY>()?;
    let (rest, count) = rest.split_last_chunk::<8>()?;
    let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
    let pixels = rest.len().checked_sub(count.checked_mul(ENTRY)?)?;
    let entries: Vec<Entry> = rest[pixels..]
        .chunks_exact(ENTRY)
        .map(|entry| {
            let number =
                |at: usize| u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]);
            let offset = u64::from(number(12)) | u64::from(number(16)) << 32;
            Entry { folder: number(0), width: number(4), height: number(8), offset }
        })
        .collect();
    let inside = |entry: &Entry| {
        let values = u64::from(entry.width) * u64::from(entry.height);
        let end = values.checked_mul(3).and_then(|length| entry.offset.checked_add(length));
        end.is_some_and(|end| end <= pixels as u64)
    };
    (found == key && entries.iter().all(inside)).then_some(entries)
}

fn key(files: &[(u32, PathBuf)]) -> Result<[u8; KEY], TrainingError> {
    let mut hash = Sha256::new();
    hash.update(VERSION);
    for (folder, file) in files {
        let metadata = std::fs::metadata(file).map_err(TrainingError::io(file))?;
        let modified = metadata.modified().ok();
        let since = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        hash.update(folder.to_le_bytes());
        hash.update(file.to_string_lossy().as_bytes());
        hash.update(metadata.len().to_le_bytes());
        hash.update(since.map_or(0, |since| since.as_nanos()).to_le_bytes());
    }
    Ok(hash.finalize().into())
}

fn make(files: &[(u32, PathBuf)], path: &Path, key: &[u8; KEY]) -> Result<(), TrainingError> {
    // A name of its own: others may make the same pack at the same time.
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(TrainingError::io(folder))?;
    }
    let mut file = BufWriter::new(File::create(&fresh).map_err(TrainingError::io(&fresh))?);
    let mut entries = Vec::new();
    let mut offset = 0_u64;
    for some in files.chunks(AT_A_TIME) {
        let pictures: Vec<Option<Picture>> = some
            .par_iter()
            .map(|(_, file)| decode_picture(&std::fs::read(file).ok()?).ok().and_then(smaller))
            .collect();
        for ((folder, _), picture) in some.iter().zip(pictures) {
            // What is no picture is left out, as a folder may hold anything.
            let Some(picture) = picture else { continue };
            file.write_all(picture.rgb()).map_err(TrainingError::io(&fresh))?;
            entries.push(Entry { folder: *folder, width: picture.width(), height: picture.height(), offset });
            offset += picture.rgb().len() as u64;
        }
    }
    for entry in &entries {
        let mut bytes = Vec::with_capacity(ENTRY);
        [entry.folder, entry.width, entry.height].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
        bytes.extend(entry.offset.to_le_bytes());
        file.write_all(&bytes).map_err(TrainingError::io(&fresh))?;
    }
    file.write_all(&(entries.len() as u64).to_le_bytes()).map_err(TrainingError::io(&fresh))?;
    file.write_all(key).map_err(TrainingError::io(&fresh))?;
    file.flush().map_err(TrainingError::io(&fresh))?;
    drop(file);
    std::fs::rename(&fresh, path).map_err(TrainingError::io(path))
}

/// The picture with its longer side at most [`LONGEST`].
fn smaller(picture: Picture) -> Option<Picture> {
    let longest = picture.width().max(picture.height());
    if longest <= LONGEST {
        return Some(picture);
    }
    let scaled = |side: u32| (u64::from(side) * u64::from(LONGEST) / u64::from(longest)).max(1) as u32;
    let (width, height) = (scaled(picture.width()), scaled(picture.height()));
    let image: ImageBuffer<Rgb<u8>, _> =
        ImageBuffer::from_raw(picture.width(), picture.height(), picture.rgb().to_vec())?;
    let image = imageops::resize(&image, width, height, FilterType::Triangle);
    Picture::new(width, height, image.into_raw()).ok()
}

fn list(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), TrainingError> {
    for entry in std::fs::read_dir(folder).map_err(TrainingError::io(folder))? {
        let path = entry.map_err(TrainingError::io(folder))?.path();
        if path.is_dir() {
            list(&path, paths)?;
        } else if path.extension().is_some_and(|extension| {
            ["png", "jpg", "jpeg", "webp", "bmp"].iter().any(|known| extension.eq_ignore_ascii_case(known))
        }) {
            paths.push(path);
        }
    }
    Ok(())
}
