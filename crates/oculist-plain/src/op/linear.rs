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
                y.iter_mut().for_each(|v| *v = v.wrapping_mul(alpha));
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
                y.iter_mut().for_each(|v| *v = *v * alpha);
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
