//! Coding and modulation stage by stage, on one thread.
//!
//! ```text
//! cargo bench -p semcast-phy --bench coding
//! ```
//!
//! Elements of a throughput are information bits for codes and transport blocks, coded bits for scrambling,
//! mapping and demapping, and samples for OFDM.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use num_complex::Complex32;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use semcast_phy::coding::ldpc::{BaseGraph, LdpcCode, LdpcDecoder, LdpcEncoder};
use semcast_phy::coding::transport_block::{TransportBlockDecoder, TransportBlockEncoder};
use semcast_phy::modulation::mcs::Mcs;
use semcast_phy::modulation::{Modulation, scrambler};
use semcast_phy::numerology::Numerology;
use semcast_phy::ofdm::Ofdm;

/// Base graph, lifting size and rows in use, which set the rate.
const CODES: [(BaseGraph, usize, usize); 4] = [
    (BaseGraph::One, 384, 46),
    (BaseGraph::One, 384, 5),
    (BaseGraph::Two, 384, 42),
    (BaseGraph::Two, 104, 42),
];
const CODED_BITS: usize = 24_000;
const PAYLOAD_BYTES: usize = 3000;
const SEED: u32 = 1;

fn bytes(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    Xoshiro256PlusPlus::seed_from_u64(1).fill_bytes(&mut bytes);
    bytes
}

fn bits(count: usize) -> Vec<u8> {
    bytes(count).iter().map(|byte| byte & 1).collect()
}

/// All parity bits; and all iterations, in noise in which nothing converges.
fn ldpc(c: &mut Criterion) {
    for (base_graph, lifting_size, rows) in CODES {
        let code = LdpcCode::new(base_graph, lifting_size).expect("a size of the table");
        let sent = (base_graph.systematic_columns() + rows - 2) * lifting_size;
        let name = format!("{base_graph:?} {lifting_size} {rows} rows");
        let data = bits(code.systematic_bits());
        let llrs: Vec<i8> = bytes(sent).iter().map(|byte| ((byte % 40) as i8 - 20) | 1).collect();

        let mut group = c.benchmark_group("ldpc");
        group.throughput(Throughput::Elements(data.len() as u64));
        let mut encoder = LdpcEncoder::new();
        group.bench_function(BenchmarkId::new("encode", &name), |b| {
            b.iter(|| black_box(encoder.encode_first(&code, black_box(&data), sent).map(<[u8]>::len)));
        });
        let mut decoder = LdpcDecoder::new();
        for iterations in [6, 10] {
            group.bench_function(BenchmarkId::new(format!("decode {iterations} iterations"), &name), |b| {
                b.iter(|| black_box(decoder.decode(&code, black_box(&llrs), iterations, |_| true)));
            });
        }
        group.finish();
    }
}

/// Bits to symbols, and back to soft values.
fn modulation(c: &mut Criterion) {
    let mut group = c.benchmark_group("modulation");
    group.throughput(Throughput::Elements(CODED_BITS as u64));
    let mut scrambled = bits(CODED_BITS);
    group.bench_function("scramble", |b| {
        b.iter(|| scrambler::scramble_bits(SEED, black_box(&mut scrambled)));
    });
    let mut llrs = vec![1.0; CODED_BITS];
    group.bench_function("descramble", |b| {
        b.iter(|| scrambler::scramble_llrs(SEED, black_box(&mut llrs)));
    });
    let bits = bits(CODED_BITS);
    for modulation in Modulation::ALL {
        let mut symbols = Vec::new();
        group.bench_function(BenchmarkId::new("map", format!("{modulation:?}")), |b| {
            b.iter(|| {
                symbols.clear();
                modulation.map(black_box(&bits), &mut symbols);
            });
        });
        let variances = vec![0.1; symbols.len()];
        group.bench_function(BenchmarkId::new("demap", format!("{modulation:?}")), |b| {
            b.iter(|| {
                llrs.clear();
                modulation.demap_all(black_box(&symbols), &variances, &mut llrs);
            });
        });
    }
    group.finish();
}

/// Payload to symbols and, without noise, symbols to payload.
fn transport_block(c: &mut Criterion) {
    let mut group = c.benchmark_group("transport block");
    group.throughput(Throughput::Elements(8 * PAYLOAD_BYTES as u64));
    let payload = bytes(PAYLOAD_BYTES);
    let mut encoder = TransportBlockEncoder::new();
    let mut decoder = TransportBlockDecoder::new();
    for (modulation, rate) in [(Modulation::Qpsk, 0.5), (Modulation::Qam64, 0.75), (Modulation::Qam256, 0.9)]
    {
        let mcs = Mcs::all().filter(|mcs| mcs.modulation() == modulation);
        let distance = |mcs: &Mcs| (mcs.code_rate() - rate).abs();
        let mcs = mcs.min_by(|a, b| distance(a).total_cmp(&distance(b))).expect("a rung of each modulation");
        let order = modulation.bits_per_symbol();
        let count = mcs.symbols_for_bytes(PAYLOAD_BYTES) * usize::from(order);
        let (mut coded, mut symbols, mut llrs) = (Vec::new(), Vec::new(), Vec::new());
        group.bench_function(BenchmarkId::new("send", mcs), |b| {
            b.iter(|| {
                coded.clear();
                symbols.clear();
                encoder.encode(black_box(&payload), count, order, 0, &mut coded).expect("sizes fit");
                scrambler::scramble_bits(SEED, &mut coded);
                modulation.map(&coded, &mut symbols);
            });
        });
        let variances = vec![1e-3; symbols.len()];
        group.bench_function(BenchmarkId::new("receive", mcs), |b| {
            b.iter(|| {
                llrs.clear();
                modulation.demap_all(black_box(&symbols), &variances, &mut llrs);
                scrambler::scramble_llrs(SEED, &mut llrs);
                decoder.decode(&llrs, PAYLOAD_BYTES, order, 0).expect("no noise")
            });
        });
    }
    group.finish();
}

/// One symbol with its cyclic prefix.
fn ofdm(c: &mut Criterion) {
    let mut group = c.benchmark_group("ofdm");
    for (fft_size, cyclic_prefix, resource_blocks) in [(64, 16, 4), (512, 36, 25), (1024, 72, 50)] {
        let numerology = Numerology { fft_size, cyclic_prefix, resource_blocks, ..Numerology::default() };
        group.throughput(Throughput::Elements((fft_size + cyclic_prefix) as u64));
        let mut ofdm = Ofdm::new(numerology);
        let subcarriers = vec![Complex32::new(1.0, 0.0); numerology.subcarriers()];
        let mut samples = Vec::new();
        group.bench_function(BenchmarkId::new("modulate", fft_size), |b| {
            b.iter(|| {
                samples.clear();
                ofdm.modulate(black_box(&subcarriers), cyclic_prefix, &mut samples);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, ldpc, modulation, transport_block, ofdm);
criterion_main!(benches);
