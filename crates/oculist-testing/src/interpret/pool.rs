//! Pooling.

use oculist_graph::{AveragePool, MaxPool, Plane, Window};

use super::array::Array;

/// Calls `f` with the elements that each window covers inside the map.
fn windows(window: &Window, x: &Array, f: impl Fn(&[f64]) -> f64) -> Array {
    let [n, c, height, width] = x.nchw();
    let pool: Plane = window.plane([height, width]).expect("a window over height and width");
    assert_eq!(pool.dilation, [1, 1], "dilated pooling is not interpreted");
    let size = |extent: usize, axis: usize| {
        (extent + pool.padding[axis] + pool.padding[axis + 2] - pool.kernel[axis]) / pool.stride[axis] + 1
    };
    let (out_h, out_w) = (size(height, 0), size(width, 1));
    let mut out = Array::zeros(&[n, c, out_h, out_w]);
    for i in 0..n {
        for k in 0..c {
            for oy in 0..out_h {
                for ox in 0..out_w {
                    let mut covered = Vec::new();
                    for ky in 0..pool.kernel[0] {
                        for kx in 0..pool.kernel[1] {
                            let y = (oy * pool.stride[0] + ky).checked_sub(pool.padding[0]);
                            let z = (ox * pool.stride[1] + kx).checked_sub(pool.padding[1]);
                            if let (Some(y), Some(z)) = (y, z)
                                && y < height
                                && z < width
                            {
                                covered.push(x.at(&[i, k, y, z]));
                            }
                        }
                    }
                    out.set(&[i, k, oy, ox], f(&covered));
                }
            }
        }
    }
    out
}

/// Maximum over a window; padding never wins.
pub(super) fn max(pool: &MaxPool, x: &Array) -> Array {
    assert!(!pool.ceil_mode, "ceil_mode is not interpreted");
    windows(&pool.window, x, |covered| covered.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

/// Mean over a window; padding counts as zeros or not at all.
pub(super) fn average(pool: &AveragePool, x: &Array) -> Array {
    assert!(!pool.ceil_mode, "ceil_mode is not interpreted");
    let whole = pool.window.taps();
    windows(&pool.window, x, |covered| {
        let count = if pool.count_include_pad { whole } else { covered.len() };
        covered.iter().sum::<f64>() / count as f64
    })
}

/// Mean over height and width: `[N, C, 1, 1]`.
pub(super) fn global_average(x: &Array) -> Array {
    let [n, c, h, w] = x.nchw();
    Array::new(
        &[n, c, 1, 1],
        x.data().chunks(h * w).map(|map| map.iter().sum::<f64>() / (h * w) as f64).collect(),
    )
}
