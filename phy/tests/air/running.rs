//! An air in a thread, and what goes in and must come out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use num_complex::Complex32;
use semcast_phy::channel::{Channel, ChannelConfig};
use semcast_phy::radio::air::{Air, AirConfig, AirControl, AirStats};
use semcast_phy::radio::udp::{UdpSink, UdpSinkConfig, UdpSource, UdpSourceConfig};
use semcast_phy::radio::{RadioError, RadioSink, RadioSource};

pub const RATE_HZ: f64 = 7.68e6;
pub const LEAD: usize = 300;
pub const TAIL: usize = 5000;

pub fn config() -> AirConfig {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    AirConfig {
        listen_transmit: loopback,
        listen_receive: loopback,
        sample_rate_hz: RATE_HZ,
        lead_samples: LEAD as u32,
        tail_samples: TAIL as u32,
        silence_ms: 400,
        settle_ms: 0,
        channel: ChannelConfig {
            snr_db: Some(10.0),
            occupied_fraction: 0.6,
            seed: 11,
            ..ChannelConfig::default()
        },
        ..AirConfig::default()
    }
}

/// An air in a thread of its own.
pub struct Running {
    pub transmit: SocketAddr,
    pub receive: SocketAddr,
    pub control: AirControl,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<AirStats, RadioError>>,
}

impl Running {
    pub fn start(config: AirConfig) -> Self {
        Self::of(Air::bind(config).expect("bind"))
    }

    pub fn of(air: Air) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        Self {
            transmit: air.transmit_address().expect("address"),
            receive: air.receive_address().expect("address"),
            control: air.control(),
            stop,
            thread: std::thread::spawn(move || air.run(flag)),
        }
    }

    pub fn sink(&self) -> UdpSink {
        UdpSink::connect(UdpSinkConfig::new(self.transmit, RATE_HZ)).expect("sink")
    }

    pub fn source(&self) -> UdpSource {
        let mut source = UdpSource::connect(UdpSourceConfig::new(self.receive, RATE_HZ)).expect("source");
        assert!(source.wait_established(Duration::from_secs(2)).expect("established"));
        source
    }

    pub fn finish(self) -> AirStats {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic").expect("no error")
    }
}

pub fn burst(length: usize, seed: usize) -> Vec<Complex32> {
    (0..length)
        .map(|n| {
            let angle = ((n * 7919 + seed * 104_729) % 1000) as f32 * 0.001 * std::f32::consts::TAU;
            Complex32::new(angle.cos(), angle.sin())
        })
        .collect()
}

/// What the receiver in place `place` must get for these bursts.
pub fn expected(config: &AirConfig, place: u64, bursts: &[Vec<Complex32>]) -> Vec<Complex32> {
    let channel = ChannelConfig { seed: config.channel.seed + place, ..config.channel.clone() };
    let mut channel = Channel::new(channel, RATE_HZ).expect("channel");
    let mut samples = Vec::new();
    for burst in bursts {
        channel.flush(LEAD, &mut samples);
        channel.process(burst, &mut samples);
        channel.flush(TAIL, &mut samples);
    }
    samples
}

/// Receives `count` samples, none of them lost; `pause` after each piece plays a busy receiver.
pub fn receive(source: &mut UdpSource, count: usize, pause: Duration) -> Vec<Complex32> {
    let mut samples = Vec::new();
    let mut index = None;
    let until = Instant::now() + Duration::from_secs(20);
    while samples.len() < count {
        assert!(Instant::now() < until, "{} of {count} samples", samples.len());
        let received = source.receive(&mut samples).expect("receive");
        assert_eq!(received.lost_before, 0, "at {}", received.first_sample);
        if received.samples > 0 {
            assert_eq!(*index.get_or_insert(received.first_sample), received.first_sample);
            index = Some(received.first_sample + received.samples as u64);
            std::thread::sleep(pause);
        }
    }
    samples
}

pub fn assert_same(actual: &[Complex32], expected: &[Complex32]) {
    assert_eq!(actual.len(), expected.len());
    if let Some(at) = actual.iter().zip(expected).position(|(a, b)| a != b) {
        panic!("sample {at}: {} instead of {}", actual[at], expected[at]);
    }
}

/// Sends bursts through an air of its own and takes what comes out after the fact, as what waits in the air is not lost: it must be
/// what one channel gives, and is returned.
pub fn exchange(config: AirConfig, bursts: &[Vec<Complex32>]) -> Vec<Complex32> {
    let wanted = expected(&config, 0, bursts);
    let air = Running::start(config);
    let (mut source, mut sink) = (air.source(), air.sink());
    for burst in bursts {
        sink.send_burst(burst).expect("sent");
    }
    assert_same(&receive(&mut source, wanted.len(), Duration::ZERO), &wanted);
    air.finish();
    wanted
}
