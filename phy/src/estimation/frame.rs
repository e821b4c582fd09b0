//! A whole frame's channel: pilots of all its symbols → response, phase, timing drift and noise everywhere.
//!
//! A frame is looked at as a whole, when all of it has arrived:
//! 1. Pilots of a few neighbouring symbols (a block) are fitted by taps ([`DelayFitter`]).
//! 2. From block to block taps turn: that tells what is left of the CFO, and the drift of the sampling clock
//!    ([`super::rates`]).
//! 3. Taps are smoothed in time, as much as the channel's own change allows; that is read from how much more
//!    neighbouring blocks differ than their noise explains.
//! 4. What is left of the common phase (phase noise) is followed from symbol to symbol.
//! 5. What is left on the pilots is noise, told apart by resource block.

use num_complex::Complex32;

use super::{
    delays::{DelayFitter, PilotSet},
    rates::{Look, PHASE_NOISE, RateFinder, Rates},
    smoothing::{Motion, PhaseMeasurement, PhaseSmoother, RowSmoother, Step},
};
use crate::{
    framing::grid::{COMB_PERIOD, Grid},
    mode::Mode,
    numerology::{Numerology, SUBCARRIERS_PER_RB},
    ofdm::Ofdm,
    sync::acquisition::Acquired,
};

/// Largest Doppler spread that is followed, rad per symbol.
const MOST_DOPPLER: f32 = 0.3;
/// Variance of the common phase against the smoothed taps at a frame's start, rad².
const START_VARIANCE: f64 = 0.1;
/// Least share of the noise that residuals are taken to hold.
const LEAST_RESIDUAL: f32 = 0.15;
/// Residuals of this many pilots of the whole band count with those of each resource block.
const BAND_WEIGHT: f32 = 24.0;
/// What the training symbols tell of the noise counts this much of what a pilot tells.
const TRAINING_WEIGHT: f32 = 0.5;
/// Blocks at the end of a frame that tell whether the burst lasted ...
const TAIL_BLOCKS: usize = 4;
/// ... which it did when their taps agree by at least this much.
const TAIL_COHERENCE: f32 = 0.3;

/// Neighbouring symbols whose pilots are fitted together.
#[derive(Clone, Copy, Debug)]
struct Block {
    first: usize,
    count: usize,
    /// Its middle, in symbols after the first of the frame.
    centre: f32,
}

/// Estimates frames. Planned once a numerology; keeps its buffers.
pub struct FrameEstimator {
    numerology: Numerology,
    frequencies: Vec<f32>,
    fitter: DelayFitter,
    blocks: Vec<Block>,
    /// Taps of each block.
    taps: Vec<Complex32>,
    /// Of each block: variance of its response within the band, and its fit's freedom.
    fits: Vec<(f32, f32)>,
    /// Frequency index of the middle of every resource block.
    middles: Vec<i32>,
    /// Response there, block by block.
    coarse: Vec<Complex32>,
    rate_finder: RateFinder,
    pilots: Vec<usize>,
    received: Vec<Complex32>,
    steps: Vec<Step>,
    row_smoother: RowSmoother,
    /// When each row holds: the training symbols, the blocks' middles, the last symbol.
    times: Vec<f32>,
    rows: Vec<Complex32>,
    responses: Vec<Complex32>,
    measurements: Vec<PhaseMeasurement>,
    smoother: PhaseSmoother,
    phases: Vec<f32>,
    /// Rate that the followed phase still has at the end, rad per symbol.
    left_over: f64,
    rates: Rates,
    /// Symbols from the middle of the training symbols to the first symbol.
    lead: f32,
    shifts: Vec<i32>,
    /// Residuals of each resource block: their power, and their number.
    residuals: Vec<(f32, f32)>,
    noise_per_rb: Vec<f32>,
    noise_variance: f32,
    lasted: bool,
}

impl FrameEstimator {
    /// Prepares for a numerology.
    pub fn new(numerology: &Numerology) -> Self {
        Self {
            numerology: *numerology,
            frequencies: (0..numerology.subcarriers())
                .map(|k| numerology.frequency_index(k) as f32)
                .collect(),
            fitter: DelayFitter::new(numerology),
            blocks: Vec::new(),
            taps: Vec::new(),
            fits: Vec::new(),
            middles: (0..numerology.resource_blocks)
                .map(|rb| numerology.frequency_index(rb * SUBCARRIERS_PER_RB + SUBCARRIERS_PER_RB / 2))
                .collect(),
            coarse: Vec::new(),
            rate_finder: RateFinder::default(),
            pilots: Vec::new(),
            received: Vec::new(),
            steps: Vec::new(),
            row_smoother: RowSmoother::default(),
            times: Vec::new(),
            rows: Vec::new(),
            responses: Vec::new(),
            measurements: Vec::new(),
            smoother: PhaseSmoother::default(),
            phases: Vec::new(),
            left_over: 0.0,
            rates: Rates::default(),
            lead: 0.0,
            shifts: Vec::new(),
            residuals: Vec::new(),
            noise_per_rb: Vec::new(),
            noise_variance: 0.0,
            lasted: true,
        }
    }

