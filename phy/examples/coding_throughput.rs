//! Measures coding and modulation on one thread, in information bits a second.
//!
//! ```text
//! cargo run --release -p semcast-phy --example coding_throughput
//! ```
//!
//! First the LDPC code alone, with noise in which nothing converges, so that every iteration is run; then
//! the polar code at an Eb/N0 (payload bits alone) at which one of a hundred blocks is lost; then the whole
//! chain with transport blocks of 3000 bytes, 1 dB above the threshold of each rung.

#![allow(clippy::print_stdout, reason = "a program whose output is its result")]
#![expect(clippy::disallowed_methods, reason = "throughput is measured by the clock")]

use std::time::{Duration, Instant};

use num_complex::Complex32;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use semcast_phy::coding::ldpc::{BaseGraph, LdpcCode, LdpcDecoder, LdpcEncoder};
use semcast_phy::coding::polar::{ListSize, PolarDecoder, PolarEncoder};
use semcast_phy::coding::transport_block::{TransportBlockDecoder, TransportBlockEncoder};
use semcast_phy::modulation::mcs::Mcs;
use semcast_phy::modulation::scrambler;

fn main() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    ldpc(&mut random);
    polar(&mut random);
    chain(&mut random);
}

fn ldpc(random: &mut Xoshiro256PlusPlus) {
    println!("graph  Z    rows  rate   encode Mbit/s  decode Mbit/s at 6, 10, 20 iterations");
    for (graph, z, rows) in [
        (BaseGraph::One, 384, 46),
        (BaseGraph::One, 384, 24),
        (BaseGraph::One, 384, 13),
        (BaseGraph::One, 384, 5),
        (BaseGraph::One, 104, 46),
        (BaseGraph::Two, 384, 42),
        (BaseGraph::Two, 104, 42),
        (BaseGraph::Two, 104, 12),
    ] {
        let code = LdpcCode::new(graph, z).expect("a size of the table");
        let data: Vec<u8> = (0..code.systematic_bits()).map(|_| random.random_range(0..2)).collect();
        let mut encoder = LdpcEncoder::new();
        let encode = rate(data.len(), || {
            encoder.encode(&code, &data).expect("the right length");
        });

        let sent = (graph.systematic_columns() + rows - 2) * z;
        let llrs: Vec<i8> = (0..code.codeword_bits())
            .map(|index| if index < sent { random.random_range(-20i8..20) | 1 } else { 0 })
            .collect();
        let mut decoder = LdpcDecoder::new();
        print!("{graph:?}    {z:3}  {rows:4}  {:.3}  {encode:13.0} ", data.len() as f64 / sent as f64);
        for iterations in [6, 10, 20] {
            let decode = rate(data.len(), || {
                decoder.decode(&code, &llrs, iterations, |_| true).expect("the right length");
            });
            print!(" {decode:8.1}");
        }
        println!();
    }
}

