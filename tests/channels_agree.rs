//! What training lets networks hear, and what the link lets them hear, have the same distribution: symbols pass
//! through frames, the emulated channel, synchronisation and estimation on the one side, and through the drawn
//! channel of `semcast train` on the other.

use num_complex::Complex32;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use semcast_models::training::channel::{Setting, draw};
use semcast_models::training::pictures::GROUP;
use semcast_phy::{
    channel::{Channel, ChannelConfig},
    framing::{Frame, ReceivedSegment, Segment},
    numerology::Numerology,
    receive::Demodulator,
    transmit::Modulator,
};

/// A symbol that arrived: its error in units of the noise variance that the decoder is told, and that variance.
#[derive(Clone, Copy)]
struct Arrived {
    error: f64,
    variance: f64,
}

/// Symbols through the link, `frames` frames of 600, each over its own realisation of the channel.
fn link(channel: &str, snr_db: f64, frames: u64) -> Vec<Arrived> {
    let numerology = Numerology::default();
    let mut rng = StdRng::seed_from_u64(1);
    let mut modulator = Modulator::new(numerology);
    let mut demodulator = Demodulator::new(numerology);
    let mut arrived = Vec::new();
    for seed in 0..frames {
        let mut unit = || Complex32::from_polar(1.0, rng.random_range(0.0..std::f32::consts::TAU));
        let sent: Vec<Complex32> = (0..600).map(|_| unit()).collect();
        let frame = Frame { segments: vec![Segment::Analog { symbols: sent.clone() }], ..Frame::default() };
        let mut burst = Vec::new();
        modulator.modulate(&frame, &mut burst).expect("a frame that fits");
        let config = ChannelConfig {
            profile: channel.parse().expect("a profile"),
            snr_db: Some(snr_db),
            occupied_fraction: numerology.occupied_fraction(),
            seed,
            ..ChannelConfig::default()
        };
        let mut channel = Channel::new(config, numerology.sample_rate_hz).expect("a channel");
        let mut samples = Vec::new();
        channel.flush(3000, &mut samples);
        channel.process(&burst, &mut samples);
        channel.flush(16 * numerology.fft_size, &mut samples);
        demodulator.push(&samples, &mut |frame| {
            let [ReceivedSegment::Analog { symbols, noise_variance }] = frame.segments.as_slice() else {
                panic!("{:?}", frame.segments)
            };
            for ((sent, symbol), &variance) in sent.iter().zip(symbols).zip(noise_variance) {
                let variance = f64::from(variance);
                arrived.push(Arrived { error: f64::from((symbol - sent).norm_sqr()) / variance, variance });
            }
        });
    }
    arrived
}

/// Symbols through the channel of training.
fn training(setting: Setting) -> Vec<Arrived> {
    let places = 256;
    let drawn = draw(&[setting], &vec![1.0; GROUP * places], &mut StdRng::seed_from_u64(2));
    let mut arrived = Vec::new();
    // Channels 2i and 2i + 1 of a place are the two parts of a symbol.
    for pair in (0..drawn.noise.len()).step_by(2 * places) {
        for (re, im) in (pair..pair + places).map(|place| (place, place + places)) {
            if drawn.arrives[re] > 0.0 {
                // In units of the mean power of a symbol, which is that of two values.
                let amplitude = f64::from(drawn.sent[re]).powi(2);
                let noise = f64::from(drawn.noise[re].powi(2) + drawn.noise[im].powi(2));
                let variance = f64::from(drawn.variance[re]);
                arrived.push(Arrived { error: noise / (2.0 * variance), variance: variance * amplitude });
            }
        }
    }
    arrived
}

/// The greatest distance of the distributions of two samples (Kolmogorov and Smirnov).
fn distance(mut first: Vec<f64>, mut second: Vec<f64>) -> f64 {
    first.sort_by(f64::total_cmp);
    second.sort_by(f64::total_cmp);
    let share = |sample: &[f64], value: f64| {
        sample.partition_point(|&other| other <= value) as f64 / sample.len() as f64
    };
    let at = |value: &f64| (share(&first, *value) - share(&second, *value)).abs();
    first.iter().chain(&second).map(at).fold(0.0, f64::max)
}

fn errors(arrived: &[Arrived]) -> Vec<f64> {
    arrived.iter().map(|arrived| arrived.error).collect()
}

#[test]
fn noise_is_as_strong_as_in_training_and_as_strong_as_the_decoder_is_told() {
    for snr_db in [0.0, 10.0, 20.0] {
        let (link, training) = (link("awgn", snr_db, 20), training(Setting::awgn(48, snr_db as f32)));
        assert_eq!(link.len(), 20 * 600);
        let distance = distance(errors(&link), errors(&training));
        assert!(distance < 0.04, "{snr_db} dB: errors differ by {distance}");
        let mean = |arrived: &[Arrived]| {
            10.0 * (arrived.iter().map(|a| a.variance).sum::<f64>() / arrived.len() as f64).log10()
        };
        // Estimating the channel costs a little; training knows it.
        let cost = mean(&link) - mean(&training);
        assert!((-0.2..0.6).contains(&cost), "{snr_db} dB: {cost} dB");
    }
}

#[test]
fn fading_makes_noise_vary_as_in_training() {
    let snr_db = 25.0;
    let link = link("rayleigh", snr_db, 400);
    let training = training(Setting { rician: 0.0, ..Setting::awgn(48, snr_db as f32) });
    let errors = distance(errors(&link), errors(&training));
    assert!(errors < 0.04, "errors differ by {errors}");
    // All symbols of a frame fade together: one a frame is a sample of the law, and 400 samples are within 0.07 of it.
    let variance = |arrived: &[Arrived]| arrived.iter().map(|arrived| arrived.variance).collect();
    let frames: Vec<Arrived> = link.chunks(600).map(|frame| frame[0]).collect();
    assert!(frames.len() >= 396, "{} of 400 frames arrived", frames.len());
    let variances = distance(variance(&frames), variance(&training));
    assert!(variances < 0.1, "variances differ by {variances}");
}
