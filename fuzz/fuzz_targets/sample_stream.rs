//! See [`semcast_fuzz::sample_stream`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| semcast_fuzz::sample_stream(bytes));
