//! Recordings of what goes into the channels and of what each receiver's channel gives.

use std::path::PathBuf;

use num_complex::Complex32;
use serde::{Deserialize, Serialize};

use super::{AirConfig, MAX_RECEIVERS, Pacing};
use crate::radio::sigmf::{Datatype, RecordConfig, Recorder, SigmfError};

/// Where an air records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AirRecord {
    /// What the names of the files begin with: `-in` follows for what goes into the channels, `-out0` and so on for what the
    /// receivers get.
    pub path: PathBuf,
    /// How samples are written.
    #[serde(default)]
    pub format: Datatype,
}

/// The recorders of an air.
#[derive(Debug)]
pub(super) struct Records {
    base: Option<RecordConfig>,
    input: Option<Recorder>,
    outputs: [Option<Recorder>; MAX_RECEIVERS],
}

impl Records {
    /// Starts the recording of what goes in; the others start with their receivers.
    pub fn start(config: &AirConfig) -> Result<Self, SigmfError> {
        let base = config.record.as_ref().map(|record| RecordConfig {
            path: record.path.clone(),
            datatype: record.format,
            sample_rate_hz: config.sample_rate_hz,
            frequency_hz: None,
            description: String::new(),
            // When time is not that of the clock, the disk may set the pace.
            wait: config.pacing == Pacing::Fast,
        });
        let input = base.as_ref().map(|base| Recorder::start(&named(base, "-in", "into the channels")));
        Ok(Self { input: input.transpose()?, base, outputs: [const { None }; MAX_RECEIVERS] })
    }

    /// Whether anything is recorded.
    pub fn are_on(&self) -> bool {
        self.base.is_some()
    }

    pub fn input(&self, index: u64, samples: &[Complex32]) {
        if let Some(recorder) = &self.input {
            recorder.record(index, samples);
        }
    }

    /// The last `count` samples were a burst.
    pub fn burst(&self, count: u64) {
        if let Some(recorder) = &self.input {
            recorder.annotate(count, "burst");
        }
    }

    pub fn output(&mut self, place: usize, index: u64, samples: &[Complex32]) {
        let Some(base) = &self.base else { return };
        if self.outputs[place].is_none() {
            let config =
                named(base, &format!("-out{place}"), &format!("out of the channel of receiver {place}"));
            match Recorder::start(&config) {
                Ok(recorder) => self.outputs[place] = Some(recorder),
                Err(error) => {
                    tracing::error!(%error, "what the receivers get is no longer recorded");
                    self.base = None;
                    return;
                }
            }
        }
        if let Some(recorder) = &self.outputs[place] {
            recorder.record(index, samples);
        }
    }
}

fn named(base: &RecordConfig, ending: &str, description: &str) -> RecordConfig {
    let mut path = base.path.clone().into_os_string();
    path.push(ending);
    RecordConfig {
        path: path.into(),
        description: format!("emulated air of semcast: what goes {description}"),
        ..base.clone()
    }
}
