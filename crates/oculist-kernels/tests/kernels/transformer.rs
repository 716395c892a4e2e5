//! Functions, row kernels and attention against f64.

use oculist_kernels::{
    Attention, AttentionPlan, AttentionStart, Context, Function, Isa, RowNorm, apply, apply_to, norm_rows,
    softmax_rows,
};
use oculist_testing::reference::{Noise, relative_error, widen};

use crate::{contexts, isa_and_thread_contexts};

/// The error function from its series, and from the continued fraction of its complement where that is small.
fn erf(x: f64) -> f64 {
    let a = x.abs();
    let value = if a < 3.0 {
        let (mut term, mut sum) = (a, a);
        for n in 1..100 {
            term *= -a * a / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    } else {
        let fraction = (1..60).rev().fold(a, |f, n| a + f64::from(n) / 2.0 / f);
        1.0 - (-a * a).exp() / fraction / std::f64::consts::PI.sqrt()
    };
    value.copysign(x)
}

/// Numbers around 0 of all magnitudes, and a fine grid.
fn arguments() -> Vec<f32> {
    let mut x: Vec<f32> = (-40_000..40_000).map(|i| i as f32 * 2.3e-3).collect();
    x.extend((-126..6).flat_map(|e| [2f32.powi(e), -1.37 * 2f32.powi(e)]));
    x.push(0.0);
    x
}

/// What a function is to give, in 64-bit floats.
type Formula = fn(f64) -> f64;

#[test]
fn the_oracle_of_erf_is_right() {
    for (x, want) in
        [(0.5, 0.520_499_877_813_046_5), (1.0, 0.842_700_792_949_714_9), (2.0, 0.995_322_265_018_952_7)]
    {
        assert!((erf(x) - want).abs() < 1e-14 && (erf(-x) + want).abs() < 1e-14);
    }
    assert!((erf(3.0) - 0.999_977_909_503_001_4).abs() < 1e-14);
}

#[test]
fn functions() {
    // The function, and the error relative to `absolute + |want|`.
    let cases: [(Function, Formula, f64, f64); 7] = [
        (Function::Exp, f64::exp, 2e-7, 0.0),
        (Function::Erf, erf, 3e-7, 0.0),
        (Function::Gelu, |z| z / 2.0 * (1.0 + erf(z * std::f64::consts::FRAC_1_SQRT_2)), 3e-7, 1.0),
        (
            Function::GeluTanh,
            |z| z / 2.0 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (z + 0.044715 * z * z * z)).tanh()),
            4e-7,
            1.0,
        ),
        (Function::Silu, |z| z / (1.0 + (-z).exp()), 4e-7, 1e-30),
        (Function::Sigmoid, |z| 1.0 / (1.0 + (-z).exp()), 4e-7, 1e-30),
        (Function::Tanh, f64::tanh, 3e-7, 0.0),
    ];
    let x = arguments();
    for ctx in contexts() {
        for (function, f, bound, absolute) in cases {
            let mut y = vec![f32::NAN; x.len()];
            apply(&ctx, function, &x, &mut y);
            let mut worst = (0.0, 0.0);
            for (x, y) in x.iter().zip(&y) {
                let want = f(f64::from(*x));
                // Beyond the range of normal f32 only the limit is asked for.
                if want.abs() < 1.2e-38 {
                    assert!(f64::from(y.abs()) <= bound * absolute + 1.2e-38, "{function:?}({x}) is {y}");
                } else if want > f64::from(f32::MAX) {
                    assert_eq!(*y, f32::INFINITY, "{function:?}({x})");
                } else {
                    let error = (f64::from(*y) - want).abs() / (absolute + want.abs());
                    assert!(!error.is_nan(), "{function:?}({x}) is {y}");
                    worst = if error > worst.0 { (error, *x) } else { worst };
                }
            }
            assert!(worst.0 < bound, "{function:?} on {} is off by {worst:?}", ctx.isa());
            let mut special = [f32::NAN, f32::INFINITY];
            apply_to(&ctx, function, &mut special);
            assert!(special[0].is_nan(), "{function:?} of NaN is {}", special[0]);
            assert_eq!(f64::from(special[1]), f(f64::INFINITY), "{function:?} of infinity");
        }
        let mut low = [f32::NEG_INFINITY];
        apply_to(&ctx, Function::Exp, &mut low);
        assert_eq!(low, [0.0]);
    }
}

