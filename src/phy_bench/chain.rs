//! The whole chain: frames with gaps between them, at numerologies like those of other modems.

use std::f64::consts::TAU;

use bytes::Bytes;
use num_complex::Complex32;
use semcast_phy::{
    channel::{Channel, ChannelConfig},
    coding::bits,
    detection_trial::RecordedNoise,
    framing::{Frame, ReceivedSegment, Segment},
    modulation::{Modulation, mcs::Mcs},
    numerology::Numerology,
    receive::Demodulator,
    transmit::Modulator,
};

use super::{
    Bench, Figure, bytes, name, round,
    stopwatch::{self, Best},
};

const PAYLOAD_BYTES: usize = 2000;
const FRAMES: usize = 40;
const SNR_DB: f64 = 30.0;
/// Carrier offset in radians a sample.
const CFO: f64 = 0.0005;
/// Samples that are pushed at once.
const PIECE: usize = 4096;

/// DFT length, cyclic prefix, resource blocks: about four fifths of the band, but for the default numerology.
const GRIDS: [(usize, usize, usize); 4] = [(64, 16, 4), (256, 32, 17), (512, 36, 25), (1024, 72, 68)];

fn grids() -> impl Iterator<Item = Numerology> {
    GRIDS.into_iter().map(|(fft_size, cyclic_prefix, resource_blocks)| Numerology {
        fft_size,
        cyclic_prefix,
        resource_blocks,
        sample_rate_hz: 20e6,
    })
}

/// How a payload is sent.
#[derive(Clone, Copy)]
enum Load {
    /// As analog symbols, which the receiver decides by their signs.
    Uncoded(Modulation),
    Coded(Mcs),
}

impl Load {
    /// Uncoded and the rungs nearest to rates 1/2 and 3/4, of each of three constellations.
    fn all() -> Vec<Self> {
        let mut loads = Vec::new();
        for modulation in [Modulation::Qpsk, Modulation::Qam16, Modulation::Qam64] {
            loads.push(Self::Uncoded(modulation));
            for rate in [0.5, 0.75] {
                let rungs = Mcs::all().filter(|mcs| mcs.modulation() == modulation);
                let distance = |mcs: &Mcs| (mcs.code_rate() - rate).abs();
                loads.extend(rungs.min_by(|a, b| distance(a).total_cmp(&distance(b))).map(Self::Coded));
            }
        }
        loads
    }

    fn name(self, numerology: &Numerology) -> String {
        let load = match self {
            Self::Uncoded(modulation) => format!("{} uncoded", name(modulation)),
            Self::Coded(mcs) => format!("{} R={:.2}", name(mcs.modulation()), mcs.code_rate()),
        };
        format!("{load} FFT {}", numerology.fft_size)
    }

    /// The frame of a payload.
    fn frame(self, number: usize, payload: &Bytes) -> Frame {
        let segment = match self {
            Self::Coded(mcs) => {
                Segment::Coded { mcs: mcs.index(), redundancy_version: 0, bytes: payload.clone() }
            }
            Self::Uncoded(modulation) => {
                let mut unpacked = Vec::with_capacity(8 * payload.len());
                bits::unpack(payload, &mut unpacked);
                // Bytes fill the symbols of 64-QAM only in threes.
                unpacked.resize(unpacked.len().next_multiple_of(modulation.bits_per_symbol().into()), 0);
                let mut symbols = Vec::new();
                modulation.map(&unpacked, &mut symbols);
                Segment::Analog { symbols }
            }
        };
        Frame { number: number as u16, transmitter: 1, segments: vec![segment], ..Frame::default() }
    }

    /// Whether a payload came back.
    fn arrived(self, payload: &Bytes, segment: &ReceivedSegment, scratch: &mut Scratch) -> bool {
        match (self, segment) {
            (Self::Coded(_), ReceivedSegment::Coded { decoded: Ok(arrived), .. }) => arrived == payload,
            (Self::Uncoded(modulation), ReceivedSegment::Analog { symbols, noise_variance }) => {
                scratch.llrs.clear();
                modulation.demap_all(symbols, noise_variance, &mut scratch.llrs);
                scratch.bits.clear();
                scratch.bits.extend(scratch.llrs.iter().map(|&llr| u8::from(llr < 0.0)));
                scratch.bytes.clear();
                bits::pack(&scratch.bits, &mut scratch.bytes);
                scratch.bytes.starts_with(payload)
            }
            _ => false,
        }
    }
}

#[derive(Default)]
struct Scratch {
    llrs: Vec<f32>,
    bits: Vec<u8>,
    bytes: Vec<u8>,
}

fn payloads() -> Vec<Bytes> {
    (0..FRAMES).map(|number| bytes(number as u32 + 1, PAYLOAD_BYTES).into()).collect()
}

