//! The three daemons by hand: `send` and `watch`, several receivers, and restarts in the middle of a message.

use std::path::Path;

use semcast_common::{
    content::{Picture, file},
    message::SystemId,
    wire::SendOptions,
};
use serde_json::Value;

use crate::harness::{Key, Trio, program, psnr_db, run, scene};

fn options(system: SystemId) -> SendOptions {
    SendOptions { system: Some(system), ..SendOptions::default() }
}

/// Each process is killed while samples flow; the other two stay up, and what is sent next arrives.
#[tokio::test]
async fn any_process_may_be_killed_in_the_middle_and_started_again() {
    let mut trio = Trio::start(&["--channel", "awgn", "--snr", "15"]).await;
    trio.transfer(&scene(96, 64, 1), options(SystemId::Ae)).await;

    let mut interrupted = trio.submit_for_long().await;
    trio.restart_air().await;
    let _ = interrupted.outcome().await.expect("the transmitter stays up");
    trio.transfer(&scene(96, 64, 2), options(SystemId::Classical)).await;
    trio.expect_alive();

    let mut interrupted = trio.submit_for_long().await;
    trio.restart_receiver().await;
    let _ = interrupted.outcome().await.expect("the transmitter stays up");
    trio.transfer(&scene(96, 64, 3), options(SystemId::Ae)).await;
    trio.expect_alive();

    let mut interrupted = trio.submit_for_long().await;
    trio.restart_transmitter().await;
    assert!(interrupted.outcome().await.is_err(), "a transmitter that was killed has reported");
    trio.transfer(&scene(96, 64, 4), options(SystemId::Classical)).await;
    trio.expect_alive();
}

/// Two receivers hear the same air, one of them without a control link; `semcast watch` writes what each got.
#[tokio::test]
async fn what_is_sent_reaches_every_receiver_and_whoever_watches() {
    let mut trio = Trio::start(&["--channel", "multipath", "--snr", "15"]).await;
    let second_key = Key::make(trio.folder.path(), "second").await;
    let mut second = trio.one_way_receiver(&second_key).await;
    let picture = scene(96, 64, 6);
    let path = trio.folder.path().join("sent.png");
    std::fs::write(&path, file::encode_png(&picture).expect("a picture file")).expect("a file");

    let watchers = [
        (trio.receiver.address("watch"), &trio.receiver_key, trio.folder.path().join("first")),
        (second.address("watch"), &second_key, trio.folder.path().join("second")),
    ];
    let mut watching = tokio::task::JoinSet::new();
    for (address, key, output) in &watchers {
        let mut command = program();
        command.arg("watch").args(trio.client_key.flags(&[key])).args(["--connect", &address.to_string()]);
        command.args(["--count", "1", "--output"]).arg(output);
        watching.spawn(run(command));
    }
    let report = trio.folder.path().join("report.json");
    // A watcher says nothing before something arrives: sent until each has got one.
    while !watching.is_empty() {
        let mut command = program();
        command.arg("send").args(trio.client_key.flags(&[&trio.transmitter_key]));
        command.args(["--connect", &trio.control_address().to_string(), "--system", "classical", "--report"]);
        command.arg(&report).arg(&path);
        let sent = run(command).await.expect_code(0);
        assert!(sent.output.contains("classical"), "{}", sent.output);
        while let Some(watched) = watching.try_join_next() {
            let watched = watched.expect("a run").expect_code(0);
            assert!(watched.output.contains("picture 96x64"), "{}", watched.output);
        }
    }
    for (.., folder) in &watchers {
        let quality = psnr_db(&picture, &only_picture(folder));
        assert!(quality > 20.0, "{}: {quality} dB", folder.display());
    }
    let report: Value = serde_json::from_slice(&std::fs::read(report).expect("a report")).expect("JSON");
    assert!(report["frames_received"].as_u64() > Some(0), "{report:#}");
    trio.expect_alive();
    second.expect_alive();
}

fn only_picture(folder: &Path) -> Picture {
    let files: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file")).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    file::decode_picture(&std::fs::read(files[0].path()).expect("its bytes")).expect("a picture")
}
