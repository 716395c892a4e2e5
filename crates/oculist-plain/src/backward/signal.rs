//! Fourier transforms: linear, so that the gradient is made with the turned and conjugated one.

use oculist_graph::{DataType, Dft, Stft, Tensor};

use super::{Backward, Gradients, Reverse};
use crate::along::Along;
use crate::fourier::{Complex, transform};
use crate::op::grid::{of_reals, reals};
use crate::op::signal::{line, size};

impl Backward for Dft {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, dy) = (reverse.input(0)?, reverse.only()?);
        let (call, rank) = (reverse.call(), x.shape().len());
        let at = Self::along(call.ints(2)?.and_then(|a| a.first().copied()).unwrap_or(-2), rank)?;
        let parts = x.shape()[rank - 1];
        let along = Along::new(&x.shape()[..rank - 1], at);
        let len = if call.get(1).is_some() { size(&call, 1)? } else { self.default_len(along.len) };
        let real = self.inverse && self.onesided;
        call.room(DataType::F64, &[x.len(), 2])?;
        call.room(DataType::F64, &[len, 16])?;
        let result = Along { len: dy.shape()[at], ..along };
        let (gradient, parts_of_y) = (reals(dy)?, dy.shape()[rank - 1]);
        let sign = if self.inverse { -1.0 } else { 1.0 };
        let scale = if self.inverse { 1.0 / len as f64 } else { 1.0 };
        reverse.first(|| {
            let mut dx = vec![0.0; x.len()];
            for number in 0..if x.is_empty() || gradient.is_empty() { 0 } else { along.lines() } {
                let flow = transform(&line(&gradient, parts_of_y, result, number, len), sign);
                // What is behind the length was cut off, what is behind the half of a real signal's spectrum was not read.
                let read = if real { len / 2 + 1 } else { len };
                for (k, &(re, im)) in flow.iter().enumerate().take(along.len.min(read)) {
                    let own = real && (k == 0 || 2 * k == len);
                    // Elements of half of a spectrum stand for their conjugates too, but for those that are their own.
                    let factor = if real && !own { 2.0 * scale } else { scale };
                    let to = along.at(number, k) * parts;
                    dx[to] = re * factor;
                    if parts == 2 && !own {
                        dx[to + 1] = im * factor;
                    }
                }
            }
            of_reals(dx, x.shape().to_vec(), x.dtype())
        })
    }
}

impl Backward for Stft {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, dy, call) = (reverse.input(0)?, reverse.only()?, reverse.call());
        let (&[batch, signal, parts], &[_, frames, bins, _]) = (x.shape(), dy.shape()) else {
            return Err(format!("expected a signal [batch, length, 1 or 2], found {:?}", x.shape()).into());
        };
        let step = size(&call, 1)?;
        let window = call.get(2).map(Tensor::to_f64s);
        let frame = match (call.get(3), &window) {
            (Some(_), _) => size(&call, 3)?,
            (None, Some(window)) => window.len(),
            (None, None) => signal,
        };
        call.room(DataType::F64, &[x.len(), 2])?;
        let (values, gradient) = (reals(x)?, reals(dy)?);
        let mut dx = vec![0.0; values.len()];
        let mut dwindow = vec![0.0; frame];
        for (b, f) in (0..batch).flat_map(|b| (0..frames).map(move |f| (b, f))) {
            let of_frame = &gradient[(b * frames + f) * bins * 2..][..bins * 2];
            let mut flow: Vec<Complex> = of_frame.chunks_exact(2).map(|v| (v[0], v[1])).collect();
            flow.resize(frame, (0.0, 0.0));
            for (k, (re, im)) in transform(&flow, 1.0).into_iter().enumerate() {
                let at = (b * signal + f * step + k) * parts;
                let factor = window.as_ref().map_or(1.0, |w| w[k]);
                for (part, g) in [re, im].into_iter().enumerate().take(parts) {
                    dx[at + part] += factor * g;
                    dwindow[k] += values[at + part] * g;
                }
            }
        }
        let mut all = [Some(dx), None, Some(dwindow)];
        reverse.each(|i| {
            let input = reverse.input(i)?;
            let values = all.get_mut(i).and_then(Option::take);
            values.map(|v| of_reals(v, input.shape().to_vec(), input.dtype())).transpose()
        })
    }
}
