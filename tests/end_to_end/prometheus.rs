//! What the daemons count, and that the dashboard and the alerts in `deploy/` name nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use semcast_common::{message::SystemId, wire::SendOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Daemon, Flags, Trio, scene, within};

/// What a daemon says of itself.
struct Scrape(String);

impl Scrape {
    async fn of(daemon: &Daemon) -> Self {
        let mut socket = TcpStream::connect(daemon.address("metrics")).await.expect("metrics are served");
        let request = b"GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        socket.write_all(request).await.expect("a request");
        let mut answer = String::new();
        within("metrics", socket.read_to_string(&mut answer)).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("# EOF\n"), "{answer}");
        Self(answer)
    }

    /// Names with their kinds.
    fn kinds(&self) -> BTreeMap<&str, &str> {
        let types = self.0.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types.filter_map(|line| line.split_once(' ')).collect()
    }

    /// The value of a sample, of the first that has the name.
    #[track_caller]
    fn value(&self, name: &str) -> f64 {
        let line = self.0.lines().find(|line| line.split(['{', ' ']).next() == Some(name));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        value.unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }
}

/// The names of samples that a metric of this kind has.
fn samples(name: &str, kind: &str) -> Vec<String> {
    let endings: &[&str] = match kind {
        "counter" => &["_total"],
        "histogram" => &["_bucket", "_sum", "_count"],
        _ => &[""],
    };
    endings.iter().map(|ending| format!("{name}{ending}")).collect()
}

/// All words in the files under a folder that look like the name of a metric.
fn names_in(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        if path.is_dir() {
            names_in(&path, names);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let words = text.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
            let metric = |word: &&str| {
                ["semcast_transmitter_", "semcast_receiver_", "semcast_air_"]
                    .iter()
                    .any(|of| word.starts_with(of))
            };
            names.extend(words.filter(metric).map(String::from));
        }
    }
}

#[tokio::test]
async fn the_daemons_count_and_dashboards_ask_for_nothing_else() {
    let metrics = ["--metrics", "127.0.0.1:0"];
    let mut flags = Flags::of_air(&["--channel", "awgn", "--snr", "15"]);
    for flags in [&mut flags.air, &mut flags.transmitter, &mut flags.receiver] {
        flags.extend(metrics.map(String::from));
    }
    let mut trio = Trio::start_with(flags).await;
    let options = SendOptions { system: Some(SystemId::Ae), ..SendOptions::default() };
    trio.transfer(&scene(96, 64, 9), options).await;

    let (air, transmitter, receiver) =
        (Scrape::of(&trio.air).await, Scrape::of(&trio.transmitter).await, Scrape::of(&trio.receiver).await);
    let frames = transmitter.value("semcast_transmitter_frames_total");
    assert!(frames >= 1.0);
    assert_eq!(receiver.value("semcast_receiver_frames_total"), air.value("semcast_air_bursts_total"));
    assert!(receiver.value("semcast_receiver_frames_total") >= frames);
    assert!(
        transmitter.0.contains("semcast_transmitter_messages_total{system=\"ae\"} 1\n"),
        "{}",
        transmitter.0
    );
    assert!(receiver.0.contains("semcast_receiver_messages_total{system=\"ae\"} 1\n"), "{}", receiver.0);
    assert!((receiver.value("semcast_receiver_snr_db") - 15.0).abs() < 2.0);
    for (scrape, name) in [
        (&transmitter, "semcast_transmitter_receivers"),
        (&transmitter, "semcast_transmitter_latency_seconds_count"),
        (&receiver, "semcast_receiver_linked"),
        (&receiver, "semcast_receiver_hearing"),
        (&receiver, "semcast_receiver_decode_seconds_count"),
        (&air, "semcast_air_receivers"),
    ] {
        assert_eq!(scrape.value(name), 1.0, "{name}");
    }
    assert!(transmitter.value("semcast_transmitter_clock_uncertainty_seconds") > 0.0);

    let mut exported = BTreeSet::new();
    for scrape in [&air, &transmitter, &receiver] {
        let kinds = scrape.kinds();
        assert!(kinds.len() > 8, "{kinds:?}");
        exported.extend(kinds.into_iter().flat_map(|(name, kind)| samples(name, kind)));
    }
    let mut asked = BTreeSet::new();
    names_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy"), &mut asked);
    assert!(asked.len() > 10, "dashboard and alerts ask for {asked:?}");
    let unknown: Vec<_> = asked.difference(&exported).collect();
    assert!(unknown.is_empty(), "deploy/ asks for {unknown:?}; exported are {exported:#?}");
}
