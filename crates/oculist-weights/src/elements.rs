//! Elements of tensors as little-endian bytes.

use half::{bf16, f16};
use oculist_graph::{DataType, Tensor, TensorData};

/// Elements from little-endian bytes, those at `positions` (counted in elements); `None` if one is out of range, if a
/// truth value is neither 0 nor 1, or if the type has no form in files.
pub(crate) fn pick(
    dtype: DataType,
    bytes: &[u8],
    positions: impl Iterator<Item = usize>,
) -> Option<TensorData> {
    macro_rules! read {
        ($($variant:ident($element:ty)),*) => {
            match dtype {
                $(DataType::$variant => {
                    let chunks = bytes.as_chunks::<{ size_of::<$element>() }>().0;
                    let read = |i: usize| chunks.get(i).map(|b| <$element>::from_le_bytes(*b));
                    TensorData::$variant(positions.map(read).collect::<Option<_>>()?)
                })*
                DataType::Bool => {
                    let read = |i: usize| match bytes.get(i)? {
                        0 => Some(false),
                        1 => Some(true),
                        _ => None,
                    };
                    TensorData::Bool(positions.map(read).collect::<Option<_>>()?)
                }
                DataType::U4 | DataType::I4 => return None,
            }
        };
    }
    Some(read!(
        F32(f32),
        F64(f64),
        F16(f16),
        BF16(bf16),
        U8(u8),
        I8(i8),
        U16(u16),
        I16(i16),
        U32(u32),
        I32(i32),
        U64(u64),
        I64(i64)
    ))
}

/// All elements from little-endian bytes.
pub(crate) fn all(dtype: DataType, bytes: &[u8]) -> Option<TensorData> {
    pick(dtype, bytes, 0..bytes.len() / dtype.size())
}

/// The elements as little-endian bytes; `None` if the type has no form in files.
pub(crate) fn to_bytes(tensor: &Tensor) -> Option<Vec<u8>> {
    macro_rules! write {
        ($($variant:ident),*) => {
            match tensor.data() {
                $(TensorData::$variant(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),)*
                TensorData::Bool(v) => v.iter().map(|&x| u8::from(x)).collect(),
                TensorData::U4(_) | TensorData::I4(_) => return None,
            }
        };
    }
    Some(write!(F32, F64, F16, BF16, U8, I8, U16, I16, U32, I32, U64, I64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        for &dtype in DataType::ALL {
            let bytes: Vec<u8> = (0..16).map(|i| if dtype == DataType::Bool { i % 2 } else { i }).collect();
            let Some(data) = all(dtype, &bytes) else {
                assert!(matches!(dtype, DataType::U4 | DataType::I4));
                continue;
            };
            assert_eq!(data.len(), 16 / dtype.size());
            let tensor = Tensor::new(vec![data.len()], data).unwrap();
            assert_eq!(to_bytes(&tensor).unwrap(), bytes, "{}", dtype.name());
        }
    }

    #[test]
    fn what_is_out_of_range_is_none() {
        assert_eq!(
            pick(DataType::I16, &[1, 0, 2, 0, 3], [1, 0].into_iter()),
            Some(TensorData::I16(vec![2, 1]))
        );
        assert_eq!(pick(DataType::I16, &[1, 0, 2, 0, 3], [2].into_iter()), None);
        assert_eq!(all(DataType::Bool, &[0, 1, 2]), None);
    }
}
