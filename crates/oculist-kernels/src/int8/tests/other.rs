//! Everything that is no convolution.

use super::{bytes, contexts, quant, sum};
use crate::int8::{
    IntChannelCopy, int_add, int_average_pool, int_copy_channels, int_dequantize, int_gate,
    int_global_average_pool, int_lookup, int_max_pool, int_multiply, int_quantize, lookup_table,
};
use crate::{Activation, Pooling, Rows};

fn level(t: f32, zero_point: u8, low: f32, high: f32) -> u8 {
    (t.round_ties_even() + f32::from(zero_point)).clamp(low, high) as u8
}

#[test]
fn quantisation_and_back() {
    let q = quant(0.037, 41);
    for (rows, channels, x_stride, y_stride) in [
        (7, 16, 16, 16),
        (9, 20, 32, 32),
        (13, 1, 1, 4),
        (50, 3, 3, 4),
        (33, 2, 2, 4),
        (17, 4, 4, 4),
        (90, 3, 3, 16),
        (5, 3, 16, 4),
        (3000, 5, 5, 16),
    ] {
        let x: Vec<f32> =
            bytes(rows as u64, rows * x_stride).iter().map(|&b| (f32::from(b) - 90.0) * 0.0913).collect();
        for ctx in contexts() {
            let mut y = vec![0; rows * y_stride];
            int_quantize(&ctx, Rows::new(rows, channels), [x_stride, y_stride], q, &x, &mut y);
            for (y, x) in y.chunks(y_stride).zip(x.chunks(x_stride)) {
                for c in 0..channels {
                    assert_eq!(y[c], q.quantize(x[c]), "{} of {channels} channels", x[c]);
                }
                if x_stride != y_stride {
                    assert!(y[channels..].iter().all(|&y| y == 41));
                }
            }
            if y_stride >= 16 {
                let mut back = vec![f32::NAN; y.len()];
                int_dequantize(&ctx, Rows::new(rows, channels), q, &y, &mut back);
                for (back, y) in back.chunks(y_stride).zip(y.chunks(y_stride)) {
                    for c in 0..y_stride {
                        let want = if c < channels { q.dequantize(y[c]) } else { 0.0 };
                        assert_eq!(back[c], want);
                    }
                }
            }
        }
    }
}

#[test]
fn ties_round_to_even() {
    let q = quant(0.5, 7);
    let x: Vec<f32> = (0..16).map(|i| (i as f32 - 8.0) * 0.25).collect();
    for ctx in contexts() {
        let mut y = vec![0; 16];
        int_quantize(&ctx, Rows::new(1, 16), [16, 16], q, &x, &mut y);
        assert_eq!(y, [3, 3, 4, 5, 5, 5, 6, 7, 7, 7, 8, 9, 9, 9, 10, 11], "{}", ctx.isa());
    }
}

#[test]
fn numbers_next_to_ties_are_divided() {
    // Every half step of a scale that no power of two divides, and its neighbours.
    let q = quant(0.0173, 100);
    let x: Vec<f32> = (-240..360)
        .flat_map(|half| {
            let tie = half as f32 * 0.5 * q.scale;
            [tie.next_down().next_down(), tie.next_down(), tie, tie.next_up()]
        })
        .collect();
    let want: Vec<u8> = x.iter().map(|&x| q.quantize(x)).collect();
    for ctx in contexts() {
        let mut y = vec![0; x.len()];
        int_quantize(&ctx, Rows::new(x.len() / 16, 16), [16, 16], q, &x, &mut y);
        assert!(y == want, "{}", ctx.isa());
    }
}

#[test]
fn sums_and_products() {
    let (a, b) = (bytes(1, 20_000), bytes(2, 20_000));
    let (qa, qb, qy) = (quant(0.03, 12), quant(0.05, 200), quant(0.061, 99));
    let diff = |q: u8, zero: u8| f32::from(q) - f32::from(zero);
    for ctx in contexts() {
        let mut y = vec![0; a.len()];
        int_add(&ctx, (&a, qa), (&b, qb), (&mut y, qy), [99, 180]);
        for i in 0..a.len() {
            assert_eq!(y[i], sum((a[i], qa), (b[i], qb), qy, [99, 180]));
        }
        int_multiply(&ctx, (&a, qa), (&b, qb), (&mut y, qy));
        for i in 0..a.len() {
            let t = diff(a[i], 12) * diff(b[i], 200) * (0.03 * 0.05 / 0.061);
            assert_eq!(y[i], level(t + 99.0, 0, 0.0, 255.0));
        }
    }
}

