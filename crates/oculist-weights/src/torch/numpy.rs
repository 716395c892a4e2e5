//! Arrays of NumPy among the weights.
//!
//! An array is a call of `_reconstruct` with the state `(version, shape, dtype, is it in Fortran's order, bytes)`; a dtype
//! a call of `numpy.dtype` with its code and the state `(version, byte order, ...)`; bytes are, in the protocol of PyTorch,
//! a text of their values that `_codecs.encode` takes back.

use std::borrow::Cow;

use oculist_graph::{DataType, Tensor};

use crate::elements;
use crate::pickle::{Id, Value, Values};

/// Whether a call of this makes an array.
pub(super) fn is_array(name: &str) -> bool {
    matches!(name, "numpy.core.multiarray._reconstruct" | "numpy._core.multiarray._reconstruct")
}

/// An array before its elements are copied.
pub(super) struct Array<'v> {
    pub(super) dtype: DataType,
    pub(super) len: usize,
    shape: Vec<usize>,
    bytes: Cow<'v, [u8]>,
}

/// The array of a state.
pub(super) fn array<'v>(values: &'v Values<'_>, state: Id) -> Result<Array<'v>, String> {
    let Some(&[_version, shape, dtype, fortran, bytes]) = values.sequence(state) else {
        return Err("expected an array of NumPy with shape, type and bytes".into());
    };
    let shape: Option<Vec<usize>> = values
        .sequence(shape)
        .filter(|axes| axes.len() <= 64)
        .and_then(|axes| axes.iter().map(|&i| usize::try_from(values.int(i)?).ok()).collect());
    let shape = shape.ok_or("expected a shape of at most 64 numbers from 0")?;
    let dtype = dtype_of(values, dtype)?;
    if matches!(values.get(fortran), Value::Bool(true)) && shape.len() > 1 {
        return Err("it is an array of NumPy in Fortran's order, which is not read".into());
    }
    let bytes = bytes_of(values, bytes).ok_or("expected the bytes of an array of NumPy")?;
    let len = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    match len.and_then(|len| len.checked_mul(dtype.size()).zip(Some(len))) {
        Some((expected, len)) if expected == bytes.len() => Ok(Array { dtype, len, shape, bytes }),
        _ => {
            Err(format!("its shape {shape:?} of {} does not go with its {} bytes", dtype.name(), bytes.len()))
        }
    }
}

impl Array<'_> {
    pub(super) fn tensor(self) -> Result<Tensor, String> {
        let data = elements::all(self.dtype, &self.bytes).ok_or("expected truth values to be 0 or 1")?;
        Tensor::new(self.shape, data).map_err(|e| e.to_string())
    }
}

fn dtype_of(values: &Values<'_>, id: Id) -> Result<DataType, String> {
    let code = (|| {
        let Value::Call { callee, args, state } = values.get(id) else { return None };
        if values.global(*callee)? != "numpy.dtype" {
            return None;
        }
        let order = state.and_then(|state| values.text(*values.sequence(state)?.get(1)?));
        Some((values.text(*values.sequence(*args)?.first()?)?, order.unwrap_or("<")))
    })();
    let (code, order) = code.ok_or("expected a type of NumPy")?;
    if order == ">" {
        return Err("expected numbers with the lowest byte first, found the highest".into());
    }
    Ok(match code {
        "f4" => DataType::F32,
        "f8" => DataType::F64,
        "f2" => DataType::F16,
        "u1" => DataType::U8,
        "i1" => DataType::I8,
        "u2" => DataType::U16,
        "i2" => DataType::I16,
        "u4" => DataType::U32,
        "i4" => DataType::I32,
        "u8" => DataType::U64,
        "i8" => DataType::I64,
        "b1" => DataType::Bool,
        other => return Err(format!("the type `{}` of NumPy is not supported", oculist_text::name(other))),
    })
}

fn bytes_of<'v>(values: &'v Values<'_>, id: Id) -> Option<Cow<'v, [u8]>> {
    match values.get(id) {
        Value::Bytes(bytes) => Some(Cow::Borrowed(bytes)),
        // Python 2 wrote bytes and texts alike.
        Value::Text(text) => Some(Cow::Borrowed(text.as_bytes())),
        Value::Call { callee, args, .. } if values.global(*callee)? == "_codecs.encode" => {
            let &[text, encoding] = values.sequence(*args)? else { return None };
            if values.text(encoding)? != "latin1" {
                return None;
            }
            let bytes = values.text(text)?.chars().map(|c| u8::try_from(u32::from(c)).ok());
            Some(Cow::Owned(bytes.collect::<Option<_>>()?))
        }
        _ => None,
    }
}