    /// Estimates the first symbols of a frame by its training symbols alone; only the common phase is followed.
    /// `values` are all subcarriers, symbol by symbol. Returns the turn that is left.
    pub fn estimate_header(
        &mut self,
        ofdm: &mut Ofdm,
        grid: &Grid,
        acquired: &Acquired,
        values: &[Complex32],
    ) -> Rates {
        self.begin(acquired, Rates { variance: acquired.cfo_variance, ..Rates::default() }, &[]);
        self.set_rows(ofdm, acquired);
        let symbols = values.len() / self.numerology.subcarriers();
        self.follow_phase(grid, values, symbols, acquired.noise_variance, 0.0);
        self.noise_variance = acquired.noise_variance;
        self.noise_per_rb.clear();
        self.noise_per_rb.resize(self.numerology.resource_blocks, acquired.noise_variance);
        Rates { phase: self.left_over, ..self.rates }
    }

    /// Estimates a whole frame. `rates` is what its turn is thought to be; symbol i's DFT window was moved by
    /// `shifts[i]` samples (not at all where there is none).
    pub fn estimate(
        &mut self,
        ofdm: &mut Ofdm,
        grid: &Grid,
        acquired: &Acquired,
        values: &[Complex32],
        rates: Rates,
        shifts: &[i32],
    ) {
        let symbols = values.len() / self.numerology.subcarriers();
        self.begin(acquired, rates, shifts);
        self.cut(grid, acquired, symbols);
        self.fit_blocks(grid, acquired, values);
        self.find_rates(acquired);
        self.fit_blocks(grid, acquired, values);
        self.lasted = self.tail_coheres(acquired.delays.taps);
        self.smooth(acquired, symbols);
        self.set_rows(ofdm, acquired);
        self.follow_phase(grid, values, symbols, acquired.noise_variance, START_VARIANCE);
        self.measure_noise(grid, acquired, values, symbols);
    }

    /// The turn of the frame, as far as it has been found.
    pub fn rates(&self) -> Rates {
        self.rates
    }

    /// Whether the burst went on to the end of the frame.
    pub fn lasted(&self) -> bool {
        self.lasted
    }

    /// Noise variance over the whole band, before equalisation.
    pub fn noise_variance(&self) -> f32 {
        self.noise_variance
    }

    /// Noise variance of each resource block, before equalisation.
    pub fn noise_per_rb(&self) -> &[f32] {
        &self.noise_per_rb
    }

    /// Mean power of the channel on each resource block, over the frame.
    pub fn power_per_rb(&self) -> impl Iterator<Item = f32> {
        let subcarriers = self.numerology.subcarriers();
        // The training row only counts when there is no other.
        let skipped = if self.blocks.is_empty() { 0 } else { subcarriers };
        let rows = &self.responses[skipped..];
        (0..self.numerology.resource_blocks).map(move |rb| {
            let range = rb * SUBCARRIERS_PER_RB..(rb + 1) * SUBCARRIERS_PER_RB;
            let sum: f32 = rows
                .chunks_exact(subcarriers)
                .flat_map(|row| &row[range.clone()])
                .map(|h| h.norm_sqr())
                .sum();
            sum * subcarriers as f32 / (rows.len() * SUBCARRIERS_PER_RB) as f32
        })
    }

    /// Writes the channel of a symbol: on every subcarrier what was sent is multiplied by.
    pub fn channel(&self, symbol: usize, channel: &mut [Complex32]) {
        let subcarriers = channel.len();
        let (index, weight) = self.place(symbol);
        let (before, after) = self.responses[index * subcarriers..].split_at(subcarriers);
        let after = if weight > 0.0 { &after[..subcarriers] } else { before };
        let turn = Complex32::from_polar(1.0, self.phase(symbol));
        for ((value, a), b) in channel.iter_mut().zip(before).zip(after) {
            *value = (a + (b - a) * weight) * turn;
        }
        let slope = self.slope(symbol);
        if slope != 0.0 {
            // Below DC and above it the frequency rises by one from subcarrier to subcarrier.
            let (below, above) = channel.split_at_mut(subcarriers / 2);
            turn_along(below, self.frequencies[0], slope);
            turn_along(above, 1.0, slope);
        }
    }

