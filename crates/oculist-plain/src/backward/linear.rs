//! Products of matrices.

use oculist_graph::{FusedMatMul, Gemm, MatMul, Op, Tensor, Transpose};

use super::broadcast::{reduced, walk};
use super::{Backward, Gradients, Reverse};
use crate::call::Problem;
use crate::gemm::{Size, batch, transposed};
use crate::real::{Real, finish, with_real};

/// `a^T * b` of `a` `[k, m]` and `b` `[k, n]`.
pub(super) fn turned_times<T: Real>(reverse: &Reverse, a: &[T], b: &[T], [k, m, n]: [usize; 3]) -> Vec<T> {
    let mut c = vec![T::ZERO; m * n];
    T::matmul(reverse.ctx, Size::packed(m, n, k), &transposed(a, k, m), b, &mut c);
    c
}

/// `a * b^T` of `a` `[m, k]` and `b` `[n, k]`.
pub(super) fn times_turned<T: Real>(reverse: &Reverse, a: &[T], b: &[T], [m, n, k]: [usize; 3]) -> Vec<T> {
    let mut c = vec![T::ZERO; m * n];
    T::matmul(reverse.ctx, Size::packed(m, n, k), a, &transposed(b, n, k), &mut c);
    c
}

/// The gradient of input `i`.
fn gemm_by<T: Real>(op: &Gemm, reverse: &Reverse, i: usize) -> Result<Tensor, Problem> {
    let (a, b, dy) = (reverse.input(0)?, reverse.input(1)?, reverse.only()?);
    let input = reverse.input(i)?;
    let (m, n) = (dy.shape()[0], dy.shape()[1]);
    let k = a.shape()[usize::from(!op.trans_a)];
    let gradient = T::read(dy);
    let scaled = |factor: f32, mut values: Vec<T>| {
        if factor != 1.0 {
            for v in &mut values {
                *v *= T::of_f32(factor);
            }
        }
        finish(input.shape(), values, input.dtype())
    };
    // Factors as [m, k] and [k, n].
    let turned = |t: &Tensor, rows: usize, columns: usize, turn: bool| {
        let values = T::read(t);
        if turn { transposed(&values, columns, rows) } else { values.into_owned() }
    };
    match i {
        0 => {
            let b = turned(b, k, n, op.trans_b);
            let da = times_turned(reverse, &gradient, &b, [m, k, n]);
            scaled(op.alpha, if op.trans_a { transposed(&da, m, k) } else { da })
        }
        1 => {
            let a = turned(a, m, k, op.trans_a);
            let db = turned_times(reverse, &a, &gradient, [m, k, n]);
            scaled(op.alpha, if op.trans_b { transposed(&db, k, n) } else { db })
        }
        _ => scaled(op.beta, reduced(&gradient, dy.shape(), input.shape())),
    }
}

impl Backward for Gemm {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let dtype = reverse.input(0)?.dtype();
        reverse.each(|i| with_real!(dtype, T => gemm_by::<T>(self, reverse, i).map(Some)))
    }
}

/// A product of stacks of matrices: vectors have become matrices of one row or column.
struct Stacks {
    a: Vec<usize>,
    b: Vec<usize>,
    /// Stacks of the result.
    stack: Vec<usize>,
    m: usize,
    k: usize,
    n: usize,
}

impl Stacks {
    fn new(a: &[usize], b: &[usize]) -> Self {
        let a = if a.len() == 1 { vec![1, a[0]] } else { a.to_vec() };
        let b = if b.len() == 1 { vec![b[0], 1] } else { b.to_vec() };
        let (of_a, of_b) = (&a[..a.len() - 2], &b[..b.len() - 2]);
        let rank = of_a.len().max(of_b.len());
        let at = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
        let stack = (0..rank).map(|i| if at(of_a, i) == 1 { at(of_b, i) } else { at(of_a, i) }).collect();
        let (m, k, n) = (a[a.len() - 2], a[a.len() - 1], b[b.len() - 1]);
        Self { a, b, stack, m, k, n }
    }

