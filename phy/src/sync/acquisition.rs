//! Acquisition: a coarse detection → exact timing, carrier offset, noise and channel, from the preamble.
//!
//! Normal mode:
//! 1. Fine CFO from the turn from one training symbol to the next (Moose 1994): exact, but only up to whole
//!    subcarriers.
//! 2. Whole subcarriers: the shift at which neighbouring subcarriers, freed from the training sequence,
//!    agree in phase. Neither timing nor multipath disturbs that.
//!
//! Robust mode, where a training symbol alone is far below the noise:
//! 1. Both chirps are correlated around their coarse place. A carrier offset shifts the two impulse responses
//!    that come out apart; the shift at which they agree best tells it to a fraction of a subcarrier, whatever
//!    the paths.
//! 2. The phase by which the second then differs from the first tells the rest.
//!
//! Both: timing from the impulse response, all significant paths in the middle of the cyclic prefix; noise
//! from the difference of the training symbols, channel from their mean ([`DelayFitter`]).

use num_complex::Complex32;

use super::{
    detector::Detection,
    preamble::{chirp, chirp_rate, preamble_samples, training_sequence},
};
use crate::{
    estimation::delays::{DelayFitter, DelayWindow},
    mode::Mode,
    numerology::Numerology,
    ofdm::{Carrier, Ofdm},
};

/// A path counts for the timing when its power is within this of the strongest one's (−20 dB) ...
const SIGNIFICANT: f32 = 0.01;
/// ... for the delays that are fitted, within this (−40 dB) ...
const PERCEPTIBLE: f32 = 1e-4;
/// ... and this many times the mean of noise on a tap. Weaker taps together hold less than the noise.
const ABOVE_NOISE: f32 = 12.0;
/// Delays that are kept on each side of these: room for what the clocks drift in a frame, as far as it is not known.
const MARGIN: i32 = 4;
/// Mean square of Hann's window of mean one.
const HANN_POWER: f32 = 1.5;
/// A constant is taken for a DC offset when its power is this many times what a mean of noise has.
const DC_ABOVE_NOISE: f32 = 16.0;

/// What is known after the preamble.
#[derive(Clone, Debug)]
pub struct Acquired {
    /// The frame's mode.
    pub mode: Mode,
    /// Stream position of the DFT window of the first symbol after the preamble.
    pub window: i64,
    /// Carrier offset.
    pub carrier: Carrier,
    /// Variance of its estimate, (rad per OFDM symbol)².
    pub cfo_variance: f64,
    /// Constant that the samples hold (a receiver's DC offset).
    pub dc: Complex32,
    /// Noise variance N0 per resource element, before equalisation.
    pub noise_variance: f32,
    /// Delays at which the channel has paths.
    pub delays: DelayWindow,
    /// The channel's taps there, in the middle of the training symbols.
    pub taps: Vec<Complex32>,
    /// Variance of the response that they make, within the band.
    pub taps_variance: f32,
    /// Mean power of the channel on a subcarrier.
    pub power: f32,
    /// OFDM symbols from the middle of the training symbols to the middle of the first after the preamble.
    pub lead: f64,
}

impl Acquired {
    /// Stream position of the DFT window of the `symbol`-th symbol after the preamble.
    pub fn symbol_window(&self, numerology: &Numerology, symbol: usize) -> i64 {
        self.window + (symbol * numerology.symbol_samples()) as i64
    }
}

/// Does the steps above. Planned once a numerology.
pub struct Acquisition {
    numerology: Numerology,
    fitter: DelayFitter,
    sequence: Vec<Complex32>,
    /// The robust mode's chirps, upwards and downwards.
    chirps: [Vec<Complex32>; 2],
    /// The training symbols as received, one after the other.
    copies: Vec<Complex32>,
    response: Vec<Complex32>,
    impulse: Vec<Complex32>,
    still: Vec<Complex32>,
    /// Of both chirps: correlation at every delay that is looked at.
    correlations: [Vec<Complex32>; 2],
}

impl Acquisition {
    /// Prepares for a numerology.
    pub fn new(numerology: Numerology) -> Self {
        Self {
            numerology,
            fitter: DelayFitter::new(&numerology),
            sequence: training_sequence(&numerology),
            chirps: [true, false].map(|upwards| chirp(Mode::Robust, &numerology, upwards)),
            copies: Vec::new(),
            response: vec![Complex32::default(); numerology.subcarriers()],
            impulse: Vec::with_capacity(numerology.fft_size),
            still: Vec::new(),
            correlations: [Vec::new(), Vec::new()],
        }
    }

