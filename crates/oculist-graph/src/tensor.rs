//! Constant tensors: parameters and quantisation constants, and whatever else a graph holds.

use std::sync::Arc;

use half::{bf16, f16};

use crate::error::GraphError;

macro_rules! element_types {
    ($($variant:ident($element:ty), $name:literal, $size:literal, $text:literal;)*) => {
        /// Element type of a value.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum DataType {
            $(#[doc = concat!($text, ".")] $variant,)*
        }

        impl DataType {
            /// All element types.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Bytes per element in memory (4-bit integers take one each).
            pub fn size(self) -> usize {
                match self {
                    $(Self::$variant => $size,)*
                }
            }

            /// Short name, as in the text dump.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        /// The elements of a tensor, row-major.
        #[derive(Debug, Clone, PartialEq)]
        pub enum TensorData {
            $(#[doc = concat!($text, ".")] $variant(Vec<$element>),)*
        }

        impl TensorData {
            /// Element type.
            pub fn dtype(&self) -> DataType {
                match self {
                    $(Self::$variant(_) => DataType::$variant,)*
                }
            }

            /// Number of elements.
            pub fn len(&self) -> usize {
                match self {
                    $(Self::$variant(v) => v.len(),)*
                }
            }

            /// Whether it has no element.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// The elements at the positions, in their order; none may be out of range.
            ///
            /// # Panics
            /// If a position is out of range.
            pub fn pick(&self, positions: impl Iterator<Item = usize>) -> Self {
                match self {
                    $(Self::$variant(v) => Self::$variant(positions.map(|i| v[i]).collect()),)*
                }
            }

            /// `len` elements of a type, all zero (false).
            pub fn zeros(dtype: DataType, len: usize) -> Self {
                match dtype {
                    $(DataType::$variant => Self::$variant(vec![<$element>::default(); len]),)*
                }
            }
        }
    };
}

element_types! {
    F32(f32), "f32", 4, "32-bit floats";
    F64(f64), "f64", 8, "64-bit floats";
    F16(f16), "f16", 2, "16-bit floats of IEEE 754";
    BF16(bf16), "bf16", 2, "16-bit floats with the exponent of 32-bit ones";
    U8(u8), "u8", 1, "Unsigned bytes";
    I8(i8), "i8", 1, "Signed bytes";
    U16(u16), "u16", 2, "Unsigned 16-bit integers";
    I16(i16), "i16", 2, "Signed 16-bit integers";
    U32(u32), "u32", 4, "Unsigned 32-bit integers";
    I32(i32), "i32", 4, "Signed 32-bit integers";
    U64(u64), "u64", 8, "Unsigned 64-bit integers";
    I64(i64), "i64", 8, "Signed 64-bit integers";
    U4(u8), "u4", 1, "Unsigned 4-bit integers, one a byte";
    I4(i8), "i4", 1, "Signed 4-bit integers, one a byte";
    Bool(bool), "bool", 1, "Truth values";
}

impl DataType {
    /// Whether it is a floating-point type.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64 | Self::F16 | Self::BF16)
    }

    /// The number that ONNX's `TensorProto` has for it, as attributes give it.
    pub fn code(self) -> i64 {
        match self {
            Self::F32 => 1,
            Self::U8 => 2,
            Self::I8 => 3,
            Self::U16 => 4,
            Self::I16 => 5,
            Self::I32 => 6,
            Self::I64 => 7,
            Self::Bool => 9,
            Self::F16 => 10,
            Self::F64 => 11,
            Self::U32 => 12,
            Self::U64 => 13,
            Self::BF16 => 16,
            Self::U4 => 21,
            Self::I4 => 22,
        }
    }

    /// The type that has a number in ONNX's `TensorProto`; `None` for texts, complex numbers and 8-bit floats.
    pub fn of_code(code: i64) -> Option<Self> {
        Self::ALL.iter().copied().find(|t| t.code() == code)
    }

    /// The type by the name that ONNX's `TensorProto` has for it, as old files give it.
    pub fn of_proto_name(name: &str) -> Option<Self> {
        Some(match name {
            "FLOAT" => Self::F32,
            "UINT8" => Self::U8,
            "INT8" => Self::I8,
            "UINT16" => Self::U16,
            "INT16" => Self::I16,
            "INT32" => Self::I32,
            "INT64" => Self::I64,
            "BOOL" => Self::Bool,
            "FLOAT16" => Self::F16,
            "DOUBLE" => Self::F64,
            "UINT32" => Self::U32,
            "UINT64" => Self::U64,
            _ => return None,
        })
    }

    /// Whether it is an integer type; truth values are none.
    pub fn is_integer(self) -> bool {
        !self.is_float() && self != Self::Bool
    }
}

/// A constant tensor, row-major. Copies share their elements until one is written to.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Arc<TensorData>,
}

