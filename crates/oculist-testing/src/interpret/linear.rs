//! Convolution and the fully connected layer.

use oculist_graph::Conv;

use super::array::Array;

/// 2-D convolution (cross-correlation) of `x` `[N, C, H, W]` with `w` `[c_out, c_in / groups, k_h, k_w]`.
pub(super) fn conv(op: &Conv, x: &Array, w: &Array, bias: Option<&Array>) -> Array {
    let [n, c_in, height, width] = x.nchw();
    let [c_out, per_group, kh, kw] = w.nchw();
    assert_eq!(c_in, per_group * op.groups, "channels of the convolution's input");
    let conv = op.window.plane([height, width]).expect("a window over height and width");
    let size = |extent: usize, kernel: usize, axis: usize| {
        let padded = extent + conv.padding[axis] + conv.padding[axis + 2];
        (padded - conv.dilation[axis] * (kernel - 1) - 1) / conv.stride[axis] + 1
    };
    let (out_h, out_w) = (size(height, kh, 0), size(width, kw, 1));
    let mut out = Array::zeros(&[n, c_out, out_h, out_w]);
    for i in 0..n {
        for co in 0..c_out {
            let first_channel = co / (c_out / op.groups) * per_group;
            for oy in 0..out_h {
                for ox in 0..out_w {
                    let mut sum = bias.map_or(0.0, |b| b.data()[co]);
                    for ci in 0..per_group {
                        for ky in 0..kh {
                            for kx in 0..kw {
                                let y = (oy * conv.stride[0] + ky * conv.dilation[0])
                                    .checked_sub(conv.padding[0])
                                    .filter(|&y| y < height);
                                let z = (ox * conv.stride[1] + kx * conv.dilation[1])
                                    .checked_sub(conv.padding[1])
                                    .filter(|&z| z < width);
                                if let (Some(y), Some(z)) = (y, z) {
                                    let pixel = x.at(&[i, first_channel + ci, y, z]);
                                    sum += pixel * w.at(&[co, ci, ky, kx]);
                                }
                            }
                        }
                    }
                    out.set(&[i, co, oy, ox], sum);
                }
            }
        }
    }
    out
}

/// `x * w^T + b` for `x` `[N, in]` and `w` `[out, in]`.
pub(super) fn gemm(x: &Array, w: &Array, bias: Option<&Array>) -> Array {
    let (n, inputs, outputs) = (x.shape()[0], x.shape()[1], w.shape()[0]);
    let mut out = Array::zeros(&[n, outputs]);
    for i in 0..n {
        for o in 0..outputs {
            let mut sum = bias.map_or(0.0, |b| b.data()[o]);
            for k in 0..inputs {
                sum += x.at(&[i, k]) * w.at(&[o, k]);
            }
            out.set(&[i, o], sum);
        }
    }
    out
}
