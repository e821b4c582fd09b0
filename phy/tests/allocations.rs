//! A receiver that listens to noise allocates nothing, so it can do so for ever; one that receives frames allocates what
//! it hands on, and little else.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;
use num_complex::Complex32;
use semcast_phy::{
    allocation::{Record, Strategy},
    channel::{Channel, ChannelConfig},
    detection_trial::RecordedNoise,
    framing::{Frame, Segment},
    modulation::mcs::Mcs,
    numerology::Numerology,
    receive::Demodulator,
    transmit::Modulator,
};

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

const GRIDS: [(usize, usize, usize); 3] = [(64, 16, 4), (512, 36, 25), (2048, 144, 100)];

fn grids() -> impl Iterator<Item = Numerology> {
    GRIDS.into_iter().map(|(fft_size, cyclic_prefix, resource_blocks)| Numerology {
        fft_size,
        cyclic_prefix,
        resource_blocks,
        ..Numerology::default()
    })
}

#[test]
fn noise_costs_no_allocation() {
    let recorded = RecordedNoise::new(1);
    let mut noise: Vec<Complex32> = Vec::new();
    (0..60).for_each(|seed| recorded.extend(seed, &mut noise));
    for numerology in grids() {
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
            assert_eq!(listen(rest), 0, "FFT {}, pieces of {piece} samples", numerology.fft_size);
        }
    }
}

fn coded(bytes: usize) -> Segment {
    Segment::Coded {
        mcs: Mcs::select(20.0, 3.0).index(),
        redundancy_version: 0,
        bytes: vec![7; bytes].into(),
    }
}

fn analog(symbols: usize) -> Segment {
    Segment::Analog { symbols: vec![Complex32::new(0.6, -0.8); symbols] }
}

/// Frames until the receiver has the buffers that it needs, and frames after them.
const WARM_UP: usize = 60;
const COUNTED: usize = 40;

/// Equal frames with gaps over a noisy channel with several paths, and where the warm-up ends.
fn stream(numerology: Numerology, frame: &Frame) -> (Vec<Complex32>, usize) {
    let config = ChannelConfig {
        profile: "multipath".parse().expect("a known profile"),
        snr_db: Some(25.0),
        cfo_hz: 300.0,
        occupied_fraction: numerology.occupied_fraction(),
        seed: 5,
        ..ChannelConfig::default()
    };
    let mut channel = Channel::new(config, numerology.sample_rate_hz).expect("a valid channel");
    let mut modulator = Modulator::new(numerology);
    let (mut burst, mut samples, mut warm) = (Vec::new(), Vec::new(), 0);
    for number in 0..WARM_UP + COUNTED {
        if number == WARM_UP {
            warm = samples.len();
        }
        burst.clear();
        modulator.modulate(frame, &mut burst).expect("a valid frame");
        channel.process(&burst, &mut samples);
        channel.flush(4 * numerology.symbol_samples(), &mut samples);
    }
    channel.flush(10_000, &mut samples);
    (samples, warm)
}

/// Allocations of a received frame: carrier and channel, header, control block, list of segments, what a segment holds.
fn handed_on(frame: &Frame) -> usize {
    let each = |segment: &Segment| match segment {
        Segment::Coded { .. } => 1,
        Segment::Analog { .. } => 2,
    };
    let allocation = if frame.allocation.is_some() { 6 } else { 0 };
    9 + allocation + frame.segments.iter().map(each).sum::<usize>()
}

#[test]
fn a_frame_costs_what_is_handed_on() {
    for numerology in grids() {
        let blocks = numerology.resource_blocks;
        let allocation = Record::new(Strategy::Random { seed: 3 }, blocks, &[], &[0, 1], &[3, 3], &[-2, 0]);
        let allocation = allocation.expect("an allocation within all limits");
        for (segments, allocation) in [
            (vec![], None),
            (vec![analog(2000)], None),
            (vec![coded(1500), analog(2000), coded(60), coded(10)], None),
            (vec![coded(1500), analog(2000)], Some(allocation)),
        ] {
            let control = Bytes::from_static(&[1; 40]);
            let frame = Frame { transmitter: 1, control, allocation, segments, ..Frame::default() };
            let (samples, warm) = stream(numerology, &frame);
            let mut demodulator = Demodulator::new(numerology);
            let mut listen = |samples: &[Complex32]| {
                let (before, mut frames) = (ALLOCATIONS.get(), 0);
                for piece in samples.chunks(4096) {
                    demodulator.push(piece, &mut |_| frames += 1);
                }
                (ALLOCATIONS.get() - before, frames)
            };
            let (warm_up, rest) = samples.split_at(warm);
            listen(warm_up);
            let (allocations, frames) = listen(rest);
            let what = format!("FFT {}, {} segments", numerology.fft_size, frame.segments.len());
            assert!(frames >= COUNTED, "{what}: {frames} frames");
            // And one for a channel fit that is larger than the one whose place it takes.
            let most = frames * (handed_on(&frame) + 1);
            assert!(allocations <= most, "{what}: {allocations} allocations of {most} in {frames} frames");
        }
    }
}
