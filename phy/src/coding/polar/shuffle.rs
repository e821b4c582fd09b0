//! Moving lanes between paths: the one operation of the list decoder that the compiler does not vectorise.
//!
//! Values of L paths lie beside each other; a block of W of them is a whole number of such groups. A
//! [`Pattern`] tells for every lane of a group from which lane it takes its value.
//!
//! The decoder's loop is compiled once for each of the three types that implement [`Shuffle`]. All give the
//! same values.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Lanes of a large block: 512 bits.
pub(super) const LARGE: usize = 32;

/// Lanes of a small block: 128 bits.
pub(super) const SMALL: usize = 8;

/// Where the lanes of a large block come from; each group of `group` lanes moves alike.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Pattern {
    source: [i16; LARGE],
    group: usize,
}

impl Pattern {
    /// The pattern for groups as long as `source`, a divisor of [`LARGE`].
    #[inline(always)]
    pub fn new<const L: usize>(source: &[u32; L]) -> Self {
        let mut pattern = [0; LARGE];
        for (group, places) in pattern.as_chunks_mut::<L>().0.iter_mut().enumerate() {
            for lane in 0..L {
                places[lane] = (group * L) as i16 + source[lane] as i16;
            }
        }
        Self { source: pattern, group: L }
    }
}

/// How this processor moves lanes.
pub(super) trait Shuffle: Copy {
    /// The block of [`LARGE`] or [`SMALL`] lanes that come from where the pattern says.
    fn permute<const W: usize>(self, values: &[i16; W], pattern: &Pattern) -> [i16; W];

    /// The values of the lanes `source`.
    fn take<const L: usize>(self, values: &[u32; L], source: &[u32; L]) -> [u32; L];
}

/// What every target has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable;

impl Shuffle for Portable {
    #[inline(always)]
    fn permute<const W: usize>(self, values: &[i16; W], pattern: &Pattern) -> [i16; W] {
        std::array::from_fn(|lane| values[pattern.source[lane] as usize % W])
    }

    #[inline(always)]
    fn take<const L: usize>(self, values: &[u32; L], source: &[u32; L]) -> [u32; L] {
        std::array::from_fn(|lane| values[source[lane] as usize % L])
    }
}

/// 256-bit vectors.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(());

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    /// # Safety
    /// The processor has AVX2.
    pub unsafe fn new() -> Self {
        Self(())
    }
}

#[cfg(target_arch = "x86_64")]
impl Shuffle for Avx2 {
    #[inline(always)]
    fn permute<const W: usize>(self, values: &[i16; W], pattern: &Pattern) -> [i16; W] {
        if pattern.group > SMALL || !W.is_multiple_of(SMALL) {
            return Portable.permute(values, pattern);
        }
        let mut moved = [0; W];
        // SAFETY: AVX2 is there if there is an `Avx2`; loads and stores are of whole arrays of eight lanes.
        unsafe {
            let lanes = _mm_loadu_si128(pattern.source.as_ptr().cast());
            // Lane p is the bytes 2p and 2p + 1.
            let bytes = _mm_add_epi16(_mm_mullo_epi16(lanes, _mm_set1_epi16(0x0202)), _mm_set1_epi16(0x0100));
            let groups = moved.as_chunks_mut::<SMALL>().0.iter_mut().zip(values.as_chunks::<SMALL>().0);
            for (moved, values) in groups {
                let values = _mm_loadu_si128(values.as_ptr().cast());
                _mm_storeu_si128(moved.as_mut_ptr().cast(), _mm_shuffle_epi8(values, bytes));
            }
        }
        moved
    }

    #[inline(always)]
    fn take<const L: usize>(self, values: &[u32; L], source: &[u32; L]) -> [u32; L] {
        if L != 8 {
            return Portable.take(values, source);
        }
        let mut taken = [0; L];
        // SAFETY: as above; the arrays have eight values.
        unsafe {
            let source = _mm256_loadu_si256(source.as_ptr().cast());
            let values = _mm256_loadu_si256(values.as_ptr().cast());
            _mm256_storeu_si256(taken.as_mut_ptr().cast(), _mm256_permutevar8x32_epi32(values, source));
        }
        taken
    }
}

/// 512-bit vectors.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512(Avx2);

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    /// # Safety
    /// The processor has AVX-512 F, BW and VL, hence AVX2 too.
    pub unsafe fn new() -> Self {
        // SAFETY: as the caller says.
        Self(unsafe { Avx2::new() })
    }
}

#[cfg(target_arch = "x86_64")]
impl Shuffle for Avx512 {
    #[inline(always)]
    fn permute<const W: usize>(self, values: &[i16; W], pattern: &Pattern) -> [i16; W] {
        if W != LARGE {
            return self.0.permute(values, pattern);
        }
        let mut moved = [0; W];
        // SAFETY: AVX-512 is there if there is an `Avx512`; the arrays have 32 values.
        unsafe {
            let source = _mm512_loadu_si512(pattern.source.as_ptr().cast());
            let values = _mm512_loadu_si512(values.as_ptr().cast());
            _mm512_storeu_si512(moved.as_mut_ptr().cast(), _mm512_permutexvar_epi16(source, values));
        }
        moved
    }

    #[inline(always)]
    fn take<const L: usize>(self, values: &[u32; L], source: &[u32; L]) -> [u32; L] {
        if L != 32 {
            return self.0.take(values, source);
        }
        let mut taken = [0; L];
        // SAFETY: as above; the arrays have two times 16 values.
        unsafe {
            let low = _mm512_loadu_si512(values.as_ptr().cast());
            let high = _mm512_loadu_si512(values.as_ptr().add(16).cast());
            for (taken, source) in taken.as_chunks_mut::<16>().0.iter_mut().zip(source.as_chunks::<16>().0) {
                let source = _mm512_loadu_si512(source.as_ptr().cast());
                let values = _mm512_permutex2var_epi32(low, source, high);
                _mm512_storeu_si512(taken.as_mut_ptr().cast(), values);
            }
        }
        taken
    }
}
