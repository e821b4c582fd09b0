//! The channel codes by themselves, in information bits a second.

use std::hint::black_box;

use semcast_phy::coding::{
    ldpc::{BaseGraph, LdpcCode, LdpcDecoder, LdpcEncoder},
    polar::{ListSize, PolarDecoder, PolarEncoder},
};

use super::{Bench, Figure, bytes, noise, stopwatch};

/// Base graph, lifting size and rows in use, which set the rate.
const LDPC: [(BaseGraph, usize, usize); 8] = [
    (BaseGraph::One, 384, 46),
    (BaseGraph::One, 384, 24),
    (BaseGraph::One, 384, 4),
    (BaseGraph::One, 104, 46),
    (BaseGraph::Two, 384, 42),
    (BaseGraph::Two, 104, 42),
    (BaseGraph::Two, 104, 22),
    (BaseGraph::Two, 104, 4),
];

fn sent_bits(base_graph: BaseGraph, lifting_size: usize, rows: usize) -> usize {
    // The first two columns are never sent.
    (base_graph.systematic_columns() + rows - 2) * lifting_size
}

fn name(code: &LdpcCode, sent: usize) -> String {
    let graph = match code.base_graph() {
        BaseGraph::One => 1,
        BaseGraph::Two => 2,
    };
    format!("BG{graph} Z={} R={:.2}", code.lifting_size(), code.systematic_bits() as f64 / sent as f64)
}

/// Noise in which nothing converges, so that every iteration is run.
pub fn ldpc_decode(bench: &Bench) -> anyhow::Result<()> {
    for (base_graph, lifting_size, rows) in LDPC {
        let code = LdpcCode::new(base_graph, lifting_size)?;
        let sent = sent_bits(base_graph, lifting_size, rows);
        let mut llrs = vec![0; code.codeword_bits()];
        for (llr, byte) in llrs.iter_mut().zip(bytes(1, sent)) {
            *llr = ((byte % 40) as i8 - 20) | 1;
        }
        let mut decoder = LdpcDecoder::new();
        for iterations in [6, 10] {
            let case = format!("{}, {iterations} iterations", name(&code, sent));
            if !bench.wants(&case) {
                continue;
            }
            decoder.decode(&code, &llrs, iterations, |_| true)?;
            let best = stopwatch::repeat_call(bench.effort, || {
                let _ = black_box(decoder.decode(&code, black_box(&llrs), iterations, |_| true));
            });
            let value = code.systematic_bits() as f64 / best.seconds / 1e6;
            bench.print(Figure::new("ldpc-decode", case, value, "Mbit/s", best.repetitions))?;
        }
    }
    Ok(())
}

/// All parity bits of a codeword.
pub fn ldpc_encode(bench: &Bench) -> anyhow::Result<()> {
    for (base_graph, lifting_size, rows) in [LDPC[0], LDPC[4], LDPC[5]] {
        let code = LdpcCode::new(base_graph, lifting_size)?;
        let case = name(&code, sent_bits(base_graph, lifting_size, rows));
        if !bench.wants(&case) {
            continue;
        }
        let data: Vec<u8> = bytes(1, code.systematic_bits()).iter().map(|byte| byte & 1).collect();
        let mut encoder = LdpcEncoder::new();
        encoder.encode(&code, &data)?;
        let best = stopwatch::repeat_call(bench.effort, || {
            black_box(encoder.encode(&code, black_box(&data)).ok());
        });
        let value = code.systematic_bits() as f64 / best.seconds / 1e6;
        bench.print(Figure::new("ldpc-encode", case, value, "Mbit/s", best.repetitions))?;
    }
    Ok(())
}

/// Blocks at an Eb/N0 (payload bits alone) at which about one in a hundred is lost.
pub fn polar(bench: &Bench) -> anyhow::Result<()> {
    const BLOCKS: usize = 100;
    for (payload_bytes, coded_bits, eb_n0_db) in [(8, 512, 2.5), (18, 512, 2.0), (22, 1024, 1.5)] {
        let es_n0 = 10f64.powf(eb_n0_db / 10.0) * (8 * payload_bytes) as f64 / coded_bits as f64;
        let noise = noise(1.0 / es_n0, 1, BLOCKS * coded_bits)?;
        let mut encoder = PolarEncoder::new();
        let (mut coded, mut llrs) = (Vec::new(), Vec::new());
        for (block, noise) in noise.chunks_exact(coded_bits).enumerate() {
            coded.clear();
            encoder.encode(&bytes(block as u32 + 1, payload_bytes), coded_bits, &mut coded)?;
            let received = coded.iter().zip(noise).map(|(&bit, noise)| 1.0 - 2.0 * f32::from(bit) + noise.re);
            llrs.extend(received.map(|value| 4.0 * es_n0 as f32 * value));
        }
        for (list_size, adaptive, how) in
            [(ListSize::Eight, false, "list 8"), (ListSize::ThirtyTwo, true, "list up to 32")]
        {
            let case = format!("{} + 24 bits in {coded_bits}, {how}", 8 * payload_bytes);
            if !bench.wants(&case) {
                continue;
            }
            let mut decoder = PolarDecoder::new();
            decoder.set_list_size(list_size);
            decoder.set_adaptive(adaptive);
            let best = stopwatch::repeat(bench.effort, |laps| {
                for blocks in llrs.chunks(10 * coded_bits) {
                    laps.time(|| {
                        for block in blocks.chunks_exact(coded_bits) {
                            black_box(decoder.decode(block, payload_bytes).ok());
                        }
                    });
                }
            });
            let value = (8 * payload_bytes * BLOCKS) as f64 / best.seconds / 1e6;
            bench.print(Figure::new("polar", case, value, "Mbit/s", best.repetitions))?;
        }
    }
    Ok(())
}