    fn begin(&mut self, acquired: &Acquired, rates: Rates, shifts: &[i32]) {
        self.rates = rates;
        self.lead = acquired.lead as f32;
        self.shifts.clear();
        self.shifts.extend_from_slice(shifts);
        self.blocks.clear();
        self.times.clear();
        self.times.push(-self.lead);
        self.rows.clear();
        self.rows.extend_from_slice(&acquired.taps);
        self.lasted = true;
    }

    /// Turn of a symbol against the training symbols, without what `follow_phase` finds.
    fn known_phase(&self, symbol: usize) -> f32 {
        (self.rates.phase * (symbol as f64 + f64::from(self.lead))) as f32
    }

    fn phase(&self, symbol: usize) -> f32 {
        self.known_phase(symbol) + self.phases.get(symbol).copied().unwrap_or(0.0)
    }

    /// Turn of a symbol for each subcarrier from DC.
    fn slope(&self, symbol: usize) -> f32 {
        let shift = self.shifts.get(symbol).copied().unwrap_or(0);
        let moved = std::f64::consts::TAU * f64::from(shift) / self.numerology.fft_size as f64;
        (self.rates.slope * (symbol as f64 + f64::from(self.lead)) + moved) as f32
    }

    /// Cuts the frame into blocks; the last takes what is left, for a shorter one would hardly sound the channel.
    fn cut(&mut self, grid: &Grid, acquired: &Acquired, symbols: usize) {
        let few = COMB_PERIOD / 2 * grid.pilots(0).len() >= acquired.delays.taps;
        let length = if few && acquired.mode == Mode::Normal { COMB_PERIOD / 2 } else { COMB_PERIOD };
        let count = (symbols / length).max(1);
        self.blocks.extend((0..count).map(|index| {
            let first = index * length;
            let count = if index + 1 == count { symbols - first } else { length };
            Block { first, count, centre: first as f32 + (count as f32 - 1.0) / 2.0 }
        }));
    }

    /// Fits every block's pilots, freed from the turn as far as it is known.
    fn fit_blocks(&mut self, grid: &Grid, acquired: &Acquired, values: &[Complex32]) {
        let subcarriers = self.numerology.subcarriers();
        let taps = acquired.delays.taps;
        self.taps.resize(self.blocks.len() * taps, Complex32::default());
        self.fits.clear();
        for (index, block) in self.blocks.iter().enumerate() {
            self.pilots.clear();
            self.received.clear();
            for symbol in block.first..block.first + block.count {
                let (phase, slope) = (self.known_phase(symbol), self.slope(symbol));
                let row = &values[symbol * subcarriers..][..subcarriers];
                let sent = grid.row(symbol);
                for &k in grid.pilots(symbol) {
                    let turn = Complex32::from_polar(1.0, -(phase + slope * self.frequencies[k]));
                    self.pilots.push(k);
                    self.received.push(row[k] * sent[k].conj() * turn);
                }
            }
            let comb = (block.first % COMB_PERIOD) as u32;
            let set = PilotSet { number: (acquired.mode as u32) << 16 | comb << 8 | block.count as u32 };
            let fit =
                self.fitter.fit(acquired.delays, set, &self.pilots, acquired.noise_variance, acquired.power);
            fit.apply(&self.received, &mut self.taps[index * taps..(index + 1) * taps]);
            self.fits.push((fit.freedom() * acquired.noise_variance, fit.freedom()));
        }
    }

    /// Finds the turn from how blocks differ.
    fn find_rates(&mut self, acquired: &Acquired) {
        self.coarse.clear();
        self.fitter.coarse(acquired.delays, &self.middles, &self.taps, &mut self.coarse);
        let look = Look {
            responses: &self.coarse,
            frequencies: &self.middles,
            noise: self.fits[0].0,
            taps: acquired.delays.taps,
        };
        let centre = |block: usize| self.blocks[block].centre;
        self.rates = self.rate_finder.refine(self.rates, &self.numerology, &look, centre);
    }

    /// Whether neighbouring blocks at the end still agree.
    fn tail_coheres(&self, taps: usize) -> bool {
        let count = self.blocks.len();
        if count < 2 {
            return true;
        }
        let row = |index: usize| &self.taps[index * taps..(index + 1) * taps];
        let (mut agreed, mut power) = (0.0f32, 0.0f32);
        for index in count.saturating_sub(TAIL_BLOCKS).max(1)..count {
            for (a, b) in row(index - 1).iter().zip(row(index)) {
                agreed += (b * a.conj()).re;
                power += 0.5 * (a.norm_sqr() + b.norm_sqr());
            }
        }
        agreed >= TAIL_COHERENCE * power
    }

