//! Values sampled at other sizes, one axis after the other.

use oculist_graph::op::{Coordinates, Interpolation, Rounding};
use oculist_graph::{DataType, Item, Resize, Shape, Tensor, TensorData};

use crate::call::{Call, Forward, Outcome, Problem};
use crate::cast::cast;
use crate::moves::{Along, FILL, moved, strides};

/// One axis and how it is sampled.
struct Axis {
    /// Sizes of the input and of the result.
    from: usize,
    to: usize,
    scale: f64,
    /// Whether the scale is the quotient of the sizes.
    exact: bool,
    /// Start and end as shares of the input.
    roi: (f64, f64),
}

impl Axis {
    fn is_identity(&self, coordinates: Coordinates) -> bool {
        let whole = coordinates != Coordinates::CropAndResize || self.roi == (0.0, 1.0);
        self.from == self.to && self.scale == 1.0 && whole
    }

    /// Where index `i` of the result lies; `None` outside of what may be sampled.
    #[expect(clippy::match_same_arms, reason = "a table by name")]
    fn place(&self, coordinates: Coordinates, i: usize) -> Option<f64> {
        let (i, from, to) = (i as f64, self.from as f64, self.to as f64);
        // The size that the scale means, which may have a fraction.
        let wide = if self.exact { to } else { self.scale * from };
        let unscaled = |i: f64| if self.exact { i * from / to } else { i / self.scale };
        Some(match coordinates {
            Coordinates::HalfPixel => unscaled(i + 0.5) - 0.5,
            Coordinates::PytorchHalfPixel if self.to == 1 => 0.0,
            Coordinates::PytorchHalfPixel => unscaled(i + 0.5) - 0.5,
            Coordinates::HalfPixelSymmetric => from / 2.0 * (1.0 - to / wide) + unscaled(i + 0.5) - 0.5,
            Coordinates::AlignCorners if wide == 1.0 => 0.0,
            Coordinates::AlignCorners => i * (from - 1.0) / (wide - 1.0),
            Coordinates::Asymmetric => unscaled(i),
            Coordinates::CropAndResize => {
                let (start, end) = self.roi;
                let along = if wide == 1.0 { 0.5 } else { i / (wide - 1.0) };
                let place = start * (from - 1.0) + along * (end - start) * (from - 1.0);
                return (place >= 0.0 && place <= from - 1.0).then_some(place);
            }
        })
    }

    fn clamped(&self, i: f64) -> usize {
        // Numbers below 0 and those that are none become 0.
        (i as usize).min(self.from.saturating_sub(1))
    }

    /// The nearest element of each index, [`FILL`] outside.
    fn nearest(&self, coordinates: Coordinates, rounding: Rounding) -> Vec<usize> {
        let index = |i| {
            let place = self.place(coordinates, i)?;
            Some(self.clamped(match rounding {
                Rounding::PreferFloor => (place - 0.5).ceil(),
                Rounding::PreferCeil => (place + 0.5).floor(),
                Rounding::Floor => place.floor(),
                Rounding::Ceil => place.ceil(),
            }))
        };
        (0..self.to).map(|i| index(i).unwrap_or(FILL)).collect()
    }

    /// The elements that one is made of with their weights; `None` outside.
    fn taps(&self, op: &Resize, i: usize) -> Option<Vec<(usize, f64)>> {
        let place = self.place(op.coordinates, i)?;
        // Where the result is smaller, the filter is widened.
        let narrow = if op.antialias { self.scale.min(1.0) } else { 1.0 };
        let (support, filter): (f64, &dyn Fn(f64) -> f64) = match op.interpolation {
            Interpolation::Cubic(a) => (2.0, &move |x: f64| cubic(x.abs(), f64::from(a))),
            Interpolation::Linear | Interpolation::Nearest(_) => (1.0, &|x: f64| (1.0 - x.abs()).max(0.0)),
        };
        let first = (place - support / narrow).ceil();
        let count = ((place + support / narrow).floor() - first) as usize;
        let mut taps: Vec<(usize, f64)> = Vec::new();
        for k in 0..=count {
            let at = first + k as f64;
            let weight = filter((at - place) * narrow);
            let outside = at < 0.0 || at > self.from as f64 - 1.0;
            if weight == 0.0 || (outside && op.exclude_outside) {
                continue;
            }
            // The border stands for what is outside.
            let index = self.clamped(at);
            match taps.last_mut() {
                Some(last) if last.0 == index => last.1 += weight,
                _ => taps.push((index, weight)),
            }
        }
        let sum: f64 = taps.iter().map(|t| t.1).sum();
        if sum != 0.0 {
            for tap in &mut taps {
                tap.1 /= sum;
            }
        }
        Some(taps)
    }
}

