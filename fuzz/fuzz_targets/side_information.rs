//! See [`semcast_fuzz::models::side_information`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| semcast_fuzz::models::side_information(bytes));
