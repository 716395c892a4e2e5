//! Convolutions and transposed convolutions over any number of axes.

use oculist_graph::{Conv, ConvTranspose, Tensor};
use oculist_kernels::Context;

use crate::call::{Call, Forward, Outcome, Problem};
use crate::gemm::{Size, transposed};
use crate::real::{Real, finish, with_real};
use crate::window::Grid;

/// Samples and channels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maps {
    pub(super) n: usize,
    pub(super) c_in: usize,
    pub(super) c_out: usize,
    pub(super) groups: usize,
}

/// The most elements of a matrix of columns: larger ones are made in parts.
const COLUMNS: usize = 1 << 22;

/// Runs along the last axis: first output, first input, count.
type Runs = Vec<(usize, usize, usize)>;

fn runs_of(grid: &Grid) -> Vec<Runs> {
    let runs = |tap| {
        let mut runs = Runs::new();
        grid.runs(tap, |out, input, count| runs.push((out, input, count)));
        runs
    };
    (0..grid.taps()).map(runs).collect()
}

/// The parts of runs whose outputs lie in `start..end`, outputs counted from `start`.
fn clipped(
    runs: &Runs,
    start: usize,
    end: usize,
    stride: usize,
) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
    let first = runs.partition_point(|&(out, _, count)| out + count <= start);
    runs[first..].iter().take_while(move |run| run.0 < end).map(move |&(out, input, count)| {
        let skip = start.saturating_sub(out);
        (out + skip - start, input + skip * stride, (out + count).min(end) - out - skip)
    })
}

/// How many output positions are computed at once for columns of `k` rows.
pub(super) fn chunk(k: usize, positions: usize) -> usize {
    COLUMNS.div_ceil(k.max(1)).max(64).min(positions.max(1))
}

/// Adds `bias` to each channel.
pub(super) fn add_bias<T: Real>(ctx: &Context, y: &mut [T], map: usize, bias: Option<&Tensor>) {
    let Some(bias) = bias else { return };
    let bias = T::read(bias);
    ctx.for_pieces(y, map, |i, part| {
        let b = bias[i % bias.len()];
        for v in &mut *part {
            *v += b;
        }
    });
}

fn convolve<T: Real>(call: &Call, grid: &Grid, maps: Maps, x: &[T], w: &[T]) -> Result<Vec<T>, Problem> {
    let Maps { n, c_in, c_out, groups } = maps;
    let (inputs, outputs, taps) = (grid.inputs(), grid.outputs(), grid.taps());
    let (per_in, per_out) = (c_in / groups, c_out / groups);
    let mut y = vec![T::ZERO; n * c_out * outputs];
    if y.is_empty() || per_in == 0 {
        return Ok(y);
    }
    let stride = grid.axes.last().map_or(1, |a| a.stride);
    // Few output channels read each column only a few times, which does not pay for making it.
    if per_out < 4 && !grid.is_pointwise() {
        let runs = runs_of(grid);
        call.ctx.for_pieces(&mut y, outputs, |i, part| {
            let (sample, o) = (i / c_out, i % c_out);
            for c in 0..per_in {
                let map = &x[(sample * c_in + o / per_out * per_in + c) * inputs..][..inputs];
                for (tap, runs) in runs.iter().enumerate() {
                    let factor = w[(o * per_in + c) * taps + tap];
                    for &(out, input, count) in runs {
                        let from = map[input..].iter().step_by(stride);
                        for (v, &x) in part[out..out + count].iter_mut().zip(from) {
                            *v += factor * x;
                        }
                    }
                }
            }
        });
        return Ok(y);
    }
    let k = per_in * taps;
    let (runs, step) = if grid.is_pointwise() { (Vec::new(), 0) } else { (runs_of(grid), chunk(k, outputs)) };
    call.room(oculist_graph::DataType::F64, &[k, step])?;
    let mut columns = vec![T::ZERO; k * step];
    for sample in 0..n {
        for g in 0..groups {
            let x = &x[(sample * c_in + g * per_in) * inputs..][..per_in * inputs];
            let w = &w[g * per_out * k..][..per_out * k];
            let y = &mut y[(sample * c_out + g * per_out) * outputs..][..per_out * outputs];
            if grid.is_pointwise() {
                T::matmul(call.ctx, Size::packed(per_out, outputs, k), w, x, y);
                continue;
            }
            for start in (0..outputs).step_by(step) {
                let len = step.min(outputs - start);
                let columns = &mut columns[..k * len];
                call.ctx.for_pieces(columns, len, |row, part| {
                    part.fill(T::ZERO);
                    let map = &x[row / taps * inputs..][..inputs];
                    for (out, input, count) in clipped(&runs[row % taps], start, start + len, stride) {
                        let from = map[input..].iter().step_by(stride);
                        part[out..out + count].iter_mut().zip(from).for_each(|(v, &x)| *v = x);
                    }
                });
                let size = Size { m: per_out, n: len, k, lda: k, ldb: len, ldc: outputs };
                T::matmul(call.ctx, size, w, columns, &mut y[start..]);
            }
        }
    }
    Ok(y)
}

