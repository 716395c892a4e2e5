//! See `oculist_fuzz::weights`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oculist_fuzz::weights(bytes));
