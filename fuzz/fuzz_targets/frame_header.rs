//! See [`semcast_fuzz::frame_header`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| semcast_fuzz::frame_header(bytes));
