//! See [`semcast_fuzz::models::region`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| semcast_fuzz::models::region(bytes));
