//! Convolutions of odd sizes with every way to finish.

use super::{bytes, contexts, harsh_bytes, quant};
use crate::int8::{
    IntAlgorithm, IntBias, IntConv, IntConvPlan, IntFinish, IntResidual, IntTarget, IntThen, Quant,
    int_channel_stride,
};
use crate::{Activation, Conv2d, KernelError, channel_stride};

/// A convolution with its data.
pub(super) struct Problem {
    conv: Conv2d,
    x: Quant,
    pub(super) images: Vec<u8>,
    pub(super) weights: Vec<i8>,
    scales: Vec<f32>,
    pub(super) steps: Vec<i32>,
    real: Vec<f32>,
}

pub(super) fn problem(conv: Conv2d, seed: u64) -> Problem {
    let n = conv.c_out * (conv.c_in / conv.groups) * conv.taps();
    let small = |seed: u64, n: usize| bytes(seed, n).into_iter().map(|b| f32::from(b) - 128.0);
    Problem {
        conv,
        x: quant(0.02, 119),
        images: harsh_bytes(seed, conv.batch * conv.height * conv.width * conv.x_stride),
        weights: harsh_bytes(seed + 1, n).into_iter().map(|b| (b ^ 0x80) as i8).collect(),
        scales: bytes(seed + 2, conv.c_out).iter().map(|&b| 1e-4 * (1.0 + f32::from(b))).collect(),
        steps: small(seed + 3, conv.c_out).map(|b| (b * 100.0) as i32).collect(),
        real: small(seed + 4, conv.c_out).map(|b| b * 0.01).collect(),
    }
}

/// The exact sum of products for output channel `o` at a pixel of image `n`.
fn accumulate(p: &Problem, n: usize, o: usize, oy: usize, ox: usize) -> i64 {
    let c = &p.conv;
    let per_group = c.c_in / c.groups;
    let mut sum = 0;
    for i in 0..per_group {
        for ky in 0..c.kernel[0] {
            for kx in 0..c.kernel[1] {
                let y = (oy * c.stride[0] + ky * c.dilation[0]).wrapping_sub(c.padding[0]);
                let x = (ox * c.stride[1] + kx * c.dilation[1]).wrapping_sub(c.padding[1]);
                if y < c.height && x < c.width {
                    let channel = o / (c.c_out / c.groups) * per_group + i;
                    let q = p.images[((n * c.height + y) * c.width + x) * c.x_stride + channel];
                    let w = p.weights[((o * per_group + i) * c.kernel[0] + ky) * c.kernel[1] + kx];
                    sum += (i64::from(q) - i64::from(p.x.zero_point)) * i64::from(w);
                }
            }
        }
    }
    sum
}

fn level(t: f32, q: Quant, low: u8, high: u8) -> u8 {
    (t.round_ties_even() + f32::from(q.zero_point)).clamp(f32::from(low), f32::from(high)) as u8
}

/// The expected byte or float for one accumulator.
fn expected(p: &Problem, finish: IntFinish, bias: IntBias, o: usize, sum: i64, addend: u8) -> f32 {
    let scale = p.x.scale * p.scales[o];
    let steps = if matches!(bias, IntBias::Steps(_)) { i64::from(p.steps[o]) } else { 0 };
    let real = if matches!(bias, IntBias::Real(_)) { p.real[o] } else { 0.0 };
    let acc = (sum + steps) as f32;
    match finish {
        IntFinish::F32 { activation } => activation.apply(acc * scale + real),
        IntFinish::U8 { y, activation: Activation::Identity, low, high, then } => {
            let q = level(acc * (scale / y.scale) + real / y.scale, y, low, high);
            let r = match then {
                None => return f32::from(q),
                Some(IntThen::Apply { activation, y: end }) => {
                    return f32::from(level(activation.apply(y.dequantize(q)) / end.scale, end, 0, 255));
                }
                Some(IntThen::Add(r)) => r,
            };
            let operands = [(q, y), (addend, r.addend)];
            let [(a, a_quant), (b, b_quant)] =
                if r.own_first { operands } else { [operands[1], operands[0]] };
            f32::from(super::sum((a, a_quant), (b, b_quant), r.sum, [r.low, r.high]))
        }
        IntFinish::U8 { y, activation, low, high, .. } => {
            f32::from(level(activation.apply(acc * scale + real) / y.scale, y, low, high))
        }
    }
}

/// The default plan and one with each algorithm.
fn plans(ctx: &crate::Context, int: &IntConv) -> Vec<IntConvPlan> {
    let forced = [IntAlgorithm::Direct, IntAlgorithm::Winograd];
    let plans = forced.map(|algorithm| IntConvPlan::with_algorithm(ctx, int, algorithm));
    let mut plans: Vec<_> = plans.into_iter().filter_map(Result::ok).collect();
    plans.push(IntConvPlan::new(ctx, int).unwrap());
    plans
}

