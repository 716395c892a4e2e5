//! Transposed convolution: generated geometries with every algorithm of every pass.

use oculist_kernels::{
    Algorithm, Algorithms, Context, ConvPlan, Isa, KernelError, Pass, TransposedConv2d, TransposedConvPlan,
    channel_stride,
};
use oculist_testing::reference::norm::finite_differences;
use oculist_testing::reference::transposed::Transposed;
use oculist_testing::reference::{Noise, relative_error, widen};

use crate::{isa_and_thread_contexts, to_nchw, to_nhwc};

fn reference(conv: &TransposedConv2d) -> Transposed {
    Transposed {
        batch: conv.batch,
        c_in: conv.c_in,
        size: [conv.height, conv.width],
        c_out: conv.c_out,
        kernel: conv.kernel,
        stride: conv.stride,
        padding: conv.padding,
        output_padding: conv.output_padding,
        dilation: conv.dilation,
        groups: conv.groups,
    }
}

/// A transposed convolution with its inputs in PyTorch's order.
pub(crate) struct Problem {
    pub(crate) conv: TransposedConv2d,
    pub(crate) x: Vec<f32>,
    pub(crate) w: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    pub(crate) dy: Vec<f32>,
}

impl Problem {
    fn new(conv: TransposedConv2d, noise: &mut Noise) -> Self {
        let naive = reference(&conv);
        let mut values = |n| noise.vector(n);
        Self {
            conv,
            x: values(naive.x_len()),
            w: values(naive.w_len()),
            bias: values(conv.c_out),
            dy: values(naive.y_len()),
        }
    }

    /// `y` with bias, `y` without, `dx`, `dw`, `dbias`.
    fn want(&self) -> [Vec<f64>; 5] {
        let naive = reference(&self.conv);
        let (x, w, bias, dy) = (widen(&self.x), widen(&self.w), widen(&self.bias), widen(&self.dy));
        [
            naive.forward(&x, &w, &bias),
            naive.forward(&x, &w, &vec![0.0; bias.len()]),
            naive.backward_data(&dy, &w),
            naive.backward_weights(&x, &dy),
            naive.backward_bias(&dy),
        ]
    }

    /// The kernels' results in the order of `want`, after a look at the padded lanes.
    pub(crate) fn run(&self, ctx: &Context, plan: &TransposedConvPlan) -> [Vec<f32>; 5] {
        let conv = &self.conv;
        let x = to_nhwc(ctx, conv.batch, conv.c_in, &self.x);
        let dy = to_nhwc(ctx, conv.batch, conv.c_out, &self.dy);
        let w = conv.pack_weights(&self.w).unwrap();
        assert_eq!((x.len(), dy.len(), w.len()), (conv.x_len(), conv.y_len(), plan.weights_len()));
        let mut bias = self.bias.clone();
        bias.resize(channel_stride(conv.c_out), 0.0);
        let mut scratch = vec![f32::NAN; plan.scratch_len()];
        let (mut y, mut plain) = (vec![f32::NAN; conv.y_len()], vec![f32::NAN; conv.y_len()]);
        plan.forward(ctx, &x, &w, Some(&bias), &mut y, &mut scratch);
        scratch.fill(f32::NAN);
        plan.forward(ctx, &x, &w, None, &mut plain, &mut scratch);
        scratch.fill(f32::NAN);
        let mut dx = vec![f32::NAN; conv.x_len()];
        plan.backward_data(ctx, &dy, &w, &mut dx, &mut scratch);
        scratch.fill(f32::NAN);
        let (mut dw, mut dbias) = (vec![f32::NAN; w.len()], vec![f32::NAN; bias.len()]);
        plan.backward_weights(ctx, &x, &dy, &mut dw, Some(&mut dbias), &mut scratch);
        let plain_dw = conv.unpack_weights(&dw).unwrap();
        assert!(conv.pack_weights(&plain_dw).unwrap() == dw, "padded weight gradient is not 0");
        assert!(dbias[conv.c_out..].iter().all(|v| *v == 0.0), "padded bias gradient is not 0");
        dbias.truncate(conv.c_out);
        let to_y = |y: &[f32]| to_nchw(ctx, conv.batch, conv.c_out, y);
        [to_y(&y), to_y(&plain), to_nchw(ctx, conv.batch, conv.c_in, &dx), plain_dw, dbias]
    }

    fn check(&self, ctx: &Context, plan: &TransposedConvPlan, want: &[Vec<f64>; 5]) {
        for (i, (got, want)) in self.run(ctx, plan).iter().zip(want).enumerate() {
            let error = relative_error(got, want);
            assert!(
                error <= tolerance(plan),
                "result {i} off by {error:.1e}: {:?}, {} on {}",
                self.conv,
                plan.adjoint().describe(),
                ctx.isa()
            );
        }
    }