/// Product of the sizes, `usize::MAX` where it is larger; 0 as soon as one is 0.
fn product(shape: &[usize]) -> usize {
    if shape.contains(&0) { 0 } else { shape.iter().fold(1, |n: usize, &d| n.saturating_mul(d)) }
}

impl Tensor {
    /// A tensor from shape and data.
    ///
    /// # Errors
    /// [`GraphError::TensorLength`] if the product of `shape` is not the number of elements.
    pub fn new(shape: Vec<usize>, data: TensorData) -> Result<Self, GraphError> {
        let found = data.len();
        // A product beyond usize cannot be the length of a vector.
        let expected = product(&shape);
        if expected == found {
            Ok(Self { shape, data: Arc::new(data) })
        } else {
            Err(GraphError::TensorLength { shape, expected, found })
        }
    }

    /// The same elements in another shape, shared with this tensor.
    ///
    /// # Errors
    /// [`GraphError::TensorLength`] if the product of `shape` is not the number of elements.
    pub fn reshaped(&self, shape: Vec<usize>) -> Result<Self, GraphError> {
        let (expected, found) = (product(&shape), self.data.len());
        if expected == found {
            Ok(Self { shape, data: Arc::clone(&self.data) })
        } else {
            Err(GraphError::TensorLength { shape, expected, found })
        }
    }