    /// Samples after a detection's position that [`acquire`](Self::acquire) may look at.
    pub fn reach(&self, mode: Mode) -> usize {
        preamble_samples(mode, &self.numerology) + 3 * self.numerology.cyclic_prefix
    }

    /// Samples before a detection's position that [`acquire`](Self::acquire) may look at.
    pub fn lookback(&self) -> usize {
        2 * self.numerology.cyclic_prefix
    }

    /// `samples[0]` stands at stream position `start`. `None` when samples are missing or there is no signal.
    pub fn acquire(
        &mut self,
        ofdm: &mut Ofdm,
        samples: &[Complex32],
        start: i64,
        detection: &Detection,
    ) -> Option<Acquired> {
        let numerology = self.numerology;
        let mode = detection.mode;
        let (length, prefix) = (numerology.fft_size, numerology.cyclic_prefix);
        let chirps = 2 * mode.chirp_samples(&numerology);
        let copies = mode.training_symbols();
        let first = usize::try_from(detection.position - start).ok()?;
        let dc = dc_offset(samples.get(first..first + preamble_samples(mode, &numerology))?);
        let view = View { samples, start, dc, copies };
        let mut training = detection.position + (chirps + prefix - prefix / 2) as i64;
        let mut cfo = detection.cfo;

        match mode {
            Mode::Normal => {
                self.transform(ofdm, &view, cfo, training)?;
                cfo += self.turn_between_copies();
                cfo += f64::from(self.whole_offset(ofdm, &view, cfo, training)?) / length as f64;
            }
            Mode::Robust => cfo = self.refine_by_chirps(&view, cfo, detection.position)?,
        }

        self.transform(ofdm, &view, cfo, training)?;
        let (earliest, latest) = self.delays(ofdm, false);
        training += i64::from((earliest + latest).div_euclid(2)) - prefix as i64 / 2;
        if mode == Mode::Normal {
            self.transform(ofdm, &view, cfo, training)?;
            cfo += self.turn_between_copies();
        }
        self.transform(ofdm, &view, cfo, training)?;

        let subcarriers = self.sequence.len() as f32;
        let noise_variance = self.noise_variance();
        let (earliest, latest) = self.delays(ofdm, true);
        self.least_squares();
        ofdm.impulse_response(&self.response, &mut self.impulse);
        let delays = DelayWindow::spanning(&numerology, earliest - MARGIN, latest + MARGIN);
        let power = self.response.iter().map(|h| h.norm_sqr()).sum::<f32>() / subcarriers;
        let power = (power - noise_variance / copies as f32).max(0.01 * power);
        // Without any noise (a recording of the transmitter itself) a floor of −60 dB keeps ratios finite.
        let noise_variance = noise_variance.max(1e-6 * power);
        if !(power > 0.0 && power.is_finite() && noise_variance.is_finite()) {
            return None;
        }
        let impulse = &self.impulse;
        let correlation = |delay: i32| impulse[delay as usize & (length - 1)] * subcarriers;
        let mut taps = Vec::new();
        let mean_noise = noise_variance / copies as f32;
        let taps_variance = self.fitter.fit_all(delays, correlation, mean_noise, power, &mut taps);

        let symbol = numerology.symbol_samples() as f64;
        // Of an angle between two means of `count` values whose SNR is `snr` each.
        let angle_variance = |count: f64, snr: f64| (1.0 + 0.5 / snr) / (count * snr);
        let snr = f64::from(power / noise_variance);
        let (span, angle) = match mode {
            Mode::Normal => (length as f64, angle_variance(f64::from(subcarriers), snr)),
            Mode::Robust => {
                let taps = f64::from(delays.taps as u32);
                let gain = chirps as f64 / 2.0 * numerology.occupied_fraction() / taps;
                (chirps as f64 / 2.0, angle_variance(taps, snr * gain))
            }
        };
        Some(Acquired {
            mode,
            window: training + (copies * length + prefix) as i64,
            carrier: Carrier::new(cfo),
            cfo_variance: (angle * (symbol / span).powi(2)).max(1e-9),
            dc,
            noise_variance,
            delays,
            taps,
            taps_variance,
            power,
            lead: ((copies + 1) * length + 2 * prefix) as f64 / (2.0 * symbol),
        })
    }

