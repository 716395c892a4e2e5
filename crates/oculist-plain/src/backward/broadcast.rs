//! Values that are broadcast, and sums over what they were broadcast along.

use oculist_graph::Tensor;

use crate::call::Problem;
use crate::real::{Real, finish, with_real};

/// How far apart neighbours along each axis of `out` lie in a value of shape `shape`; 0 where it is broadcast.
fn steps(shape: &[usize], out: &[usize]) -> Vec<usize> {
    let mut steps = vec![0; out.len()];
    let mut step = 1;
    for (slot, &size) in steps.iter_mut().rev().zip(shape.iter().rev()) {
        if size != 1 {
            *slot = step;
        }
        step *= size;
    }
    steps
}

/// Calls `f` with each position in `out` and the positions in values of the shapes, row-major.
pub(super) fn walk<const N: usize>(
    out: &[usize],
    shapes: [&[usize]; N],
    mut f: impl FnMut(usize, [usize; N]),
) {
    if out.contains(&0) {
        return;
    }
    let steps = shapes.map(|shape| steps(shape, out));
    let (inner, last) = match out.split_last() {
        Some((&inner, _)) => (inner, steps.each_ref().map(|s| s[out.len() - 1])),
        None => (1, [0; N]),
    };
    let outer = &out[..out.len().saturating_sub(1)];
    let mut at = vec![0; outer.len()];
    let mut row = [0; N];
    let mut i = 0;
    loop {
        let mut place = row;
        for _ in 0..inner {
            f(i, place);
            i += 1;
            for (place, step) in place.iter_mut().zip(last) {
                *place += step;
            }
        }
        // The next row: the last axis that is not at its end goes on, those behind it begin anew.
        let mut axis = outer.len();
        loop {
            let Some(a) = axis.checked_sub(1) else { return };
            axis = a;
            at[a] += 1;
            for (row, steps) in row.iter_mut().zip(&steps) {
                *row += steps[a];
            }
            if at[a] < outer[a] {
                break;
            }
            for (row, steps) in row.iter_mut().zip(&steps) {
                *row -= steps[a] * at[a];
            }
            at[a] = 0;
        }
    }
}

/// The sum over the axes along which a value of shape `to` was broadcast to `from`.
pub(super) fn reduced<T: Real>(x: &[T], from: &[usize], to: &[usize]) -> Vec<T> {
    if from == to {
        return x.to_vec();
    }
    // Long sums are kept in f64.
    let mut sums = vec![0.0f64; to.iter().product()];
    walk(from, [to], |i, [at]| sums[at] += x[i].to_f64());
    sums.into_iter().map(T::of_f64).collect()
}

/// The gradient of a value of shape `to` that was broadcast to the shape of `gradient`.
pub(super) fn sum_to(gradient: &Tensor, to: &[usize]) -> Result<Tensor, Problem> {
    if gradient.shape() == to {
        return Ok(gradient.clone());
    }
    if gradient.len() == to.iter().product::<usize>() {
        return Ok(gradient.reshaped(to.to_vec())?);
    }
    with_real!(gradient.dtype(), T => {
        finish(to, reduced::<T>(&T::read(gradient), gradient.shape(), to), gradient.dtype())
    })
}

/// The elements broadcast to a shape.
pub(super) fn expanded<T: Copy + Default>(x: &[T], from: &[usize], to: &[usize]) -> Vec<T> {
    if from == to {
        return x.to_vec();
    }
    let mut y = vec![T::default(); to.iter().product()];
    walk(to, [from], |i, [at]| y[i] = x[at]);
    y
}
