//! End-to-end tests: real processes of the built executable, real sockets.
//!
//! - [`loopback`]: pictures and text over the channel, and what the report says of them.
//! - [`clocks`]: latencies between hosts whose clocks differ.
//! - [`air`]: the emulated channel as a process, changed over HTTP.
//! - [`daemons`]: `transmitter`, `air` and `receiver` with `send` and `watch`; each killed and started again.
//! - [`evaluate`]: a race of systems, its files, and that it goes on where it was.
//! - [`hostile`]: datagrams, keys and files that nobody should send.
//! - [`inspect`]: what the semantic analysis finds in a picture.
//! - `memory`: how much a large photo takes.
//! - [`metrics`]: figures of pictures in files.
//! - [`prometheus`]: what the daemons count, and that dashboard and alerts name nothing else.
//! - [`radio`]: calibration, acceptance and spectrum of radios.
//! - [`refused`]: content and settings that the command line refuses.
//! - `soapy`, with that feature: the same daemons over devices of SoapySDR, which the module `deploy/soapy-air` makes of an air.
//! - [`harness`]: starts processes, waits for what they say, and draws pictures.

mod air;
mod clocks;
mod daemons;
mod evaluate;
mod harness;
mod hostile;
mod inspect;
mod loopback;
#[cfg(target_os = "linux")]
mod memory;
mod metrics;
mod prometheus;
mod radio;
mod refused;
mod regions;
#[cfg(feature = "soapysdr")]
mod soapy;