    /// A tensor of zeros (false).
    pub fn zeros(dtype: DataType, shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), data: Arc::new(TensorData::zeros(dtype, product(shape))) }
    }

    /// A float tensor.
    ///
    /// # Panics
    /// If the lengths differ: the caller computes both.
    pub fn f32(shape: &[usize], data: Vec<f32>) -> Self {
        Self::new(shape.to_vec(), TensorData::F32(data)).expect("shape and data made together")
    }

    /// A float tensor filled with one value.
    pub fn filled(shape: &[usize], value: f32) -> Self {
        Self::f32(shape, vec![value; shape.iter().product()])
    }

    /// A signed-byte tensor.
    ///
    /// # Panics
    /// If the lengths differ: the caller computes both.
    pub fn i8(shape: &[usize], data: Vec<i8>) -> Self {
        Self::new(shape.to_vec(), TensorData::I8(data)).expect("shape and data made together")
    }

    /// An unsigned-byte tensor.
    ///
    /// # Panics
    /// If the lengths differ: the caller computes both.
    pub fn u8(shape: &[usize], data: Vec<u8>) -> Self {
        Self::new(shape.to_vec(), TensorData::U8(data)).expect("shape and data made together")
    }

    /// A 32-bit integer tensor.
    ///
    /// # Panics
    /// If the lengths differ: the caller computes both.
    pub fn i32(shape: &[usize], data: Vec<i32>) -> Self {
        Self::new(shape.to_vec(), TensorData::I32(data)).expect("shape and data made together")
    }

    /// A vector of 64-bit integers: axes, a shape, pads.
    pub fn ints(data: Vec<i64>) -> Self {
        Self { shape: vec![data.len()], data: Arc::new(TensorData::I64(data)) }
    }

    /// The shape; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// The elements, copied only if another tensor shares them.
    pub fn into_data(self) -> TensorData {
        Arc::unwrap_or_clone(self.data)
    }

    /// Element type.
    pub fn dtype(&self) -> DataType {
        self.data.dtype()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Bytes of the elements.
    pub fn bytes(&self) -> usize {
        self.len() * self.dtype().size()
    }

    /// The floats, if it holds floats.
    pub fn as_f32(&self) -> Option<&[f32]> {
        if let TensorData::F32(v) = &*self.data { Some(v) } else { None }
    }

    /// The floats for writing, if it holds floats.
    pub fn as_f32_mut(&mut self) -> Option<&mut [f32]> {
        if let TensorData::F32(v) = Arc::make_mut(&mut self.data) { Some(v) } else { None }
    }

    /// The signed bytes, if it holds them.
    pub fn as_i8(&self) -> Option<&[i8]> {
        if let TensorData::I8(v) = &*self.data { Some(v) } else { None }
    }

    /// The unsigned bytes, if it holds them.
    pub fn as_u8(&self) -> Option<&[u8]> {
        if let TensorData::U8(v) = &*self.data { Some(v) } else { None }
    }

    /// The 32-bit integers, if it holds them.
    pub fn as_i32(&self) -> Option<&[i32]> {
        if let TensorData::I32(v) = &*self.data { Some(v) } else { None }
    }

    /// The 64-bit integers, if it holds them.
    pub fn as_i64(&self) -> Option<&[i64]> {
        if let TensorData::I64(v) = &*self.data { Some(v) } else { None }
    }

    /// The elements of an integer or truth-value tensor as 64-bit integers; `None` for floats and for numbers beyond
    /// their range.
    pub fn to_i64s(&self) -> Option<Vec<i64>> {
        Some(match &*self.data {
            TensorData::I64(v) => v.clone(),
            TensorData::I32(v) => v.iter().map(|&x| x.into()).collect(),
            TensorData::I16(v) => v.iter().map(|&x| x.into()).collect(),
            TensorData::I8(v) | TensorData::I4(v) => v.iter().map(|&x| x.into()).collect(),
            TensorData::U8(v) | TensorData::U4(v) => v.iter().map(|&x| x.into()).collect(),
            TensorData::U16(v) => v.iter().map(|&x| x.into()).collect(),
            TensorData::U32(v) => v.iter().map(|&x| x.into()).collect(),
            TensorData::U64(v) => v.iter().map(|&x| i64::try_from(x).ok()).collect::<Option<_>>()?,
            TensorData::Bool(v) => v.iter().map(|&x| x.into()).collect(),
            TensorData::F32(_) | TensorData::F64(_) | TensorData::F16(_) | TensorData::BF16(_) => {
                return None;
            }
        })
    }

    /// The elements as 32-bit floats, rounded where the type holds more.
    pub fn to_f32s(&self) -> Vec<f32> {
        match &*self.data {
            TensorData::F32(v) => v.clone(),
            TensorData::F64(v) => v.iter().map(|&x| x as f32).collect(),
            TensorData::F16(v) => v.iter().map(|&x| x.into()).collect(),
            TensorData::BF16(v) => v.iter().map(|&x| x.into()).collect(),
            TensorData::I64(v) => v.iter().map(|&x| x as f32).collect(),
            TensorData::I32(v) => v.iter().map(|&x| x as f32).collect(),
            TensorData::I16(v) => v.iter().map(|&x| x.into()).collect(),
            TensorData::I8(v) | TensorData::I4(v) => v.iter().map(|&x| x.into()).collect(),
            TensorData::U8(v) | TensorData::U4(v) => v.iter().map(|&x| x.into()).collect(),
            TensorData::U16(v) => v.iter().map(|&x| x.into()).collect(),
            TensorData::U32(v) => v.iter().map(|&x| x as f32).collect(),
            TensorData::U64(v) => v.iter().map(|&x| x as f32).collect(),
            TensorData::Bool(v) => v.iter().map(|&x| f32::from(u8::from(x))).collect(),
        }
    }

    /// The elements as 64-bit floats, rounded where the type holds more.
    pub fn to_f64s(&self) -> Vec<f64> {
        match &*self.data {
            TensorData::F64(v) => v.clone(),
            TensorData::I32(v) => v.iter().map(|&x| x.into()).collect(),
            TensorData::U32(v) => v.iter().map(|&x| x.into()).collect(),
            TensorData::I64(v) => v.iter().map(|&x| x as f64).collect(),
            TensorData::U64(v) => v.iter().map(|&x| x as f64).collect(),
            _ => self.to_f32s().into_iter().map(f64::from).collect(),
        }
    }

    /// The tensor with only the listed indices of `axis`, in the listed order.
    ///
    /// # Panics
    /// If `axis` or an index is out of range.
    pub fn select(&self, axis: usize, indices: &[usize]) -> Self {
        let outer: usize = self.shape[..axis].iter().product();
        let inner: usize = self.shape[axis + 1..].iter().product();
        let size = self.shape[axis];
        if let Some(i) = indices.iter().find(|&&i| i >= size) {
            panic!("index {i} out of range for axis of size {size}");
        }
        let positions = (0..outer).flat_map(|o| {
            indices.iter().flat_map(move |&i| {
                let start = (o * size + i) * inner;
                start..start + inner
            })
        });
        let data = Arc::new(self.data.pick(positions));
        let mut shape = self.shape.clone();
        shape[axis] = indices.len();
        Self { shape, data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_checked() {
        let error = Tensor::new(vec![2, 3], TensorData::F32(vec![0.0; 5])).unwrap_err();
        assert_eq!(error, GraphError::TensorLength { shape: vec![2, 3], expected: 6, found: 5 });
    }

    #[test]
    fn a_shape_beyond_memory_is_refused() {
        // 2^33 * 2^31 wraps to zero, which an empty vector must not match.
        let error = Tensor::new(vec![1 << 33, 1 << 31], TensorData::F32(Vec::new())).unwrap_err();
        assert!(matches!(error, GraphError::TensorLength { expected: usize::MAX, found: 0, .. }), "{error}");
    }

    #[test]
    fn a_scalar_has_one_element() {
        let t = Tensor::f32(&[], vec![2.5]);
        assert_eq!((t.len(), t.bytes(), t.is_empty()), (1, 4, false));
        assert_eq!(t.dtype(), DataType::F32);
        assert!(t.as_i8().is_none() && t.as_u8().is_none() && t.as_i32().is_none());
    }

    #[test]
    fn bytes_follow_the_element_type() {
        assert_eq!(Tensor::i8(&[3], vec![1, 2, 3]).bytes(), 3);
        assert_eq!(Tensor::u8(&[3], vec![1, 2, 3]).as_u8().unwrap(), &[1, 2, 3]);
        assert_eq!(Tensor::i32(&[3], vec![1, 2, 3]).bytes(), 12);
        let long = Tensor::new(vec![2], TensorData::I64(vec![1, 2])).unwrap();
        assert_eq!((long.bytes(), long.dtype().name()), (16, "i64"));
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn select_refuses_an_index_beyond_the_axis() {
        let _ = Tensor::filled(&[2, 3], 0.0).select(0, &[2]);
    }

    #[test]
    fn select_keeps_order_along_any_axis() {
        let t = Tensor::f32(&[2, 3, 2], (0..12u8).map(f32::from).collect());
        let s = t.select(1, &[2, 0]);
        assert_eq!(s.shape(), &[2, 2, 2]);
        assert_eq!(s.as_f32().unwrap(), &[4.0, 5.0, 0.0, 1.0, 10.0, 11.0, 6.0, 7.0]);
        assert_eq!(t.select(0, &[1]).as_f32().unwrap(), &[6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
    }
}
