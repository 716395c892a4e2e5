//! Floating-point types as attributes.

use super::attributes::Attributes;
use super::types::coded;
use crate::tensor::DataType;

/// Reads a floating-point type, if given.
pub(super) fn read(attributes: &mut Attributes, name: &str) -> Result<Option<DataType>, String> {
    let Some(code) = attributes.int(name)? else { return Ok(None) };
    let dtype = coded(name, code)?;
    if dtype.is_float() {
        Ok(Some(dtype))
    } else {
        Err(format!("the attribute `{name}` is {code} ({}), expected a floating-point type", dtype.name()))
    }
}