    /// All plans on all instruction sets with one and two threads.
    fn check_everywhere(&self) {
        let want = self.want();
        for ctx in isa_and_thread_contexts() {
            for plan in plans(&ctx, self.conv) {
                self.check(&ctx, &plan, &want);
            }
        }
    }
}

fn tolerance(plan: &TransposedConvPlan) -> f64 {
    let Algorithms { forward, backward_data, backward_weights } = plan.adjoint().algorithms();
    if [forward, backward_data, backward_weights].contains(&Algorithm::Winograd) { 1e-4 } else { 5e-6 }
}

/// The picked plan, and one for each algorithm with the general one in the passes that it does not serve.
fn plans(ctx: &Context, conv: TransposedConv2d) -> Vec<TransposedConvPlan> {
    let adjoint = conv.adjoint().unwrap();
    let mut choices = vec![ConvPlan::new(ctx, adjoint).unwrap().algorithms()];
    for a in Algorithm::ALL {
        let or_general = |pass| if a.supports(pass, &adjoint) { a } else { Algorithm::General };
        let choice = Algorithms {
            forward: or_general(Pass::Forward),
            backward_data: or_general(Pass::BackwardData),
            backward_weights: or_general(Pass::BackwardWeights),
        };
        if !choices.contains(&choice) {
            choices.push(choice);
        }
    }
    choices.into_iter().map(|a| TransposedConvPlan::with_algorithms(ctx, conv, a).unwrap()).collect()
}

#[test]
fn generated_geometries() {
    let mut noise = Noise::new(80);
    let (mut checked, mut with_output_padding, mut refused) = (0, 0, 0);
    while checked < 150 {
        let groups = noise.pick(&[1, 1, 1, 2, 3]);
        let conv = TransposedConv2d {
            batch: noise.between(1, 3),
            height: noise.between(1, 9),
            width: noise.between(1, 11),
            c_in: groups * noise.between(1, 22),
            c_out: groups * noise.between(1, 22),
            kernel: [noise.pick(&[1, 2, 3, 3, 4, 5]), noise.pick(&[1, 2, 3, 3, 4])],
            stride: [noise.pick(&[1, 2, 2, 3]), noise.pick(&[1, 2, 2, 3])],
            padding: std::array::from_fn(|_| noise.between(0, 3)),
            output_padding: [noise.between(0, 2), noise.between(0, 2)],
            dilation: [noise.pick(&[1, 1, 2]), noise.pick(&[1, 1, 3])],
            groups,
        };
        if conv.check().is_err() {
            refused += 1;
            continue;
        }
        checked += 1;
        with_output_padding += usize::from(conv.output_padding != [0, 0]);
        Problem::new(conv, &mut noise).check_everywhere();
    }
    assert!(with_output_padding > 30, "only {with_output_padding} of {checked}, {refused} refused");
}

/// Every geometry by which decoders double a map, at channels around the block size.
#[test]
fn doubling_a_map() {
    let mut noise = Noise::new(81);
    for (kernel, padding, output_padding) in [(2, 0, 0), (3, 1, 1), (4, 1, 0), (5, 2, 1)] {
        for channels in [[16, 16], [17, 3], [3, 33], [40, 16]] {
            for size in [[1, 1], [4, 7], [8, 5]] {
                let mut conv = TransposedConv2d::square(2, size, channels, kernel, 2, padding);
                conv.output_padding = [output_padding; 2];
                assert_eq!([conv.out_height(), conv.out_width()], [2 * size[0], 2 * size[1]]);
                Problem::new(conv, &mut noise).check_everywhere();
            }
        }
    }
}

#[test]
fn stride_one_takes_winograd() {
    let mut noise = Noise::new(82);
    let ctx = Context::new(1).unwrap();
    for (size, padding) in [([9, 14], 1), ([12, 7], 0), ([10, 10], 2)] {
        let conv = TransposedConv2d::square(2, size, [32, 20], 3, 1, padding);
        assert!(Algorithm::Winograd.supports(Pass::BackwardData, &conv.adjoint().unwrap()));
        assert!(
            plans(&ctx, conv).iter().any(|p| p.adjoint().algorithms().backward_data == Algorithm::Winograd)
        );
        Problem::new(conv, &mut noise).check_everywhere();
    }
}

#[test]
fn channel_by_channel() {
    let mut noise = Noise::new(83);
    for (kernel, stride, output_padding) in [(3, 1, 0), (3, 2, 1), (4, 2, 0), (5, 3, 2)] {
        let mut conv = TransposedConv2d::square(2, [6, 5], [21, 21], kernel, stride, 1);
        conv.groups = 21;
        conv.output_padding = [output_padding; 2];
        Problem::new(conv, &mut noise).check_everywhere();
    }
}

