//! Gradients of the older kernels against finite differences of f64 forward passes, which share nothing with the
//! backward passes: neither with the kernels' nor with those of the naive loops.
//!
//! Batch normalisation, the other normalisations and the transposed convolution have such tests beside their own.

use oculist_kernels::{
    AdaptivePooling, Algorithm, Algorithms, Context, Conv2d, ConvPlan, Pass, Pooling, Rows,
    adaptive_average_pool_backward, average_pool_backward, channel_scale_backward, channel_stride, max_pool,
    max_pool_backward, pack_weights, unpack_weights,
};
use oculist_testing::reference::conv::Conv;
use oculist_testing::reference::norm::finite_differences;
use oculist_testing::reference::pooling::Pool;
use oculist_testing::reference::{Noise, relative_error, widen};

use crate::{contexts, to_nchw, to_nhwc};

/// Asserts that a gradient is the given one within `tolerance` of its largest element, and that one that is
/// twice as far off is not.
fn assert_gradient(got: &[f32], want: &[f64], tolerance: f64, label: &str) {
    let error = relative_error(got, want);
    assert!(error <= tolerance, "off by {error:.1e}: {label}");
    let largest = want.iter().fold(0.0f64, |m, w| m.max(w.abs()));
    let mut wrong = got.to_vec();
    wrong[0] += (2.0 * tolerance * largest) as f32;
    assert!(relative_error(&wrong, want) > tolerance, "the comparison accepts a wrong element: {label}");
    let scaled: Vec<f32> = got.iter().map(|v| v * (1.0 + 2.5 * tolerance as f32)).collect();
    assert!(relative_error(&scaled, want) > tolerance, "the comparison accepts a wrong factor: {label}");
}

/// `sum(y * dy)`.
fn dot(y: &[f64], dy: &[f32]) -> f64 {
    y.iter().zip(dy).map(|(y, d)| y * f64::from(*d)).sum()
}

/// Gradients by every algorithm that serves a pass, the others filled up with the general one.
fn conv_plans(ctx: &Context, conv: Conv2d) -> Vec<ConvPlan> {
    Algorithm::ALL
        .into_iter()
        .filter(|a| Pass::ALL.into_iter().any(|pass| a.supports(pass, &conv)))
        .map(|a| {
            let or_general = |pass| if a.supports(pass, &conv) { a } else { Algorithm::General };
            let algorithms = Algorithms {
                forward: or_general(Pass::Forward),
                backward_data: or_general(Pass::BackwardData),
                backward_weights: or_general(Pass::BackwardWeights),
            };
            ConvPlan::with_algorithms(ctx, conv, algorithms).unwrap()
        })
        .collect()
}

#[test]
fn convolution() {
    let mut noise = Noise::new(90);
    let three = Conv2d::square(2, [5, 6], [3, 4], 3, 1, 1);
    let convs = [
        three,
        Conv2d { stride: [2, 1], padding: [0, 1, 2, 0], ..three },
        Conv2d { dilation: [1, 2], padding: [2; 4], ..three },
        Conv2d { kernel: [1, 1], padding: [0; 4], stride: [2, 2], ..three },
        Conv2d { c_in: 4, c_out: 6, groups: 2, ..three },
        Conv2d { c_in: 5, c_out: 5, groups: 5, stride: [2, 2], ..three },
    ];
    for conv in convs {
        let naive = Conv {
            batch: conv.batch,
            c_in: conv.c_in,
            size: [conv.height, conv.width],
            c_out: conv.c_out,
            kernel: conv.kernel,
            stride: conv.stride,
            padding: conv.padding,
            dilation: conv.dilation,
            groups: conv.groups,
        };
        let mut values = |n| noise.vector(n);
        let (x, w, dy) = (values(naive.x_len()), values(naive.w_len()), values(naive.y_len()));
        let (x64, w64) = (widen(&x), widen(&w));
        // The convolution is linear in each argument: a large step loses nothing.
        let want_dx = finite_differences(&|x| dot(&naive.forward(x, &w64), &dy), &x64, 0.5);
        let want_dw = finite_differences(&|w| dot(&naive.forward(&x64, w), &dy), &w64, 0.5);
        for ctx in contexts() {
            for plan in conv_plans(&ctx, conv) {
                let packed = pack_weights(&conv, &w);
                let (xs, dys) =
                    (to_nhwc(&ctx, conv.batch, conv.c_in, &x), to_nhwc(&ctx, conv.batch, conv.c_out, &dy));
                let mut scratch = vec![f32::NAN; plan.scratch_len()];
                let (mut dx, mut dw) = (vec![f32::NAN; xs.len()], vec![f32::NAN; packed.len()]);
                plan.backward_data(&ctx, &dys, &packed, &mut dx, false, &mut scratch);
                plan.backward_weights(&ctx, &xs, &dys, &mut dw, &mut scratch);
                let label = format!("{} on {}", plan.describe(), ctx.isa());
                // What the bounds of Winograd's F(4x4) allow; the others are far below.
                assert_gradient(&to_nchw(&ctx, conv.batch, conv.c_in, &dx), &want_dx, 1e-4, &label);
                assert_gradient(&unpack_weights(&conv, &dw), &want_dw, 1e-4, &label);
            }
        }
    }
}

