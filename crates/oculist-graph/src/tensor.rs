//! Constant tensors: parameters and quantisation constants.

use crate::error::GraphError;

/// Element type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// 32-bit float.
    F32,
    /// Unsigned byte.
    U8,
    /// Signed byte.
    I8,
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
}

impl DataType {
    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            Self::F32 | Self::I32 => 4,
            Self::U8 | Self::I8 => 1,
            Self::I64 => 8,
        }
    }

    /// Short name, as in the text dump.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::I32 => "i32",
            Self::I64 => "i64",
        }
    }
}

/// The elements of a tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum TensorData {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// Unsigned bytes.
    U8(Vec<u8>),
    /// Signed bytes.
    I8(Vec<i8>),
    /// 32-bit integers.
    I32(Vec<i32>),
    /// 64-bit integers.
    I64(Vec<i64>),
}

/// A constant tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: TensorData,
}

impl Tensor {
    /// A tensor from shape and data.
    ///
    /// # Errors
    /// [`GraphError::TensorLength`] if the product of `shape` is not the number of elements.
    pub fn new(shape: Vec<usize>, data: TensorData) -> Result<Self, GraphError> {
        let found = match &data {
            TensorData::F32(v) => v.len(),
            TensorData::U8(v) => v.len(),
            TensorData::I8(v) => v.len(),
            TensorData::I32(v) => v.len(),
            TensorData::I64(v) => v.len(),
        };
        // A product beyond usize cannot be the length of a vector.
        let expected = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).unwrap_or(usize::MAX);
        if expected == found {
            Ok(Self { shape, data })
        } else {
            Err(GraphError::TensorLength { shape, expected, found })
        }
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

    /// The shape; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// Element type.
    pub fn dtype(&self) -> DataType {
        match &self.data {
            TensorData::F32(_) => DataType::F32,
            TensorData::U8(_) => DataType::U8,
            TensorData::I8(_) => DataType::I8,
            TensorData::I32(_) => DataType::I32,
            TensorData::I64(_) => DataType::I64,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the elements.
    pub fn bytes(&self) -> usize {
        self.len() * self.dtype().size()
    }

    /// The floats, if it holds floats.
    pub fn as_f32(&self) -> Option<&[f32]> {
        if let TensorData::F32(v) = &self.data { Some(v) } else { None }
    }

    /// The floats for writing, if it holds floats.
    pub fn as_f32_mut(&mut self) -> Option<&mut [f32]> {
        if let TensorData::F32(v) = &mut self.data { Some(v) } else { None }
    }

    /// The signed bytes, if it holds them.
    pub fn as_i8(&self) -> Option<&[i8]> {
        if let TensorData::I8(v) = &self.data { Some(v) } else { None }
    }

    /// The unsigned bytes, if it holds them.
    pub fn as_u8(&self) -> Option<&[u8]> {
        if let TensorData::U8(v) = &self.data { Some(v) } else { None }
    }

    /// The 32-bit integers, if it holds them.
    pub fn as_i32(&self) -> Option<&[i32]> {
        if let TensorData::I32(v) = &self.data { Some(v) } else { None }
    }

    /// The tensor with only the listed indices of `axis`, in the listed order.
    ///
    /// # Panics
    /// If `axis` or an index is out of range.
    pub fn select(&self, axis: usize, indices: &[usize]) -> Self {
        let outer: usize = self.shape[..axis].iter().product();
        let inner: usize = self.shape[axis + 1..].iter().product();
        let size = self.shape[axis];
        fn pick<T: Copy>(v: &[T], outer: usize, size: usize, inner: usize, indices: &[usize]) -> Vec<T> {
            let mut out = Vec::with_capacity(outer * indices.len() * inner);
            for o in 0..outer {
                for &i in indices {
                    assert!(i < size, "index {i} out of range for axis of size {size}");
                    let start = (o * size + i) * inner;
                    out.extend_from_slice(&v[start..start + inner]);
                }
            }
            out
        }
        let data = match &self.data {
            TensorData::F32(v) => TensorData::F32(pick(v, outer, size, inner, indices)),
            TensorData::U8(v) => TensorData::U8(pick(v, outer, size, inner, indices)),
            TensorData::I8(v) => TensorData::I8(pick(v, outer, size, inner, indices)),
            TensorData::I32(v) => TensorData::I32(pick(v, outer, size, inner, indices)),
            TensorData::I64(v) => TensorData::I64(pick(v, outer, size, inner, indices)),
        };
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