#[test]
fn gradients_are_the_differences() {
    let mut noise = Noise::new(84);
    let mut conv = TransposedConv2d::square(1, [3, 2], [4, 6], 3, 2, 1);
    conv.output_padding = [1, 0];
    conv.groups = 2;
    for conv in [conv, TransposedConv2d { groups: 1, dilation: [1, 2], ..conv }] {
        let problem = Problem::new(conv, &mut noise);
        let naive = reference(&conv);
        let (x, w, bias) = (widen(&problem.x), widen(&problem.w), widen(&problem.bias));
        let loss = |y: Vec<f64>| -> f64 { y.iter().zip(&problem.dy).map(|(y, d)| y * f64::from(*d)).sum() };
        let want = [
            finite_differences(&|x| loss(naive.forward(x, &w, &bias)), &x, 1e-3),
            finite_differences(&|w| loss(naive.forward(&x, w, &bias)), &w, 1e-3),
            finite_differences(&|b| loss(naive.forward(&x, &w, b)), &bias, 1e-3),
        ];
        for ctx in isa_and_thread_contexts() {
            let plan = TransposedConvPlan::new(&ctx, conv).unwrap();
            for (got, want) in problem.run(&ctx, &plan)[2..].iter().zip(&want) {
                assert!(relative_error(got, want) < 5e-6, "on {}", ctx.isa());
                let wrong: Vec<f32> = got.iter().map(|v| v * 1.001).collect();
                assert!(relative_error(&wrong, want) > 5e-6, "the comparison accepts a wrong gradient");
            }
        }
    }
}

/// The twin: without output padding's shift, with swapped taps or without the bias, the results are rejected.
#[test]
fn wrong_results_are_rejected() {
    let mut noise = Noise::new(85);
    let mut conv = TransposedConv2d::square(2, [5, 5], [18, 18], 3, 2, 1);
    conv.output_padding = [1, 1];
    let problem = Problem::new(conv, &mut noise);
    let want = problem.want();
    let mut flipped = problem.w.clone();
    for taps in flipped.chunks_exact_mut(9) {
        taps.reverse();
    }
    let flipped = Problem {
        conv,
        w: flipped,
        x: problem.x.clone(),
        bias: problem.bias.clone(),
        dy: problem.dy.clone(),
    };
    for ctx in isa_and_thread_contexts() {
        let plan = TransposedConvPlan::new(&ctx, conv).unwrap();
        let got = flipped.run(&ctx, &plan);
        assert!(relative_error(&got[0], &want[0]) > 0.1 && relative_error(&got[2], &want[2]) > 0.1);
        let got = problem.run(&ctx, &plan);
        assert!(relative_error(&got[1], &want[0]) > 0.02, "a result without bias is accepted");
        let moved: Vec<f32> = got[3].iter().cycle().skip(1).take(got[3].len()).copied().collect();
        assert!(relative_error(&moved, &want[3]) > 0.1, "a shifted gradient is accepted");
    }
}

/// A geometry small enough for Miri.
#[test]
fn portable_transposed_convolution() {
    let ctx = Context::with_isa(2, Isa::Portable).unwrap();
    let mut conv = TransposedConv2d::square(1, [3, 4], [3, 17], 3, 2, 1);
    conv.output_padding = [1, 0];
    let problem = Problem::new(conv, &mut Noise::new(86));
    let want = problem.want();
    for plan in plans(&ctx, conv) {
        problem.check(&ctx, &plan, &want);
    }
}

#[test]
fn senseless_geometries_are_errors() {
    let good = TransposedConv2d::square(1, [3, 3], [4, 6], 3, 2, 1);
    assert!(good.check().is_ok());
    for bad in [
        TransposedConv2d { batch: 0, ..good },
        TransposedConv2d { height: 0, ..good },
        TransposedConv2d { kernel: [0, 3], ..good },
        TransposedConv2d { stride: [0, 1], ..good },
        TransposedConv2d { output_padding: [2, 0], ..good },
        TransposedConv2d { padding: [4; 4], ..good },
        TransposedConv2d { groups: 4, ..good },
        // PyTorch allows these; the adjoint would have more outputs than this has inputs.
        TransposedConv2d {
            stride: [1, 1],
            dilation: [3, 1],
            padding: [0; 4],
            output_padding: [1, 0],
            ..good
        },
    ] {
        assert!(matches!(bad.check(), Err(KernelError::Geometry { .. })), "{bad:?}");
    }
    // With enough padding at the far side there are no such outputs.
    let conv = TransposedConv2d { stride: [1, 1], dilation: [3, 1], output_padding: [1, 0], ..good };
    Problem::new(conv, &mut Noise::new(87)).check_everywhere();
}
