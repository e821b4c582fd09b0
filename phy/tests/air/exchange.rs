//! The air over real sockets: exact samples, several receivers, and radios that come, go and die.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use num_complex::Complex32;
use semcast_phy::channel::Profile;
use semcast_phy::radio::air::{Air, Pacing};
use semcast_phy::radio::datagram::{Header, Kind, SampleFormat, flags, write};
use semcast_phy::radio::udp::{UdpSink, UdpSinkConfig, UdpSource, UdpSourceConfig};
use semcast_phy::radio::{RadioError, RadioSink, RadioSource};

use crate::running::{LEAD, RATE_HZ, Running, TAIL, assert_same, burst, config, expected, receive};

#[test]
fn two_million_samples_arrive_bit_for_bit() {
    let config = config();
    let air = Running::start(config.clone());
    let mut source = air.source();
    let mut sink = air.sink();
    let bursts: Vec<_> = [700_001, 1, 960, 1_299_000].map(|n| burst(n, n)).into();
    let wanted = expected(&config, 0, &bursts);
    let count = wanted.len();
    let receiver = std::thread::spawn(move || receive(&mut source, count, Duration::ZERO));
    for burst in &bursts {
        sink.send_burst(burst).expect("sent");
    }
    assert_same(&receiver.join().expect("received"), &wanted);
    let stats = air.finish();
    assert_eq!((stats.bursts, stats.samples_lost, stats.datagrams_junk), (4, 0, 0));
    assert_eq!(stats.samples_out, count as u64);
}

#[test]
fn three_receivers_get_their_own_noise_and_a_slow_one_holds_the_rest_but_loses_nothing() {
    let mut config = config();
    config.channel.profile = Profile::Multipath;
    config.channel.cfo_hz = 5e3;
    let air = Running::start(config.clone());
    let bursts = [burst(100_000, 1), burst(50_000, 2)];
    let receivers: Vec<_> = (0..3)
        .map(|place| {
            let mut source = air.source();
            let wanted = expected(&config, place, &bursts);
            let pause = Duration::from_millis(if place == 1 { 2 } else { 0 });
            std::thread::spawn(move || (receive(&mut source, wanted.len(), pause), wanted))
        })
        .collect();
    let mut sink = air.sink();
    for burst in &bursts {
        sink.send_burst(burst).expect("sent");
    }
    let mut all = Vec::new();
    for receiver in receivers {
        let (samples, wanted) = receiver.join().expect("received");
        assert_same(&samples, &wanted);
        all.push(samples);
    }
    assert_ne!(all[0], all[1]);
    assert_eq!(air.finish().receivers_dropped, 0);
}

#[test]
fn a_busy_receiver_is_waited_for_beyond_the_silence_limit() {
    let config = config();
    let air = Running::start(config.clone());
    let mut source = air.source();
    let bursts = [burst(300_000, 3)];
    let wanted = expected(&config, 0, &bursts);
    let mut sink = air.sink();
    let sender = std::thread::spawn(move || sink.send_burst(&bursts[0]));
    let mut samples = receive(&mut source, 10_000, Duration::ZERO);
    std::thread::sleep(Duration::from_millis(900));
    samples.extend(receive(&mut source, wanted.len() - samples.len(), Duration::ZERO));
    assert_same(&samples, &wanted);
    sender.join().expect("no panic").expect("sent");
    assert_eq!(air.finish().receivers_dropped, 0);
}

#[test]
fn a_receiver_that_dies_does_not_hold_the_others_for_long() {
    let config = config();
    let air = Running::start(config.clone());
    let mut source = air.source();
    // A receiver that grants a little and is never heard of again.
    let dead = UdpSocket::bind("127.0.0.1:0").expect("bind");
    dead.connect(air.receive).expect("connect");
    let mut hello = header(Kind::Hello, 0);
    for _ in 0..2 {
        dead.send(&bytes(&hello, 0)).expect("hello");
        let mut answer = [0; 9000];
        let length = dead.recv(&mut answer).expect("answer");
        let answer = semcast_phy::radio::datagram::parse(&answer[..length]).expect("ours");
        hello.peer_session = answer.header.session;
        hello.limit = 2000;
    }
    drop(dead);
    let bursts = [burst(100_000, 4), burst(20_000, 5)];
    let wanted = expected(&config, 0, &bursts);
    let count = wanted.len();
    let receiver = std::thread::spawn(move || receive(&mut source, count, Duration::ZERO));
    let mut sink = air.sink();
    for burst in &bursts {
        sink.send_burst(burst).expect("sent");
    }
    assert_same(&receiver.join().expect("received"), &wanted);
    assert_eq!(air.finish().receivers_dropped, 1);
}