/// The loads that are wanted, with their names.
fn cases(bench: &Bench, numerology: &Numerology) -> Vec<(Load, String)> {
    let named = |load: Load| (load, load.name(numerology));
    Load::all().into_iter().map(named).filter(|(_, case)| bench.wants(case)).collect()
}

/// Payloads → samples.
pub fn transmit(bench: &Bench) -> anyhow::Result<()> {
    let payloads = payloads();
    for numerology in grids() {
        let mut modulator = Modulator::new(numerology);
        for (load, case) in cases(bench, &numerology) {
            let mut samples = Vec::new();
            modulator.modulate(&load.frame(0, &payloads[0]), &mut samples)?;
            let mut count = 0;
            let best = stopwatch::repeat(bench.effort, |laps| {
                count = 0;
                for (number, payload) in payloads.iter().enumerate() {
                    samples.clear();
                    // The first one went through, and all are of one size.
                    let _ = laps.time(|| modulator.modulate(&load.frame(number, payload), &mut samples));
                    count += samples.len();
                }
            });
            bench.print(chain_figure("transmit", case, count, FRAMES, best))?;
        }
    }
    Ok(())
}

/// Samples → payloads.
pub fn receive(bench: &Bench) -> anyhow::Result<()> {
    let payloads = payloads();
    for numerology in grids() {
        let mut modulator = Modulator::new(numerology);
        let mut demodulator = Demodulator::new(numerology);
        for (load, case) in cases(bench, &numerology) {
            let samples = stream(&numerology, &mut modulator, load, &payloads)?;
            let mut scratch = Scratch::default();
            let mut intact = 0;
            let best = stopwatch::repeat(bench.effort, |laps| {
                intact = 0;
                demodulator.restart(0);
                for piece in samples.chunks(PIECE) {
                    laps.time(|| {
                        demodulator.push(piece, &mut |frame| {
                            let payload = payloads.get(usize::from(frame.header.number));
                            if let (Some(payload), Some(segment)) = (payload, frame.segments.first()) {
                                intact += usize::from(load.arrived(payload, segment, &mut scratch));
                            }
                        });
                    });
                }
            });
            bench.print(chain_figure("receive", case, samples.len(), intact, best))?;
        }
    }
    Ok(())
}

fn chain_figure(figure: &'static str, case: String, samples: usize, intact: usize, best: Best) -> Figure {
    Figure {
        goodput_mbit_s: Some(round((intact * PAYLOAD_BYTES * 8) as f64 / best.seconds / 1e6)),
        frames: Some(FRAMES),
        intact: Some(intact),
        ..Figure::new(figure, case, samples as f64 / best.seconds / 1e6, "Msamples/s", best.repetitions)
    }
}

/// All frames, with gaps, through noise and a carrier offset.
fn stream(
    numerology: &Numerology,
    modulator: &mut Modulator,
    load: Load,
    payloads: &[Bytes],
) -> anyhow::Result<Vec<Complex32>> {
    let config = ChannelConfig {
        snr_db: Some(SNR_DB),
        occupied_fraction: numerology.occupied_fraction(),
        cfo_hz: CFO / TAU * numerology.sample_rate_hz,
        seed: 1,
        ..ChannelConfig::default()
    };
    let mut channel = Channel::new(config, numerology.sample_rate_hz)?;
    let (mut burst, mut samples) = (Vec::new(), Vec::new());
    for (number, payload) in payloads.iter().enumerate() {
        burst.clear();
        modulator.modulate(&load.frame(number, payload), &mut burst)?;
        channel.process(&burst, &mut samples);
        channel.flush(3 * numerology.symbol_samples() + 17, &mut samples);
    }
    // For the receiver to be done with the last frame.
    channel.flush(2 * PIECE + 8 * numerology.fft_size, &mut samples);
    Ok(samples)
}

/// The receive chain searching for frames of all modes where there are none.
pub fn noise_only(bench: &Bench) -> anyhow::Result<()> {
    let mut samples = Vec::new();
    let noise = RecordedNoise::new(1);
    for seed in 0..40 {
        noise.extend(seed, &mut samples);
    }
    for numerology in grids() {
        let case = format!("FFT {}", numerology.fft_size);
        if !bench.wants(&case) {
            continue;
        }
        let mut demodulator = Demodulator::new(numerology);
        let best = stopwatch::repeat(bench.effort, |laps| {
            demodulator.restart(0);
            for piece in samples.chunks(PIECE) {
                laps.time(|| demodulator.push(piece, &mut |_| {}));
            }
        });
        let value = samples.len() as f64 / best.seconds / 1e6;
        bench.print(Figure::new("noise", case, value, "Msamples/s", best.repetitions))?;
    }
    Ok(())
}
