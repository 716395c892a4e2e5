//! Tensors between the graph and the file.

use oculist_graph::{DataType, Tensor, TensorData};

use crate::error::OnnxError;
use crate::proto::{ElementType, TensorProto};

/// The file's element type of the graph's.
pub(crate) fn element_type(dtype: DataType) -> ElementType {
    match dtype {
        DataType::F32 => ElementType::Float,
        DataType::U8 => ElementType::Uint8,
        DataType::I8 => ElementType::Int8,
        DataType::I32 => ElementType::Int32,
        DataType::I64 => ElementType::Int64,
    }
}

/// The elements as little-endian bytes.
pub(crate) fn raw_bytes(data: &TensorData) -> Vec<u8> {
    match data {
        TensorData::F32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        TensorData::U8(v) => v.clone(),
        TensorData::I8(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        TensorData::I32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        TensorData::I64(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

/// The tensor as the file holds it.
pub(crate) fn to_proto(name: &str, tensor: &Tensor) -> TensorProto {
    TensorProto {
        // A length in memory fits 63 bits.
        dims: tensor.shape().iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect(),
        data_type: Some(element_type(tensor.dtype()).into()),
        name: Some(name.to_owned()),
        raw_data: Some(raw_bytes(tensor.data())),
        ..TensorProto::default()
    }
}

/// The tensor of the file; booleans become unsigned bytes.
///
/// `owner` names it in errors: a tensor in an attribute has no name of its own.
pub(crate) fn from_proto(owner: &str, proto: &TensorProto) -> Result<Tensor, OnnxError> {
    let error = |problem: String| OnnxError::Tensor { tensor: owner.to_owned(), problem };
    if proto.data_location.unwrap_or(0) != 0 || !proto.external_data.is_empty() {
        let location = proto.external_data.iter().find(|e| e.key.as_deref() == Some("location"));
        let place = location.and_then(|e| e.value.as_deref()).unwrap_or("an unnamed file");
        return Err(error(format!(
            "its elements are kept outside the model, in `{place}`; only models in one file are supported"
        )));
    }
    let mut shape = Vec::with_capacity(proto.dims.len());
    for &dim in &proto.dims {
        shape.push(usize::try_from(dim).map_err(|_| error(format!("it has a dimension of size {dim}")))?);
    }
    let elements = shape
        .iter()
        .try_fold(1usize, |product, &dim| product.checked_mul(dim))
        .ok_or_else(|| error(format!("its shape {shape:?} is larger than memory")))?;
    let code = proto.data_type.unwrap_or(0);
    let kind = ElementType::try_from(code).unwrap_or(ElementType::Undefined);
    let raw = proto.raw_data.as_deref().filter(|raw| !raw.is_empty());
    let source = Source { proto, raw, elements, owner };
    let data = match kind {
        ElementType::Float => TensorData::F32(source.take(&proto.float_data, f32::from_le_bytes)?),
        ElementType::Uint8 | ElementType::Bool => TensorData::U8(source.narrow(u8::from_le_bytes)?),
        ElementType::Int8 => TensorData::I8(source.narrow(i8::from_le_bytes)?),
        ElementType::Int32 => TensorData::I32(source.take(&proto.int32_data, i32::from_le_bytes)?),
        ElementType::Int64 => TensorData::I64(source.take(&proto.int64_data, i64::from_le_bytes)?),
        ElementType::Undefined => {
            return Err(error(format!(
                "element type {} is not supported; supported are FLOAT, UINT8, INT8, INT32, INT64",
                type_name(code)
            )));
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
        let Some(raw) = self.raw else {
            self.expect(field.len(), self.elements, "elements")?;
            return Ok(field.to_vec());
        };
        self.expect(raw.len(), self.elements.saturating_mul(N), "bytes")?;
        let (chunks, _) = raw.as_chunks::<N>();
        Ok(chunks.iter().map(|&bytes| parse(bytes)).collect())
    }

    /// The same for the types that share `int32_data`.
    fn narrow<T: Copy + TryFrom<i32>>(&self, parse: fn([u8; 1]) -> T) -> Result<Vec<T>, OnnxError> {
        if self.raw.is_some() {
            return self.take(&[], parse);
        }
        let field = &self.proto.int32_data;
        self.expect(field.len(), self.elements, "elements")?;
        let narrowed = field.iter().map(|&v| T::try_from(v).map_err(|_| v)).collect::<Result<Vec<T>, i32>>();
        narrowed.map_err(|v| OnnxError::Tensor {
            tensor: self.owner.to_owned(),
            problem: format!("the element {v} does not fit its type"),
        })
    }

    fn expect(&self, found: usize, expected: usize, unit: &str) -> Result<(), OnnxError> {
        if found == expected {
            return Ok(());
        }
        Err(OnnxError::Tensor {
            tensor: self.owner.to_owned(),
            problem: format!("its shape {:?} needs {expected} {unit}, found {found}", self.proto.dims),
        })
    }
}
