//! Packed integer weights.

use crate::conv::Conv2d;
use crate::int8::simd::{IntPath, Line};
use crate::layout::LANES;

/// Weights `[c_out / 16][taps][inputs / group][16][group]`, where `inputs` are the channels of a pixel that are read.
pub(super) fn dense(conv: &Conv2d, inputs: usize, path: IntPath, oihw: &[i8]) -> Vec<Line> {
    let (taps, group) = (conv.taps(), path.group());
    let groups = inputs.div_ceil(group);
    let blocks = conv.y_stride() / LANES;
    let mut lines = vec![Line([0; 64]); blocks * taps * groups];
    for o in 0..conv.c_out {
        for i in 0..conv.c_in {
            for t in 0..taps {
                let w = oihw[(o * conv.c_in + i) * taps + t];
                let line = &mut lines[((o / LANES) * taps + t) * groups + i / group].0;
                let at = (o % LANES) * group + i % group;
                if path.element() == 1 {
                    line[at] = w as u8;
                } else {
                    line[2 * at..][..2].copy_from_slice(&i16::from(w).to_ne_bytes());
                }
            }
        }
    }
    lines
}

/// What each accumulator starts from: `bias - zero_point * sum of weights`, `[c_out / 16][16]`.
pub(super) fn init(conv: &Conv2d, oihw: &[i8], bias: &[i32], x_zero_point: u8) -> Vec<[i32; 16]> {
    let mut init = vec![[0i32; LANES]; conv.y_stride() / LANES];
    for (o, weights) in oihw.chunks_exact(oihw.len() / conv.c_out).enumerate() {
        let sum: i32 = weights.iter().map(|&w| i32::from(w)).sum();
        init[o / LANES][o % LANES] = bias[o].wrapping_sub(i32::from(x_zero_point).wrapping_mul(sum));
    }
    init
}

/// Transformed weights `[c_out / 16][36][c_in / 2][16][2]` as i16: `g` times the integer rows of `G` on both
/// sides, of which the largest is `[1, 2, 4]`, so that they stay below `49 * 128`.
pub(super) fn winograd(conv: &Conv2d, oihw: &[i8]) -> Vec<Line> {
    const G: [[i32; 3]; 6] = [[1, 0, 0], [1, 1, 1], [1, -1, 1], [1, 2, 4], [1, -2, 4], [0, 0, 1]];
    let groups = conv.c_in.div_ceil(2);
    let mut lines = vec![Line([0; 64]); conv.y_stride() / LANES * 36 * groups];
    for o in 0..conv.c_out {
        for i in 0..conv.c_in {
            let w = &oihw[(o * conv.c_in + i) * 9..][..9];
            for xi in 0..36 {
                let (a, b) = (G[xi / 6], G[xi % 6]);
                let u: i32 = (0..9).map(|t| a[t / 3] * b[t % 3] * i32::from(w[t])).sum();
                let line = &mut lines[((o / LANES) * 36 + xi) * groups + i / 2].0;
                let at = 4 * (o % LANES) + 2 * (i % 2);
                line[at..at + 2].copy_from_slice(&(u as i16).to_ne_bytes());
            }
        }
    }
    lines
}

/// Weights `[c / 16][taps][16]` and biases `[c / 16][16]` as floats, the zero point worked into the biases.
pub(super) fn depthwise(
    conv: &Conv2d,
    weights: &[i8],
    bias: &[i32],
    x_zero_point: u8,
) -> (Vec<[f32; 16]>, Vec<[f32; 16]>) {
    let taps = conv.taps();
    let mut packed = vec![[0.0; LANES]; conv.y_stride() / LANES * taps];
    for c in 0..conv.c_out {
        for t in 0..taps {
            packed[(c / LANES) * taps + t][c % LANES] = f32::from(weights[c * taps + t]);
        }
    }
    let bias = init(conv, weights, bias, x_zero_point);
    (packed, bias.into_iter().map(|block| block.map(|b| b as f32)).collect())
}
