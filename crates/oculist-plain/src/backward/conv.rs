//! Convolutions and transposed convolutions: each is the gradient of the other.

use oculist_graph::{Conv, ConvTranspose, Tensor, Window};

use super::linear::{times_turned, turned_times};
use super::{Backward, Gradients, Reverse};
use crate::call::Problem;
use crate::gemm::Size;
use crate::real::{Real, finish, with_real};

/// No element: the window lies over the padding.
pub(super) const OUTSIDE: usize = usize::MAX;

/// For each element of the kernel and each position of the window, the element under it in the large map.
pub(super) fn table(window: &Window, padding: &[usize], large: &[usize], small: &[usize]) -> Vec<Vec<usize>> {
    let digits = |mut n: usize, sizes: &[usize]| -> Vec<usize> {
        let mut all = vec![0; sizes.len()];
        for (slot, &size) in all.iter_mut().zip(sizes).rev() {
            *slot = n % size;
            n /= size;
        }
        all
    };
    let positions: Vec<Vec<usize>> = (0..small.iter().product()).map(|o| digits(o, small)).collect();
    (0..window.taps())
        .map(|tap| {
            let tap = digits(tap, &window.kernel);
            positions
                .iter()
                .map(|out| {
                    let mut at = 0;
                    for a in 0..large.len() {
                        let place = out[a] * window.stride[a] + tap[a] * window.dilation[a];
                        match place.checked_sub(padding[a]) {
                            Some(i) if i < large[a] => at = at * large[a] + i,
                            _ => return OUTSIDE,
                        }
                    }
                    at
                })
                .collect()
        })
        .collect()
}

/// A convolution from large to small maps with weights `[c_small, c_large / groups, taps]`.
struct Maps {
    n: usize,
    groups: usize,
    c_large: usize,
    c_small: usize,
    large: usize,
    small: usize,
    table: Vec<Vec<usize>>,
}

impl Maps {
    /// Channels of a group in the large and small maps, and rows of its columns.
    fn group(&self) -> (usize, usize, usize) {
        let (l, s) = (self.c_large / self.groups, self.c_small / self.groups);
        (l, s, l * self.table.len())
    }

    /// What the windows see of the large maps of a group, `[c_large / groups * taps, small]`.
    fn columns<T: Real>(&self, reverse: &Reverse, maps: &[T]) -> Vec<T> {
        let (_, _, rows) = self.group();
        let mut columns = vec![T::ZERO; rows * self.small];
        let taps = self.table.len();
        reverse.ctx.for_pieces(&mut columns, self.small.max(1), |row, part| {
            let map = &maps[row / taps * self.large..][..self.large];
            for (to, &at) in part.iter_mut().zip(&self.table[row % taps]) {
                if at != OUTSIDE {
                    *to = map[at];
                }
            }
        });
        columns
    }

    /// The gradient of the weights.
    fn weights<T: Real>(&self, reverse: &Reverse, large: &[T], small: &[T]) -> Vec<T> {
        let (l, s, rows) = self.group();
        let mut dw = vec![T::ZERO; self.c_small * rows];
        for n in 0..self.n {
            for g in 0..self.groups {
                let maps = &large[(n * self.c_large + g * l) * self.large..][..l * self.large];
                let columns = self.columns(reverse, maps);
                let dy = &small[(n * self.c_small + g * s) * self.small..][..s * self.small];
                let part = times_turned(reverse, dy, &columns, [s, rows, self.small]);
                for (sum, v) in dw[g * s * rows..][..s * rows].iter_mut().zip(part) {
                    *sum += v;
                }
            }
        }
        dw
    }

    /// From small maps back to the large ones.
    fn to_large<T: Real>(&self, reverse: &Reverse, weights: &[T], small: &[T]) -> Vec<T> {
        let (l, s, rows) = self.group();
        let taps = self.table.len();
        let mut large = vec![T::ZERO; self.n * self.c_large * self.large];
        for n in 0..self.n {
            for g in 0..self.groups {
                let dy = &small[(n * self.c_small + g * s) * self.small..][..s * self.small];
                let w = &weights[g * s * rows..][..s * rows];
                let columns = turned_times(reverse, w, dy, [s, rows, self.small]);
                let maps = &mut large[(n * self.c_large + g * l) * self.large..][..l * self.large];
                for (row, column) in columns.chunks_exact(self.small.max(1)).enumerate() {
                    let map = &mut maps[row / taps * self.large..][..self.large];
                    for (&v, &at) in column.iter().zip(&self.table[row % taps]) {
                        if at != OUTSIDE {
                            map[at] += v;
                        }
                    }
                }
            }
        }
        large
    }

