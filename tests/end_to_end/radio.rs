//! `semcast radio`: measurements between two radios, over an air.

use serde_json::Value;

use crate::harness::{Daemon, program, run};

/// An air of its own, and flags that name its ports.
async fn air(flags: &[&str]) -> (Daemon, [String; 4]) {
    let mut arguments = vec!["--transmit-addr", "127.0.0.1:0", "--receive-addr", "127.0.0.1:0"];
    arguments.extend(flags);
    let air = Daemon::start("air", &arguments).await;
    let [transmit, receive] = ["transmit", "receive"].map(|port| format!("udp:{}", air.address(port)));
    (air, ["--transmit".into(), transmit, "--receive".into(), receive])
}

#[tokio::test]
async fn calibration_finds_what_the_air_was_told() {
    let (_air, radios) = air(&["--channel", "awgn", "--snr", "20", "--cfo", "-4000"]).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = folder.path().join("report.json");
    let mut command = program();
    command.args(["radio", "calibrate", "--frequency", "400e6", "--input-dbm=-80"]).args(&radios);
    command.arg("--report").arg(&report);
    run(command).await.expect_code(0);
    let report: Value = serde_json::from_slice(&std::fs::read(report).expect("a report")).expect("JSON");
    let number = |name: &str| report.pointer(name).and_then(Value::as_f64).expect(name);
    assert!((number("/cfo_hz") + 4000.0).abs() < 50.0, "{report:#}");
    assert!((number("/cfo_ppm") + 10.0).abs() < 0.2, "{report:#}");
    assert!((number("/snr_db") - 20.0).abs() < 0.5, "{report:#}");
    assert!((number("/evm_percent") - 10.0).abs() < 1.0, "{report:#}");
    // Thermal noise in 4.5 MHz is -107.44 dBm.
    assert!((number("/noise_figure_db") - (-80.0 - 20.0 + 107.44)).abs() < 0.7, "{report:#}");
    assert_eq!(number("/intact"), 20.0);
}

/// A pair that is worse than its limits makes the command fail, with the limits that do not hold.
#[tokio::test]
async fn a_pair_that_fails_its_limits_is_not_accepted() {
    let (_air, radios) = air(&["--channel", "awgn", "--snr", "9"]).await;
    let mut command = program();
    command.args(["radio", "accept", "--probes", "5"]).args(&radios);
    let refused = run(command).await;
    assert!(
        refused.output.contains("| H1 | probes intact at the usual level | 100.00 %"),
        "{}",
        refused.output
    );
    for number in ["H2", "H4"] {
        let line = refused.output.lines().find(|line| line.contains(&format!("| {number} |"))).expect(number);
        assert!(line.contains("FAIL"), "{line}");
    }
    refused.expect_code(4).expect_errors(&["limits do not hold"]);
}

#[tokio::test]
async fn a_spectrum_shows_the_occupied_band() {
    // The noise of an air fills the band; its power is that of the noise on all samples.
    let (_air, [.., receive]) = air(&["--channel", "awgn", "--snr", "0", "--pacing", "paced"]).await;
    for (format, lines) in [("csv", 17), ("json", 1)] {
        let mut command = program();
        command.args(["radio", "spectrum", "--bins", "16", "--samples", "100000", "--format", format]);
        command.args(["--radio", &receive]);
        let shown = run(command).await.expect_code(0);
        assert_eq!(shown.output.lines().count(), lines, "{}", shown.output);
        if format == "json" {
            let spectrum: Value = serde_json::from_str(&shown.output).expect("JSON");
            // N/K = 512/300 in dB.
            let mean_dbfs = spectrum["mean_dbfs"].as_f64().expect("a number");
            assert!((mean_dbfs - 2.32).abs() < 0.2, "{mean_dbfs}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let told = async |words: &[&str]| {
        let mut command = program();
        command.arg("radio").args(words);
        run(command).await
    };
    told(&["spectrum", "--radio", "udp:127.0.0.1:9", "--wait", "0.3"])
        .await
        .expect_code(5)
        .expect_errors(&["no samples"]);
    told(&["probe", "hackrf"]).await.expect_code(2);
    #[cfg(not(feature = "soapysdr"))]
    told(&["list"]).await.expect_code(2).expect_errors(&["--features soapysdr"]);
}