/// Keys' cubic convolution with coefficient `a` at a distance.
fn cubic(x: f64, a: f64) -> f64 {
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

/// A number that sums are made of.
trait Real: Copy + Default + Send + Sync {
    fn of(value: f64) -> Self;
    fn add(&mut self, weight: Self, value: Self);
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as Self
    }

    fn add(&mut self, weight: Self, value: Self) {
        *self += weight * value;
    }
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn add(&mut self, weight: Self, value: Self) {
        *self += weight * value;
    }
}

/// The weighted sums along one axis, behind which lie `inner` elements.
fn along<T: Real>(
    call: &Call,
    x: &[T],
    inner: usize,
    from: usize,
    taps: &[Option<Vec<(usize, f64)>>],
    outside: f64,
) -> Vec<T> {
    // All neighbours one behind the other, and where those of each index stand.
    let mut all: Vec<(usize, T)> = Vec::new();
    let mut ranges = Vec::with_capacity(taps.len());
    for taps in taps {
        let first = all.len();
        all.extend(taps.iter().flatten().map(|&(i, weight)| (i, T::of(weight))));
        ranges.push(taps.as_ref().map(|_| first..all.len()));
    }
    let outer = x.len() / (inner * from).max(1);
    let to = taps.len();
    let mut y = vec![T::default(); outer * to * inner];
    let outside = T::of(outside);
    if inner == 1 {
        // The last axis: each element has neighbours of its own.
        let rows = (4096 / to.max(1)).max(1);
        call.ctx.for_pieces(&mut y, rows * to, |piece, y| {
            let x = &x[piece * rows * from..];
            for (x, y) in x.chunks_exact(from).zip(y.chunks_exact_mut(to)) {
                for (y, range) in y.iter_mut().zip(&ranges) {
                    let Some(range) = range else {
                        *y = outside;
                        continue;
                    };
                    let mut sum = T::default();
                    all[range.clone()].iter().for_each(|&(index, weight)| sum.add(weight, x[index]));
                    *y = sum;
                }
            }
        });
        return y;
    }
    let rows = (4096 / inner.max(1)).max(1);
    call.ctx.for_pieces(&mut y, rows * inner, |piece, y| {
        for (r, y) in y.chunks_exact_mut(inner.max(1)).enumerate() {
            let row = piece * rows + r;
            let x = &x[row / to * from * inner..][..from * inner];
            let Some(range) = &ranges[row % to] else {
                y.fill(outside);
                continue;
            };
            for &(index, weight) in &all[range.clone()] {
                for (y, &x) in y.iter_mut().zip(&x[index * inner..][..inner]) {
                    y.add(weight, x);
                }
            }
        }
    });
    y
}

/// The starts and ends of the axes.
fn regions(op: &Resize, call: &Call, axes: &[usize], rank: usize) -> Result<Vec<(f64, f64)>, Problem> {
    let mut all = vec![(0.0, 1.0); rank];
    if op.coordinates == Coordinates::CropAndResize {
        let roi = call.input(1)?.to_f32s();
        if roi.len() != 2 * axes.len() {
            return Err(format!("expected {} starts and ends, found {}", 2 * axes.len(), roi.len()).into());
        }
        for (i, &a) in axes.iter().enumerate() {
            all[a] = (roi[i].into(), roi[i + axes.len()].into());
        }
    }
    Ok(all)
}

