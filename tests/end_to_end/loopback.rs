//! `semcast loopback`: a message over the channel, its quality, and its report.

use serde_json::Value;

use crate::harness::{letters, loopback, loopback_under, program, run, scene};

/// Fields of a report that are numbers when a picture has arrived.
const NUMBERS: [&str; 26] = [
    "seed",
    "snr_db_set",
    "snr_db_estimated",
    "image/width",
    "image/height",
    "symbols_payload",
    "symbols_total",
    "cbr_net",
    "cbr_gross",
    "shannon_bits",
    "airtime_ms",
    "psnr_db",
    "ssim",
    "ms_ssim",
    "bytes_source",
    "frames_sent",
    "frames_received",
    "resends",
    "latency_ms/encode",
    "latency_ms/modulate",
    "latency_ms/air",
    "latency_ms/demodulate",
    "latency_ms/decode",
    "latency_ms/total",
    "timeline_ms/decoded",
    "clock/uncertainty_us",
];

/// What the codec made at 10 dB must be what comes out at 10 dB, whatever the noise is: the same bytes as at
/// 40 dB, where there is next to no noise.
#[tokio::test]
async fn classical_at_10_db_arrives_without_errors() {
    let picture = scene(160, 112, 1);
    let classical = ["--system", "classical", "--channel", "awgn", "--cbr", "0.1", "--design-snr", "10"];
    let run = async |snr: &str, seed: &str| {
        let flags = [&classical[..], &["--snr", snr, "--seed", seed]].concat();
        let run = loopback(Some(&picture), &flags).await.expect_arrival();
        assert_eq!(run.number("missing"), 0.0, "seed {seed}");
        run
    };
    let clean = run("40", "1").await;
    assert!(clean.measured_psnr_db() > 26.0, "{} dB", clean.measured_psnr_db());
    for seed in ["1", "2"] {
        let noisy = run("10", seed).await;
        assert_eq!(noisy.bytes("received.png"), clean.bytes("received.png"), "seed {seed}");
        let estimated = noisy.number("snr_db_estimated");
        assert!((estimated - 10.0).abs() < 1.0, "seed {seed}: {estimated} dB estimated");
    }
}

#[tokio::test]
#[ignore = "twenty runs of three processes: for the acceptance of a release"]
async fn classical_at_10_db_arrives_without_errors_20_times_of_20() {
    let picture = scene(320, 240, 1);
    for seed in 1..=20 {
        let seed = seed.to_string();
        let flags = ["--system", "classical", "--snr", "10", "--channel", "awgn", "--seed", &seed];
        let run = loopback(Some(&picture), &flags).await.expect_arrival();
        assert_eq!(run.number("missing"), 0.0, "seed {seed}");
    }
}

