//! Storages: where the elements of tensors lie.

use oculist_graph::DataType;

use crate::pickle::{Id, Value, Values};

/// The elements of a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Elements {
    /// Their type, if it is one that a graph has.
    pub(super) dtype: Option<DataType>,
    /// Bytes of each.
    pub(super) size: usize,
}

/// A storage as a pickle names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StorageNote<'v> {
    /// Its key in the file.
    pub(super) key: &'v str,
    /// Its class, such as `torch.FloatStorage`.
    pub(super) class: &'v str,
    pub(super) elements: Elements,
    /// Number of elements of the whole storage.
    pub(super) len: u64,
    /// First element and number of elements, where only a part of it is meant (files of before version 0.4).
    pub(super) view: Option<(u64, u64)>,
}

/// The storage that a value is.
pub(super) fn note<'v>(values: &'v Values<'_>, id: Id) -> Option<StorageNote<'v>> {
    let Value::Persistent(parts) = values.get(id) else { return None };
    let (&[kind, class, key, _device, len], rest) = values.sequence(*parts)?.split_first_chunk()?;
    if values.text(kind) != Some("storage") {
        return None;
    }
    let view = match rest.first().map(|&id| (values.get(id), values.sequence(id))) {
        None | Some((Value::None, _)) => None,
        Some((_, Some(&[_key, first, len]))) => {
            Some((u64::try_from(values.int(first)?).ok()?, u64::try_from(values.int(len)?).ok()?))
        }
        Some(_) => return None,
    };
    let class = values.global(class)?;
    Some(StorageNote {
        key: values.text(key)?,
        class,
        elements: elements_of(class)?,
        len: u64::try_from(values.int(len)?).ok()?,
        view,
    })
}

/// The elements of a class of storages.
fn elements_of(class: &str) -> Option<Elements> {
    let class = class.strip_prefix("torch.")?;
    let class = class.strip_prefix("cuda.").or(class.strip_prefix("storage.")).unwrap_or(class);
    let (dtype, size) = match class {
        "FloatStorage" => (Some(DataType::F32), 4),
        "DoubleStorage" => (Some(DataType::F64), 8),
        "HalfStorage" => (Some(DataType::F16), 2),
        "BFloat16Storage" => (Some(DataType::BF16), 2),
        "ByteStorage" | "UntypedStorage" | "_UntypedStorage" => (Some(DataType::U8), 1),
        "CharStorage" => (Some(DataType::I8), 1),
        "ShortStorage" => (Some(DataType::I16), 2),
        "IntStorage" => (Some(DataType::I32), 4),
        "LongStorage" => (Some(DataType::I64), 8),
        "BoolStorage" => (Some(DataType::Bool), 1),
        "QInt8Storage" | "QUInt8Storage" | "QUInt4x2Storage" | "QUInt2x4Storage" => (None, 1),
        "QInt32Storage" => (None, 4),
        "ComplexFloatStorage" => (None, 8),
        "ComplexDoubleStorage" => (None, 16),
        _ => return None,
    };
    Some(Elements { dtype, size })
}

/// The element type of a name such as `torch.float32`, as files of an untyped storage give it.
pub(super) fn dtype_of(name: &str) -> Option<DataType> {
    Some(match name.strip_prefix("torch.")? {
        "float32" | "float" => DataType::F32,
        "float64" | "double" => DataType::F64,
        "float16" | "half" => DataType::F16,
        "bfloat16" => DataType::BF16,
        "uint8" => DataType::U8,
        "int8" => DataType::I8,
        "uint16" => DataType::U16,
        "int16" | "short" => DataType::I16,
        "uint32" => DataType::U32,
        "int32" | "int" => DataType::I32,
        "uint64" => DataType::U64,
        "int64" | "long" => DataType::I64,
        "bool" => DataType::Bool,
        _ => return None,
    })
}
