//! The detector against noise, offsets, and what radios do to samples.

use std::f64::consts::TAU;

use bytes::Bytes;
use num_complex::Complex32;
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rand_distr::StandardNormal;
use semcast_phy::{
    framing::{Frame, Segment},
    mode::Mode,
    modulation::mcs::Mcs,
    numerology::Numerology,
    ofdm::Ofdm,
    sync::{
        detector::{Detection, Detector},
        preamble::preamble,
    },
    transmit::Modulator,
};

/// Noise variance on a sample at an SNR per resource element.
fn variance(numerology: &Numerology, snr_db: f64) -> f32 {
    (10f64.powf(-snr_db / 10.0) / numerology.occupied_fraction()) as f32
}

fn noise(rng: &mut StdRng, variance: f32, count: usize) -> Vec<Complex32> {
    let scale = (variance / 2.0).sqrt();
    let mut normal = || rng.sample::<f32, _>(StandardNormal) * scale;
    (0..count).map(|_| Complex32::new(normal(), normal())).collect()
}

/// Adds a signal at a position, with a carrier offset in cycles per sample.
fn add(samples: &mut [Complex32], position: usize, signal: &[Complex32], gain: f32, cfo: f64) {
    for (n, (sample, value)) in samples[position..].iter_mut().zip(signal).enumerate() {
        *sample += value * Complex32::from_polar(gain, (TAU * cfo * n as f64) as f32);
    }
}

fn pattern(mode: Mode, numerology: &Numerology) -> Vec<Complex32> {
    preamble(mode, numerology, &mut Ofdm::new(*numerology))
}

/// All that a detector finds in the samples, without ever being restarted.
fn detections(numerology: &Numerology, samples: &[Complex32]) -> Vec<Detection> {
    let mut detector = Detector::new(numerology);
    let mut all = samples.to_vec();
    all.resize(samples.len() + detector.latency(), Complex32::default());
    std::iter::from_fn(|| detector.search(&all, 0)).collect()
}

/// Checks that of `trials` preambles in noise one in a hundred at most is not found, with its position
/// within a quarter of the prefix and its carrier offset within 0.3 subcarriers.
fn finds(numerology: &Numerology, mode: Mode, snr_db: f64, trials: usize) {
    let pattern = pattern(mode, numerology);
    let mut rng = StdRng::seed_from_u64(5);
    let mut detector = Detector::new(numerology);
    let most_cfo = 48e3 / numerology.sample_rate_hz;
    let mut missed = 0;
    for _ in 0..trials {
        let position = rng.random_range(0..7000);
        let cfo = rng.random_range(-most_cfo..most_cfo);
        let count = position + detector.latency();
        let mut samples = noise(&mut rng, variance(numerology, snr_db), count);
        add(&mut samples, position, &pattern, 1.0, cfo);
        detector.restart(0);
        let found = detector.search(&samples, 0).is_some_and(|detection| {
            detection.mode == mode
                && detection.position.abs_diff(position as i64) <= numerology.cyclic_prefix as u64 / 4
                && (detection.cfo - cfo).abs() * (numerology.fft_size as f64) < 0.3
        });
        missed += usize::from(!found);
    }
    assert!(missed * 100 <= trials, "{missed} of {trials} missed, {numerology:?}");
}

#[test]
fn robust_frames_are_found_at_13_db_below_the_noise() {
    for sample_rate_hz in [2e6, 7.68e6, 20e6] {
        finds(&Numerology { sample_rate_hz, ..Numerology::default() }, Mode::Robust, -13.0, 200);
    }
}

#[test]
fn normal_frames_are_found_at_5_db_below_the_noise() {
    finds(&Numerology::default(), Mode::Normal, -5.0, 200);
}

#[test]
fn small_and_large_grids_are_searched() {
    for (fft_size, cyclic_prefix, resource_blocks) in [(64, 16, 4), (1024, 72, 50), (4096, 300, 200)] {
        let numerology = Numerology { fft_size, cyclic_prefix, resource_blocks, sample_rate_hz: 20e6 };
        finds(&numerology, Mode::Robust, -11.0, 20);
        // The chirps of the normal mode are as long as the DFT.
        finds(&numerology, Mode::Normal, if fft_size == 64 { 6.0 } else { -5.0 }, 20);
    }
}