    /// From large maps to the small ones.
    fn to_small<T: Real>(&self, reverse: &Reverse, weights: &[T], large: &[T]) -> Vec<T> {
        let (l, s, rows) = self.group();
        let mut small = vec![T::ZERO; self.n * self.c_small * self.small];
        for n in 0..self.n {
            for g in 0..self.groups {
                let maps = &large[(n * self.c_large + g * l) * self.large..][..l * self.large];
                let columns = self.columns(reverse, maps);
                let y = &mut small[(n * self.c_small + g * s) * self.small..][..s * self.small];
                let w = &weights[g * s * rows..][..s * rows];
                T::matmul(reverse.ctx, Size::packed(s, self.small, rows), w, &columns, y);
            }
        }
        small
    }
}

/// The sum over samples and positions for each channel.
pub(super) fn over_channels<T: Real>(dy: &Tensor) -> Vec<T> {
    let channels = dy.shape()[1];
    let map: usize = dy.shape()[2..].iter().product();
    let mut sums = vec![0.0; channels];
    for (i, map) in T::read(dy).chunks_exact(map.max(1)).enumerate() {
        sums[i % channels] += map.iter().map(|v| v.to_f64()).sum::<f64>();
    }
    sums.into_iter().map(T::of_f64).collect()
}

/// Number of elements along the spatial axes.
fn spatial(t: &Tensor) -> usize {
    t.shape()[2..].iter().product()
}

impl Backward for Conv {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, w, dy) = (reverse.input(0)?, reverse.input(1)?, reverse.only()?);
        let window = self.window.filled(&w.shape()[2..]);
        let (large, small) = (&x.shape()[2..], &dy.shape()[2..]);
        let padding: Vec<usize> = (0..large.len()).map(|a| window.padding_of(a, large[a]).0).collect();
        let maps = Maps {
            n: x.shape()[0],
            groups: self.groups,
            c_large: x.shape()[1],
            c_small: dy.shape()[1],
            large: spatial(x),
            small: spatial(dy),
            table: table(&window, &padding, large, small),
        };
        reverse.each(|i| {
            let input = reverse.input(i)?;
            with_real!(x.dtype(), T => {
                let values = match i {
                    0 => maps.to_large::<T>(reverse, &T::read(w), &T::read(dy)),
                    1 => maps.weights::<T>(reverse, &T::read(x), &T::read(dy)),
                    _ => over_channels::<T>(dy),
                };
                finish(input.shape(), values, input.dtype()).map(Some)
            })
        })
    }
}

impl Backward for ConvTranspose {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, w, dy) = (reverse.input(0)?, reverse.input(1)?, reverse.only()?);
        let window = self.window.filled(&w.shape()[2..]);
        let (large, small) = (&dy.shape()[2..], &x.shape()[2..]);
        let padding = (0..small.len())
            .map(|a| self.extent(&window, a, small[a]).map(|(_, before)| before))
            .collect::<Result<Vec<_>, _>>()
            .map_err(Problem::Text)?;
        let maps = Maps {
            n: x.shape()[0],
            groups: self.groups,
            c_large: dy.shape()[1],
            c_small: x.shape()[1],
            large: spatial(dy),
            small: spatial(x),
            table: table(&window, &padding, large, small),
        };
        reverse.each(|i| {
            let input = reverse.input(i)?;
            with_real!(x.dtype(), T => {
                let values = match i {
                    0 => maps.to_small::<T>(reverse, &T::read(w), &T::read(dy)),
                    1 => maps.weights::<T>(reverse, &T::read(dy), &T::read(x)),
                    _ => over_channels::<T>(dy),
                };
                finish(input.shape(), values, input.dtype()).map(Some)
            })
        })
    }
}
