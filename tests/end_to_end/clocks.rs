//! Two hosts with clocks that differ: what the report says of them, and that one-way latencies are right nevertheless.

use std::time::Instant;

use serde_json::Value;

use crate::harness::{Flags, Trio, program, run};

/// How far the receiver's clock is ahead: more than any latency here.
const AHEAD_US: i64 = 3_600_000_000;

fn number(report: &Value, path: &str) -> f64 {
    report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {path} in {report:#}"))
}

/// The receiver reads a clock that is an hour ahead. `measure` finds that over the control link, and the latencies are those of
/// the transmission and not those of the clocks.
#[tokio::test]
async fn one_way_latencies_are_right_although_a_clock_is_wrong() {
    let shift = AHEAD_US.to_string();
    let mut flags = Flags::of_air(&["--channel", "awgn", "--snr", "15"]);
    flags.receiver.extend(["--shift-clock-us".to_string(), shift]);
    let trio = Trio::start_with(flags).await;
    let reports = trio.folder.path().join("reports.jsonl");
    let summary = trio.folder.path().join("summary.json");
    let mut command = program();
    command.arg("measure").args(trio.client_key.flags(&[&trio.transmitter_key]));
    command.args(["--connect", &trio.control_address().to_string(), "--text", "what time is it there?"]);
    command.args(["--count", "3"]).arg("--report").arg(&reports).arg("--summary").arg(&summary);
    let began = Instant::now();
    let finished = run(command).await.expect_code(0);
    let elapsed_ms = began.elapsed().as_secs_f64() * 1e3;

    let lines = std::fs::read_to_string(reports).expect("the reports");
    let reports: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(reports.len(), 3);
    for report in &reports {
        let uncertainty_us = number(report, "/clock/uncertainty_us");
        let error_us = (number(report, "/clock/offset_us") - AHEAD_US as f64).abs();
        // Both processes read the same clock of this machine, so the truth is known.
        assert!(error_us <= uncertainty_us, "{error_us} µs of {uncertainty_us} µs: {report:#}");
        // Far less than the shift; how little it is depends on how busy the machine is.
        assert!(uncertainty_us < 1e6, "{report:#}");
        let slack_ms = uncertainty_us / 1e3;
        let total = number(report, "/latency_ms/total");
        for part in ["/latency_ms/encode", "/latency_ms/decode", "/timeline_ms/first_sample"] {
            assert!(number(report, part) <= total + slack_ms, "{part}: {report:#}");
        }
        assert!(number(report, "/latency_ms/air") >= -slack_ms, "{report:#}");
        assert!(
            (-slack_ms..=elapsed_ms + slack_ms).contains(&total),
            "{total} of {elapsed_ms} ms: {report:#}"
        );
    }
    let summary: Value = serde_json::from_slice(&std::fs::read(summary).expect("a summary")).expect("JSON");
    assert_eq!((&summary["transmissions"], &summary["stages"][3]["name"]), (&3.into(), &"air".into()));
    let offset_us = number(&summary, "/clock_offset_us/p50");
    assert!((offset_us - AHEAD_US as f64).abs() < 1e6, "{summary:#}");
    let bars = finished.output.lines().filter(|line| line.contains('█') || line.contains('▏')).count();
    assert!(bars >= 7, "a bar a stage: {}", finished.output);
    for word in ["begins", "clock ahead by +3"] {
        assert!(finished.output.contains(word), "{word} in {}", finished.output);
    }
}

/// Flags that set up a process have no effect on one that runs already: they are refused, and so is the reverse.
#[tokio::test]
async fn measure_refuses_flags_that_would_do_nothing() {
    for (flags, says) in
        [(&["--connect", "127.0.0.1:1", "--snr", "3"][..], "--snr"), (&["--key", "client.key"], "--connect")]
    {
        let mut command = program();
        command.args(["measure", "--text", "hello"]).args(flags);
        run(command).await.expect_code(2).expect_errors(&[says]);
    }
}
