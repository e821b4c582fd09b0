//! The transmitting side of a device: bursts → its stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use num_complex::Complex32;

use super::args::DeviceArgs;
use super::device::Device;
use super::plan::Plan;
use super::settings::{Direction, SoapySettings};
use super::statistics::{DeviceStatistics, Reporter};
use super::stream::{Fault, Stream};
use crate::radio::{RadioError, RadioSink};

/// Times a burst is begun again after the device was lost or was late.
const ATTEMPTS: u32 = 4;
/// How long a device that is gone is waited for, by one burst.
const WAIT_FOR_DEVICE: Duration = Duration::from_secs(5);
/// Between tries to open a device that is gone.
const REOPEN_PAUSE: Duration = Duration::from_millis(250);
/// Wait of one call; then the stop flag is looked at.
const PATIENCE: Duration = Duration::from_millis(100);
/// A device that takes nothing for so long is gone.
const STALLED: Duration = Duration::from_secs(3);
/// How much longer than its own length a burst may take to be acknowledged.
const ACKNOWLEDGED: Duration = Duration::from_secs(2);

/// The transmitting side of a device. It is opened again when it was lost and is back.
#[derive(Debug)]
pub struct SoapySink {
    args: DeviceArgs,
    settings: SoapySettings,
    stop: Arc<AtomicBool>,
    open: Option<Open>,
    statistics: DeviceStatistics,
    reporter: Reporter,
    padded: Vec<Complex32>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    stream: Stream,
    device: Device,
    plan: Plan,
    /// The driver tells of the end of bursts.
    acknowledges: bool,
}

/// How an attempt ended that has not failed for good.
enum Outcome {
    Sent,
    Late,
    Lost(String),
}

impl SoapySink {
    /// Opens a device and sets it.
    ///
    /// # Errors
    /// [`RadioError::Device`] and [`RadioError::Setting`]: it is not there, or cannot be set as asked.
    pub fn open(
        args: DeviceArgs,
        settings: SoapySettings,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, RadioError> {
        let open = Open::new(&args, &settings)?;
        tracing::info!(device = %args, "radio open");
        tracing::debug!(device = %args, plan = ?open.plan, "radio");
        Ok(Self {
            args,
            settings,
            stop,
            open: Some(open),
            statistics: DeviceStatistics::default(),
            reporter: Reporter::default(),
            padded: Vec::new(),
            bytes: Vec::new(),
        })
    }

    /// What has happened so far.
    pub fn statistics(&self) -> DeviceStatistics {
        self.statistics
    }

    /// Opens the device again if it was lost.
    fn ensure_open(&mut self) -> Result<(), RadioError> {
        let until = Instant::now() + WAIT_FOR_DEVICE;
        while self.open.is_none() {
            if self.stop.load(Ordering::Relaxed) {
                return Err(RadioError::Stopped);
            }
            match Open::new(&self.args, &self.settings) {
                Ok(open) => {
                    tracing::info!(device = %self.args, "the radio is open again");
                    self.open = Some(open);
                }
                Err(error) if Instant::now() >= until => return Err(error),
                Err(_) => std::thread::sleep(REOPEN_PAUSE),
            }
        }
        Ok(())
    }

    fn attempt(&mut self, samples: &[Complex32]) -> Result<Outcome, RadioError> {
        self.ensure_open()?;
        let Some(open) = &mut self.open else { return Ok(Outcome::Lost("it is closed".into())) };
        let silence = open.plan.padding.around(samples.len(), open.stream.mtu);
        let burst = if silence.before + silence.after == 0 {
            samples
        } else {
            self.padded.clear();
            self.padded.resize(silence.before, Complex32::default());
            self.padded.extend_from_slice(samples);
            self.padded.resize(silence.before + samples.len() + silence.after, Complex32::default());
            &self.padded
        };
        if let Err(error) = open.stream.activate() {
            return Ok(Outcome::Lost(error.to_string()));
        }
        let length = Duration::from_secs_f64(burst.len() as f64 / open.plan.sample_rate_hz);
        let started = Instant::now();
        let outcome = open.write(burst, &mut self.bytes, &mut self.statistics, &self.stop)?;
        let outcome = match outcome {
            Outcome::Sent => open.wait_for_end(started, length, &mut self.statistics, &self.stop)?,
            failed => failed,
        };
        if open.plan.padding.restarts() {
            open.stream.deactivate();
        }
        Ok(outcome)
    }

    fn report(&mut self) {
        if self.reporter.due(&self.statistics, Instant::now()) {
            tracing::warn!(device = %self.args, counts = %self.statistics, "radio");
        }
    }
}

impl Open {
    fn new(args: &DeviceArgs, settings: &SoapySettings) -> Result<Self, RadioError> {
        let device = Device::open(args)?;
        let plan = device.plan(Direction::Transmit, settings)?;
        device.apply(&plan)?;
        let stream = Stream::set_up(&device, &plan)?;
        Ok(Self { stream, device, plan, acknowledges: true })
    }

