//! Pooling over windows and over whole maps.

use oculist_graph::{AveragePool, DataType, GlobalPool, LpPool, MaxPool, Tensor, TensorData, Window};

use crate::call::{Call, Forward, Outcome, Problem};
use crate::real::{Real, finish, with_real};
use crate::window::Grid;

/// Shape of the result and the window over the actual sizes.
fn pooled(call: &Call, window: &Window, ceil_mode: bool) -> Result<(Vec<usize>, Grid), Problem> {
    let x = call.input(0)?;
    let mut shape = x.shape()[..2].to_vec();
    for (axis, &size) in x.shape()[2..].iter().enumerate() {
        shape.push(window.output_size(axis, size, ceil_mode)?);
    }
    // Twice, for values with their positions or counts.
    call.room(DataType::F64, &[2, shape.iter().fold(1, |n: usize, &d| n.saturating_mul(d))])?;
    let grid = Grid::new(window, &x.shape()[2..], &shape[2..])?;
    Ok((shape, grid))
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
    let maps = x.len().checked_div(inputs).unwrap_or(0);
    let mut y = vec![(T::default(), 0); maps * outputs];
    call.ctx.for_pieces(&mut y, outputs, |i, part| {
        let map = &x[i * inputs..][..inputs];
        grid.windows(|out, positions| {
            let mut best: Option<(T, usize)> = None;
            for &at in positions {
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
            part[out] = best.unwrap_or_default();
        });
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
    let maps = x.len().checked_div(inputs).unwrap_or(0);
    let mut y = vec![(T::ZERO, 0); maps * outputs];
    call.ctx.for_pieces(&mut y, outputs, |i, part| {
        let map = &x[i * inputs..][..inputs];
        grid.windows(|out, positions| {
            let sum = positions.iter().fold(T::ZERO, |sum, &at| sum + each(map[at]));
            part[out] = (sum, positions.len());
        });
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
                grid.axes.iter().zip(&out).map(|(axis, &o)| axis.padded(o)).product()
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

#[cfg(test)]
mod tests {
    use oculist_graph::{Op, Padding};
    use oculist_kernels::Context;

    use super::*;
    use crate::evaluate;

    fn apply(op: impl Into<Op>, x: &Tensor, outputs: usize) -> Vec<Tensor> {
        evaluate(&Context::new(2).unwrap(), &op.into(), &[Some(x)], outputs).unwrap()
    }

    fn from_one(shape: &[usize]) -> Tensor {
        let len: usize = shape.iter().product();
        Tensor::f32(shape, (1..=len).map(|i| i as f32).collect())
    }

    /// ONNX's example of strides with positions that count columns first.
    #[test]
    fn positions_count_rows_or_columns_first() {
        let x = from_one(&[1, 1, 5, 5]);
        for (column_major, at) in [(false, [6, 8, 16, 18]), (true, [6, 16, 8, 18])] {
            let op = MaxPool { column_major, ..MaxPool::square(2, 2, 0) };
            let found = apply(op, &x, 2);
            assert_eq!(found[0].as_f32().unwrap(), [7.0, 9.0, 17.0, 19.0]);
            assert_eq!(found[1].as_i64().unwrap(), at);
        }
    }

    #[test]
    fn bytes_and_nan_have_a_maximum() {
        let x = Tensor::i8(&[1, 1, 1, 3], vec![-5, -3, -4]);
        let op = |kernel| MaxPool {
            window: Window { kernel: vec![1, kernel], ..Window::square(1, 1, 0) },
            ..MaxPool::square(1, 1, 0)
        };
        assert_eq!(apply(op(2), &x, 1)[0].as_i8().unwrap(), [-3, -3]);
        let x = Tensor::f32(&[1, 1, 1, 3], vec![1.0, f32::NAN, 2.0]);
        assert!(apply(op(3), &x, 1)[0].as_f32().unwrap()[0].is_nan());
    }

    /// A window over the end counts the padding that it covers, but nothing behind it.
    #[test]
    fn means_with_and_without_padding() {
        let x = from_one(&[1, 1, 4]);
        let window = Window {
            kernel: vec![3],
            stride: vec![2],
            padding: Padding::Explicit(vec![1, 0]),
            dilation: vec![1],
        };
        for (count_include_pad, mean) in [(false, [1.5, 3.0, 4.0]), (true, [1.0, 3.0, 4.0])] {
            // Padded: 0 1 2 3 4; windows 0 1 2 and 2 3 4; with `ceil_mode` none begins behind the input.
            let op = AveragePool { window: window.clone(), ceil_mode: true, count_include_pad };
            let found = apply(op, &x, 1);
            assert_eq!(found[0].as_f32().unwrap(), &mean[..2]);
        }
    }

    #[test]
    fn norms_of_windows_and_maps() {
        let x = Tensor::f32(&[1, 1, 2, 2], vec![3.0, -4.0, 0.0, 12.0]);
        let op = LpPool { window: Window::square(2, 1, 0), ceil_mode: false, p: 2 };
        assert_eq!(apply(op, &x, 1)[0].as_f32().unwrap(), [13.0]);
        assert_eq!(apply(GlobalPool::Lp(1), &x, 1)[0].as_f32().unwrap(), [19.0]);
        assert_eq!(apply(GlobalPool::Average, &x, 1)[0].as_f32().unwrap(), [2.75]);
        assert_eq!(apply(GlobalPool::Max, &x, 1)[0].shape(), [1, 1, 1, 1]);
    }
}
