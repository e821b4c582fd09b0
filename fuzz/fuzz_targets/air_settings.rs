//! See [`semcast_fuzz::air_settings`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| semcast_fuzz::air_settings(bytes));
