//! The air as a process: changed over HTTP while pictures go through it.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
};

use semcast_common::{message::SystemId, wire::SendOptions};
use serde_json::Value;

use crate::harness::{Key, PATIENCE, Trio, program, run, scene};

/// One request; status and body of the answer.
fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("the air listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: air\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all((head + body).as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_string())
}

fn json(address: SocketAddr, path: &str) -> Value {
    let (status, body) = ask(address, "GET", path, "");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

#[tokio::test]
async fn the_channel_is_changed_over_http_between_two_pictures() {
    let mut trio = Trio::start(&["--channel", "awgn", "--snr", "25", "--http", "127.0.0.1:0"]).await;
    let http = trio.air.address("http");
    let options = SendOptions { system: Some(SystemId::Ae), ..SendOptions::default() };
    assert_eq!(json(http, "/api/spectrum?bins=64"), Value::Null);
    let before = trio.transfer(&scene(96, 64, 1), options.clone()).await.part.snr_db_estimated;
    let (status, body) =
        ask(http, "PATCH", "/api/settings", r#"{"channel": {"snr_db": 12, "cfo_hz": 2000}}"#);
    assert_eq!(status, 200, "{body}");
    trio.air.log_says("settings changed").await;
    let after = trio.transfer(&scene(96, 64, 1), options).await.part;
    assert!((before - 25.0).abs() < 2.0, "{before} dB before");
    assert!((after.snr_db_estimated - 12.0).abs() < 2.0, "{} dB after", after.snr_db_estimated);
    assert!((after.cfo_hz_estimated - 2000.0).abs() < 200.0, "{} Hz", after.cfo_hz_estimated);

    let (status, body) = ask(http, "PATCH", "/api/settings", r#"{"channel": {"snr_db": 1e9}}"#);
    assert!(status == 422 && body.contains("-100 to 200"), "{status} {body}");
    let stats = json(http, "/api/stats");
    assert!(stats["changes"] == 1 && stats["bursts"].as_u64() >= Some(2), "{stats}");
    let spectrum = json(http, "/api/spectrum?bins=64");
    assert_eq!(spectrum["output_db"].as_array().map(Vec::len), Some(64), "{spectrum}");
    let (status, page) = ask(http, "GET", "/", "");
    assert!(status == 200 && page.contains("<canvas"), "{status}");
    // Nothing on the page comes from elsewhere.
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("src="), "{page}");
    trio.expect_alive();
}

/// The pictures that a receiver wrote, by transmitter and message.
fn pictures(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder).map_or(Vec::new(), |files| files.flatten().collect());
    files
        .iter()
        .filter_map(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            // What comes first is the time.
            let (_, message) = name.strip_suffix(".png")?.split_once('-')?;
            Some((message.to_string(), std::fs::read(file.path()).expect("a picture")))
        })
        .collect()
}

async fn replay(recording: &Path, output: &Path) -> crate::harness::Finished {
    let mut command = program();
    command.args(["replay", "--device", "cpu", "--output"]).arg(output).arg(recording);
    run(command).await
}

/// A picture goes through the air, which records; a receiver records, too. Each recording, replayed, gives the picture that
/// arrived, byte for byte.
#[tokio::test]
async fn a_recording_gives_the_same_picture_as_the_air_did() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let record = path("air").to_string_lossy().into_owned();
    let mut trio = Trio::start(&[
        "--channel",
        "tdl-c:100",
        "--snr",
        "18",
        "--cfo",
        "900",
        "--seed",
        "5",
        "--record",
        &record,
    ])
    .await;
    // A second receiver has its own channel and writes both what it hears and what it makes of it.
    let key = Key::make(trio.folder.path(), "second").await;
    let (heard, arrived) = (path("second"), path("arrived"));
    let flags = [
        ("--record", heard.to_string_lossy().into_owned()),
        ("--output-dir", arrived.to_string_lossy().into_owned()),
    ];
    let mut second = trio.one_way_receiver_with(&key, &flags).await;
    second.log_says("decoders run here").await;
    // Sent until the second one, which says nothing of where it stands, has written one.
    while pictures(&arrived).is_empty() {
        let options = SendOptions { system: Some(SystemId::Ae), ..SendOptions::default() };
        trio.transfer(&scene(96, 64, 3), options).await;
    }
    second.finish().await;
    let wanted = pictures(&arrived);
    trio.air.finish().await;

    for recording in ["second", "air-out1"] {
        let output = path(&format!("from-{recording}"));
        replay(&path(recording), &output).await.expect_code(0);
        let again = pictures(&output);
        // A message whose picture was still in the making when the receiver was stopped is in the recording, too.
        for (message, picture) in &wanted {
            assert!(again.get(message) == Some(picture), "{message} from {recording} differs");
        }
    }
    // At another rate it is refused, with what to do about it.
    let metadata = path("second.sigmf-meta");
    let text = std::fs::read_to_string(&metadata).expect("metadata");
    std::fs::write(&metadata, text.replace("7680000.0", "20000000.0")).expect("metadata");
    let refused = replay(&path("second"), &path("refused")).await.expect_code(2);
    refused.expect_errors(&["20000000", "7680000", "resample"]);
    replay(&path("nothing"), &path("refused")).await.expect_code(2).expect_errors(&["nothing.sigmf-meta"]);
}