    /// Smooths taps over the frame; the training symbols are its first measurement. A last row tells how they
    /// go on to the last symbol.
    fn smooth(&mut self, acquired: &Acquired, symbols: usize) {
        self.steps.clear();
        self.steps.push(Step { time: 0.0, variance: acquired.taps_variance });
        for (block, fit) in self.blocks.iter().zip(&self.fits) {
            let before = self.times[self.times.len() - 1];
            self.steps.push(Step { time: block.centre - before, variance: fit.0 });
            self.times.push(block.centre);
        }
        self.rows.extend_from_slice(&self.taps);
        let motion = self.motion(acquired);
        self.row_smoother.smooth(&mut self.rows, &self.steps, motion);
        let end = symbols as f32 - 1.0;
        let ahead = end - self.times[self.times.len() - 1];
        if ahead > 0.0 {
            let last = self.rows.len() - acquired.delays.taps;
            let rates = &self.row_smoother.rates()[last..];
            self.rows.extend_from_within(last..);
            let row = &mut self.rows[last + acquired.delays.taps..];
            row.iter_mut().zip(rates).for_each(|(value, rate)| *value += rate * ahead);
            self.times.push(end);
        }
    }

    /// How the channel moves, from how much more neighbouring rows differ than their noise explains. Looked at
    /// within the band: what a fit makes of the rest is mostly noise.
    ///
    /// With the Doppler spread ω (rad per symbol) of Jakes' spectrum and power P, the rate of change has the
    /// variance ω²P/2, and in time t it changes by ⅜ω⁴t²P.
    fn motion(&mut self, acquired: &Acquired) -> Motion {
        self.coarse.clear();
        self.fitter.coarse(acquired.delays, &self.middles, &self.rows, &mut self.coarse);
        let width = self.middles.len();
        let taps = acquired.delays.taps.min(width);
        let mean = |sum: f32| sum / width as f32;
        let (mut difference, mut noise, mut span, mut power) = (0.0f32, 0.0f32, 0.0f32, 0.0f32);
        for (index, steps) in self.steps.windows(2).enumerate() {
            let (early, late) = self.coarse[index * width..(index + 2) * width].split_at(width);
            difference += mean(early.iter().zip(late).map(|(a, b)| (b - a).norm_sqr()).sum());
            power += mean(late.iter().map(|value| value.norm_sqr()).sum()) - steps[1].variance;
            noise += steps[0].variance + steps[1].variance;
            span += steps[1].time * steps[1].time;
        }
        let pairs = (self.steps.len() - 1) as f32;
        // Differences that are one standard deviation of the noise's sum are no motion.
        let significant = noise * (1.0 + 1.0 / (pairs * taps as f32).sqrt());
        let rate = (difference - significant).max(0.0) / span.max(f32::MIN_POSITIVE);
        let power = (power / pairs).max(1e-3 * difference).max(f32::MIN_POSITIVE);
        let doppler = (2.0 * rate / power).min(MOST_DOPPLER * MOST_DOPPLER);
        Motion { rate, turn: 0.75 * doppler * rate * span.sqrt() / pairs.sqrt() }
    }

    /// Responses on all subcarriers from all rows of taps.
    fn set_rows(&mut self, ofdm: &mut Ofdm, acquired: &Acquired) {
        let subcarriers = self.numerology.subcarriers();
        let rows = self.rows.len() / acquired.delays.taps;
        self.responses.resize(rows * subcarriers, Complex32::default());
        let taps = self.rows.chunks_exact(acquired.delays.taps);
        for (taps, response) in taps.zip(self.responses.chunks_exact_mut(subcarriers)) {
            ofdm.response(acquired.delays.first, taps, response);
        }
    }

    /// The row at or before a symbol, and the weight of the next.
    fn place(&self, symbol: usize) -> (usize, f32) {
        let time = symbol as f32;
        let after = self.times.partition_point(|&row| row <= time).max(1);
        let before = self.times[after - 1];
        match self.times.get(after) {
            Some(next) => (after - 1, (time - before) / (next - before)),
            None => (after - 1, 0.0),
        }
    }

