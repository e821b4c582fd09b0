//! `sct-modular` and `sct-integrated` over the real link: regions by importance, selective mode, a latency budget.

use semcast_common::{
    content::file,
    intent::{Intent, Preserve},
    message::SystemId,
    wire::{ContentKind, ControlMessage, SendOptions, SubmitKind},
};

use crate::harness::{Trio, loopback, scene, within};

const SYSTEMS: [&str; 2] = ["sct-modular", "sct-integrated"];

#[tokio::test]
async fn regions_arrive_and_keep_the_budget() {
    let picture = scene(320, 240, 7);
    for system in SYSTEMS {
        let flags = ["--system", system, "--channel", "multipath", "--snr", "12", "--seed", "3"];
        let run = loopback(Some(&picture), &flags).await.expect_arrival();
        assert_eq!((run.report()["system"].as_str(), run.number("missing")), (Some(system), 0.0));
        let quality = run.measured_psnr_db();
        assert!(quality > 20.0, "{system}: {quality} dB");
        // A resent segment counts, too.
        let allowed = if run.number("resends") > 0.0 { 1.4 } else { 1.03 };
        assert!(run.number("cbr_net") <= 0.0625 * allowed, "{system}: {}", run.number("cbr_net"));
    }
}

/// Less is sent, or the same on fewer regions: what matters is as good, and the picture still whole.
#[tokio::test]
async fn selective_mode_arrives() {
    let picture = scene(320, 240, 8);
    for system in SYSTEMS {
        let flags = ["--system", system, "--channel", "awgn", "--snr", "10", "--mode", "selective"];
        let flags = [&flags[..], &["--importance", "entropy"]].concat();
        let run = loopback(Some(&picture), &flags).await.expect_arrival();
        let quality = run.measured_psnr_db();
        assert!(quality > 14.0, "{system}: {quality} dB");
    }
    let run = loopback(Some(&picture), &["--system", "sct-modular", "--keep", "no-such-class"]).await;
    run.finished.expect_code(2).expect_errors(&["no-such-class"]);
}

/// What is for a machine arrives as what the picture shows, and no picture is made.
#[tokio::test]
async fn a_machine_is_told_classes() {
    let picture = scene(320, 240, 8);
    for system in SYSTEMS {
        let flags = ["--system", system, "--channel", "multipath", "--snr", "10", "--for", "machine"];
        let run = loopback(Some(&picture), &flags).await.expect_arrival();
        let report = run.report();
        let classes = report["classes"].as_array().expect("classes");
        let share: f64 = classes.iter().map(|class| class["share"].as_f64().expect("a share")).sum();
        assert!((share - 1.0).abs() < 1e-3, "{system}: {classes:?}");
        assert!(report["psnr_db"].is_null() && report["task_accuracy"].is_null());
        let labels = std::fs::read_to_string(run.path("labels.json")).expect("labels");
        let labels: serde_json::Value = serde_json::from_str(&labels).expect("JSON");
        assert_eq!(labels["blocks"].as_array().map(Vec::len), Some(15));
        assert!(run.path("labels.png").exists() && !run.path("received.png").exists());
    }
}

/// While a latency budget lasts, weak regions are sent again and combined, and whoever watches sees the picture get better.
#[tokio::test]
async fn a_latency_budget_makes_a_noisy_picture_better() {
    let picture = scene(320, 240, 9);
    let mut trio = Trio::start(&["--channel", "awgn", "--snr", "2"]).await;
    let options = |budget_ms| SendOptions {
        system: Some(SystemId::SctIntegrated),
        budget_ms,
        intent: Intent { preserve: Preserve::Overall, ..Intent::default() },
        ..SendOptions::default()
    };
    let mut qualities = Vec::new();
    for budget_ms in [None, Some(3000)] {
        let bytes = file::encode_png(&picture).expect("a picture file");
        let mut submission = trio.submit(SubmitKind::PictureFile, bytes, options(budget_ms), None).await;
        let report = submission.outcome().await.expect("a connection").expect("a report");
        assert_eq!(report.transmitter.resends > 0, budget_ms.is_some(), "{report:?}");
        let wanted = (report.transmitter.session, report.transmitter.message_id);
        let watcher = &mut trio.watcher;
        let (intermediate, last) = within("the picture arrives", async {
            let mut intermediate = 0;
            loop {
                let news = watcher.receive().await.expect("the receiver stays").expect("news");
                if let ControlMessage::Arrived(arrived) = news.message
                    && (arrived.part.session, arrived.message_id) == wanted
                {
                    assert_eq!(arrived.content, ContentKind::Picture { width: 320, height: 240 });
                    if !arrived.intermediate {
                        return (intermediate, arrived.part.confidence);
                    }
                    intermediate += 1;
                }
            }
        })
        .await;
        assert_eq!(intermediate > 0, budget_ms.is_some());
        qualities.push(last);
    }
    assert!(qualities[1] > qualities[0] + 0.05, "{qualities:?}");
}
