//! A recording as a transmitting radio: bursts with silence around them, as an air that is not paced has it.

use std::path::Path;

use num_complex::Complex32;

use super::{Datatype, RecordConfig, Recorder, SigmfError};
use crate::radio::{RadioError, RadioSink};

/// Silence before and after each burst: a receiver's detector wants some before, its block processing some after.
const AROUND: [usize; 2] = [2048, 16_384];

/// Writes bursts to a recording of floats, without any channel.
#[derive(Debug)]
pub struct SigmfSink {
    recorder: Recorder,
    written: u64,
}

impl SigmfSink {
    /// Creates the recording, over what was there.
    ///
    /// # Errors
    /// [`SigmfError::Io`] when a file cannot be created.
    pub fn create(path: &Path, sample_rate_hz: f64) -> Result<Self, SigmfError> {
        let recorder = Recorder::start(&RecordConfig {
            path: path.to_path_buf(),
            datatype: Datatype::Cf32,
            sample_rate_hz,
            frequency_hz: None,
            description: "bursts of a transmitter of semcast, with silence around them".into(),
            wait: true,
        })?;
        Ok(Self { recorder, written: 0 })
    }

    fn record(&mut self, samples: &[Complex32]) {
        self.recorder.record(self.written, samples);
        self.written += samples.len() as u64;
    }
}

impl RadioSink for SigmfSink {
    fn send_burst(&mut self, samples: &[Complex32]) -> Result<(), RadioError> {
        let [before, after] = AROUND.map(|count| vec![Complex32::default(); count]);
        self.record(&before);
        self.record(samples);
        self.recorder.annotate(samples.len() as u64, "burst");
        self.record(&after);
        Ok(())
    }
}
