//! Coding and modulation together over white noise, and coding with arbitrary input.

use num_complex::Complex32;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};
use semcast_phy::coding::CodingError;
use semcast_phy::coding::transport_block::{SoftBuffer, TransportBlockDecoder, TransportBlockEncoder};
use semcast_phy::modulation::mcs::Mcs;
use semcast_phy::modulation::{Modulation, scrambler};

const SEED: u32 = 0x0123_4567;

/// Both ends of a link, scrambling included.
struct Link {
    encoder: TransportBlockEncoder,
    decoder: TransportBlockDecoder,
    random: StdRng,
}

impl Link {
    fn new(seed: u64) -> Self {
        Self {
            encoder: TransportBlockEncoder::new(),
            decoder: TransportBlockDecoder::new(),
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// The LLRs that a payload gives after white noise.
    fn llrs(
        &mut self,
        payload: &[u8],
        modulation: Modulation,
        symbols: usize,
        redundancy_version: u8,
        snr_db: f32,
    ) -> Vec<f32> {
        let order = modulation.bits_per_symbol();
        let mut bits = Vec::new();
        self.encoder
            .encode(payload, symbols * usize::from(order), order, redundancy_version, &mut bits)
            .expect("sizes fit");
        scrambler::scramble_bits(SEED, &mut bits);
        let mut elements = Vec::new();
        modulation.map(&bits, &mut elements);
        let noise_variance = 10f32.powf(-snr_db / 10.0);
        let mut llrs = Vec::new();
        for element in elements {
            let mut normal = || -> f32 { StandardNormal.sample(&mut self.random) };
            let noise = Complex32::new(normal(), normal()) * (noise_variance / 2.0).sqrt();
            modulation.demap(element + noise, noise_variance, &mut llrs);
        }
        scrambler::scramble_llrs(SEED, &mut llrs);
        llrs
    }

    fn arrives(&mut self, payload: &[u8], modulation: Modulation, symbols: usize, snr_db: f32) -> bool {
        let llrs = self.llrs(payload, modulation, symbols, 0, snr_db);
        let decoded = self.decoder.decode(&llrs, payload.len(), modulation.bits_per_symbol(), 0);
        decoded.is_ok_and(|block| block.payload == payload)
    }
}

fn payload(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i * 151 + i / 256 + 3) as u8).collect()
}

/// Every rung carries payloads of all kinds of length 2 dB above its threshold, and fails 2 dB below.
#[test]
fn every_rung_holds_above_its_threshold_and_breaks_below() {
    let mut link = Link::new(1);
    for mcs in Mcs::all() {
        for bytes in [500, 3000] {
            let payload = payload(bytes);
            let symbols = mcs.symbols_for_bytes(bytes);
            for _ in 0..3 {
                assert!(link.arrives(&payload, mcs.modulation(), symbols, mcs.threshold_db() + 2.0), "{mcs}");
            }
            assert!(!link.arrives(&payload, mcs.modulation(), symbols, mcs.threshold_db() - 2.0), "{mcs}");
        }
    }
}

#[test]
fn very_short_payloads_hold_five_db_above_the_threshold() {
    let mut link = Link::new(2);
    for mcs in Mcs::all() {
        for bytes in [8, 20, 40] {
            let symbols = mcs.symbols_for_bytes(bytes);
            let arrived = (0..20)
                .filter(|_| {
                    link.arrives(&payload(bytes), mcs.modulation(), symbols, mcs.threshold_db() + 5.0)
                })
                .count();
            assert!(arrived >= 19, "{mcs}, {bytes} bytes: {arrived} of 20");
        }
    }
}

#[test]
fn half_rate_qpsk_of_a_thousand_bits_holds_at_three_db() {
    let mut link = Link::new(3);
    let arrived = (0..100).filter(|_| link.arrives(&payload(125), Modulation::Qpsk, 1024, 3.0)).count();
    assert!(arrived >= 99, "{arrived} of 100");
}

/// A payload that fails alone arrives when a second version is combined with it.
#[test]
fn combining_two_transmissions_gains_three_db() {
    let mut link = Link::new(4);
    let payload = payload(400);
    let mut alone = 0;
    let mut combined = 0;
    for _ in 0..20 {
        let mut memory = SoftBuffer::new();
        for (version, arrived) in [(0, &mut alone), (2, &mut combined)] {
            let llrs = link.llrs(&payload, Modulation::Qpsk, 3300, version, -0.5);
            let decoded = link.decoder.decode_combined(&mut memory, &llrs, 400, 2, version);
            *arrived += usize::from(decoded.is_ok_and(|block| block.payload == payload));
        }
    }
    assert!(alone <= 2 && combined >= 19, "{alone} and {combined} of 20");
}

/// LLRs with everything that a broken estimate may bring.
fn any_llr() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -30f32..30.0,
        1 => any::<f32>(),
        1 => prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, -0.0]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_llrs_never_panic_and_never_decode(
        pattern in prop::collection::vec(any_llr(), 1..200),
        payload_bytes in 1usize..1500,
        rate_percent in 5usize..100,
        order in prop::sample::select(vec![1u8, 2, 4, 6, 8]),
        version in 0u8..4,
    ) {
        let coded_bits = ((payload_bytes * 8 + 120) * 100 / rate_percent).next_multiple_of(order.into());
        let llrs: Vec<f32> = pattern.into_iter().cycle().take(coded_bits).collect();
        let mut decoder = TransportBlockDecoder::new();
        decoder.set_max_iterations(3);
        let result = decoder.decode(&llrs, payload_bytes, order, version);
        let not_decoded = matches!(result, Err(CodingError::NotDecoded { .. }));
        prop_assert!(not_decoded);
    }

    #[test]
    fn arbitrary_sizes_are_errors_or_work(
        payload_bytes in 0usize..3000,
        coded_bits in 0usize..40_000,
        order in 0u8..10,
        version in 0u8..6,
    ) {
        let payload = payload(payload_bytes);
        let mut bits = Vec::new();
        let encoded =
            TransportBlockEncoder::new().encode(&payload, coded_bits, order, version, &mut bits);
        let mut decoder = TransportBlockDecoder::new();
        decoder.set_max_iterations(2);
        let llrs: Vec<f32> = vec![0.0; coded_bits];
        let decoded = decoder.decode(&llrs, payload_bytes, order, version);
        match encoded {
            Ok(()) => prop_assert_eq!(bits.len(), coded_bits),
            Err(error) => {
                prop_assert!(bits.is_empty());
                prop_assert_eq!(decoded, Err(error));
            }
        }
    }
}
