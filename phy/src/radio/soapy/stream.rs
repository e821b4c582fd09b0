//! A stream of a device: reads, writes and status, with their flags.

use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::sync::Once;
use std::time::Duration;

use soapysdr_sys as sys;

use super::device::Device;
use super::plan::Plan;
use crate::radio::RadioError;

/// A stream that is set up; it is stopped and closed when dropped.
#[derive(Debug)]
pub(super) struct Stream {
    device: Device,
    raw: *mut sys::SoapySDRStream,
    active: bool,
    /// Most samples in one read or write.
    pub(super) mtu: usize,
}

// SAFETY: SoapySDR lets any thread use a stream, one at a time; every call here takes `&mut self`.
unsafe impl Send for Stream {}

/// What went wrong in a read, a write or since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing in time.
    Timeout,
    /// Samples were not read in time and are lost.
    Overflow,
    /// Samples were not written in time.
    Underflow,
    /// The time of a burst had passed.
    Late,
    /// The link to the device lost or swapped packets.
    Corruption,
    /// The driver does not do this.
    NotSupported,
    /// The device is gone, or says so.
    Lost,
}

impl Fault {
    fn of(code: c_int) -> Self {
        match code {
            sys::SOAPY_SDR_TIMEOUT => Self::Timeout,
            sys::SOAPY_SDR_OVERFLOW => Self::Overflow,
            sys::SOAPY_SDR_UNDERFLOW => Self::Underflow,
            sys::SOAPY_SDR_TIME_ERROR => Self::Late,
            sys::SOAPY_SDR_CORRUPTION => Self::Corruption,
            sys::SOAPY_SDR_NOT_SUPPORTED => Self::NotSupported,
            _ => Self::Lost,
        }
    }
}

/// Flags and time that came with a read or a status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// Time of the first sample in ns.
    pub time_ns: Option<i64>,
    /// The end of a burst.
    pub end_burst: bool,
}

impl Marks {
    fn of(flags: c_int, time_ns: i64) -> Self {
        let has = |flag: u32| flags & flag as c_int != 0;
        Self {
            time_ns: has(sys::SOAPY_SDR_HAS_TIME).then_some(time_ns),
            end_burst: has(sys::SOAPY_SDR_END_BURST),
        }
    }
}

impl Stream {
    /// Sets up a stream for a plan that was applied to the device.
    pub fn set_up(device: &Device, plan: &Plan) -> Result<Self, RadioError> {
        let raw = device.set_up_stream(plan)?;
        // SAFETY: device and stream are open.
        let mtu = unsafe { sys::SoapySDRDevice_getStreamMTU(device.handle.raw, raw) };
        Ok(Self { device: device.clone(), raw, active: false, mtu: mtu.clamp(1, 1 << 20) })
    }

    /// Starts it, if it is not running.
    pub fn activate(&mut self) -> Result<(), RadioError> {
        if self.active {
            return Ok(());
        }
        // SAFETY: device and stream are open.
        let status = unsafe { sys::SoapySDRDevice_activateStream(self.device.handle.raw, self.raw, 0, 0, 0) };
        if status != 0 {
            return Err(self.device.error("start its stream", reason(status)));
        }
        self.active = true;
        Ok(())
    }

    /// Stops it.
    pub fn deactivate(&mut self) {
        if std::mem::take(&mut self.active) {
            // SAFETY: device and stream are open. A failure leaves nothing to do.
            unsafe { sys::SoapySDRDevice_deactivateStream(self.device.handle.raw, self.raw, 0, 0) };
        }
    }