impl Forward for Resize {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let scales = call.get(2).filter(|t| !t.is_empty()).map(Tensor::to_f32s);
        let sizes = if call.get(3).is_some_and(|t| !t.is_empty()) { call.ints(3)? } else { None };
        let items: Option<Vec<Item>> = sizes.map(|s| s.into_iter().map(Item::Known).collect());
        // The scale of sizes that keep a ratio is no quotient of them.
        let exact = scales.is_none() && self.aspect_ratio == oculist_graph::op::AspectRatio::Stretch;
        let rank = x.shape().len();
        let resized = self.resized(&Shape::fixed(x.shape()), scales.as_deref(), items.as_deref())?;
        let shape: Vec<usize> = resized.iter().map(|r| r.dim.size().unwrap_or(0)).collect();
        let named = self.resized_axes(rank)?;
        let roi = regions(self, call, &named, rank)?;
        if call.room(x.dtype(), &shape)? == 0 {
            return Ok(vec![Tensor::zeros(x.dtype(), &shape)]);
        }
        if x.is_empty() {
            return Err(format!("a value without elements cannot be resized to {shape:?}").into());
        }
        let axes: Vec<Axis> = (0..rank)
            .map(|a| {
                let scale = resized[a].scale.unwrap_or(1.0);
                Axis {
                    from: x.shape()[a],
                    to: shape[a],
                    scale,
                    exact: exact && named.contains(&a),
                    roi: roi[a],
                }
            })
            .collect();
        if let Interpolation::Nearest(rounding) = self.interpolation {
            let strides = strides(x.shape());
            let listed = |(axis, &stride): (&Axis, &usize)| {
                if axis.is_identity(self.coordinates) {
                    return Along::all(axis.to, stride);
                }
                let mut list = axis.nearest(self.coordinates, rounding);
                list.iter_mut().filter(|i| **i != FILL).for_each(|i| *i *= stride);
                Along::Listed(list)
            };
            let along = axes.iter().zip(&strides).map(listed).collect();
            let fill = cast(&Tensor::f32(&[1], vec![self.extrapolation]), x.dtype());
            return Ok(vec![Tensor::new(shape, moved(call.ctx, x.data(), along, Some(fill.data())))?]);
        }
        // Floats of up to 32 bits and short integers are summed as the former.
        let wide = matches!(
            x.dtype(),
            DataType::F64 | DataType::I32 | DataType::U32 | DataType::I64 | DataType::U64
        );
        let mut now = x.shape().to_vec();
        let mut data = cast(x, if wide { DataType::F64 } else { DataType::F32 }).into_data();
        for (a, axis) in axes.iter().enumerate() {
            if axis.is_identity(self.coordinates) {
                continue;
            }
            now[a] = axis.to;
            call.room(data.dtype(), &now)?;
            // Each index has a list of a few neighbours.
            call.ctx.check_memory("the weights of an axis", axis.to.saturating_mul(96))?;
            let inner = now[a + 1..].iter().product();
            let taps: Vec<_> = (0..axis.to).map(|i| axis.taps(self, i)).collect();
            let outside = self.extrapolation.into();
            data = match &data {
                TensorData::F64(x) => TensorData::F64(along(call, x, inner, axis.from, &taps, outside)),
                TensorData::F32(x) => TensorData::F32(along(call, x, inner, axis.from, &taps, outside)),
                _ => return Err("sums are made of floats".into()),
            };
        }
        if x.dtype().is_integer() {
            // Integers are rounded, half to even.
            data = match data {
                TensorData::F64(v) => TensorData::F64(v.into_iter().map(f64::round_ties_even).collect()),
                TensorData::F32(v) => TensorData::F32(v.into_iter().map(f32::round_ties_even).collect()),
                other => other,
            };
        }
        Ok(vec![cast(&Tensor::new(shape, data)?, x.dtype())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate;
    use oculist_kernels::Context;

    fn resize(op: Resize, scales: &[f32], x: &Tensor) -> Tensor {
        let scales = Tensor::f32(&[scales.len()], scales.to_vec());
        let inputs = [Some(x), None, Some(&scales)];
        evaluate(&Context::new(2).unwrap(), &op.into(), &inputs, 1).unwrap().remove(0)
    }

    #[test]
    fn the_examples_of_onnx() {
        let x = Tensor::f32(&[1, 1, 2, 2], vec![1.0, 2.0, 3.0, 4.0]);
        let y = resize(Resize::REPEAT, &[1.0, 1.0, 2.0, 3.0], &x);
        let rows = [[1.0, 1.0, 1.0, 2.0, 2.0, 2.0], [3.0, 3.0, 3.0, 4.0, 4.0, 4.0]];
        assert_eq!(y, Tensor::f32(&[1, 1, 4, 6], [rows[0], rows[0], rows[1], rows[1]].concat()));
        let linear = Resize {
            interpolation: Interpolation::Linear,
            coordinates: Coordinates::HalfPixel,
            ..Resize::REPEAT
        };
        let y = resize(linear.clone(), &[1.0, 1.0, 2.0, 2.0], &x);
        assert_eq!(y.as_f32().unwrap()[..8], [1.0, 1.25, 1.75, 2.0, 1.5, 1.75, 2.25, 2.5]);
        let x = Tensor::f32(&[1, 1, 2, 4], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let y = resize(linear, &[1.0, 1.0, 0.6, 0.6], &x);
        let expected = [2.6666665, 4.333_333];
        assert!(y.as_f32().unwrap().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{y:?}");
    }
}