#[test]
fn normalised_rows() {
    for ctx in isa_and_thread_contexts() {
        let mut noise = Noise::new(210);
        for (rows, width) in [(1, 1), (3, 15), (5, 16), (70, 192), (9, 1000), (0, 4), (4, 0)] {
            let x: Vec<f32> = noise.vector(rows * width).iter().map(|v| 3.0 * v + 5.0).collect();
            let (gamma, beta) = (noise.vector(width), noise.vector(width));
            for kind in [RowNorm::Layer, RowNorm::RootMeanSquare] {
                for affine in [false, true] {
                    let want: Vec<f64> = widen(&x)
                        .chunks(width.max(1))
                        .flat_map(|row| {
                            let n = row.len() as f64;
                            let mean = if kind == RowNorm::Layer { row.iter().sum::<f64>() / n } else { 0.0 };
                            let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
                            let norm = move |v: &f64| (v - mean) / (variance + 1e-3).sqrt();
                            row.iter().map(norm).collect::<Vec<_>>()
                        })
                        .enumerate()
                        .map(|(i, v)| {
                            let c = i % width;
                            if affine { v * f64::from(gamma[c]) + f64::from(beta[c]) } else { v }
                        })
                        .collect();
                    let mut y = vec![f32::NAN; rows * width];
                    let (g, b) = (affine.then_some(&gamma[..]), affine.then_some(&beta[..]));
                    norm_rows(&ctx, kind, [rows, width], 1e-3, &x, g, b, &mut y);
                    let error = relative_error(&y, &want);
                    assert!(error < 4e-6, "{kind:?} of {rows} x {width} on {}: {error}", ctx.isa());
                }
            }
        }
    }
}

