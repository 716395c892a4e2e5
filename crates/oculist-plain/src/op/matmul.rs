//! Matrix products with broadcasting.

use oculist_graph::{FusedMatMul, MatMul, Tensor, TensorData};

use crate::call::{Call, Forward, Outcome, Problem};
use crate::expand::steps;
use crate::gemm::{Number, Size, batch};
use crate::real::{Real, finish, with_real};
use crate::window::advance;

/// How two values of these shapes are multiplied.
pub(super) struct Plan {
    /// Shape of the result.
    pub(super) shape: Vec<usize>,
    size: Size,
    /// For each product the first element of both matrices.
    offsets: Vec<(usize, usize)>,
}

impl Plan {
    /// The product of values of these shapes, which fit.
    pub(super) fn new(a: &[usize], b: &[usize]) -> Result<Self, Problem> {
        let wrong = || Problem::Text(format!("expected [..., m, k] and [..., k, n], found {a:?} and {b:?}"));
        let (a_batch, m, k) = match *a {
            [] => return Err(wrong()),
            [k] => (&[][..], 1, k),
            [ref batch @ .., m, k] => (batch, m, k),
        };
        let (b_batch, also_k, n) = match *b {
            [] => return Err(wrong()),
            [k] => (&[][..], k, 1),
            [ref batch @ .., k, n] => (batch, k, n),
        };
        if k != also_k {
            return Err(wrong());
        }
        let rank = a_batch.len().max(b_batch.len());
        let at = |batch: &[usize], i: usize| (i + batch.len()).checked_sub(rank).map_or(1, |i| batch[i]);
        let mut dims = Vec::with_capacity(rank);
        for i in 0..rank {
            dims.push(match (at(a_batch, i), at(b_batch, i)) {
                (1, other) | (other, 1) => other,
                (x, y) if x == y => x,
                _ => return Err(wrong()),
            });
        }
        let mut shape = dims.clone();
        shape.extend((a.len() > 1).then_some(m));
        shape.extend((b.len() > 1).then_some(n));
        let count = dims.iter().fold(1usize, |n, &d| n.saturating_mul(d));
        // Without rows or columns there is nothing to compute, however many products there are.
        if m == 0 || n == 0 || count == 0 {
            return Ok(Self { shape, size: Size::packed(m, n, k), offsets: Vec::new() });
        }
        // One matrix for all rows of `a`: a single product.
        if b_batch.iter().all(|&d| d == 1) && a_batch.len() == rank {
            let size = Size::packed(m.saturating_mul(count), n, k);
            return Ok(Self { shape, size, offsets: vec![(0, 0)] });
        }
        let (a_steps, b_steps) = (steps(a_batch, &dims), steps(b_batch, &dims));
        let mut position = vec![0; rank];
        let mut offsets = Vec::with_capacity(count.min(1 << 20));
        for _ in 0..count {
            let offset = |steps: &[usize]| position.iter().zip(steps).map(|(&p, &s)| p * s).sum::<usize>();
            offsets.push((offset(&a_steps) * m * k, offset(&b_steps) * k * n));
            advance(&mut position, |i| dims[i]);
        }
        Ok(Self { shape, size: Size::packed(m, n, k), offsets })
    }

    /// The product.
    pub(super) fn run<T: Number>(&self, call: &Call, a: &[T], b: &[T]) -> Vec<T> {
        let mut y = vec![T::default(); self.shape.iter().product()];
        batch(call.ctx, self.size, &self.offsets, a, b, &mut y);
        y
    }
}

impl Forward for MatMul {
    fn forward(&self, call: &Call) -> Outcome {
        let (a, b) = (call.input(0)?, call.input(1)?);
        call.room(a.dtype(), &product_shape(a.shape(), b.shape()))?;
        let plan = Plan::new(a.shape(), b.shape())?;
        macro_rules! by_type {
            ($($variant:ident),*) => {
                match (a.data(), b.data()) {
                    $((TensorData::$variant(x), TensorData::$variant(y)) => {
                        let y = TensorData::$variant(plan.run(call, x, y));
                        Ok(vec![Tensor::new(plan.shape, y)?])
                    })*
                    _ if a.dtype().is_float() => with_real!(a.dtype(), T => {
                        let y = plan.run(call, &T::read(a), &T::read(b));
                        Ok(vec![finish(&plan.shape, y, a.dtype())?])
                    }),
                    _ => Err(format!("matrices of {} are not supported", a.dtype().name()).into()),
                }
            };
        }
        by_type!(F32, F64, U8, I8, U16, I16, U32, I32, U64, I64)
    }
}

/// A shape at least as large as that of the product, to see whether there is room before the product is planned.
fn product_shape(a: &[usize], b: &[usize]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
    let mut shape: Vec<usize> = (0..rank.saturating_sub(2))
        .map(|i| match (at(a, i), at(b, i)) {
            (1, d) | (d, _) => d,
        })
        .collect();
    shape.push(if a.len() > 1 { a[a.len() - 2] } else { 1 });
    shape.push(if b.len() > 1 { b[b.len() - 1] } else { 1 });
    shape
}

