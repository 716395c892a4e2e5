//! Windows, mel weights and Fourier transforms.

use oculist_graph::{
    DataType, Dft, MelWeightMatrix, SignalWindow, SignalWindowKind, Stft, Tensor, TensorData,
};

use crate::along::Along;
use crate::call::{Call, Forward, Outcome, Problem};
use crate::cast::cast;
use crate::fourier::{Complex, transform};

/// A size that input `i` gives.
pub(crate) fn size(call: &Call, i: usize) -> Result<usize, Problem> {
    let ints = call.ints(i)?;
    let first = ints.and_then(|v| v.first().copied());
    let size = first.and_then(|n| usize::try_from(n).ok());
    size.ok_or_else(|| format!("input {i} must be a number of at least 0, found {first:?}").into())
}

/// A tensor of 64-bit floats in another type.
fn of(dtype: DataType, shape: Vec<usize>, all: Vec<f64>) -> Outcome {
    Ok(vec![cast(&Tensor::new(shape, TensorData::F64(all))?, dtype)])
}

impl Forward for SignalWindow {
    fn forward(&self, call: &Call) -> Outcome {
        let len = size(call, 0)?;
        call.room(DataType::F64, &[len])?;
        // Of a window of one element that is not periodic, ONNX's formula is 0 / 0; its angle is 0.
        let period = if self.periodic { len } else { len.saturating_sub(1) }.max(1) as f64;
        let at = |i: usize| {
            let t = std::f64::consts::TAU * i as f64 / period;
            match self.kind {
                SignalWindowKind::Hann => (t / 2.0).sin().powi(2),
                SignalWindowKind::Hamming => 25.0 / 46.0 - 21.0 / 46.0 * t.cos(),
                SignalWindowKind::Blackman => 0.42 - 0.5 * t.cos() + 0.08 * (2.0 * t).cos(),
            }
        };
        of(self.dtype, vec![len], (0..len).map(at).collect())
    }
}

impl Forward for MelWeightMatrix {
    fn forward(&self, call: &Call) -> Outcome {
        let (bands, length, rate) = (size(call, 0)?, size(call, 1)?, size(call, 2)?);
        if rate == 0 {
            return Err("the sample rate is 0".into());
        }
        let hertz = |i: usize| Ok::<f64, Problem>(call.input(i)?.to_f64s().first().copied().unwrap_or(0.0));
        let mel = |f: f64| 2595.0 * (f / 700.0).ln_1p() / std::f64::consts::LN_10;
        let (low, high) = (mel(hertz(3)?), mel(hertz(4)?));
        let shape = vec![length / 2 + 1, bands];
        let len = call.room(DataType::F64, &shape)?;
        call.room(DataType::I64, &[bands.saturating_add(2)])?;
        // The bins at which bands begin, peak and end.
        let bin = |i: usize| {
            let mel = low + i as f64 * (high - low) / (bands as f64 + 2.0);
            let frequency = 700.0 * (mel / 2595.0 * std::f64::consts::LN_10).exp_m1();
            ((length as f64 + 1.0) * frequency / rate as f64).floor().max(0.0) as usize
        };
        let mut weights = vec![0.0; len];
        let mut set = |row: usize, band: usize, value: f64| {
            // Frequencies above half of the sample rate have no row.
            if let Some(weight) = weights.get_mut(row.saturating_mul(bands).saturating_add(band)) {
                *weight = value;
            }
        };
        for band in 0..bands {
            let [start, peak, end] = [bin(band), bin(band + 1), bin(band + 2)];
            let (rise, fall) = (peak.saturating_sub(start), end.saturating_sub(peak));
            if rise == 0 {
                set(peak, band, 1.0);
            }
            for row in start..=peak.min(shape[0]) {
                if rise > 0 {
                    set(row, band, (row - start) as f64 / rise as f64);
                }
            }
            for row in peak..end.min(shape[0]) {
                set(row, band, (end - row) as f64 / fall as f64);
            }
        }
        of(self.dtype, shape, weights)
    }
}

/// The complex elements of a line of `x`, whose last axis holds 1 or 2 parts.
pub(crate) fn line(x: &[f64], parts: usize, along: Along, number: usize, len: usize) -> Vec<Complex> {
    let element = |k: usize| {
        let at = along.at(number, k) * parts;
        (x[at], if parts == 2 { x[at + 1] } else { 0.0 })
    };
    (0..len).map(|k| if k < along.len { element(k) } else { (0.0, 0.0) }).collect()
}