    /// For each matrix of the result, which of `a` and which of `b` it is made of.
    fn pairs(&self) -> Vec<[usize; 2]> {
        let mut pairs = Vec::new();
        walk(&self.stack, [&self.a[..self.a.len() - 2], &self.b[..self.b.len() - 2]], |_, at| pairs.push(at));
        pairs
    }

    fn by<T: Real>(&self, reverse: &Reverse, i: usize) -> Result<Tensor, Problem> {
        let input = reverse.input(i)?;
        let other = T::read(reverse.input(1 - i)?).into_owned();
        let gradient = T::read(reverse.only()?);
        let Self { m, k, n, .. } = *self;
        if self.b.len() == 2 {
            // One matrix on the right: all rows of all matrices on the left are those of one.
            let rows = gradient.len() / n.max(1);
            let values = if i == 0 {
                times_turned(reverse, &gradient, &other, [rows, k, n])
            } else {
                turned_times(reverse, &other, &gradient, [rows, k, n])
            };
            return finish(input.shape(), values, input.dtype());
        }
        let pairs = self.pairs();
        // Every matrix of the other factor turned.
        let (rows, columns) = if i == 0 { (k, n) } else { (m, k) };
        let size = rows * columns;
        let mut turned = Vec::with_capacity(other.len());
        for matrix in other.chunks_exact(size.max(1)) {
            turned.extend(transposed(matrix, rows, columns));
        }
        let own = [m * k, k * n][i];
        let mut all = vec![T::ZERO; pairs.len() * own];
        let offsets: Vec<(usize, usize)> = pairs
            .iter()
            .enumerate()
            .map(|(p, at)| if i == 0 { (p * m * n, at[1] * size) } else { (at[0] * size, p * m * n) })
            .collect();
        if i == 0 {
            batch(reverse.ctx, Size::packed(m, k, n), &offsets, &gradient, &turned, &mut all);
        } else {
            batch(reverse.ctx, Size::packed(k, n, m), &offsets, &turned, &gradient, &mut all);
        }
        let shape = if i == 0 { &self.a } else { &self.b };
        let mut from = self.stack.clone();
        from.extend(&shape[shape.len() - 2..]);
        finish(input.shape(), reduced(&all, &from, shape), input.dtype())
    }
}

impl Backward for MatMul {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (a, b) = (reverse.input(0)?, reverse.input(1)?);
        let stacks = Stacks::new(a.shape(), b.shape());
        reverse.each(|i| with_real!(a.dtype(), T => stacks.by::<T>(reverse, i).map(Some)))
    }
}

/// A value with its axes in this order.
fn turned(reverse: &Reverse, x: &Tensor, order: &[usize]) -> Result<Tensor, Problem> {
    let order: Vec<i64> = order.iter().map(|&a| a as i64).collect();
    let mut all = crate::evaluate(reverse.ctx, &Op::Transpose(Transpose::new(&order)), &[Some(x)], 1)?;
    all.pop().ok_or_else(|| Problem::Text("no result".to_owned()))
}

impl Backward for FusedMatMul {
    /// That of the product of the values as they are read, turned back.
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (a, b, dy) = (reverse.input(0)?, reverse.input(1)?, reverse.only()?);
        let orders = [self.order(false, a.shape().len()), self.order(true, b.shape().len())];
        let (x, y) = (turned(reverse, a, &orders[0])?, turned(reverse, b, &orders[1])?);
        let scaled = with_real!(dy.dtype(), T => {
            let alpha = T::of_f32(self.alpha);
            finish(dy.shape(), T::read(dy).iter().map(|&g| g * alpha).collect::<Vec<T>>(), dy.dtype())?
        });
        let wanted = [reverse.wants(0), reverse.wants(1)];
        let given = [Some(&x), Some(&y)];
        let (outputs, dy) = ([Some(reverse.output(0)?)], [Some(&scaled)]);
        let found = super::gradient(reverse.ctx, &Op::MatMul(MatMul), &given, &outputs, &dy, &wanted)?;
        reverse.each(|i| {
            let Some(gradient) = &found[i] else { return Ok(None) };
            let mut back = vec![0; orders[i].len()];
            orders[i].iter().enumerate().for_each(|(to, &from)| back[from] = to);
            turned(reverse, gradient, &back).map(Some)
        })
    }
}
