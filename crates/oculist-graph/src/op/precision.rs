//! Floating-point types as attributes: ONNX's numbers of element types.

use super::attributes::Attributes;
use crate::tensor::DataType;

const FLOATS: [(i64, DataType); 4] =
    [(1, DataType::F32), (10, DataType::F16), (11, DataType::F64), (16, DataType::BF16)];

/// The number of a floating-point type; that of 32-bit floats for any other.
pub(super) fn number(dtype: DataType) -> i64 {
    FLOATS.iter().find(|(_, t)| *t == dtype).map_or(1, |(n, _)| *n)
}

/// Reads a floating-point type, if given.
pub(super) fn read(attributes: &mut Attributes, name: &str) -> Result<Option<DataType>, String> {
    let Some(number) = attributes.int(name)? else { return Ok(None) };
    let found = FLOATS.iter().find(|(n, _)| *n == number).map(|(_, t)| Some(*t));
    found.ok_or_else(|| {
        format!("the attribute `{name}` is {number}, supported are 1 (f32), 10 (f16), 11 (f64) and 16 (bf16)")
    })
}
