//! The conventions of `docs/CONVENTIONS.md`, each checked against its formula.

use num_complex::Complex32;
use semcast_phy::{
    channel::{Channel, ChannelConfig},
    framing::{Frame, Segment},
    modulation::Modulation,
    numerology::Numerology,
    ofdm::{Carrier, Ofdm},
    radio::datagram::{self, Header, Kind, SampleFormat},
    transmit::Modulator,
};

/// All groups of bits of a constellation, one after the other.
fn all_bits(modulation: Modulation) -> Vec<u8> {
    let order = modulation.bits_per_symbol();
    (0..1_u32 << order).flat_map(|word| (0..order).rev().map(move |bit| (word >> bit & 1) as u8)).collect()
}

fn mean_power(samples: &[Complex32]) -> f32 {
    samples.iter().map(|sample| sample.norm_sqr()).sum::<f32>() / samples.len() as f32
}

/// Unit-power values for every subcarrier.
fn unit_elements(numerology: &Numerology) -> Vec<Complex32> {
    (0..numerology.subcarriers()).map(|k| Complex32::from_polar(1.0, 2.4 * (k * k) as f32)).collect()
}

#[test]
fn an_llr_is_the_logarithm_of_p0_over_p1() {
    for modulation in Modulation::ALL {
        let bits = all_bits(modulation);
        let mut symbols = Vec::new();
        modulation.map(&bits, &mut symbols);
        let mut llrs = Vec::new();
        modulation.demap_all(&symbols, &vec![0.1; symbols.len()], &mut llrs);
        for (bit, llr) in bits.iter().zip(&llrs) {
            assert_eq!(*llr < 0.0, *bit == 1, "{modulation:?}: bit {bit} with {llr}");
        }
    }
    // For QPSK max-log is exact: (|y + a|² − |y − a|²)/N0 = 4·a·y/N0 on each axis, a = 1/√2.
    let (received, noise_variance) = (Complex32::new(0.3, -0.8), 0.5);
    let mut llrs = Vec::new();
    Modulation::Qpsk.demap(received, noise_variance, &mut llrs);
    let expected = |y: f32| 4.0 * std::f32::consts::FRAC_1_SQRT_2 * y / noise_variance;
    assert!((llrs[0] - expected(received.re)).abs() < 1e-5 && (llrs[1] - expected(received.im)).abs() < 1e-5);
}

#[test]
fn resource_elements_and_samples_have_unit_mean_power() {
    for modulation in Modulation::ALL {
        let mut symbols = Vec::new();
        modulation.map(&all_bits(modulation), &mut symbols);
        assert!((mean_power(&symbols) - 1.0).abs() < 1e-5, "{modulation:?}");
    }
    let frame = Frame {
        segments: vec![
            Segment::Coded { mcs: 20, redundancy_version: 0, bytes: vec![0; 3000].into() },
            Segment::Analog { symbols: vec![Complex32::new(0.0, 1.0); 2000] },
        ],
        ..Frame::default()
    };
    let mut samples = Vec::new();
    Modulator::new(Numerology::default()).modulate(&frame, &mut samples).expect("the frame fits");
    // Cyclic prefixes repeat some samples, which moves the mean a little.
    assert!((mean_power(&samples) - 1.0).abs() < 0.03, "{}", mean_power(&samples));
}

#[test]
fn the_dft_is_scaled_by_one_over_the_root_of_the_subcarriers() {
    let numerology = Numerology::default();
    let mut ofdm = Ofdm::new(numerology);
    let elements = unit_elements(&numerology);
    let mut samples = Vec::new();
    ofdm.modulate(&elements, 0, &mut samples);
    assert!((mean_power(&samples) - 1.0).abs() < 1e-4);

    let mut back = vec![Complex32::default(); elements.len()];
    ofdm.demodulate(&samples, Complex32::default(), &Carrier::new(0.0), 0, &mut back);
    assert!(elements.iter().zip(&back).all(|(sent, received)| (sent - received).norm() < 1e-4));

    let mut one = vec![Complex32::default(); elements.len()];
    one[17] = Complex32::new(1.0, 0.0);
    samples.clear();
    ofdm.modulate(&one, 0, &mut samples);
    let expected = (numerology.subcarriers() as f32).sqrt().recip();
    assert!(samples.iter().all(|sample| (sample.norm() - expected).abs() < 1e-5));
}

#[test]
fn snr_is_es_over_complex_n0_of_a_resource_element() {
    let numerology = Numerology::default();
    let snr_db = 7.0;
    let config = ChannelConfig {
        snr_db: Some(snr_db),
        occupied_fraction: numerology.occupied_fraction(),
        seed: 3,
        ..ChannelConfig::default()
    };
    let mut channel = Channel::new(config, numerology.sample_rate_hz).expect("a valid channel");
    let mut noise = Vec::new();
    channel.flush(400 * numerology.fft_size, &mut noise);
    let mut ofdm = Ofdm::new(numerology);
    let mut elements = vec![Complex32::default(); numerology.subcarriers()];
    let (mut total, mut real, mut count) = (0.0_f64, 0.0_f64, 0.0_f64);
    for window in noise.chunks_exact(numerology.fft_size) {
        ofdm.demodulate(window, Complex32::default(), &Carrier::new(0.0), 0, &mut elements);
        total += elements.iter().map(|value| f64::from(value.norm_sqr())).sum::<f64>();
        real += elements.iter().map(|value| f64::from(value.re * value.re)).sum::<f64>();
        count += elements.len() as f64;
    }
    let n0 = 10_f64.powf(-snr_db / 10.0);
    assert!((total / count / n0 - 1.0).abs() < 0.02, "N0 {} instead of {n0}", total / count);
    assert!(
        (real / count / (n0 / 2.0) - 1.0).abs() < 0.02,
        "real part {} instead of {}",
        real / count,
        n0 / 2.0
    );
}

#[test]
fn samples_on_wires_are_interleaved_little_endian_floats() {
    let header = Header {
        kind: Kind::Samples,
        flags: 0,
        format: SampleFormat::Cf32,
        stream: 0,
        session: 1,
        peer_session: 0,
        count: 0,
        first_sample: 0,
        limit: 0,
        sample_rate_hz: 1e6,
    };
    let mut bytes = Vec::new();
    datagram::write(&header, &[Complex32::new(1.0, -2.0), Complex32::new(0.5, 0.0)], &mut bytes);
    let expected = [1.0_f32, -2.0, 0.5, 0.0].map(f32::to_le_bytes).concat();
    assert_eq!(bytes[datagram::HEADER_BYTES..], expected);
}
