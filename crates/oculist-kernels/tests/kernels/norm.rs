//! Batch normalisation against f64 and finite differences.

use oculist_kernels::{
    Activation, BatchNormBackward, BatchNormGradients, Context, Rows, batch_norm_backward, batch_statistics,
    column_sums, fixed_norm_backward, fold_scale_shift, scale_shift,
};
use oculist_testing::reference::norm::{BatchNorm, finite_differences};
use oculist_testing::reference::{Noise, relative_error, widen};

use crate::elementwise::{ACTIVATIONS, reference};
use crate::{contexts, to_nchw, to_nhwc};

const EPS: f32 = 1e-5;

fn pad(v: &[f32]) -> Vec<f32> {
    let mut v = v.to_vec();
    v.resize(oculist_kernels::channel_stride(v.len()), 0.0);
    v
}

#[test]
fn statistics_survive_a_large_mean() {
    let mut noise = Noise::new(40);
    for (batch, channels, pixels, offset) in
        [(1, 1, 1, 0.0), (2, 17, 35, 3.0), (5, 40, 801, 300.0), (1, 16, 64, 0.0)]
    {
        let x: Vec<f32> = noise.vector(batch * channels * pixels).iter().map(|v| v + offset).collect();
        let naive = BatchNorm { batch, channels, pixels, eps: 0.0 };
        let (want_mean, want_variance) = naive.statistics(&widen(&x));
        for ctx in contexts() {
            let shape = Rows::new(batch * pixels, channels);
            let (mut mean, mut variance) = (vec![f32::NAN; shape.stride()], vec![f32::NAN; shape.stride()]);
            batch_statistics(&ctx, shape, &to_nhwc(&ctx, batch, channels, &x), &mut mean, &mut variance);
            assert!(mean[channels..].iter().chain(&variance[channels..]).all(|v| *v == 0.0));
            assert!(relative_error(&mean[..channels], &want_mean) < 1e-6);
            assert!(relative_error(&variance[..channels], &want_variance) < 2e-6, "on {}", ctx.isa());
        }
    }
}

#[test]
fn sums_do_not_depend_on_threads() {
    let x = Noise::new(41).vector(5000 * 32);
    let shape = Rows::new(5000, 32);
    let run = |threads| {
        let ctx = Context::new(threads).unwrap();
        let (mut mean, mut variance, mut sums) = (vec![0.0; 32], vec![0.0; 32], vec![0.0; 32]);
        batch_statistics(&ctx, shape, &x, &mut mean, &mut variance);
        column_sums(&ctx, shape, &x, &mut sums);
        (mean, variance, sums)
    };
    let one = run(1);
    assert!(one == run(2) && one == run(3));
    let want: f64 = x.chunks(32).map(|row| f64::from(row[7])).sum();
    assert!((f64::from(one.2[7]) - want).abs() < 1e-3);
}

