//! Other stations in the band, heard by the receiver beside the signal: tones, noise or OFDM, all the time or in bursts.
//!
//! - `tone`: e^{j2πft}, unit power.
//! - `noise`: white over the whole band.
//! - `ofdm`: symbols of 64 samples with 16 of cyclic prefix, 52 subcarriers around an empty DC with random QPSK (the grid of
//!   IEEE 802.11a, Table 17-5, at the sample rate in use).
//!
//! Each is shifted by its offset and scaled to its power, which counts while it is on. Bursts and the gaps between them
//! have exponential lengths, with means b and b·(1 − duty)/duty.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use num_complex::Complex32;
use rand_distr::{Distribution, Exp1};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use rustfft::{Fft, FftPlanner};
use serde::{Deserialize, Serialize};

use super::config::{ChannelError, check};
use super::frequency_offset::FrequencyOffset;
use super::noise::Noise;

/// Most interferers on one channel.
pub const MAX_INTERFERERS: usize = 8;
/// Mean length of a burst when none is given.
const DEFAULT_BURST_MS: f64 = 1.0;
const INTERFERER_STREAM: u64 = 0x696e_7465_7266_6572;
const FFT_SIZE: usize = 64;
const CYCLIC_PREFIX: usize = 16;
/// Subcarriers on each side of DC.
const HALF: usize = 26;

/// What an interferer sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterfererKind {
    /// A carrier.
    Tone,
    /// White noise.
    Noise,
    /// Random OFDM symbols.
    Ofdm,
}

/// One interferer. As text: `KIND/POWER_DB`, then any of `/offset=HZ`, `/duty=SHARE`, `/burst=MS`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interferer {
    /// What it sends.
    pub kind: InterfererKind,
    /// Its power while it is on, over the unit power of the signal, −100 to 60 dB.
    pub power_db: f64,
    /// Its frequency, −fs/2 to fs/2, in Hz.
    pub offset_hz: f64,
    /// Share of time in which it is on, 0.001 to 1.
    pub duty: f64,
    /// Mean length of its bursts if it is not always on, 0.001 to 10,000 ms.
    pub burst_ms: f64,
}

/// All interferers of a channel; as text a list with commas, or `none`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Interferers(pub Vec<Interferer>);

impl Interferers {
    pub(super) fn validate(&self, sample_rate_hz: f64) -> Result<(), ChannelError> {
        check("number of interferers", self.0.len() as f64, 0.0, MAX_INTERFERERS as f64)?;
        let half = sample_rate_hz / 2.0;
        for interferer in &self.0 {
            check("power_db of an interferer", interferer.power_db, -100.0, 60.0)?;
            check("offset of an interferer", interferer.offset_hz, -half, half)?;
            check("duty of an interferer", interferer.duty, 1e-3, 1.0)?;
            check("burst of an interferer", interferer.burst_ms, 1e-3, 1e4)?;
        }
        Ok(())
    }

    /// One source for each, from a checked configuration.
    pub(super) fn sources(&self, sample_rate_hz: f64, seed: u64) -> Vec<InterfererSource> {
        let streams = (0..).map(|index: u64| (seed ^ INTERFERER_STREAM).wrapping_add(index << 48));
        self.0
            .iter()
            .zip(streams)
            .map(|(one, seed)| InterfererSource::new(one, sample_rate_hz, seed))
            .collect()
    }
}

impl FromStr for Interferers {
    type Err = ChannelError;

    fn from_str(text: &str) -> Result<Self, ChannelError> {
        if matches!(text.trim(), "" | "none") {
            return Ok(Self::default());
        }
        let unknown = || ChannelError::UnknownInterferer(text.chars().take(80).collect());
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| unknown());
        let mut list = Vec::new();
        for entry in text.split(',').take(MAX_INTERFERERS + 1) {
            let mut fields = entry.split('/').map(str::trim);
            let kind = match fields.next() {
                Some("tone") => InterfererKind::Tone,
                Some("noise") => InterfererKind::Noise,
                Some("ofdm") => InterfererKind::Ofdm,
                _ => return Err(unknown()),
            };
            let power_db = number(fields.next().ok_or_else(unknown)?)?;
            let mut interferer =
                Interferer { kind, power_db, offset_hz: 0.0, duty: 1.0, burst_ms: DEFAULT_BURST_MS };
            for field in fields {
                match field.split_once('=') {
                    Some(("offset", value)) => interferer.offset_hz = number(value)?,
                    Some(("duty", value)) => interferer.duty = number(value)?,
                    Some(("burst", value)) => interferer.burst_ms = number(value)?,
                    _ => return Err(unknown()),
                }
            }
            list.push(interferer);
        }
        if list.len() > MAX_INTERFERERS {
            return Err(unknown());
        }
        Ok(Self(list))
    }
}