#[test]
fn a_transmitter_that_dies_within_a_burst_makes_room_for_the_next() {
    let config = config();
    let air = Running::start(config.clone());
    let mut source = air.source();
    let dead = UdpSocket::bind("127.0.0.1:0").expect("bind");
    dead.connect(air.transmit).expect("connect");
    let mut hello = header(Kind::Hello, flags::START_OF_BURST);
    let mut answer = [0; 9000];
    loop {
        dead.send(&bytes(&hello, 0)).expect("hello");
        let length = dead.recv(&mut answer).expect("answer");
        let answer = semcast_phy::radio::datagram::parse(&answer[..length]).expect("ours");
        hello.peer_session = answer.header.session;
        if answer.header.kind == Kind::Credit {
            break;
        }
    }
    let samples = Header { kind: Kind::Samples, ..hello };
    dead.send(&bytes(&samples, 500)).expect("samples");
    drop(dead);
    let whole = burst(30_000, 6);
    let receiver =
        std::thread::spawn(move || receive(&mut source, 2 * (LEAD + TAIL) + 500 + 30_000, Duration::ZERO));
    air.sink().send_burst(&whole).expect("sent");
    let half = vec![Complex32::new(0.5, 0.5); 500];
    assert_same(&receiver.join().expect("received"), &expected(&config, 0, &[half, whole]));
    assert_eq!(air.finish().bursts_given_up, 1);
}

#[test]
fn an_air_that_is_restarted_is_found_again() {
    let mut config = config();
    config.settle_ms = 500;
    let first = Running::start(config.clone());
    let mut source = first.source();
    let mut sink = first.sink();
    let bursts = [burst(40_000, 7)];
    let wanted = expected(&config, 0, &bursts);
    sink.send_burst(&bursts[0]).expect("sent");
    assert_same(&receive(&mut source, wanted.len(), Duration::ZERO), &wanted);
    config.listen_transmit = first.transmit;
    config.listen_receive = first.receive;
    first.finish();
    let sender = std::thread::spawn(move || sink.send_burst(&bursts[0]));
    let second = Running::start(config);
    let mut samples = Vec::new();
    let mut restarts = 0;
    while samples.len() < wanted.len() {
        let received = source.receive(&mut samples).expect("receive");
        restarts += u32::from(received.restarted);
        assert_eq!(received.lost_before, 0);
    }
    assert_same(&samples, &wanted);
    assert_eq!(restarts, 1);
    sender.join().expect("no panic").expect("sent");
    second.finish();
}

#[test]
fn bursts_of_several_transmitters_come_one_after_another() {
    let mut config = config();
    config.channel.snr_db = None;
    let air = Running::start(config);
    let mut source = air.source();
    let senders: Vec<_> = (1..=4)
        .map(|number| {
            let mut sink = air.sink();
            let level = vec![Complex32::new(number as f32, 0.0); 50_000];
            std::thread::spawn(move || sink.send_burst(&level))
        })
        .collect();
    let samples = receive(&mut source, 4 * (LEAD + TAIL + 50_000), Duration::ZERO);
    for sender in senders {
        sender.join().expect("no panic").expect("sent");
    }
    let mut runs: Vec<f32> = samples.iter().map(|sample| sample.re).collect();
    runs.dedup();
    runs.retain(|level| *level > 0.0);
    runs.sort_by(f32::total_cmp);
    assert_eq!(runs, [1.0, 2.0, 3.0, 4.0]);
    air.finish();
}

#[test]
fn without_receivers_bursts_go_into_the_void() {
    let air = Running::start(config());
    air.sink().send_burst(&burst(500_000, 8)).expect("sent");
    let stats = air.finish();
    assert_eq!((stats.bursts, stats.samples_in, stats.samples_out), (1, 500_000, 0));
}

#[test]
fn without_an_air_the_error_says_where_it_was_looked_for() {
    let address = UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()).expect("address");
    let mut settings = UdpSinkConfig::new(address, RATE_HZ);
    settings.wait_for_air = Duration::from_millis(100);
    let error =
        UdpSink::connect(settings).expect("socket").send_burst(&burst(10, 0)).expect_err("nobody there");
    assert!(matches!(error, RadioError::NoAir { address: at, .. } if at == address));
    assert!(error.to_string().contains(&address.to_string()));
}

#[test]
fn another_sample_rate_is_refused_by_name() {
    let air = Running::start(config());
    let error = UdpSink::connect(UdpSinkConfig::new(air.transmit, 1e6))
        .expect("socket")
        .send_burst(&burst(10, 0))
        .expect_err("other rate");
    assert!(matches!(error, RadioError::SampleRate { .. }), "{error}");
    air.finish();
}