impl Forward for Dft {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let rank = x.shape().len();
        let at = Self::along(call.ints(2)?.and_then(|a| a.first().copied()).unwrap_or(-2), rank)?;
        let parts = x.shape()[rank - 1];
        let along = Along::new(&x.shape()[..rank - 1], at);
        let len = if call.get(1).is_some() { size(call, 1)? } else { self.default_len(along.len) };
        if len == 0 {
            return Err("the length of the transform is 0".into());
        }
        let real = self.inverse && self.onesided;
        let mut out = x.shape().to_vec();
        out[at] = if self.onesided && !self.inverse { len / 2 + 1 } else { len };
        out[rank - 1] = if real { 1 } else { 2 };
        let total = call.room(DataType::F64, &out)?;
        // The chirp of a line takes a few times its length.
        call.room(DataType::F64, &[len, 16])?;
        let result = Along { len: out[at], ..along };
        let (all, mut y) = (x.to_f64s(), vec![0.0; total]);
        let sign = if self.inverse { 1.0 } else { -1.0 };
        let scale = if self.inverse { 1.0 / len as f64 } else { 1.0 };
        for number in 0..if total == 0 { 0 } else { along.lines() } {
            let mut signal = line(&all, parts, along, number, len);
            if real {
                // The other half of the spectrum of a real signal is the conjugate of this one.
                let bins = len / 2 + 1;
                signal[0].1 = 0.0;
                for k in bins..len {
                    signal[k] = (signal[len - k].0, -signal[len - k].1);
                }
                if len.is_multiple_of(2) {
                    signal[len / 2].1 = 0.0;
                }
            }
            for (k, value) in transform(&signal, sign).into_iter().take(result.len).enumerate() {
                let to = result.at(number, k);
                if real {
                    y[to] = value.0 * scale;
                } else {
                    (y[2 * to], y[2 * to + 1]) = (value.0 * scale, value.1 * scale);
                }
            }
        }
        of(x.dtype(), out, y)
    }
}

impl Forward for Stft {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let &[batch, signal, parts] = x.shape() else {
            return Err(format!("expected a signal [batch, length, 1 or 2], found {:?}", x.shape()).into());
        };
        let step = size(call, 1)?;
        let window = call.get(2).map(Tensor::to_f64s);
        let frame = match (call.get(3), &window) {
            (Some(_), _) => size(call, 3)?,
            (None, Some(window)) => window.len(),
            (None, None) => signal,
        };
        if let Some(window) = window.as_ref().filter(|w| w.len() != frame) {
            return Err(format!("the window has {} elements, a frame {frame}", window.len()).into());
        }
        let frames = Self::frames(signal, frame, step)?;
        let bins = if self.onesided { frame / 2 + 1 } else { frame };
        let out = vec![batch, frames, bins, 2];
        let total = call.room(DataType::F64, &out)?;
        let all = x.to_f64s();
        let mut y = Vec::with_capacity(total);
        for b in 0..batch {
            for f in 0..frames {
                let at = |k: usize| (b * signal + f * step + k) * parts;
                let factor = |k: usize| window.as_ref().map_or(1.0, |w| w[k]);
                let part: Vec<Complex> = (0..frame)
                    .map(|k| {
                        let imaginary = if parts == 2 { all[at(k) + 1] } else { 0.0 };
                        (all[at(k)] * factor(k), imaginary * factor(k))
                    })
                    .collect();
                y.extend(transform(&part, -1.0).into_iter().take(bins).flat_map(|v| [v.0, v.1]));
            }
        }
        of(x.dtype(), out, y)
    }
}

#[cfg(test)]
mod tests {
    use oculist_graph::Op;
    use oculist_kernels::Context;

    use super::*;

    fn apply(op: impl Into<Op>, inputs: &[Option<&Tensor>]) -> Tensor {
        crate::evaluate(&Context::new(1).unwrap(), &op.into(), inputs, 1).unwrap().remove(0)
    }

    fn number(n: i64) -> Tensor {
        Tensor::ints(vec![n]).reshaped(vec![]).unwrap()
    }

    #[test]
    fn windows_are_those_of_their_formulas() {
        let of = |kind, periodic| {
            let op = SignalWindow { kind, periodic, dtype: DataType::F32 };
            apply(op, &[Some(&number(4))]).as_f32().unwrap().to_vec()
        };
        assert_eq!(of(SignalWindowKind::Hann, true), [0.0, 0.5, 1.0, 0.5]);
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        // numpy.hanning(4), numpy.blackman(4).
        assert!(near(&of(SignalWindowKind::Hann, false), &[0.0, 0.75, 0.75, 0.0]));
        assert!(near(&of(SignalWindowKind::Blackman, false), &[0.0, 0.63, 0.63, 0.0]));
    }

    #[test]
    fn a_transform_and_its_inverse() {
        // numpy.fft.fft([1, 2, 3, 4]).
        let x = Tensor::f32(&[1, 4, 1], vec![1.0, 2.0, 3.0, 4.0]);
        let y = apply(Dft { inverse: false, onesided: false }, &[Some(&x)]);
        let near =
            |y: &Tensor, all: &[f32]| y.as_f32().unwrap().iter().zip(all).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near(&y, &[10.0, 0.0, -2.0, 2.0, -2.0, 0.0, -2.0, -2.0]));
        let half = apply(Dft { inverse: false, onesided: true }, &[Some(&x)]);
        assert_eq!(half.shape(), [1, 3, 2]);
        let back = apply(Dft { inverse: true, onesided: true }, &[Some(&half)]);
        assert!(back.shape() == [1, 4, 1] && near(&back, &[1.0, 2.0, 3.0, 4.0]));
    }
}
