//! Matrix products against f64 loops: sizes about the edges of tiles and parts, all transpositions, every epilogue.

use oculist_kernels::{
    Activation, Added, Context, Function, Isa, Matmul, MatmulEpilogue, MatmulPlan, MatmulStart, PackedMatrix,
    Right,
};
use oculist_testing::reference::{Noise, relative_error, widen};

use crate::isa_and_thread_contexts;

/// The sums of one product, row by row without gaps.
fn naive(shape: &Matmul, a: &[f32], b: &[f32]) -> Vec<f64> {
    let Matmul { m, n, k, a_stride, b_stride, .. } = *shape;
    let (a, b) = (widen(a), widen(b));
    let left =
        |i: usize, p: usize| if shape.a_transposed { a[p * a_stride + i] } else { a[i * a_stride + p] };
    let right =
        |p: usize, j: usize| if shape.b_transposed { b[j * b_stride + p] } else { b[p * b_stride + j] };
    let sum = |i: usize, j: usize| (0..k).map(|p| left(i, p) * right(p, j)).sum::<f64>();
    (0..m * n).map(|at| sum(at / n, at % n)).collect()
}

/// What lies in the rows of `C`, after a look at what lies between them, which must be as it was.
fn dense(shape: &Matmul, c: &[f32], before: &[f32]) -> Vec<f32> {
    let mut rows = Vec::new();
    for (at, (now, before)) in c.iter().zip(before).enumerate() {
        if at / shape.c_stride < shape.m && at % shape.c_stride < shape.n {
            rows.push(*now);
        } else {
            assert_eq!(now.to_bits(), before.to_bits(), "element {at} is not part of the result");
        }
    }
    rows
}

/// The largest difference, relative to the largest sum, which counts as 1 at least: sums of few terms may cancel.
fn error_of(got: &[f32], want: &[f64], sums: &[f64]) -> f64 {
    let scale = |values: &[f64]| values.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
    relative_error(got, want) * scale(want) / scale(sums).max(1.0)
}

fn with_gaps(shape: Matmul, gap: usize) -> Matmul {
    Matmul {
        a_stride: shape.a_stride + gap,
        b_stride: shape.b_stride + 2 * gap,
        c_stride: shape.c_stride + gap,
        ..shape
    }
}

fn run(
    ctx: &Context,
    shape: Matmul,
    a: &[f32],
    b: &[f32],
    packed: bool,
    epilogue: &MatmulEpilogue,
    c: &mut [f32],
) {
    let plan = MatmulPlan::new(ctx, shape).unwrap();
    let mut scratch = vec![f32::NAN; plan.scratch_len()];
    if packed {
        let packed = PackedMatrix::new(ctx, &shape, b).unwrap();
        plan.run(ctx, a, Right::Packed(&packed), epilogue, c, &mut scratch);
    } else {
        plan.run(ctx, a, Right::Plain(b), epilogue, c, &mut scratch);
    }
}

fn check(ctx: &Context, noise: &mut Noise, m: usize, n: usize, k: usize) {
    for (ta, tb, gap) in [(false, false, 0), (false, true, 3), (true, false, 1), (true, true, 0)] {
        let shape = with_gaps(Matmul::new(m, n, k).transposed(ta, tb), gap);
        let (a, b) = (noise.vector(shape.a_len()), noise.vector(shape.b_len()));
        let before = noise.vector(shape.c_len());
        let want = naive(&shape, &a, &b);
        for packed in [false, true] {
            let mut c = before.clone();
            run(ctx, shape, &a, &b, packed, &MatmulEpilogue::default(), &mut c);
            let error = error_of(&dense(&shape, &c, &before), &want, &want);
            let bound = if k == 0 { 0.0 } else { 3e-6 };
            assert!(error <= bound, "{shape:?}, packed: {packed}, on {}: {error}", ctx.isa());
        }
    }
}

/// What a function is to give, in 64-bit floats.
type Formula = fn(f64) -> f64;

#[test]
fn sizes_about_the_edges_of_tiles() {
    for ctx in isa_and_thread_contexts() {
        let mut noise = Noise::new(200);
        for m in [1, 2, 3, 5, 6, 7, 13, 15, 29] {
            for n in [1, 15, 16, 17, 33, 50, 64, 70] {
                for k in [0, 1, 7, 16, 35] {
                    check(&ctx, &mut noise, m, n, k);
                }
            }
        }
    }
}

