//! Deformable convolution: gradients of the map, the weights, the offsets, the bias and the mask.

use oculist_graph::{DataType, DeformConv};

use super::conv::over_channels;
use super::linear::{times_turned, turned_times};
use super::{Backward, Gradients, Reverse};
use crate::op::deform_conv::{Places, corners};
use crate::real::{Real, finish, with_real};
use crate::window::Grid;

/// All gradients but that of the bias.
struct Sums<T> {
    dx: Vec<T>,
    dw: Vec<T>,
    offset: Vec<T>,
    mask: Vec<T>,
}

fn sums<T: Real>(op: &DeformConv, reverse: &Reverse) -> Result<Sums<T>, crate::call::Problem> {
    let (x, w, offset) = (reverse.input(0)?, reverse.input(1)?, reverse.input(2)?);
    let dy = reverse.only()?;
    let (n, c_in, c_out) = (x.shape()[0], x.shape()[1], dy.shape()[1]);
    let grid = Grid::new(&op.window.filled(&w.shape()[2..]), &x.shape()[2..], &dy.shape()[2..])?;
    let (inputs, outputs, taps, axes) = (grid.inputs(), grid.outputs(), grid.taps(), grid.axes.len());
    let (per_in, per_out) = (c_in / op.groups, c_out / op.groups);
    let k = per_in * taps;
    reverse.call().room(DataType::F64, &[3, k, outputs])?;
    let places = Places::<T>::new(op, grid, offset, c_in);
    let mask = reverse.get(4).map(T::read);
    let (maps, weights, gradient) = (T::read(x), T::read(w), T::read(dy));
    let mut sums = Sums {
        dx: vec![T::ZERO; maps.len()],
        dw: vec![T::ZERO; weights.len()],
        offset: vec![T::ZERO; offset.len()],
        mask: vec![T::ZERO; mask.as_ref().map_or(0, |m| m.len())],
    };
    let mut place = vec![T::ZERO; axes];
    let mut slopes = vec![T::ZERO; axes];
    for (s, g) in (0..n).flat_map(|s| (0..op.groups).map(move |g| (s, g))) {
        let dy = &gradient[(s * c_out + g * per_out) * outputs..][..per_out * outputs];
        let w = &weights[g * per_out * k..][..per_out * k];
        // What flows back to the values under the kernel, and these values.
        let flows = turned_times(reverse, w, dy, [per_out, k, outputs]);
        let mut columns = vec![T::ZERO; k * outputs];
        for row in 0..k {
            let (c, tap) = (g * per_in + row / taps, row % taps);
            let element = places.element(s, c, tap);
            let at_tap = places.grid.tap(tap);
            let from = (s * c_in + c) * inputs;
            for i in 0..outputs {
                places.place(element, &at_tap, i, &mut place);
                let at_mask = element * outputs + i;
                let (flow, factor) = (flows[row * outputs + i], mask.as_ref().map_or(T::ONE, |m| m[at_mask]));
                let mut value = T::ZERO;
                slopes.fill(T::ZERO);
                corners(&places.grid, &place, |corner, at, weight| {
                    let v = maps[from + at];
                    value += weight * v;
                    sums.dx[from + at] += flow * factor * weight;
                    for (a, slope) in slopes.iter_mut().enumerate() {
                        let mut own = v;
                        for (b, &p) in place.iter().enumerate() {
                            let (t, upper) = (p - p.floor(), corner >> b & 1 == 1);
                            own *= match (a == b, upper) {
                                (true, true) => T::ONE,
                                (true, false) => -T::ONE,
                                (false, true) => t,
                                (false, false) => T::ONE - t,
                            };
                        }
                        *slope += own;
                    }
                });
                for (a, &slope) in slopes.iter().enumerate() {
                    sums.offset[places.offset(element, a, i)] += flow * factor * slope;
                }
                if let Some(d) = sums.mask.get_mut(at_mask) {
                    *d += flow * value;
                }
                columns[row * outputs + i] = factor * value;
            }
        }
        let part = times_turned(reverse, dy, &columns, [per_out, k, outputs]);
        sums.dw[g * per_out * k..][..per_out * k].iter_mut().zip(part).for_each(|(d, p)| *d += p);
    }
    Ok(sums)
}

impl Backward for DeformConv {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let dtype = reverse.input(0)?.dtype();
        with_real!(dtype, T => {
            let Sums { dx, dw, offset, mask } = sums::<T>(self, reverse)?;
            let mut all = [Some(dx), Some(dw), Some(offset), Some(over_channels(reverse.only()?)), Some(mask)];
            reverse.each(|i| {
                let input = reverse.input(i)?;
                let values = all.get_mut(i).and_then(Option::take).unwrap_or_default();
                finish(input.shape(), values, input.dtype()).map(Some)
            })
        })
    }
}