#[tokio::test]
async fn the_report_tells_everything_and_both_pictures_are_written() {
    let picture = scene(160, 112, 2);
    let flags = ["--system", "classical", "--channel", "awgn", "--snr", "12", "--seed", "7"];
    let run = loopback(Some(&picture), &flags).await.expect_arrival();
    for name in NUMBERS {
        assert!(run.number(name) >= 0.0, "{name} is {}", run.number(name));
    }
    let report = run.report();
    assert_eq!((&report["system"], &report["channel"]), (&Value::from("classical"), &Value::from("awgn")));
    assert_eq!((run.number("seed"), run.number("snr_db_set")), (7.0, 12.0));
    assert_eq!((run.number("image/width"), run.number("image/height")), (160.0, 112.0));
    assert_eq!(run.number("bytes_source"), run.bytes("sent.png").len() as f64);
    assert!((run.number("snr_db_estimated") - 12.0).abs() < 1.0);
    assert!(run.number("symbols_total") > run.number("symbols_payload"));
    let values = picture.values() as f64;
    assert_eq!(run.number("cbr_net"), run.number("symbols_payload") / values);
    assert_eq!(run.number("cbr_gross"), run.number("symbols_total") / values);
    assert!(run.number("cbr_net") <= 0.0625 * 1.01, "the default budget is kept: {}", run.number("cbr_net"));
    assert!(run.number("shannon_bits") > 8.0 * run.number("bytes_coded"));
    assert!(run.number("frames_sent") >= 1.0);
    assert_eq!(run.number("frames_received"), run.number("frames_sent"));
    let latency = |stage: &str| run.number(&format!("latency_ms/{stage}"));
    for stage in ["encode", "modulate", "air", "demodulate", "decode"] {
        assert!(latency(stage) > 0.0 && latency(stage) <= latency("total"), "{stage}: {report:#}");
    }
    assert!((run.number("psnr_db") - run.measured_psnr_db()).abs() < 0.01);
    for name in ["ssim", "ms_ssim"] {
        assert!((0.5..=1.0).contains(&run.number(name)), "{name} is {}", run.number(name));
    }
    let (received, both) = (run.picture("received.png"), run.picture("side-by-side.png"));
    assert_eq!(both.height(), 112);
    assert!((320..340).contains(&both.width()), "{both:?}");
    let length = 3 * 160;
    for (y, row) in both.rgb().chunks_exact(3 * both.width() as usize).enumerate() {
        assert!(row.starts_with(&picture.rgb()[y * length..][..length]), "row {y} of what was sent");
        assert!(row.ends_with(&received.rgb()[y * length..][..length]), "row {y} of what arrived");
    }
    for word in ["PSNR", "classical", "received.png", "side-by-side.png"] {
        assert!(run.finished.output.contains(word), "{word} in {}", run.finished.output);
    }
}

#[tokio::test]
async fn text_arrives_letter_by_letter() {
    let text = "Grüße aus dem Äther — 你好, мир! 🛰️\n\tSecond line.";
    let run = loopback(None, &["--text", text, "--snr", "8"]).await.expect_arrival();
    assert_eq!(run.bytes("received.txt"), text.as_bytes());
    assert!(run.finished.output.contains(text));
    assert_eq!(run.report()["exact"], true);
    assert_eq!(run.number("text_error_rate"), 0.0);
    assert_eq!(run.number("bytes_source"), text.len() as f64);

    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("letters.txt");
    let text = letters(20_000) + "é";
    std::fs::write(&file, &text).expect("a file");
    let flags = ["--text-file", &file.to_string_lossy(), "--channel", "awgn", "--no-feedback"];
    let run = loopback(None, &flags).await.expect_arrival();
    assert_eq!(run.bytes("received.txt"), text.as_bytes());
}

/// The same picture, symbols and noise: `ae` gets better with the SNR and has no cliff, `classical` made for 10 dB
/// has one.
#[tokio::test]
async fn ae_gets_better_with_the_snr_and_has_no_cliff() {
    let picture = scene(160, 112, 3);
    let mut qualities = Vec::new();
    for snr in ["0", "5", "10", "15"] {
        let flags = ["--system", "ae", "--snr", snr, "--channel", "awgn", "--seed", "5"];
        let run = loopback(Some(&picture), &flags).await.expect_arrival();
        let estimated = run.number("snr_db_estimated");
        assert!((estimated - run.number("snr_db_set")).abs() < 1.0, "{estimated} dB estimated at {snr} dB");
        qualities.push(run.measured_psnr_db());
    }
    assert!(qualities.windows(2).all(|pair| pair[0] < pair[1]), "{qualities:?} dB");
    assert!(qualities[0] > 18.0, "recognisable at 0 dB: {qualities:?} dB");
    assert!(qualities.windows(2).all(|pair| pair[1] - pair[0] < 8.0), "no cliff: {qualities:?} dB");

    let flags = ["--system", "classical", "--snr", "0", "--channel", "awgn", "--seed", "5"];
    let flags = [&flags[..], &["--design-snr", "10", "--max-resends", "0"]].concat();
    let run = loopback(Some(&picture), &flags).await;
    assert!(!run.path("received.png").exists());
    run.finished.expect_code(4).expect_errors(&["error: the receiver cannot decode the message"]);
}

