//! What the command line refuses: content that cannot be sent, and settings that make no sense.

use std::path::Path;

use semcast_common::content::file;

use crate::harness::{Key, bomb, program, run, scene};

#[tokio::test]
async fn content_that_cannot_be_sent_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path.to_string_lossy().into_owned()
    };
    let png = file::encode_png(&scene(96, 64, 1)).expect("a picture file");
    let truncated = write("truncated.png", &png[..png.len() / 2]);
    let no_picture = write("no-picture.png", b"Dear reader, this is no picture.");
    let empty = write("empty", b"");
    let no_text = write("latin-1.txt", b"Gr\xfc\xdfe");
    let missing = folder.path().join("missing.png").to_string_lossy().into_owned();
    let range = "1 to 1048576 bytes";
    let formats = "PNG, JPEG, WebP or BMP";
    for (flags, reason) in [
        (vec!["--text", ""], range),
        (vec!["--text-file", &empty], range),
        (vec!["--text-file", &no_text], "UTF-8"),
        (vec![&*no_picture], formats),
        (vec![&*empty], formats),
        (vec![&*truncated], formats),
        (vec![&*missing], "missing.png"),
    ] {
        let mut command = program();
        command.arg("loopback").args(&flags).arg("--output").arg(folder.path().join("never"));
        run(command).await.expect_code(3).expect_errors(&["error: ", reason]);
        assert!(!folder.path().join("never").exists(), "{flags:?} left files");
    }
}

/// Refused by its size, in less memory than its pixels would take.
#[cfg(unix)]
#[tokio::test]
async fn a_hundred_megapixels_are_refused_in_little_memory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("bomb.png");
    std::fs::write(&path, bomb()).expect("a file");
    let semcast = program();
    let mut command = std::process::Command::new("sh");
    // In KiB, of address space: less than the 300 MB of its pixels.
    command.args(["-c", "ulimit -v 280000 && exec \"$@\"", "sh"]).arg(semcast.get_program());
    command.arg("loopback").arg(&path);
    for (name, value) in semcast.get_envs() {
        if value.is_none() {
            command.env_remove(name);
        }
    }
    run(command).await.expect_code(3).expect_errors(&["10000x10000", "1 to 16384 pixels", "40000000 pixels"]);
}

#[tokio::test]
async fn unknown_settings_are_refused_where_they_stand() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("typing.toml");
    std::fs::write(&path, "[air]\nseed = 4\nsnr_bd = 3.0\n").expect("a file");
    let mut command = program();
    command.arg("air").arg("--config").arg(&path);
    run(command).await.expect_code(2).expect_errors(&["typing.toml", "line 3", "snr_bd", "\"air.snr_db\""]);

    let mut command = program();
    command.args(["loopback", "--print-config"]).env("SEMCAST_AIR_SEDE", "4");
    run(command).await.expect_code(2).expect_errors(&["SEMCAST_AIR_SEDE", "\"SEMCAST_AIR_SEED\""]);

    for (flags, reason) in [
        (vec!["--snr", "1000"], "-30 to 100"),
        (vec!["--channel", "vacuum"], "multipath"),
        (vec!["--cbr", "0"], "0.0001 to 16"),
        (vec!["--system", "telepathy"], "classical, ae"),
        (vec!["--no-such-flag"], "--no-such-flag"),
        (vec!["--transform", "taef2"], "taef2_decoder.pth"),
        (
            vec!["--transform", "taef2", "--transform-weights", "/no/encoder.pth", "/no/decoder.pth"],
            "/no/encoder.pth",
        ),
        (vec!["--text", "one", "--text-file", "two"], "cannot be used with"),
    ] {
        let mut command = program();
        command.arg("loopback").args(&flags);
        run(command).await.expect_code(2).expect_errors(&[reason]);
    }
    let mut command = program();
    command.args(["send", "--text", "no key"]);
    run(command).await.expect_code(2).expect_errors(&["semcast keygen"]);
}