impl fmt::Display for Interferers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, one) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let kind = match one.kind {
                InterfererKind::Tone => "tone",
                InterfererKind::Noise => "noise",
                InterfererKind::Ofdm => "ofdm",
            };
            write!(f, "{comma}{kind}/{}", one.power_db)?;
            if one.offset_hz != 0.0 {
                write!(f, "/offset={}", one.offset_hz)?;
            }
            if one.duty < 1.0 {
                write!(f, "/duty={}/burst={}", one.duty, one.burst_ms)?;
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Interferers {
    type Error = ChannelError;

    fn try_from(text: String) -> Result<Self, ChannelError> {
        text.parse()
    }
}

impl From<Interferers> for String {
    fn from(interferers: Interferers) -> Self {
        interferers.to_string()
    }
}

/// Random OFDM symbols without end.
#[derive(Clone)]
struct OfdmSource {
    fft: Arc<dyn Fft<f32>>,
    symbol: Vec<Complex32>,
    next: usize,
    generator: Xoshiro256PlusPlus,
}

impl fmt::Debug for OfdmSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OfdmSource").field("next", &self.next).finish_non_exhaustive()
    }
}

impl OfdmSource {
    fn new(seed: u64) -> Self {
        Self {
            fft: FftPlanner::new().plan_fft_inverse(FFT_SIZE),
            symbol: vec![Complex32::default(); FFT_SIZE],
            next: 2 * FFT_SIZE,
            generator: Xoshiro256PlusPlus::seed_from_u64(seed),
        }
    }

    fn sample(&mut self) -> Complex32 {
        if self.next == 2 * FFT_SIZE {
            self.symbol.fill(Complex32::default());
            let amplitude = (0.5 / (2 * HALF) as f32).sqrt();
            let mut bits = [self.generator.next_u64(), self.generator.next_u64()];
            for carrier in 1..=HALF {
                for (at, bits) in [carrier, FFT_SIZE - carrier].into_iter().zip(&mut bits) {
                    let sign = |bit: u64| if bit & 1 == 1 { amplitude } else { -amplitude };
                    self.symbol[at] = Complex32::new(sign(*bits), sign(*bits >> 1));
                    *bits >>= 2;
                }
            }
            self.fft.process(&mut self.symbol);
            // The last 16 samples come once before all 64.
            self.next = FFT_SIZE - CYCLIC_PREFIX;
        }
        let sample = self.symbol[self.next % FFT_SIZE];
        self.next += 1;
        sample
    }
}

#[derive(Debug, Clone)]
enum Waveform {
    Tone,
    Noise(Noise),
    Ofdm(OfdmSource),
}

/// An interferer at work.
#[derive(Debug, Clone)]
pub(super) struct InterfererSource {
    waveform: Waveform,
    amplitude: f32,
    mixer: FrequencyOffset,
    /// Mean lengths in samples of gap and burst; none if it is always on.
    lengths: Option<[f64; 2]>,
    on: bool,
    left: u64,
    generator: Xoshiro256PlusPlus,
    scratch: Vec<Complex32>,
}

impl InterfererSource {
    fn new(config: &Interferer, sample_rate_hz: f64, seed: u64) -> Self {
        let burst = config.burst_ms * 1e-3 * sample_rate_hz;
        let lengths = (config.duty < 1.0).then(|| [burst * (1.0 - config.duty) / config.duty, burst]);
        let mut source = Self {
            waveform: match config.kind {
                InterfererKind::Tone => Waveform::Tone,
                InterfererKind::Noise => Waveform::Noise(Noise::new(1.0, seed)),
                InterfererKind::Ofdm => Waveform::Ofdm(OfdmSource::new(seed)),
            },
            amplitude: 10f64.powf(config.power_db / 20.0) as f32,
            mixer: FrequencyOffset::new(config.offset_hz, sample_rate_hz),
            on: lengths.is_none(),
            lengths,
            left: u64::MAX,
            generator: Xoshiro256PlusPlus::seed_from_u64(!seed),
            scratch: Vec::new(),
        };
        source.draw();
        source
    }

    fn draw(&mut self) {
        if let Some(lengths) = self.lengths {
            let draw: f64 = Exp1.sample(&mut self.generator);
            self.left = ((draw * lengths[usize::from(self.on)]).round() as u64).max(1);
        }
    }

