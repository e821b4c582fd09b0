//! The whole physical layer: frames → samples → emulated channel → frames.

use bytes::Bytes;
use num_complex::Complex32;
use rand::{Rng, SeedableRng, rngs::StdRng};
use semcast_phy::{
    channel::{Channel, ChannelConfig},
    framing::{Frame, ReceivedSegment, Segment},
    mode::{ControlRate, Mode},
    modulation::mcs::Mcs,
    numerology::Numerology,
    receive::{Demodulator, ReceivedFrame},
    transmit::Modulator,
};

fn config(profile: &str, snr_db: f64, seed: u64) -> ChannelConfig {
    ChannelConfig {
        profile: profile.parse().expect("a known profile"),
        snr_db: Some(snr_db),
        occupied_fraction: Numerology::default().occupied_fraction(),
        seed,
        ..ChannelConfig::default()
    }
}

fn random_frame(rng: &mut StdRng, number: u16, mcs: Mcs) -> Frame {
    let bytes: Vec<u8> = (0..1500).map(|_| rng.random()).collect();
    let symbols =
        (0..4000).map(|_| Complex32::from_polar(1.0, rng.random_range(0.0..std::f32::consts::TAU))).collect();
    Frame {
        mode: Mode::Normal,
        control_rate: ControlRate::from_bits(number as u8),
        number,
        transmitter: 77,
        control: Bytes::from(vec![number as u8; 40]),
        allocation: None,
        segments: vec![
            Segment::Coded { mcs: mcs.index(), redundancy_version: 0, bytes: Bytes::from(bytes) },
            Segment::Analog { symbols },
        ],
    }
}

/// Sends frames with gaps through one channel, and receives them from the stream cut into `cut` samples.
fn transfer(frames: &[Frame], config: ChannelConfig, cut: usize) -> Vec<ReceivedFrame> {
    let numerology = Numerology::default();
    let mut modulator = Modulator::new(numerology);
    let mut channel = Channel::new(config, numerology.sample_rate_hz).expect("a valid channel");
    let mut samples = Vec::new();
    channel.flush(3000, &mut samples);
    for frame in frames {
        let mut burst = Vec::new();
        modulator.modulate(frame, &mut burst).expect("a valid frame");
        burst.resize(burst.len() + 100, Complex32::default());
        channel.process(&burst, &mut samples);
    }
    channel.flush(8000, &mut samples);
    let mut received = Vec::new();
    let mut demodulator = Demodulator::new(numerology);
    for piece in samples.chunks(cut) {
        demodulator.push(piece, &mut |frame| received.push(frame));
    }
    received
}

fn coded_intact(sent: &Frame, received: &ReceivedFrame) -> bool {
    match (&sent.segments[0], &received.segments[0]) {
        (Segment::Coded { bytes, .. }, ReceivedSegment::Coded { decoded: Ok(arrived), .. }) => {
            bytes == arrived
        }
        _ => false,
    }
}

/// Mean squared error of the analog segment, and the mean variance that the receiver stated.
fn analog_error(sent: &Frame, received: &ReceivedFrame) -> (f32, f32) {
    match (&sent.segments[1], &received.segments[1]) {
        (Segment::Analog { symbols }, ReceivedSegment::Analog { symbols: arrived, noise_variance }) => {
            assert_eq!(symbols.len(), arrived.len());
            let count = symbols.len() as f32;
            let error = symbols.iter().zip(arrived).map(|(a, b)| (a - b).norm_sqr()).sum::<f32>();
            (error / count, noise_variance.iter().sum::<f32>() / count)
        }
        _ => panic!("an analog segment was sent"),
    }
}

