//! See `oculist_fuzz::onnx`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oculist_fuzz::onnx(bytes));
