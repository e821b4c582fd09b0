//! Successive cancellation with L paths: LLRs of the outputs → the L likeliest codewords.
//!
//! Values of the L paths lie beside each other, so that each operation works on all paths at once whatever
//! the length of the node. When paths are given up for copies of others, no memory moves: each node hands
//! its parent the permutation of the lanes that came about inside, and the parent applies it to what it has
//! kept when it reads that the next time. It has kept one of two things: its LLRs while the left half is
//! decoded, the bits of the left half while the right one is. This replaces the lazy copies of Tal and Vardy.
//!
//! LLRs are saturating 16-bit integers, bits are masks 0 and -1. The metric of a path is the sum of the
//! magnitudes that it has gone against (reference 1, exact for the min-sum approximation), so
//! lower is better.
//!
//! References:
//! 1. A. Balatsoukas-Stimming, M. Bastani Parizi, A. Burg, "LLR-based successive cancellation list decoding
//!    of polar codes", IEEE Trans. Signal Process. 63(19), 2015.
//! 2. S. A. Hashemi, C. Condo, W. J. Gross, "Fast and flexible successive-cancellation list decoders for
//!    polar codes", IEEE Trans. Signal Process. 65(21), 2017, for the leaves.

use std::ops::{Deref, DerefMut};

use super::kernels::{
    Moved, Unmoved, combine, frozen_left, halves, left, magnitude, negative, right, right_of_zero, signs,
};
use super::schedule::Step;
#[cfg(target_arch = "x86_64")]
use super::shuffle::{Avx2, Avx512};
use super::shuffle::{LARGE, Pattern, Portable, Shuffle};
use super::transform::{Packed, set_bit};
use crate::simd::Instructions;

/// Log of the longest code, and one.
const MAX_STAGES: usize = 11;

/// Metric of a lane without a path: more than any sum of magnitudes of 1024 outputs, and with room for a
/// lane's number below it in 32 bits.
const NO_PATH: u32 = 1 << 26;

/// Bits of a key that hold the lane.
const LANE_BITS: u32 = 5;

/// Bits of a key that hold the place of a bit in its node.
const PLACE_BITS: u32 = 16;

/// Unreliable bits of a leaf at which paths may split. Min(L - 1, M) of the M bits of a rate-1 node and
/// min(L, M) of a parity check are as good as all (reference 2), so this is exact for lists of eight; for
/// lists of 32 it is an approximation, which still loses fewer blocks than the list of eight.
const SPLITS: usize = 8;

/// Where the lanes of a node's paths come from, relative to the lanes when the node was begun.
#[derive(Clone, Copy, Debug)]
struct Lanes<const L: usize> {
    source: [u32; L],
    moved: bool,
}

impl<const L: usize> Lanes<L> {
    fn unmoved() -> Self {
        Self { source: std::array::from_fn(|lane| lane as u32), moved: false }
    }

    /// First `self`, then `next`.
    #[inline(always)]
    fn then<S: Shuffle>(&self, shuffle: S, next: &Self) -> Self {
        if !self.moved {
            return *next;
        }
        if !next.moved {
            return *self;
        }
        Self { source: shuffle.take(&self.source, &next.source), moved: true }
    }
}

/// Values that start at a multiple of 64 bytes, so that no vector is split between two cache lines.
#[derive(Clone, Debug, Default)]
struct Aligned {
    values: Vec<i16>,
    start: usize,
}

impl Aligned {
    /// Makes room for `length` values.
    fn reserve(&mut self, length: usize) {
        if self.values.len() < length + LARGE {
            self.values.resize(length + LARGE, 0);
        }
        // A copy of the vector may lie elsewhere.
        self.start = self.values.as_ptr().align_offset(2 * LARGE).min(LARGE);
    }
}

impl Deref for Aligned {
    type Target = [i16];

    #[inline(always)]
    fn deref(&self) -> &[i16] {
        &self.values[self.start..]
    }
}

impl DerefMut for Aligned {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [i16] {
        &mut self.values[self.start..]
    }
}