#[test]
fn frames_arrive_intact_over_awgn_and_the_noise_is_known() {
    let mut rng = StdRng::seed_from_u64(1);
    for snr_db in [3.0, 10.0, 20.0] {
        let mcs = Mcs::select(snr_db as f32, 1.5);
        let frames: Vec<_> = (0..5).map(|number| random_frame(&mut rng, number, mcs)).collect();
        let received = transfer(&frames, config("awgn", snr_db, 9), 1000);
        assert_eq!(received.len(), 5, "at {snr_db} dB");
        for (sent, got) in frames.iter().zip(&received) {
            assert_eq!((got.header.number, got.header.transmitter), (sent.number, 77));
            assert_eq!(got.control, sent.control);
            assert!(coded_intact(sent, got), "at {snr_db} dB with {mcs}");
            assert!(
                (f64::from(got.channel.snr_db) - snr_db).abs() < 0.8,
                "{} at {snr_db}",
                got.channel.snr_db
            );
            let (error, stated) = analog_error(sent, got);
            let excess_db = 10.0 * f64::from(error).log10() + snr_db;
            assert!(
                excess_db.abs() < 1.0,
                "equalised noise is {excess_db} dB above the channel's at {snr_db} dB"
            );
            assert!((error / stated).log10().abs() < 0.08, "noise {error}, stated {stated}");
        }
    }
}

#[test]
fn offsets_and_multipath_do_not_cost_a_frame() {
    let mut rng = StdRng::seed_from_u64(2);
    for seed in 0..20 {
        let frames = vec![random_frame(&mut rng, seed as u16, Mcs::select(10.0, 1.5))];
        let cfo_hz = if seed % 2 == 0 { 20e3 } else { -20e3 };
        let sampling_offset_ppm = if seed % 4 < 2 { 20.0 } else { -20.0 };
        let channel = ChannelConfig {
            cfo_hz,
            sampling_offset_ppm,
            delay_samples: 137 * seed as u32,
            ..config("multipath", 15.0, seed)
        };
        let received = transfer(&frames, channel, 4096);
        assert_eq!(received.len(), 1, "seed {seed}");
        assert!(coded_intact(&frames[0], &received[0]), "seed {seed}");
        let state = &received[0].channel;
        assert!((state.cfo_hz - cfo_hz).abs() < 300.0, "{} Hz for {cfo_hz}", state.cfo_hz);
    }
}

#[test]
fn the_same_samples_give_the_same_frames_however_they_are_cut() {
    let mut rng = StdRng::seed_from_u64(3);
    let frames: Vec<_> =
        (0..3).map(|number| random_frame(&mut rng, number, Mcs::select(12.0, 1.5))).collect();
    let whole = transfer(&frames, config("multipath", 15.0, 5), usize::MAX);
    assert_eq!(whole.len(), 3);
    for cut in [1, 333, 7919] {
        assert_eq!(transfer(&frames, config("multipath", 15.0, 5), cut), whole, "cut into {cut}");
    }
}

#[test]
fn a_burst_that_breaks_off_does_not_swallow_the_next_frame() {
    let mut rng = StdRng::seed_from_u64(4);
    let numerology = Numerology::default();
    let mut modulator = Modulator::new(numerology);
    let mcs = Mcs::select(12.0, 1.5);
    let (broken, whole) = (random_frame(&mut rng, 0, mcs), random_frame(&mut rng, 1, mcs));
    let mut samples = Vec::new();
    modulator.modulate(&broken, &mut samples).expect("a valid frame");
    samples.truncate(samples.len() / 2);
    modulator.modulate(&whole, &mut samples).expect("a valid frame");
    let mut channel =
        Channel::new(config("awgn", 20.0, 6), numerology.sample_rate_hz).expect("a valid channel");
    let mut heard = Vec::new();
    channel.process(&samples, &mut heard);
    channel.flush(20_000, &mut heard);
    let mut numbers = Vec::new();
    Demodulator::new(numerology).push(&heard, &mut |frame| {
        if coded_intact(&whole, &frame) {
            numbers.push(frame.header.number);
        }
    });
    assert_eq!(numbers, [1]);
}
