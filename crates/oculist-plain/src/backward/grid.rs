//! Sampling at places that another value names, and the places of an affine map.

use oculist_graph::{AffineGrid, DataType, GridSample, Op, Tensor};

use super::{Backward, Gradients, Reverse};
use crate::op::grid::{of_reals, reals, spatial_axes};

impl Backward for GridSample {
    /// Where a place leaves the pixels that it lies between, the slope is that of one side.
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, grid, dy) = (reverse.input(0)?, reverse.input(1)?, reverse.only()?);
        let spatial = x.shape().len() - 2;
        let axes = spatial_axes(x.shape());
        let (samples, channels) = (dy.shape()[0], dy.shape()[1]);
        let points: usize = dy.shape()[2..].iter().product();
        let plane: usize = x.shape()[2..].iter().product();
        reverse.call().room(DataType::F64, &[x.len(), 2])?;
        reverse.call().room(DataType::F64, &[grid.len(), 2])?;
        let (values, places, gradient) = (reals(x)?, reals(grid)?, reals(dy)?);
        let (mut dx, mut dgrid) = (vec![0.0; values.len()], vec![0.0; places.len()]);
        let mut taps = Vec::new();
        let width = 1 + spatial;
        for (n, p) in
            (0..if values.is_empty() { 0 } else { samples }).flat_map(|n| (0..points).map(move |p| (n, p)))
        {
            let at = (n * points + p) * spatial;
            // Positions, and for each its weight and how that grows along each axis.
            let (mut positions, mut factors) = (vec![0], vec![1.0; width]);
            for (a, (axis, &place)) in axes.iter().zip(places[at..at + spatial].iter().rev()).enumerate() {
                axis.taps(*self, place, &mut taps);
                let (mut more, mut products) = (Vec::new(), Vec::new());
                for (&position, own) in positions.iter().zip(factors.chunks_exact(width)) {
                    for tap in &taps {
                        more.push(position + tap.at);
                        products.extend(
                            own.iter()
                                .enumerate()
                                .map(|(k, f)| f * if k == 1 + a { tap.slope } else { tap.weight }),
                        );
                    }
                }
                (positions, factors) = (more, products);
            }
            for c in 0..channels {
                let g = gradient[(n * channels + c) * points + p];
                let map = (n * channels + c) * plane;
                for (&position, own) in positions.iter().zip(factors.chunks_exact(width)) {
                    dx[map + position] += g * own[0];
                    let flow = g * values[map + position];
                    // The last axis stands first in a place.
                    for (a, slope) in own[1..].iter().enumerate() {
                        dgrid[at + spatial - 1 - a] += flow * slope;
                    }
                }
            }
        }
        let mut all = [Some(dx), Some(dgrid)];
        reverse.each(|i| {
            let (input, values) = (reverse.input(i)?, all[i].take().unwrap_or_default());
            of_reals(values, input.shape().to_vec(), input.dtype()).map(Some)
        })
    }
}

impl Backward for AffineGrid {
    /// The places are linear in the matrices: those of the identity are the factors.
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (theta, sizes, dy) = (reverse.input(0)?, reverse.input(1)?, reverse.only()?);
        let (samples, r) = (theta.shape()[0], theta.shape()[1]);
        let mut one = sizes.to_i64s().ok_or("the sizes must be integers")?;
        one[0] = 1;
        let mut identity = vec![0.0; r * (r + 1)];
        identity.iter_mut().step_by(r + 2).for_each(|v| *v = 1.0);
        let identity = of_reals(identity, vec![1, r, r + 1], DataType::F64)?;
        let one = Tensor::ints(one);
        let places = crate::evaluate(reverse.ctx, &Op::AffineGrid(*self), &[Some(&identity), Some(&one)], 1)?;
        let (places, gradient) = (reals(places.first().ok_or("no places")?)?, reals(dy)?);
        reverse.first(|| {
            let mut dtheta = vec![0.0; samples * r * (r + 1)];
            let each = places.len();
            for (n, rows) in dtheta.chunks_exact_mut(r * (r + 1)).enumerate() {
                let flows = gradient[n * each..][..each].chunks_exact(r);
                for (flow, place) in flows.zip(places.chunks_exact(r)) {
                    for (row, g) in rows.chunks_exact_mut(r + 1).zip(flow) {
                        row.iter_mut().zip(place.iter().chain(&[1.0])).for_each(|(d, p)| *d += g * p);
                    }
                }
            }
            of_reals(dtheta, theta.shape().to_vec(), theta.dtype())
        })
    }
}