    /// Reads samples of `sample_bytes` bytes each into `bytes`; returns how many.
    pub fn read(
        &mut self,
        bytes: &mut [u8],
        sample_bytes: usize,
        timeout: Duration,
    ) -> (Result<usize, Fault>, Marks) {
        let samples = bytes.len() / sample_bytes;
        let buffers = [bytes.as_mut_ptr().cast::<c_void>()];
        let (mut flags, mut time_ns) = (0, 0);
        // SAFETY: the buffer holds `samples` samples of the stream's format.
        let status = unsafe {
            sys::SoapySDRDevice_readStream(
                self.device.handle.raw,
                self.raw,
                buffers.as_ptr(),
                samples,
                &raw mut flags,
                &raw mut time_ns,
                timeout.as_micros() as c_long,
            )
        };
        let result = usize::try_from(status).map(|count| count.min(samples)).map_err(|_| Fault::of(status));
        (result, Marks::of(flags, time_ns))
    }

    /// Writes samples; returns how many were taken. `time_ns` is that of the first, `end` says that the last is a burst's.
    pub fn write(
        &mut self,
        bytes: &[u8],
        sample_bytes: usize,
        time_ns: Option<i64>,
        end: bool,
        timeout: Duration,
    ) -> Result<usize, Fault> {
        let samples = bytes.len() / sample_bytes;
        let buffers = [bytes.as_ptr().cast::<c_void>()];
        let mut flags = 0;
        if time_ns.is_some() {
            flags |= sys::SOAPY_SDR_HAS_TIME as c_int;
        }
        if end {
            flags |= sys::SOAPY_SDR_END_BURST as c_int;
        }
        // SAFETY: the buffer holds `samples` samples of the stream's format.
        let status = unsafe {
            sys::SoapySDRDevice_writeStream(
                self.device.handle.raw,
                self.raw,
                buffers.as_ptr(),
                samples,
                &raw mut flags,
                time_ns.unwrap_or(0),
                timeout.as_micros() as c_long,
            )
        };
        usize::try_from(status).map(|count| count.min(samples)).map_err(|_| Fault::of(status))
    }

    /// What has become of what was written.
    pub fn status(&mut self, timeout: Duration) -> (Result<(), Fault>, Marks) {
        let (mut channels, mut flags, mut time_ns) = (0, 0, 0);
        // SAFETY: device and stream are open, the rest is memory of ours.
        let status = unsafe {
            sys::SoapySDRDevice_readStreamStatus(
                self.device.handle.raw,
                self.raw,
                &raw mut channels,
                &raw mut flags,
                &raw mut time_ns,
                timeout.as_micros() as c_long,
            )
        };
        (if status == 0 { Ok(()) } else { Err(Fault::of(status)) }, Marks::of(flags, time_ns))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.deactivate();
        // SAFETY: set up on this device, and not used again.
        unsafe { sys::SoapySDRDevice_closeStream(self.device.handle.raw, self.raw) };
    }
}

fn reason(status: c_int) -> String {
    // SAFETY: a constant text for every number.
    unsafe { CStr::from_ptr(sys::SoapySDR_errToStr(status)).to_string_lossy().into_owned() }
}

/// Sends what SoapySDR and its drivers log through this program's own log.
pub(super) fn log_through_tracing() {
    unsafe extern "C" fn log(level: sys::SoapySDRLogLevel, message: *const c_char) {
        if message.is_null() {
            return;
        }
        // SAFETY: a NUL-terminated text that is valid for this call.
        let message = unsafe { CStr::from_ptr(message) }.to_string_lossy();
        match level {
            // "O", "U", "L": counted where they are read.
            sys::SOAPY_SDR_SSI => {}
            ..=sys::SOAPY_SDR_ERROR => tracing::warn!(%message, "SoapySDR"),
            sys::SOAPY_SDR_WARNING | sys::SOAPY_SDR_NOTICE => tracing::info!(%message, "SoapySDR"),
            _ => tracing::debug!(%message, "SoapySDR"),
        }
    }
    static ONCE: Once = Once::new();
    // SAFETY: the function lives as long as the process.
    ONCE.call_once(|| unsafe { sys::SoapySDR_registerLogHandler(Some(log)) });
}