#[test]
fn a_frame_is_found_once_and_in_its_mode() {
    let numerology = Numerology::default();
    let mut rng = StdRng::seed_from_u64(6);
    let mut modulator = Modulator::new(numerology);
    for mode in Mode::ALL {
        for snr_db in [0.0, 10.0, 20.0, 40.0] {
            let bytes: Vec<u8> = (0..3000).map(|_| rng.random()).collect();
            let mcs = Mcs::all().nth(10).expect("a rung of the ladder").index();
            let frame = Frame {
                mode,
                control: Bytes::from_static(b"above"),
                segments: vec![Segment::Coded { mcs, redundancy_version: 0, bytes: Bytes::from(bytes) }],
                ..Frame::default()
            };
            let mut signal = Vec::new();
            modulator.modulate(&frame, &mut signal).expect("a valid frame");
            let mut samples = noise(&mut rng, variance(&numerology, snr_db), signal.len() + 20_000);
            add(&mut samples, 9000, &signal, 1.0, 0.004);
            let found = detections(&numerology, &samples);
            assert_eq!(found.len(), 1, "{mode:?} at {snr_db} dB: {found:?}");
            assert_eq!(found[0].mode, mode);
            assert!(found[0].position.abs_diff(9000) <= 1, "{found:?}");
        }
    }
}

#[test]
fn a_dc_spike_and_the_gain_change_nothing() {
    let numerology = Numerology::default();
    let mut rng = StdRng::seed_from_u64(7);
    for (mode, snr_db) in [(Mode::Robust, -13.0), (Mode::Normal, -3.0)] {
        let mut samples = noise(&mut rng, variance(&numerology, snr_db), 40_000);
        add(&mut samples, 12_345, &pattern(mode, &numerology), 1.0, -0.003);
        let plain = detections(&numerology, &samples);
        assert_eq!(plain.len(), 1, "{plain:?}");
        for (gain, spike) in [(1e-4, 0.0), (1e3, 0.0), (1.0, 10.0), (0.02, 10.0)] {
            let changed: Vec<_> =
                samples.iter().map(|sample| (sample + Complex32::new(0.6, -0.8) * spike) * gain).collect();
            let found = detections(&numerology, &changed);
            assert_eq!(found.len(), 1, "gain {gain}, spike {spike}: {found:?}");
            assert_eq!((found[0].mode, found[0].position), (mode, plain[0].position));
            assert!((found[0].strength / plain[0].strength - 1.0).abs() < 0.1, "{found:?}");
        }
    }
}

#[test]
fn nothing_is_found_where_nothing_is() {
    let numerology = Numerology::default();
    let mut rng = StdRng::seed_from_u64(8);
    let white = noise(&mut rng, 1.0, 400_000);
    let mut cases: Vec<(&str, Vec<Complex32>)> = vec![
        ("noise", white.clone()),
        ("silence", vec![Complex32::default(); 50_000]),
        ("a constant", vec![Complex32::new(0.3, 0.1); 50_000]),
        ("garbage", {
            let values =
                [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, 1e-42, 0.0];
            (0..50_000)
                .map(|_| {
                    let mut value = || values[rng.random_range(0..values.len())];
                    Complex32::new(value(), value())
                })
                .collect()
        }),
        ("clipped noise", white.iter().map(|s| Complex32::new(s.re.signum(), s.im.signum())).collect()),
        ("noise of eight bits", {
            let round = |value: f32| (value * 2.0).round();
            white.iter().map(|s| Complex32::new(round(s.re), round(s.im))).collect()
        }),
    ];
    for frequency in [0.01, 0.2, -0.2931, 0.4] {
        let tone = |n: usize| Complex32::from_polar(5.0, (TAU * frequency * n as f64) as f32);
        cases.push(("a carrier", (0..60_000).map(tone).collect()));
        cases.push(("a carrier in noise", (0..60_000).map(|n| tone(n) + white[n]).collect()));
    }
    for length in [7, 300, 2048, 5000] {
        let gain = |n: usize| if (n / length).is_multiple_of(2) { 1.0 } else { 1e-3 };
        cases.push(("steps of gain", (0..60_000).map(|n| white[n] * gain(n)).collect()));
        let burst = |n: usize| if (n / length).is_multiple_of(2) { white[n] } else { Complex32::default() };
        cases.push(("bursts in silence", (0..60_000).map(burst).collect()));
    }
    for (name, samples) in cases {
        let found = detections(&numerology, &samples);
        assert!(found.is_empty(), "{name}: {found:?}");
    }
}

