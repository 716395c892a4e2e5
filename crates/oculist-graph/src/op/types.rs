//! Element types that many operators share.

use super::schema::Given;
use crate::tensor::DataType;

/// The types of arithmetic: all but truth values and 4-bit integers.
pub(super) const NUMBERS: &[DataType] = &[
    DataType::F32,
    DataType::F64,
    DataType::F16,
    DataType::BF16,
    DataType::U8,
    DataType::I8,
    DataType::U16,
    DataType::I16,
    DataType::U32,
    DataType::I32,
    DataType::U64,
    DataType::I64,
];

/// The types of sums along axes.
pub(super) const SUMMED: &[DataType] = &[
    DataType::F32,
    DataType::F64,
    DataType::F16,
    DataType::BF16,
    DataType::U32,
    DataType::I32,
    DataType::U64,
    DataType::I64,
];

/// The types of indices.
pub(super) const INDICES: &[DataType] = &[DataType::I64, DataType::I32];

/// Refuses input `i` if it is given and has more than one element.
pub(super) fn expect_scalar(given: &Given, i: usize, what: &str) -> Result<(), String> {
    let Some(seen) = given.get(i) else { return Ok(()) };
    if seen.shape.dims().iter().all(|d| d.size().is_none_or(|n| n == 1)) {
        return Ok(());
    }
    Err(format!("{what} must be a single number, found the shape {}", seen.shape))
}

/// The only element of a constant or computed input, if it is known.
pub(super) fn scalar(given: &Given, i: usize) -> Option<i64> {
    if let Some([v]) = given.ints(i).as_deref() { Some(*v) } else { None }
}

/// An element type from the code that ONNX's `TensorProto` has for it.
pub(super) fn coded(name: &str, code: i64) -> Result<DataType, String> {
    DataType::of_code(code).ok_or_else(|| {
        let known: Vec<String> =
            DataType::ALL.iter().map(|t| format!("{} ({})", t.code(), t.name())).collect();
        format!("the attribute `{name}` is {code}, supported are the element types {}", known.join(", "))
    })
}
