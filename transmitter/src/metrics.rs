//! What a transmitter counts, for Prometheus. All names begin with `semcast_transmitter_`.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use semcast_common::{
    clock::ClockOffset,
    message::SystemId,
    metrics::{Registry, SECONDS},
    wire::{Failed, FailureCode, SendReport},
};

/// Why submissions may fail.
const REASONS: [FailureCode; 6] = [
    FailureCode::Content,
    FailureCode::Options,
    FailureCode::Delivery,
    FailureCode::Radio,
    FailureCode::Unavailable,
    FailureCode::Internal,
];

fn reason(code: FailureCode) -> String {
    format!("{code:?}").to_lowercase()
}

type Real = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSystem {
    system: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ForReason {
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfReceiver {
    receiver: String,
}

/// The figures, shared by clones.
#[derive(Clone, Debug)]
pub struct Metrics {
    messages: Family<OfSystem, Counter>,
    unconfirmed: Counter,
    failures: Family<ForReason, Counter>,
    frames: Counter,
    resent: Counter,
    elements: Family<OfKind, Counter>,
    airtime: Counter<f64, AtomicU64>,
    encode: Histogram,
    latency: Histogram,
    receivers: Gauge,
    clock_offset: Family<OfReceiver, Real>,
    clock_uncertainty: Family<OfReceiver, Real>,
    round_trip: Family<OfReceiver, Real>,
}

impl Default for Metrics {
    fn default() -> Self {
        let all_systems = Family::default();
        for system in SystemId::ALL {
            // Named from the start, so that the first message is seen as an increase.
            let _ = all_systems.get_or_create(&OfSystem { system: system.to_string() });
        }
        let all_reasons = Family::default();
        for code in REASONS {
            let _ = all_reasons.get_or_create(&ForReason { reason: reason(code) });
        }
        Self {
            messages: all_systems,
            unconfirmed: Counter::default(),
            failures: all_reasons,
            frames: Counter::default(),
            resent: Counter::default(),
            elements: Family::default(),
            airtime: Counter::default(),
            encode: Histogram::new(SECONDS),
            latency: Histogram::new(SECONDS),
            receivers: Gauge::default(),
            clock_offset: Family::default(),
            clock_uncertainty: Family::default(),
            round_trip: Family::default(),
        }
    }
}

impl Metrics {
    /// Puts them into a registry.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("semcast_transmitter");
        registry.register("messages", "Messages sent, by system", self.messages.clone());
        registry.register(
            "messages_unconfirmed",
            "Messages sent that no receiver confirmed, for none was connected",
            self.unconfirmed.clone(),
        );
        registry.register("failures", "Submissions that failed, by reason", self.failures.clone());
        registry.register("frames", "Frames of messages sent", self.frames.clone());
        registry.register(
            "frames_resent",
            "Of these, frames sent because something was missing",
            self.resent.clone(),
        );
        registry.register("elements", "Resource elements sent, by kind", self.elements.clone());
        registry.register(
            "airtime_seconds",
            "Time on the air at the nominal sample rate",
            self.airtime.clone(),
        );
        registry.register("encode_seconds", "From content to semantic message", self.encode.clone());
        registry.register(
            "latency_seconds",
            "From content to content, corrected by the offset of the receiver's clock",
            self.latency.clone(),
        );
        registry.register("receivers", "Receivers connected", self.receivers.clone());
        registry.register(
            "clock_offset_seconds",
            "How far a receiver's clock is ahead",
            self.clock_offset.clone(),
        );
        registry.register(
            "clock_uncertainty_seconds",
            "The true offset is no further from that",
            self.clock_uncertainty.clone(),
        );
        registry.register(
            "control_round_trip_seconds",
            "Round trip of the control link in the exchange that the offset comes from",
            self.round_trip.clone(),
        );
    }

    pub(crate) fn sent(&self, report: &SendReport) {
        let part = &report.transmitter;
        self.messages.get_or_create(&OfSystem { system: part.system.to_string() }).inc();
        if report.receiver.is_none() {
            self.unconfirmed.inc();
        }
        self.frames.inc_by(part.frames_sent.into());
        self.resent.inc_by(part.resends.into());
        self.elements.get_or_create(&OfKind { kind: "payload" }).inc_by(part.symbols_payload);
        for (kind, elements) in part.overhead.causes() {
            self.elements.get_or_create(&OfKind { kind }).inc_by(elements);
        }
        self.airtime.inc_by(part.airtime_ms / 1e3);
        self.encode.observe(f64::from(part.timings.encode_ms) / 1e3);
        if let (Some(receiver), Some(clock)) = (&report.receiver, report.clock) {
            let decoded_us = i128::from(receiver.timings.decoded_unix_us) - i128::from(clock.offset_us);
            let latency_us = decoded_us - i128::from(part.timings.started_unix_us);
            self.latency.observe(latency_us as f64 / 1e6);
        }
    }

    pub(crate) fn failed(&self, failed: &Failed) {
        self.failures.get_or_create(&ForReason { reason: reason(failed.code) }).inc();
    }

    pub(crate) fn receiver_came(&self) {
        self.receivers.inc();
    }

    /// `key`: what tells this receiver from others.
    pub(crate) fn receiver_left(&self, key: &str) {
        self.receivers.dec();
        let label = OfReceiver { receiver: key.into() };
        for family in [&self.clock_offset, &self.clock_uncertainty, &self.round_trip] {
            family.remove(&label);
        }
    }

    pub(crate) fn clock(&self, key: &str, clock: ClockOffset) {
        let label = OfReceiver { receiver: key.into() };
        self.clock_offset.get_or_create(&label).set(clock.offset_us as f64 / 1e6);
        self.clock_uncertainty.get_or_create(&label).set(clock.uncertainty_us as f64 / 1e6);
        self.round_trip.get_or_create(&label).set(clock.round_trip_us as f64 / 1e6);
    }
}
