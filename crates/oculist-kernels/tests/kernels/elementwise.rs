//! Activations, additions, scalings and copies.

use oculist_kernels::{
    Activation, ChannelCopy, Rows, activation_backward, activation_forward, add, add_assign, add_scaled,
    channel_scale, channel_scale_backward, channel_stride, copy_channels, fill_zero, flatten,
    flatten_backward, pad_channels, pick_channels, pick_channels_backward, scale, unpad_channels,
};
use oculist_testing::reference::{Noise, relative_error};

use crate::{contexts, to_nchw, to_nhwc};

/// The activation in f64, written from its definition.
pub(crate) fn reference(activation: Activation, z: f64) -> f64 {
    match activation {
        Activation::Relu => z.max(0.0),
        Activation::Clip { min, max } => z.max(f64::from(min)).min(f64::from(max)),
        Activation::HardSwish => z * ((z + 3.0) / 6.0).clamp(0.0, 1.0),
        Activation::HardSigmoid { alpha, beta } => (f64::from(alpha) * z + f64::from(beta)).clamp(0.0, 1.0),
        Activation::Sigmoid => 1.0 / (1.0 + (-z).exp()),
        Activation::Identity => z,
    }
}

pub(crate) const ACTIVATIONS: [Activation; 6] = [
    Activation::Identity,
    Activation::Relu,
    Activation::Clip { min: 0.0, max: 6.0 },
    Activation::HardSwish,
    Activation::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 },
    Activation::Sigmoid,
];

#[test]
fn activations_and_their_derivatives() {
    let mut noise = Noise::new(20);
    for (pixels, channels) in [(1, 1), (13, 16), (700, 21)] {
        let x: Vec<f32> = noise.vector(2 * channels * pixels).iter().map(|v| v * 9.0).collect();
        let dy = noise.vector(x.len());
        for ctx in contexts() {
            let shape = Rows::new(2 * pixels, channels);
            let (nhwc, dy_nhwc) = (to_nhwc(&ctx, 2, channels, &x), to_nhwc(&ctx, 2, channels, &dy));
            for activation in ACTIVATIONS {
                let mut y = vec![f32::NAN; shape.len()];
                activation_forward(&ctx, shape, activation, &nhwc, &mut y);
                let want: Vec<f64> = x.iter().map(|z| reference(activation, f64::from(*z))).collect();
                let got = to_nchw(&ctx, 2, channels, &y);
                assert!(relative_error(&got, &want) < 1e-6, "{activation:?} on {}", ctx.isa());
                let mut dx = vec![f32::NAN; shape.len()];
                activation_backward(&ctx, shape, activation, &nhwc, &dy_nhwc, &mut dx, false);
                let h = 1e-6;
                let want: Vec<f64> = x
                    .iter()
                    .zip(&dy)
                    .map(|(z, dy)| {
                        let z = f64::from(*z);
                        f64::from(*dy) * (reference(activation, z + h) - reference(activation, z - h))
                            / (2.0 * h)
                    })
                    .collect();
                let got = to_nchw(&ctx, 2, channels, &dx);
                assert!(relative_error(&got, &want) < 1e-5, "derivative of {activation:?} on {}", ctx.isa());
                activation_backward(&ctx, shape, activation, &nhwc, &dy_nhwc, &mut dx, true);
                let doubled: Vec<f64> = want.iter().map(|v| 2.0 * v).collect();
                assert!(relative_error(&to_nchw(&ctx, 2, channels, &dx), &doubled) < 1e-5);
                let zeroed = vec![0.0; got.len()];
                let flat = want.iter().all(|v| *v == 0.0);
                assert!(flat || relative_error(&zeroed, &want) > 0.9, "the comparison accepts zeros");
            }
        }
    }
}

#[test]
fn a_nan_stays_one() {
    for ctx in contexts() {
        let shape = Rows::new(1, 16);
        let mut x = vec![1.0; 16];
        x[3] = f32::NAN;
        for activation in ACTIVATIONS {
            let mut y = vec![0.0; 16];
            activation_forward(&ctx, shape, activation, &x, &mut y);
            assert!(y[3].is_nan() && activation.apply(f32::NAN).is_nan(), "{activation:?} on {}", ctx.isa());
            assert!(y.iter().filter(|v| v.is_nan()).count() == 1);
        }
    }
}

