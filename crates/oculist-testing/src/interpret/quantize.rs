//! Quantisation to integers and back.

use oculist_graph::DataType;

use super::array::Array;

/// The index of the scale that belongs to element `i`: 0 for one scale, else the position along `axis`.
fn channel(x: &Array, scale: &Array, axis: usize, i: usize) -> usize {
    if scale.data().len() == 1 {
        return 0;
    }
    let inner: usize = x.shape()[axis + 1..].iter().product();
    i / inner % x.shape()[axis]
}

/// `saturate(round_half_even(x / scale) + zero_point)` in the range of `target`.
pub(super) fn quantize(axis: usize, target: DataType, x: &Array, scale: &Array, zero_point: &Array) -> Array {
    let (low, high) = match target {
        DataType::U8 => (0.0, 255.0),
        DataType::I8 => (-128.0, 127.0),
        other => panic!("QuantizeLinear to {}: ONNX opset 17 knows u8 and i8", other.name()),
    };
    Array::from_fn(x.shape(), |i| {
        let c = channel(x, scale, axis, i);
        let steps = (x.data()[i] as f32 / scale.data()[c] as f32).round_ties_even();
        (f64::from(steps) + zero_point.data()[c]).clamp(low, high)
    })
}

/// `(x - zero_point) * scale`.
pub(super) fn dequantize(axis: usize, x: &Array, scale: &Array, zero_point: &Array) -> Array {
    Array::from_fn(x.shape(), |i| {
        let c = channel(x, scale, axis, i);
        (x.data()[i] - zero_point.data()[c]) * scale.data()[c]
    })
}