#[test]
fn paced_time_is_that_of_the_clock_and_carries_bursts() {
    let mut config = config();
    config.pacing = Pacing::Paced;
    config.sample_rate_hz = 1e6;
    config.channel.snr_db = None;
    let air = Running::start(config);
    let mut source = UdpSource::connect(UdpSourceConfig::new(air.receive, 1e6)).expect("source");
    assert!(source.wait_established(Duration::from_secs(2)).expect("established"));
    let mut sink = UdpSink::connect(UdpSinkConfig::new(air.transmit, 1e6)).expect("sink");
    let sender = std::thread::spawn(move || sink.send_burst(&vec![Complex32::new(1.0, 0.0); 200_000]));
    let mut samples = Vec::new();
    let (mut carried, mut silent) = (0, 0);
    let begin = Instant::now();
    // A machine that is busy elsewhere may lose samples of a paced stream, but says how many.
    while carried < 200_000 || silent < 5000 {
        assert!(begin.elapsed() < Duration::from_secs(10), "{carried} of the burst, {silent} others");
        samples.clear();
        carried += source.receive(&mut samples).expect("receive").lost_before as usize;
        carried += samples.iter().filter(|sample| sample.re == 1.0).count();
        silent += samples.iter().filter(|sample| sample.re == 0.0).count();
    }
    // 200,000 samples last 200 ms; less would mean that time is not that of the clock.
    assert!(begin.elapsed() > Duration::from_millis(190));
    sender.join().expect("no panic").expect("sent");
    assert_eq!(air.finish().bursts, 1);
}

#[test]
fn paced_time_that_is_too_fast_for_the_machine_is_reported() {
    let mut config = config();
    config.pacing = Pacing::Paced;
    config.sample_rate_hz = 4e9;
    let air = Air::bind(config).expect("bind");
    let (receive, monitor) = (air.receive_address().expect("address"), air.monitor());
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let thread = std::thread::spawn(move || air.run(flag));
    let mut source = UdpSource::connect(UdpSourceConfig::new(receive, 4e9)).expect("source");
    assert!(source.wait_established(Duration::from_secs(5)).expect("established"));
    // The receiver takes nothing, so what it grants runs out.
    let until = Instant::now() + Duration::from_secs(10);
    while monitor.stats().samples_overflowed == 0 || monitor.stats().samples_late == 0 {
        assert!(Instant::now() < until, "{:?}", monitor.stats());
        std::thread::yield_now();
    }
    // What it then gets tells of the gap, and goes on behind it.
    let (mut lost, mut behind) = (0, 0);
    let mut samples = Vec::new();
    while lost == 0 || behind == 0 {
        assert!(Instant::now() < until, "lost {lost}, {:?}", monitor.stats());
        samples.clear();
        let received = source.receive(&mut samples).expect("receive");
        lost += received.lost_before;
        behind += if lost > 0 { received.samples } else { 0 };
    }
    stop.store(true, Ordering::Relaxed);
    assert!(thread.join().expect("no panic").is_ok());
}

/// A network that loses one datagram in `one_in` each way, between a client and `server`.
fn lossy_network(server: SocketAddr, one_in: u64, stop: &Arc<AtomicBool>) -> SocketAddr {
    let open = || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("timeout");
        Arc::new(socket)
    };
    let (outside, inside) = (open(), open());
    inside.connect(server).expect("connect");
    let address = outside.local_addr().expect("address");
    let client = Arc::new(std::sync::Mutex::new(None));
    for inwards in [true, false] {
        let (outside, inside) = (Arc::clone(&outside), Arc::clone(&inside));
        let (client, stop) = (Arc::clone(&client), Arc::clone(stop));
        std::thread::spawn(move || {
            let mut bytes = [0; 9000];
            let mut state = 0x9E37_79B9_7F4A_7C15u64;
            while !stop.load(Ordering::Relaxed) {
                let from = if inwards { &outside } else { &inside };
                let Ok((length, sender)) = from.recv_from(&mut bytes) else { continue };
                if inwards {
                    *client.lock().expect("lock") = Some(sender);
                }
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                if (state >> 33).is_multiple_of(one_in) {
                    continue;
                }
                let to = *client.lock().expect("lock");
                let _ = match to {
                    _ if inwards => inside.send(&bytes[..length]),
                    Some(to) => outside.send_to(&bytes[..length], to),
                    None => continue,
                };
            }
        });
    }
    address
}

