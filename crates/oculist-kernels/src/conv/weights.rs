//! Packed weights: the order in which the micro-kernels read them.

use super::Conv2d;
use crate::layout::{LANES, product};

/// Packs weights `[c_out, c_in / groups, k_h, k_w]` as the kernels read them.
///
/// - one group: `[c_out / 16][k_h * k_w][x_stride][16]`
/// - depthwise: `[k_h * k_w][channel_stride(c)]`
/// - other groups: `[c_out / 16][k_h * k_w][c_in / groups][16]`
///
/// `c_out` is rounded up; lanes and rows that belong to no channel are 0.
///
/// # Panics
/// When `oihw` has another length than the convolution says.
pub fn pack_weights(conv: &Conv2d, oihw: &[f32]) -> Vec<f32> {
    assert_eq!(oihw.len(), oihw_len(conv), "weights of {}", conv.label());
    let mut packed = vec![0.0; conv.weights_len()];
    for_each(conv, |plain, at| packed[at] = oihw[plain]);
    packed
}

/// The inverse of [`pack_weights`].
///
/// # Panics
/// When `packed` has another length than [`Conv2d::weights_len`].
pub fn unpack_weights(conv: &Conv2d, packed: &[f32]) -> Vec<f32> {
    assert_eq!(packed.len(), conv.weights_len(), "packed weights of {}", conv.label());
    let mut oihw = vec![0.0; oihw_len(conv)];
    for_each(conv, |plain, at| oihw[plain] = packed[at]);
    oihw
}

fn oihw_len(conv: &Conv2d) -> usize {
    product(&[conv.c_out, conv.c_in / conv.groups, conv.taps()])
}

/// Calls `f(index in OIHW, index in the packed weights)` for every weight.
fn for_each(conv: &Conv2d, mut f: impl FnMut(usize, usize)) {
    let (taps, inputs, packed_inputs) = (conv.taps(), conv.c_in / conv.groups, conv.packed_inputs());
    for o in 0..conv.c_out {
        for i in 0..inputs {
            for t in 0..taps {
                let at = if conv.is_depthwise() {
                    t * conv.y_stride() + o
                } else {
                    (((o / LANES) * taps + t) * packed_inputs + i) * LANES + o % LANES
                };
                f((o * inputs + i) * taps + t, at);
            }
        }
    }
}