/// The variational systems, with either way to tell the variance: the choice crosses the air with the message.
#[tokio::test]
async fn variational_systems_arrive_with_fixed_and_transmitted_variance() {
    let picture = scene(160, 112, 3);
    for (system, variance) in [("vscc", "fixed"), ("vscc", "transmitted"), ("vae", "fixed")] {
        let flags =
            ["--system", system, "--variance", variance, "--snr", "12", "--channel", "awgn", "--seed", "5"];
        let run = loopback(Some(&picture), &flags).await.expect_arrival();
        assert_eq!(run.report()["system"], system);
        assert!(run.number("cbr_net") <= 0.0625 * 1.01, "variances count: {}", run.number("cbr_net"));
        let quality = run.measured_psnr_db();
        assert!(quality > 20.0, "{system} with {variance} variance: {quality} dB");
    }
}

const ROUGH: [&str; 8] = ["--cfo", "20000", "--clock-offset", "20", "--channel", "multipath", "--snr", "15"];

#[tokio::test]
async fn offsets_and_echoes_are_overcome() {
    for (system, cfo) in [("classical", "20000"), ("ae", "-20000")] {
        let mut flags = [&ROUGH[..], &["--system", system]].concat();
        flags[1] = cfo;
        let run = loopback(Some(&scene(160, 112, 4)), &flags).await.expect_arrival();
        assert_eq!(run.number("missing"), 0.0, "{system}");
        assert!(run.measured_psnr_db() > 20.0, "{system}: {} dB", run.measured_psnr_db());
        let found = run.number("cfo_hz_estimated");
        assert!(
            (found.abs() - 20e3).abs() < 500.0 && found.signum() == cfo.parse::<f64>().expect("Hz").signum()
        );
    }
}

#[tokio::test]
#[ignore = "twenty runs of three processes: for the acceptance of a release"]
async fn offsets_and_echoes_are_overcome_20_times_of_20() {
    let picture = scene(96, 64, 4);
    for seed in 1..=20 {
        let seed = seed.to_string();
        let mut flags =
            [&ROUGH[..], &["--system", "classical", "--max-resends", "0", "--seed", &seed]].concat();
        flags[1] = if seed.len() == 1 { "20000" } else { "-20000" };
        let run = loopback(Some(&picture), &flags).await.expect_arrival();
        assert_eq!(run.number("missing"), 0.0, "seed {seed}");
    }
}

/// The picture that the program draws, over flat and over frequency-selective channels: all that is on the air beside
/// payload is told, and is less than 12 % of it.
#[tokio::test]
async fn a_picture_costs_little_more_than_its_payload() {
    for channel in ["awgn", "multipath"] {
        let flags = ["--system", "ae", "--channel", channel, "--snr", "10"];
        let run = loopback(None, &flags).await.expect_arrival();
        let causes = run.report()["overhead"].as_object().expect("overhead by cause").clone();
        let overhead: f64 = causes.values().filter_map(Value::as_f64).sum();
        assert_eq!(run.number("symbols_payload") + overhead, run.number("symbols_total"), "{causes:?}");
        let percent = run.number("overhead_percent");
        assert!((percent - 100.0 * overhead / run.number("symbols_payload")).abs() < 1e-9);
        assert!(percent < 12.0, "{percent} % over {channel}: {causes:?}");
    }
}