impl Forward for Conv {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, w) = (call.input(0)?, call.input(1)?);
        let window = self.window.filled(&w.shape()[2..]);
        let mut shape = vec![x.shape()[0], w.shape()[0]];
        for (axis, &size) in x.shape()[2..].iter().enumerate() {
            shape.push(window.output_size(axis, size, false)?);
        }
        call.room(x.dtype(), &shape)?;
        let grid = Grid::new(&window, &x.shape()[2..], &shape[2..])?;
        let maps = Maps { n: shape[0], c_in: x.shape()[1], c_out: shape[1], groups: self.groups };
        with_real!(x.dtype(), T => {
            let mut y = convolve(call, &grid, maps, &T::read(x), &T::read(w))?;
            add_bias::<T>(call.ctx, &mut y, grid.outputs(), call.get(2));
            Ok(vec![finish(&shape, y, x.dtype())?])
        })
    }
}

/// The sum over elements of `x` of their multiples of the kernel. `grid` is that of the convolution from the result to
/// `x`, whose transpose this is.
fn convolve_transposed<T: Real>(
    call: &Call,
    grid: &Grid,
    maps: Maps,
    x: &[T],
    w: &[T],
) -> Result<Vec<T>, Problem> {
    let Maps { n, c_in, c_out, groups } = maps;
    let (results, positions, taps) = (grid.inputs(), grid.outputs(), grid.taps());
    let (per_in, per_out) = (c_in / groups, c_out / groups);
    let mut y = vec![T::ZERO; n * c_out * results];
    if y.is_empty() {
        return Ok(y);
    }
    let stride = grid.axes.last().map_or(1, |a| a.stride);
    let rows = per_out * taps;
    let (runs, step) = (runs_of(grid), chunk(rows, positions));
    call.room(oculist_graph::DataType::F64, &[rows, step])?;
    let mut columns = vec![T::ZERO; rows * step];
    for g in 0..groups {
        let w = transposed(&w[g * per_in * rows..][..per_in * rows], per_in, rows);
        for sample in 0..n {
            let x = &x[(sample * c_in + g * per_in) * positions..][..per_in * positions];
            let y = &mut y[(sample * c_out + g * per_out) * results..][..per_out * results];
            for start in (0..positions).step_by(step) {
                let len = step.min(positions - start);
                let columns = &mut columns[..rows * len];
                let size = Size { m: rows, n: len, k: per_in, lda: per_in, ldb: positions, ldc: len };
                T::matmul(call.ctx, size, &w, &x[start..], columns);
                call.ctx.for_pieces(y, results, |o, part| {
                    for (tap, runs) in runs.iter().enumerate() {
                        let row = &columns[(o * taps + tap) * len..][..len];
                        for (from, to, count) in clipped(runs, start, start + len, stride) {
                            let into = part[to..].iter_mut().step_by(stride);
                            into.zip(&row[from..from + count]).for_each(|(v, &x)| *v += x);
                        }
                    }
                });
            }
        }
    }
    Ok(y)
}

impl Forward for ConvTranspose {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, w) = (call.input(0)?, call.input(1)?);
        let window = self.window.filled(&w.shape()[2..]);
        let spatial = &x.shape()[2..];
        let extents = spatial
            .iter()
            .enumerate()
            .map(|(axis, &size)| self.extent(&window, axis, size))
            .collect::<Result<Vec<_>, _>>()?;
        let mut shape = vec![x.shape()[0], w.shape()[1].saturating_mul(self.groups)];
        shape.extend(extents.iter().map(|e| e.0));
        call.room(x.dtype(), &shape)?;
        let grid = Grid::with(&window, &shape[2..], spatial, extents.iter().map(|e| (e.1, 0)))?;
        let maps = Maps { n: shape[0], c_in: x.shape()[1], c_out: shape[1], groups: self.groups };
        with_real!(x.dtype(), T => {
            let mut y = convolve_transposed(call, &grid, maps, &T::read(x), &T::read(w))?;
            add_bias::<T>(call.ctx, &mut y, grid.inputs(), call.get(2));
            Ok(vec![finish(&shape, y, x.dtype())?])
        })
    }
}