#[test]
fn forward_and_backward() {
    let mut noise = Noise::new(42);
    let (batch, channels, pixels) = (2, 18, 3);
    let n = batch * channels * pixels;
    let naive = BatchNorm { batch, channels, pixels, eps: f64::from(EPS) };
    for activation in ACTIVATIONS {
        for with_residual in [false, true] {
            let x: Vec<f32> = noise.vector(n).iter().map(|v| 3.0 * v + 1.0).collect();
            let (gamma, beta) = (noise.vector(channels), noise.vector(channels));
            let (residual, dy) = (noise.vector(n), noise.vector(n));
            let residual_arg = with_residual.then_some(residual.as_slice());
            let f = |z: f64| reference(activation, z);
            let forward = |x: &[f64], gamma: &[f64], beta: &[f64], residual: &[f64]| {
                naive.forward(x, gamma, beta, with_residual.then_some(residual), &f)
            };
            let loss = |y: Vec<f64>| -> f64 { y.iter().zip(&dy).map(|(y, d)| y * f64::from(*d)).sum() };
            let (x64, g64, b64, r64) = (widen(&x), widen(&gamma), widen(&beta), widen(&residual));
            let want_y = forward(&x64, &g64, &b64, &r64);
            let h = 1e-6;
            let want = [
                finite_differences(&|x| loss(forward(x, &g64, &b64, &r64)), &x64, h),
                finite_differences(&|g| loss(forward(&x64, g, &b64, &r64)), &g64, h),
                finite_differences(&|b| loss(forward(&x64, &g64, b, &r64)), &b64, h),
                finite_differences(&|r| loss(forward(&x64, &g64, &b64, r)), &r64, h),
            ];
            for ctx in contexts() {
                let got =
                    run(&ctx, [batch, channels, pixels], activation, &x, &gamma, &beta, residual_arg, &dy);
                let label = format!("{activation:?}, residual {with_residual}, {}", ctx.isa());
                assert!(relative_error(&got[0], &want_y) < 5e-6, "{label}");
                for (i, want) in want.iter().enumerate().take(if with_residual { 4 } else { 3 }) {
                    let error = relative_error(&got[i + 1], want);
                    assert!(error < 2e-5, "gradient {i} off by {error:.1e}: {label}");
                    let wrong: Vec<f32> = got[i + 1].iter().map(|v| v * 1.001).collect();
                    assert!(relative_error(&wrong, want) > 2e-5, "the comparison accepts a wrong gradient");
                }
            }
        }
    }
}

#[test]
fn backward_through_fixed_statistics() {
    let mut noise = Noise::new(43);
    let (rows, channels) = (7, 18);
    let n = rows * channels;
    for activation in ACTIVATIONS {
        let x: Vec<f32> = noise.vector(n).iter().map(|v| 3.0 * v + 1.0).collect();
        let (gamma, beta, mean) = (noise.vector(channels), noise.vector(channels), noise.vector(channels));
        let inv_std: Vec<f32> = noise.vector(channels).iter().map(|v| 1.0 + 0.5 * v).collect();
        let (residual, dy) = (noise.vector(n), noise.vector(n));
        let loss = |x: &[f64], gamma: &[f64], beta: &[f64], residual: &[f64]| -> f64 {
            let at = |i: usize| {
                let c = i % channels;
                let centred = x[i] - f64::from(mean[c]);
                reference(activation, gamma[c] * centred * f64::from(inv_std[c]) + beta[c] + residual[i])
            };
            (0..n).map(|i| at(i) * f64::from(dy[i])).sum()
        };
        let (x64, g64, b64, r64) = (widen(&x), widen(&gamma), widen(&beta), widen(&residual));
        let h = 1e-6;
        let want = [
            finite_differences(&|x| loss(x, &g64, &b64, &r64), &x64, h),
            finite_differences(&|g| loss(&x64, g, &b64, &r64), &g64, h),
            finite_differences(&|b| loss(&x64, &g64, b, &r64), &b64, h),
            finite_differences(&|r| loss(&x64, &g64, &b64, r), &r64, h),
        ];
        for ctx in contexts() {
            let shape = Rows::new(rows, channels);
            let map = |v: &[f32]| v.chunks(channels).flat_map(pad).collect::<Vec<_>>();
            let [x, residual, dy] = [&x, &residual, &dy].map(|v| map(v));
            let [gamma, beta, mean, inv_std] = [&gamma, &beta, &mean, &inv_std].map(|v| pad(v));
            let stride = shape.stride();
            let (mut scale, mut shift) = (vec![0.0; stride], vec![0.0; stride]);
            fold_scale_shift(&gamma, &beta, &mean, &inv_std, &mut scale, &mut shift);
            let mut y = vec![f32::NAN; shape.len()];
            scale_shift(&ctx, shape, &x, &scale, &shift, Some(&residual), activation, &mut y);
            let input = BatchNormBackward {
                x: &x,
                y: &y,
                residual: Some(&residual),
                dy: &dy,
                gamma: &gamma,
                beta: &beta,
                mean: &mean,
                inv_std: &inv_std,
                activation,
            };
            let run = |backward: fn(&Context, Rows, &BatchNormBackward, BatchNormGradients)| {
                let (mut dx, mut dresidual) = (vec![f32::NAN; shape.len()], vec![f32::NAN; shape.len()]);
                let (mut dgamma, mut dbeta) = (vec![f32::NAN; stride], vec![f32::NAN; stride]);
                let output = BatchNormGradients {
                    dx: &mut dx,
                    dgamma: &mut dgamma,
                    dbeta: &mut dbeta,
                    dresidual: Some((&mut dresidual, false)),
                };
                backward(&ctx, shape, &input, output);
                let dense = |v: &[f32]| v.chunks(stride).flat_map(|r| r[..channels].to_vec()).collect();
                [dx, dgamma, dbeta, dresidual].map(|v| -> Vec<f32> { dense(&v) })
            };
            for (i, (got, want)) in run(fixed_norm_backward).iter().zip(&want).enumerate() {
                let error = relative_error(got, want);
                assert!(error < 2e-5, "gradient {i} off by {error:.1e}: {activation:?}, {}", ctx.isa());
            }
            let of_batch = relative_error(&run(batch_norm_backward)[0], &want[0]);
            assert!(of_batch > 1e-2, "the comparison accepts what flows through the batch's statistics");
        }
    }
}

