//! Whether a result is what was expected.

use oculist_graph::{DataType, Tensor, TensorData};

/// ONNX's own runner allows `bfloat16` two units in the last place.
const BF16_RTOL: f64 = 1.0 / 64.0;

/// What is wrong with a result; `None` if it is `|found - expected| <= atol + rtol * |expected|` everywhere, with the
/// expected type and shape.
pub(crate) fn differs(found: &Tensor, expected: &Tensor, rtol: f64, atol: f64) -> Option<String> {
    if found.dtype() != expected.dtype() {
        return Some(format!("expected {}, found {}", expected.dtype().name(), found.dtype().name()));
    }
    if found.shape() != expected.shape() {
        return Some(format!("expected the shape {:?}, found {:?}", expected.shape(), found.shape()));
    }
    // Integers beyond 2^53 do not survive the way through floats.
    if let (Some(a), Some(b)) = (found.to_i64s(), expected.to_i64s())
        && a == b
    {
        return None;
    }
    let rtol = if expected.dtype() == DataType::BF16 { rtol.max(BF16_RTOL) } else { rtol };
    let (found, expected) = (floats(found.data()), floats(expected.data()));
    let wrong = |f: f64, e: f64| {
        let same = f == e || (f.is_nan() && e.is_nan());
        // No tolerance reaches an infinite number.
        !same && (!e.is_finite() || f.is_nan() || (f - e).abs() > rtol.mul_add(e.abs(), atol))
    };
    let mut bad = (0..found.len()).filter(|&i| wrong(found[i], expected[i]));
    let first = bad.next()?;
    let more = bad.count();
    Some(format!(
        "element {first} is {}, expected {} ({} of {} elements differ)",
        found[first],
        expected[first],
        more + 1,
        found.len()
    ))
}

fn floats(data: &TensorData) -> Vec<f64> {
    match data {
        TensorData::F32(v) => v.iter().map(|&x| x.into()).collect(),
        TensorData::F64(v) => v.clone(),
        TensorData::F16(v) => v.iter().map(|&x| x.into()).collect(),
        TensorData::BF16(v) => v.iter().map(|&x| x.into()).collect(),
        TensorData::U8(v) | TensorData::U4(v) => v.iter().map(|&x| x.into()).collect(),
        TensorData::I8(v) | TensorData::I4(v) => v.iter().map(|&x| x.into()).collect(),
        TensorData::U16(v) => v.iter().map(|&x| x.into()).collect(),
        TensorData::I16(v) => v.iter().map(|&x| x.into()).collect(),
        TensorData::U32(v) => v.iter().map(|&x| x.into()).collect(),
        TensorData::I32(v) => v.iter().map(|&x| x.into()).collect(),
        TensorData::U64(v) => v.iter().map(|&x| x as f64).collect(),
        TensorData::I64(v) => v.iter().map(|&x| x as f64).collect(),
        TensorData::Bool(v) => v.iter().map(|&x| f64::from(u8::from(x))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_within_the_tolerance_is_right() {
        let (a, b) = (Tensor::f32(&[2], vec![1.0, f32::NAN]), Tensor::f32(&[2], vec![1.0005, f32::NAN]));
        assert_eq!(differs(&a, &b, 1e-3, 0.0), None);
        assert!(differs(&a, &b, 1e-4, 0.0).unwrap().contains("1 of 2"));
    }

    #[test]
    fn type_and_shape_are_exact() {
        let a = Tensor::f32(&[1], vec![1.0]);
        assert!(differs(&a, &Tensor::f32(&[], vec![1.0]), 1.0, 1.0).unwrap().contains("shape"));
        assert!(differs(&a, &Tensor::i32(&[1], vec![1]), 1.0, 1.0).unwrap().contains("expected i32"));
        let (infinite, finite) = (Tensor::f32(&[1], vec![f32::INFINITY]), Tensor::f32(&[1], vec![1.0]));
        assert!(differs(&infinite, &finite, 1e-3, 1e-7).is_some());
        assert!(differs(&finite, &infinite, 1e-3, 1e-7).is_some());
    }
}