    /// Adds what it sends to the samples.
    pub fn add(&mut self, mut samples: &mut [Complex32]) {
        while !samples.is_empty() {
            let run = self.left.min(samples.len() as u64) as usize;
            let (head, rest) = samples.split_at_mut(run);
            if self.on {
                self.scratch.clear();
                self.scratch.resize(run, Complex32::default());
                match &mut self.waveform {
                    Waveform::Tone => self.scratch.fill(Complex32::new(1.0, 0.0)),
                    Waveform::Noise(noise) => noise.add(&mut self.scratch),
                    Waveform::Ofdm(ofdm) => self.scratch.fill_with(|| ofdm.sample()),
                }
                self.mixer.apply(&mut self.scratch);
                for (sample, other) in head.iter_mut().zip(&self.scratch) {
                    *sample += other * self.amplitude;
                }
            }
            samples = rest;
            if self.lengths.is_some() {
                self.left -= run as u64;
                if self.left == 0 {
                    self.on = !self.on;
                    self.draw();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE_HZ: f64 = 1e6;

    fn heard(text: &str, count: usize) -> Vec<Complex32> {
        let interferers: Interferers = text.parse().expect(text);
        interferers.validate(RATE_HZ).expect(text);
        let mut samples = vec![Complex32::default(); count];
        for mut source in interferers.sources(RATE_HZ, 5) {
            source.add(&mut samples);
        }
        samples
    }

    fn power(samples: &[Complex32]) -> f64 {
        samples.iter().map(|x| f64::from(x.norm_sqr())).sum::<f64>() / samples.len() as f64
    }

    /// Mean power in each of 64 bins of the spectrum, from −fs/2 up.
    fn spectrum(samples: &[Complex32]) -> Vec<f64> {
        let fft = FftPlanner::new().plan_fft_forward(64);
        let mut bins = vec![0.0; 64];
        for part in samples.chunks_exact(64) {
            let mut part = part.to_vec();
            fft.process(&mut part);
            for (bin, value) in part.iter().enumerate() {
                bins[(bin + 32) % 64] += f64::from(value.norm_sqr());
            }
        }
        let total: f64 = bins.iter().sum();
        bins.iter().map(|bin| bin / total).collect()
    }

    #[test]
    fn each_kind_has_its_power_and_its_band() {
        for (text, expected_db) in [("tone/-10", -10.0), ("noise/3", 3.0), ("ofdm/-3", -3.0)] {
            let power_db = 10.0 * power(&heard(text, 400_000)).log10();
            assert!((power_db - expected_db).abs() < 0.1, "{text}: {power_db} dB");
        }
        // 250 kHz of 1 MHz is a quarter of the band up: bin 32 + 16.
        assert!(spectrum(&heard("tone/0/offset=250e3", 64_000))[48] > 0.999);
        assert!(spectrum(&heard("noise/0", 400_000)).iter().all(|bin| (bin * 64.0 - 1.0).abs() < 0.1));
        let ofdm = spectrum(&heard("ofdm/0", 400_000));
        let beside: f64 = ofdm[..4].iter().chain(&ofdm[61..]).sum();
        assert!(beside < 0.02, "{beside} of OFDM lies beside its 52 subcarriers");
    }

    #[test]
    fn bursts_take_their_share_of_time() {
        let samples = heard("tone/0/duty=0.2/burst=0.5", 4_000_000);
        assert!((power(&samples) - 0.2).abs() < 0.01, "{}", power(&samples));
        let bursts: Vec<usize> = samples
            .chunk_by(|a, b| (a.norm_sqr() > 0.5) == (b.norm_sqr() > 0.5))
            .filter(|run| run[0].norm_sqr() > 0.5)
            .map(<[Complex32]>::len)
            .collect();
        let mean = bursts.iter().sum::<usize>() as f64 / bursts.len() as f64;
        assert!((mean / 500.0 - 1.0).abs() < 0.08, "mean burst {mean} samples");
    }

    #[test]
    fn text_round_trips_and_others_are_refused_with_the_form() {
        for text in ["none", "tone/-10", "ofdm/-3/offset=1000,noise/0/duty=0.25/burst=2.5"] {
            assert_eq!(text.parse::<Interferers>().expect(text).to_string(), text);
        }
        for text in
            ["jam", "tone", "tone/x", "tone/0/duty", "tone/0/duty=x", "tone/0/colour=3", &"tone/0,".repeat(9)]
        {
            let error = text.parse::<Interferers>().expect_err(text).to_string();
            assert!(error.contains("duty=SHARE"), "{error}");
        }
        let far: Interferers = "tone/0/offset=1e9".parse().expect("a tone");
        assert!(far.validate(RATE_HZ).expect_err("outside").to_string().contains("500000"));
    }
}
