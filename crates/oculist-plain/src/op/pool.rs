//! Pooling over windows and over whole maps.

use oculist_graph::{AveragePool, DataType, GlobalPool, LpPool, MaxPool, Tensor, TensorData, Window};

use crate::call::{Call, Forward, Outcome, Problem};
use crate::float::Float;
use crate::real::{Real, finish, with_real};
use crate::window::{Grid, advance};

/// Shape of the result and the window over the actual sizes.
fn pooled(call: &Call, window: &Window, ceil_mode: bool) -> Result<(Vec<usize>, Grid), Problem> {
    let x = call.input(0)?;
    let mut shape = x.shape()[..2].to_vec();
    for (axis, &size) in x.shape()[2..].iter().enumerate() {
        shape.push(window.output_size(axis, size, ceil_mode)?);
    }
    call.room(x.dtype(), &shape)?;
    let grid = Grid::new(window, &x.shape()[2..], &shape[2..])?;
    Ok((shape, grid))
}

/// For each element of the kernel its positions along the axes.
fn taps(grid: &Grid) -> Vec<Vec<usize>> {
    (0..grid.taps()).map(|tap| grid.tap(tap)).collect()
}

/// Where an element of the kernel lies in a map of the input, if within.
fn place(grid: &Grid, out: &[usize], tap: &[usize]) -> Option<usize> {
    grid.axes
        .iter()
        .zip(out)
        .zip(tap)
        .try_fold(0, |at, ((axis, &o), &t)| Some(at * axis.input + axis.at(o, t)?))
}

/// The same position counted with the first axis fastest.
fn column_major(grid: &Grid, mut at: usize) -> usize {
    let sizes: Vec<usize> = grid.axes.iter().map(|a| a.input).collect();
    let mut digits: Vec<usize> = Vec::with_capacity(sizes.len());
    for &size in sizes.iter().rev() {
        digits.push(at % size);
        at /= size;
    }
    // `digits` has the last axis first, as a number whose first axis counts fastest is read.
    digits.iter().zip(sizes.iter().rev()).fold(0, |n, (&d, &size)| n * size + d)
}

/// The largest element of each window and its position in the map; the first of equal ones. NaN counts as larger than
/// any number, so that it is not lost.
fn largest<T: Copy + PartialOrd + Default + Send + Sync>(
    call: &Call,
    grid: &Grid,
    x: &[T],
) -> Vec<(T, usize)> {
    let (inputs, outputs) = (grid.inputs(), grid.outputs());
    let maps = if inputs == 0 { 0 } else { x.len() / inputs };
    let mut y = vec![(T::default(), 0); maps * outputs];
    let taps = taps(grid);
    call.ctx.for_pieces(&mut y, outputs, |i, part| {
        let map = &x[i * inputs..][..inputs];
        let mut out = vec![0; grid.axes.len()];
        for v in part {
            let mut best: Option<(T, usize)> = None;
            for tap in &taps {
                let Some(at) = place(grid, &out, tap) else { continue };
                let found = map[at];
                let better = match best {
                    None => true,
                    Some((b, _)) => {
                        found > b || (found.partial_cmp(&found).is_none() && b.partial_cmp(&b).is_some())
                    }
                };
                if better {
                    best = Some((found, at));
                }
            }
            *v = best.unwrap_or_default();
            advance(&mut out, |a| grid.axes[a].output);
        }
    });
    y
}

impl Forward for MaxPool {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let (shape, grid) = pooled(call, &self.window, self.ceil_mode)?;
        let outputs = grid.outputs();
        let inputs = grid.inputs();
        let position = |i: usize, at: usize| {
            let within = if self.column_major { column_major(&grid, at) } else { at };
            (i / outputs * inputs + within) as i64
        };
        macro_rules! by_type {
            ($($variant:ident),*) => {
                match x.data() {
                    $(TensorData::$variant(v) => {
                        let found = largest(call, &grid, v);
                        let values = found.iter().map(|f| f.0).collect();
                        let at = found.iter().enumerate().map(|(i, f)| position(i, f.1)).collect();
                        (TensorData::$variant(values), at)
                    })*
                    TensorData::Bool(_) => return Err("the input must be numbers, found bool".into()),
                }
            };
        }
        let (values, at): (_, Vec<i64>) =
            by_type!(F32, F64, F16, BF16, U8, I8, U16, I16, U32, I32, U64, I64, U4, I4);
        let mut results = vec![Tensor::new(shape.clone(), values)?];
        if call.outputs > 1 {
            results.push(Tensor::new(shape, TensorData::I64(at))?);
        }
        Ok(results)
    }
}

