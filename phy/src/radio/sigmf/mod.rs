//! Recordings in SigMF: a `.sigmf-data` file of samples and a `.sigmf-meta` file of JSON that tells what they are.
//!
//! - [`Metadata`]: the JSON. [`Datatype`]: how samples are written.
//! - [`Writer`]: samples → both files. [`Recorder`]: the same from a thread of its own.
//! - [`Reader`]: both files → samples. [`SigmfSource`]: a recording as a receiving radio; [`SigmfSink`]: as a transmitting one.
//! - [`RecordingSink`], [`RecordingSource`]: radios that record what passes through them.
//!
//! Written: `cf32_le`, `ci16_le`, `ci8`. Read: these and `cu8`, `cu16_le`, one channel, from this program or any other.
//! Integers are read as −1 to 1. What this program writes as integers has its full scale 12 dB above the amplitude 1.
//! A stretch that is missing begins a new capture, whose `core:global_index` tells how many samples that is.
//!
//! Reference: SigMF, The Signal Metadata Format Specification, version 1.2.0, <https://sigmf.org>.

mod datatype;
mod metadata;
mod reader;
mod recorder;
mod sink;
mod source;
mod writer;

use std::path::{Path, PathBuf};

pub use datatype::{Datatype, INTEGER_SCALE};
pub use metadata::{Annotation, Capture, MAX_METADATA_BYTES, Metadata};
pub use reader::Reader;
pub use recorder::{RecordConfig, Recorder, RecordingSink, RecordingSource};
pub use sink::SigmfSink;
pub use source::SigmfSource;
pub use writer::Writer;

/// Why a recording cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SigmfError {
    /// The file system.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The metadata is not SigMF, or of a kind that cannot be read.
    #[error("{path}: {reason}")]
    Metadata {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A recording at another rate.
    #[error(
        "{path}: {recorded_hz} samples/s, but this radio works at {wanted_hz}: resample the recording, or set \
         radio.sample_rate_hz (and with it the rest of [radio]) to what it was sent with"
    )]
    SampleRate {
        /// The metadata.
        path: PathBuf,
        /// What it says.
        recorded_hz: f64,
        /// What is needed.
        wanted_hz: f64,
    },
}

impl SigmfError {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, source }
    }
}

/// The two files of a recording that is named by either of them, or by what they have in common: metadata, samples.
pub fn files(path: &Path) -> (PathBuf, PathBuf) {
    let base = match path.extension().and_then(|ending| ending.to_str()) {
        Some("sigmf-meta" | "sigmf-data" | "sigmf") => path.with_extension(""),
        _ => path.to_path_buf(),
    };
    let with = |ending: &str| {
        let mut name = base.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    };
    (with(".sigmf-meta"), with(".sigmf-data"))
}

#[cfg(test)]
mod tests;
