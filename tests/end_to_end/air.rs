//! The air as a process: changed over HTTP while pictures go through it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use semcast_common::{message::SystemId, wire::SendOptions};
use serde_json::Value;

use crate::harness::{PATIENCE, Trio, scene};

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