/// Ten times as much noise as signal: the robust sounding frame finds the link, and messages follow in robust frames.
#[tokio::test]
async fn far_below_the_noise_messages_arrive_in_robust_frames() {
    let deep = ["--snr", "-10", "--channel", "awgn", "--seed", "2"];
    let text = "CQ CQ de semcast: far below the noise.";
    let run = loopback(None, &[&["--text", text], &deep[..]].concat()).await.expect_arrival();
    assert_eq!(run.bytes("received.txt"), text.as_bytes());
    assert_eq!(run.report()["mode"], "robust");
    assert!((run.number("snr_db_estimated") + 10.0).abs() < 1.5, "{} dB", run.number("snr_db_estimated"));

    let picture = scene(64, 48, 6);
    // Its first round is not heard in normal frames.
    let run = loopback(Some(&picture), &[&["--system", "ae"], &deep[..]].concat()).await.expect_arrival();
    assert_eq!(run.report()["mode"], "normal, then robust");
    assert_eq!(run.number("missing"), 0.0);
    assert!(run.measured_psnr_db() > 10.0, "{} dB", run.measured_psnr_db());

    // One way, prepared for it.
    let one_way = ["--text", text, "--no-feedback", "--design-snr", "-10"];
    let run = loopback(None, &[&one_way, &deep[..]].concat()).await.expect_arrival();
    assert_eq!(run.report()["exact"], true);
}

/// Prepared for more than there is, by so little that soft bits of two transmissions are enough together.
#[tokio::test]
async fn what_one_transmission_cannot_bring_two_can() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), letters(3000)).expect("a file");
    let path = file.path().to_string_lossy();
    let flags = ["--text-file", &*path, "--design-snr", "7.5", "--snr", "3.5", "--channel", "awgn"];
    let run = loopback(None, &flags).await.expect_arrival();
    assert_eq!(run.report()["exact"], true);
    assert!(run.number("segments_combined") >= 1.0 && run.number("resends") >= 1.0, "{:#}", run.report());
    assert_eq!(run.report()["mode"], "normal");

    let flags = [&flags[..], &["--frames", "robust"]].concat();
    let run = loopback(None, &flags).await.expect_arrival();
    assert_eq!((&run.report()["mode"], &run.report()["exact"]), (&Value::from("robust"), &Value::from(true)));
}

/// Without a control link; and the same seed gives the same noise, another seed another.
#[tokio::test]
async fn one_way_messages_arrive_and_a_seed_fixes_them() {
    let picture = scene(96, 64, 5);
    let classical = ["--system", "classical", "--design-snr", "10", "--no-feedback", "--channel", "awgn"];
    loopback(Some(&picture), &classical).await.expect_arrival();

    let received = async |seed: &str| {
        let flags = ["--system", "ae", "--snr", "5", "--no-feedback", "--seed", seed];
        loopback(Some(&picture), &flags).await.expect_arrival().bytes("received.png")
    };
    let first = received("3").await;
    assert!(received("3").await == first, "the same seed gave other noise");
    assert!(received("4").await != first, "another seed gave the same noise");
}

/// The processes that `loopback` starts must not read the environment again, over what flags have said.
#[tokio::test]
async fn flags_go_over_the_environment_in_every_process() {
    let environment = [("SEMCAST_AIR_SNR_DB", "30"), ("SEMCAST_AIR_CHANNEL", "awgn")];
    let run =
        loopback_under(&environment, None, &["--text", "which SNR?", "--snr", "5"]).await.expect_arrival();
    assert!((run.number("snr_db_estimated") - 5.0).abs() < 1.5, "{} dB", run.number("snr_db_estimated"));
    assert_eq!(run.report()["channel"], "awgn");
}

#[tokio::test]
async fn measure_prints_percentiles_and_writes_a_report_a_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines = folder.path().join("reports.jsonl");
    let mut command = program();
    command
        .args(["measure", "--text", "again and again", "--count", "3", "--device", "cpu", "--report"])
        .arg(&lines);
    let finished = run(command).await.expect_code(0);
    for word in ["p50", "p95", "p99", "total", "3 transmissions"] {
        assert!(finished.output.contains(word), "{word} in {}", finished.output);
    }
    let lines = std::fs::read_to_string(lines).expect("the reports");
    let reports: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(reports.iter().filter(|report| report["exact"] == true).count(), 3);
}
