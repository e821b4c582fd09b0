//! What the air counts, for Prometheus. All names begin with `semcast_air_`.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};
use semcast_common::metrics::Registry;
use semcast_phy::radio::air::AirMonitor;

/// Reads the figures of a running air when somebody asks for them.
#[derive(Debug)]
struct Figures(AirMonitor);

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let stats = self.0.stats();
        for (name, help, value) in [
            ("bursts", "Bursts that came in to their end", stats.bursts),
            ("bursts_given_up", "Bursts whose transmitter left or fell silent within", stats.bursts_given_up),
            ("samples_in", "Samples of transmitters, lost ones included", stats.samples_in),
            ("samples_lost", "Samples lost between a transmitter and the air", stats.samples_lost),
            ("samples_out", "Samples sent to receivers", stats.samples_out),
            ("time_samples", "Samples that the air has moved on by", stats.time_samples),
            ("datagrams", "Datagrams that came in", stats.datagrams_in),
            ("datagrams_junk", "Datagrams that made no sense", stats.datagrams_junk),
            ("receivers_dropped", "Times a receiver was dropped for its silence", stats.receivers_dropped),
            ("samples_overflowed", "Samples that a receiver did not take in time", stats.samples_overflowed),
            ("samples_underrun", "Samples that a transmitter did not bring in time", stats.samples_underrun),
            (
                "samples_late",
                "Samples by which the air fell behind and that were left out",
                stats.samples_late,
            ),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let receivers = ConstGauge::new(stats.receivers as i64);
        let help = "Receivers that listen now";
        receivers.encode(encoder.encode_descriptor("receivers", help, None, receivers.metric_type())?)
    }
}

/// Puts the figures of this air into a registry.
pub fn register(monitor: AirMonitor, registry: &mut Registry) {
    registry.sub_registry_with_prefix("semcast_air").register_collector(Box::new(Figures(monitor)));
}
