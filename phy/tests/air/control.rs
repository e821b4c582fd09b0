//! What can be set in an air, before it runs and while it does.

use std::time::Duration;

use crate::running::{LEAD, RATE_HZ, Running, TAIL, assert_same, burst, config, exchange, receive};
use num_complex::Complex32;
use semcast_phy::channel::{Channel, ChannelConfig};
use semcast_phy::radio::{RadioSink, RadioSource};

/// A receiver of the air gets what one channel with the whole configuration gives, hardware of the transmitter included.
#[test]
fn hardware_and_neighbours_are_those_of_one_channel() {
    let mut config = config();
    config.channel.transmitter.amplifier = "rapp".parse().expect("known");
    config.channel.transmitter.phase_noise_hz = 50.0;
    config.channel.interferers = "ofdm/-10/duty=0.5".parse().expect("known");
    config.channel.front_end.adc_bits = Some(8);
    exchange(config, &[burst(50_000, 1), burst(20_000, 2)]);
}

#[test]
fn a_change_while_it_runs_holds_from_the_next_burst_on() {
    let config = config();
    let air = Running::start(config.clone());
    let mut source = air.source();
    let mut sink = air.sink();
    let (first, second) = (burst(30_000, 1), burst(30_000, 2));
    let mut wanted = Vec::new();
    let mut channel = Channel::new(config.channel.clone(), RATE_HZ).expect("valid");
    let mut pass = |channel: &mut Channel, burst: &[Complex32]| {
        channel.flush(LEAD, &mut wanted);
        channel.process(burst, &mut wanted);
        channel.flush(TAIL, &mut wanted);
        wanted.len()
    };
    let count = pass(&mut channel, &first);
    sink.send_burst(&first).expect("sent");
    let mut samples = receive(&mut source, count, Duration::ZERO);
    let after = air.control.change(br#"{"channel": {"snr_db": 3, "cfo_hz": 1000}}"#).expect("allowed");
    let changed = ChannelConfig { snr_db: Some(3.0), cfo_hz: 1000.0, ..config.channel };
    assert_eq!(after.channel, changed);
    channel.reconfigure(changed).expect("valid");
    let count = pass(&mut channel, &second) - count;
    sink.send_burst(&second).expect("sent");
    samples.extend(receive(&mut source, count, Duration::ZERO));
    assert_same(&samples, &wanted);
    let refused =
        air.control.change(br#"{"channel": {"snr_db": 1e6}}"#).expect_err("out of range").to_string();
    assert!(refused.contains("-100 to 200"), "{refused}");
    assert_eq!((air.control.settings(), air.finish().changes), (after, 1));
}

#[test]
fn datagrams_are_lost_as_often_as_was_set_and_the_receiver_knows_how_many_samples() {
    let mut config = config();
    config.faults.loss = 0.2;
    let run = || {
        let air = Running::start(config.clone());
        let mut source = air.source();
        let mut sink = air.sink();
        let sender = std::thread::spawn(move || sink.send_burst(&burst(960_000, 1)));
        let (mut samples, mut lost) = (Vec::new(), 0);
        let total = (LEAD + 960_000 + TAIL) as u64;
        // Up to the last datagram, which may be among the lost.
        while samples.len() as u64 + lost + 9600 < total {
            lost += source.receive(&mut samples).expect("receive").lost_before;
        }
        sender.join().expect("no panic").expect("sent");
        let stats = air.finish();
        assert!(lost <= stats.samples_dropped && stats.samples_dropped < lost + 9600, "{lost} of {stats:?}");
        let share = stats.samples_dropped as f64 / total as f64;
        assert!((share - 0.2).abs() < 0.04, "share {share}");
        (samples, lost)
    };
    assert!(run() == run(), "the same seed loses the same samples");
}

#[test]
fn the_spectrum_shows_what_went_in_and_what_came_out() {
    let mut config = config();
    config.channel.snr_db = Some(60.0);
    config.channel.cfo_hz = RATE_HZ / 4.0;
    let air = Running::start(config);
    let mut source = air.source();
    assert_eq!(air.control.spectrum(64), None);
    let sent = vec![Complex32::new(1.0, 0.0); 40_000];
    air.sink().send_burst(&sent).expect("sent");
    receive(&mut source, LEAD + 40_000, Duration::ZERO);
    let spectrum = air.control.spectrum(64).expect("a picture");
    let peak = |bins: &[f32]| (0..bins.len()).max_by(|&a, &b| bins[a].total_cmp(&bins[b]));
    // A constant is in the middle; the receiver's mixer puts it three quarters of the way up.
    assert_eq!((peak(&spectrum.input_db), peak(&spectrum.output_db)), (Some(32), Some(48)));
    assert_eq!(spectrum.sample_rate_hz, RATE_HZ);
    air.finish();
}
