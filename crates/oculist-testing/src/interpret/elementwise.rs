//! Operators that work on single elements or channels.

use super::array::Array;

/// `f(a, b)` with `b` of the same rank, broadcast wherever its size is 1.
pub(super) fn broadcast(a: &Array, b: &Array, f: impl Fn(f64, f64) -> f64) -> Array {
    assert_eq!(a.shape().len(), b.shape().len(), "ranks of {:?} and {:?}", a.shape(), b.shape());
    let mut out = a.clone();
    for i in 0..a.data().len() {
        let mut rest = i;
        let mut index = vec![0; a.shape().len()];
        for axis in (0..index.len()).rev() {
            let size = a.shape()[axis];
            index[axis] = if b.shape()[axis] == 1 { 0 } else { rest % size };
            rest /= size;
        }
        out.data_mut()[i] = f(a.data()[i], b.at(&index));
    }
    out
}

/// `gamma * (x - mean) / sqrt(var + epsilon) + beta` along axis 1.
pub(super) fn batch_normalization(
    epsilon: f64,
    x: &Array,
    gamma: &Array,
    beta: &Array,
    mean: &Array,
    var: &Array,
) -> Array {
    let channels = x.shape()[1];
    let inner: usize = x.shape()[2..].iter().product();
    Array::from_fn(x.shape(), |i| {
        let c = i / inner % channels;
        let centred = x.data()[i] - mean.data()[c];
        gamma.data()[c] * centred / (var.data()[c] + epsilon).sqrt() + beta.data()[c]
    })
}

/// Joins the inputs along axis 1.
pub(super) fn concat(x: &[&Array]) -> Array {
    let mut shape = x[0].shape().to_vec();
    shape[1] = x.iter().map(|a| a.shape()[1]).sum();
    let mut data = Vec::with_capacity(shape.iter().product());
    for n in 0..shape[0] {
        for a in x {
            let sample: usize = a.shape()[1..].iter().product();
            data.extend_from_slice(&a.data()[n * sample..(n + 1) * sample]);
        }
    }
    Array::new(&shape, data)
}

/// Zero channels in front and behind.
pub(super) fn pad_channels(before: usize, after: usize, x: &Array) -> Array {
    let [n, c, h, w] = x.nchw();
    let mut out = Array::zeros(&[n, before + c + after, h, w]);
    for i in 0..n {
        for k in 0..c {
            for y in 0..h {
                for z in 0..w {
                    out.set(&[i, before + k, y, z], x.at(&[i, k, y, z]));
                }
            }
        }
    }
    out
}

/// `exp(x - max) / sum(exp(x - max))` over axis 1 of `[N, C]`.
pub(super) fn softmax(x: &Array) -> Array {
    let classes = x.shape()[1];
    let mut out = x.clone();
    for row in out.data_mut().chunks_mut(classes) {
        let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|&v| (v - top).exp()).sum();
        for v in row {
            *v = (*v - top).exp() / sum;
        }
    }
    out
}
