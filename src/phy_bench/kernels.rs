//! Stages by themselves: soft demapping, and OFDM.

use std::hint::black_box;

use num_complex::Complex32;
use semcast_phy::{
    modulation::Modulation,
    numerology::Numerology,
    ofdm::{Carrier, Ofdm},
    sync::preamble::qpsk_sequence,
};

use super::{Bench, Figure, bytes, name, stopwatch};

/// Symbols that are demapped in a call.
const SYMBOLS: usize = 4096;

/// Symbols and noise variances → LLRs.
pub fn demap(bench: &Bench) -> anyhow::Result<()> {
    for modulation in Modulation::ALL.into_iter().filter(|&modulation| bench.wants(name(modulation))) {
        let order = usize::from(modulation.bits_per_symbol());
        let bits: Vec<u8> = bytes(1, SYMBOLS * order).iter().map(|byte| byte & 1).collect();
        let mut symbols = Vec::new();
        modulation.map(&bits, &mut symbols);
        let variances = vec![0.05; SYMBOLS];
        let mut llrs = Vec::new();
        let best = stopwatch::repeat_call(bench.effort, || {
            llrs.clear();
            modulation.demap_all(black_box(&symbols), black_box(&variances), &mut llrs);
            black_box(&llrs);
        });
        let value = (SYMBOLS * order) as f64 / best.seconds / 1e6;
        bench.print(Figure::new("demap", name(modulation).to_owned(), value, "Mbit/s", best.repetitions))?;
    }
    Ok(())
}

/// Subcarriers ↔ samples, cyclic prefix not counted. To subcarriers, the carrier offset is taken out too.
pub fn ofdm(bench: &Bench) -> anyhow::Result<()> {
    for fft_size in (6..=12).map(|exponent| 1 << exponent) {
        let numerology = Numerology {
            fft_size,
            cyclic_prefix: fft_size / 8,
            resource_blocks: fft_size / 16,
            ..Numerology::default()
        }
        .validate()?;
        let (to_samples, to_subcarriers) =
            (format!("to samples, FFT {fft_size}"), format!("to subcarriers, FFT {fft_size}"));
        let mut ofdm = Ofdm::new(numerology);
        let sent = qpsk_sequence(1, numerology.subcarriers());
        let mut samples = Vec::new();
        ofdm.modulate(&sent, 0, &mut samples);
        let rate = |seconds: f64| fft_size as f64 / seconds / 1e6;
        if bench.wants(&to_samples) {
            let best = stopwatch::repeat_call(bench.effort, || {
                samples.clear();
                ofdm.modulate(black_box(&sent), 0, &mut samples);
            });
            let figure = Figure::new("ofdm", to_samples, rate(best.seconds), "Msamples/s", best.repetitions);
            bench.print(figure)?;
        }
        if bench.wants(&to_subcarriers) {
            let carrier = Carrier::new(0.001);
            let mut received = vec![Complex32::default(); numerology.subcarriers()];
            let best = stopwatch::repeat_call(bench.effort, || {
                let dc = Complex32::default();
                ofdm.demodulate(black_box(&samples), dc, &carrier, 1000, &mut received);
                black_box(&received);
            });
            let value = rate(best.seconds);
            bench.print(Figure::new("ofdm", to_subcarriers, value, "Msamples/s", best.repetitions))?;
        }
    }
    Ok(())
}
