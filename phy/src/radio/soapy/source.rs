//! The receiving side of a device: its stream → samples.

use std::time::{Duration, Instant};

use num_complex::Complex32;

use super::args::DeviceArgs;
use super::clock::StreamClock;
use super::dc::DcFilter;
use super::device::Device;
use super::plan::Plan;
use super::settings::{Direction, SoapySettings};
use super::statistics::{DeviceStatistics, Reporter};
use super::stream::{Fault, Stream};
use crate::radio::{RadioError, RadioSource, Received};

/// Wait of one call.
const PATIENCE: Duration = Duration::from_millis(100);
/// Between tries to open a device that is gone.
const REOPEN_PAUSE: Duration = Duration::from_millis(250);
/// Most samples of one read.
const MOST_AT_ONCE: usize = 16_384;

/// The receiving side of a device. It is opened again when it was lost and is back.
#[derive(Debug)]
pub struct SoapySource {
    args: DeviceArgs,
    settings: SoapySettings,
    open: Option<Open>,
    next_try: Instant,
    /// The stream runs.
    running: bool,
    /// Samples handed out so far: their index, whatever the device's own clock says.
    position: u64,
    /// To be told with the next samples.
    restarted: bool,
    lost_before: u64,
    statistics: DeviceStatistics,
    reporter: Reporter,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    stream: Stream,
    plan: Plan,
    clock: StreamClock,
    filter: Option<DcFilter>,
}

impl Open {
    fn new(args: &DeviceArgs, settings: &SoapySettings) -> Result<Self, RadioError> {
        let device = Device::open(args)?;
        let plan = device.plan(Direction::Receive, settings)?;
        device.apply(&plan)?;
        let stream = Stream::set_up(&device, &plan)?;
        let filter = plan.dc_filter.then(DcFilter::default);
        Ok(Self { stream, clock: StreamClock::new(plan.sample_rate_hz), filter, plan })
    }
}

impl SoapySource {
    /// Opens a device and sets it. Its stream starts with the first read, and again whenever it was lost.
    ///
    /// # Errors
    /// [`RadioError::Device`] and [`RadioError::Setting`]: it is not there, or cannot be set as asked.
    pub fn open(args: DeviceArgs, settings: SoapySettings) -> Result<Self, RadioError> {
        let open = Open::new(&args, &settings)?;
        tracing::info!(device = %args, "radio open");
        tracing::debug!(device = %args, plan = ?open.plan, "radio");
        Ok(Self {
            args,
            settings,
            open: Some(open),
            next_try: Instant::now(),
            running: false,
            position: 0,
            restarted: false,
            lost_before: 0,
            statistics: DeviceStatistics::default(),
            reporter: Reporter::default(),
            bytes: Vec::new(),
        })
    }

    /// What has happened so far.
    pub fn statistics(&self) -> DeviceStatistics {
        self.statistics
    }

    /// Opens and starts the device if need be; says whether it runs.
    fn ensure_running(&mut self) -> bool {
        let now = Instant::now();
        if self.open.is_none() && now < self.next_try {
            std::thread::sleep((self.next_try - now).min(PATIENCE));
            return false;
        }
        if self.open.is_none() {
            self.open = Open::new(&self.args, &self.settings).ok();
        }
        let Some(open) = &mut self.open else {
            self.next_try = Instant::now() + REOPEN_PAUSE;
            return false;
        };
        match open.stream.activate() {
            Ok(()) => {
                if !self.running && self.restarted {
                    tracing::info!(device = %self.args, "the radio is back");
                }
                self.running = true;
                true
            }
            Err(error) => {
                self.lose(&error.to_string());
                false
            }
        }
    }

    /// Closes the device until it is back.
    fn lose(&mut self, reason: &str) {
        // Told once, until it runs again.
        if self.running || !self.restarted {
            self.statistics.lost += 1;
            tracing::warn!(device = %self.args, reason, "the radio is lost, waiting for it");
        }
        self.open = None;
        self.running = false;
        self.restarted = true;
        self.next_try = Instant::now() + REOPEN_PAUSE;
    }
}

impl RadioSource for SoapySource {
    fn hears(&self) -> bool {
        self.running
    }

    fn receive(&mut self, out: &mut Vec<Complex32>) -> Result<Received, RadioError> {
        let nothing = Received { first_sample: self.position, ..Received::default() };
        if !self.ensure_running() {
            return Ok(nothing);
        }
        let Some(open) = &mut self.open else { return Ok(nothing) };
        let converter = open.plan.converter;
        let sample_bytes = converter.format().bytes();
        let most = open.stream.mtu.min(MOST_AT_ONCE);
        self.bytes.resize(most * sample_bytes, 0);
        let (result, marks) = open.stream.read(&mut self.bytes, sample_bytes, PATIENCE);
        let received = match result {
            Ok(samples) => {
                let missing = open.clock.arrived(marks.time_ns, samples);
                let start = out.len();
                self.statistics.clipped += converter.from_device(&self.bytes[..samples * sample_bytes], out);
                if let Some(filter) = &mut open.filter {
                    filter.filter(&mut out[start..]);
                }
                self.statistics.samples += samples as u64;
                self.statistics.missing_samples += missing;
                // With a time the gap is known; without, that there is one.
                let lost_before = if missing > 0 { missing } else { self.lost_before };
                if samples == 0 {
                    return Ok(nothing);
                }
                self.lost_before = 0;
                self.position += lost_before;
                let received = Received {
                    first_sample: self.position,
                    samples,
                    lost_before,
                    restarted: std::mem::take(&mut self.restarted),
                };
                self.position += samples as u64;
                received
            }
            Err(Fault::Timeout) => nothing,
            Err(Fault::Overflow) => {
                self.statistics.overflows += 1;
                self.lost_before = 1;
                nothing
            }
            Err(Fault::Corruption) => {
                self.statistics.corrupted += 1;
                self.lost_before = 1;
                nothing
            }
            Err(fault @ (Fault::Underflow | Fault::Late | Fault::NotSupported | Fault::Lost)) => {
                self.lose(&format!("reading failed ({fault:?})"));
                nothing
            }
        };
        if self.reporter.due(&self.statistics, Instant::now()) {
            tracing::warn!(device = %self.args, counts = %self.statistics, "radio");
        }
        Ok(received)
    }
}

impl Drop for SoapySource {
    fn drop(&mut self) {
        tracing::info!(device = %self.args, counts = %self.statistics, "radio closed");
    }
}