#[test]
fn sizes_about_the_edges_of_parts() {
    for ctx in isa_and_thread_contexts() {
        if ctx.isa() == Isa::Portable && ctx.threads() == 1 {
            continue;
        }
        let mut noise = Noise::new(201);
        for (m, n, k) in
            [(197, 197, 64), (6, 600, 289), (40, 17, 577), (1, 1100, 40), (520, 20, 300), (9, 133, 512)]
        {
            check(&ctx, &mut noise, m, n, k);
        }
    }
}

#[test]
fn empty_products() {
    for ctx in isa_and_thread_contexts() {
        for (m, n, k) in [(0, 3, 4), (3, 0, 4), (0, 0, 0)] {
            for (ta, tb) in [(false, false), (true, true)] {
                let shape = Matmul::new(m, n, k).transposed(ta, tb);
                let (a, b) = (vec![1.0; shape.a_len()], vec![1.0; shape.b_len()]);
                run(&ctx, shape, &a, &b, false, &MatmulEpilogue::default(), &mut []);
                run(&ctx, shape, &a, &b, true, &MatmulEpilogue::default(), &mut []);
            }
        }
    }
}

#[test]
fn epilogues() {
    for ctx in isa_and_thread_contexts() {
        let mut noise = Noise::new(202);
        for (m, n, k) in [(1, 70, 20), (5, 33, 0), (20, 50, 300), (13, 16, 9)] {
            let shape = with_gaps(Matmul::new(m, n, k), 2);
            let (a, b) = (noise.vector(shape.a_len()), noise.vector(shape.b_len()));
            let (before, other) = (noise.vector(shape.c_len()), noise.vector(shape.c_len()));
            let bias = noise.vector(n);
            let sums = naive(&shape, &a, &b);
            let functions: [(Function, Formula); 5] = [
                (Function::default(), |z| z),
                (Function::Activation(Activation::Relu), |z| z.max(0.0)),
                (Function::Activation(Activation::Clip { min: -0.25, max: 0.5 }), |z| z.clamp(-0.25, 0.5)),
                (Function::Activation(Activation::HardSwish), |z| z * (z / 6.0 + 0.5).clamp(0.0, 1.0)),
                (Function::Silu, |z| z / (1.0 + (-z).exp())),
            ];
            for (case, (function, f)) in functions.into_iter().enumerate() {
                for added in [Added::Nothing, Added::Output, Added::Slice(&other)] {
                    let alpha = if case % 2 == 0 { 1.0 } else { -0.375 };
                    let with_bias = case != 2;
                    let epilogue =
                        MatmulEpilogue { alpha, bias: with_bias.then_some(&bias), added, function };
                    let want: Vec<f64> = (0..m * n)
                        .map(|at| {
                            let place = at / n * shape.c_stride + at % n;
                            let added = match added {
                                Added::Nothing => 0.0,
                                Added::Output => f64::from(before[place]),
                                Added::Slice(other) => f64::from(other[place]),
                            };
                            let bias = if with_bias { f64::from(bias[at % n]) } else { 0.0 };
                            f(f64::from(alpha) * sums[at] + bias + added)
                        })
                        .collect();
                    for packed in [false, true] {
                        let mut c = before.clone();
                        run(&ctx, shape, &a, &b, packed, &epilogue, &mut c);
                        let error = error_of(&dense(&shape, &c, &before), &want, &sums);
                        assert!(error < 3e-6, "{shape:?}, {epilogue:?} on {}: {error}", ctx.isa());
                    }
                }
            }
        }
    }
}

