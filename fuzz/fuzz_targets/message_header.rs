//! See [`semcast_fuzz::message_header`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| semcast_fuzz::message_header(bytes));
