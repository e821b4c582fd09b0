//! The chain as a whole: SNR per resource element, offsets, and independence of the cut.

use super::*;
use num_complex::Complex64;
use proptest::prelude::*;
use std::f64::consts::TAU;

const RATE_HZ: f64 = 7.68e6;

/// Band-limited test signal: `carriers` of `size` subcarriers around an empty DC with unit power
/// each, scaled to unit mean power in time, `symbols` of them without prefix.
fn ofdm(size: usize, carriers: usize, symbols: usize) -> (Vec<Complex32>, Vec<Vec<Complex64>>) {
    let mut state = 1u64;
    let mut grid = Vec::new();
    let mut samples = Vec::new();
    for _ in 0..symbols {
        let symbol: Vec<Complex64> = (0..carriers)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                Complex64::cis(TAU * (0.125 + 0.25 * (state >> 62) as f64))
            })
            .collect();
        for n in 0..size {
            let sum: Complex64 = (0..carriers)
                .map(|c| symbol[c] * Complex64::cis(TAU * bin(c, carriers) * n as f64 / size as f64))
                .sum();
            let sample = sum / (carriers as f64).sqrt();
            samples.push(Complex32::new(sample.re as f32, sample.im as f32));
        }
        grid.push(symbol);
    }
    (samples, grid)
}

/// Signed subcarrier number of the `c`-th occupied one.
fn bin(c: usize, carriers: usize) -> f64 {
    let signed = c as f64 - (carriers / 2) as f64;
    if signed >= 0.0 { signed + 1.0 } else { signed }
}

/// The receiver's DFT √K/N·Σ of one symbol.
fn subcarriers(samples: &[Complex32], carriers: usize) -> Vec<Complex64> {
    let size = samples.len();
    (0..carriers)
        .map(|c| {
            let sum: Complex64 = samples
                .iter()
                .enumerate()
                .map(|(n, x)| {
                    let x = Complex64::new(f64::from(x.re), f64::from(x.im));
                    x * Complex64::cis(-TAU * bin(c, carriers) * n as f64 / size as f64)
                })
                .sum();
            sum * (carriers as f64).sqrt() / size as f64
        })
        .collect()
}

#[test]
fn a_default_channel_is_a_wire() {
    let input: Vec<Complex32> = (0..3000).map(|n| Complex32::new(n as f32, -1.0)).collect();
    let mut output = Vec::new();
    let mut channel = Channel::new(ChannelConfig::default(), RATE_HZ).expect("valid");
    channel.process(&input, &mut output);
    assert_eq!(input, output);
}

#[test]
fn snr_per_resource_element_is_the_one_set() {
    let (size, carriers, symbols) = (64, 36, 600);
    let (input, grid) = ofdm(size, carriers, symbols);
    let power: f64 = input.iter().map(|x| f64::from(x.norm_sqr())).sum::<f64>() / input.len() as f64;
    assert!((power - 1.0).abs() < 1e-3, "time-domain power {power}");
    for snr_db in [-5.0, 10.0] {
        let config = ChannelConfig {
            snr_db: Some(snr_db),
            occupied_fraction: carriers as f64 / size as f64,
            seed: 5,
            ..ChannelConfig::default()
        };
        let mut output = Vec::new();
        Channel::new(config, RATE_HZ).expect("valid").process(&input, &mut output);
        let mut noise = 0.0;
        for (symbol, sent) in output.chunks(size).zip(&grid) {
            for (received, sent) in subcarriers(symbol, carriers).iter().zip(sent) {
                noise += (received - sent).norm_sqr();
            }
        }
        let measured_db = -10.0 * (noise / (carriers * symbols) as f64).log10();
        assert!((measured_db - snr_db).abs() < 0.1, "set {snr_db}, measured {measured_db}");
    }
}

#[test]
fn static_multipath_has_unit_mean_power_over_the_occupied_band() {
    let (size, carriers) = (128, 72);
    let (input, _) = ofdm(size, carriers, 40);
    for seed in 0..8 {
        let config = ChannelConfig {
            profile: Profile::Multipath,
            occupied_fraction: carriers as f64 / size as f64,
            seed,
            ..ChannelConfig::default()
        };
        let mut output = Vec::new();
        Channel::new(config, RATE_HZ).expect("valid").process(&input, &mut output);
        let power: f64 = output.iter().map(|x| f64::from(x.norm_sqr())).sum::<f64>() / output.len() as f64;
        assert!((power - 1.0).abs() < 0.08, "seed {seed}: {power}");
    }
}