/// Runs the problem on every path; `tolerance` is 0 except where a float function differs in its last bit.
pub(super) fn check(p: &Problem, finish: IntFinish, bias: IntBias, tolerance: f32) {
    let conv = p.conv;
    let (oh, ow, stride) = (conv.out_height(), conv.out_width(), conv.y_stride());
    let len = conv.batch * oh * ow * stride;
    let addend = bytes(77, len);
    let has_residual = matches!(finish, IntFinish::U8 { then: Some(IntThen::Add(_)), .. });
    let mut want = vec![0.0; len];
    for n in 0..conv.batch {
        for (oy, ox) in (0..oh).flat_map(|y| (0..ow).map(move |x| (y, x))) {
            for o in 0..conv.c_out {
                let at = ((n * oh + oy) * ow + ox) * stride + o;
                want[at] = expected(p, finish, bias, o, accumulate(p, n, o, oy, ox), addend[at]);
            }
        }
    }
    for ctx in contexts() {
        let int = IntConv { conv, x: p.x, weights: &p.weights, weight_scales: &p.scales, bias, finish };
        for (plan, n) in plans(&ctx, &int).iter().flat_map(|plan| [conv.batch, 1].map(|n| (plan, n))) {
            let mut scratch = vec![f32::NAN; plan.scratch_len(ctx.threads())];
            let len = len / conv.batch * n;
            let residual = has_residual.then_some(&addend[..]);
            let got: Vec<f32> = if let IntFinish::F32 { .. } = finish {
                let mut y = vec![f32::NAN; len];
                plan.forward(&ctx, n, &p.images, residual, IntTarget::F32(&mut y), &mut scratch);
                y
            } else {
                let mut y = vec![0xaa; len];
                plan.forward(&ctx, n, &p.images, residual, IntTarget::U8(&mut y), &mut scratch);
                y.into_iter().map(f32::from).collect()
            };
            for (at, (&got, &want)) in got.iter().zip(&want).enumerate() {
                if at % stride < conv.c_out {
                    let d = (got - want).abs();
                    assert!(
                        d <= tolerance * want.abs(),
                        "{} {finish:?} {} n {n} threads {} at {at}: {got}, expected {want}",
                        conv.label(),
                        plan.algorithm(),
                        ctx.threads()
                    );
                } else if matches!(finish, IntFinish::F32 { .. }) {
                    assert_eq!(got, 0.0, "padded lane {at} of {}", conv.label());
                }
            }
        }
    }
}

pub(super) fn plain() -> IntFinish {
    IntFinish::U8 { y: quant(1.7, 100), activation: Activation::Identity, low: 0, high: 255, then: None }
}

pub(super) fn conv(
    channels: [usize; 2],
    size: [usize; 2],
    kernel: usize,
    stride: usize,
    padding: usize,
) -> Conv2d {
    Conv2d::square(2, size, channels, kernel, stride, padding)
}

#[test]
fn dense_convolutions_are_exact() {
    let odd = Conv2d {
        kernel: [2, 5],
        stride: [3, 2],
        padding: [1, 4, 0, 2],
        dilation: [2, 1],
        ..conv([19, 33], [11, 9], 3, 1, 0)
    };
    let image = |c| Conv2d { x_stride: int_channel_stride(c, true), ..conv([c, 16], [9, 10], 3, 1, 1) };
    let problems = [
        conv([16, 16], [28, 28], 3, 1, 1),
        conv([16, 32], [14, 15], 3, 2, 1),
        conv([32, 48], [7, 7], 3, 1, 1),
        conv([5, 80], [13, 6], 3, 1, 2),
        // Several chunks of tiles, an odd number of blocks.
        conv([48, 48], [26, 22], 3, 1, 1),
        conv([40, 100], [5, 9], 1, 1, 0),
        conv([48, 16], [8, 8], 1, 2, 0),
        conv([64, 130], [3, 5], 5, 1, 2),
        conv([17, 70], [1, 1], 1, 1, 0),
        // Fully connected: the kernel covers the map.
        Conv2d { kernel: [4, 3], ..conv([20, 11], [4, 3], 1, 1, 0) },
        odd,
        image(1),
        image(3),
    ];
    for (i, conv) in problems.into_iter().enumerate() {
        let p = problem(conv, i as u64);
        check(&p, plain(), IntBias::Steps(&p.steps), 0.0);
    }
}

