//! Sampling at places that another value names.

use oculist_graph::op::{Outside, Sampling};
use oculist_graph::{AffineGrid, DataType, GridSample, Tensor, TensorData};

use crate::call::{Call, Forward, Outcome, Problem};
use crate::cast::cast;
use crate::moves::strides;

/// The elements as 64-bit floats.
pub(crate) fn reals(x: &Tensor) -> Result<Vec<f64>, Problem> {
    match cast(x, DataType::F64).into_data() {
        TensorData::F64(v) => Ok(v),
        _ => Err("the elements could not be widened".into()),
    }
}

/// 64-bit floats as a tensor of another type; integers are cut towards zero.
pub(crate) fn of_reals(values: Vec<f64>, shape: Vec<usize>, dtype: DataType) -> Result<Tensor, Problem> {
    Ok(cast(&Tensor::new(shape, TensorData::F64(values))?, dtype))
}

/// A place mirrored at both borders until it lies between them, and how it moves with `x`.
fn reflected(x: f64, low: f64, high: f64) -> (f64, f64) {
    let range = high - low;
    if range <= 0.0 {
        return (low, 0.0);
    }
    let from_low = (x - low).rem_euclid(2.0 * range);
    if from_low > range { (low + 2.0 * range - from_low, -1.0) } else { (low + from_low, 1.0) }
}

/// A pixel that a place between pixels is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tap {
    /// Its position.
    pub(crate) at: usize,
    /// Its weight.
    pub(crate) weight: f64,
    /// How the weight grows with the place.
    pub(crate) slope: f64,
}

/// One spatial axis.
#[derive(Clone, Copy)]
pub(crate) struct Axis {
    size: usize,
    stride: usize,
}

/// The spatial axes of a value `[N, C, ...]`.
pub(crate) fn spatial_axes(shape: &[usize]) -> Vec<Axis> {
    shape[2..].iter().zip(&strides(shape)[2..]).map(|(&size, &stride)| Axis { size, stride }).collect()
}

impl Axis {
    /// The borders that are mirrored at: middles of the outermost pixels, or their edges.
    fn borders(&self, align_corners: bool) -> (f64, f64) {
        let last = self.size as f64 - 1.0;
        if align_corners { (0.0, last) } else { (-0.5, last + 0.5) }
    }

    /// The pixels that the place `n` between -1 and 1 is made of.
    #[expect(clippy::match_same_arms, reason = "one line for what lies outside, one for what lies inside")]
    pub(crate) fn taps(self, op: GridSample, n: f64, taps: &mut Vec<Tap>) {
        taps.clear();
        let size = self.size as f64;
        let mut x = if op.align_corners {
            f64::midpoint(n, 1.0) * (size - 1.0)
        } else {
            ((n + 1.0) * size - 1.0) / 2.0
        };
        // How the place moves with `n`.
        let mut speed = if op.align_corners { (size - 1.0) / 2.0 } else { size / 2.0 };
        if op.sampling == Sampling::Nearest {
            x = x.round_ties_even();
        }
        let (low, high) = self.borders(op.align_corners);
        if x < low || x > high {
            match op.outside {
                Outside::Zeros => {}
                // Neighbours of a cubic stand at the border each for itself, as PyTorch has it.
                Outside::Border if op.sampling == Sampling::Cubic => {}
                Outside::Border => (x, speed) = (x.clamp(0.0, (size - 1.0).max(0.0)), 0.0),
                Outside::Reflection => {
                    let (inside, turn) = reflected(x, low, high);
                    (x, speed) = (inside, speed * turn);
                }
            }
        }
        let before = x.floor();
        let t = x - before;
        let mut tap = |at: f64, weight: f64, slope: f64| {
            let inside = match op.outside {
                Outside::Zeros if at < 0.0 || at > size - 1.0 => return,
                Outside::Zeros => at,
                Outside::Border => at.clamp(0.0, (size - 1.0).max(0.0)),
                Outside::Reflection if at < low || at > high => reflected(at, low, high).0,
                Outside::Reflection => at,
            };
            // A place that is no number is that of the first pixel, with a weight that is none either.
            let at = (inside.max(0.0) as usize).min(self.size - 1) * self.stride;
            taps.push(Tap { at, weight, slope: slope * speed });
        };
        match op.sampling {
            Sampling::Nearest => tap(x, 1.0, 0.0),
            Sampling::Linear => {
                tap(before, 1.0 - t, -1.0);
                tap(before + 1.0, t, 1.0);
            }
            Sampling::Cubic => {
                const A: f64 = -0.75;
                let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
                let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
                let near_slope = |x: f64| (3.0 * (A + 2.0) * x - 2.0 * (A + 3.0)) * x;
                let far_slope = |x: f64| (3.0 * A * x - 10.0 * A) * x + 8.0 * A;
                tap(before - 1.0, far(t + 1.0), far_slope(t + 1.0));
                tap(before, near(t), near_slope(t));
                tap(before + 1.0, near(1.0 - t), -near_slope(1.0 - t));
                tap(before + 2.0, far(2.0 - t), -far_slope(2.0 - t));
            }
        }
    }
}

