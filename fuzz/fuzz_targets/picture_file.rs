//! See [`semcast_fuzz::picture_file`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| semcast_fuzz::picture_file(bytes));