#[test]
fn weights_of_seven_bits_are_exact_as_bytes() {
    let image = Conv2d { x_stride: 4, ..conv([3, 16], [9, 10], 3, 1, 1) };
    for (i, conv) in
        [image, conv([33, 20], [7, 6], 3, 2, 1), conv([64, 48], [5, 5], 1, 1, 0)].into_iter().enumerate()
    {
        let mut p = problem(conv, 200 + i as u64);
        for w in &mut p.weights {
            *w = (*w).clamp(-64, 64);
        }
        // All activations and weights at the edge: the largest sums of two products.
        p.images.iter_mut().step_by(3).for_each(|x| *x = 255);
        check(&p, plain(), IntBias::Steps(&p.steps), 0.0);
        for weight in [64, -64] {
            p.weights.fill(weight);
            check(&p, IntFinish::F32 { activation: Activation::Identity }, IntBias::None, 1e-6);
        }
        let int = IntConv {
            conv,
            x: p.x,
            weights: &p.weights,
            weight_scales: &p.scales,
            bias: IntBias::None,
            finish: plain(),
        };
        if let Ok(ctx) = crate::Context::with_isa(1, crate::Isa::Avx2) {
            let algorithm = |int: &IntConv| {
                IntConvPlan::with_algorithm(&ctx, int, IntAlgorithm::Direct).unwrap().algorithm()
            };
            assert_eq!(algorithm(&int), "int8 direct avx2-bytes");
            let full = vec![127; p.weights.len()];
            assert_eq!(algorithm(&IntConv { weights: &full, ..int }), "int8 direct avx2");
        }
    }
}

#[test]
fn grouped_convolutions_are_exact() {
    for (i, (conv, groups)) in [
        (conv([48, 48], [9, 11], 3, 1, 1), 48),
        (conv([21, 21], [10, 7], 3, 2, 1), 21),
        (conv([16, 16], [12, 13], 5, 2, 2), 16),
        (conv([20, 20], [6, 33], 7, 1, 3), 20),
        // Several tiles of a row, of different widths; paddings that hide whole windows.
        (conv([33, 33], [7, 41], 5, 1, 2), 33),
        (conv([16, 16], [9, 70], 3, 2, 1), 16),
        (conv([16, 16], [1, 1], 5, 2, 4), 16),
        (Conv2d { padding: [3, 0, 0, 5], ..conv([16, 16], [5, 4], 3, 1, 1) }, 16),
        (Conv2d { dilation: [2, 3], ..conv([16, 16], [12, 13], 3, 1, 2) }, 16),
        (conv([12, 24], [5, 6], 3, 1, 1), 12),
        (conv([12, 18], [5, 6], 3, 2, 1), 6),
    ]
    .into_iter()
    .enumerate()
    {
        let p = problem(Conv2d { groups, ..conv }, 50 + i as u64);
        check(&p, plain(), IntBias::Steps(&p.steps), 0.0);
    }
}

#[test]
fn every_finish_is_exact() {
    for (i, conv) in
        [conv([24, 20], [6, 7], 3, 1, 1), Conv2d { groups: 20, ..conv([20, 20], [6, 7], 3, 1, 1) }]
            .into_iter()
            .enumerate()
    {
        let p = problem(conv, 90 + i as u64);
        let y = quant(1.3, 90);
        let (steps, real) = (IntBias::Steps(&p.steps), IntBias::Real(&p.real));
        let u8 = |activation, low, high, then| IntFinish::U8 { y, activation, low, high, then };
        let sum =
            IntResidual { addend: quant(0.7, 33), sum: quant(2.1, 60), low: 60, high: 250, own_first: true };
        let swapped = IntResidual { own_first: false, ..sum };
        check(&p, u8(Activation::Identity, 90, 200, None), IntBias::None, 0.0);
        check(&p, u8(Activation::Identity, 0, 255, None), real, 0.0);
        check(&p, u8(Activation::Identity, 0, 255, Some(IntThen::Add(sum))), steps, 0.0);
        check(&p, u8(Activation::Identity, 10, 220, Some(IntThen::Add(swapped))), steps, 0.0);
        for activation in [Activation::HardSwish, Activation::Sigmoid] {
            let then = IntThen::Apply { activation, y: quant(0.9, 20) };
            check(&p, u8(Activation::Identity, 0, 255, Some(then)), steps, 0.0);
        }
        check(&p, u8(Activation::HardSwish, 0, 255, None), steps, 0.0);
        check(&p, u8(Activation::Sigmoid, 0, 255, None), steps, 0.0);
        check(&p, u8(Activation::HardSigmoid { alpha: 0.2, beta: 0.5 }, 3, 255, None), steps, 0.0);
        check(&p, IntFinish::F32 { activation: Activation::Relu }, steps, 1e-6);
        check(&p, IntFinish::F32 { activation: Activation::Identity }, real, 1e-5);
    }
}

