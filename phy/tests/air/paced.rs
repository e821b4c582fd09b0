//! An air in the time of the clock: several transmitters at once, ports without headers. And recordings of an air.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::running::{LEAD, RATE_HZ, Running, TAIL, assert_same, burst, config, exchange};
use num_complex::Complex32;
use semcast_phy::radio::air::{Air, AirConfig, AirRecord, Pacing};
use semcast_phy::radio::sigmf::{Annotation, Datatype, Reader};
use semcast_phy::radio::udp::{UdpSink, UdpSinkConfig, UdpSource, UdpSourceConfig};
use semcast_phy::radio::{RadioSink, RadioSource};

const SLOW_HZ: f64 = 1e6;

/// Paced, at a rate that any machine keeps up with, and with nothing in the channel.
fn slow() -> AirConfig {
    let mut config = config();
    config.pacing = Pacing::Paced;
    config.sample_rate_hz = SLOW_HZ;
    config.channel.snr_db = None;
    config
}

#[test]
fn bursts_that_overlap_are_added_up() {
    let air = Running::start(slow());
    let mut source = UdpSource::connect(UdpSourceConfig::new(air.receive, SLOW_HZ)).expect("source");
    assert!(source.wait_established(Duration::from_secs(2)).expect("established"));
    let senders = [1.0, 2.0].map(|level| {
        let mut sink = UdpSink::connect(UdpSinkConfig::new(air.transmit, SLOW_HZ)).expect("sink");
        std::thread::spawn(move || sink.send_burst(&vec![Complex32::new(level, 0.0); 300_000]))
    });
    let until = Instant::now() + Duration::from_secs(20);
    let (mut area, mut lost, mut levels) = (0.0, 0, [0usize; 4]);
    let mut samples = Vec::new();
    // All of both bursts, less what a busy machine did not take in time.
    while area < 900_000.0 - 3.0 * lost as f64 {
        assert!(Instant::now() < until, "{area}, {lost} lost, {levels:?}");
        samples.clear();
        lost += source.receive(&mut samples).expect("receive").lost_before;
        for sample in &samples {
            area += f64::from(sample.re);
            assert!([0.0, 1.0, 2.0, 3.0].contains(&sample.re), "{sample}");
            levels[sample.re as usize] += 1;
        }
    }
    for sender in senders {
        sender.join().expect("no panic").expect("sent");
    }
    // Asked for at once, they overlap for most of their 0.3 s.
    assert!(levels[3] > 100_000, "{levels:?}");
    assert_eq!(air.finish().bursts, 2);
}

#[test]
fn samples_without_headers_pass_in_order_in_either_format() {
    for format in [Datatype::Cf32, Datatype::Ci16] {
        let output = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        output.set_read_timeout(Some(Duration::from_secs(5))).expect("a limit");
        let mut config = slow();
        config.sample_rate_hz = 200e3;
        config.raw.input = Some(([127, 0, 0, 1], 0).into());
        config.raw.output = output.local_addr().ok();
        config.raw.format = format;
        let air = Air::bind(config).expect("an air");
        let input = air.raw_address().expect("an address").expect("a port");
        let control = air.control();
        let air = Running::of(air);
        let sender = std::thread::spawn(move || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            for first in (1..=20_000).step_by(250) {
                let part: Vec<Complex32> =
                    (first..first + 250).map(|n| Complex32::new(n as f32 / 8192.0, -1.0)).collect();
                let mut bytes = Vec::new();
                format.write(&part, &mut bytes);
                socket.send_to(&bytes, input).expect("sent");
                std::thread::sleep(Duration::from_micros(1250));
            }
        });
        let (mut heard, mut bytes) = (Vec::new(), [0; 65_536]);
        let until = Instant::now() + Duration::from_secs(20);
        let mut samples = Vec::new();
        while heard.len() < 20_000 {
            assert!(Instant::now() < until, "{} samples, {:?}", heard.len(), control.stats());
            let length = output.recv(&mut bytes).expect("samples");
            assert!(length <= 1472, "{length} bytes");
            samples.clear();
            format.read(&bytes[..length], &mut samples);
            let scale = if format == Datatype::Cf32 { 8192.0 } else { 4.0 * 8192.0 };
            let sent = samples.iter().filter(|sample| sample.im != 0.0);
            heard.extend(sent.map(|sample| (sample.re * scale).round() as i32));
        }
        sender.join().expect("no panic");
        assert!(heard.iter().zip(1..).all(|(heard, sent)| *heard == sent), "{:?}", &heard[..10]);
        let stats = air.finish();
        assert_eq!((stats.samples_raw_in, stats.samples_raw_dropped), (20_000, 0));
    }
}

#[test]
fn ports_without_headers_need_a_clock() {
    let mut config = config();
    config.raw.input = Some(([127, 0, 0, 1], 0).into());
    let error = Air::bind(config.clone()).expect_err("no clock").to_string();
    assert!(error.contains("paced"), "{error}");
    config.pacing = Pacing::Paced;
    config.raw.format = Datatype::Cu8;
    let error = Air::bind(config).expect_err("bytes").to_string();
    assert!(error.contains("cf32_le and ci16_le"), "{error}");
}

#[test]
fn what_went_in_and_what_came_out_is_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config();
    config.record = Some(AirRecord { path: folder.path().join("air"), format: Datatype::Cf32 });
    let bursts = [burst(50_000, 1), burst(7000, 2)];
    let wanted = exchange(config, &bursts);
    let read = |name: &str| {
        let mut reader = Reader::open(&folder.path().join(name)).expect("a recording");
        let (mut samples, rate) = (Vec::new(), reader.metadata().sample_rate_hz);
        while !reader.is_at_end() {
            assert_eq!(reader.read(10_000, &mut samples).expect("samples").lost_before, 0);
        }
        assert_eq!((reader.is_intact(), rate), (Some(true), RATE_HZ));
        (samples, reader.metadata().annotations.clone())
    };
    assert_same(&read("air-out0").0, &wanted);
    let (input, annotations) = read("air-in");
    let silence = |count| vec![Complex32::default(); count];
    let parts = bursts.iter().flat_map(|burst| [silence(LEAD), burst.clone(), silence(TAIL)]);
    assert_same(&input, &parts.collect::<Vec<_>>().concat());
    let note = |sample_start: usize, count: usize| Annotation {
        sample_start: sample_start as u64,
        sample_count: count as u64,
        label: "burst".into(),
    };
    assert_eq!(annotations, [note(LEAD, 50_000), note(2 * LEAD + TAIL + 50_000, 7000)]);
}