#[test]
fn sums_and_scalings() {
    let mut noise = Noise::new(21);
    for n in [0, 1, 15, 16, 17, 40_003] {
        let (a, b) = (noise.vector(n), noise.vector(n));
        for ctx in contexts() {
            let mut y = vec![f32::NAN; n];
            add(&ctx, &a, &b, &mut y);
            assert!(y.iter().zip(&a).zip(&b).all(|((y, a), b)| *y == a + b));
            add_assign(&ctx, &a, &mut y);
            assert!(y.iter().zip(&a).zip(&b).all(|((y, a), b)| *y == a + (a + b)));
            scale(&ctx, 0.5, &mut y);
            assert!(y.iter().zip(&a).zip(&b).all(|((y, a), b)| *y == 0.5 * (a + (a + b))));
            add_scaled(&ctx, -2.0, &b, &mut y);
            for ((y, a), b) in y.iter().zip(&a).zip(&b) {
                assert!((y - (0.5 * (a + (a + b)) - 2.0 * b)).abs() < 1e-6);
            }
            fill_zero(&ctx, &mut y);
            assert!(y.iter().all(|v| *v == 0.0));
        }
    }
}

#[test]
fn gates_of_squeeze_and_excitation() {
    let mut noise = Noise::new(22);
    let (batch, channels, pixels) = (3, 21, 35);
    let x = noise.vector(batch * channels * pixels);
    let dy = noise.vector(x.len());
    let gate = noise.vector(batch * channels);
    let product = |a: &[f32]| -> Vec<f64> {
        a.iter().enumerate().map(|(i, v)| f64::from(*v) * f64::from(gate[i / pixels])).collect()
    };
    for ctx in contexts() {
        let shape = Rows::new(batch * pixels, channels);
        let (xs, dys) = (to_nhwc(&ctx, batch, channels, &x), to_nhwc(&ctx, batch, channels, &dy));
        let gates = to_nhwc(&ctx, batch, channels, &gate);
        let mut y = vec![f32::NAN; shape.len()];
        channel_scale(&ctx, shape, batch, &xs, &gates, &mut y);
        assert!(relative_error(&to_nchw(&ctx, batch, channels, &y), &product(&x)) < 1e-6);
        let mut dx = vec![f32::NAN; shape.len()];
        let mut dgate = vec![f32::NAN; gates.len()];
        channel_scale_backward(&ctx, shape, batch, &xs, &gates, &dys, &mut dx, false, &mut dgate);
        assert!(relative_error(&to_nchw(&ctx, batch, channels, &dx), &product(&dy)) < 1e-6);
        let want: Vec<f64> = x
            .chunks(pixels)
            .zip(dy.chunks(pixels))
            .map(|(x, dy)| x.iter().zip(dy).map(|(x, d)| f64::from(*x) * f64::from(*d)).sum())
            .collect();
        assert!(relative_error(&to_nchw(&ctx, batch, channels, &dgate), &want) < 1e-6);
        channel_scale_backward(&ctx, shape, batch, &xs, &gates, &dys, &mut dx, true, &mut dgate);
        let doubled: Vec<f64> = product(&dy).iter().map(|v| 2.0 * v).collect();
        assert!(relative_error(&to_nchw(&ctx, batch, channels, &dx), &doubled) < 1e-6);
    }
}

#[test]
fn channels_move_between_tensors() {
    let mut noise = Noise::new(23);
    let rows = 700;
    let (a, b) = (noise.vector(rows * 5), noise.vector(rows * 20));
    for ctx in contexts() {
        let mut padded_a = vec![f32::NAN; rows * 16];
        let mut padded_b = vec![f32::NAN; rows * 32];
        pad_channels(&ctx, rows, 5, &a, &mut padded_a);
        pad_channels(&ctx, rows, 20, &b, &mut padded_b);
        let mut joined = vec![0.0; rows * 32];
        let first =
            ChannelCopy { rows, channels: 5, src_stride: 16, src_offset: 0, dst_stride: 32, dst_offset: 0 };
        let second = ChannelCopy { channels: 20, src_stride: 32, dst_offset: 5, ..first };
        copy_channels(&ctx, first, &padded_a, &mut joined, false);
        copy_channels(&ctx, second, &padded_b, &mut joined, false);
        let mut dense = vec![f32::NAN; rows * 25];
        unpad_channels(&ctx, rows, 25, &joined, &mut dense);
        for row in 0..rows {
            assert_eq!(dense[row * 25..][..5], a[row * 5..][..5]);
            assert_eq!(dense[row * 25 + 5..][..20], b[row * 20..][..20]);
            assert!(joined[row * 32 + 25..][..7].iter().all(|v| *v == 0.0));
        }
        copy_channels(&ctx, first, &padded_a, &mut joined, true);
        assert_eq!(joined[0], 2.0 * a[0]);
    }
}

