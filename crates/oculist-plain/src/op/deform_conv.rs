//! Deformable convolution.

use std::borrow::Cow;

use oculist_graph::{DeformConv, Tensor};

use super::conv::{add_bias, chunk};
use crate::call::{Call, Forward, Outcome};
use crate::gemm::{Number, Size};
use crate::real::{Real, finish, with_real};
use crate::window::{Grid, unravel};

/// Calls `f(corner, at, weight)` for each corner of the cell around a place that lies within a map: bit `a` of its
/// number says which end along axis `a` it is.
pub(crate) fn corners<T: Real>(grid: &Grid, place: &[T], mut f: impl FnMut(usize, usize, T)) {
    for corner in 0..1usize << place.len() {
        let (mut weight, mut at) = (T::ONE, Some(0usize));
        for (a, (&p, axis)) in place.iter().zip(&grid.axes).enumerate() {
            let low = p.floor();
            let upper = corner >> a & 1 == 1;
            weight *= if upper { p - low } else { T::ONE - (p - low) };
            // A place beyond the range of integers, or none at all, becomes one that is outside.
            let i = low.to_f64() as i64;
            let i = usize::try_from(i.saturating_add(i64::from(upper))).ok().filter(|&i| i < axis.input);
            at = at.zip(i).map(|(at, i)| at * axis.input + i);
        }
        if let Some(at) = at {
            f(corner, at, weight);
        }
    }
}

/// The value between the elements of a map at a place that may lie outside, where the map is zero.
fn sample<T: Real>(map: &[T], grid: &Grid, place: &[T]) -> T {
    let mut sum = T::ZERO;
    corners(grid, place, |_, at, weight| {
        if weight != T::ZERO {
            sum += weight * map[at];
        }
    });
    sum
}

/// The places that a kernel's elements are moved to.
pub(crate) struct Places<'a, T: Real> {
    pub(crate) grid: Grid,
    offset: Cow<'a, [T]>,
    /// Channels that share their offsets, and how many such groups there are.
    per_offset: usize,
    offset_groups: usize,
}

impl<'a, T: Real> Places<'a, T> {
    pub(crate) fn new(op: &DeformConv, grid: Grid, offset: &'a Tensor, channels: usize) -> Self {
        let per_offset = (channels / op.offset_groups).max(1);
        Self { grid, offset: T::read(offset), per_offset, offset_groups: op.offset_groups }
    }

    /// The number of a kernel's element for a channel of a sample: it counts once for each group of offsets.
    pub(crate) fn element(&self, sample: usize, channel: usize, tap: usize) -> usize {
        (sample * self.offset_groups + channel / self.per_offset) * self.grid.taps() + tap
    }

    /// Which number of the offsets moves an element along axis `a` for output `i`.
    pub(crate) fn offset(&self, element: usize, a: usize, i: usize) -> usize {
        (element * self.grid.axes.len() + a) * self.grid.outputs() + i
    }

    /// Where the element that stands at `tap` in the kernel looks for output `i`.
    pub(crate) fn place(&self, element: usize, tap: &[usize], i: usize, place: &mut [T]) {
        let out = unravel(i, self.grid.axes.iter().map(|a| a.output));
        for (a, axis) in self.grid.axes.iter().enumerate() {
            let regular = T::of_usize(out[a] * axis.stride + tap[a] * axis.dilation);
            place[a] = regular - T::of_usize(axis.before) + self.offset[self.offset(element, a, i)];
        }
    }
}

impl Forward for DeformConv {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, w, offset) = (call.input(0)?, call.input(1)?, call.input(2)?);
        let window = self.window.filled(&w.shape()[2..]);
        let mut shape = vec![x.shape()[0], w.shape()[0]];
        shape.extend(&offset.shape()[2..]);
        call.room(x.dtype(), &shape)?;
        let grid = Grid::new(&window, &x.shape()[2..], &shape[2..])?;
        if grid.axes.len() > 8 {
            return Err(format!("{} spatial axes, supported are at most 8", grid.axes.len()).into());
        }
        let (n, c_in, c_out) = (shape[0], x.shape()[1], shape[1]);
        let (inputs, outputs, taps, axes) = (grid.inputs(), grid.outputs(), grid.taps(), grid.axes.len());
        let (per_in, per_out) = (c_in / self.groups, c_out / self.groups);
        let k = per_in * taps;
        let step = chunk(k, outputs);
        call.room(oculist_graph::DataType::F64, &[k, step])?;
        with_real!(x.dtype(), T => {
            let (x_all, w_all, mask) = (T::read(x), T::read(w), call.get(4).map(T::read));
            let places = Places::<T>::new(self, grid, offset, c_in);
            let mut y = vec![T::ZERO; n * c_out * outputs];
            let mut columns = vec![T::ZERO; k * step];
            for (s, g) in (0..n).flat_map(|s| (0..self.groups).map(move |g| (s, g))) {
                let w = &w_all[g * per_out * k..][..per_out * k];
                let y = &mut y[(s * c_out + g * per_out) * outputs..][..per_out * outputs];
                for start in (0..outputs).step_by(step) {
                    let len = step.min(outputs - start);
                    let columns = &mut columns[..k * len];
                    call.ctx.for_pieces(columns, len, |row, part| {
                        let (c, tap) = (g * per_in + row / taps, row % taps);
                        let map = &x_all[(s * c_in + c) * inputs..][..inputs];
                        let element = places.element(s, c, tap);
                        let at_tap = places.grid.tap(tap);
                        let mut place = vec![T::ZERO; axes];
                        for (i, v) in part.iter_mut().enumerate() {
                            places.place(element, &at_tap, start + i, &mut place);
                            *v = sample(map, &places.grid, &place);
                            if let Some(mask) = &mask {
                                *v *= mask[element * outputs + start + i];
                            }
                        }
                    });
                    let size = Size { m: per_out, n: len, k, lda: k, ldb: len, ldc: outputs };
                    T::matmul(call.ctx, size, w, columns, &mut y[start..]);
                }
            }
            add_bias::<T>(call.ctx, &mut y, outputs, call.get(3));
            Ok(vec![finish(&shape, y, x.dtype())?])
        })
    }
}

#[cfg(test)]
mod tests {
    use oculist_graph::{Op, Window};
    use oculist_kernels::Context;

    use super::*;
    use crate::evaluate;

    /// A kernel of one element whose offset moves it by half a pixel down and one to the right, times a mask.
    #[test]
    fn places_between_pixels_are_interpolated() {
        let x = Tensor::f32(&[1, 1, 2, 2], vec![1.0, 2.0, 3.0, 4.0]);
        let w = Tensor::f32(&[1, 1, 1, 1], vec![10.0]);
        let offset: Vec<f32> = [[0.5; 4], [1.0; 4]].concat();
        let offset = Tensor::f32(&[1, 2, 2, 2], offset);
        let (bias, mask) =
            (Tensor::f32(&[1], vec![1.0]), Tensor::f32(&[1, 1, 2, 2], vec![1.0, 1.0, 0.5, f32::NAN]));
        let op = Op::from(DeformConv { window: Window::square(1, 1, 0), groups: 1, offset_groups: 1 });
        let inputs = [Some(&x), Some(&w), Some(&offset), Some(&bias), Some(&mask)];
        let y = evaluate(&Context::new(2).unwrap(), &op, &inputs, 1).unwrap().remove(0);
        let y = y.as_f32().unwrap();
        // Below the last row lies zero, behind the last column too.
        assert_eq!(y[..3], [31.0, 1.0, 11.0]);
        assert!(y[3].is_nan());
    }
}
