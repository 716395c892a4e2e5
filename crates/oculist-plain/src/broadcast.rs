//! Elements of several tensors that are broadcast to one shape, in runs along which each moves by one or stands still.

use std::ops::Range;

use oculist_kernels::Context;

use crate::call::Problem;

/// Elements of a result that one task computes.
pub(crate) const PIECE: usize = 1 << 14;

/// The shape that shapes are broadcast to.
pub(crate) fn shape(shapes: &[&[usize]]) -> Result<Vec<usize>, Problem> {
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    let mut all = vec![1; rank];
    for shape in shapes {
        let missing = rank - shape.len();
        for (to, &size) in all[missing..].iter_mut().zip(*shape) {
            match (*to, size) {
                (1, _) => *to = size,
                (_, 1) => {}
                (a, b) if a == b => {}
                _ => return Err(format!("shapes differ: {shapes:?}").into()),
            }
        }
    }
    Ok(all)
}

/// How `N` tensors are walked through for a result that they are broadcast to.
pub(crate) struct Walk<const N: usize> {
    /// Length of a run.
    inner: usize,
    /// Per tensor, 1 if it moves within a run and 0 if it stands still.
    steps: [usize; N],
    /// Sizes of the axes before and what the tensors move by there, the last axis first.
    outer: Vec<(usize, [usize; N])>,
}

impl<const N: usize> Walk<N> {
    /// Shapes must be such that they are broadcast to `out`.
    pub(crate) fn new(out: &[usize], shapes: [&[usize]; N]) -> Self {
        let mut strides = [1usize; N];
        let mut axes: Vec<(usize, [usize; N])> = Vec::with_capacity(out.len());
        for back in 0..out.len() {
            let size = out[out.len() - 1 - back];
            let mut steps = [0; N];
            for (i, shape) in shapes.iter().enumerate() {
                let own = shape.len().checked_sub(1 + back).map_or(1, |a| shape[a]);
                if own != 1 {
                    steps[i] = strides[i];
                    strides[i] = strides[i].saturating_mul(own);
                }
            }
            if size == 1 {
                continue;
            }
            // An axis that goes on where the one behind it ends is one with it.
            if let Some((len, last)) = axes.last_mut()
                && (0..N).all(|i| last[i].checked_mul(*len) == Some(steps[i]))
            {
                *len = len.saturating_mul(size);
            } else {
                axes.push((size, steps));
            }
        }
        // The innermost axis is one of runs only if each tensor moves by at most one there: always, as it is the last of
        // each that moves.
        let (inner, steps) = if axes.is_empty() { (1, [0; N]) } else { axes.remove(0) };
        Self { inner, steps, outer: axes }
    }

    /// Cuts the elements `start..start + len` of the result into runs: their first positions in the tensors, and their
    /// positions from `start` on.
    pub(crate) fn runs(&self, start: usize, len: usize, mut each: impl FnMut([usize; N], Range<usize>)) {
        let mut done = 0;
        while done < len {
            let (mut row, column) = ((start + done) / self.inner, (start + done) % self.inner);
            let mut at = self.steps.map(|s| s * column);
            for (size, steps) in &self.outer {
                let index = row % size;
                row /= size;
                for (at, step) in at.iter_mut().zip(steps) {
                    *at += index * step;
                }
            }
            let n = (self.inner - column).min(len - done);
            each(at, done..done + n);
            done += n;
        }
    }
}

/// `f` of each element.
pub(crate) fn map<A: Copy + Sync, R: Copy + Default + Send>(
    ctx: &Context,
    x: &[A],
    f: impl Fn(A) -> R + Sync,
) -> Vec<R> {
    let mut y = vec![R::default(); x.len()];
    ctx.for_pieces(&mut y, PIECE, |i, y| {
        for (y, &x) in y.iter_mut().zip(&x[i * PIECE..]) {
            *y = f(x);
        }
    });
    y
}

/// `f` of each pair of elements; `len` is the number of elements of the result.
pub(crate) fn zip<A: Copy + Sync, B: Copy + Sync, R: Copy + Default + Send>(
    ctx: &Context,
    (walk, len): (&Walk<2>, usize),
    a: &[A],
    b: &[B],
    f: impl Fn(A, B) -> R + Sync,
) -> Vec<R> {
    let mut y = vec![R::default(); len];
    ctx.for_pieces(&mut y, PIECE, |i, y| {
        walk.runs(i * PIECE, y.len(), |[p, q], run| {
            let (y, a, b) = (&mut y[run], &a[p..], &b[q..]);
            match walk.steps {
                [0, 0] => y.fill(f(a[0], b[0])),
                [_, 0] => {
                    let b = b[0];
                    for (y, &a) in y.iter_mut().zip(a) {
                        *y = f(a, b);
                    }
                }
                [0, _] => {
                    let a = a[0];
                    for (y, &b) in y.iter_mut().zip(b) {
                        *y = f(a, b);
                    }
                }
                _ => {
                    for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
                        *y = f(a, b);
                    }
                }
            }
        });
    });
    y
}

/// Where the condition holds the element of `x`, elsewhere that of `y`.
pub(crate) fn choose<T: Copy + Default + Send + Sync>(
    ctx: &Context,
    (walk, len): (&Walk<3>, usize),
    condition: &[bool],
    x: &[T],
    y: &[T],
) -> Vec<T> {
    let mut out = vec![T::default(); len];
    let [c_step, x_step, y_step] = walk.steps;
    ctx.for_pieces(&mut out, PIECE, |i, out| {
        walk.runs(i * PIECE, out.len(), |[c, p, q], run| {
            for (k, out) in out[run].iter_mut().enumerate() {
                *out = if condition[c + k * c_step] { x[p + k * x_step] } else { y[q + k * y_step] };
            }
        });
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(a: &[usize], b: &[usize]) -> Vec<f32> {
        let values = |n: usize, factor: f32| (0..n).map(|i| i as f32 * factor).collect::<Vec<_>>();
        let (x, y) = (values(a.iter().product(), 1.0), values(b.iter().product(), 100.0));
        let out = shape(&[a, b]).unwrap();
        let ctx = Context::new(1).unwrap();
        zip(&ctx, (&Walk::new(&out, [a, b]), out.iter().product()), &x, &y, |a, b| a + b)
    }

    #[test]
    fn axes_are_aligned_at_the_back() {
        // numpy: np.arange(6).reshape(2, 3) + 100 * np.arange(3), and further shapes.
        assert_eq!(sums(&[2, 3], &[3]), [0.0, 101.0, 202.0, 3.0, 104.0, 205.0]);
        assert_eq!(sums(&[2, 3], &[2, 1]), [0.0, 1.0, 2.0, 103.0, 104.0, 105.0]);
        assert_eq!(sums(&[2, 1], &[1, 3]), [0.0, 100.0, 200.0, 1.0, 101.0, 201.0]);
        assert_eq!(sums(&[2, 1, 2], &[2, 1]), [0.0, 1.0, 100.0, 101.0, 2.0, 3.0, 102.0, 103.0]);
        assert_eq!(sums(&[], &[2]), [0.0, 100.0]);
        assert_eq!(sums(&[], &[]), [0.0]);
        assert_eq!(sums(&[0, 3], &[1, 1]), []);
        assert!(shape(&[&[2, 3], &[2]]).is_err());
    }

    #[test]
    fn pieces_begin_anywhere() {
        // More than one piece, of runs that do not divide it.
        let n = 3 * PIECE / 7;
        let all = sums(&[7, n], &[7, 1]);
        assert!(all.iter().enumerate().all(|(i, &v)| v == i as f32 + 100.0 * (i / n) as f32));
    }
}
