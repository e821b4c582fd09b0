//! SoapySDR's devices: found, opened, asked what they have, set.
//!
//! Everything unsafe is here and in `stream`. SoapySDR turns its drivers' exceptions into statuses and texts of the calling thread;
//! they become [`RadioError::Device`].

use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::Arc;

use soapysdr_sys as sys;

use super::args::DeviceArgs;
use super::plan::{Capabilities, Plan, Span, plan};
use super::settings::{Direction, GainChoice, SoapySettings};
use crate::radio::RadioError;

/// The rate that a device gives may differ from what was asked by rounding alone.
const RATE_TOLERANCE: f64 = 1e-6;

/// A device that is open. Copies are the same device; it closes with the last.
#[derive(Debug, Clone)]
pub struct Device {
    pub(super) handle: Arc<Handle>,
}

/// The C side of a device.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) raw: *mut sys::SoapySDRDevice,
    pub(super) name: String,
}

// SAFETY: SoapySDR's device calls may come from any thread (SoapySDR/Device.hpp); a stream is used by one thread at a time, which
// `Stream` sees to.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: made by SoapySDRDevice_make, and no stream is left: streams hold this handle.
        unsafe { sys::SoapySDRDevice_unmake(self.raw) };
    }
}

/// What the last call of this thread complained of.
fn last_error() -> String {
    // SAFETY: a NUL-terminated text of this thread, valid until its next call.
    let text = unsafe {
        let text = sys::SoapySDRDevice_lastError();
        if text.is_null() { None } else { Some(CStr::from_ptr(text).to_string_lossy().into_owned()) }
    };
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "the driver does not say why".into())
}

/// A text of the library, which is given back to it.
fn take_text(text: *mut c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: NUL-terminated and ours to free, as SoapySDR/Device.h says of every text it returns.
    unsafe {
        let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
        sys::SoapySDR_free(text.cast());
        copy
    }
}

/// A list of texts of the library, which is given back to it.
fn take_texts(mut texts: *mut *mut c_char, count: usize) -> Vec<String> {
    if texts.is_null() {
        return Vec::new();
    }
    // SAFETY: `count` NUL-terminated texts, ours to free.
    unsafe {
        let copy = std::slice::from_raw_parts(texts, count)
            .iter()
            .map(|text| CStr::from_ptr(*text).to_string_lossy().into_owned())
            .collect();
        sys::SoapySDRStrings_clear(&raw mut texts, count);
        copy
    }
}

/// A list of ranges of the library, which is given back to it.
fn take_spans(ranges: *mut sys::SoapySDRRange, count: usize) -> Vec<Span> {
    if ranges.is_null() {
        return Vec::new();
    }
    // SAFETY: `count` ranges, ours to free.
    unsafe {
        let copy = std::slice::from_raw_parts(ranges, count).iter().copied().map(span).collect();
        sys::SoapySDR_free(ranges.cast());
        copy
    }
}

fn span(range: sys::SoapySDRRange) -> Span {
    Span { least: range.minimum, most: range.maximum }
}

/// Text for a C call; one with a NUL in it, which no key or name here has, is cut off there.
pub(super) fn c_text(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}

/// Keys and values of the library, freed when dropped.
struct Kwargs(sys::SoapySDRKwargs);

impl Kwargs {
    fn new<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let empty = sys::SoapySDRKwargs { size: 0, keys: std::ptr::null_mut(), vals: std::ptr::null_mut() };
        let mut kwargs = Self(empty);
        for (key, value) in pairs {
            let (key, value) = (c_text(key), c_text(value));
            // SAFETY: both texts are copied by the call.
            unsafe { sys::SoapySDRKwargs_set(&raw mut kwargs.0, key.as_ptr(), value.as_ptr()) };
        }
        kwargs
    }
}

impl Drop for Kwargs {
    fn drop(&mut self) {
        // SAFETY: filled by SoapySDRKwargs_set alone.
        unsafe { sys::SoapySDRKwargs_clear(&raw mut self.0) };
    }
}

