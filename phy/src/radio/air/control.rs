//! A running air from outside: its settings, to read and to change, and pictures of its spectrum.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use num_complex::Complex32;
use serde::Serialize;

use super::config::add;
use super::spectrum::spectrum_db;
use super::{AirMonitor, AirSettings, AirStats, ChangeError, Pacing};

/// Samples that a picture of the spectrum is made of.
const SNAPSHOT_SAMPLES: usize = 16_384;

/// What the outside and the engine have in common.
#[derive(Debug)]
pub(super) struct Live {
    settings: Mutex<AirSettings>,
    generation: AtomicU64,
    wanted: AtomicBool,
    snapshot: Mutex<Snapshot>,
}

/// The same stretch of time before and behind the first receiver's channel.
#[derive(Debug, Default, Clone)]
struct Snapshot {
    end: u64,
    input: Vec<Complex32>,
    output: Vec<Complex32>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    pub fn new(settings: AirSettings) -> Self {
        Self {
            settings: Mutex::new(settings),
            generation: AtomicU64::new(0),
            wanted: AtomicBool::new(false),
            snapshot: Mutex::default(),
        }
    }

    /// The settings, and a number that is another one after each change.
    pub fn settings(&self) -> (AirSettings, u64) {
        let settings = lock(&self.settings);
        (settings.clone(), self.generation.load(Ordering::Acquire))
    }

    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}

/// Gathers a stretch of samples when somebody wants to see one. Costs a look at a flag when nobody does.
#[derive(Debug, Default)]
pub(super) struct Scope {
    begun: Option<Snapshot>,
}

impl Scope {
    /// Whether samples should be offered; a stretch begins with a signal, if `signal` tells where there is one.
    pub fn is_open(&mut self, live: &Live, signal: bool) -> bool {
        if self.begun.is_none() && signal && live.wanted.load(Ordering::Relaxed) {
            self.begun = Some(Snapshot::default());
        }
        self.begun.is_some()
    }

    /// Takes what went in.
    pub fn input(&mut self, samples: &[Complex32]) {
        if let Some(begun) = &mut self.begun {
            let room = SNAPSHOT_SAMPLES - begun.input.len();
            begun.input.extend_from_slice(&samples[..room.min(samples.len())]);
        }
    }

    /// Takes what came out for it at the first receiver.
    pub fn output(&mut self, samples: &[Complex32]) {
        if let Some(begun) = &mut self.begun {
            let room = SNAPSHOT_SAMPLES - begun.output.len();
            begun.output.extend_from_slice(&samples[..room.min(samples.len())]);
        }
    }

    /// Hands a full stretch over; `end` is the index after its last sample.
    pub fn close(&mut self, live: &Live, end: u64) {
        if let Some(mut begun) = self.begun.take_if(|begun| begun.input.len() == SNAPSHOT_SAMPLES) {
            begun.end = end;
            *lock(&live.snapshot) = begun;
            live.wanted.store(false, Ordering::Relaxed);
        }
    }
}

/// Spectra of what passed through.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spectrum {
    /// Index of the sample after the last one looked at.
    pub end_sample: u64,
    /// Samples per second: the bins cover it from −fs/2 up.
    pub sample_rate_hz: f64,
    /// Of what transmitters sent; 0 dB is the density of white noise of power 1.
    pub input_db: Vec<f32>,
    /// Of what the first receiver got; empty if nobody listened.
    pub output_db: Vec<f32>,
}

/// A handle to a running air, from any thread.
#[derive(Debug, Clone)]
pub struct AirControl {
    pub(super) live: Arc<Live>,
    pub(super) monitor: AirMonitor,
    pub(super) sample_rate_hz: f64,
    pub(super) pacing: Pacing,
}

impl AirControl {
    /// Samples per second.
    pub fn sample_rate_hz(&self) -> f64 {
        self.sample_rate_hz
    }

    /// What drives time.
    pub fn pacing(&self) -> Pacing {
        self.pacing
    }

    /// The figures now.
    pub fn stats(&self) -> AirStats {
        self.monitor.stats()
    }

    /// The settings now.
    pub fn settings(&self) -> AirSettings {
        self.live.settings().0
    }

    /// Changes settings, from the next samples on, by a JSON merge patch; returns all of them after it.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing is changed then.
    pub fn change(&self, change: &[u8]) -> Result<AirSettings, ChangeError> {
        let settings = lock(&self.live.settings);
        let after = settings.merged(change, self.sample_rate_hz)?;
        self.set(settings, after.clone());
        Ok(after)
    }

    /// Sets all settings, from the next samples on; what the JSON does not name has its default then.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing is changed then.
    pub fn replace(&self, settings: &[u8]) -> Result<AirSettings, ChangeError> {
        let after = AirSettings::default().merged(settings, self.sample_rate_hz)?;
        self.set(lock(&self.live.settings), after.clone());
        Ok(after)
    }

    fn set(&self, mut settings: MutexGuard<'_, AirSettings>, after: AirSettings) {
        if after != *settings {
            let at = self.stats().time_samples;
            tracing::info!(at_sample = at, channel = ?after.channel, faults = ?after.faults, "settings changed");
            *settings = after;
            self.live.generation.fetch_add(1, Ordering::Release);
            add(&self.monitor.0.changes, 1);
        }
    }

    /// The latest spectra, and a wish for newer ones; none before the first.
    pub fn spectrum(&self, bins: usize) -> Option<Spectrum> {
        let snapshot = lock(&self.live.snapshot).clone();
        self.live.wanted.store(true, Ordering::Relaxed);
        (!snapshot.input.is_empty()).then(|| Spectrum {
            end_sample: snapshot.end,
            sample_rate_hz: self.sample_rate_hz,
            input_db: spectrum_db(&snapshot.input, bins),
            output_db: spectrum_db(&snapshot.output, bins),
        })
    }
}