#[test]
fn garbage_around_a_preamble_does_not_hide_it() {
    let numerology = Numerology::default();
    let mut rng = StdRng::seed_from_u64(9);
    for mode in Mode::ALL {
        let mut samples = noise(&mut rng, 0.1, 30_000);
        add(&mut samples, 11_000, &pattern(mode, &numerology), 1.0, 0.001);
        for n in (9_000..10_500).chain([11_100, 11_500]) {
            samples[n] = Complex32::new(f32::NAN, f32::INFINITY);
        }
        let found = detections(&numerology, &samples);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].mode, found[0].position), (mode, 11_000));
    }
}

#[test]
fn a_restart_cuts_off_what_was_before() {
    let numerology = Numerology { sample_rate_hz: 2e6, ..Numerology::default() };
    let mut rng = StdRng::seed_from_u64(10);
    for mode in Mode::ALL {
        let pattern = pattern(mode, &numerology);
        let mut samples = noise(&mut rng, 0.3, 40_000);
        for position in [3000, 3000 + pattern.len()] {
            add(&mut samples, position, &pattern, 1.0, 0.02);
        }
        let mut detector = Detector::new(&numerology);
        let mut positions = Vec::new();
        // The offset moves the peak of the second up-chirp to before its start, into what is cut off.
        for restart in [0, 3000, 3000 + numerology.fft_size / 2, 3000 + pattern.len()] {
            detector.restart(restart as i64);
            positions.extend(detector.search(&samples, 0).map(|detection| detection.position - 3000));
        }
        let second = pattern.len() as i64;
        assert_eq!(positions, [0, 0, second, second], "{mode:?}");
    }
}

#[test]
fn two_paths_give_one_frame() {
    let numerology = Numerology::default();
    let mut rng = StdRng::seed_from_u64(11);
    for mode in Mode::ALL {
        let pattern = pattern(mode, &numerology);
        let mut samples = noise(&mut rng, variance(&numerology, 15.0), 40_000);
        add(&mut samples, 8000, &pattern, 0.7, 0.002);
        add(&mut samples, 8018, &pattern, 0.7, 0.002);
        let found = detections(&numerology, &samples);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!((7999..=8019).contains(&found[0].position), "{found:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_found_does_not_depend_on_how_the_stream_is_cut(
        seed in 0u64..1000,
        positions in prop::collection::vec(0usize..60_000, 0..4),
        cuts in prop::collection::vec(1usize..20_000, 1..8),
    ) {
        let numerology = Numerology::default();
        let mut rng = StdRng::seed_from_u64(seed);
        let mut samples = noise(&mut rng, 1.0, 90_000);
        for (index, &position) in positions.iter().enumerate() {
            add(&mut samples, position, &pattern(Mode::ALL[index % 2], &numerology), 1.0, 0.002);
        }
        let mut whole = Detector::new(&numerology);
        let expected: Vec<_> = std::iter::from_fn(|| whole.search(&samples, 0)).collect();

        let mut pieces = Detector::new(&numerology);
        let (mut buffer, mut start, mut found) = (Vec::new(), 0, Vec::new());
        let mut rest = samples.as_slice();
        for &cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            rest = after;
            buffer.extend_from_slice(piece);
            found.extend(std::iter::from_fn(|| pieces.search(&buffer, start)));
            let done = (pieces.oldest_candidate() - start) as usize;
            buffer.drain(..done);
            start += done as i64;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(found, expected);
    }
}