    /// Writes a burst, in pieces that the device takes.
    fn write(
        &mut self,
        burst: &[Complex32],
        bytes: &mut Vec<u8>,
        statistics: &mut DeviceStatistics,
        stop: &AtomicBool,
    ) -> Result<Outcome, RadioError> {
        let converter = self.plan.converter;
        let sample_bytes = converter.format().bytes();
        let time_ns = self.plan.ahead_ns.map(|ahead| self.device.time_ns().saturating_add(ahead));
        let mut moved = Instant::now();
        let mut written = 0;
        for (number, piece) in burst.chunks(self.stream.mtu).enumerate() {
            statistics.clipped += converter.to_device(piece, self.plan.amplitude, bytes);
            let last = (number + 1) * self.stream.mtu >= burst.len();
            let mut taken = 0;
            while taken < piece.len() {
                if stop.load(Ordering::Relaxed) {
                    return Err(RadioError::Stopped);
                }
                let time = time_ns.filter(|_| written == 0);
                match self.stream.write(&bytes[taken * sample_bytes..], sample_bytes, time, last, PATIENCE) {
                    Ok(0) | Err(Fault::Timeout) if moved.elapsed() > STALLED => {
                        return Ok(Outcome::Lost("it takes no samples".into()));
                    }
                    Ok(0) | Err(Fault::Timeout) => {}
                    Ok(count) => {
                        taken += count;
                        written += count;
                        statistics.samples += count as u64;
                        moved = Instant::now();
                    }
                    Err(Fault::Underflow) => statistics.underflows += 1,
                    Err(Fault::Late) => return Ok(Outcome::Late),
                    Err(Fault::Corruption | Fault::Overflow) => statistics.corrupted += 1,
                    Err(Fault::NotSupported | Fault::Lost) => {
                        return Ok(Outcome::Lost("it reports an error".into()));
                    }
                }
            }
        }
        Ok(Outcome::Sent)
    }

    /// Waits until a burst has gone out, by the driver's word or else by the clock.
    fn wait_for_end(
        &mut self,
        started: Instant,
        length: Duration,
        statistics: &mut DeviceStatistics,
        stop: &AtomicBool,
    ) -> Result<Outcome, RadioError> {
        let ahead = Duration::from_nanos(self.plan.ahead_ns.unwrap_or(0).unsigned_abs());
        let played = started + ahead + length;
        // Stopped for each burst, it must not be so before all has left its buffers.
        let by_clock = !self.acknowledges || self.plan.padding.restarts();
        let patience = if by_clock { played } else { played.max(Instant::now()) + ACKNOWLEDGED };
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(RadioError::Stopped);
            }
            let left = patience.saturating_duration_since(Instant::now());
            let (status, marks) = self.stream.status(left.min(PATIENCE));
            match status {
                Ok(()) if marks.end_burst => return Ok(Outcome::Sent),
                Ok(()) => {}
                Err(Fault::Timeout) if left.is_zero() => {
                    if !by_clock {
                        // A driver that never says so: from now on the clock has to do.
                        tracing::debug!("the driver does not acknowledge bursts");
                        self.acknowledges = false;
                    }
                    return Ok(Outcome::Sent);
                }
                Err(Fault::Timeout) => {}
                Err(Fault::NotSupported) => {
                    self.acknowledges = false;
                    if self.plan.padding.restarts() {
                        std::thread::sleep(left);
                    }
                    return Ok(Outcome::Sent);
                }
                Err(Fault::Underflow) => statistics.underflows += 1,
                Err(Fault::Late) => return Ok(Outcome::Late),
                Err(Fault::Corruption | Fault::Overflow) => statistics.corrupted += 1,
                Err(Fault::Lost) => return Ok(Outcome::Lost("it lost the burst".into())),
            }
        }
    }
}

impl RadioSink for SoapySink {
    fn send_burst(&mut self, samples: &[Complex32]) -> Result<(), RadioError> {
        if samples.is_empty() {
            return Ok(());
        }
        let mut reason = "its time had passed each time".to_string();
        for _ in 0..ATTEMPTS {
            let outcome = self.attempt(samples);
            self.report();
            match outcome? {
                Outcome::Sent => {
                    self.statistics.bursts += 1;
                    return Ok(());
                }
                Outcome::Late => {
                    self.statistics.late += 1;
                    tracing::warn!(device = %self.args, "a burst was late, sending it again");
                }
                Outcome::Lost(why) => {
                    tracing::warn!(device = %self.args, reason = why, "the radio is lost, opening it again");
                    reason = why;
                    self.statistics.lost += 1;
                    self.open = None;
                    std::thread::sleep(REOPEN_PAUSE);
                }
            }
        }
        Err(RadioError::Device { device: self.args.to_string(), doing: "send a burst", reason })
    }
}

impl Drop for SoapySink {
    fn drop(&mut self) {
        tracing::info!(device = %self.args, counts = %self.statistics, "radio closed");
    }
}
