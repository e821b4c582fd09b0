//! Measures the detector: how deep it hears, how often it is deceived, and what it costs.
//!
//! ```text
//! cargo run --release -p semcast-phy --example detection -- [FRAMES] [SECONDS]
//! ```
//!
//! One JSON line a figure: frames found of `FRAMES` (1000), false alarms in `SECONDS` (60) of noise, and
//! Msamples/s through noise. Every preamble comes at a random time, fractions of a sample included, with a
//! random phase and a carrier offset uniform in ±48 kHz. It counts as found when its mode is right, its
//! position within a quarter of the cyclic prefix and its carrier offset within 0.3 subcarriers.
//!
//! The noise of the false alarms is the sum of two recorded Gaussian sequences that are shifted and turned
//! against each other at random every 50 000 samples, which is new noise to a correlator.

#![allow(clippy::print_stdout, reason = "a program whose output is its result")]
#![expect(clippy::disallowed_methods, reason = "throughput is measured by the clock, settings are arguments")]

use std::f64::consts::TAU;
use std::time::{Duration, Instant};

use num_complex::Complex32;
use rand_distr::{Distribution, StandardNormal, Uniform};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use rustfft::FftPlanner;
use semcast_phy::{
    mode::Mode,
    numerology::Numerology,
    ofdm::Ofdm,
    sync::{detector::Detector, preamble::preamble},
};

/// Samples that the recorded noise has, and of which a piece is made.
const RECORDED: usize = 1 << 21;
const PIECE: usize = 50_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut argument =
        |default: usize| arguments.next().map_or(default, |text| text.parse().expect("a number"));
    let (frames, seconds) = (argument(1000), argument(60));
    let rates_hz = [2e6, 7.68e6, 20e6];
    for sample_rate_hz in rates_hz {
        let numerology = Numerology { sample_rate_hz, ..Numerology::default() };
        let per_element_db = -10.0 * numerology.occupied_fraction().log10();
        for (mode, snr_db, of) in [
            (Mode::Robust, -13.0, "sample"),
            (Mode::Robust, -13.0 - per_element_db, "element"),
            (Mode::Normal, -5.0 - per_element_db, "element"),
        ] {
            let shown_db = if of == "sample" { snr_db } else { snr_db + per_element_db };
            let figure = detection(&numerology, mode, snr_db, frames);
            println!(
                "{{\"figure\":\"detection\",\"mode\":\"{mode:?}\",\"sample_rate_hz\":{sample_rate_hz},\
                 \"snr_db\":{shown_db:.1},\"snr_of\":\"{of}\",{figure}}}"
            );
        }
    }
    let mut noise = Noise::new(7);
    for (fft_size, cyclic_prefix, resource_blocks) in [(64, 16, 4), (512, 36, 25), (1024, 72, 50)] {
        let numerology = Numerology { fft_size, cyclic_prefix, resource_blocks, sample_rate_hz: 20e6 };
        let rate = Listening::new(&numerology).run(&mut noise, 100_000_000).best_rate / 1e6;
        println!("{{\"figure\":\"noise_only\",\"fft_size\":{fft_size},\"msamples_per_second\":{rate:.1}}}");
    }
    for sample_rate_hz in rates_hz {
        let numerology = Numerology { sample_rate_hz, ..Numerology::default() };
        let samples = (sample_rate_hz * seconds as f64) as usize;
        let heard = Listening::new(&numerology).run(&mut noise, samples);
        println!(
            "{{\"figure\":\"false_alarms\",\"sample_rate_hz\":{sample_rate_hz},\"seconds\":{seconds},\
             \"samples\":{samples},\"false_alarms\":{}}}",
            heard.alarms
        );
    }
}