#[test]
fn rayleigh_is_flat_static_and_of_unit_mean_power_over_seeds() {
    let mut total = 0.0;
    let seeds = 4000;
    for seed in 0..seeds {
        let config = ChannelConfig { profile: Profile::Rayleigh, seed, ..ChannelConfig::default() };
        let mut output = Vec::new();
        let mut channel = Channel::new(config, RATE_HZ).expect("valid");
        channel.process(&[Complex32::new(1.0, 0.0); 5], &mut output);
        assert!(output.iter().all(|x| *x == output[0]));
        total += f64::from(output[0].norm_sqr());
    }
    let mean = total / seeds as f64;
    assert!((mean - 1.0).abs() < 0.06, "mean power {mean}");
}

#[test]
fn tdl_profiles_have_unit_mean_power() {
    for (text, tolerance) in [("tdl-a:100", 0.05), ("tdl-c:300", 0.05), ("tdl-d:100", 0.02)] {
        let seeds = 2000;
        let total: f64 = (0..seeds)
            .map(|seed| {
                let profile = text.parse().expect("known");
                let config = ChannelConfig { profile, doppler_hz: 70.0, seed, ..ChannelConfig::default() };
                let mut output = Vec::new();
                let mut channel = Channel::new(config, RATE_HZ).expect("valid");
                channel.process(&[Complex32::new(1.0, 0.0); 64], &mut output);
                f64::from(output[63].norm_sqr())
            })
            .sum();
        assert!((total / seeds as f64 - 1.0).abs() < tolerance, "{text}: {}", total / seeds as f64);
    }
}

#[test]
fn tdl_profiles_fade_at_the_doppler_that_was_set() {
    // A tone through Rayleigh taps: E[y(t) y*(t + τ)] = J₀(2π f_d τ) (Clarke); J₀(1) = 0.7652, and the
    // first zero is at 2.4048. At a high Doppler a short run holds many fades.
    let doppler_hz = 10e3;
    let lags = [1.0, 2.4048].map(|argument| (argument / (TAU * doppler_hz) * RATE_HZ).round() as usize);
    let mut sums = [0.0; 3];
    for seed in 0..25 {
        let profile = "tdl-a:100".parse().expect("known");
        let config = ChannelConfig { profile, doppler_hz, seed, ..ChannelConfig::default() };
        let mut output = Vec::new();
        let mut channel = Channel::new(config, RATE_HZ).expect("valid");
        channel.process(&vec![Complex32::new(1.0, 0.0); 4096], &mut output);
        let correlation = |lag: usize| -> f64 {
            output[100..4000]
                .iter()
                .zip(&output[100 + lag..])
                .map(|(a, b)| f64::from((a * b.conj()).re))
                .sum()
        };
        sums[0] += correlation(0);
        sums[1] += correlation(lags[0]);
        sums[2] += correlation(lags[1]);
    }
    assert!((sums[1] / sums[0] - 0.7652).abs() < 0.03, "{}", sums[1] / sums[0]);
    assert!((sums[2] / sums[0]).abs() < 0.05, "{}", sums[2] / sums[0]);
}

#[test]
fn carrier_and_clock_offsets_are_the_ones_set() {
    // A tone through both offsets turns by (f + cfo)/fs cycles an input sample, and there are
    // 1 + ppm outputs for each of those.
    let (cfo_hz, ppm, tone_hz) = (20e3, 20.0, 1e6);
    let config = ChannelConfig { cfo_hz, sampling_offset_ppm: ppm, ..ChannelConfig::default() };
    let count = 1_000_000;
    let input: Vec<Complex32> = (0..count)
        .map(|n| Complex64::cis(TAU * tone_hz * f64::from(n) / RATE_HZ))
        .map(|z| Complex32::new(z.re as f32, z.im as f32))
        .collect();
    let mut output = Vec::new();
    let mut channel = Channel::new(config, RATE_HZ).expect("valid");
    channel.process(&input, &mut output);
    channel.flush(12, &mut output);
    assert!(output.len().abs_diff(count as usize + 20) <= 1, "{} samples", output.len());
    for m in [100usize, 1000, 500_000, 999_000] {
        let cycles = (tone_hz + cfo_hz) / RATE_HZ * m as f64 / (1.0 + ppm * 1e-6);
        let ideal = Complex64::cis(TAU * cycles);
        let actual = Complex64::new(f64::from(output[m].re), f64::from(output[m].im));
        assert!((actual - ideal).norm() < 2e-3, "sample {m}: {actual} {ideal}");
    }
}