    /// DFTs of all training symbols.
    fn transform(&mut self, ofdm: &mut Ofdm, view: &View, cfo: f64, training: i64) -> Option<()> {
        let length = self.numerology.fft_size;
        let offset = usize::try_from(training - view.start).ok()?;
        let symbols = view.samples.get(offset..offset + view.copies * length)?;
        let carrier = Carrier::new(cfo);
        self.copies.resize(view.copies * self.sequence.len(), Complex32::default());
        for (copy, symbol) in symbols.chunks_exact(length).enumerate() {
            let origin = training + (copy * length) as i64;
            let first = copy * self.sequence.len();
            let out = &mut self.copies[first..first + self.sequence.len()];
            ofdm.demodulate(symbol, view.dc, &carrier, origin, out);
        }
        Some(())
    }

    /// Carrier offset that is left, in cycles per sample, within half a subcarrier.
    fn turn_between_copies(&self) -> f64 {
        let pairs = self.copies.iter().zip(&self.copies[self.sequence.len()..]);
        let turn: Complex32 = pairs.map(|(a, b)| b * a.conj()).sum();
        f64::from(turn.arg()) / (std::f64::consts::TAU * self.numerology.fft_size as f64)
    }

    /// The mean response over the training symbols.
    fn least_squares(&mut self) {
        self.response.fill(Complex32::default());
        let subcarriers = self.sequence.len();
        for copy in self.copies.chunks_exact(subcarriers) {
            self.response.iter_mut().zip(copy).for_each(|(sum, value)| *sum += value);
        }
        let scale = subcarriers as f32 / self.copies.len() as f32;
        for (value, sent) in self.response.iter_mut().zip(&self.sequence) {
            *value *= sent.conj() * scale;
        }
    }

    /// Noise on a resource element, from how the training symbols differ from their mean.
    fn noise_variance(&self) -> f32 {
        let subcarriers = self.sequence.len();
        let copies = self.copies.len() / subcarriers;
        let spread: f32 = (0..subcarriers)
            .map(|k| {
                let values = || (0..copies).map(|copy| self.copies[copy * subcarriers + k]);
                let mean = values().sum::<Complex32>() / copies as f32;
                values().map(|value| (value - mean).norm_sqr()).sum::<f32>()
            })
            .sum();
        spread / ((copies - 1) * subcarriers) as f32
    }

    /// Whole subcarriers of carrier offset that are left: the shift at which neighbouring subcarriers, freed
    /// from the training sequence, agree best.
    fn whole_offset(&mut self, ofdm: &mut Ofdm, view: &View, cfo: f64, training: i64) -> Option<i32> {
        let numerology = self.numerology;
        let length = numerology.fft_size;
        let offset = usize::try_from(training - view.start).ok()?;
        let symbols = view.samples.get(offset..offset + view.copies * length)?;
        let carrier = Carrier::new(cfo);
        self.still.clear();
        self.still.resize(length, Complex32::default());
        for (copy, symbol) in symbols.chunks_exact(length).enumerate() {
            let origin = training + (copy * length) as i64;
            let spectrum = ofdm.spectrum(symbol, view.dc, &carrier, origin);
            self.still.iter_mut().zip(spectrum).for_each(|(sum, value)| *sum += value);
        }
        // Chirps that peak at paths a whole prefix apart show an offset of so many subcarriers.
        let span = numerology.occupied_fraction() * numerology.cyclic_prefix as f64 / 2.0;
        let most = span.ceil() as i32 + 1;
        let mut best = (0, -1.0);
        for shift in -most..=most {
            let mut previous = Complex32::default();
            let mut agreement = Complex32::default();
            for (k, sent) in self.sequence.iter().enumerate() {
                let bin = (numerology.bin(k) as i32 + shift) as usize & (length - 1);
                let response = self.still[bin] * sent.conj();
                agreement += response * previous.conj();
                previous = response;
            }
            if agreement.norm() > best.1 {
                best = (shift, agreement.norm());
            }
        }
        Some(best.0)
    }

