//! Tensors between the graph and the file.

use half::{bf16, f16};
use oculist_graph::{DataType, Tensor, TensorData};

use crate::error::OnnxError;
use crate::external::{self, Beside};
use crate::proto::TensorProto;

/// The file's number for an element type.
pub(crate) fn element_code(dtype: DataType) -> i32 {
    i32::try_from(dtype.code()).unwrap_or(0)
}

/// The element type of the file's number.
pub(crate) fn element_type(code: i32) -> Option<DataType> {
    DataType::of_code(code.into())
}

/// The elements as little-endian bytes, as the file holds them: two 4-bit integers in a byte, the first one low.
pub(crate) fn raw_bytes(data: &TensorData) -> Vec<u8> {
    fn bytes<T: Copy, const N: usize>(values: &[T], to: fn(T) -> [u8; N]) -> Vec<u8> {
        values.iter().flat_map(|&x| to(x)).collect()
    }
    fn nibbles(values: impl Iterator<Item = u8>) -> Vec<u8> {
        let all: Vec<u8> = values.map(|v| v & 15).collect();
        all.chunks(2).map(|pair| pair[0] | pair.get(1).map_or(0, |high| high << 4)).collect()
    }
    match data {
        TensorData::F32(v) => bytes(v, f32::to_le_bytes),
        TensorData::F64(v) => bytes(v, f64::to_le_bytes),
        TensorData::F16(v) => bytes(v, f16::to_le_bytes),
        TensorData::BF16(v) => bytes(v, bf16::to_le_bytes),
        TensorData::U8(v) => v.clone(),
        TensorData::I8(v) => bytes(v, i8::to_le_bytes),
        TensorData::U16(v) => bytes(v, u16::to_le_bytes),
        TensorData::I16(v) => bytes(v, i16::to_le_bytes),
        TensorData::U32(v) => bytes(v, u32::to_le_bytes),
        TensorData::I32(v) => bytes(v, i32::to_le_bytes),
        TensorData::U64(v) => bytes(v, u64::to_le_bytes),
        TensorData::I64(v) => bytes(v, i64::to_le_bytes),
        TensorData::U4(v) => nibbles(v.iter().copied()),
        TensorData::I4(v) => nibbles(v.iter().map(|x| x.to_le_bytes()[0])),
        TensorData::Bool(v) => v.iter().map(|&x| u8::from(x)).collect(),
    }
}

/// The tensor as the file holds it.
pub(crate) fn to_proto(name: &str, tensor: &Tensor) -> TensorProto {
    TensorProto {
        // A length in memory fits 63 bits.
        dims: tensor.shape().iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect(),
        data_type: Some(element_code(tensor.dtype())),
        name: Some(name.to_owned()),
        raw_data: Some(raw_bytes(tensor.data())),
        ..TensorProto::default()
    }
}

/// The tensor of the file, or of one in the model's folder if that is known.
///
/// `owner` names it in errors: a tensor in an attribute has no name of its own.
pub(crate) fn from_proto(
    owner: &str,
    proto: &TensorProto,
    beside: Option<&Beside>,
) -> Result<Tensor, OnnxError> {
    let error = |problem: String| OnnxError::Tensor { tensor: owner.to_owned(), problem };
    let mut shape = Vec::with_capacity(proto.dims.len());
    for &dim in &proto.dims {
        shape.push(usize::try_from(dim).map_err(|_| error(format!("it has a dimension of size {dim}")))?);
    }
    let elements = if shape.contains(&0) {
        0
    } else {
        shape
            .iter()
            .try_fold(1usize, |product, &dim| product.checked_mul(dim))
            .ok_or_else(|| error(format!("its shape {shape:?} is larger than memory")))?
    };
    let code = proto.data_type.unwrap_or(0);
    let Some(dtype) = element_type(code) else {
        return Err(OnnxError::ElementType { owner: format!("tensor `{owner}`"), found: type_name(code) });
    };
    let outside = if external::is_outside(proto) {
        let beside = beside.ok_or_else(|| {
            error("its elements are kept in another file, and only the model itself was given".to_owned())
        })?;
        let packed = matches!(dtype, DataType::U4 | DataType::I4);
        let bytes = if packed { elements.div_ceil(2) } else { elements.saturating_mul(dtype.size()) };
        Some(beside.read(proto, bytes).map_err(error)?)
    } else {
        None
    };
    let raw = outside.as_deref().or(proto.raw_data.as_deref()).filter(|raw| !raw.is_empty());
    let source = Source { proto, raw, elements, owner };
    let data = match dtype {
        DataType::F32 => TensorData::F32(source.take(&proto.float_data, f32::from_le_bytes)?),
        DataType::F64 => TensorData::F64(source.take(&proto.double_data, f64::from_le_bytes)?),
        DataType::I32 => TensorData::I32(source.take(&proto.int32_data, i32::from_le_bytes)?),
        DataType::I64 => TensorData::I64(source.take(&proto.int64_data, i64::from_le_bytes)?),
        DataType::U64 => TensorData::U64(source.take(&proto.uint64_data, u64::from_le_bytes)?),
        DataType::U32 => {
            TensorData::U32(source.narrow(&proto.uint64_data, |v| v.try_into().ok(), u32::from_le_bytes)?)
        }
        DataType::U16 => TensorData::U16(source.small(u16::from_le_bytes)?),
        DataType::I16 => TensorData::I16(source.small(i16::from_le_bytes)?),
        DataType::U8 => TensorData::U8(source.small(u8::from_le_bytes)?),
        DataType::I8 => TensorData::I8(source.small(i8::from_le_bytes)?),
        // Half-width floats stand in the field as their bits.
        DataType::F16 => {
            TensorData::F16(source.small(u16::from_le_bytes)?.into_iter().map(f16::from_bits).collect())
        }
        DataType::BF16 => {
            TensorData::BF16(source.small(u16::from_le_bytes)?.into_iter().map(bf16::from_bits).collect())
        }
        DataType::Bool => {
            TensorData::Bool(source.small(u8::from_le_bytes)?.into_iter().map(|v| v != 0).collect())
        }
        DataType::U4 => TensorData::U4(source.nibbles()?),
        DataType::I4 => {
            let signed = |v: u8| i8::from_le_bytes([v << 4]) >> 4;
            TensorData::I4(source.nibbles()?.into_iter().map(signed).collect())
        }
    };
    Ok(Tensor::new(shape, data)?)
}