/// A list decoder for L paths, a power of two up to 32.
#[derive(Clone, Debug)]
pub(super) struct ListDecoder<const L: usize> {
    /// LLRs of the node that is worked on in each stage: 2^s groups from 2^s on.
    llrs: Aligned,
    /// Bits of all nodes that are decoded, at their places.
    bits: Aligned,
    metrics: [u32; L],
    /// Of the node that was finished last.
    lanes: Lanes<L>,
    /// Of the left halves of the nodes whose right half is worked on.
    left: [Lanes<L>; MAX_STAGES],
}

impl<const L: usize> Default for ListDecoder<L> {
    fn default() -> Self {
        Self {
            llrs: Aligned::default(),
            bits: Aligned::default(),
            metrics: [0; L],
            lanes: Lanes::unmoved(),
            left: [Lanes::unmoved(); MAX_STAGES],
        }
    }
}

impl<const L: usize> ListDecoder<L> {
    /// Decodes the LLRs of all outputs, a power of two.
    pub fn decode(&mut self, instructions: Instructions, steps: &[Step], outputs: &[i16]) {
        let length = outputs.len();
        self.bits.reserve(length * L);
        self.llrs.reserve(2 * length * L);
        for (group, &llr) in self.llrs[length * L..].as_chunks_mut::<L>().0.iter_mut().zip(outputs) {
            group.fill(llr);
        }
        self.metrics = [NO_PATH; L];
        self.metrics[0] = 0;
        self.lanes = Lanes::unmoved();
        match instructions {
            // SAFETY: whoever made one of these two has detected the instructions.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => unsafe { self.run_avx512(steps) },
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { self.run_avx2(steps) },
            Instructions::Portable => self.run(Portable, steps),
        }
    }

    /// The lanes that hold a path, the likeliest first.
    pub fn ranking(&self) -> impl Iterator<Item = usize> + use<L> {
        let mut keys: [u32; L] = std::array::from_fn(|lane| self.metrics[lane] << LANE_BITS | lane as u32);
        keys.sort_unstable();
        keys.into_iter().filter(|key| key >> LANE_BITS < NO_PATH).map(|key| key as usize % L)
    }

    /// The codeword of a path.
    pub fn codeword(&self, lane: usize, length: usize) -> Packed {
        let mut word = Packed::default();
        for (index, group) in self.bits[..length * L].chunks_exact(L).enumerate() {
            set_bit(&mut word, index, group[lane] as u8);
        }
        word
    }

