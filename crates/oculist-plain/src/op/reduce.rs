//! Reductions along axes.

use oculist_graph::{Reduce, ReduceKind, Tensor, TensorData};

use crate::call::{Call, Forward, Outcome};
use crate::element::{Element, Wide, expect_number, larger, smaller, with_elements};

/// Where the elements of a result come from.
struct Plan {
    /// Sizes and strides of the axes that stay, the last first; neighbours that can be one are one.
    kept: Vec<(usize, usize)>,
    /// The same of the reduced axes but their last.
    outer: Vec<(usize, usize)>,
    /// Number of runs.
    runs: usize,
    /// Size and stride of the last reduced axis.
    run: (usize, usize),
}

/// Sizes and strides of the axes whose mask is `which`, the last first.
fn axes(shape: &[usize], mask: &[bool], which: bool) -> Vec<(usize, usize)> {
    let mut stride = 1;
    let mut all: Vec<(usize, usize)> = Vec::new();
    for (&size, &reduced) in shape.iter().zip(mask).rev() {
        if reduced == which && size != 1 {
            match all.last_mut() {
                Some((len, step)) if *len * *step == stride => *len *= size,
                _ => all.push((size, stride)),
            }
        }
        stride *= size;
    }
    all
}

/// The distance from the first element to number `index` of the axes.
fn offset(axes: &[(usize, usize)], mut index: usize) -> usize {
    let mut at = 0;
    for (size, stride) in axes {
        at += index % size * stride;
        index /= size;
    }
    at
}

impl Plan {
    fn new(shape: &[usize], mask: &[bool]) -> Self {
        let mut outer = axes(shape, mask, true);
        let run = if outer.is_empty() { (1, 1) } else { outer.remove(0) };
        let runs = outer.iter().map(|(size, _)| size).product();
        Self { kept: axes(shape, mask, false), outer, runs, run }
    }

    /// The first positions of the runs of element `i` of the result.
    fn starts(&self, i: usize) -> impl Iterator<Item = usize> {
        let base = offset(&self.kept, i);
        (0..self.runs).map(move |r| base + offset(&self.outer, r))
    }

    /// Puts the elements of element `i` of the result together, from first to last.
    fn fold<T: Element, A>(&self, x: &[T], i: usize, start: A, step: impl Fn(A, T) -> A) -> A {
        let (len, stride) = self.run;
        let mut all = start;
        for at in self.starts(i) {
            // An empty run may lie at the end.
            for x in x.get(at..).unwrap_or_default().iter().step_by(stride).take(len) {
                all = step(all, *x);
            }
        }
        all
    }

    /// Element `i` of the result, of any type.
    fn general<T: Element>(&self, kind: ReduceKind, x: &[T], i: usize) -> T {
        type W<T> = <T as Element>::Wide;
        let zero = W::<T>::default();
        let fold =
            |start: W<T>, step: fn(W<T>, W<T>) -> W<T>| self.fold(x, i, start, |all, x| step(all, x.widen()));
        let n = (self.runs * self.run.0) as i128;
        let squares = || fold(zero, |all, x| all.plus(x.times(x)));
        T::narrow(match kind {
            ReduceKind::Sum => fold(zero, W::<T>::plus),
            ReduceKind::Mean => fold(zero, W::<T>::plus).over(W::<T>::of_i128(n)),
            ReduceKind::Prod => fold(W::<T>::ONE, W::<T>::times),
            ReduceKind::Max => fold(T::LEAST.widen(), larger),
            ReduceKind::Min => fold(T::GREATEST.widen(), smaller),
            ReduceKind::L1 => fold(zero, |all, x| all.plus(x.size())),
            ReduceKind::SumSquare => squares(),
            ReduceKind::L2 => W::<T>::of_f64(squares().to_f64().sqrt()),
            ReduceKind::LogSum => W::<T>::of_f64(fold(zero, W::<T>::plus).to_f64().ln()),
            ReduceKind::LogSumExp => {
                // Without the largest, so that no power overflows; an infinite one would leave nothing but NaN.
                let max = fold(T::LEAST.widen(), larger).to_f64();
                let max = if max.is_infinite() { 0.0 } else { max };
                let sum = self.fold(x, i, 0.0, |all, x| all + (x.widen().to_f64() - max).exp());
                W::<T>::of_f64(sum.ln() + max)
            }
        })
    }

    /// Element `i` of the result in 32-bit floats, whose runs are without gaps; `None` for other reductions.
    fn fast(&self, kind: ReduceKind, x: &[f32], i: usize) -> Option<f32> {
        let sum =
            |f: fn(f32) -> f32| -> f64 { self.starts(i).map(|at| lanes(&x[at..at + self.run.0], f)).sum() };
        let best = |start: f32, f: fn(f32, f32) -> f32| {
            self.starts(i).fold(start, |best, at| x[at..at + self.run.0].iter().fold(best, |b, &x| f(b, x)))
        };
        let all = match kind {
            ReduceKind::Sum => sum(|x| x),
            ReduceKind::Mean => sum(|x| x) / (self.runs * self.run.0) as f64,
            ReduceKind::L1 => sum(f32::abs),
            ReduceKind::SumSquare => sum(|x| x * x),
            ReduceKind::L2 => sum(|x| x * x).sqrt(),
            ReduceKind::Max => return Some(best(f32::NEG_INFINITY, larger)),
            ReduceKind::Min => return Some(best(f32::INFINITY, smaller)),
            ReduceKind::Prod | ReduceKind::LogSum | ReduceKind::LogSumExp => return None,
        };
        Some(all as f32)
    }
}