/// The value with its axes in another order.
pub(super) fn permuted<T: Copy>(x: &[T], shape: &[usize], order: &[usize]) -> (Vec<T>, Vec<usize>) {
    let dims: Vec<usize> = order.iter().map(|&a| shape[a]).collect();
    if order.iter().enumerate().all(|(i, &a)| i == a) {
        return (x.to_vec(), dims);
    }
    let own = steps_of(shape);
    let steps: Vec<usize> = order.iter().map(|&a| own[a]).collect();
    (gathered(x, &dims, &steps), dims)
}

/// The elements at `sum(position * step)` for all positions along axes of these sizes, row-major.
pub(super) fn gathered<T: Copy>(x: &[T], dims: &[usize], steps: &[usize]) -> Vec<T> {
    let (Some((&size, outer)), Some((&step, outer_steps))) = (dims.split_last(), steps.split_last()) else {
        return x.first().copied().into_iter().collect();
    };
    let rows: usize = outer.iter().product();
    let mut y = Vec::with_capacity(rows * size);
    let mut at = vec![0; outer.len()];
    for _ in 0..rows {
        let start: usize = at.iter().zip(outer_steps).map(|(&i, &s)| i * s).sum();
        if step == 1 {
            y.extend_from_slice(&x[start..][..size]);
        } else {
            y.extend((0..size).map(|i| x[start + i * step]));
        }
        advance(&mut at, |a| outer[a]);
    }
    y
}

/// How far apart neighbours along each axis lie.
pub(super) fn steps_of(shape: &[usize]) -> Vec<usize> {
    let mut steps = vec![1usize; shape.len()];
    for a in (1..shape.len()).rev() {
        steps[a - 1] = steps[a].saturating_mul(shape[a]);
    }
    steps
}

impl Forward for FusedMatMul {
    fn forward(&self, call: &Call) -> Outcome {
        let (a, b) = (call.input(0)?, call.input(1)?);
        with_real!(a.dtype(), T => {
            let turned = |x: &Tensor, second| permuted(&T::read(x), x.shape(), &self.order(second, x.shape().len()));
            let ((x, x_shape), (y, y_shape)) = (turned(a, false), turned(b, true));
            call.room(a.dtype(), &product_shape(&x_shape, &y_shape))?;
            let plan = Plan::new(&x_shape, &y_shape)?;
            let alpha = T::of_f32(self.alpha);
            let mut y = plan.run(call, &x, &y);
            for v in &mut y { *v *= alpha; }
            Ok(vec![finish(&plan.shape, y, a.dtype())?])
        })
    }
}

#[cfg(test)]
mod tests {
    use oculist_graph::Op;
    use oculist_kernels::Context;

    use super::*;
    use crate::evaluate;

    fn apply(op: impl Into<Op>, a: &Tensor, b: &Tensor) -> Tensor {
        evaluate(&Context::new(2).unwrap(), &op.into(), &[Some(a), Some(b)], 1).unwrap().remove(0)
    }

    fn ints(shape: &[usize]) -> Tensor {
        let len: usize = shape.iter().product();
        Tensor::i32(shape, (0..len as i32).collect())
    }

    /// Values of numpy's `matmul`.
    #[test]
    fn axes_in_front_are_broadcast() {
        let y = apply(MatMul, &ints(&[2, 1, 1, 2]), &ints(&[2, 2, 2]));
        assert_eq!(y, Tensor::i32(&[2, 2, 1, 2], vec![2, 3, 6, 7, 6, 11, 26, 31]));
        assert_eq!(
            apply(MatMul, &ints(&[2]), &ints(&[2, 2, 3])),
            Tensor::i32(&[2, 3], vec![3, 4, 5, 9, 10, 11])
        );
        assert_eq!(apply(MatMul, &ints(&[3]), &ints(&[3])), Tensor::i32(&[], vec![5]));
        assert_eq!(apply(MatMul, &ints(&[2, 0]), &ints(&[0, 2])), Tensor::i32(&[2, 2], vec![0; 4]));
    }

    #[test]
    fn batches_may_be_turned() {
        let (a, b) =
            (Tensor::f32(&[1, 2, 2], vec![1.0, 2.0, 3.0, 4.0]), Tensor::f32(&[2, 1], vec![1.0, 10.0]));
        let op = FusedMatMul {
            alpha: 2.0,
            trans_a: true,
            trans_b: false,
            trans_batch_a: false,
            trans_batch_b: false,
        };
        assert_eq!(apply(op, &a, &b).as_f32().unwrap(), [62.0, 84.0]);
        let turned = FusedMatMul { trans_a: false, trans_batch_a: true, ..op };
        // [m, batch, k] with m 1 and two matrices of one row each.
        let y = apply(turned, &a, &b);
        assert_eq!((y.shape(), y.as_f32().unwrap()), (&[2, 1, 1][..], &[42.0, 86.0][..]));
    }
}