/// A pooling that has overlapping windows, windows over the edge, and pixels in no window.
fn poolings() -> [Pooling; 3] {
    let base = Pooling {
        batch: 2,
        height: 5,
        width: 6,
        channels: 3,
        kernel: [3, 2],
        stride: [2, 1],
        padding: [1, 1, 0, 1],
    };
    [
        base,
        Pooling { kernel: [2, 2], stride: [3, 2], padding: [0; 4], ..base },
        Pooling { stride: [1, 1], ..base },
    ]
}

#[test]
fn pooling() {
    let mut noise = Noise::new(92);
    for pool in poolings() {
        let naive = Pool {
            planes: pool.batch * pool.channels,
            size: [pool.height, pool.width],
            kernel: pool.kernel,
            stride: pool.stride,
            padding: pool.padding,
        };
        let (b, c) = (pool.batch, pool.channels);
        let x = noise.vector(b * c * pool.height * pool.width);
        let dy = noise.vector(b * c * pool.out_height() * pool.out_width());
        let x64 = widen(&x);
        // The inputs are multiples of 2^-23 and random, so that no step of 2^-25 changes which one is the largest.
        let want_max = finite_differences(&|x| dot(&naive.max(x), &dy), &x64, 0.5f64.powi(25));
        let want_average = [false, true]
            .map(|include| finite_differences(&|x| dot(&naive.average(x, include), &dy), &x64, 0.5));
        for ctx in contexts() {
            let label = format!("{pool:?} on {}", ctx.isa());
            let (xs, dys) = (to_nhwc(&ctx, b, c, &x), to_nhwc(&ctx, b, c, &dy));
            let (mut y, mut argmax) = (vec![f32::NAN; pool.y_len()], vec![0; pool.y_len()]);
            let mut dx = vec![f32::NAN; pool.x_len()];
            max_pool(&ctx, &pool, &xs, &mut y, Some(&mut argmax));
            max_pool_backward(&ctx, &pool, &dys, &argmax, &mut dx, false);
            assert_gradient(&to_nchw(&ctx, b, c, &dx), &want_max, 1e-6, &label);
            for (include, want) in [false, true].into_iter().zip(&want_average) {
                average_pool_backward(&ctx, &pool, include, &dys, &mut dx, false);
                assert_gradient(&to_nchw(&ctx, b, c, &dx), want, 1e-6, &label);
            }
        }
    }
}

#[test]
fn adaptive_pooling() {
    let mut noise = Noise::new(93);
    let (batch, channels) = (2, 3);
    for (input, out) in [([5, 7], [1, 1]), ([5, 7], [2, 3]), ([2, 3], [3, 3])] {
        let pool = AdaptivePooling { batch, input, out, channels };
        let forward = |x: &[f64]| -> Vec<f64> {
            let mut y = Vec::new();
            for plane in x.chunks_exact(input[0] * input[1]) {
                for (i, j) in (0..out[0]).flat_map(|i| (0..out[1]).map(move |j| (i, j))) {
                    let inside = |at: usize, o: usize, axis: usize| {
                        at * out[axis] < (o + 1) * input[axis] && (at + 1) * out[axis] > o * input[axis]
                    };
                    let window: Vec<f64> = (0..plane.len())
                        .filter(|p| inside(p / input[1], i, 0) && inside(p % input[1], j, 1))
                        .map(|p| plane[p])
                        .collect();
                    y.push(window.iter().sum::<f64>() / window.len() as f64);
                }
            }
            y
        };
        let x = noise.vector(batch * channels * input[0] * input[1]);
        let dy = noise.vector(batch * channels * out[0] * out[1]);
        let want = finite_differences(&|x| dot(&forward(x), &dy), &widen(&x), 0.5);
        for ctx in contexts() {
            let dys = to_nhwc(&ctx, batch, channels, &dy);
            let mut dx = vec![f32::NAN; batch * input[0] * input[1] * channel_stride(channels)];
            adaptive_average_pool_backward(&ctx, &pool, &dys, &mut dx, false);
            let label = format!("{pool:?} on {}", ctx.isa());
            assert_gradient(&to_nchw(&ctx, batch, channels, &dx), &want, 1e-6, &label);
        }
    }
}

#[test]
fn channel_gates() {
    let mut noise = Noise::new(94);
    let (batch, channels, pixels) = (2, 5, 6);
    let (x, dy) = (noise.vector(batch * channels * pixels), noise.vector(batch * channels * pixels));
    let gate = noise.vector(batch * channels);
    let forward = |x: &[f64], gate: &[f64]| -> Vec<f64> {
        x.iter().enumerate().map(|(i, x)| x * gate[i / pixels]).collect()
    };
    let (x64, gate64) = (widen(&x), widen(&gate));
    let want_dx = finite_differences(&|x| dot(&forward(x, &gate64), &dy), &x64, 0.5);
    let want_dgate = finite_differences(&|gate| dot(&forward(&x64, gate), &dy), &gate64, 0.5);
    for ctx in contexts() {
        let [xs, dys, gates] = [&x, &dy, &gate].map(|v| to_nhwc(&ctx, batch, channels, v));
        let (mut dx, mut dgate) = (vec![f32::NAN; xs.len()], vec![f32::NAN; gates.len()]);
        let shape = Rows::new(batch * pixels, channels);
        channel_scale_backward(&ctx, shape, batch, &xs, &gates, &dys, &mut dx, false, &mut dgate);
        assert_gradient(&to_nchw(&ctx, batch, channels, &dx), &want_dx, 1e-6, ctx.isa().name());
        assert_gradient(&to_nchw(&ctx, batch, channels, &dgate), &want_dgate, 1e-6, ctx.isa().name());
    }
}