/// The list decoder always follows all paths in the first columns; in the last two it may end with fewer.
fn polar(random: &mut Xoshiro256PlusPlus) {
    const BLOCKS: usize = 200;
    println!();
    println!(
        "polar bits  coded  Eb/N0   encode Mbit/s  decode Mbit/s with 1, 8, 32 paths, up to 8, up to 32"
    );
    for (bytes, coded_bits, eb_n0_db) in
        [(5, 128, 4.0), (8, 512, 2.5), (13, 256, 3.0), (18, 512, 2.0), (22, 512, 2.0), (64, 1024, 2.0)]
    {
        let bits = bytes * 8 * BLOCKS;
        let es_n0 = 10f64.powf(eb_n0_db / 10.0) * (bytes * 8) as f64 / coded_bits as f64;
        let deviation = (0.5 / es_n0).sqrt();
        let mut encoder = PolarEncoder::new();
        let mut coded = Vec::new();
        let mut llrs = Vec::new();
        for _ in 0..BLOCKS {
            let payload: Vec<u8> = (0..bytes).map(|_| random.random()).collect();
            coded.clear();
            encoder.encode(&payload, coded_bits, &mut coded).expect("sizes fit");
            llrs.extend(coded.iter().map(|&bit| {
                let noise: f64 = StandardNormal.sample(&mut *random);
                (4.0 * es_n0 * (1.0 - 2.0 * f64::from(bit) + deviation * noise)) as f32
            }));
        }
        let payload = vec![0x5A; bytes];
        let encode = rate(bytes * 8, || {
            coded.clear();
            encoder.encode(&payload, coded_bits, &mut coded).expect("sizes fit");
        });
        print!("{:4} + 24  {coded_bits:5}  {eb_n0_db:5.1}  {encode:14.0} ", bytes * 8);
        for (list_size, adaptive) in [
            (ListSize::One, false),
            (ListSize::Eight, false),
            (ListSize::ThirtyTwo, false),
            (ListSize::Eight, true),
            (ListSize::ThirtyTwo, true),
        ] {
            let mut decoder = PolarDecoder::new();
            decoder.set_list_size(list_size);
            decoder.set_adaptive(adaptive);
            let decode = rate(bits, || {
                for block in llrs.chunks_exact(coded_bits) {
                    decoder.decode(block, bytes).ok();
                }
            });
            print!(" {decode:8.1}");
        }
        println!();
    }
}

fn chain(random: &mut Xoshiro256PlusPlus) {
    const BYTES: usize = 3000;
    println!();
    println!("Mbit/s of     encode  scramble  map  demap  descramble  decode  iterations a code block");
    let payload: Vec<u8> = (0..BYTES).map(|_| random.random()).collect();
    let mut encoder = TransportBlockEncoder::new();
    let mut decoder = TransportBlockDecoder::new();
    for index in [0, 4, 9, 15, 22, 30, 34] {
        let mcs = Mcs::from_index(index).expect("a rung of the ladder");
        let modulation = mcs.modulation();
        let order = modulation.bits_per_symbol();
        let symbols = mcs.symbols_for_bytes(BYTES);
        let coded_bits = symbols * usize::from(order);
        let (mut bits, mut elements, mut llrs) = (Vec::new(), Vec::new(), Vec::new());
        let encode = rate(BYTES * 8, || {
            bits.clear();
            encoder.encode(&payload, coded_bits, order, 0, &mut bits).expect("sizes fit");
        });
        let scramble = rate(BYTES * 8, || scrambler::scramble_bits(1, &mut bits));
        bits.clear();
        encoder.encode(&payload, coded_bits, order, 0, &mut bits).expect("sizes fit");
        let map = rate(BYTES * 8, || {
            elements.clear();
            modulation.map(&bits, &mut elements);
        });
        let noise_variance = 10f32.powf(-(mcs.threshold_db() + 1.0) / 10.0);
        for element in &mut elements {
            let mut normal = || -> f32 { StandardNormal.sample(&mut *random) };
            *element += Complex32::new(normal(), normal()) * (noise_variance / 2.0).sqrt();
        }
        let variances = vec![noise_variance; symbols];
        let demap = rate(BYTES * 8, || {
            llrs.clear();
            modulation.demap_all(&elements, &variances, &mut llrs);
        });
        let mut scrambled = llrs.clone();
        let descramble = rate(BYTES * 8, || scrambler::scramble_llrs(1, &mut scrambled));
        let decode = rate(BYTES * 8, || {
            decoder.decode(&llrs, BYTES, order, 0).ok();
        });
        let report = decoder.report();
        println!(
            "{:16} {encode:5.0} {scramble:6.0} {map:6.0} {demap:6.0} {descramble:8.0} {decode:10.1} {:10.1}",
            mcs.to_string(),
            report.iterations as f64 / report.code_blocks as f64
        );
    }
}

/// Mbit/s of the best of several runs, so that other load on the machine counts little.
fn rate(bits: usize, mut work: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(200) {
        let run = Instant::now();
        work();
        best = best.min(run.elapsed());
    }
    bits as f64 / best.as_secs_f64() / 1e6
}
