//! Settings and statistics of the air.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::loss::LinkFaults;
use super::raw::RawConfig;
use super::records::AirRecord;
use crate::channel::ChannelConfig;
use crate::radio::RadioError;

/// What drives the air's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pacing {
    /// The bursts: time stands still between them and runs as fast as all ends can. The slowest
    /// receiver sets the pace and no sample is lost.
    #[default]
    Fast,
    /// The wall clock: samples flow at the sample rate, noise between bursts. Who cannot keep up
    /// loses samples.
    Paced,
}

impl std::str::FromStr for Pacing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fast" => Ok(Self::Fast),
            "paced" => Ok(Self::Paced),
            other => Err(format!("unknown pacing `{other}`: allowed are fast and paced")),
        }
    }
}

impl std::fmt::Display for Pacing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fast => "fast",
            Self::Paced => "paced",
        })
    }
}

/// Settings of the air.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AirConfig {
    /// UDP address for transmitters; port 0 lets the system choose.
    pub listen_transmit: SocketAddr,
    /// UDP address for receivers; port 0 lets the system choose.
    pub listen_receive: SocketAddr,
    /// Sample rate of all radios.
    pub sample_rate_hz: f64,
    /// What drives time.
    pub pacing: Pacing,
    /// Silence passed through the channel before a burst when time is not paced, so that receivers
    /// hear noise first.
    pub lead_samples: u32,
    /// The same after a burst: enough for the last of it to leave a receiver's block processing.
    pub tail_samples: u32,
    /// A radio that keeps others waiting is dropped when nothing was heard from it for so long.
    pub silence_ms: u32,
    /// After its start the air takes no burst for so long, so that receivers that were listening to
    /// its predecessor have found it.
    pub settle_ms: u32,
    /// What happens to the samples. The first receiver's channel has this seed, the next one's is
    /// one higher, and so on.
    pub channel: ChannelConfig,
    /// What happens to datagrams on their way to receivers.
    pub faults: LinkFaults,
    /// Ports without headers, for time that is paced.
    pub raw: RawConfig,
    /// What is recorded, if anything.
    pub record: Option<AirRecord>,
}

impl Default for AirConfig {
    fn default() -> Self {
        Self {
            listen_transmit: SocketAddr::from((Ipv4Addr::LOCALHOST, 4_810)),
            listen_receive: SocketAddr::from((Ipv4Addr::LOCALHOST, 4_811)),
            sample_rate_hz: 7.68e6,
            pacing: Pacing::Fast,
            lead_samples: 2048,
            tail_samples: 16_384,
            silence_ms: 1500,
            settle_ms: 300,
            channel: ChannelConfig::default(),
            faults: LinkFaults::default(),
            raw: RawConfig::default(),
            record: None,
        }
    }
}

impl AirConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`RadioError::OutOfRange`] or [`RadioError::Channel`] name the field and the range.
    pub fn validate(&self) -> Result<(), RadioError> {
        self.channel.validate(self.sample_rate_hz)?;
        self.faults.validate()?;
        self.raw.validate()?;
        if self.raw.is_used() && self.pacing == Pacing::Fast {
            return Err(RadioError::RawNeedsPacing);
        }
        let milliseconds = "0 to 60000 ms";
        let samples = "0 to 16777216 samples";
        for (name, value, low, high, allowed) in [
            ("lead_samples", self.lead_samples, 0, 1 << 24, samples),
            ("tail_samples", self.tail_samples, 0, 1 << 24, samples),
            ("silence_ms", self.silence_ms, 100, 60_000, "100 to 60000 ms"),
            ("settle_ms", self.settle_ms, 0, 60_000, milliseconds),
        ] {
            if !(low..=high).contains(&value) {
                return Err(RadioError::OutOfRange { name, value: f64::from(value), allowed });
            }
        }
        Ok(())
    }
}

/// What the air has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AirStats {
    /// Bursts that came in to their end.
    pub bursts: u64,
    /// Bursts whose transmitter left, restarted or fell silent within.
    pub bursts_given_up: u64,
    /// Samples of transmitters, lost ones included.
    pub samples_in: u64,
    /// Of these, samples that were lost on the way here and are zeros.
    pub samples_lost: u64,
    /// Samples sent to receivers, all taken together.
    pub samples_out: u64,
    /// Samples that the loss which was set has kept from receivers.
    pub samples_dropped: u64,
    /// Changes of the settings while it ran.
    pub changes: u64,
    /// Samples that the air has moved on by.
    pub time_samples: u64,
    /// Datagrams that came in.
    pub datagrams_in: u64,
    /// Of these, datagrams that made no sense.
    pub datagrams_junk: u64,
    /// Receivers that listen now.
    pub receivers: u64,
    /// Times a receiver was dropped because it kept others waiting in silence.
    pub receivers_dropped: u64,
    /// Samples that came in without headers.
    pub samples_raw_in: u64,
    /// Of these, samples that found no room.
    pub samples_raw_dropped: u64,
    /// Samples sent without headers.
    pub samples_raw_out: u64,
    /// Paced: samples that a receiver did not take in time.
    pub samples_overflowed: u64,
    /// Paced: samples that a transmitter did not bring in time and are zeros.
    pub samples_underrun: u64,
    /// Paced: samples by which this process fell behind and that were left out.
    pub samples_late: u64,
}

/// The running figures behind [`AirStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub bursts: AtomicU64,
    pub bursts_given_up: AtomicU64,
    pub samples_in: AtomicU64,
    pub samples_lost: AtomicU64,
    pub samples_out: AtomicU64,
    pub samples_dropped: AtomicU64,
    pub changes: AtomicU64,
    pub time_samples: AtomicU64,
    pub datagrams_in: AtomicU64,
    pub datagrams_junk: AtomicU64,
    pub receivers: AtomicU64,
    pub receivers_dropped: AtomicU64,
    pub samples_raw_in: AtomicU64,
    pub samples_raw_dropped: AtomicU64,
    pub samples_raw_out: AtomicU64,
    pub samples_overflowed: AtomicU64,
    pub samples_underrun: AtomicU64,
    pub samples_late: AtomicU64,
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

/// A view of a running air's figures, from any thread.
#[derive(Debug, Clone)]
pub struct AirMonitor(pub(super) Arc<Counters>);

impl AirMonitor {
    /// The figures now.
    pub fn stats(&self) -> AirStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.0;
        AirStats {
            bursts: read(&counters.bursts),
            bursts_given_up: read(&counters.bursts_given_up),
            samples_in: read(&counters.samples_in),
            samples_lost: read(&counters.samples_lost),
            samples_out: read(&counters.samples_out),
            samples_dropped: read(&counters.samples_dropped),
            changes: read(&counters.changes),
            time_samples: read(&counters.time_samples),
            datagrams_in: read(&counters.datagrams_in),
            datagrams_junk: read(&counters.datagrams_junk),
            receivers: read(&counters.receivers),
            receivers_dropped: read(&counters.receivers_dropped),
            samples_raw_in: read(&counters.samples_raw_in),
            samples_raw_dropped: read(&counters.samples_raw_dropped),
            samples_raw_out: read(&counters.samples_raw_out),
            samples_overflowed: read(&counters.samples_overflowed),
            samples_underrun: read(&counters.samples_underrun),
            samples_late: read(&counters.samples_late),
        }
    }
}