#[test]
fn gates_belong_to_their_image() {
    let (batch, pixels, channels, stride) = (3, 35 * 21, 40, 48);
    let (x, gate) = (bytes(3, batch * pixels * stride), bytes(4, batch * stride));
    let (qx, qg, qy) = (quant(0.03, 12), quant(0.004, 0), quant(0.02, 9));
    for ctx in contexts() {
        let mut y = vec![0; x.len()];
        int_gate(&ctx, Rows::new(batch * pixels, channels), batch, (&x, qx), (&gate, qg), (&mut y, qy));
        for i in 0..x.len() {
            let g = gate[i / (pixels * stride) * stride + i % stride];
            let t = (f32::from(x[i]) - 12.0) * f32::from(g) * (0.03 * 0.004 / 0.02);
            assert_eq!(y[i], level(t + 9.0, 0, 0.0, 255.0));
        }
    }
}

#[test]
fn tables_hold_any_function() {
    let (qx, qy) = (quant(0.05, 128), quant(0.03, 20));
    let table = lookup_table(qx, qy, |x| Activation::HardSwish.apply(x));
    let x = bytes(5, 40_000);
    for ctx in contexts() {
        let mut y = vec![0; x.len()];
        int_lookup(&ctx, &table, &x, &mut y);
        for (x, y) in x.iter().zip(y) {
            assert_eq!(y, qy.quantize(Activation::HardSwish.apply(qx.dequantize(*x))));
        }
    }
}

#[test]
fn pooling_over_odd_windows() {
    let pool = Pooling {
        batch: 2,
        height: 9,
        width: 7,
        channels: 20,
        kernel: [3, 2],
        stride: [2, 3],
        padding: [1, 1, 2, 0],
    };
    pool.check().unwrap();
    let x = bytes(6, pool.x_len());
    let (qx, qy) = (quant(0.03, 50), quant(0.02, 70));
    for ctx in contexts() {
        let mut max = vec![0; pool.y_len()];
        int_max_pool(&ctx, &pool, &x, &mut max);
        for include in [true, false] {
            let mut mean = vec![0; pool.y_len()];
            int_average_pool(&ctx, &pool, include, (&x, qx), (&mut mean, qy));
            for at in 0..max.len() {
                let (c, p) = (at % 32, at / 32);
                let (ox, oy) = (p % pool.out_width(), p / pool.out_width() % pool.out_height());
                let n = p / (pool.out_width() * pool.out_height());
                let mut inside = Vec::new();
                for (ky, kx) in (0..3).flat_map(|y| (0..2).map(move |x| (y, x))) {
                    let (y, z) = ((oy * 2 + ky).wrapping_sub(1), (ox * 3 + kx).wrapping_sub(1));
                    if y < 9 && z < 7 {
                        inside.push(x[((n * 9 + y) * 7 + z) * 32 + c]);
                    }
                }
                assert_eq!(max[at], *inside.iter().max().unwrap());
                let sum: f32 = inside.iter().map(|&q| f32::from(q) - 50.0).sum();
                let count = if include { 6 } else { inside.len() };
                assert_eq!(mean[at], level(sum * (0.03 / 0.02 / count as f32), 70, 0.0, 255.0));
            }
        }
    }
}

#[test]
fn global_average() {
    let (n, pixels) = (3, 49);
    let x = bytes(8, n * pixels * 32);
    let (qx, qy) = (quant(0.03, 50), quant(0.011, 70));
    for ctx in contexts() {
        let mut y = vec![0; n * 32];
        int_global_average_pool(&ctx, [n, pixels, 30], (&x, qx), (&mut y, qy));
        for at in 0..y.len() {
            let image = &x[at / 32 * pixels * 32..][..pixels * 32];
            let sum: f32 = image.iter().skip(at % 32).step_by(32).map(|&q| f32::from(q) - 50.0).sum();
            assert_eq!(y[at], level(sum * (0.03 / (0.011 * 49.0)), 70, 0.0, 255.0));
        }
    }
}

#[test]
fn channels_move_through_a_table() {
    let table: [u8; 256] = std::array::from_fn(|i| 255 - i as u8);
    let src = bytes(9, 1000 * 16);
    for ctx in contexts() {
        let mut dst = vec![1; 1000 * 32];
        let copy = IntChannelCopy { rows: 1000, channels: 11, src_stride: 16, dst_stride: 32, dst_offset: 5 };
        int_copy_channels(&ctx, copy, Some(&table), &src, &mut dst);
        for (d, s) in dst.chunks(32).zip(src.chunks(16)) {
            assert!(d[..5].iter().chain(&d[16..]).all(|&d| d == 1));
            assert!(d[5..16].iter().zip(s).all(|(d, s)| *d == 255 - s));
        }
        int_copy_channels(&ctx, copy, None, &src, &mut dst);
        assert!(dst.chunks(32).zip(src.chunks(16)).all(|(d, s)| d[5..16] == s[..11]));
    }
}
