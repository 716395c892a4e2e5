//! See `oculist_fuzz::graph`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oculist_fuzz::graph(bytes));
