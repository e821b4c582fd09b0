//! One layer of the min-sum decoder: the Z checks of a base row, [`LANES`] of them at a time.
//!
//! The a posteriori values of a column are stored rotated, so that lane `r` of a layer needs element
//! `offset + r`, and repeated beyond Z, so that a group of lanes may run over the end. Lanes beyond
//! Z then repeat the first ones, and a result can be stored group by group in the order of the checks.
//! The old and the new values of a column are in two different places; hence no group reads what
//! another one has written.
//!
//! Each body is compiled three times, and the processor decides at run time which one runs.

/// Checks that are worked on together.
pub(super) const LANES: usize = 32;

/// The greatest number of entries in a base row.
pub(super) const MAX_DEGREE: usize = 19;

/// Where a layer finds one of its columns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Edge {
    /// Start of the column's current a posteriori values.
    pub source: usize,
    /// The element that belongs to check 0.
    pub offset: usize,
    /// Where the new values of the column go, check 0 first.
    pub target: usize,
    /// Start of the check-to-bit messages of this entry.
    pub message: usize,
}

/// Which compiled version of the layer this processor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instructions {
    /// 512-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// 256-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What the target guarantees.
    Portable,
}

impl Instructions {
    /// The best version for this processor.
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
            {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// Every version that this processor can run.
    #[cfg(test)]
    pub(super) fn all_available() -> Vec<Self> {
        let mut versions = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                versions.push(Self::Avx2);
            }
            if Self::detect() == Self::Avx512 {
                versions.push(Self::Avx512);
            }
        }
        versions
    }

    /// Updates the a posteriori values and the messages of a layer.
    pub(super) fn update(self, posterior: &mut [i16], messages: &mut [i8], edges: &[Edge], z: usize) {
        match self {
            // SAFETY: whoever made one of these two has detected the instructions.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { update_avx512(posterior, messages, edges, z) },
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { update_avx2(posterior, messages, edges, z) },
            Self::Portable => update(posterior, messages, edges, z),
        }
    }

    /// Whether all checks of a layer hold for the signs of the values at each edge's source.
    pub(super) fn parity_holds(self, posterior: &[i16], edges: &[Edge], z: usize) -> bool {
        match self {
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { parity_holds_avx512(posterior, edges, z) },
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { parity_holds_avx2(posterior, edges, z) },
            Self::Portable => parity_holds(posterior, edges, z),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn update_avx512(posterior: &mut [i16], messages: &mut [i8], edges: &[Edge], z: usize) {
    update(posterior, messages, edges, z);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn parity_holds_avx512(posterior: &[i16], edges: &[Edge], z: usize) -> bool {
    parity_holds(posterior, edges, z)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn parity_holds_avx2(posterior: &[i16], edges: &[Edge], z: usize) -> bool {
    parity_holds(posterior, edges, z)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn update_avx2(posterior: &mut [i16], messages: &mut [i8], edges: &[Edge], z: usize) {
    update(posterior, messages, edges, z);
}

/// Normalisation of a minimum in sixteenths, since min-sum overrates the reliability of a check.
///
/// Found by simulation: 13 for all rows costs 0.15 dB at rate 1/5, 11 for all rows 0.2 dB at rate 2/3.
pub(super) const fn normalisation(degree: usize) -> i16 {
    if degree <= 7 { 11 } else { 13 }
}

/// The magnitude of a message for the minimum of its inputs.
#[inline(always)]
pub(super) fn correction(minimum: i16, normalisation: i16) -> i16 {
    // 156 · 13 / 16 is the greatest result, and fits into the eight bits of a message.
    (minimum.min(156) * normalisation) >> 4
}

#[inline(always)]
fn update(posterior: &mut [i16], messages: &mut [i8], edges: &[Edge], z: usize) {
    let normalisation = normalisation(edges.len());
    let mut extrinsic = [[0i16; LANES]; MAX_DEGREE];
    for start in (0..z).step_by(LANES) {
        let mut smallest = [i16::MAX; LANES];
        let mut second = [i16::MAX; LANES];
        let mut sign = [0i16; LANES];
        for (edge, extrinsic) in edges.iter().zip(&mut extrinsic) {
            let values = group(posterior, edge.source + position(edge.offset, start, z));
            let old = group(messages, edge.message + start);
            for lane in 0..LANES {
                let value = values[lane] - i16::from(old[lane]);
                let magnitude = value.abs();
                extrinsic[lane] = value;
                sign[lane] ^= value;
                second[lane] = second[lane].min(magnitude.max(smallest[lane]));
                smallest[lane] = smallest[lane].min(magnitude);
            }
        }
        let mut towards_others = [0i16; LANES];
        let mut difference = [0i16; LANES];
        for lane in 0..LANES {
            towards_others[lane] = correction(smallest[lane], normalisation);
            difference[lane] = correction(second[lane], normalisation) - towards_others[lane];
        }
        for (edge, extrinsic) in edges.iter().zip(&extrinsic) {
            let mut new = [0i8; LANES];
            let mut updated = [0i16; LANES];
            for lane in 0..LANES {
                let value = extrinsic[lane];
                // If two entries share the minimum, the second smallest equals it as well. A mask
                // instead of a branch, because the compiler makes a gather of the branch.
                let is_smallest = -i16::from(value.abs() == smallest[lane]);
                let magnitude = towards_others[lane] + (difference[lane] & is_smallest);
                let negative = (sign[lane] ^ value) >> 15;
                let message = (magnitude ^ negative) - negative;
                new[lane] = message as i8;
                updated[lane] = value + message;
            }
            messages[edge.message + start..][..LANES].copy_from_slice(&new);
            posterior[edge.target + start..][..LANES].copy_from_slice(&updated);
        }
    }
    for edge in edges {
        repeat_start(&mut posterior[edge.target..], z);
    }
}

#[inline(always)]
fn parity_holds(posterior: &[i16], edges: &[Edge], z: usize) -> bool {
    (0..z).step_by(LANES).all(|start| {
        let mut sign = [0i16; LANES];
        for edge in edges {
            let values = group(posterior, edge.source + position(edge.offset, start, z));
            for lane in 0..LANES {
                sign[lane] ^= values[lane];
            }
        }
        sign.iter().fold(0, |any, &lane| any | lane) >= 0
    })
}

/// Continues the period of Z as far as a group that starts inside it may reach.
pub(super) fn repeat_start(column: &mut [i16], z: usize) {
    if z >= LANES {
        column.copy_within(..LANES, z);
    } else {
        for index in z..z + LANES {
            column[index] = column[index - z];
        }
    }
}

/// Elements that a column takes, with its repeated start and room for the last group.
pub(super) const fn column_stride(z: usize) -> usize {
    z.next_multiple_of(LANES) + LANES
}

#[inline(always)]
fn position(offset: usize, start: usize, z: usize) -> usize {
    let position = offset + start;
    if position >= z { position - z } else { position }
}

#[inline(always)]
fn group<T>(values: &[T], start: usize) -> &[T; LANES] {
    values[start..].first_chunk().expect("a column is followed by its repeated start")
}