/// The sum of `f`, in lanes of floats over short stretches and in wider ones over these.
fn lanes(x: &[f32], f: fn(f32) -> f32) -> f64 {
    const LANES: usize = 16;
    let mut total = 0.0;
    for part in x.chunks(LANES * 32) {
        let (blocks, rest) = part.as_chunks::<LANES>();
        let mut sums = [0.0f32; LANES];
        for block in blocks {
            for (sum, &x) in sums.iter_mut().zip(block) {
                *sum += f(x);
            }
        }
        total += sums
            .iter()
            .chain(&rest.iter().map(|&x| f(x)).collect::<Vec<_>>())
            .map(|&x| f64::from(x))
            .sum::<f64>();
    }
    total
}

impl Forward for Reduce {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        expect_number(x.dtype(), true)?;
        let mask = self.mask(&call.ints(1)?.unwrap_or_default(), x.shape().len())?;
        let sizes = || x.shape().iter().zip(&mask);
        let out: Vec<usize> = if self.keepdims {
            sizes().map(|(&n, &reduced)| if reduced { 1 } else { n }).collect()
        } else {
            sizes().filter(|(_, reduced)| !**reduced).map(|(&n, _)| n).collect()
        };
        let len = call.room(x.dtype(), &out)?;
        let plan = Plan::new(x.shape(), &mask);
        let piece = (1 << 14) / (plan.runs * plan.run.0).max(1) + 1;
        let kind = self.kind;
        let gapless = plan.run.1 == 1 && x.as_f32().is_some();
        let fast = |x: &[f32], i: usize| if gapless { plan.fast(kind, x, i) } else { None };
        let data = match x.data() {
            TensorData::F32(v) => {
                let mut y = vec![0.0; len];
                call.ctx.for_pieces(&mut y, piece, |p, y| {
                    for (i, y) in y.iter_mut().enumerate() {
                        let i = p * piece + i;
                        *y = fast(v, i).unwrap_or_else(|| plan.general(kind, v, i));
                    }
                });
                TensorData::F32(y)
            }
            other => with_elements!(other, v: T => {
                let mut y = vec![T::default(); len];
                call.ctx.for_pieces(&mut y, piece, |p, y| {
                    for (i, y) in y.iter_mut().enumerate() {
                        *y = plan.general(kind, v, p * piece + i);
                    }
                });
                T::wrap(y)
            }),
        };
        Ok(vec![Tensor::new(out, data)?])
    }
}

#[cfg(test)]
mod tests {
    use oculist_kernels::Context;

    use super::*;

    fn of(kind: ReduceKind, x: &Tensor, axes: &[i64]) -> Tensor {
        let op = Reduce { kind, keepdims: false, noop_with_empty_axes: false };
        let axes = Tensor::ints(axes.to_vec());
        crate::evaluate(&Context::new(1).unwrap(), &op.into(), &[Some(x), Some(&axes)], 1).unwrap().remove(0)
    }

    #[test]
    fn all_axes_and_all_kinds() {
        // numpy on np.arange(24).reshape(2, 3, 4).
        let x = Tensor::f32(&[2, 3, 4], (0..24u8).map(f32::from).collect());
        assert_eq!(
            of(ReduceKind::Sum, &x, &[1]).as_f32().unwrap(),
            [12.0, 15.0, 18.0, 21.0, 48.0, 51.0, 54.0, 57.0]
        );
        assert_eq!(of(ReduceKind::Sum, &x, &[0, 2]).as_f32().unwrap(), [60.0, 92.0, 124.0]);
        assert_eq!(of(ReduceKind::Mean, &x, &[-2, -1]).as_f32().unwrap(), [5.5, 17.5]);
        assert_eq!(of(ReduceKind::Max, &x, &[0]).as_f32().unwrap()[..2], [12.0, 13.0]);
        assert_eq!(of(ReduceKind::Min, &x, &[2]).as_f32().unwrap(), [0.0, 4.0, 8.0, 12.0, 16.0, 20.0]);
        assert_eq!(of(ReduceKind::L2, &x, &[2]).as_f32().unwrap()[0], 14f32.sqrt());
        assert_eq!(of(ReduceKind::SumSquare, &x, &[]).as_f32().unwrap(), [4324.0]);
        let y = of(ReduceKind::LogSumExp, &Tensor::f32(&[2], vec![1000.0, 1000.0]), &[0]);
        assert!((y.as_f32().unwrap()[0] - 1000.6931).abs() < 1e-3);
    }

    #[test]
    fn nothing_is_reduced_to_the_neutral_element() {
        let x = Tensor::zeros(oculist_graph::DataType::F32, &[2, 0]);
        let all = [
            (ReduceKind::Sum, 0.0),
            (ReduceKind::Prod, 1.0),
            (ReduceKind::Max, f32::NEG_INFINITY),
            (ReduceKind::Min, f32::INFINITY),
            (ReduceKind::LogSum, f32::NEG_INFINITY),
            (ReduceKind::LogSumExp, f32::NEG_INFINITY),
        ];
        for (kind, neutral) in all {
            assert_eq!(of(kind, &x, &[1]).as_f32().unwrap(), [neutral; 2], "{kind:?}");
        }
    }
}