/// Sends preambles, and tells what became of them.
fn detection(numerology: &Numerology, mode: Mode, snr_db: f64, frames: usize) -> String {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let pattern = preamble(mode, numerology, &mut Ofdm::new(*numerology));
    let mut detector = Detector::new(numerology);
    let uniform = Uniform::new(0.0, 1.0).expect("a range");
    let most_cfo = 48e3 / numerology.sample_rate_hz;
    let deviation = 10f64.powf(-snr_db / 20.0) * 0.5f64.sqrt();
    let (mut found, mut position_square, mut cfo_square) = (0, 0.0, 0.0);
    let mut samples = Vec::new();
    for _ in 0..frames {
        let position = uniform.sample(&mut random) * 8192.0;
        let cfo = (2.0 * uniform.sample(&mut random) - 1.0) * most_cfo;
        let phase = uniform.sample(&mut random);
        samples.clear();
        samples.extend((0..8192 + detector.latency()).map(|_| {
            let (re, im): (f64, f64) =
                (StandardNormal.sample(&mut random), StandardNormal.sample(&mut random));
            Complex32::new((re * deviation) as f32, (im * deviation) as f32)
        }));
        let delayed = delayed(&pattern, position.fract());
        for (n, (sample, value)) in samples[position as usize..].iter_mut().zip(delayed).enumerate() {
            *sample += value * Complex32::from_polar(1.0, (TAU * (phase + cfo * n as f64)) as f32);
        }
        detector.restart(0);
        let Some(detection) = detector.search(&samples, 0) else { continue };
        let position_error = detection.position as f64 - position;
        let cfo_error = (detection.cfo - cfo) * numerology.fft_size as f64;
        if detection.mode == mode
            && position_error.abs() <= numerology.cyclic_prefix as f64 / 4.0
            && cfo_error.abs() < 0.3
        {
            found += 1;
            position_square += position_error * position_error;
            cfo_square += cfo_error * cfo_error;
        }
    }
    let root_mean = |square: f64| (square / f64::from(found.max(1))).sqrt();
    format!(
        "\"frames\":{frames},\"found\":{found},\"position_rmse_samples\":{:.3},\"cfo_rmse_subcarriers\":{:.4}",
        root_mean(position_square),
        root_mean(cfo_square)
    )
}

/// The samples, later by a fraction of a sample.
fn delayed(samples: &[Complex32], fraction: f64) -> Vec<Complex32> {
    let length = (samples.len() + 64).next_power_of_two();
    let mut planner = FftPlanner::new();
    let mut values = samples.to_vec();
    values.resize(length, Complex32::default());
    planner.plan_fft_forward(length).process(&mut values);
    for (k, value) in values.iter_mut().enumerate() {
        let frequency = if k < length / 2 { k as f64 } else { k as f64 - length as f64 } / length as f64;
        *value *= Complex32::from_polar(1.0 / length as f32, (-TAU * frequency * fraction) as f32);
    }
    planner.plan_fft_inverse(length).process(&mut values);
    values.truncate(samples.len() + 1);
    values
}

/// White Gaussian noise of unit power that costs less than to detect nothing in it.
struct Noise {
    recorded: [Vec<Complex32>; 2],
    random: Xoshiro256PlusPlus,
}

impl Noise {
    fn new(seed: u64) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut normal = || -> f32 { StandardNormal.sample(&mut random) };
        // Each of the two gives half of the power, and each half of that in either dimension.
        let recorded =
            [(); 2].map(|()| (0..RECORDED).map(|_| Complex32::new(normal(), normal()) * 0.5).collect());
        Self { recorded, random }
    }

    fn extend(&mut self, samples: &mut Vec<Complex32>) {
        let start = Uniform::new(0, RECORDED - PIECE).expect("a range");
        let [a, b] = [0, 1].map(|index: usize| {
            let start = start.sample(&mut self.random);
            &self.recorded[index][start..start + PIECE]
        });
        let angle = Uniform::new(0.0, std::f32::consts::TAU).expect("a range").sample(&mut self.random);
        let turn = Complex32::from_polar(1.0, angle);
        samples.extend(a.iter().zip(b).map(|(a, b)| a + b * turn));
    }
}

/// A detector and what it has yet to look at.
struct Listening {
    detector: Detector,
    buffer: Vec<Complex32>,
    start: i64,
}

/// What came of listening to noise.
struct Heard {
    alarms: usize,
    /// Samples a second in the best fiftieth of a second.
    best_rate: f64,
}

impl Listening {
    fn new(numerology: &Numerology) -> Self {
        Self { detector: Detector::new(numerology), buffer: Vec::new(), start: 0 }
    }

    fn run(mut self, noise: &mut Noise, samples: usize) -> Heard {
        let mut heard = Heard { alarms: 0, best_rate: 0.0 };
        let (mut searched, mut spent) = (0, Duration::ZERO);
        for _ in 0..samples.div_ceil(PIECE) {
            noise.extend(&mut self.buffer);
            let begin = Instant::now();
            while self.detector.search(&self.buffer, self.start).is_some() {
                heard.alarms += 1;
            }
            spent += begin.elapsed();
            let done = (self.detector.oldest_candidate() - self.start) as usize;
            self.buffer.drain(..done);
            self.start += done as i64;
            searched += done;
            if spent > Duration::from_millis(20) {
                heard.best_rate = heard.best_rate.max(searched as f64 / spent.as_secs_f64());
                (searched, spent) = (0, Duration::ZERO);
            }
        }
        heard
    }
}