    /// What arrived on a symbol's pilots, freed from the known turn, and the channel there without it.
    fn compare(&self, grid: &Grid, values: &[Complex32], symbol: usize) -> impl Iterator<Item = Pilot> {
        let subcarriers = self.numerology.subcarriers();
        let (phase, slope) = (self.known_phase(symbol), self.slope(symbol));
        let (index, weight) = self.place(symbol);
        let before = &self.responses[index * subcarriers..][..subcarriers];
        let after =
            if weight > 0.0 { &self.responses[(index + 1) * subcarriers..][..subcarriers] } else { before };
        let row = &values[symbol * subcarriers..][..subcarriers];
        let sent = grid.row(symbol);
        grid.pilots(symbol).iter().map(move |&k| {
            let turn = Complex32::from_polar(1.0, -(phase + slope * self.frequencies[k]));
            Pilot {
                subcarrier: k,
                received: row[k] * sent[k].conj() * turn,
                channel: before[k] + (after[k] - before[k]) * weight,
            }
        })
    }

    /// Follows the common phase from symbol to symbol.
    fn follow_phase(
        &mut self,
        grid: &Grid,
        values: &[Complex32],
        symbols: usize,
        noise_variance: f32,
        start_variance: f64,
    ) {
        let mut measurements = std::mem::take(&mut self.measurements);
        measurements.clear();
        measurements.extend((0..symbols).map(|symbol| {
            let (mut total, mut weight) = (Complex32::default(), 0.0);
            for pilot in self.compare(grid, values, symbol) {
                total += pilot.received * pilot.channel.conj();
                weight += pilot.channel.norm_sqr();
            }
            let phase = if total.norm_sqr() > 0.0 { total.arg() } else { 0.0 };
            // Beyond a radian an angle tells nothing, whatever the formula for small ones says.
            let variance = noise_variance / (2.0 * weight).max(f32::MIN_POSITIVE);
            PhaseMeasurement { phase, variance: variance + variance * variance }
        }));
        let rate = self.smoother.smooth(
            &measurements,
            f64::from(self.lead),
            [start_variance, self.rates.variance],
            PHASE_NOISE,
            &mut self.phases,
        );
        self.measurements = measurements;
        self.left_over = rate;
    }

    /// Reads the noise from what is left on the pilots.
    fn measure_noise(&mut self, grid: &Grid, acquired: &Acquired, values: &[Complex32], symbols: usize) {
        let resource_blocks = self.numerology.resource_blocks;
        let mut sums = std::mem::take(&mut self.residuals);
        sums.clear();
        sums.resize(resource_blocks, (0.0, 0.0));
        for (index, block) in self.blocks.iter().enumerate() {
            // A fit takes part of the noise with it, the more the more it counts in the smoothed taps.
            let (variance, freedom) = self.fits[index];
            let own = (self.row_smoother.left()[index + 1] / variance.max(f32::MIN_POSITIVE)).clamp(0.0, 1.0);
            let held = (1.0 - own * (2.0 - own) * freedom).max(LEAST_RESIDUAL);
            for symbol in block.first..(block.first + block.count).min(symbols) {
                let turn = Complex32::from_polar(1.0, self.phases[symbol]);
                for pilot in self.compare(grid, values, symbol) {
                    let sum = &mut sums[pilot.subcarrier / SUBCARRIERS_PER_RB];
                    sum.0 += (pilot.received - pilot.channel * turn).norm_sqr() / held;
                    sum.1 += 1.0;
                }
            }
        }
        let (residual, pilots) = sums.iter().fold((0.0, 0.0), |all, sum| (all.0 + sum.0, all.1 + sum.1));
        let training = TRAINING_WEIGHT * self.frequencies.len() as f32;
        self.noise_variance = (residual + training * acquired.noise_variance) / (pilots + training);
        let band = BAND_WEIGHT * self.noise_variance;
        self.noise_per_rb.clear();
        self.noise_per_rb.extend(sums.iter().map(|sum| (sum.0 + band) / (sum.1 + BAND_WEIGHT)));
        self.residuals = sums;
    }
}

/// A pilot and what is thought of its channel.
struct Pilot {
    subcarrier: usize,
    received: Complex32,
    channel: Complex32,
}

/// Multiplies `values[i]` by exp(j·slope·(first + i)).
fn turn_along(values: &mut [Complex32], first: f32, slope: f32) {
    const LANES: usize = 8;
    let mut turns: [Complex32; LANES] =
        std::array::from_fn(|lane| Complex32::from_polar(1.0, slope * (first + lane as f32)));
    let step = Complex32::from_polar(1.0, slope * LANES as f32);
    for values in values.chunks_mut(LANES) {
        for (value, turn) in values.iter_mut().zip(&mut turns) {
            *value *= *turn;
            *turn *= step;
        }
    }
}
