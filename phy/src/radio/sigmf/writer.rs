//! Samples → the two files of a recording, with the hash of the data counted on the way.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use num_complex::Complex32;
use sha2::{Digest, Sha512};

use super::metadata::iso_8601;
use super::{Annotation, Capture, Datatype, Metadata, SigmfError, files};

/// Most captures of a recording; later gaps are not told apart.
const MAX_CAPTURES: usize = 50_000;

/// A recording that is being written. The metadata is there from the start, so that what was recorded is readable if the
/// process is killed; hash and annotations come with [`Self::finish`].
#[derive(Debug)]
pub struct Writer {
    metadata: Metadata,
    frequency_hz: Option<f64>,
    metadata_path: PathBuf,
    data_path: PathBuf,
    data: File,
    hash: Sha512,
    written: u64,
    /// Index in the stream that the next sample should have.
    expected: Option<u64>,
    bytes: Vec<u8>,
}

impl Writer {
    /// Creates both files, over what was there. `path` names either, or what they have in common.
    ///
    /// # Errors
    /// [`SigmfError::Io`] names the file.
    pub fn create(
        path: &Path,
        datatype: Datatype,
        sample_rate_hz: f64,
        frequency_hz: Option<f64>,
        description: &str,
    ) -> Result<Self, SigmfError> {
        let (metadata_path, data_path) = files(path);
        if let Some(folder) = data_path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(SigmfError::io(folder))?;
        }
        let data = File::create(&data_path).map_err(SigmfError::io(&data_path))?;
        let metadata = Metadata {
            datatype,
            sample_rate_hz,
            description: Some(description.to_owned()),
            sha512: None,
            captures: Vec::new(),
            annotations: Vec::new(),
        };
        let writer = Self {
            metadata,
            frequency_hz,
            metadata_path,
            data_path,
            data,
            hash: Sha512::new(),
            written: 0,
            expected: None,
            bytes: Vec::new(),
        };
        writer.write_metadata()?;
        Ok(writer)
    }

    /// Samples written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Appends samples; `index` is that of the first one in the stream. One that does not follow on the last begins a new capture.
    ///
    /// # Errors
    /// [`SigmfError::Io`] names the file.
    pub fn push(&mut self, index: u64, samples: &[Complex32]) -> Result<(), SigmfError> {
        if samples.is_empty() {
            return Ok(());
        }
        if self.expected != Some(index) && self.metadata.captures.len() < MAX_CAPTURES {
            self.metadata.captures.push(Capture {
                sample_start: self.written,
                global_index: Some(index),
                frequency_hz: self.frequency_hz,
                datetime: Some(iso_8601(SystemTime::now())),
            });
            self.write_metadata()?;
        }
        for part in samples.chunks(8192) {
            self.bytes.clear();
            self.metadata.datatype.write(part, &mut self.bytes);
            self.data.write_all(&self.bytes).map_err(SigmfError::io(&self.data_path))?;
            self.hash.update(&self.bytes);
        }
        self.written += samples.len() as u64;
        self.expected = Some(index + samples.len() as u64);
        Ok(())
    }

    /// Notes something about the last `count` samples written.
    pub fn annotate(&mut self, count: u64, label: &str) {
        if self.metadata.annotations.len() < MAX_CAPTURES {
            let sample_start = self.written.saturating_sub(count);
            let annotation = Annotation { sample_start, sample_count: count, label: label.to_owned() };
            self.metadata.annotations.push(annotation);
        }
    }

    /// Completes the metadata; returns the samples written.
    ///
    /// # Errors
    /// [`SigmfError::Io`] names the file.
    pub fn finish(mut self) -> Result<u64, SigmfError> {
        let hash = std::mem::take(&mut self.hash).finalize();
        self.metadata.sha512 = Some(hash.iter().map(|byte| format!("{byte:02x}")).collect());
        self.write_metadata()?;
        Ok(self.written)
    }

    fn write_metadata(&self) -> Result<(), SigmfError> {
        std::fs::write(&self.metadata_path, self.metadata.to_json())
            .map_err(SigmfError::io(&self.metadata_path))
    }
}
