//! Detection: samples → where the pair of chirps of a preamble stands in the noise, and of which mode.
//!
//! 1. `screen`: every sample is correlated with the up-chirp of each mode, block by block. This is all
//!    that noise costs.
//! 2. `pair`: where an up-chirp stands out by itself, both chirps are correlated at every sample. The levels
//!    of an up-chirp at p and of the strongest down-chirp at p + L + δ, |δ| bounded by the range of carrier
//!    offsets, are summed.
//! 3. `statistic`: what a level is, and why the threshold keeps the rate of false alarms whatever the gain.
//!
//! A linear chirp turns a carrier offset into a shift of its peak, the down-chirp into the opposite one: half
//! the sum of the two peak times is the frame's time, half their difference its carrier offset. A chirp of the
//! other mode sweeps at another rate and correlates no better than noise.

mod kernels;
mod pair;
mod screen;
mod statistic;

use kernels::SEGMENT;
use num_complex::Complex32;
use pair::PairSearch;
use screen::Screen;

use crate::{mode::Mode, numerology::Numerology};

/// Least level of each chirp. Noise passes it once in 440 000 positions.
const CHIRP_LEVEL: f32 = 13.0;
/// Least level of both together. Of noise, a pair of positions passes with probability
/// e^−38 (1 + 38 − 2·13) = 4·10^−16; with a hundred to some hundreds of offsets between the two, that is
/// less than once in a week at 20 Msamples/s.
const PAIR_LEVEL: f32 = 38.0;

/// A preamble that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Mode whose chirps were found.
    pub mode: Mode,
    /// Position of the preamble's first sample in the stream; off by up to half the channel's spread.
    pub position: i64,
    /// Coarse carrier offset in cycles per sample; off by up to half the channel's spread times the rate of
    /// the chirp.
    pub cfo: f64,
    /// Logarithm of the likelihood ratio of the two chirps against noise.
    pub strength: f32,
}

/// A segment of positions in which an up-chirp may start.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    position: i64,
    mode: Mode,
}

/// Searches an endless stream for the preambles of all modes. Planned once; nothing is allocated later.
///
/// What it finds depends on the samples and on where it was restarted, not on how the stream was cut into
/// calls.
pub struct Detector {
    screen: Screen,
    /// In the order of [`Mode::ALL`].
    pairs: [PairSearch; Mode::ALL.len()],
    /// How far before a preamble its up-chirp may peak.
    lead: usize,
    /// How far before the origin noise may move the estimate of a position that is not.
    tolerance: usize,
    /// Where the stream was restarted; what was before counts as silence.
    origin: i64,
    /// First position that has not been screened.
    screened: i64,
    /// What the last block left to look at, in the order of positions; those before `next` are done.
    candidates: Vec<Candidate>,
    next: usize,
    /// First position of an up-chirp's peak that has not been looked at.
    tested: i64,
    /// Samples that begin before the origin.
    padded: Vec<Complex32>,
}

impl Detector {
    /// Plans the correlators of a numerology.
    pub fn new(numerology: &Numerology) -> Self {
        let screen = Screen::new(numerology);
        let pairs = Mode::ALL.map(|mode| PairSearch::new(mode, numerology));
        let lead = pairs.iter().map(PairSearch::reach).max().unwrap_or(0);
        let longest = pairs.iter().map(PairSearch::span).fold(screen.block(), usize::max);
        let mut detector = Self {
            lead,
            tolerance: numerology.cyclic_prefix / 4,
            origin: 0,
            screened: 0,
            candidates: Vec::with_capacity(pairs.len() * screen.positions() / SEGMENT),
            next: 0,
            tested: 0,
            padded: Vec::with_capacity(longest),
            screen,
            pairs,
        };
        detector.restart(0);
        detector
    }

    /// Forgets everything and goes on at a stream position. Preambles that start before it are not found.
    pub fn restart(&mut self, position: i64) {
        self.pairs.iter_mut().for_each(PairSearch::clear);
        self.candidates.clear();
        self.next = 0;
        self.origin = position;
        self.screened = position - self.lead as i64;
        self.tested = self.screened;
    }

    /// First stream position whose sample is still needed.
    pub fn oldest_candidate(&self) -> i64 {
        let needed = self.candidates.get(self.next).map_or(self.screened, |candidate| candidate.position);
        needed.max(self.origin)
    }

    /// Samples from a preamble's first one on after which it is found for certain.
    pub fn latency(&self) -> usize {
        let span = self.pairs.iter().map(PairSearch::span).max().unwrap_or(0);
        self.lead + self.screen.block().max(span + SEGMENT)
    }

    /// Looks through `samples`, the first of which stands at stream position `start`, for the next
    /// preamble. `None`: more samples are needed, from [`oldest_candidate`](Self::oldest_candidate) on.
    pub fn search(&mut self, samples: &[Complex32], start: i64) -> Option<Detection> {
        let stream = Stream { samples, start, origin: self.origin };
        loop {
            while let Some(&candidate) = self.candidates.get(self.next) {
                let pair = &mut self.pairs[candidate.mode as usize];
                if !pair.covers(candidate.position) {
                    let stretch = stream.get(candidate.position, pair.span(), &mut self.padded)?;
                    pair.correlate(stretch, candidate.position);
                }
                let Some((mut detection, tested)) = pair.search(candidate.position, self.tested) else {
                    self.next += 1;
                    continue;
                };
                self.tested = tested;
                if detection.position + self.tolerance as i64 >= self.origin {
                    detection.position = detection.position.max(self.origin);
                    return Some(detection);
                }
            }
            let block = stream.get(self.screened, self.screen.block(), &mut self.padded)?;
            self.candidates.clear();
            self.next = 0;
            let (candidates, screened) = (&mut self.candidates, self.screened);
            self.screen.run(block, |segment, mode| {
                candidates.push(Candidate { position: screened + segment as i64, mode });
            });
            self.screened += self.screen.positions() as i64;
        }
    }
}

/// The samples at hand, as a stream with silence before its origin.
#[derive(Clone, Copy)]
struct Stream<'a> {
    samples: &'a [Complex32],
    start: i64,
    origin: i64,
}

impl<'a> Stream<'a> {
    /// The `length` samples from stream position `first` on, in `padded` if some are before the origin.
    /// `None`: they are not all there.
    fn get<'b>(&self, first: i64, length: usize, padded: &'b mut Vec<Complex32>) -> Option<&'b [Complex32]>
    where
        'a: 'b,
    {
        let silence = usize::try_from(self.origin - first).unwrap_or(0).min(length);
        let offset = usize::try_from(first + silence as i64 - self.start).ok()?;
        let samples = self.samples.get(offset..offset.checked_add(length - silence)?)?;
        if silence == 0 {
            return Some(samples);
        }
        padded.clear();
        padded.resize(silence, Complex32::default());
        padded.extend_from_slice(samples);
        Some(padded)
    }
}
