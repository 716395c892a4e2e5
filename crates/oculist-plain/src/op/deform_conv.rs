//! Deformable convolution.

use oculist_graph::DeformConv;

use super::conv::{add_bias, chunk};
use crate::call::{Call, Forward, Outcome};
use crate::gemm::{Number, Size};
use crate::real::{Real, finish, with_real};
use crate::window::{Grid, unravel};

/// The value between the elements of a map at a place that may lie outside, where the map is zero.
fn sample<T: Real>(map: &[T], grid: &Grid, place: &[T]) -> T {
    let mut sum = T::ZERO;
    // Each corner of the cell around the place: bit `a` of its number says which end along axis `a`.
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
        if let Some(at) = at
            && weight != T::ZERO
        {
            sum += weight * map[at];
        }
    }
    sum
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
        let per_offset = (c_in / self.offset_groups).max(1);
        let k = per_in * taps;
        let step = chunk(k, outputs);
        call.room(oculist_graph::DataType::F64, &[k, step])?;
        with_real!(x.dtype(), T => {
            let (x_all, w_all, offset, mask) = (T::read(x), T::read(w), T::read(offset), call.get(4).map(T::read));
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
                        // The kernel's element counts once for each group of offsets.
                        let element = (s * self.offset_groups + c / per_offset) * taps + tap;
                        let at_tap = grid.tap(tap);
                        let mut place = vec![T::ZERO; axes];
                        for (i, v) in part.iter_mut().enumerate() {
                            let out = unravel(start + i, grid.axes.iter().map(|a| a.output));
                            for (a, axis) in grid.axes.iter().enumerate() {
                                let regular = T::of_usize(out[a] * axis.stride + at_tap[a] * axis.dilation);
                                let moved = offset[(element * axes + a) * outputs + start + i];
                                place[a] = regular - T::of_usize(axis.before) + moved;
                            }
                            *v = sample(map, &grid, &place);
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
    use oculist_graph::{Op, Tensor, Window};
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
