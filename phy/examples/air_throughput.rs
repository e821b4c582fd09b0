//! Millions of samples per second through the air on this machine, and through its channel alone:
//! `cargo run --release -p semcast-phy --example air_throughput`.

#![expect(clippy::disallowed_methods, reason = "throughput is measured by the clock")]

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use num_complex::Complex32;
use semcast_phy::channel::{Channel, ChannelConfig};
use semcast_phy::radio::air::{Air, AirConfig};
use semcast_phy::radio::udp::{UdpSink, UdpSinkConfig, UdpSource, UdpSourceConfig};
use semcast_phy::radio::{RadioSink, RadioSource};

const SAMPLES: usize = 8_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    writeln!(out, "{:<44}{:>14}{:>16}", "channel", "alone Msps", "over UDP Msps")?;
    let plain = ChannelConfig { snr_db: Some(15.0), occupied_fraction: 0.6, ..ChannelConfig::default() };
    let impaired = ChannelConfig { cfo_hz: 20e3, sampling_offset_ppm: 20.0, ..plain.clone() };
    for (name, channel) in [
        ("no noise", ChannelConfig::default()),
        ("awgn", plain.clone()),
        ("awgn, CFO, clock offset", impaired.clone()),
        ("multipath", ChannelConfig { profile: "multipath".parse()?, ..plain.clone() }),
        ("multipath, CFO, clock offset", ChannelConfig { profile: "multipath".parse()?, ..impaired }),
        (
            "multipath-rayleigh, Doppler 100 Hz",
            ChannelConfig { profile: "multipath-rayleigh".parse()?, doppler_hz: 100.0, ..plain },
        ),
    ] {
        let alone = channel_alone(channel.clone())?;
        let over_udp = over_udp(channel)?;
        writeln!(out, "{name:<44}{alone:>14.1}{over_udp:>16.1}")?;
    }
    Ok(())
}

fn burst() -> Vec<Complex32> {
    (0..SAMPLES).map(|n| Complex32::new((n as f32 * 0.1).sin(), (n as f32 * 0.1).cos())).collect()
}

fn channel_alone(config: ChannelConfig) -> Result<f64, Box<dyn Error>> {
    let burst = burst();
    let mut channel = Channel::new(config, 7.68e6)?;
    let mut output = Vec::with_capacity(16_384);
    let begin = Instant::now();
    for part in burst.chunks(8192) {
        output.clear();
        channel.process(part, &mut output);
    }
    Ok(SAMPLES as f64 / begin.elapsed().as_secs_f64() / 1e6)
}

fn over_udp(channel: ChannelConfig) -> Result<f64, Box<dyn Error>> {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = AirConfig {
        listen_transmit: loopback,
        listen_receive: loopback,
        settle_ms: 0,
        channel,
        ..AirConfig::default()
    };
    let rate = config.sample_rate_hz;
    let air = Air::bind(config)?;
    let (transmit, receive) = (air.transmit_address()?, air.receive_address()?);
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let server = std::thread::spawn(move || air.run(flag));
    let mut source = UdpSource::connect(UdpSourceConfig::new(receive, rate))?;
    source.wait_established(Duration::from_secs(2))?;
    let receiver = std::thread::spawn(move || {
        let mut samples = Vec::new();
        let mut total = 0;
        // The resampler may hold a few back.
        while total < SAMPLES {
            samples.clear();
            total += source.receive(&mut samples).map_or(0, |received| received.samples);
        }
    });
    let burst = burst();
    let begin = Instant::now();
    UdpSink::connect(UdpSinkConfig::new(transmit, rate))?.send_burst(&burst)?;
    receiver.join().map_err(|_| "receiver failed")?;
    let seconds = begin.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    server.join().map_err(|_| "air failed")??;
    Ok(SAMPLES as f64 / seconds / 1e6)
}