fn softmax(row: &[f64]) -> Vec<f64> {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exps: Vec<f64> = row.iter().map(|v| (v - max).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.iter().map(|e| e / sum).collect()
}

#[test]
fn softmax_of_rows() {
    for ctx in isa_and_thread_contexts() {
        let mut noise = Noise::new(211);
        for (rows, width) in [(1, 1), (3, 15), (5, 16), (70, 197), (2, 9000), (0, 4), (4, 0)] {
            let x: Vec<f32> = noise.vector(rows * width).iter().map(|v| 30.0 * v).collect();
            let mut mask = noise.vector(width.max(rows * width));
            for value in mask.iter_mut().skip(1).step_by(3) {
                *value = f32::NEG_INFINITY;
            }
            for (scale, len) in [(1.0, 0), (0.25, width), (-2.0, rows * width)] {
                let mask = (len > 0).then(|| &mask[..len]);
                let mut y = vec![f32::NAN; rows * width];
                softmax_rows(&ctx, [rows, width], scale, mask, &x, &mut y);
                let scores: Vec<f64> = (0..rows * width)
                    .map(|i| f64::from(scale) * f64::from(x[i]) + mask.map_or(0.0, |m| f64::from(m[i % len])))
                    .collect();
                let want: Vec<f64> = scores.chunks(width.max(1)).flat_map(softmax).collect();
                let error = relative_error(&y, &want);
                assert!(error < 4e-6, "{rows} x {width}, scale {scale} on {}: {error}", ctx.isa());
            }
        }
        let mut y = [f32::NAN; 3];
        softmax_rows(&ctx, [1, 3], 1.0, None, &[3e38, -3e38, 0.0], &mut y);
        assert_eq!(y, [1.0, 0.0, 0.0]);
        softmax_rows(&ctx, [1, 3], 1.0, None, &[1.0, f32::NAN, 0.0], &mut y);
        assert!(y.iter().all(|v| v.is_nan()), "a NaN shows");
    }
}

/// Heads between each other, with and without masks, and a head that shares keys.
fn check_attention(
    ctx: &Context,
    noise: &mut Noise,
    queries: usize,
    keys: usize,
    dim: usize,
    value_dim: usize,
) {
    let heads = 3;
    let strides = [heads * dim, 2 * dim, 2 * value_dim, heads * value_dim];
    let (q, k) = (noise.vector(queries * strides[0]), noise.vector(keys * strides[1]));
    let v = noise.vector(keys * strides[2]);
    let mask = noise.vector(queries * keys);
    let starts: Vec<AttentionStart> = (0..heads)
        .map(|h| AttentionStart {
            q: h * dim,
            k: h / 2 * dim,
            v: h / 2 * value_dim,
            y: h * value_dim,
            mask: 0,
        })
        .collect();
    for (mask, mask_stride, causal) in
        [(None, 0, None), (Some(&mask), keys, None), (Some(&mask), 0, None), (None, 0, Some(2))]
    {
        let shape = Attention { queries, keys, dim, value_dim, strides, mask_stride, scale: 0.7, causal };
        let plan = AttentionPlan::new(ctx, shape, &starts).unwrap();
        let (mut y, mut scratch) = (vec![f32::NAN; queries * strides[3]], vec![f32::NAN; plan.scratch_len()]);
        plan.run(ctx, [&q, &k, &v], mask.map(|m| &m[..]), &mut y, &mut scratch);
        let mut want = vec![0.0; y.len()];
        for start in &starts {
            for i in 0..queries {
                let seen = causal.map_or(keys, |past| keys.min(i + past + 1));
                let score = |j: usize| {
                    let dot = |c: usize| {
                        f64::from(q[start.q + i * strides[0] + c])
                            * f64::from(k[start.k + j * strides[1] + c])
                    };
                    0.7f32 as f64 * (0..dim).map(dot).sum::<f64>()
                        + mask.map_or(0.0, |m| f64::from(m[i * mask_stride + j]))
                };
                let weights = softmax(&(0..seen).map(score).collect::<Vec<_>>());
                for c in 0..value_dim {
                    let value = |(j, w): (usize, &f64)| w * f64::from(v[start.v + j * strides[2] + c]);
                    want[start.y + i * strides[3] + c] = weights.iter().enumerate().map(value).sum();
                }
            }
        }
        let error = relative_error(&y, &want);
        assert!(error < 4e-6, "{shape:?} on {}: {error}", ctx.isa());
    }
}

#[test]
fn attention() {
    for ctx in isa_and_thread_contexts() {
        let mut noise = Noise::new(212);
        for (queries, keys, dim, value_dim) in
            [(1, 1, 1, 1), (7, 5, 3, 4), (49, 33, 16, 17), (13, 320, 20, 16), (50, 50, 64, 64), (1, 90, 8, 8)]
        {
            check_attention(&ctx, &mut noise, queries, keys, dim, value_dim);
        }
    }
}

#[test]
fn attention_without_keys_is_zero_and_nonsense_is_refused() {
    let ctx = Context::new(1).unwrap();
    let shape = Attention {
        queries: 2,
        keys: 0,
        dim: 3,
        value_dim: 4,
        strides: [3, 3, 4, 4],
        mask_stride: 0,
        scale: 1.0,
        causal: None,
    };
    let one = [AttentionStart::default()];
    let plan = AttentionPlan::new(&ctx, shape, &one).unwrap();
    let (mut y, mut scratch) = ([f32::NAN; 8], vec![f32::NAN; plan.scratch_len()]);
    plan.run(&ctx, [&[1.0; 6], &[], &[]], Some(&[]), &mut y, &mut scratch);
    assert_eq!(y, [0.0; 8]);
    let refused = |shape: Attention, starts: &[AttentionStart]| {
        AttentionPlan::new(&ctx, shape, starts).unwrap_err().to_string()
    };
    assert!(refused(Attention { strides: [3, 2, 4, 4], ..shape }, &one).contains("stride of k"));
    assert!(refused(Attention { keys: usize::MAX, ..shape }, &one).contains("at most"));
    assert!(refused(shape, &[one[0], one[0]]).contains("overlap"));
}

/// Small enough for Miri.
#[test]
fn portable_transformers() {
    let ctx = Context::with_isa(2, Isa::Portable).unwrap();
    let mut noise = Noise::new(213);
    check_attention(&ctx, &mut noise, 7, 5, 3, 4);
    let x = noise.vector(3 * 19);
    let mut y = vec![f32::NAN; x.len()];
    norm_rows(&ctx, RowNorm::Layer, [3, 19], 1e-5, &x, None, None, &mut y);
    softmax_rows(&ctx, [3, 19], 1.0, None, &x, &mut y);
    apply(&ctx, Function::Gelu, &x, &mut y);
    assert!(y.iter().all(|v| v.is_finite()));
}
