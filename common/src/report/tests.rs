//! Tests of the merge and of the JSON.

use super::*;
use crate::message::ModelDigest;
use crate::wire::{Overhead, ReceiverTimings, TransmitterTimings};

pub(crate) fn parts() -> (TransmitterPart, ReceiverPart) {
    let transmitter = TransmitterPart {
        message_id: 7,
        session: 9,
        system: SystemId::Ae,
        model: ModelDigest([1; 8]),
        content: ContentKind::Picture { width: 100, height: 50 },
        bytes_source: 4321,
        bytes_coded: 0,
        symbols_payload: 1500,
        overhead: Overhead {
            preamble: 600,
            header: 300,
            control: 150,
            pilots: 240,
            padding: 10,
            sounding: 200,
        },
        airtime_ms: 2.5,
        mcs: String::new(),
        mode: "normal".into(),
        frames_sent: 4,
        resends: 1,
        device: "cpu".into(),
        timings: TransmitterTimings {
            encode_ms: 10.0,
            modulate_ms: 2.0,
            started_unix_us: 1_000_000,
            encode_started_unix_us: 1_001_000,
            first_sample_unix_us: 1_012_000,
            last_sample_unix_us: 1_014_000,
        },
    };
    let receiver = ReceiverPart {
        message_id: 7,
        session: 9,
        system: SystemId::Ae,
        confidence: 0.5,
        snr_db_estimated: 10.0,
        cfo_hz_estimated: -3.0,
        frames_received: 3,
        segments_combined: 0,
        arrived: 12,
        missing: 1,
        device: "wgpu".into(),
        timings: ReceiverTimings {
            demodulate_ms: 4.0,
            decode_ms: 20.0,
            first_sample_unix_us: 1_013_500,
            last_sample_unix_us: 1_015_500,
            demodulated_unix_us: 1_017_000,
            decoded_unix_us: 1_040_500,
        },
    };
    (transmitter, receiver)
}

pub(crate) fn setting() -> Setting {
    let clocks = Clocks::Apart(ClockOffset { offset_us: 500, uncertainty_us: 40, round_trip_us: 70 });
    Setting { seed: 1, channel: "awgn".into(), snr_db: 10.0, clocks }
}

#[test]
fn halves_merge() {
    let (transmitter, receiver) = parts();
    let quality = Quality { psnr_db: f64::INFINITY, ssim: 1.0, ms_ssim: 1.0, ..Quality::default() };
    let report = Report::merge(&setting(), &transmitter, Some(&receiver), quality);
    assert_eq!(report.cbr_net, 0.1);
    assert_eq!(report.cbr_gross, 0.2);
    assert_eq!(report.overhead_percent, 100.0);
    assert!((report.shannon_bits - 3000.0 * 11f64.log2()).abs() < 1e-6);
    assert_eq!(report.latency_ms.air, 3.0);
    assert_eq!(report.latency_ms.total, 40.0);
    assert!(report.table().contains("+500 ± 40"), "{}", report.table());
}

#[test]
fn json_has_the_fields_and_null_for_the_unknown() {
    let (transmitter, receiver) = parts();
    let quality = Quality { psnr_db: f64::INFINITY, ssim: 1.0, ms_ssim: 1.0, ..Quality::default() };
    let report = Report::merge(&setting(), &transmitter, Some(&receiver), quality);
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    for field in "system seed channel snr_db_set snr_db_estimated image symbols_payload symbols_total \
                  cbr_net cbr_gross overhead overhead_percent shannon_bits airtime_ms psnr_db ssim ms_ssim bytes_source \
                  frames_sent frames_received resends latency_ms"
        .split_whitespace()
    {
        assert!(json.get(field).is_some(), "{field}");
    }
    for stage in ["encode", "modulate", "air", "demodulate", "decode", "total"] {
        assert!(json["latency_ms"][stage].is_number(), "{stage}");
    }
    assert_eq!((&json["clock"]["offset_us"], &json["clock"]["uncertainty_us"]), (&500.into(), &40.into()));
    assert_eq!(json["timeline_ms"]["decoded"], 40.0);
    assert_eq!(json["system"], "ae");
    assert_eq!(json["overhead"]["pilots"], 240);
    assert_eq!(json["image"]["height"], 50);
    assert!(json["psnr_db"].is_null() && json["text_error_rate"].is_null());
    let back: Report = serde_json::from_str(&report.to_json()).unwrap();
    assert!(back.psnr_db.is_nan());
    assert_eq!(back.latency_ms, report.latency_ms);
}

#[test]
fn without_the_receiver_its_figures_are_unknown() {
    let (transmitter, _) = parts();
    let report = Report::merge(&setting(), &transmitter, None, Quality::default());
    assert_eq!(report.frames_received, 0);
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    assert!(json["latency_ms"]["total"].is_null() && json["shannon_bits"].is_null());
    assert_eq!(json["latency_ms"]["encode"], 10.0);
}