/// Devices that match a filter such as `driver=hackrf`, each as the arguments that open it. An empty filter loads every driver that
/// is installed, which takes a while and lets some of them print to standard error.
pub fn find(filter: &[(String, String)]) -> Vec<Vec<(String, String)>> {
    super::stream::log_through_tracing();
    let filter = Kwargs::new(filter.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let mut count = 0;
    // SAFETY: `count` is set to the length of the list, which is copied and given back.
    unsafe {
        let list = sys::SoapySDRDevice_enumerate(&raw const filter.0, &raw mut count);
        if list.is_null() {
            return Vec::new();
        }
        let found = std::slice::from_raw_parts(list, count)
            .iter()
            .map(|args| {
                let text = |texts: *mut *mut c_char, at: usize| {
                    CStr::from_ptr(*texts.add(at)).to_string_lossy().into_owned()
                };
                (0..args.size).map(|at| (text(args.keys, at), text(args.vals, at))).collect()
            })
            .collect();
        sys::SoapySDRKwargsList_clear(list, count);
        found
    }
}

fn code(direction: Direction) -> c_int {
    match direction {
        Direction::Transmit => sys::SOAPY_SDR_TX as c_int,
        Direction::Receive => sys::SOAPY_SDR_RX as c_int,
    }
}

impl Device {
    /// Opens the device with these arguments.
    ///
    /// # Errors
    /// [`RadioError::Device`] when the driver is not installed or finds no such device.
    pub fn open(args: &DeviceArgs) -> Result<Self, RadioError> {
        super::stream::log_through_tracing();
        let kwargs = Kwargs::new(args.iter());
        // SAFETY: the arguments are valid for the call.
        let raw = unsafe { sys::SoapySDRDevice_make(&raw const kwargs.0) };
        if raw.is_null() {
            return Err(RadioError::Device {
                device: args.to_string(),
                doing: "open it",
                reason: last_error(),
            });
        }
        Ok(Self { handle: Arc::new(Handle { raw, name: args.to_string() }) })
    }

    /// The arguments that opened it.
    pub fn name(&self) -> &str {
        &self.handle.name
    }

    pub(super) fn error(&self, doing: &'static str, reason: String) -> RadioError {
        RadioError::Device { device: self.handle.name.clone(), doing, reason }
    }

    /// The status of a call as a result.
    fn done(&self, status: c_int, doing: &'static str) -> Result<(), RadioError> {
        if status == 0 { Ok(()) } else { Err(self.error(doing, last_error())) }
    }

    /// What the driver says of one direction and channel.
    pub fn capabilities(&self, direction: Direction, channel: usize) -> Capabilities {
        let (raw, direction) = (self.handle.raw, code(direction));
        let mut count = 0;
        // SAFETY: every call gets a device that is open and memory of ours; what is returned is copied and given back.
        unsafe {
            let channels = sys::SoapySDRDevice_getNumChannels(raw, direction);
            let mut full_scale = 0.0;
            let known = channel < channels;
            let mut gains = Vec::new();
            if known {
                let names = sys::SoapySDRDevice_listGains(raw, direction, channel, &raw mut count);
                for name in take_texts(names, count) {
                    let text = c_text(&name);
                    let range =
                        sys::SoapySDRDevice_getGainElementRange(raw, direction, channel, text.as_ptr());
                    gains.push((name, span(range)));
                }
            }
            let texts = |list: unsafe extern "C" fn(
                *const sys::SoapySDRDevice,
                c_int,
                usize,
                *mut usize,
            ) -> *mut *mut c_char| {
                let mut count = 0;
                if !known {
                    return Vec::new();
                }
                let names = list(raw, direction, channel, &raw mut count);
                take_texts(names, count)
            };
            let spans = |list: unsafe extern "C" fn(
                *const sys::SoapySDRDevice,
                c_int,
                usize,
                *mut usize,
            ) -> *mut sys::SoapySDRRange| {
                let mut count = 0;
                if !known {
                    return Vec::new();
                }
                let ranges = list(raw, direction, channel, &raw mut count);
                take_spans(ranges, count)
            };
            Capabilities {
                driver: take_text(sys::SoapySDRDevice_getDriverKey(raw)),
                hardware: take_text(sys::SoapySDRDevice_getHardwareKey(raw)),
                channels,
                full_duplex: known && sys::SoapySDRDevice_getFullDuplex(raw, direction, channel),
                has_time: sys::SoapySDRDevice_hasHardwareTime(raw, c"".as_ptr()),
                formats: texts(sys::SoapySDRDevice_getStreamFormats),
                native: if known {
                    let name = sys::SoapySDRDevice_getNativeStreamFormat(
                        raw,
                        direction,
                        channel,
                        &raw mut full_scale,
                    );
                    (take_text(name), full_scale)
                } else {
                    (String::new(), 1.0)
                },
                antennas: texts(sys::SoapySDRDevice_listAntennas),
                gains,
                total_gain: span(sys::SoapySDRDevice_getGainRange(raw, direction, channel)),
                automatic_gain: known && sys::SoapySDRDevice_hasGainMode(raw, direction, channel),
                frequencies: spans(sys::SoapySDRDevice_getFrequencyRange),
                frequency_parts: texts(sys::SoapySDRDevice_listFrequencies),
                sample_rates: spans(sys::SoapySDRDevice_getSampleRateRange),
                bandwidths: spans(sys::SoapySDRDevice_getBandwidthRange),
                automatic_dc: known && sys::SoapySDRDevice_hasDCOffsetMode(raw, direction, channel),
                correction: known && sys::SoapySDRDevice_hasFrequencyCorrection(raw, direction, channel),
            }
        }
    }

    /// What would be set for these settings.
    ///
    /// # Errors
    /// [`RadioError::Setting`] names what the device has.
    pub fn plan(&self, direction: Direction, settings: &SoapySettings) -> Result<Plan, RadioError> {
        plan(direction, settings, &self.capabilities(direction, settings.channel))
            .map_err(|reason| RadioError::Setting { device: self.handle.name.clone(), reason })
    }

    /// Sets what a plan says.
    ///
    /// # Errors
    /// [`RadioError::Device`] with what the driver refuses.
    pub fn apply(&self, plan: &Plan) -> Result<(), RadioError> {
        let (raw, direction, channel) = (self.handle.raw, code(plan.direction), plan.channel);
        // SAFETY: every call gets a device that is open and texts that outlive it.
        unsafe {
            if let Some(ppm) = plan.correction_ppm {
                let status = sys::SoapySDRDevice_setFrequencyCorrection(raw, direction, channel, ppm);
                self.done(status, "correct its reference")?;
            }
            let rate = plan.sample_rate_hz;
            self.done(
                sys::SoapySDRDevice_setSampleRate(raw, direction, channel, rate),
                "set its sample rate",
            )?;
            let given = sys::SoapySDRDevice_getSampleRate(raw, direction, channel);
            if (given - rate).abs() > RATE_TOLERANCE * rate {
                return Err(
                    self.error("set its sample rate", format!("it gives {given} Hz instead of {rate}"))
                );
            }
            if let Some(hz) = plan.bandwidth_hz {
                self.done(
                    sys::SoapySDRDevice_setBandwidth(raw, direction, channel, hz),
                    "set its bandwidth",
                )?;
            }
            if let Some(antenna) = &plan.antenna {
                let name = c_text(antenna);
                let status = sys::SoapySDRDevice_setAntenna(raw, direction, channel, name.as_ptr());
                self.done(status, "choose its antenna")?;
            }
            if let Some(hz) = plan.frequency_hz {
                let offset = plan.offset_hz.to_string();
                let pair = (plan.offset_hz != 0.0).then_some(("OFFSET", offset.as_str()));
                let args = Kwargs::new(pair.into_iter());
                let status = sys::SoapySDRDevice_setFrequency(raw, direction, channel, hz, &raw const args.0);
                self.done(status, "tune it")?;
            }
            self.apply_gain(plan)?;
            if plan.automatic_dc {
                let status = sys::SoapySDRDevice_setDCOffsetMode(raw, direction, channel, true);
                self.done(status, "let it take out its DC offset")?;
            }
        }
        Ok(())
    }

    /// Sets the gain of a plan, or another one while it runs.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn apply_gain(&self, plan: &Plan) -> Result<(), RadioError> {
        let (raw, direction, channel) = (self.handle.raw, code(plan.direction), plan.channel);
        let doing = "set its gain";
        // SAFETY: as in `apply`.
        unsafe {
            match &plan.gain {
                None => Ok(()),
                Some(GainChoice::Automatic) => {
                    self.done(sys::SoapySDRDevice_setGainMode(raw, direction, channel, true), doing)
                }
                Some(GainChoice::Total(gain)) => {
                    self.done(sys::SoapySDRDevice_setGain(raw, direction, channel, *gain), doing)
                }
                Some(GainChoice::Stages(stages)) => stages.iter().try_for_each(|(name, gain)| {
                    let name = c_text(name);
                    let status =
                        sys::SoapySDRDevice_setGainElement(raw, direction, channel, name.as_ptr(), *gain);
                    self.done(status, doing)
                }),
            }
        }
    }

    /// The device's time in ns.
    pub fn time_ns(&self) -> i64 {
        // SAFETY: a device that is open.
        unsafe { sys::SoapySDRDevice_getHardwareTime(self.handle.raw, c"".as_ptr()) }
    }

    /// Sets up a stream for a plan that was applied.
    pub(super) fn set_up_stream(&self, plan: &Plan) -> Result<*mut sys::SoapySDRStream, RadioError> {
        let format = c_text(plan.converter.format().name());
        let none = Kwargs::new(std::iter::empty());
        // SAFETY: the texts and the channel outlive the call.
        let stream = unsafe {
            sys::SoapySDRDevice_setupStream(
                self.handle.raw,
                code(plan.direction),
                format.as_ptr(),
                &raw const plan.channel,
                1,
                &raw const none.0,
            )
        };
        if stream.is_null() { Err(self.error("set up a stream", last_error())) } else { Ok(stream) }
    }
}
