//! One layer of the decoder: the Z checks of a base row, a group of lanes at a time.
//!
//! The old and the new a posteriori values of a column are in two different places; hence no group of lanes
//! reads what another one has written, and a result can be stored group by group in the order of the checks.

use super::lifting::{LANES, MAX_LANES, Place, exclusive_or, group, position, repeat_start};
use crate::simd::{Instructions, dispatched};

/// The greatest number of entries in a base row.
pub(super) const MAX_DEGREE: usize = 19;

/// Where the results of a layer go for one of its columns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Target {
    /// Start of the column's new a posteriori values, check 0 first.
    pub(super) posterior: usize,
    /// Start of the check-to-bit messages.
    pub(super) message: usize,
}

/// The greatest magnitude of a message, in quantisation steps.
///
/// It leaves headroom in the a posteriori values: what saturates there is missing when the message is taken
/// off again. In simulation 24 and 31 gave the same thresholds, 63 and 127 cost 0.05 dB at rate 5/6.
pub(super) const MAX_MESSAGE: u8 = 31;

/// The greatest reliability of a bit, in quantisation steps.
pub(super) const MAX_RELIABILITY: u8 = 128;

/// a ⊞ b, the reliability of the exclusive or of two bits of reliabilities a and b.
///
/// Exactly, this is low + g(low + high) − g(high − low) with g(x) = ln(1 + e⁻ˣ). Here g is the straight line
/// from ln 2 with slope −1/4, cut off at zero.
#[inline(always)]
pub(super) fn box_plus(a: u8, b: u8) -> u8 {
    /// Where the line reaches zero, 4 ln 2 in quantisation steps, rounded up.
    const REACH: u8 = 12;
    let (low, high) = (a.min(b), a.max(b));
    // Both are at most 128, and where the sum overflows there is no correction either way.
    let correction = low.wrapping_add(high).min(REACH) - (high - low).min(REACH);
    low - (correction >> 2)
}

/// Updates the a posteriori values and the messages of a layer.
pub(super) fn update(instructions: Instructions, layer: &mut Layer<'_>) {
    match instructions {
        // Twice the lanes hide latency where there are enough registers.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 if layer.z > LANES => update_wide(instructions, layer),
        _ => update_narrow(instructions, layer),
    }
}

/// What a layer works on.
pub(super) struct Layer<'a> {
    /// A posteriori values of all columns, in two places each.
    pub(super) posterior: &'a mut [i8],
    /// Check-to-bit messages of all entries.
    pub(super) messages: &'a mut [i8],
    /// Working memory.
    pub(super) extrinsic: &'a mut Extrinsic,
    /// Where the layer's columns are, but for its extension column.
    pub(super) sources: &'a [Place],
    /// Where the results for these go.
    pub(super) targets: &'a [Target],
    /// Where the extension column is, if the layer has one. It is in no other layer: nobody asks what this one
    /// has to say about it, and it stays as received.
    pub(super) extension: Option<usize>,
    /// Whether there are no messages yet.
    pub(super) first: bool,
    /// The lifting size.
    pub(super) z: usize,
}

dispatched! {
    fn update_narrow(layer: &mut Layer<'_>) {
        if layer.first {
            update_groups::<LANES, true>(layer);
        } else {
            update_groups::<LANES, false>(layer);
        }
    }
}

dispatched! {
    fn update_wide(layer: &mut Layer<'_>) {
        if layer.first {
            update_groups::<MAX_LANES, true>(layer);
        } else {
            update_groups::<MAX_LANES, false>(layer);
        }
    }
}

/// Room for what the bits of one group of checks say, from the start of a cache line.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Extrinsic([i8; MAX_DEGREE * MAX_LANES]);

impl Default for Extrinsic {
    fn default() -> Self {
        Self([0; MAX_DEGREE * MAX_LANES])
    }
}

/// What a group of checks has heard.
struct Check<const LANES: usize> {
    /// The least reliable input.
    smallest: [u8; LANES],
    /// The combination of all others.
    others: [u8; LANES],
    /// The exclusive or of all signs.
    sign: [i8; LANES],
}

