//! The two files of a recording → samples, in stretches without gaps.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use num_complex::Complex32;
use sha2::{Digest, Sha512};

use super::{MAX_METADATA_BYTES, Metadata, SigmfError, files};

/// A recording that is being read.
#[derive(Debug)]
pub struct Reader {
    metadata: Metadata,
    data_path: PathBuf,
    data: BufReader<File>,
    hash: Sha512,
    /// Samples read, and all there are.
    position: u64,
    total: u64,
    /// Capture that is read, or the next one at its very beginning.
    capture: usize,
    bytes: Vec<u8>,
}

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Index of the first sample in the stream that was recorded.
    pub first_sample: u64,
    /// Samples appended.
    pub samples: usize,
    /// Samples that the recording lacks right before them.
    pub lost_before: u64,
}

impl Reader {
    /// Opens a recording, named by either file or by what they have in common.
    ///
    /// # Errors
    /// [`SigmfError`] names the file and what is wrong.
    pub fn open(path: &Path) -> Result<Self, SigmfError> {
        let (metadata_path, data_path) = files(path);
        let mut text = Vec::new();
        File::open(&metadata_path)
            .and_then(|file| file.take(MAX_METADATA_BYTES + 1).read_to_end(&mut text))
            .map_err(SigmfError::io(&metadata_path))?;
        let refused = |reason| SigmfError::Metadata { path: metadata_path.clone(), reason };
        let metadata = Metadata::parse(&text).map_err(refused)?;
        let file = File::open(&data_path).map_err(SigmfError::io(&data_path))?;
        let length = file.metadata().map_err(SigmfError::io(&data_path))?.len();
        Ok(Self {
            // A last sample of which a part is missing is left out.
            total: length / metadata.datatype.bytes() as u64,
            metadata,
            data_path,
            data: BufReader::with_capacity(1 << 18, file),
            hash: Sha512::new(),
            position: 0,
            capture: 0,
            bytes: Vec::new(),
        })
    }

    /// What is known of the recording.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Samples in the file.
    pub fn total_samples(&self) -> u64 {
        self.total
    }

    /// Whether all were read.
    pub fn is_at_end(&self) -> bool {
        self.position == self.total
    }

    /// Index in the stream of a sample of the file.
    fn global(&self, capture: usize, position: u64) -> u64 {
        match self.metadata.captures.get(capture) {
            Some(capture) => {
                let first = capture.global_index.unwrap_or(capture.sample_start);
                first.saturating_add(position.saturating_sub(capture.sample_start))
            }
            None => position,
        }
    }

    /// Appends up to `most` samples, none at the end.
    ///
    /// # Errors
    /// [`SigmfError::Io`] names the file.
    pub fn read(&mut self, most: usize, out: &mut Vec<Complex32>) -> Result<Stretch, SigmfError> {
        let captures = &self.metadata.captures;
        let mut lost_before = 0;
        // Captures that begin here; the first one begins with the file, whatever it says.
        while captures.get(self.capture + 1).is_some_and(|next| next.sample_start <= self.position) {
            let before = self.global(self.capture, self.position);
            self.capture += 1;
            lost_before += self.global(self.capture, self.position).saturating_sub(before);
        }
        let end = captures.get(self.capture + 1).map_or(self.total, |next| next.sample_start.min(self.total));
        let samples = (end - self.position).min(most as u64) as usize;
        let length = samples * self.metadata.datatype.bytes();
        self.bytes.resize(length, 0);
        self.data.read_exact(&mut self.bytes).map_err(SigmfError::io(&self.data_path))?;
        self.hash.update(&self.bytes);
        self.metadata.datatype.read(&self.bytes, out);
        let first_sample = self.global(self.capture, self.position);
        self.position += samples as u64;
        Ok(Stretch { first_sample, samples, lost_before })
    }

    /// Whether the data is that which was hashed, once all was read; none if that is not known.
    pub fn is_intact(&self) -> Option<bool> {
        let expected = self.metadata.sha512.as_ref().filter(|_| self.is_at_end())?;
        let actual: String = self.hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Some(actual == *expected)
    }
}
