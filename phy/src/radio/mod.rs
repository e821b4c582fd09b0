//! Where samples leave and enter the process: the only part of this crate with sockets and clocks.
//!
//! - [`RadioSink`]: bursts of samples → the antenna. [`RadioSource`]: the antenna → an endless stream.
//! - [`udp`]: both, as clients of an emulated air.
//! - [`air`]: that air, a server which passes bursts through a [`channel`](crate::channel).
//! - [`datagram`]: what they say to each other.
//! - [`sigmf`]: recordings, to write and to receive from.
//! - [`soapy`]: both, as devices of SoapySDR.
//! - [`spectrum`](mod@spectrum): where the power of received samples lies.
//! - [`calibration`]: what a pair of radios is like, measured with known frames.
//! - [`RadioAddress`]: which of these a user means; [`open`]: opens it.

mod address;
pub mod air;
pub mod calibration;
pub mod datagram;
pub mod open;
pub mod sigmf;
pub mod soapy;
pub mod spectrum;
pub mod udp;

use std::net::SocketAddr;
use std::time::Duration;

use num_complex::Complex32;

pub use address::{AddressError, RadioAddress};

use crate::channel::ChannelError;

/// Why samples could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub enum RadioError {
    /// Nobody answers at the address.
    #[error("no air answers at {address} (waited {waited:?}): is `semcast air` running there?")]
    NoAir {
        /// Where an air was expected.
        address: SocketAddr,
        /// For how long.
        waited: Duration,
    },
    /// The two ends disagree about time.
    #[error("the air at {address} runs at {air_hz} Hz, this radio at {radio_hz} Hz: they must be equal")]
    SampleRate {
        /// Address of the air.
        address: SocketAddr,
        /// Its sample rate.
        air_hz: f64,
        /// Our own.
        radio_hz: f64,
    },
    /// The air gave the burst up or was restarted, again and again.
    #[error("the air at {address} did not take the burst in {attempts} attempts")]
    Interrupted {
        /// Address of the air.
        address: SocketAddr,
        /// Times it was tried from its beginning.
        attempts: u32,
    },
    /// This build has no SoapySDR.
    #[error(
        "soapy:{device}: this semcast was built without SoapySDR: install it (Debian: libsoapysdr-dev and pkg-config) \
         and build with `cargo build --release --features soapysdr`"
    )]
    NotBuilt {
        /// What was asked for.
        device: String,
    },
    /// A device does not do what it is told.
    #[error("soapy:{device}: cannot {doing}: {reason}")]
    Device {
        /// Its arguments.
        device: String,
        /// What it was told.
        doing: &'static str,
        /// What its driver says.
        reason: String,
    },
    /// A device cannot be set as asked.
    #[error("soapy:{device}: {reason}")]
    Setting {
        /// Its arguments.
        device: String,
        /// Which setting, and what there is.
        reason: soapy::plan::PlanError,
    },
    /// The stop flag was raised meanwhile.
    #[error("stopped")]
    Stopped,
    /// The channel cannot be built.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// A receiver does not come to hear what is sent.
    #[error("the receiving radio hears nothing after {waited:?}: is it there?")]
    Deaf {
        /// For how long it was waited.
        waited: Duration,
    },
    /// A setting lies outside its range.
    #[error("{name} is {value}, allowed is {allowed}")]
    OutOfRange {
        /// The setting.
        name: &'static str,
        /// What it was.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// Samples without headers in a format that is not meant for that.
    #[error("raw samples as {0} are not possible: allowed are cf32_le and ci16_le")]
    RawFormat(String),
    /// Samples without headers without a clock.
    #[error(
        "raw ports need pacing `paced`: without headers nobody grants samples, so time must be that of the clock"
    )]
    RawNeedsPacing,
    /// A recording.
    #[error(transparent)]
    Recording(#[from] sigmf::SigmfError),
    /// A socket cannot be opened.
    #[error("cannot listen on UDP {address}")]
    Bind {
        /// Address asked for.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The system refused to send or receive.
    #[error("radio input or output failed")]
    Io(#[from] std::io::Error),
}

/// The transmitting side of a radio.
pub trait RadioSink {
    /// Sends one burst and returns when all of it has been taken over. Blocks for as long as the
    /// other side needs.
    ///
    /// # Errors
    /// [`RadioError`]; the burst may then have gone out in part, and the next one may be tried.
    fn send_burst(&mut self, samples: &[Complex32]) -> Result<(), RadioError>;
}

impl<S: RadioSink + ?Sized> RadioSink for Box<S> {
    fn send_burst(&mut self, samples: &[Complex32]) -> Result<(), RadioError> {
        (**self).send_burst(samples)
    }
}

/// What one call of [`RadioSource::receive`] brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Received {
    /// Index of the first sample appended.
    pub first_sample: u64,
    /// Samples appended; zero when none came in time.
    pub samples: usize,
    /// Samples that were lost right before the first one. Nothing is put in their place.
    pub lost_before: u64,
    /// The other side has started anew: indices begin again and nothing links these samples to
    /// earlier ones.
    pub restarted: bool,
}

/// The receiving side of a radio.
pub trait RadioSource {
    /// Appends the next samples to `out`. Returns after a short while even when none came, so that
    /// the caller can look at other things.
    ///
    /// # Errors
    /// [`RadioError`]; calling again is allowed.
    fn receive(&mut self, out: &mut Vec<Complex32>) -> Result<Received, RadioError>;

    /// Whether what is sent from now on will be heard. A radio that is open always hears.
    fn hears(&self) -> bool {
        true
    }

    /// Whether nothing will come any more: the end of a recording. A radio never ends.
    fn has_ended(&self) -> bool {
        false
    }
}

impl<S: RadioSource + ?Sized> RadioSource for Box<S> {
    fn receive(&mut self, out: &mut Vec<Complex32>) -> Result<Received, RadioError> {
        (**self).receive(out)
    }

    fn hears(&self) -> bool {
        (**self).hears()
    }

    fn has_ended(&self) -> bool {
        (**self).has_ended()
    }
}