#[test]
fn a_flattened_map_has_the_order_of_nchw_and_its_gradient_goes_back() {
    let mut noise = Noise::new(24);
    for (batch, channels, pixels) in [(2, 3, 4), (1, 20, 6), (3, 16, 1)] {
        let nchw = noise.vector(batch * channels * pixels);
        for ctx in contexts() {
            let nhwc = to_nhwc(&ctx, batch, channels, &nchw);
            let stride = nhwc.len() / (batch * pixels);
            let features = channels * pixels;
            let y_stride = features.div_ceil(16) * 16;
            let mut y = vec![f32::NAN; batch * y_stride];
            flatten(&ctx, batch, channels, pixels, stride, &nhwc, &mut y);
            for (row, want) in y.chunks_exact(y_stride).zip(nchw.chunks_exact(features)) {
                assert_eq!(row[..features], *want);
                assert!(row[features..].iter().all(|v| *v == 0.0));
            }
            // The order in memory is another one, except for a single pixel.
            assert_eq!(y[..features] == nhwc[..features], pixels == 1);
            let mut dx = vec![f32::NAN; nhwc.len()];
            flatten_backward(&ctx, batch, channels, pixels, stride, &y, &mut dx, false);
            assert_eq!(dx, nhwc);
            flatten_backward(&ctx, batch, channels, pixels, stride, &y, &mut dx, true);
            let doubled: Vec<f32> = nhwc.iter().map(|v| 2.0 * v).collect();
            assert_eq!(dx, doubled);
        }
    }
}

/// By its definition: channel `c` of the result is channel `picked[c]`, and its gradient goes back there.
#[test]
fn picked_channels_and_their_gradients() {
    let mut noise = Noise::new(31);
    for (rows, from, picked) in [
        (1, 1, vec![0]),
        (13, 16, (0..16).rev().collect::<Vec<u32>>()),
        // Twice, not at all, and more than there are.
        (700, 21, vec![20, 3, 3, 0]),
        (5, 3, (0..40).map(|c| c % 3).collect()),
    ] {
        let (x_stride, y_stride) = (channel_stride(from), channel_stride(picked.len()));
        let (x, dy) = (noise.vector(rows * x_stride), noise.vector(rows * y_stride));
        let old = noise.vector(rows * x_stride);
        for ctx in contexts() {
            let mut y = vec![9.0; rows * y_stride];
            pick_channels(&ctx, rows, &picked, (&x, x_stride), (&mut y, y_stride));
            let (mut dx, mut sum) = (vec![9.0; rows * x_stride], old.clone());
            pick_channels_backward(&ctx, rows, &picked, (&dy, y_stride), (&mut dx, x_stride), false);
            pick_channels_backward(&ctx, rows, &picked, (&dy, y_stride), (&mut sum, x_stride), true);
            for row in 0..rows {
                for c in 0..y_stride {
                    let want = picked.get(c).map_or(0.0, |&from| x[row * x_stride + from as usize]);
                    assert_eq!(y[row * y_stride + c], want, "{row} {c}");
                }
                for c in 0..x_stride {
                    let of = |(to, &from): (usize, &u32)| {
                        if from as usize == c { f64::from(dy[row * y_stride + to]) } else { 0.0 }
                    };
                    let want: f64 = picked.iter().enumerate().map(of).sum();
                    let at = row * x_stride + c;
                    assert!((f64::from(dx[at]) - want).abs() < 1e-5, "{row} {c}");
                    assert!((f64::from(sum[at]) - f64::from(old[at]) - want).abs() < 1e-5, "{row} {c}");
                }
            }
            let mut bytes = vec![9u8; 2 * y_stride];
            let source: Vec<u8> = (0..2 * x_stride).map(|i| i as u8).collect();
            pick_channels(&ctx, 2, &picked, (&source, x_stride), (&mut bytes, y_stride));
            assert!((0..picked.len()).all(|c| bytes[y_stride + c] == source[x_stride + picked[c] as usize]));
        }
    }
    let outside = std::panic::catch_unwind(|| {
        let ctx = contexts().remove(0);
        pick_channels(&ctx, 1, &[16], (&[0.0f32; 16], 16), (&mut [0.0; 16], 16));
    });
    assert!(outside.is_err());
}