#[tokio::test]
async fn the_file_is_below_the_environment_and_that_below_flags() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("layers.toml");
    std::fs::write(&path, "[air]\nsnr_db = 1\nseed = 11\ncfo_hz = 111\n").expect("a file");
    let print = async |path: &Path, flags: &[&str], environment: &[(&str, &str)]| {
        let mut command = program();
        command.arg("air").arg("--print-config").args(flags).envs(environment.iter().copied());
        command.arg("--config").arg(path);
        run(command).await.expect_code(0).output
    };
    let environment = [("SEMCAST_AIR_SNR_DB", "2"), ("SEMCAST_AIR_SEED", "22")];
    let printed = print(&path, &["--snr", "3"], &environment).await;
    for line in ["snr_db = 3.0", "seed = 22", "cfo_hz = 111.0", "doppler_hz = 0.0"] {
        assert!(printed.lines().any(|printed| printed == line), "{line} is not in:\n{printed}");
    }

    std::fs::write(&path, &printed).expect("a file");
    assert_eq!(print(&path, &[], &[]).await, printed);
}

#[tokio::test]
async fn keys_are_not_overwritten_unless_asked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let make = async |flags: &[&str]| {
        let mut command = program();
        command.arg("keygen").arg(folder.path().join("end")).args(flags);
        run(command).await
    };
    let first = make(&[]).await.expect_code(0).output;
    assert!(first.contains("sha256:"), "{first}");
    make(&[]).await.expect_code(2).expect_errors(&["end.key"]);
    let second = make(&["--force"]).await.expect_code(0).output;
    assert_ne!(first, second);
}

/// Every subcommand explains itself, with units where there are any.
#[tokio::test]
async fn help_names_units() {
    for (subcommand, words) in [
        ("loopback", &["in dB", "in Hz", "parts per million", "in samples"][..]),
        ("air", &["in dB", "UDP"]),
        ("transmitter", &["in dB", "QUIC"]),
        ("receiver", &["UDP", "QUIC"]),
        ("send", &["in dB"]),
        ("watch", &["QUIC"]),
        ("measure", &["in ms"]),
        ("keygen", &["NAME.key"]),
    ] {
        let mut command = program();
        command.args([subcommand, "--help"]).env("COLUMNS", "1000");
        let finished = run(command).await.expect_code(0);
        for word in words {
            assert!(finished.output.contains(word), "{word:?} is not in the help of {subcommand}");
        }
    }
}

/// A radio that is none, and one that this build does not have, are told with what there is.
#[tokio::test]
async fn radios_that_are_none_are_refused() {
    for name in ["transmitter", "receiver"] {
        for (flags, part) in [
            (&["--radio", "hackrf"][..], "udp:HOST:PORT"),
            (&["--radio", "soapy:serial=1"], "driver="),
            (&["--radio", "udp:localhost"], "HOST:PORT"),
            (&["--radio", "soapy:driver=none", "--gain", "much"], "LNA=32,VGA=20"),
            (&["--radio", "soapy:driver=none", "--level", "3"], "-60 to 0"),
            #[cfg(not(feature = "soapysdr"))]
            (&["--radio", "soapy:driver=hackrf", "--dry-run"], "--features soapysdr"),
        ] {
            let mut command = program();
            command.arg(name).args(flags);
            run(command).await.expect_code(2).expect_errors(&[part]);
        }
    }
}

/// A peer that is not there is told from wrong usage, so that a service tries again; and what may be wrong is said.
#[tokio::test]
async fn peers_that_are_not_there_are_told_of_with_where_and_why() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let key = Key::make(folder.path(), "end").await;
    let mut command = program();
    command.arg("receiver").args(key.flags(&[&key])).args([
        "--air",
        "nowhere.invalid:4811",
        "--device",
        "cpu",
    ]);
    run(command).await.expect_code(5).expect_errors(&["cannot resolve nowhere.invalid:4811"]);
    // Held, so that nobody else has it, and never read.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("its address").to_string();
    let mut command = program();
    command.args(["send", "--text", "hello", "--connect", &address]).args(key.flags(&[&key]));
    run(command).await.expect_code(5).expect_errors(&[&address, "nobody answers", "firewall"]);
}
