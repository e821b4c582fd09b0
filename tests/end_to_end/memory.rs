//! How much memory a large photo takes in each process.

use std::{collections::BTreeMap, process::Stdio, thread, time::Duration};

use semcast_common::content::file::{decode_picture, encode_png};

use super::harness::{program, psnr_db, scene};

/// The most that a process may hold at a time, in KiB.
const MOST_KIB: u64 = 2 * 1024 * 1024;

/// The subcommand and the peak of resident memory, in KiB, of a process and of those that it has started.
fn peaks(process: u32, peaks: &mut BTreeMap<String, u64>) {
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let children = children.unwrap_or_default();
    let own = std::iter::once(process);
    for process in own.chain(children.split_whitespace().filter_map(|number| number.parse().ok())) {
        let read =
            |name: &str| std::fs::read_to_string(format!("/proc/{process}/{name}")).unwrap_or_default();
        let (command, status) = (read("cmdline"), read("status"));
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak: Option<u64> = peak.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        if let (Some(command), Some(peak)) = (command.split('\0').nth(1), peak) {
            let most: &mut u64 = peaks.entry(command.into()).or_default();
            *most = peak.max(*most);
        }
    }
}

#[test]
#[ignore = "needs minutes: a photo of 12 megapixels on the CPU"]
fn a_photo_of_twelve_megapixels_arrives_within_two_gibibytes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (photo, sent) = (folder.path().join("photo.png"), scene(4000, 3000, 12));
    std::fs::write(&photo, encode_png(&sent).expect("a picture file")).expect("a file");
    let mut loopback = program()
        .args([
            "loopback",
            "--system",
            "ae",
            "--device",
            "cpu",
            "--channel",
            "awgn",
            "--snr",
            "10",
            "--output",
        ])
        .args([folder.path(), &photo])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("the executable runs");
    let mut most = BTreeMap::new();
    let status = loop {
        peaks(loopback.id(), &mut most);
        if let Some(status) = loopback.try_wait().expect("a child of ours") {
            break status;
        }
        thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "{status}");
    let received = std::fs::read(folder.path().join("received.png")).expect("the received picture");
    let quality = psnr_db(&sent, &decode_picture(&received).expect("a picture"));
    assert!(quality > 25.0, "{quality} dB");
    assert_eq!(most.keys().collect::<Vec<_>>(), ["air", "loopback", "receiver", "transmitter"]);
    assert!(most.values().all(|&peak| peak <= MOST_KIB), "{most:?} KiB");
}