/// y, dx, dgamma, dbeta and dresidual in NCHW.
fn run(
    ctx: &Context,
    [batch, channels, pixels]: [usize; 3],
    activation: Activation,
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    residual: Option<&[f32]>,
    dy: &[f32],
) -> [Vec<f32>; 5] {
    let shape = Rows::new(batch * pixels, channels);
    let stride = shape.stride();
    let (x, dy) = (to_nhwc(ctx, batch, channels, x), to_nhwc(ctx, batch, channels, dy));
    let residual = residual.map(|r| to_nhwc(ctx, batch, channels, r));
    let (gamma, beta) = (pad(gamma), pad(beta));
    let (mut mean, mut variance) = (vec![0.0; stride], vec![0.0; stride]);
    batch_statistics(ctx, shape, &x, &mut mean, &mut variance);
    let inv_std: Vec<f32> = variance.iter().map(|v| 1.0 / (v + EPS).sqrt()).collect();
    let (mut scale, mut shift) = (vec![0.0; stride], vec![0.0; stride]);
    fold_scale_shift(&gamma, &beta, &mean, &inv_std, &mut scale, &mut shift);
    let mut y = vec![f32::NAN; shape.len()];
    scale_shift(ctx, shape, &x, &scale, &shift, residual.as_deref(), activation, &mut y);
    let mut dx = vec![f32::NAN; shape.len()];
    let mut dresidual = vec![1.0; shape.len()];
    let (mut dgamma, mut dbeta) = (vec![f32::NAN; stride], vec![f32::NAN; stride]);
    let input = BatchNormBackward {
        x: &x,
        y: &y,
        residual: residual.as_deref(),
        dy: &dy,
        gamma: &gamma,
        beta: &beta,
        mean: &mean,
        inv_std: &inv_std,
        activation,
    };
    let output = BatchNormGradients {
        dx: &mut dx,
        dgamma: &mut dgamma,
        dbeta: &mut dbeta,
        dresidual: Some((&mut dresidual, true)),
    };
    batch_norm_backward(ctx, shape, &input, output);
    for v in &mut dresidual {
        *v -= 1.0;
    }
    dgamma.truncate(channels);
    dbeta.truncate(channels);
    let dx = to_nchw(ctx, batch, channels, &dx);
    [to_nchw(ctx, batch, channels, &y), dx, dgamma, dbeta, to_nchw(ctx, batch, channels, &dresidual)]
}
