//! A receiver that listens to noise allocates nothing: it can do so for ever.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use num_complex::Complex32;
use semcast_phy::{detection_trial::RecordedNoise, numerology::Numerology, receive::Demodulator};

thread_local! {
    /// Allocations of this thread; others, such as the one that runs the tests, do not count.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, with a count.
struct Counting;

// SAFETY: every call is handed on to the system's allocator as it is; counting touches no memory but a
// thread-local number, which needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn noise_costs_no_allocation() {
    let recorded = RecordedNoise::new(1);
    let mut noise: Vec<Complex32> = Vec::new();
    (0..60).for_each(|seed| recorded.extend(seed, &mut noise));
    for (fft_size, cyclic_prefix, resource_blocks) in [(64, 16, 4), (512, 36, 25), (2048, 144, 100)] {
        let numerology = Numerology { fft_size, cyclic_prefix, resource_blocks, ..Numerology::default() };
        for piece in [1000, 4096, 100_000] {
            let mut demodulator = Demodulator::new(numerology);
            let mut listen = |samples: &[Complex32]| {
                let before = ALLOCATIONS.get();
                for piece in samples.chunks(piece) {
                    demodulator.push(piece, &mut |_| {});
                }
                ALLOCATIONS.get() - before
            };
            let (warm_up, rest) = noise.split_at(1_000_000);
            assert!(listen(warm_up) > 0, "allocations are counted");
            assert_eq!(listen(rest), 0, "FFT {fft_size}, pieces of {piece} samples");
        }
    }
}
