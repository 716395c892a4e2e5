//! Packed integer weights.

use crate::conv::Conv2d;
use crate::int8::simd::{IntPath, Line};
use crate::layout::LANES;

/// Weights `[c_out / 16][taps][x_stride / group][16][group]`, and what each accumulator starts from.
pub(super) fn dense(
    conv: &Conv2d,
    path: IntPath,
    oihw: &[i8],
    bias: &[i32],
    x_zero_point: u8,
) -> (Vec<Line>, Vec<[i32; 16]>) {
    let (taps, group) = (conv.taps(), path.group());
    let groups = conv.x_stride / group;
    let blocks = conv.y_stride() / LANES;
    let mut lines = vec![Line([0; 64]); blocks * taps * groups];
    let mut init = vec![[0i32; LANES]; blocks];
    for o in 0..conv.c_out {
        let mut sum = 0i32;
        for i in 0..conv.c_in {
            for t in 0..taps {
                let w = oihw[(o * conv.c_in + i) * taps + t];
                sum += i32::from(w);
                let line = &mut lines[((o / LANES) * taps + t) * groups + i / group].0;
                let at = (o % LANES) * group + i % group;
                if path.element() == 1 {
                    line[at] = w as u8;
                } else {
                    line[2 * at..][..2].copy_from_slice(&i16::from(w).to_ne_bytes());
                }
            }
        }
        init[o / LANES][o % LANES] = bias[o].wrapping_sub(i32::from(x_zero_point).wrapping_mul(sum));
    }
    (lines, init)
}

/// Weights `[c / 16][taps][16]` and biases `[c / 16][16]` as floats.
pub(super) fn depthwise(conv: &Conv2d, weights: &[i8], bias: &[i32]) -> (Vec<[f32; 16]>, Vec<[f32; 16]>) {
    let taps = conv.taps();
    let blocks = conv.y_stride() / LANES;
    let mut packed = vec![[0.0; LANES]; blocks * taps];
    let mut biases = vec![[0.0; LANES]; blocks];
    for c in 0..conv.c_out {
        for t in 0..taps {
            packed[(c / LANES) * taps + t][c % LANES] = f32::from(weights[c * taps + t]);
        }
        biases[c / LANES][c % LANES] = bias[c] as f32;
    }
    (packed, biases)
}