impl<const LANES: usize> Check<LANES> {
    #[inline(always)]
    fn new() -> Self {
        Self { smallest: [MAX_RELIABILITY; LANES], others: [MAX_MESSAGE; LANES], sign: [0; LANES] }
    }

    #[inline(always)]
    fn add(&mut self, inputs: [i8; LANES]) {
        for (lane, input) in inputs.into_iter().enumerate() {
            let magnitude = input.unsigned_abs();
            let larger = magnitude.max(self.smallest[lane]);
            self.smallest[lane] = magnitude.min(self.smallest[lane]);
            self.others[lane] = box_plus(self.others[lane], larger);
            self.sign[lane] ^= input;
        }
    }
}

#[inline(always)]
fn update_groups<const LANES: usize, const FIRST: bool>(layer: &mut Layer<'_>) {
    let Layer { posterior, messages, extrinsic, sources, targets, extension, z, .. } = layer;
    let z = *z;
    let extrinsic = extrinsic.0[..MAX_DEGREE * LANES].as_chunks_mut::<LANES>().0;
    for start in (0..z).step_by(LANES) {
        let mut check = Check::new();
        if let Some(column) = extension {
            check.add(*group(posterior, *column + start));
        }
        for ((source, target), extrinsic) in sources.iter().zip(*targets).zip(&mut *extrinsic) {
            let values: [i8; LANES] = *group(posterior, source.start + position(source.offset, start, z));
            let old = if FIRST { [0; LANES] } else { *group(messages, target.message + start) };
            let mut inputs = [0; LANES];
            for lane in 0..LANES {
                inputs[lane] = values[lane].saturating_sub(old[lane]);
            }
            check.add(inputs);
            *extrinsic = inputs;
        }
        let Check { smallest, others, sign } = check;
        // What all others hear, and how what the least reliable input hears differs from it.
        let mut to_others = [0u8; LANES];
        let mut difference = [0u8; LANES];
        for lane in 0..LANES {
            to_others[lane] = box_plus(others[lane], smallest[lane]);
            difference[lane] = others[lane] ^ to_others[lane];
        }
        for (target, extrinsic) in targets.iter().zip(&*extrinsic) {
            let inputs = *extrinsic;
            let mut new = [0i8; LANES];
            let mut updated = [0i8; LANES];
            for lane in 0..LANES {
                let value = inputs[lane];
                // A mask, because the compiler makes a gather of a choice between two elements.
                let is_smallest = 0u8.wrapping_sub(u8::from(value.unsigned_abs() == smallest[lane]));
                let magnitude = (to_others[lane] ^ (difference[lane] & is_smallest)) as i8;
                let message = if sign[lane] ^ value < 0 { -magnitude } else { magnitude };
                new[lane] = message;
                updated[lane] = value.saturating_add(message);
            }
            messages[target.message + start..][..LANES].copy_from_slice(&new);
            posterior[target.posterior + start..][..LANES].copy_from_slice(&updated);
            if start == 0 {
                posterior[target.posterior + z..][..LANES].copy_from_slice(&updated);
            }
        }
    }
}

dispatched! {
    /// Whether all checks of a layer hold for the signs of the values.
    pub(super) fn parity_holds(posterior: &[i8], sources: &[Place], z: usize) -> bool {
        for start in (0..z).step_by(LANES) {
            let sign: [_; LANES] = exclusive_or(posterior, sources, start, z);
            if sign.iter().fold(0, |any, &lane| any | lane) < 0 {
                return false;
            }
        }
        true
    }
}

dispatched! {
    /// Makes a column, check 0 first, of the signs that let all checks of a layer hold.
    pub(super) fn solve(posterior: &mut [i8], sources: &[Place], target: usize, z: usize) {
        for start in (0..z).step_by(LANES) {
            let sign: [_; LANES] = exclusive_or(posterior, sources, start, z);
            posterior[target + start..][..LANES].copy_from_slice(&sign);
        }
        repeat_start(&mut posterior[target..], z);
    }
}
