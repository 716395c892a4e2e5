//! Tensors in other element types.

use half::{bf16, f16};
use oculist_graph::{DataType, Tensor, TensorData};

/// A tensor in another element type: floats to integers are cut towards zero and kept within the type's range (that of
/// 32-bit integers for 4-bit ones, which wrap), integers wrap, anything but zero is true.
pub fn cast(tensor: &Tensor, to: DataType) -> Tensor {
    if tensor.dtype() == to {
        return tensor.clone();
    }
    /// Integers of a source type to any type.
    fn integers(values: impl Iterator<Item = i128>, to: DataType) -> TensorData {
        match to {
            DataType::F32 => TensorData::F32(values.map(|v| v as f32).collect()),
            DataType::F64 => TensorData::F64(values.map(|v| v as f64).collect()),
            DataType::F16 => TensorData::F16(values.map(|v| f16::from_f64(v as f64)).collect()),
            DataType::BF16 => TensorData::BF16(values.map(|v| bf16::from_f64(v as f64)).collect()),
            DataType::U8 => TensorData::U8(values.map(|v| v as u8).collect()),
            DataType::I8 => TensorData::I8(values.map(|v| v as i8).collect()),
            DataType::U16 => TensorData::U16(values.map(|v| v as u16).collect()),
            DataType::I16 => TensorData::I16(values.map(|v| v as i16).collect()),
            DataType::U32 => TensorData::U32(values.map(|v| v as u32).collect()),
            DataType::I32 => TensorData::I32(values.map(|v| v as i32).collect()),
            DataType::U64 => TensorData::U64(values.map(|v| v as u64).collect()),
            DataType::I64 => TensorData::I64(values.map(|v| v as i64).collect()),
            DataType::U4 => TensorData::U4(values.map(|v| v as u8 & 15).collect()),
            // The low four bits with their sign.
            DataType::I4 => TensorData::I4(values.map(|v| ((v as i8) << 4) >> 4).collect()),
            DataType::Bool => TensorData::Bool(values.map(|v| v != 0).collect()),
        }
    }
    fn floats(values: impl Iterator<Item = f64>, to: DataType) -> TensorData {
        match to {
            DataType::F32 => TensorData::F32(values.map(|v| v as f32).collect()),
            DataType::F64 => TensorData::F64(values.collect()),
            DataType::F16 => TensorData::F16(values.map(f16::from_f64).collect()),
            DataType::BF16 => TensorData::BF16(values.map(bf16::from_f64).collect()),
            DataType::U8 => TensorData::U8(values.map(|v| v as u8).collect()),
            DataType::I8 => TensorData::I8(values.map(|v| v as i8).collect()),
            DataType::U16 => TensorData::U16(values.map(|v| v as u16).collect()),
            DataType::I16 => TensorData::I16(values.map(|v| v as i16).collect()),
            DataType::U32 => TensorData::U32(values.map(|v| v as u32).collect()),
            DataType::I32 => TensorData::I32(values.map(|v| v as i32).collect()),
            DataType::U64 => TensorData::U64(values.map(|v| v as u64).collect()),
            DataType::I64 => TensorData::I64(values.map(|v| v as i64).collect()),
            // Beyond the range the low four bits are left, as ONNX's reference has it.
            DataType::U4 => TensorData::U4(values.map(|v| v as i32 as u8 & 15).collect()),
            DataType::I4 => TensorData::I4(values.map(|v| ((v as i32 as i8) << 4) >> 4).collect()),
            DataType::Bool => TensorData::Bool(values.map(|v| v != 0.0).collect()),
        }
    }
    let data = match tensor.data() {
        TensorData::F32(v) => floats(v.iter().map(|&x| x.into()), to),
        TensorData::F64(v) => floats(v.iter().copied(), to),
        TensorData::F16(v) => floats(v.iter().map(|&x| x.to_f64()), to),
        TensorData::BF16(v) => floats(v.iter().map(|&x| x.to_f64()), to),
        TensorData::U8(v) | TensorData::U4(v) => integers(v.iter().map(|&x| x.into()), to),
        TensorData::I8(v) | TensorData::I4(v) => integers(v.iter().map(|&x| x.into()), to),
        TensorData::U16(v) => integers(v.iter().map(|&x| x.into()), to),
        TensorData::I16(v) => integers(v.iter().map(|&x| x.into()), to),
        TensorData::U32(v) => integers(v.iter().map(|&x| x.into()), to),
        TensorData::I32(v) => integers(v.iter().map(|&x| x.into()), to),
        TensorData::U64(v) => integers(v.iter().map(|&x| x.into()), to),
        TensorData::I64(v) => integers(v.iter().map(|&x| x.into()), to),
        TensorData::Bool(v) => integers(v.iter().map(|&x| x.into()), to),
    };
    Tensor::new(tensor.shape().to_vec(), data).unwrap_or_else(|_| unreachable!("one element for each"))
}
