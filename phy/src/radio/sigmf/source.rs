//! A recording as a receiving radio.

use std::path::Path;

use num_complex::Complex32;

use super::{Reader, SigmfError};
use crate::radio::{RadioError, RadioSource, Received};

/// Samples of one call.
const PIECE: usize = 4096;
/// Silence after the last sample: enough for what was recorded up to its end to leave a receiver's block processing.
const TAIL_SAMPLES: usize = 65_536;
/// Largest difference of sample rates that is none.
const RATE_TOLERANCE: f64 = 1e-6;

/// Gives the samples of a recording, as fast as they are taken, and then nothing.
#[derive(Debug)]
pub struct SigmfSource {
    reader: Reader,
    next: u64,
    tail: usize,
}

impl SigmfSource {
    /// Opens a recording at the rate of the receiver.
    ///
    /// # Errors
    /// [`SigmfError::SampleRate`] if it was recorded at another one; others when it cannot be read.
    pub fn open(path: &Path, sample_rate_hz: f64) -> Result<Self, SigmfError> {
        let reader = Reader::open(path)?;
        let recorded_hz = reader.metadata().sample_rate_hz;
        if (recorded_hz / sample_rate_hz - 1.0).abs() > RATE_TOLERANCE {
            let path = super::files(path).0;
            return Err(SigmfError::SampleRate { path, recorded_hz, wanted_hz: sample_rate_hz });
        }
        Ok(Self { reader, next: 0, tail: TAIL_SAMPLES })
    }

    /// Samples of the recording.
    pub fn total_samples(&self) -> u64 {
        self.reader.total_samples()
    }
}

impl RadioSource for SigmfSource {
    fn receive(&mut self, out: &mut Vec<Complex32>) -> Result<Received, RadioError> {
        if !self.reader.is_at_end() {
            let stretch = self.reader.read(PIECE, out)?;
            self.next = stretch.first_sample + stretch.samples as u64;
            if self.reader.is_intact() == Some(false) {
                tracing::warn!("the samples are not those that core:sha512 was counted over");
            }
            return Ok(Received {
                first_sample: stretch.first_sample,
                samples: stretch.samples,
                lost_before: stretch.lost_before,
                restarted: false,
            });
        }
        if self.has_ended() {
            // As a radio on which nothing arrives.
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let samples = self.tail.min(PIECE);
        self.tail -= samples;
        out.resize(out.len() + samples, Complex32::default());
        let first_sample = self.next;
        self.next += samples as u64;
        Ok(Received { first_sample, samples, ..Received::default() })
    }

    fn has_ended(&self) -> bool {
        self.reader.is_at_end() && self.tail == 0
    }
}
