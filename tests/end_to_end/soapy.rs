//! The daemons over SoapySDR. The devices are those of `deploy/soapy-air`, which make an emulated air look like hardware; the variable
//! SOAPY_SDR_PLUGIN_PATH must name the folder with that module (`docs/RADIOS.md`).

use std::io::Write;

use semcast_common::{message::SystemId, wire::SendOptions};
use tempfile::NamedTempFile;

use crate::harness::{Flags, Trio, program, run, scene};

const DEVICE: &str = "soapy:driver=semcast-air,transmit={transmit},receive={receive}";
/// Samples pass as they are: unit mean power goes out, and no filter changes what comes in.
const TRANSMIT: [&str; 6] = ["--level", "0", "--gain", "0", "--number", "7"];
const RECEIVE: [&str; 2] = ["--gain", "0"];

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

/// A file with settings, for all three daemons.
fn settings(text: &str) -> NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
    file.write_all(text.as_bytes()).expect("a file");
    file
}

fn check_module() {
    let folder = std::env::var("SOAPY_SDR_PLUGIN_PATH").unwrap_or_default();
    assert!(
        !folder.is_empty(),
        "SOAPY_SDR_PLUGIN_PATH must name the folder with the built module deploy/soapy-air"
    );
}

/// Flags with which every sample passes unchanged.
fn transparent(device: &str, air: &[&str], exact: &NamedTempFile) -> Flags {
    let exact = exact.path().to_string_lossy();
    let mut transmitter = words(&["--radio", device]);
    let mut receiver = words(&["--radio", device, "--config", &exact]);
    transmitter.extend(words(&TRANSMIT));
    receiver.extend(words(&RECEIVE));
    Flags { air: words(air), transmitter, receiver }
}

fn analog() -> SendOptions {
    SendOptions { system: Some(SystemId::Ae), ..SendOptions::default() }
}

/// The same seed gives the same picture, to the byte, whether samples go by datagrams or through SoapySDR and the module.
#[tokio::test]
async fn what_arrives_over_soapy_is_what_arrives_over_udp() {
    check_module();
    let air = ["--channel", "multipath", "--snr", "15", "--cfo", "3000", "--seed", "5"];
    let exact = settings("[soapy]\ndc_filter = false\n");
    let mut by_datagrams = Flags::of_air(&air);
    by_datagrams.transmitter.extend(words(&["--number", "7"]));
    let mut pictures = Vec::new();
    for flags in [by_datagrams, transparent(DEVICE, &air, &exact)] {
        let mut trio = Trio::start_with(flags).await;
        // The second finds a channel that was reported, and frames that were counted.
        let first = trio.received(&scene(192, 128, 3), analog()).await;
        let second = trio.received(&scene(192, 128, 4), analog()).await;
        trio.expect_alive();
        pictures.push([first, second]);
    }
    assert!(pictures[0] == pictures[1], "the pictures over UDP and over SoapySDR differ");
    assert!(pictures[0][0] != pictures[0][1]);
}

/// The air is killed within a burst, as a device is unplugged: both daemons say so, stay, and go on when it is back.
#[tokio::test]
async fn a_device_that_goes_is_reported_and_used_again_when_it_is_back() {
    check_module();
    let exact = settings("[soapy]\ndc_filter = false\n");
    let flags = transparent(DEVICE, &["--channel", "awgn", "--snr", "15"], &exact);
    let mut trio = Trio::start_with(flags).await;
    trio.received(&scene(96, 64, 1), analog()).await;

    let mut interrupted = trio.submit_for_long().await;
    trio.air.kill();
    trio.wait_until_hearing(false).await;
    trio.receiver.log_says("the radio is lost").await;
    trio.transmitter.log_says("the radio is lost").await;
    trio.start_air_again().await;
    trio.wait_until_hearing(true).await;
    trio.receiver.log_says("the radio is back").await;
    // The burst is sent again, or given up if its tries were over before.
    let _ = interrupted.outcome().await.expect("the transmitter stays up");
    trio.received(&scene(96, 64, 2), analog()).await;
    trio.expect_alive();
}

/// Half duplex, 8 bits, no time, whole buffers of 131072 samples, of which the first and the last are lost, at the pace of the clock.
#[tokio::test]
async fn a_picture_arrives_through_what_looks_like_a_hackrf() {
    check_module();
    let narrow =
        "[radio]\nsample_rate_hz = 1920000.0\nfft_size = 128\ncyclic_prefix = 9\nresource_blocks = 9\n";
    let file = settings(narrow);
    let grid = file.path().to_string_lossy();
    let device = format!("{DEVICE},personality=hackrf");
    let flags = Flags {
        air: words(&["--config", &grid, "--channel", "awgn", "--snr", "20", "--pacing", "paced"]),
        transmitter: words(&["--config", &grid, "--radio", &device, "--gain", "VGA=32,AMP=0"]),
        receiver: words(&["--config", &grid, "--radio", &device, "--gain", "LNA=16,VGA=20,AMP=0"]),
    };
    let mut trio = Trio::start_with(flags).await;
    let arrived = trio.transfer(&scene(96, 64, 1), analog()).await;
    // Eight bits with 12 dB for the peaks are no worse than the channel.
    assert!((arrived.part.snr_db_estimated - 20.0).abs() < 1.5, "{} dB", arrived.part.snr_db_estimated);
    trio.expect_alive();
}

/// What a device lacks is told before anything starts, with what it has; a dry run says what would be set.
#[tokio::test]
async fn settings_are_checked_against_the_device() {
    check_module();
    let device = "soapy:driver=semcast-air,personality=hackrf,air=127.0.0.1:9";
    let told = async |name: &str, flags: &[&str]| {
        let mut command = program();
        command.args([name, "--radio", device]).args(flags);
        run(command).await
    };
    let planned = told("transmitter", &["--dry-run", "--gain", "VGA=30", "--frequency", "433.92e6"]).await;
    for part in ["433920000 Hz", "VGA=30 dB", "CS8", "5 of silence"] {
        assert!(planned.output.contains(part), "{part} is not in: {}", planned.output);
    }
    planned.expect_code(0);
    told("receiver", &["--dry-run", "--gain", "VGA=90"])
        .await
        .expect_code(2)
        .expect_errors(&["gain VGA in dB is 90", "0 to 62"]);
    let mut command = program();
    command.args(["receiver", "--dry-run", "--radio", "soapy:driver=nowhere"]);
    run(command).await.expect_code(5).expect_errors(&["driver=nowhere", "cannot open it"]);
    let mut command = program();
    command.args(["radio", "calibrate", "--transmit", device, "--receive", device]);
    run(command).await.expect_code(2).expect_errors(&["half duplex", "a second device"]);
}