/// The name that the ONNX project gives to an element type.
pub(crate) fn type_name(code: i32) -> String {
    let names = [
        "UNDEFINED",
        "FLOAT",
        "UINT8",
        "INT8",
        "UINT16",
        "INT16",
        "INT32",
        "INT64",
        "STRING",
        "BOOL",
        "FLOAT16",
        "DOUBLE",
        "UINT32",
        "UINT64",
        "COMPLEX64",
        "COMPLEX128",
        "BFLOAT16",
        "FLOAT8E4M3FN",
        "FLOAT8E4M3FNUZ",
        "FLOAT8E5M2",
        "FLOAT8E5M2FNUZ",
        "UINT4",
        "INT4",
        "FLOAT4E2M1",
        "FLOAT8E8M0",
        "UINT2",
        "INT2",
    ];
    let name = usize::try_from(code).ok().and_then(|i| names.get(i));
    name.map_or_else(|| format!("number {code}"), |name| (*name).to_owned())
}

struct Source<'a> {
    proto: &'a TensorProto,
    raw: Option<&'a [u8]>,
    elements: usize,
    owner: &'a str,
}

impl Source<'_> {
    /// The elements from the raw bytes if there are any, else from the field of their type.
    fn take<T: Copy, const N: usize>(
        &self,
        field: &[T],
        parse: fn([u8; N]) -> T,
    ) -> Result<Vec<T>, OnnxError> {
        self.narrow(field, Some, parse)
    }

    /// The same for types that share a field with a wider one.
    fn narrow<T, W, const N: usize>(
        &self,
        field: &[W],
        to: fn(W) -> Option<T>,
        parse: fn([u8; N]) -> T,
    ) -> Result<Vec<T>, OnnxError>
    where
        W: Copy,
    {
        if let Some(raw) = self.raw {
            self.expect(raw.len(), self.elements.saturating_mul(N), "bytes")?;
            let (chunks, _) = raw.as_chunks::<N>();
            return Ok(chunks.iter().map(|&bytes| parse(bytes)).collect());
        }
        self.expect(field.len(), self.elements, "elements")?;
        let narrowed: Option<Vec<T>> = field.iter().map(|&v| to(v)).collect();
        narrowed.ok_or_else(|| self.error("an element does not fit its type".to_owned()))
    }

    /// The same for the types of at most 16 bits, which share `int32_data`.
    fn small<T: TryFrom<i32>, const N: usize>(&self, parse: fn([u8; N]) -> T) -> Result<Vec<T>, OnnxError> {
        self.narrow(&self.proto.int32_data, |v| T::try_from(v).ok(), parse)
    }

    /// 4-bit integers, two in a byte.
    fn nibbles(&self) -> Result<Vec<u8>, OnnxError> {
        let packed = Self { elements: self.elements.div_ceil(2), ..*self };
        let bytes = packed.small(u8::from_le_bytes)?;
        Ok(bytes.into_iter().flat_map(|b| [b & 15, b >> 4]).take(self.elements).collect())
    }

    fn expect(&self, found: usize, expected: usize, unit: &str) -> Result<(), OnnxError> {
        if found == expected {
            return Ok(());
        }
        Err(self.error(format!("its shape {:?} needs {expected} {unit}, found {found}", self.proto.dims)))
    }

    fn error(&self, problem: String) -> OnnxError {
        OnnxError::Tensor { tensor: self.owner.to_owned(), problem }
    }
}