    /// How much a path went against the LLRs.
    #[cfg(test)]
    pub fn metric(&self, lane: usize) -> u32 {
        self.metrics[lane]
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn run_avx512(&mut self, steps: &[Step]) {
        // SAFETY: this function runs only where there are these instructions.
        self.run(unsafe { Avx512::new() }, steps);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn run_avx2(&mut self, steps: &[Step]) {
        // SAFETY: as above.
        self.run(unsafe { Avx2::new() }, steps);
    }

    #[inline(always)]
    fn run<S: Shuffle>(&mut self, shuffle: S, steps: &[Step]) {
        for &step in steps {
            match step {
                Step::Left { stage } => {
                    let (target, first, second) = halves::<L>(&mut self.llrs, stage);
                    left(target, first, second);
                }
                Step::FrozenLeft { stage } => {
                    let (_, first, second) = halves::<L>(&mut self.llrs, stage);
                    frozen_left(&mut self.metrics, first, second);
                }
                Step::Right { stage, offset } => {
                    self.left[usize::from(stage)] = self.lanes;
                    let (target, first, second) = halves::<L>(&mut self.llrs, stage);
                    let bits = &self.bits[usize::from(offset) * L..][..first.len()];
                    if self.lanes.moved {
                        let moves = Moved(shuffle, Pattern::new(&self.lanes.source));
                        right(moves, target, first, second, bits);
                    } else {
                        right(Unmoved, target, first, second, bits);
                    }
                }
                Step::RightOfZero { stage } => {
                    let (target, first, second) = halves::<L>(&mut self.llrs, stage);
                    right_of_zero(target, first, second);
                }
                Step::Combine { stage, offset } => {
                    let length = L << stage;
                    let (first, second) =
                        self.bits[usize::from(offset) * L..][..length].split_at_mut(length / 2);
                    if self.lanes.moved {
                        combine(Moved(shuffle, Pattern::new(&self.lanes.source)), first, second);
                    } else {
                        combine(Unmoved, first, second);
                    }
                    self.lanes = self.left[usize::from(stage)].then(shuffle, &self.lanes);
                }
                Step::CombineZero { stage, offset } => {
                    let length = L << stage;
                    let (first, second) =
                        self.bits[usize::from(offset) * L..][..length].split_at_mut(length / 2);
                    first.copy_from_slice(second);
                }
                Step::Frozen { stage, offset } => {
                    let (llrs, bits) = self.leaf(stage, offset);
                    bits.fill(0);
                    let costs = sum_below_zero::<L>(llrs);
                    add(&mut self.metrics, &costs);
                    self.lanes = Lanes::unmoved();
                }
                Step::Repetition { stage, offset } => self.repetition(shuffle, stage, offset),
                Step::Parity { stage, offset } => self.parity(shuffle, stage, offset),
                Step::Free { stage, offset } => self.free(shuffle, stage, offset),
            }
        }
    }

    /// LLRs and bits of a leaf.
    #[inline(always)]
    fn leaf(&mut self, stage: u8, offset: u16) -> (&[i16], &mut [i16]) {
        let length = L << stage;
        (&self.llrs[length..2 * length], &mut self.bits[usize::from(offset) * L..][..length])
    }

    /// Each path goes on with all zeros and with all ones.
    #[inline(always)]
    fn repetition<S: Shuffle>(&mut self, shuffle: S, stage: u8, offset: u16) {
        let length = L << stage;
        let (zeros, ones) = sums_below_and_above_zero::<L>(&self.llrs[length..2 * length]);
        let mut other = self.metrics;
        let mut ones_win = [0u32; L];
        for lane in 0..L {
            self.metrics[lane] += zeros[lane].min(ones[lane]);
            other[lane] += zeros[lane].max(ones[lane]);
            ones_win[lane] = u32::from(ones[lane] < zeros[lane]);
        }
        let split = split(&mut self.metrics, &other);
        if split.lanes.moved {
            ones_win = shuffle.take(&ones_win, &split.lanes.source);
            for (ones_win, other) in ones_win.iter_mut().zip(&split.other) {
                *ones_win ^= other;
            }
        }
        let mut value = [0i16; L];
        for lane in 0..L {
            value[lane] = -(ones_win[lane] as i16);
        }
        for group in self.bits[usize::from(offset) * L..][..length].as_chunks_mut::<L>().0 {
            *group = value;
        }
        self.lanes = split.lanes;
    }

    /// The hard decisions, and splits at the least reliable ones.
    #[inline(always)]
    fn free<S: Shuffle>(&mut self, shuffle: S, stage: u8, offset: u16) {
        let llrs = &self.llrs[L << stage..][..L << stage];
        let mut lanes = Lanes::unmoved();
        let mut flips = [0u32; L];
        let mut weakest = [[0u32; L]; SPLITS];
        if L > 1 {
            find_weakest::<L, 2>(llrs, &mut weakest);
            if splits(&self.metrics, &other_way(&self.metrics, &weakest[0])) {
                find_all_weakest(stage, llrs, &mut weakest);
            }
            for (step, keys) in weakest.iter().enumerate().take(SPLITS.min(L - 1).min(1 << stage)) {
                let others = other_way(&self.metrics, &shuffle.take(keys, &lanes.source));
                if !splits(&self.metrics, &others) {
                    // The next bits cost as much or more.
                    break;
                }
                let split = split(&mut self.metrics, &others);
                flips = shuffle.take(&flips, &split.lanes.source);
                for (flips, other) in flips.iter_mut().zip(&split.other) {
                    *flips |= other << step;
                }
                lanes = lanes.then(shuffle, &split.lanes);
            }
        }
        self.decide(shuffle, stage, offset, lanes, &flips, &weakest);
    }

    /// The least reliable bit mends the parity, and paths split at the next ones, each with the
    /// least reliable one.
    #[inline(always)]
    fn parity<S: Shuffle>(&mut self, shuffle: S, stage: u8, offset: u16) {
        let llrs = &self.llrs[L << stage..][..L << stage];
        let mut signs = [0i16; L];
        for group in llrs.as_chunks::<L>().0 {
            for lane in 0..L {
                signs[lane] ^= group[lane];
            }
        }
        let mut odd = [0u32; L];
        for lane in 0..L {
            odd[lane] = u32::from(signs[lane] < 0);
        }
        let mut lanes = Lanes::unmoved();
        let mut flips = odd;
        let mut weakest = [[0u32; L]; SPLITS];
        find_weakest::<L, 2>(llrs, &mut weakest);
        let mut least = weakest[0];
        for lane in 0..L {
            least[lane] >>= PLACE_BITS;
            self.metrics[lane] += least[lane] * odd[lane];
        }
        if L > 1 {
            if splits(&self.metrics, &other_parity(&self.metrics, &weakest[1], &least, &odd)) {
                find_all_weakest(stage, llrs, &mut weakest);
            }
            for (step, keys) in weakest.iter().enumerate().take(SPLITS.min(L).min(1 << stage)).skip(1) {
                let others = other_parity(&self.metrics, &shuffle.take(keys, &lanes.source), &least, &odd);
                if !splits(&self.metrics, &others) {
                    break;
                }
                let split = split(&mut self.metrics, &others);
                flips = shuffle.take(&flips, &split.lanes.source);
                odd = shuffle.take(&odd, &split.lanes.source);
                least = shuffle.take(&least, &split.lanes.source);
                for lane in 0..L {
                    flips[lane] = (flips[lane] | split.other[lane] << step) ^ split.other[lane];
                    odd[lane] ^= split.other[lane];
                }
                lanes = lanes.then(shuffle, &split.lanes);
            }
        }
        self.decide(shuffle, stage, offset, lanes, &flips, &weakest);
    }

    /// Writes the hard decisions of a leaf, with bit j of `flips` for a flip at the j-th of the `weakest`.
    #[inline(always)]
    fn decide<S: Shuffle>(
        &mut self,
        shuffle: S,
        stage: u8,
        offset: u16,
        lanes: Lanes<L>,
        flips: &[u32; L],
        weakest: &[[u32; L]; SPLITS],
    ) {
        let (llrs, bits) = self.leaf(stage, offset);
        if lanes.moved {
            signs(Moved(shuffle, Pattern::new(&lanes.source)), bits, llrs);
        } else {
            signs(Unmoved, bits, llrs);
        }
        for (lane, &flips) in flips.iter().enumerate() {
            let mut left = flips;
            while left != 0 {
                let keys = &weakest[left.trailing_zeros() as usize % SPLITS];
                let place = keys[lanes.source[lane] as usize % L] % (1 << PLACE_BITS);
                bits[place as usize * L + lane] ^= -1;
                left &= left - 1;
            }
        }
        self.lanes = lanes;
    }
}

/// Paths that go on: where each lane's path comes from, and whether (1) it took the other way there.
struct Split<const L: usize> {
    lanes: Lanes<L>,
    other: [u32; L],
}

/// Of the paths that go on with `metrics` and those that go on with `others`, keeps the L best.
///
/// `others[lane] >= metrics[lane]`. Lanes that are kept stay where they are.
#[inline(always)]
fn split<const L: usize>(metrics: &mut [u32; L], others: &[u32; L]) -> Split<L> {
    let mut split = Split { lanes: Lanes::unmoved(), other: [0; L] };
    let key = |metric: u32, lane: usize| metric << LANE_BITS | lane as u32;
    let mut kept: [u32; L] = std::array::from_fn(|lane| key(metrics[lane], lane));
    let mut offered: [u32; L] = std::array::from_fn(|lane| key(others[lane], lane));
    loop {
        let worst = kept.iter().fold(0, |worst, &key| worst.max(key));
        let best = offered.iter().fold(u32::MAX, |best, &key| best.min(key));
        let metric = best >> LANE_BITS;
        if metric >= worst >> LANE_BITS {
            return split;
        }
        split.lanes.moved = true;
        for lane in 0..L {
            let replaced = kept[lane] == worst;
            kept[lane] = if replaced { 0 } else { kept[lane] };
            metrics[lane] = if replaced { metric } else { metrics[lane] };
            split.lanes.source[lane] = if replaced { best % L as u32 } else { split.lanes.source[lane] };
            split.other[lane] = if replaced { 1 } else { split.other[lane] };
            offered[lane] = if offered[lane] == best { u32::MAX } else { offered[lane] };
        }
    }
}

/// Whether [`split`] would change anything.
#[inline(always)]
fn splits<const L: usize>(metrics: &[u32; L], others: &[u32; L]) -> bool {
    let worst = metrics.iter().fold(0, |worst, &metric| worst.max(metric));
    let best = others.iter().fold(u32::MAX, |best, &metric| best.min(metric));
    best < worst
}

/// The metrics after the bits whose `keys` these are are flipped.
#[inline(always)]
fn other_way<const L: usize>(metrics: &[u32; L], keys: &[u32; L]) -> [u32; L] {
    let mut others = *metrics;
    for lane in 0..L {
        others[lane] += keys[lane] >> PLACE_BITS;
    }
    others
}

/// As [`other_way`], with the least reliable bit flipped along: back to its hard decision if the node was
/// `odd`, away from it otherwise.
#[inline(always)]
fn other_parity<const L: usize>(
    metrics: &[u32; L],
    keys: &[u32; L],
    least: &[u32; L],
    odd: &[u32; L],
) -> [u32; L] {
    let mut others = other_way(metrics, keys);
    for lane in 0..L {
        others[lane] = others[lane] + least[lane] - 2 * least[lane] * odd[lane];
    }
    others
}

/// As many of the weakest bits of a node of more than two as paths may split at.
#[inline(always)]
fn find_all_weakest<const L: usize>(stage: u8, llrs: &[i16], weakest: &mut [[u32; L]; SPLITS]) {
    match stage {
        0 | 1 => (),
        2 => find_weakest::<L, 4>(llrs, weakest),
        _ => find_weakest::<L, SPLITS>(llrs, weakest),
    }
}

/// The keys of the K smallest magnitudes of each lane, ascending: magnitude · 2^[`PLACE_BITS`] + place.
#[inline(always)]
fn find_weakest<const L: usize, const K: usize>(llrs: &[i16], weakest: &mut [[u32; L]; SPLITS]) {
    let mut smallest = [[u32::MAX; L]; K];
    for (place, group) in llrs.as_chunks::<L>().0.iter().enumerate() {
        let mut keys: [u32; L] = [0; L];
        for lane in 0..L {
            keys[lane] = (magnitude(group[lane]) as u32) << PLACE_BITS | place as u32;
        }
        for smallest in &mut smallest {
            for lane in 0..L {
                let (low, high) = (smallest[lane].min(keys[lane]), smallest[lane].max(keys[lane]));
                smallest[lane] = low;
                keys[lane] = high;
            }
        }
    }
    weakest[..K].copy_from_slice(&smallest);
}

#[inline(always)]
fn add<const L: usize>(sums: &mut [u32; L], values: &[u32; L]) {
    for lane in 0..L {
        sums[lane] += values[lane];
    }
}

/// What it costs each path that all bits are zero.
#[inline(always)]
fn sum_below_zero<const L: usize>(llrs: &[i16]) -> [u32; L] {
    let mut sums = [0; L];
    for group in llrs.as_chunks::<L>().0 {
        for lane in 0..L {
            sums[lane] += negative(group[lane]).max(0) as u32;
        }
    }
    sums
}

/// What it costs each path that all bits are zero, and that all are one.
#[inline(always)]
fn sums_below_and_above_zero<const L: usize>(llrs: &[i16]) -> ([u32; L], [u32; L]) {
    let (mut below, mut above) = ([0; L], [0; L]);
    for group in llrs.as_chunks::<L>().0 {
        for lane in 0..L {
            below[lane] += negative(group[lane]).max(0) as u32;
            above[lane] += group[lane].max(0) as u32;
        }
    }
    (below, above)
}
