//! The air in the time of the clock, for a while: does it keep up, is anything lost, does its memory stay?
//!
//! `cargo run --release -p semcast-phy --example air_paced -- [SECONDS] [SAMPLES_PER_SECOND] [PROFILE]`, by default 60 s of
//! 20 million samples a second over AWGN at 15 dB. A transmitter sends bursts of 50 ms with hardly a pause between them, a
//! receiver takes everything; both are threads of this process, connected by UDP as any radios are. Exit code 1 if anything was lost.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and its arguments")]

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use num_complex::Complex32;
use semcast_phy::channel::ChannelConfig;
use semcast_phy::radio::air::{Air, AirConfig, Pacing};
use semcast_phy::radio::udp::{UdpSink, UdpSinkConfig, UdpSource, UdpSourceConfig};
use semcast_phy::radio::{RadioError, RadioSink, RadioSource};

/// Length of a burst.
const BURST_S: f64 = 0.05;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: f64 = arguments.next().map_or(Ok(60.0), |text| text.parse())?;
    let rate: f64 = arguments.next().map_or(Ok(20e6), |text| text.parse())?;
    let profile = arguments.next().unwrap_or_else(|| "awgn".into()).parse()?;
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = AirConfig {
        listen_transmit: loopback,
        listen_receive: loopback,
        sample_rate_hz: rate,
        pacing: Pacing::Paced,
        settle_ms: 0,
        channel: ChannelConfig {
            profile,
            snr_db: Some(15.0),
            occupied_fraction: 0.6,
            ..ChannelConfig::default()
        },
        ..AirConfig::default()
    };
    let air = Air::bind(config)?;
    let (transmit, receive, monitor) = (air.transmit_address()?, air.receive_address()?, air.monitor());
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let server = std::thread::spawn(move || air.run(flag));

    let mut source = UdpSource::connect(UdpSourceConfig::new(receive, rate))?;
    source.wait_established(Duration::from_secs(2))?;
    let (received, lost) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (count, missed, flag) = (Arc::clone(&received), Arc::clone(&lost), Arc::clone(&stop));
    let receiver = std::thread::spawn(move || -> Result<(), RadioError> {
        let mut samples = Vec::new();
        while !flag.load(Ordering::Relaxed) {
            samples.clear();
            let received = source.receive(&mut samples)?;
            count.fetch_add(received.samples as u64, Ordering::Relaxed);
            missed.fetch_add(received.lost_before, Ordering::Relaxed);
        }
        Ok(())
    });
    let mut settings = UdpSinkConfig::new(transmit, rate);
    settings.stop = Arc::clone(&stop);
    let mut sink = UdpSink::connect(settings)?;
    let transmitter = std::thread::spawn(move || -> u64 {
        let burst: Vec<Complex32> =
            (0..(BURST_S * rate) as usize).map(|n| Complex32::cis(n as f32 * 0.1)).collect();
        let mut sent = 0;
        while sink.send_burst(&burst).is_ok() {
            sent += burst.len() as u64;
        }
        sent
    });

    let mut out = std::io::stdout();
    let begin = Instant::now();
    let mut memory = Vec::new();
    let before = monitor.stats();
    let heading = ["s", "Msamples in", "Msamples out", "lost", "late", "overflowed", "underrun", "MiB"];
    writeln!(out, "{}", heading.map(|name| format!("{name:>13}")).concat())?;
    while begin.elapsed().as_secs_f64() < seconds {
        let left = seconds - begin.elapsed().as_secs_f64();
        std::thread::sleep(Duration::from_secs_f64(left.clamp(0.0, (seconds / 6.0).max(1.0))));
        let stats = monitor.stats();
        memory.push(resident_mib());
        writeln!(
            out,
            "{:>13.1}{:>13.1}{:>13.1}{:>13}{:>13}{:>13}{:>13}{:>13.1}",
            begin.elapsed().as_secs_f64(),
            stats.samples_in as f64 / 1e6,
            received.load(Ordering::Relaxed) as f64 / 1e6,
            lost.load(Ordering::Relaxed) + stats.samples_lost,
            stats.samples_late,
            stats.samples_overflowed,
            stats.samples_underrun,
            memory.last().copied().unwrap_or_default(),
        )?;
    }
    let elapsed = begin.elapsed().as_secs_f64();
    let time = monitor.stats().time_samples - before.time_samples;
    stop.store(true, Ordering::Relaxed);
    let sent = transmitter.join().map_err(|_| "the transmitter failed")?;
    receiver.join().map_err(|_| "the receiver failed")??;
    let stats = server.join().map_err(|_| "the air failed")??;
    let missing =
        lost.load(Ordering::Relaxed) + stats.samples_lost + stats.samples_late + stats.samples_overflowed;
    writeln!(
        out,
        "{:.3} Msamples/s for {elapsed:.1} s, {:.1} % of the time with a burst; {missing} samples lost, {} brought too late by the \
         transmitter; processor {:.2} s a second",
        time as f64 / elapsed / 1e6,
        100.0 * sent as f64 / time as f64,
        stats.samples_underrun,
        processor_seconds() / elapsed,
    )?;
    Ok(if missing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A field of this process in /proc, if there is such a thing.
fn of_this_process(file: &str, field: usize) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    // Names of processes may hold spaces; this one's does not.
    text.split_whitespace().nth(field).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Memory that this process holds, on Linux with pages of 4 KiB.
fn resident_mib() -> f64 {
    of_this_process("statm", 1) / 256.0
}

/// Time that all threads have computed, on Linux with its usual 100 ticks a second.
fn processor_seconds() -> f64 {
    (of_this_process("stat", 13) + of_this_process("stat", 14)) / 100.0
}