#[test]
fn a_network_that_loses_datagrams_stalls_nothing_and_every_loss_is_told() {
    let air = Running::start(config());
    let stop = Arc::new(AtomicBool::new(false));
    let to_sink = lossy_network(air.transmit, 25, &stop);
    let to_source = lossy_network(air.receive, 25, &stop);
    let mut source = UdpSource::connect(UdpSourceConfig::new(to_source, RATE_HZ)).expect("source");
    assert!(source.wait_established(Duration::from_secs(3)).expect("established"));
    let mut sink = UdpSink::connect(UdpSinkConfig::new(to_sink, RATE_HZ)).expect("sink");
    let done = Arc::new(AtomicBool::new(false));
    let until_done = Arc::clone(&done);
    // What is lost at the end of a burst shows when more comes: so more comes until all is accounted for.
    let sender = std::thread::spawn(move || {
        sink.send_burst(&burst(150_000, 10)).expect("sent");
        let mut more = 0;
        while !until_done.load(Ordering::Relaxed) {
            sink.send_burst(&burst(1000, 11)).expect("sent");
            more += 1;
        }
        more
    });
    let (mut samples, mut accounted, mut lost) = (Vec::new(), 0, 0);
    let until = Instant::now() + Duration::from_secs(20);
    while accounted < 150_000 + LEAD {
        assert!(Instant::now() < until, "{accounted} samples, {lost} lost");
        samples.clear();
        let received = source.receive(&mut samples).expect("receive");
        accounted += received.samples + received.lost_before as usize;
        lost += received.lost_before;
        if received.samples > 0 {
            let end = received.first_sample as usize + received.samples;
            assert_eq!(accounted, end, "indices and losses must add up");
        }
    }
    done.store(true, Ordering::Relaxed);
    while !sender.is_finished() {
        source.receive(&mut samples).expect("receive");
    }
    let more = sender.join().expect("no panic");
    stop.store(true, Ordering::Relaxed);
    let stats = air.finish();
    assert!(lost > 0 && stats.samples_lost > 0, "{lost} and {stats:?}");
    assert_eq!((stats.bursts, stats.samples_in), (1 + more, 150_000 + 1000 * more));
}

fn header(kind: Kind, flags: u8) -> Header {
    Header {
        kind,
        flags,
        format: SampleFormat::Cf32,
        stream: 0,
        session: 4711,
        peer_session: 0,
        count: 0,
        first_sample: 0,
        limit: 0,
        sample_rate_hz: RATE_HZ,
    }
}

fn bytes(header: &Header, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(header, &vec![Complex32::new(0.5, 0.5); count], &mut bytes);
    bytes
}

#[test]
fn random_and_damaged_datagrams_to_both_ports_do_no_harm() {
    let mut config = config();
    config.channel.snr_db = None;
    let air = Running::start(config);
    let mut source = air.source();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("timeout");
    socket.send_to(&bytes(&header(Kind::Hello, 0), 0), air.transmit).expect("send");
    let mut answer = [0; 9000];
    let length = socket.recv(&mut answer).expect("answer");
    let session = semcast_phy::radio::datagram::parse(&answer[..length]).expect("ours").header.session;
    let mut state = 99u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for number in 0..10_000 {
        let mut datagram: Vec<u8> = if number % 2 == 0 {
            (0..random() % 300).map(|_| random() as u8).collect()
        } else {
            let kinds = [Kind::Samples, Kind::Hello, Kind::Credit, Kind::Goodbye, Kind::Status];
            let kind = kinds[(random() % 5) as usize];
            let mut header = header(kind, random() as u8);
            header.peer_session = session;
            header.first_sample = random() % 10_000;
            header.limit = random() >> (random() % 64);
            bytes(&header, if kind == Kind::Samples { 20 } else { 0 })
        };
        if number % 4 == 1 && !datagram.is_empty() {
            let at = random() as usize % datagram.len();
            datagram[at] ^= 1 << (random() % 8);
        }
        let port = if random() % 2 == 0 { air.transmit } else { air.receive };
        // A full buffer may refuse some; most get through.
        let _ = socket.send_to(&datagram, port);
    }
    drop(socket);
    // What the noise left half done ends by itself; the next burst gets through whole.
    let mut sink = air.sink();
    let level = Complex32::new(2.0, 0.0);
    let sender = std::thread::spawn(move || sink.send_burst(&vec![level; 60_000]));
    let until = Instant::now() + Duration::from_secs(10);
    let (mut samples, mut arrived) = (Vec::new(), 0);
    while arrived < 60_000 {
        assert!(Instant::now() < until, "{arrived} samples of the burst");
        samples.clear();
        source.receive(&mut samples).expect("receive");
        arrived += samples.iter().filter(|sample| **sample == level).count();
    }
    sender.join().expect("no panic").expect("sent");
    let stats = air.finish();
    assert!(stats.datagrams_in > 3000 && stats.datagrams_junk > 1000, "{stats:?}");
    assert!(stats.bursts >= 1 && stats.samples_in >= 60_000, "{stats:?}");
}