#[test]
fn delay_is_whole_samples_of_silence() {
    let config = ChannelConfig { delay_samples: 1500, ..ChannelConfig::default() };
    let mut channel = Channel::new(config, RATE_HZ).expect("valid");
    assert_eq!(channel.latency_samples(), 1500);
    let input: Vec<Complex32> = (1..=2000).map(|n| Complex32::new(n as f32, 0.0)).collect();
    let mut output = Vec::new();
    channel.process(&input, &mut output);
    channel.flush(1500, &mut output);
    assert!(output[..1500].iter().all(|x| *x == Complex32::default()));
    assert_eq!(output[1500..], input);
}

fn any_config() -> impl Strategy<Value = ChannelConfig> {
    let profile = prop_oneof![
        Just("awgn"),
        Just("rayleigh"),
        Just("rician:3"),
        Just("multipath"),
        Just("multipath-rayleigh"),
        Just("tdl-b:100"),
        Just("tdl-d:30"),
        Just("eva"),
        Just("taps:0/0,260.4166667/-3/rayleigh,1000/-6"),
    ];
    (
        profile,
        proptest::option::of(-5.0..30.0),
        0u32..2000,
        prop_oneof![Just(0.0), 1.0..5000.0],
        prop_oneof![Just(0.0), -1e5..1e5],
        prop_oneof![Just(0.0), -100.0..100.0],
        any_hardware(),
        any::<u64>(),
    )
        .prop_map(|(profile, snr_db, delay_samples, doppler_hz, cfo_hz, ppm, hardware, seed)| {
            ChannelConfig {
                profile: profile.parse().expect("known"),
                snr_db,
                occupied_fraction: 0.6,
                delay_samples,
                doppler_hz,
                cfo_hz,
                sampling_offset_ppm: ppm,
                seed,
                ..hardware
            }
        })
}

/// Nothing, or everything that hardware, obstacles and neighbours do.
fn any_hardware() -> impl Strategy<Value = ChannelConfig> {
    let amplifier = prop_oneof![Just("rapp"), Just("rapp:1.3"), Just("saleh")];
    let impaired =
        (amplifier, prop_oneof![Just(0.0), Just(1e4)], 1u32..14).prop_map(|(name, bandwidth, bits)| {
            ChannelConfig {
                transmitter: TransmitterConfig {
                    dac_bits: Some(bits),
                    amplifier: name.parse().expect("known"),
                    phase_noise_hz: 100.0,
                    phase_noise_loop_hz: bandwidth,
                    iq_gain_db: 0.4,
                    iq_phase_deg: -2.0,
                    ..TransmitterConfig::default()
                },
                dropouts_per_s: 5000.0,
                dropout_ms: 0.05,
                interferers: "ofdm/-3/offset=1e6/duty=0.4/burst=0.1,tone/-20,noise/0/duty=0.5/burst=0.02"
                    .parse()
                    .expect("known"),
                front_end: FrontEndConfig {
                    agc_range_db: Some(30.0),
                    dc_offset_db: Some(-20.0),
                    adc_bits: Some(bits),
                    ..FrontEndConfig::default()
                },
                ..ChannelConfig::default()
            }
        });
    prop_oneof![Just(ChannelConfig::default()), impaired]
}

#[test]
fn lte_profiles_have_the_power_delay_profile_of_their_table() {
    // At 100 MHz every delay is a whole sample, so an impulse shows the taps themselves.
    let rate_hz = 100e6;
    for model in LteModel::ALL {
        let taps = model.taps();
        let span = (taps[taps.len() - 1].delay_ns * 1e-9 * rate_hz) as usize + 1;
        let mut profile = vec![0.0; span];
        let seeds = 3000;
        for seed in 0..seeds {
            let config = ChannelConfig { profile: Profile::Lte(model), seed, ..ChannelConfig::default() };
            let mut channel = Channel::new(config, rate_hz).expect("valid");
            let mut output = Vec::new();
            channel.process(&[Complex32::new(1.0, 0.0)], &mut output);
            channel.flush(span - 1, &mut output);
            profile.iter_mut().zip(&output).for_each(|(sum, x)| *sum += f64::from(x.norm_sqr()));
        }
        let total: f64 = taps.iter().map(|tap| 10f64.powf(tap.power_db / 10.0)).sum();
        for tap in &taps {
            let at = (tap.delay_ns * 1e-9 * rate_hz).round() as usize;
            let expected = 10f64.powf(tap.power_db / 10.0) / total;
            let ratio = std::mem::take(&mut profile[at]) / seeds as f64 / expected;
            assert!((ratio - 1.0).abs() < 0.1, "{model}, {} ns: {ratio}", tap.delay_ns);
        }
        assert!(profile.iter().all(|&power| power == 0.0), "{model}: power beside its taps");
    }
}

