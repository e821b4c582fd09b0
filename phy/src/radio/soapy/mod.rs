//! Real radios, through SoapySDR.
//!
//! What needs no device is here in every build:
//! - [`DeviceArgs`]: `driver=…,key=value`. [`SoapySettings`]: what a user asks for; [`plan`]: what of it a device can do.
//! - [`format`](mod@format): bytes of a device ↔ samples. [`padding`]: silence around bursts. [`clock`]: gaps by time stamps.
//!   [`dc`]: the mean taken out. [`statistics`]: what went wrong, counted.
//!
//! With the feature `soapysdr`, which needs the library of that name (0.8) and pkg-config:
//! - `SoapySink` and `SoapySource`: bursts and streams of a device that may go and come back.
//! - `device`: SoapySDR's C interface, made safe. It is called through `soapysdr-sys` alone, because the safe crate
//!   `soapysdr` drops the flags of reads (`docs/adr/0010-soapysdr-by-its-c-interface.md`).

mod args;
pub mod clock;
pub mod dc;
pub mod format;
pub mod padding;
pub mod plan;
mod settings;
pub mod statistics;

#[cfg(feature = "soapysdr")]
pub mod device;
#[cfg(feature = "soapysdr")]
mod sink;
#[cfg(feature = "soapysdr")]
mod source;
#[cfg(feature = "soapysdr")]
mod stream;

pub use args::DeviceArgs;
pub use settings::{Direction, GainChoice, SoapySettings};
#[cfg(feature = "soapysdr")]
pub use sink::SoapySink;
#[cfg(feature = "soapysdr")]
pub use source::SoapySource;

/// The driver of `deploy/soapy-air`, whose devices radiate nothing.
pub const EMULATED_DRIVER: &str = "semcast-air";
