//! Fully connected layers.

use oculist_graph::{Gemm, Tensor, TensorData};

use crate::call::{Call, Forward, Outcome};
use crate::expand::expanded;
use crate::gemm::{Number, Size};
use crate::real::{Real, finish, with_real};

/// The product of two matrices, of which either may have to be turned.
fn multiply<T: Number>(op: &Gemm, call: &Call, size: Size, a: &[T], b: &[T]) -> Vec<T> {
    let mut y = vec![T::default(); size.m * size.n];
    T::turned_matmul(call.ctx, size, [op.trans_a, op.trans_b], a, b, &mut y);
    y
}

/// Rows, columns and common size of the product.
fn size_of(op: &Gemm, a: &Tensor, b: &Tensor) -> Size {
    let (m, k) = (a.shape()[usize::from(op.trans_a)], a.shape()[usize::from(!op.trans_a)]);
    Size::packed(m, b.shape()[usize::from(!op.trans_b)], k)
}

/// A factor as an integer: ONNX gives floats, models of integers have whole ones.
macro_rules! integer_gemm {
    ($op:expr, $call:expr, $size:expr, $shape:expr, $a:expr, $b:expr, $($variant:ident($type:ty)),*) => {
        match ($a.data(), $b.data()) {
            $((TensorData::$variant(a), TensorData::$variant(b)) => {
                let (alpha, beta) = ($op.alpha as $type, $op.beta as $type);
                if f64::from($op.alpha) != alpha as f64 || f64::from($op.beta) != beta as f64 {
                    let text = format!("alpha is {} and beta {}, integers need whole ones", $op.alpha, $op.beta);
                    return Err(text.into());
                }
                let mut y = multiply($op, $call, $size, a, b);
                for v in &mut y { *v = v.wrapping_mul(alpha); }
                if let Some(c) = $call.get(2)
                    && let TensorData::$variant(values) = c.data()
                {
                    let c = expanded(values, c.shape(), &$shape);
                    y.iter_mut().zip(c).for_each(|(v, c)| *v = v.wrapping_add(beta.wrapping_mul(c)));
                }
                Ok(vec![Tensor::new($shape, TensorData::$variant(y))?])
            })*
            _ => Err(format!("expected two matrices of numbers, found {}", $a.dtype().name()).into()),
        }
    };
}

impl Forward for Gemm {
    fn forward(&self, call: &Call) -> Outcome {
        let (a, b) = (call.input(0)?, call.input(1)?);
        let size = size_of(self, a, b);
        let shape = vec![size.m, size.n];
        call.room(a.dtype(), &shape)?;
        if !a.dtype().is_float() {
            return integer_gemm!(
                self,
                call,
                size,
                shape,
                a,
                b,
                U8(u8),
                I8(i8),
                U16(u16),
                I16(i16),
                U32(u32),
                I32(i32),
                U64(u64),
                I64(i64)
            );
        }
        with_real!(a.dtype(), T => {
            let mut y = multiply::<T>(self, call, size, &T::read(a), &T::read(b));
            if self.alpha != 1.0 {
                let alpha = T::of_f32(self.alpha);
                for v in &mut y { *v *= alpha; }
            }
            if let Some(c) = call.get(2)
                && self.beta != 0.0
            {
                let beta = T::of_f32(self.beta);
                let c = expanded(&T::read(c), c.shape(), &shape);
                y.iter_mut().zip(c).for_each(|(v, c)| *v += beta * c);
            }
            Ok(vec![finish(&shape, y, a.dtype())?])
        })
    }
}

#[cfg(test)]
mod tests {
    use oculist_graph::Op;
    use oculist_kernels::Context;

    use super::*;
    use crate::evaluate;

    #[test]
    fn floats_and_integers_are_turned_scaled_and_added() {
        let ctx = Context::new(2).unwrap();
        let op = Op::from(Gemm { alpha: 2.0, beta: 3.0, trans_a: true, trans_b: true });
        // a is [[1, 3], [2, 4]] and b [[5], [6]] after turning.
        let (a, b) = (Tensor::i32(&[2, 2], vec![1, 2, 3, 4]), Tensor::i32(&[1, 2], vec![5, 6]));
        let c = Tensor::i32(&[2, 1], vec![1, -1]);
        let y = evaluate(&ctx, &op, &[Some(&a), Some(&b), Some(&c)], 1).unwrap();
        assert_eq!(y[0], Tensor::i32(&[2, 1], vec![49, 65]));
        let floats = [&a, &b, &c].map(|t| Tensor::f32(t.shape(), t.to_f32s()));
        let y = evaluate(&ctx, &op, &floats.each_ref().map(Some), 1).unwrap();
        assert_eq!(y[0], Tensor::f32(&[2, 1], vec![49.0, 65.0]));
        let half = Op::from(Gemm { alpha: 0.5, ..Gemm::LINEAR });
        let error = evaluate(&ctx, &half, &[Some(&b), Some(&b)], 1).unwrap_err().to_string();
        assert!(error.contains("integers need whole ones"), "{error}");
    }
}
