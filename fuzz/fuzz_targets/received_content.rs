//! See [`semcast_fuzz::models::received_content`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| semcast_fuzz::models::received_content(bytes));