#[test]
fn an_interferer_is_heard_at_the_ratio_set_and_shifted_by_the_receivers_mixer() {
    let config = ChannelConfig {
        interferers: "tone/-10/offset=1e6".parse().expect("a tone"),
        cfo_hz: 0.5e6,
        ..ChannelConfig::default()
    };
    let mut output = Vec::new();
    Channel::new(config, RATE_HZ).expect("valid").flush(7680, &mut output);
    let sum: Complex64 = output
        .iter()
        .enumerate()
        .map(|(n, x)| {
            let x = Complex64::new(f64::from(x.re), f64::from(x.im));
            x * Complex64::cis(-TAU * 1.5e6 / RATE_HZ * n as f64)
        })
        .sum();
    let power_db = 20.0 * (sum.norm() / output.len() as f64).log10();
    assert!((power_db + 10.0).abs() < 0.01, "{power_db} dB");
}

#[test]
fn a_change_takes_effect_at_once_and_leaves_other_stages_alone() {
    let noisy = ChannelConfig { snr_db: Some(20.0), cfo_hz: 1e3, seed: 3, ..ChannelConfig::default() };
    let input = vec![Complex32::new(1.0, 0.0); 3000];
    let mut steady = Vec::new();
    Channel::new(noisy.clone(), RATE_HZ).expect("valid").process(&input, &mut steady);
    let mut changed = Vec::new();
    let mut channel = Channel::new(noisy.clone(), RATE_HZ).expect("valid");
    channel.process(&input[..1000], &mut changed);
    channel.reconfigure(noisy.clone()).expect("the same again");
    channel.process(&input[1000..2000], &mut changed);
    let louder = ChannelConfig { snr_db: Some(0.0), ..noisy.clone() };
    channel.reconfigure(louder.clone()).expect("valid");
    channel.process(&input[2000..], &mut changed);
    assert_eq!(changed[..2000], steady[..2000]);
    // The same draws, ten times as strong: noise is what is left when the carrier, which went on turning, is taken away.
    for (n, (a, b)) in changed.iter().zip(&steady).enumerate().skip(2000) {
        let carrier = Complex64::cis(TAU * 1e3 / RATE_HZ * n as f64);
        let carrier = Complex32::new(carrier.re as f32, carrier.im as f32);
        assert!(((a - carrier) - (b - carrier) * 10.0).norm() < 1e-4, "sample {n}");
    }
    let error = channel.reconfigure(ChannelConfig { cfo_hz: 1e9, ..louder.clone() }).expect_err("too far");
    assert!(error.to_string().contains("cfo_hz") && channel.config() == &louder, "{error}");
}

#[test]
fn a_change_of_delay_makes_room_or_takes_it_away() {
    let at = |delay_samples| ChannelConfig { delay_samples, ..ChannelConfig::default() };
    let ramp: Vec<Complex32> = (1..=40).map(|n| Complex32::new(n as f32, 0.0)).collect();
    let mut channel = Channel::new(at(5), RATE_HZ).expect("valid");
    let mut output = Vec::new();
    for (part, delay) in ramp.chunks(10).zip([5, 8, 2, 0]) {
        channel.reconfigure(at(delay)).expect("valid");
        channel.process(part, &mut output);
    }
    let heard: Vec<usize> = output.iter().map(|x| x.re as usize).collect();
    let silence = |count| vec![0usize; count];
    let expected: Vec<usize> = [
        silence(5),
        (1..=5).collect(),
        silence(3),
        (6..=12).collect(),
        (19..=28).collect(),
        (31..=40).collect(),
    ]
    .concat();
    assert_eq!(heard, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn output_does_not_depend_on_the_cut(
        config in any_config(),
        cuts in proptest::collection::vec(0usize..2500, 0..12),
    ) {
        let input: Vec<Complex32> = (0..5000)
            .map(|n| Complex32::new((n as f32 * 0.11).sin(), (n as f32 * 0.037).cos()))
            .collect();
        let mut whole = Vec::new();
        Channel::new(config.clone(), RATE_HZ).expect("valid").process(&input, &mut whole);
        let mut parts = Vec::new();
        let mut channel = Channel::new(config, RATE_HZ).expect("valid");
        let mut rest = &input[..];
        for cut in cuts {
            let (head, tail) = rest.split_at(cut.min(rest.len()));
            channel.process(head, &mut parts);
            rest = tail;
        }
        channel.process(rest, &mut parts);
        prop_assert_eq!(whole, parts);
    }
}
