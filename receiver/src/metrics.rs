//! What a receiver counts, for Prometheus. All names begin with `semcast_receiver_`.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use semcast_common::{
    message::SystemId,
    metrics::{Registry, SECONDS},
    wire::{ReceiverPart, Status},
};
use semcast_phy::receive::ChannelState;

type Real = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSystem {
    system: String,
}

/// The figures, shared by clones.
#[derive(Clone, Debug)]
pub struct Metrics {
    messages: Family<OfSystem, Counter>,
    lost: Counter,
    missing: Counter,
    combined: Counter,
    frames: Counter,
    samples: Counter,
    samples_lost: Counter,
    radio_errors: Counter,
    snr: Real,
    cfo: Real,
    sampling_offset: Real,
    demodulate: Histogram,
    decode: Histogram,
    hearing: Gauge,
    linked: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let all_systems = Family::default();
        for system in SystemId::ALL {
            // Named from the start, so that the first message is seen as an increase.
            let _ = all_systems.get_or_create(&OfSystem { system: system.to_string() });
        }
        Self {
            messages: all_systems,
            lost: Counter::default(),
            missing: Counter::default(),
            combined: Counter::default(),
            frames: Counter::default(),
            samples: Counter::default(),
            samples_lost: Counter::default(),
            radio_errors: Counter::default(),
            snr: Gauge::default(),
            cfo: Gauge::default(),
            sampling_offset: Gauge::default(),
            demodulate: Histogram::new(SECONDS),
            decode: Histogram::new(SECONDS),
            hearing: Gauge::default(),
            linked: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Puts them into a registry.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("semcast_receiver");
        registry.register("messages", "Messages decoded, by system", self.messages.clone());
        registry.register(
            "messages_lost",
            "Messages of which something came that was too little",
            self.lost.clone(),
        );
        registry.register(
            "missing",
            "Bytes and symbols that messages lacked when they were decoded",
            self.missing.clone(),
        );
        registry.register(
            "segments_combined",
            "Coded segments corrected only by combining transmissions of them",
            self.combined.clone(),
        );
        registry.register("frames", "Frames heard", self.frames.clone());
        registry.register("samples", "Samples that came from the radio", self.samples.clone());
        registry.register("samples_lost", "Samples lost before the receiver", self.samples_lost.clone());
        registry.register("radio_errors", "Errors of the radio", self.radio_errors.clone());
        registry.register(
            "snr_db",
            "SNR of the last frame, Es/N0 per resource element in dB",
            self.snr.clone(),
        );
        registry.register("carrier_offset_hz", "Carrier offset of the last frame", self.cfo.clone());
        registry.register(
            "sampling_offset_ppm",
            "Offset of the sampling clock in the last frame",
            self.sampling_offset.clone(),
        );
        registry.register(
            "demodulate_seconds",
            "From samples to segments, a message",
            self.demodulate.clone(),
        );
        registry.register("decode_seconds", "From segments to content, a message", self.decode.clone());
        registry.register("hearing", "Whether the radio gives samples", self.hearing.clone());
        registry.register(
            "linked",
            "Whether the control link to the transmitter stands",
            self.linked.clone(),
        );
    }

    pub(crate) fn samples(&self, came: u64, lost: u64) {
        self.samples.inc_by(came);
        self.samples_lost.inc_by(lost);
    }

    pub(crate) fn radio_error(&self) {
        self.radio_errors.inc();
    }

    pub(crate) fn frame(&self, channel: &ChannelState) {
        self.frames.inc();
        self.snr.set(f64::from(channel.snr_db));
        self.cfo.set(channel.cfo_hz);
        self.sampling_offset.set(channel.clock_offset_ppm);
    }

    pub(crate) fn decoded(&self, part: &ReceiverPart) {
        self.messages.get_or_create(&OfSystem { system: part.system.to_string() }).inc();
        self.missing.inc_by(part.missing);
        self.combined.inc_by(part.segments_combined.into());
        self.demodulate.observe(f64::from(part.timings.demodulate_ms) / 1e3);
        self.decode.observe(Duration::from_secs_f32(part.timings.decode_ms.max(0.0) / 1e3).as_secs_f64());
    }

    pub(crate) fn lost(&self) {
        self.lost.inc();
    }

    pub(crate) fn status(&self, status: Status) {
        self.hearing.set(status.hearing.into());
        self.linked.set(status.linked.into());
    }
}