#[cfg(test)]
mod tests {
    use oculist_graph::{Op, Window};

    use super::*;
    use crate::evaluate;

    fn ramp(shape: &[usize]) -> Tensor {
        let len: usize = shape.iter().product();
        Tensor::f32(shape, (0..len).map(|i| (i * 7 % 23) as f32 - 11.0).collect())
    }

    fn apply(op: impl Into<Op>, inputs: &[&Tensor]) -> Tensor {
        let ctx = Context::new(2).unwrap();
        let inputs: Vec<Option<&Tensor>> = inputs.iter().map(|x| Some(*x)).collect();
        evaluate(&ctx, &op.into(), &inputs, 1).unwrap().remove(0)
    }

    /// The example of ONNX's documents: numbers from 0 on, a kernel of ones.
    #[test]
    fn documented_examples() {
        let x = Tensor::f32(&[1, 1, 5, 5], (0..25u8).map(f32::from).collect());
        let w = Tensor::filled(&[1, 1, 3, 3], 1.0);
        let y = apply(Conv::square(3, 2, 1), &[&x, &w]);
        assert_eq!(
            y,
            Tensor::f32(&[1, 1, 3, 3], vec![12.0, 27.0, 24.0, 63.0, 108.0, 81.0, 72.0, 117.0, 84.0])
        );
        let x = Tensor::f32(&[1, 1, 3, 3], (0..9u8).map(f32::from).collect());
        let y = apply(ConvTranspose::square(3, 1, 0), &[&x, &w]);
        let expected = [
            0.0, 1.0, 3.0, 3.0, 2.0, 3.0, 8.0, 15.0, 12.0, 7.0, 9.0, 21.0, 36.0, 27.0, 15.0, 9.0, 20.0, 33.0,
            24.0, 13.0, 6.0, 13.0, 21.0, 15.0, 8.0,
        ];
        assert_eq!(y, Tensor::f32(&[1, 1, 5, 5], expected.to_vec()));
    }

    /// Many output channels go through columns, in parts where those are large; few are computed directly.
    #[test]
    fn columns_give_what_the_direct_way_gives() {
        for (map, groups) in [([9, 7], 2), ([250, 250], 1)] {
            let x = ramp(&[1, 8, map[0], map[1]]);
            let w = ramp(&[8, 8 / groups, 3, 3]);
            let window = Window { stride: vec![1, 2], dilation: vec![2, 1], ..Window::square(3, 1, 2) };
            let all = apply(Conv { window: window.clone(), groups }, &[&x, &w]);
            for group in 0..groups {
                let per_group = 8 / groups;
                let x = x.select(1, &(group * per_group..(group + 1) * per_group).collect::<Vec<_>>());
                for o in group * per_group..(group + 1) * per_group {
                    let one = apply(Conv { window: window.clone(), groups: 1 }, &[&x, &w.select(0, &[o])]);
                    assert_eq!(all.select(1, &[o]), one, "channel {o} of {map:?}");
                }
            }
        }
    }

    /// With stride 1 a transposed convolution is a convolution with the kernel turned round.
    #[test]
    fn a_large_map_is_scattered_in_parts() {
        let x = ramp(&[1, 1, 300, 250]);
        let w = ramp(&[1, 8, 3, 3]);
        let y = apply(ConvTranspose::square(3, 1, 1), &[&x, &w]);
        let turned: Vec<f32> = w.as_f32().unwrap().chunks(9).flat_map(|k| k.iter().rev().copied()).collect();
        let expected = apply(Conv::square(3, 1, 1), &[&x, &Tensor::f32(&[8, 1, 3, 3], turned)]);
        assert_eq!(y, expected);
    }

    #[test]
    fn a_result_beyond_memory_is_refused() {
        let ctx = Context::new(1).unwrap().with_max_memory(1000);
        let (x, w) = (ramp(&[1, 1, 20, 20]), ramp(&[1, 1, 3, 3]));
        let op = Op::from(Conv::square(3, 1, 1));
        assert!(evaluate(&ctx, &op, &[Some(&x), Some(&w)], 1).is_err());
    }
}