/// Heads of `[T, heads * dim]` tensors, a shared right side, and rows that follow on each other.
#[test]
fn batches() {
    for ctx in isa_and_thread_contexts() {
        let mut noise = Noise::new(203);
        let (heads, t, dim) = (3, 21, 10);
        let scores = Matmul { a_stride: 30, b_stride: 30, ..Matmul::new(t, t, dim).transposed(false, true) };
        let values = Matmul { b_stride: 30, c_stride: 30, ..Matmul::new(t, dim, t) };
        let at = |h| MatmulStart { a: h * dim, b: h * dim, c: h * t * t };
        let back = |h| MatmulStart { a: h * t * t, b: h * dim, c: h * dim };
        let rows = |h| MatmulStart { a: h * t * dim, b: 5, c: h * t * dim };
        let shared = Matmul::new(t, dim, dim);
        let cases: [(Matmul, Vec<MatmulStart>); 3] = [
            (scores, (0..heads).map(at).collect()),
            (values, (0..heads).map(back).collect()),
            (shared, (0..heads).map(rows).collect()),
        ];
        for (shape, starts) in cases {
            let (a, b) = (noise.vector(heads * t * t.max(dim)), noise.vector(heads * t * dim + 5));
            let mut c = vec![f32::NAN; starts[heads - 1].c + shape.c_len()];
            let plan = MatmulPlan::batched(&ctx, shape, &starts).unwrap();
            let mut scratch = vec![f32::NAN; plan.scratch_len()];
            plan.run(&ctx, &a, Right::Plain(&b), &MatmulEpilogue::default(), &mut c, &mut scratch);
            for start in &starts {
                let want = naive(&shape, &a[start.a..], &b[start.b..]);
                let got: Vec<f32> = (0..shape.m * shape.n)
                    .map(|i| c[start.c + i / shape.n * shape.c_stride + i % shape.n])
                    .collect();
                let error = relative_error(&got, &want);
                assert!(error < 2e-6, "{shape:?} at {start:?} on {}: {error}", ctx.isa());
            }
        }
    }
}

/// The oracle would see one wrong term, one shifted column and one element left out.
#[test]
fn the_comparison_rejects_wrong_results() {
    let shape = Matmul::new(7, 19, 12);
    let mut noise = Noise::new(204);
    let (a, mut b) = (noise.vector(shape.a_len()), noise.vector(shape.b_len()));
    let want = naive(&shape, &a, &b);
    let ctx = Context::new(1).unwrap();
    let mut c = vec![f32::NAN; shape.c_len()];
    run(&ctx, shape, &a, &b, false, &MatmulEpilogue::default(), &mut c);
    assert!(relative_error(&c, &want) < 1e-6);
    let right = c.clone();
    c[130] = f32::NAN;
    assert!(relative_error(&c, &want) > 1e-3);
    c.clone_from(&right);
    c.rotate_left(1);
    assert!(relative_error(&c, &want) > 1e-3);
    b[100] += 0.01;
    run(&ctx, shape, &a, &b, false, &MatmulEpilogue::default(), &mut c);
    assert!(relative_error(&c, &want) > 1e-3);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let ctx = Context::new(1).unwrap();
    let shape = Matmul::new(4, 6, 5);
    let refused = |shape: Matmul, starts: &[MatmulStart]| {
        MatmulPlan::batched(&ctx, shape, starts).unwrap_err().to_string()
    };
    let one = [MatmulStart::default()];
    let text = refused(Matmul { b_stride: 5, ..shape }, &one);
    assert!(text.contains("stride of B") && text.contains('6') && text.contains('5'), "{text}");
    for shape in [
        Matmul::new(usize::MAX, 6, 5),
        Matmul::new(4, usize::MAX, 5),
        Matmul::new(4, 6, usize::MAX),
        Matmul { a_stride: usize::MAX, ..shape },
        Matmul::new(1 << 40, 1 << 40, 0),
    ] {
        assert!(refused(shape, &one).contains("expected at most"), "{shape:?}");
    }
    let text = refused(shape, &[MatmulStart { c: usize::MAX, ..one[0] }]);
    assert!(text.contains("elements of C"), "{text}");
    for c in [0, 5, 6 * 3, 1] {
        let text = refused(shape, &[one[0], MatmulStart { c, ..one[0] }]);
        assert!(text.contains("overlap") || text.contains("crosses"), "{text}");
    }
    assert!(MatmulPlan::batched(&ctx, shape, &[one[0], MatmulStart { c: 24, ..one[0] }]).is_ok());
    let wide = Matmul { c_stride: 12, ..shape };
    assert!(MatmulPlan::batched(&ctx, wide, &[one[0], MatmulStart { c: 6, ..one[0] }]).is_ok());
}

/// Small enough for Miri.
#[test]
fn portable_products() {
    let ctx = Context::with_isa(2, Isa::Portable).unwrap();
    let mut noise = Noise::new(205);
    for (m, n, k) in [(1, 18, 3), (3, 35, 17), (7, 16, 2)] {
        check(&ctx, &mut noise, m, n, k);
    }
}
