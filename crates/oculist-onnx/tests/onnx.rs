//! The crate seen from outside: round trips, ONNX's checker and ONNX Runtime, foreign models, damaged bytes.

#[path = "onnx/cases.rs"]
mod cases;
#[path = "onnx/compare.rs"]
mod compare;
#[path = "onnx/damage.rs"]
mod damage;
#[path = "onnx/foreign.rs"]
mod foreign;
#[path = "onnx/networks.rs"]
mod networks;
#[path = "onnx/older.rs"]
mod older;
#[path = "onnx/oracle.rs"]
mod oracle;
#[path = "onnx/roundtrip.rs"]
mod roundtrip;