    /// First and last delay, relative to the window, at which the impulse response stands out: by its strong
    /// paths, or by all that is `perceptible`. For these the band's edges are weighted down (Hann): a path then
    /// has no side lobes that would pass for others.
    fn delays(&mut self, ofdm: &mut Ofdm, perceptible: bool) -> (i32, i32) {
        self.least_squares();
        let mut share = SIGNIFICANT;
        let mut noise = self.noise_variance() / self.copies.len() as f32;
        if perceptible {
            let step = std::f32::consts::TAU / self.response.len() as f32;
            let weighted = self.response.iter_mut().enumerate();
            weighted.for_each(|(k, value)| *value *= 1.0 - (step * (k as f32 + 0.5)).cos());
            share = PERCEPTIBLE;
            noise *= HANN_POWER;
        }
        ofdm.impulse_response(&self.response, &mut self.impulse);
        let mask = self.impulse.len() - 1;
        let prefix = self.numerology.cyclic_prefix as i32;
        let power = |delay: i32| self.impulse[delay as usize & mask].norm_sqr();
        let peak = (-prefix..2 * prefix).map(power).fold(0.0, f32::max);
        let threshold = (share * peak).max(ABOVE_NOISE * noise).min(0.5 * peak);
        let mut significant = (-prefix..2 * prefix).filter(|&delay| power(delay) > threshold);
        let earliest = significant.next().unwrap_or(prefix / 2);
        (earliest, significant.next_back().unwrap_or(earliest))
    }

    /// The carrier offset in cycles per sample from both chirps; `position` is the preamble's first sample.
    fn refine_by_chirps(&mut self, view: &View, coarse: f64, position: i64) -> Option<f64> {
        let length = self.chirps[0].len();
        let rate = chirp_rate(Mode::Robust, &self.numerology);
        let span = 2 * self.numerology.cyclic_prefix as i32;
        let mut cfo = coarse;
        // The second time the impulse responses lie on each other, and only the phase is left to be read.
        for refining in [true, false] {
            let carrier = Carrier::new(cfo);
            for (half, (template, out)) in self.chirps.iter().zip(&mut self.correlations).enumerate() {
                let first = position + (half * length) as i64 - i64::from(span);
                // What lies before the first sample is silence.
                let missing = usize::try_from(view.start - first).unwrap_or(0).min(2 * span as usize);
                let from = first + missing as i64;
                let offset = usize::try_from(from - view.start).ok()?;
                let samples = view.samples.get(offset..offset + length + 2 * span as usize - missing)?;
                self.still.clear();
                self.still.resize(missing + samples.len(), Complex32::default());
                carrier.derotate(samples, view.dc, from, &mut self.still[missing..]);
                out.clear();
                out.extend(
                    (0..=2 * span as usize).map(|delay| dot(&self.still[delay..delay + length], template)),
                );
            }
            let [up, down] = &self.correlations;
            let agreement = |shift: i32| -> Complex32 {
                let (up_from, down_from) = ((-shift).max(0) as usize, shift.max(0) as usize);
                up[up_from..].iter().zip(&down[down_from..]).map(|(a, b)| b * a.conj()).sum()
            };
            if refining {
                let norm = |shift: i32| agreement(shift).norm_sqr();
                let best = (-span..=span).fold((0, -1.0), |best, shift| {
                    let value = norm(shift);
                    if value > best.1 { (shift, value) } else { best }
                });
                let (before, at, after) = (norm(best.0 - 1), best.1, norm(best.0 + 1));
                let curvature = before - 2.0 * at + after;
                let peak = if curvature < 0.0 { 0.5 * (before - after) / curvature } else { 0.0 };
                cfo += 0.5 * rate * (f64::from(best.0) + f64::from(peak.clamp(-0.5, 0.5)));
            } else {
                cfo += f64::from(agreement(0).arg()) / (std::f64::consts::TAU * length as f64);
            }
        }
        Some(cfo)
    }
}

/// The samples that an acquisition looks at.
struct View<'a> {
    samples: &'a [Complex32],
    start: i64,
    dc: Complex32,
    /// Training symbols.
    copies: usize,
}

/// The constant in some samples, zero when it may as well be noise.
pub(crate) fn dc_offset(samples: &[Complex32]) -> Complex32 {
    let count = samples.len() as f32;
    let mean = samples.iter().sum::<Complex32>() / count;
    let power = samples.iter().map(|s| s.norm_sqr()).sum::<f32>() / count;
    let significant = mean.norm_sqr() * count > DC_ABOVE_NOISE * (power - mean.norm_sqr());
    if significant { mean } else { Complex32::default() }
}

/// Σ a·b*, in sixteen sums so that no chain of additions holds it up.
fn dot(a: &[Complex32], b: &[Complex32]) -> Complex32 {
    let mut re = [0.0f32; 16];
    let mut im = [0.0f32; 16];
    for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
        for i in 0..16 {
            re[i] += a[i].re * b[i].re + a[i].im * b[i].im;
            im[i] += a[i].im * b[i].re - a[i].re * b[i].im;
        }
    }
    Complex32::new(re.iter().sum(), im.iter().sum())
}