impl Forward for GridSample {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, grid) = (call.input(0)?, call.input(1)?);
        let spatial = x.shape().len() - 2;
        let shape = [&x.shape()[..2], &grid.shape()[1..=spatial]].concat();
        if call.room(x.dtype(), &shape)? == 0 || x.is_empty() {
            return Ok(vec![Tensor::zeros(x.dtype(), &shape)]);
        }
        let axes = spatial_axes(x.shape());
        let (samples, channels) = (shape[0], shape[1]);
        let points: usize = shape[2..].iter().product();
        let plane: usize = x.shape()[2..].iter().product();
        call.room(DataType::F64, &shape)?;
        let (values, places) = (reals(x)?, reals(grid)?);
        let mut y = vec![0.0; samples * channels * points];
        let mut taps = Vec::new();
        for n in 0..samples {
            for p in 0..points {
                let place = &places[(n * points + p) * spatial..][..spatial];
                // All combinations of the axes' pixels; the last axis stands first in a place.
                let mut all = vec![(0, 1.0)];
                for (axis, &at) in axes.iter().zip(place.iter().rev()) {
                    axis.taps(*self, at, &mut taps);
                    all = all
                        .iter()
                        .flat_map(|&(position, weight)| {
                            taps.iter().map(move |tap| (position + tap.at, weight * tap.weight))
                        })
                        .collect();
                }
                for c in 0..channels {
                    let pixels = &values[(n * channels + c) * plane..][..plane];
                    y[(n * channels + c) * points + p] =
                        all.iter().map(|&(position, weight)| pixels[position] * weight).sum();
                }
            }
        }
        Ok(vec![of_reals(y, shape, x.dtype())?])
    }
}

impl Forward for AffineGrid {
    fn forward(&self, call: &Call) -> Outcome {
        let theta = call.input(0)?;
        let sizes = call.ints(1)?.ok_or("input 1 is missing")?;
        let sizes = sizes
            .iter()
            .map(|&n| usize::try_from(n).map_err(|_| Problem::from(format!("a size is {n}"))))
            .collect::<Result<Vec<_>, _>>()?;
        let samples = theta.shape()[0];
        if sizes.first() != Some(&samples) {
            return Err(
                format!("the size is of {:?} samples, found {samples} matrices", sizes.first()).into()
            );
        }
        let spatial = &sizes[2..];
        let r = spatial.len();
        let shape = [&[samples], spatial, &[r]].concat();
        let len = call.room(DataType::F64, &shape)?;
        let matrices = reals(theta)?;
        let points: usize = if len == 0 { 0 } else { spatial.iter().product() };
        let strides = strides(spatial);
        let mut y = Vec::with_capacity(len);
        for n in 0..if points == 0 { 0 } else { samples } {
            let rows = &matrices[n * r * (r + 1)..][..r * (r + 1)];
            for p in 0..points {
                for row in rows.chunks_exact(r + 1) {
                    let mut sum = row[r];
                    for a in 0..r {
                        let (i, size) = ((p / strides[a] % spatial[a]) as f64, spatial[a] as f64);
                        let place = match self.align_corners {
                            true if spatial[a] == 1 => 0.0,
                            true => 2.0 * i / (size - 1.0) - 1.0,
                            false => (2.0 * i + 1.0) / size - 1.0,
                        };
                        // The last axis stands first.
                        sum += row[r - 1 - a] * place;
                    }
                    y.push(sum);
                }
            }
        }
        Ok(vec![of_reals(y, shape, theta.dtype())?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, run};

    #[test]
    fn corners_lie_where_they_are_said_to() {
        let x = Tensor::f32(&[1, 1, 2, 2], vec![0.0, 1.0, 2.0, 3.0]);
        let grid = Tensor::f32(&[1, 1, 3, 2], vec![-1.0, -1.0, 0.0, 0.0, 1.0, 0.0]);
        let op = |outside, align_corners| GridSample { sampling: Sampling::Linear, outside, align_corners };
        close(&run(op(Outside::Zeros, true), &[&x, &grid]).unwrap(), &[1, 1, 1, 3], &[0.0, 1.5, 2.0]);
        // The corner of the first pixel has a quarter of it, the right edge half of the last column.
        close(&run(op(Outside::Zeros, false), &[&x, &grid]).unwrap(), &[1, 1, 1, 3], &[0.0, 1.5, 1.0]);
        close(&run(op(Outside::Border, false), &[&x, &grid]).unwrap(), &[1, 1, 1, 3], &[0.0, 1.5, 2.0]);
        assert_eq!(reflected(-1.5, -0.5, 3.5), (0.5, -1.0));
        assert_eq!(reflected(5.0, 0.0, 3.0), (1.0, -1.0));
        assert_eq!(reflected(7.0, 0.0, 3.0), (1.0, 1.0));
        assert_eq!(reflected(7.0, 0.0, 0.0), (0.0, 0.0));
    }

    #[test]
    fn the_identity_gives_the_places_of_pixels() {
        let theta = Tensor::f32(&[1, 2, 3], vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.5]);
        let size = Tensor::ints(vec![1, 3, 1, 2]);
        let y = run(AffineGrid { align_corners: false }, &[&theta, &size]).unwrap();
        close(&y, &[1, 1, 2, 2], &[-0.5, 0.5, 0.5, 0.5]);
        let y = run(AffineGrid { align_corners: true }, &[&theta, &size]).unwrap();
        close(&y, &[1, 1, 2, 2], &[-1.0, 0.5, 1.0, 0.5]);
    }
}
