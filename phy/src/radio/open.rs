//! Opens the radio that a user means.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::sigmf::{RecordConfig, Recorder, RecordingSink, RecordingSource, SigmfSink, SigmfSource};
use super::soapy::{DeviceArgs, SoapySettings};
use super::udp::{UdpSink, UdpSinkConfig, UdpSource, UdpSourceConfig};
use super::{RadioError, RadioSink, RadioSource};

/// A radio with its settings.
#[derive(Debug, Clone, PartialEq)]
pub enum Radio {
    /// A port of an emulated air.
    Udp(SocketAddr),
    /// A device of SoapySDR.
    Soapy {
        /// Which.
        device: DeviceArgs,
        /// How it is set.
        settings: Box<SoapySettings>,
    },
    /// A recording.
    Sigmf(PathBuf),
}

/// The transmitting side of a radio that can be handed to a thread.
pub type AnySink = Box<dyn RadioSink + Send>;
/// The receiving side of a radio that can be handed to a thread.
pub type AnySource = Box<dyn RadioSource + Send>;

impl Radio {
    /// Opens it for transmitting, at a rate in samples per second. `stream` tells this transmitter from others on the machine to
    /// an air, zero for none. When `stop` is raised, a burst that waits returns [`RadioError::Stopped`].
    ///
    /// # Errors
    /// [`RadioError`]; an air need not be there yet, a device must.
    pub fn sink(
        &self,
        sample_rate_hz: f64,
        stream: u32,
        stop: Arc<AtomicBool>,
    ) -> Result<AnySink, RadioError> {
        match self {
            Self::Udp(air) => {
                let config = UdpSinkConfig { stream, stop, ..UdpSinkConfig::new(*air, sample_rate_hz) };
                Ok(Box::new(UdpSink::connect(config)?))
            }
            Self::Soapy { device, settings } => soapy_sink(device, settings, stop),
            Self::Sigmf(path) => Ok(Box::new(SigmfSink::create(path, sample_rate_hz)?)),
        }
    }

    /// Opens it for receiving, at a rate in samples per second.
    ///
    /// # Errors
    /// [`RadioError`]; an air need not be there yet, a device must.
    pub fn source(&self, sample_rate_hz: f64) -> Result<AnySource, RadioError> {
        match self {
            Self::Udp(air) => Ok(Box::new(UdpSource::connect(UdpSourceConfig::new(*air, sample_rate_hz))?)),
            Self::Soapy { device, settings } => soapy_source(device, settings),
            Self::Sigmf(path) => Ok(Box::new(SigmfSource::open(path, sample_rate_hz)?)),
        }
    }
}

/// A transmitting radio that records what it sends, if that is wished.
///
/// # Errors
/// [`RadioError::Recording`] when files cannot be created.
pub fn recording_sink(radio: AnySink, record: Option<&RecordConfig>) -> Result<AnySink, RadioError> {
    Ok(match record {
        Some(record) => Box::new(RecordingSink::new(radio, Recorder::start(record)?)),
        None => radio,
    })
}

/// A receiving radio that records what it hears, if that is wished.
///
/// # Errors
/// [`RadioError::Recording`] when files cannot be created.
pub fn recording_source(radio: AnySource, record: Option<&RecordConfig>) -> Result<AnySource, RadioError> {
    Ok(match record {
        Some(record) => Box::new(RecordingSource::new(radio, Recorder::start(record)?)),
        None => radio,
    })
}

#[cfg(feature = "soapysdr")]
fn soapy_sink(
    device: &DeviceArgs,
    settings: &SoapySettings,
    stop: Arc<AtomicBool>,
) -> Result<AnySink, RadioError> {
    Ok(Box::new(super::soapy::SoapySink::open(device.clone(), settings.clone(), stop)?))
}

#[cfg(feature = "soapysdr")]
fn soapy_source(device: &DeviceArgs, settings: &SoapySettings) -> Result<AnySource, RadioError> {
    Ok(Box::new(super::soapy::SoapySource::open(device.clone(), settings.clone())?))
}

#[cfg(not(feature = "soapysdr"))]
fn soapy_sink(device: &DeviceArgs, _: &SoapySettings, _: Arc<AtomicBool>) -> Result<AnySink, RadioError> {
    Err(RadioError::NotBuilt { device: device.to_string() })
}

#[cfg(not(feature = "soapysdr"))]
fn soapy_source(device: &DeviceArgs, _: &SoapySettings) -> Result<AnySource, RadioError> {
    Err(RadioError::NotBuilt { device: device.to_string() })
}
