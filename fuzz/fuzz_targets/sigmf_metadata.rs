//! See [`semcast_fuzz::sigmf_metadata`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| semcast_fuzz::sigmf_metadata(bytes));
