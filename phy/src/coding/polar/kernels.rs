//! What a node does to the values of all paths at once: LLRs of its halves, sums of bits, signs.
//!
//! Values of the L paths lie beside each other, as in [`super::list`]. A node of a length below that of a SIMD register
//! is computed in smaller blocks.

use super::shuffle::{LARGE, Pattern, SMALL, Shuffle};

/// LLRs of the stage below, and those of the halves of this stage's node.
#[inline(always)]
pub(super) fn halves<const L: usize>(llrs: &mut [i16], stage: u8) -> (&mut [i16], &[i16], &[i16]) {
    let half = (L << stage) / 2;
    let (below, here) = llrs.split_at_mut(2 * half);
    let (first, second) = here[..2 * half].split_at(half);
    (&mut below[half..], first, second)
}

#[inline(always)]
pub(super) fn negative(value: i16) -> i16 {
    0i16.saturating_sub(value)
}

#[inline(always)]
pub(super) fn magnitude(value: i16) -> i16 {
    value.max(negative(value))
}

/// LLR of the sum of two bits, min-sum: the smaller magnitude with the product of the signs.
#[inline(always)]
pub(super) fn check(first: i16, second: i16) -> i16 {
    first.min(second).max(negative(first).min(negative(second)))
}

/// LLR of the second bit, given the sum of both as a mask.
#[inline(always)]
pub(super) fn given(first: i16, second: i16, sum: i16) -> i16 {
    second.saturating_add((first ^ sum).saturating_sub(sum))
}

/// What has become of the lanes of stored values since they were stored.
pub(super) trait Moves: Copy {
    fn apply<const W: usize>(self, values: &[i16; W]) -> [i16; W];
}

#[derive(Clone, Copy)]
pub(super) struct Unmoved;

impl Moves for Unmoved {
    #[inline(always)]
    fn apply<const W: usize>(self, values: &[i16; W]) -> [i16; W] {
        *values
    }
}

#[derive(Clone, Copy)]
pub(super) struct Moved<S>(pub S, pub Pattern);

impl<S: Shuffle> Moves for Moved<S> {
    #[inline(always)]
    fn apply<const W: usize>(self, values: &[i16; W]) -> [i16; W] {
        self.0.permute(values, &self.1)
    }
}

/// Compiles a body for the three widths of a block, and runs it for the widest that divides the length.
macro_rules! in_blocks {
    ($length:expr, $width:ident => $body:block) => {
        if $length >= LARGE {
            const $width: usize = LARGE;
            $body
        } else if $length >= SMALL {
            const $width: usize = SMALL;
            $body
        } else {
            const $width: usize = 1;
            $body
        }
    };
}

#[inline(always)]
pub(super) fn left(target: &mut [i16], first: &[i16], second: &[i16]) {
    in_blocks!(target.len(), W => {
        let blocks = first.as_chunks::<W>().0.iter().zip(second.as_chunks::<W>().0);
        for (target, (first, second)) in target.as_chunks_mut::<W>().0.iter_mut().zip(blocks) {
            for lane in 0..W {
                target[lane] = check(first[lane], second[lane]);
            }
        }
    });
}

#[inline(always)]
pub(super) fn right_of_zero(target: &mut [i16], first: &[i16], second: &[i16]) {
    in_blocks!(target.len(), W => {
        let blocks = first.as_chunks::<W>().0.iter().zip(second.as_chunks::<W>().0);
        for (target, (first, second)) in target.as_chunks_mut::<W>().0.iter_mut().zip(blocks) {
            for lane in 0..W {
                target[lane] = first[lane].saturating_add(second[lane]);
            }
        }
    });
}

#[inline(always)]
pub(super) fn right(moves: impl Moves, target: &mut [i16], first: &[i16], second: &[i16], bits: &[i16]) {
    in_blocks!(target.len(), W => {
        let blocks = first.as_chunks::<W>().0.iter().zip(second.as_chunks::<W>().0).zip(bits.as_chunks::<W>().0);
        for (target, ((first, second), bits)) in target.as_chunks_mut::<W>().0.iter_mut().zip(blocks) {
            let first = moves.apply(first);
            let second = moves.apply(second);
            let mut llrs = [0; W];
            for lane in 0..W {
                llrs[lane] = given(first[lane], second[lane], bits[lane]);
            }
            *target = llrs;
        }
    });
}

#[inline(always)]
pub(super) fn combine(moves: impl Moves, first: &mut [i16], second: &[i16]) {
    in_blocks!(first.len(), W => {
        for (first, second) in first.as_chunks_mut::<W>().0.iter_mut().zip(second.as_chunks::<W>().0) {
            let mut sum = moves.apply(first);
            for lane in 0..W {
                sum[lane] ^= second[lane];
            }
            *first = sum;
        }
    });
}

#[inline(always)]
pub(super) fn signs(moves: impl Moves, bits: &mut [i16], llrs: &[i16]) {
    in_blocks!(bits.len(), W => {
        for (bits, llrs) in bits.as_chunks_mut::<W>().0.iter_mut().zip(llrs.as_chunks::<W>().0) {
            let mut signs = moves.apply(llrs);
            for sign in &mut signs {
                *sign >>= 15;
            }
            *bits = signs;
        }
    });
}

#[inline(always)]
pub(super) fn frozen_left<const L: usize>(metrics: &mut [u32; L], first: &[i16], second: &[i16]) {
    for (first, second) in first.as_chunks::<L>().0.iter().zip(second.as_chunks::<L>().0) {
        for lane in 0..L {
            metrics[lane] += negative(check(first[lane], second[lane])).max(0) as u32;
        }
    }
}