/// For each window the sum of `each` of its elements and how many there are.
fn sums<T: Real>(call: &Call, grid: &Grid, x: &[T], each: impl Fn(T) -> T + Sync) -> Vec<(T, usize)> {
    let (inputs, outputs) = (grid.inputs(), grid.outputs());
    let maps = if inputs == 0 { 0 } else { x.len() / inputs };
    let mut y = vec![(T::ZERO, 0); maps * outputs];
    let taps = taps(grid);
    call.ctx.for_pieces(&mut y, outputs, |i, part| {
        let map = &x[i * inputs..][..inputs];
        let mut out = vec![0; grid.axes.len()];
        for v in part {
            for tap in &taps {
                if let Some(at) = place(grid, &out, tap) {
                    *v = (v.0 + each(map[at]), v.1 + 1);
                }
            }
            advance(&mut out, |a| grid.axes[a].output);
        }
    });
    y
}

impl Forward for AveragePool {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let (shape, grid) = pooled(call, &self.window, self.ceil_mode)?;
        // Elements of each window within the padded input: what hangs over its end never counts.
        let padded: Vec<usize> = (0..grid.outputs())
            .map(|out| {
                let out = grid.output(out);
                let along = grid.axes.iter().zip(&out).map(|(axis, &o)| {
                    let end = axis.input + axis.before + axis.behind;
                    (0..axis.kernel).filter(|t| o * axis.stride + t * axis.dilation < end).count()
                });
                along.product()
            })
            .collect();
        with_real!(x.dtype(), T => {
            let sums = sums(call, &grid, &T::read(x), |v: T| v);
            let mean = |(i, &(sum, count)): (usize, &(T, usize))| {
                let count = if self.count_include_pad { padded[i % padded.len()] } else { count };
                sum / T::of_usize(count.max(1))
            };
            Ok(vec![finish(&shape, sums.iter().enumerate().map(mean).collect::<Vec<T>>(), x.dtype())?])
        })
    }
}

/// `|x|^p`, exact for the usual exponents.
fn power<T: Real>(x: T, p: i64) -> T {
    match p {
        1 => x.abs(),
        2 => x * x,
        _ => x.abs().powf(T::of_f64(p as f64)),
    }
}

/// The `p`-th root.
fn root<T: Real>(x: T, p: i64) -> T {
    match p {
        1 => x,
        2 => x.sqrt(),
        _ => x.powf(T::ONE / T::of_f64(p as f64)),
    }
}

impl Forward for LpPool {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let (shape, grid) = pooled(call, &self.window, self.ceil_mode)?;
        with_real!(x.dtype(), T => {
            let sums = sums(call, &grid, &T::read(x), |v: T| power(v, self.p));
            let norms: Vec<T> = sums.iter().map(|s| root(s.0, self.p)).collect();
            Ok(vec![finish(&shape, norms, x.dtype())?])
        })
    }
}

impl Forward for GlobalPool {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let mut shape = x.shape()[..2].to_vec();
        shape.resize(x.shape().len(), 1);
        let maps = call.room(x.dtype(), &shape)?;
        let size: usize = x.shape()[2..].iter().product();
        if size == 0 && maps > 0 {
            return Err(format!(
                "expected at least one element in each map, found the shape {:?}",
                x.shape()
            )
            .into());
        }
        let dtype: DataType = x.dtype();
        with_real!(dtype, T => {
            let x = T::read(x);
            let mut y = vec![T::ZERO; maps];
            call.ctx.for_pieces(&mut y, 1, |i, part| {
                let map = &x[i * size..][..size];
                part[0] = match *self {
                    Self::Average => pairwise(map, |v| v) / T::of_usize(size),
                    Self::Max => map.iter().fold(map[0], |a, &b| if b > a || b.to_f64().is_nan() { b } else { a }),
                    Self::Lp(p) => root(pairwise(map, |v| power(v, p)), p),
                };
            });
            Ok(vec![finish(&shape, y, dtype)?])
        })
    }
}

/// A sum in eight lanes over short parts, which are added in halves: fast, and the rounding stays small for long slices.
pub(super) fn pairwise<T: Real>(x: &[T], each: impl Fn(T) -> T + Copy) -> T {
    if x.len() > 512 {
        let (left, right) = x.split_at(x.len() / 2);
        return pairwise(left, each) + pairwise(right, each);
    }
    let mut lanes = [T::ZERO; 8];
    let (chunks, rest) = x.as_chunks::<8>();
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane += each(v);
        }
    }
    for (lane, &v) in lanes.iter_mut().zip(rest) {
        *lane += each(v);
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}
