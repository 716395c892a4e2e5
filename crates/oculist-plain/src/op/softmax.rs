//! Softmax and its relatives.

use oculist_graph::{DataType, Softmax, SoftmaxKind, Tensor};
use oculist_kernels::softmax_rows;

use crate::call::{Call, Forward, Outcome};
use crate::element::{Element, order};

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
            if order(&row[i], &row[best]).is_gt() {
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
fn rows<T: Element<Wide = f64>>(kind: SoftmaxKind, x: &[T], y: &mut [T], len: usize, inner: usize) {
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
        if !x.dtype().is_float() {
            return Err(format!("expected floats, found {}", x.dtype().name()).into());
        }
        let data = match x.dtype() {
            DataType::F32 => general_data::<f32>(self.kind, x, len, inner),
            DataType::F64 => general_data::<f64>(self.kind, x, len, inner),
            DataType::F16 => general_data::<half::f16>(self.kind, x, len, inner),
            _ => general_data::<half::bf16>(self.kind, x, len, inner),
        };
        Ok(vec![Tensor::new(x.shape().to_vec(), data)?])
    }
}

fn general_data<T: Element<Wide = f64>>(
    kind: SoftmaxKind,
    x: &Tensor,
    len: usize,
    inner: usize,
) -> oculist_graph::TensorData {
    let x = T::view(x.data()).unwrap_or_default();
    let mut y = vec![T::default(); x.len()];
    rows(kind, x, &mut y, len, inner);
    T::wrap(y)
}
