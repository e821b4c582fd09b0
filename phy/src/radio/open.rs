//! Opens the radio that a user means.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

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
        }
    }
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
