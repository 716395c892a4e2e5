//! Softmax and its relatives.

use half::{bf16, f16};
use oculist_graph::{Softmax, SoftmaxKind, Tensor, TensorData};
use oculist_kernels::softmax_rows;

use crate::call::{Call, Forward, Outcome};
use crate::element::{Element, Wide};

/// The logarithm of one row's softmax in 32-bit floats; three passes over what the cache holds.
fn log_softmax(x: &[f32], y: &mut [f32]) {
    let max = x.iter().fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m });
    for (y, &x) in y.iter_mut().zip(x) {
        *y = (x - max).exp();
    }
    // Of a row with a NaN, or of minus infinities only, the result is NaN as in NumPy.
    let sum: f32 = y.chunks(256).map(|part| part.iter().sum::<f32>()).sum();
    let log = sum.ln();
    for (y, &x) in y.iter_mut().zip(x) {
        *y = x - max - log;
    }
}

/// One row of any type.
fn general(kind: SoftmaxKind, row: &mut [f64]) {
    if kind == SoftmaxKind::Hardmax {
        let mut best = 0;
        for i in 1..row.len() {
            if row[i].key() > row[best].key() {
                best = i;
            }
        }
        for (i, v) in row.iter_mut().enumerate() {
            *v = f64::from(u8::from(i == best));
        }
        return;
    }
    let max = row.iter().fold(f64::NEG_INFINITY, |m, &x| if x > m { x } else { m });
    let sum: f64 = row.iter().map(|x| (x - max).exp()).sum();
    for v in row {
        *v = if kind == SoftmaxKind::LogSoftmax { *v - max - sum.ln() } else { (*v - max).exp() / sum };
    }
}

/// All rows of a tensor seen as `[outer, len, inner]`.
fn rows<T: Element<Wide = f64>>(kind: SoftmaxKind, x: &[T], len: usize, inner: usize) -> TensorData {
    let mut y = vec![T::default(); x.len()];
    let mut row = vec![0.0; len];
    for start in (0..x.len()).step_by((len * inner).max(1)) {
        for i in 0..inner {
            let at = |k: usize| start + k * inner + i;
            for (k, v) in row.iter_mut().enumerate() {
                *v = x[at(k)].widen();
            }
            general(kind, &mut row);
            for (k, &v) in row.iter().enumerate() {
                y[at(k)] = T::narrow(v);
            }
        }
    }
    T::wrap(y)
}

impl Forward for Softmax {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let axes = self.axes(x.shape().len())?;
        call.room(x.dtype(), x.shape())?;
        let inner: usize = x.shape()[axes.end..].iter().product();
        let len: usize = x.shape()[axes].iter().product();
        if x.is_empty() {
            return Ok(vec![x.clone()]);
        }
        let mut y = Tensor::zeros(x.dtype(), x.shape());
        if let (Some(from), Some(to), 1) = (x.as_f32(), y.as_f32_mut(), inner)
            && self.kind != SoftmaxKind::Hardmax
        {
            if self.kind == SoftmaxKind::Softmax {
                softmax_rows(call.ctx, [from.len() / len, len], 1.0, None, from, to);
                return Ok(vec![y]);
            }
            let piece = len * (4096 / len).max(1);
            call.ctx.for_pieces(to, piece, |i, to| {
                for (to, from) in to.chunks_mut(len).zip(from[i * piece..].chunks(len)) {
                    log_softmax(from, to);
                }
            });
            return Ok(vec![y]);
        }
        let data = match x.data() {
            TensorData::F32(v) => rows::<f32>(self.kind, v, len, inner),
            TensorData::F64(v) => rows::<f64>(self.kind, v, len, inner),
            TensorData::F16(v) => rows::<f16>(self.kind, v, len, inner),
            TensorData::BF16(v) => rows::<bf16>(self.kind, v, len, inner),
            _ => return Err(format!("expected floats, found {}", x.dtype().name()).into()),
        };
        Ok(vec![Tensor::new(x.shape().to_vec(), data)?])
    }
}

#[cfg(test)]
mod tests {
    use oculist_kernels::Context;

    use super::*;

    fn of(kind: SoftmaxKind, axis: i64, flatten: bool, x: &Tensor) -> Vec<f32> {
        let op = Softmax { kind, axis, flatten };
        let y = crate::evaluate(&Context::new(1).unwrap(), &op.into(), &[Some(x)], 1).unwrap();
        y[0].to_f32s()
    }

    fn near(a: &[f32], b: &[f32]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6)
    }

    #[test]
    fn rows_sum_to_one_along_any_axis() {
        // ONNX's example: softmax of [-1, 0, 1].
        let expected = [0.090_030_57, 0.244_728_48, 0.665_240_94];
        let x = Tensor::f32(&[1, 3], vec![-1.0, 0.0, 1.0]);
        assert!(near(&of(SoftmaxKind::Softmax, 1, false, &x), &expected));
        assert!(near(&of(SoftmaxKind::LogSoftmax, -1, false, &x), &expected.map(f32::ln)));
        let column = x.reshaped(vec![3, 1]).unwrap();
        assert!(near(&of(SoftmaxKind::Softmax, 0, false, &column), &expected));
        assert!(near(&of(SoftmaxKind::Softmax, 0, true, &column), &expected));
        assert!(near(&of(SoftmaxKind::Softmax, 1, false, &column), &[1.0; 3]));
        // Large numbers do not overflow.
        let x = Tensor::f32(&[2], vec![10000.0, 10000.0]);
        assert!(near(&of(SoftmaxKind::Softmax, 0, false, &x), &[0.5; 2]));
    }

    #[test]
    fn the_first_maximum_counts() {
        let x = Tensor::f32(&[2, 3], vec![3.0, 3.0, 1.0, 0.0, 2.0, 2.0]);
        assert_eq!(of(SoftmaxKind::Hardmax, 1, false, &x), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(of(SoftmaxKind::Hardmax, 0, false, &x), [1.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    }
}
