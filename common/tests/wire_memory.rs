//! Decoding allocates little, whatever lengths the bytes claim. Counts the largest single allocation, so
//! this test has a process of its own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use semcast_common::wire::{MAX_MESSAGE_BYTES, VERSION, decode};

struct Watching;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes everything on to the system's allocator and only looks at the sizes.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        // SAFETY: the caller's promises are the same.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

#[test]
fn claimed_lengths_are_not_believed() {
    // Every length that bincode can write, at every place near the beginning of every message.
    let claims: [&[u8]; 4] = [
        &[250],
        &[251, 0xff, 0xff],
        &[252, 0xff, 0xff, 0xff, 0x7f],
        &[253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    ];
    let mut decoded = 0;
    for variant in 0..18u8 {
        for before in 0..40 {
            for claim in claims {
                for fill in [0u8, 1] {
                    let mut bytes = vec![VERSION, variant];
                    bytes.extend(std::iter::repeat_n(fill, before));
                    bytes.extend_from_slice(claim);
                    bytes.extend_from_slice(&[0; 64]);
                    decoded += usize::from(decode(&bytes).is_ok());
                }
            }
        }
    }
    // A few of them happen to be messages with a large number in a field.
    assert!(decoded < 1000, "{decoded}");
    let longest = LARGEST.load(Ordering::Relaxed);
    assert!(longest <= 2 * MAX_MESSAGE_BYTES, "an allocation of {longest} bytes");
}
