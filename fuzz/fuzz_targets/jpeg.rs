//! See `oculist_fuzz::jpeg`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oculist_fuzz::jpeg(bytes));