#[test]
fn a_long_sum_of_extremes_does_not_saturate() {
    let conv = Conv2d::square(1, [1, 1], [2048, 16], 1, 1, 0);
    let mut p = problem(conv, 1);
    p.x.zero_point = 0;
    p.images.fill(255);
    for sign in [127, -128] {
        p.weights.fill(sign);
        check(&p, IntFinish::F32 { activation: Activation::Identity }, IntBias::None, 1e-6);
    }
}

#[test]
fn winograd_is_used_only_where_it_is_exact() {
    let ctx = crate::Context::new(1).unwrap();
    let plan = |conv: Conv2d, weight: i8| {
        let n = conv.c_out * conv.c_in * conv.taps();
        let int = IntConv {
            conv,
            x: quant(1.0, 0),
            weights: &vec![weight; n],
            weight_scales: &[1.0],
            bias: IntBias::None,
            finish: plain(),
        };
        IntConvPlan::with_algorithm(&ctx, &int, IntAlgorithm::Winograd)
    };
    let size = [8, 8];
    assert!(plan(conv([112, 16], size, 3, 1, 1), 127).is_ok());
    // 9 * 128 * 127 * 255 does not fit 25 bits, 9 * 128 * 64 * 255 does.
    assert!(matches!(plan(conv([128, 16], size, 3, 1, 1), 127), Err(KernelError::Algorithm { .. })));
    assert!(plan(conv([128, 16], size, 3, 1, 1), -64).is_ok());
    assert!(plan(conv([16, 16], size, 3, 2, 1), 1).is_err());
    assert!(plan(conv([16, 16], size, 5, 1, 1), 1).is_err());
    // The largest sum that is allowed comes out exactly.
    let mut p = problem(conv([112, 16], size, 3, 1, 1), 1);
    (p.x.zero_point, p.scales) = (0, vec![1.0; 16]);
    p.images.fill(255);
    for weight in [127, -128] {
        p.weights.fill(weight);
        check(&p, IntFinish::F32 { activation: Activation::Identity }, IntBias::None, 1e-7);
    }
}

#[test]
fn a_changed_weight_changes_the_result() {
    let conv = conv([16, 16], [6, 6], 3, 1, 1);
    let p = problem(conv, 3);
    let run = |weights: &[i8], ctx: &crate::Context| {
        let int = IntConv {
            conv,
            x: p.x,
            weights,
            weight_scales: &p.scales,
            bias: IntBias::None,
            finish: IntFinish::F32 { activation: Activation::Identity },
        };
        let plan = IntConvPlan::new(ctx, &int).unwrap();
        let mut y = vec![0.0; conv.y_len()];
        let mut scratch = vec![0.0; plan.scratch_len(ctx.threads())];
        plan.forward(ctx, 2, &p.images, None, IntTarget::F32(&mut y), &mut scratch);
        y
    };
    for ctx in contexts() {
        let mut other = p.weights.clone();
        other[16 * 9 * 5] ^= 1;
        let (before, after) = (run(&p.weights, &ctx), run(&other, &ctx));
        // Only output channel 5 sees the weight.
        let lanes: Vec<usize> =
            (0..before.len()).filter(|&i| before[i] != after[i]).map(|i| i % 16).collect();
        assert!(lanes.len() > 40 && lanes.iter().all(|&l| l == 5), "{lanes:?}");
    }
}

#[test]
fn inconsistent_problems_are_refused() {
    let ctx = crate::Context::new(1).unwrap();
    let conv = conv([16, 16], [6, 6], 3, 1, 1);
    let p = problem(conv, 4);
    let good = IntConv {
        conv,
        x: p.x,
        weights: &p.weights,
        weight_scales: &p.scales,
        bias: IntBias::None,
        finish: plain(),
    };
    assert!(IntConvPlan::new(&ctx, &good).is_ok());
    let bad = [
        IntConv { weights: &p.weights[1..], ..good },
        IntConv { weight_scales: &p.scales[..3], ..good },
        IntConv { weight_scales: &[0.0], ..good },
        IntConv { bias: IntBias::Steps(&[1]), ..good },
        IntConv { bias: IntBias::Real(&[1.0]), ..good },
        IntConv { x: quant(f32::NAN, 0), ..good },
        IntConv { conv: Conv2d { x_stride: 18, ..conv }, ..good },
        IntConv { finish: IntFinish::F32 { activation: Activation::Sigmoid }, ..good },
    ];
    for int in bad {
        assert!(matches!(IntConvPlan::new(&ctx, &int), Err(KernelError::Geometry { .. })), "{int:?}");
    }
    assert_eq!((int_channel_stride(3, true), int_channel_stride(3, false)), (4, channel_stride(3)));
}
