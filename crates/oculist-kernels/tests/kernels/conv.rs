//! Convolution: every algorithm and pass on generated geometries.

mod winograd;

use oculist_kernels::{
    Activation, Algorithm, Algorithms, Context, Conv2d, ConvPlan, Epilogue, KernelError, Pass,
    channel_stride, pack_weights, unpack_weights,
};
use oculist_testing::reference::conv::Conv;
use oculist_testing::reference::{Noise, relative_error, widen};

use crate::{contexts, to_nchw, to_nhwc};

fn reference(conv: &Conv2d) -> Conv {
    Conv {
        batch: conv.batch,
        c_in: conv.c_in,
        size: [conv.height, conv.width],
        c_out: conv.c_out,
        kernel: conv.kernel,
        stride: conv.stride,
        padding: conv.padding,
        dilation: conv.dilation,
        groups: conv.groups,
    }
}

/// One convolution with inputs and the right answers, all in NCHW.
struct Problem {
    conv: Conv2d,
    x: Vec<f32>,
    w: Vec<f32>,
    dy: Vec<f32>,
    y: Vec<f64>,
    dx: Vec<f64>,
    dw: Vec<f64>,
}

impl Problem {
    fn new(conv: Conv2d, noise: &mut Noise) -> Self {
        let x = noise.vector(reference(&conv).x_len());
        Self::with_input(conv, x, noise)
    }

    fn with_input(conv: Conv2d, x: Vec<f32>, noise: &mut Noise) -> Self {
        let naive = reference(&conv);
        let (w, dy) = (noise.vector(naive.w_len()), noise.vector(naive.y_len()));
        let y = naive.forward(&widen(&x), &widen(&w));
        let dx = naive.backward_data(&widen(&dy), &widen(&w));
        let dw = naive.backward_weights(&widen(&x), &widen(&dy));
        Self { conv, x, w, dy, y, dx, dw }
    }

    fn input(&self, ctx: &Context) -> Vec<f32> {
        if self.conv.x_stride == channel_stride(self.conv.c_in) {
            to_nhwc(ctx, self.conv.batch, self.conv.c_in, &self.x)
        } else {
            let mut dense = vec![f32::NAN; self.x.len()];
            let pixels = self.conv.height * self.conv.width;
            let c = self.conv.c_in;
            oculist_kernels::nchw_to_nhwc(ctx, self.conv.batch, c, pixels, c, &self.x, &mut dense);
            dense
        }
    }

    fn input_gradient(&self, ctx: &Context, dx: &[f32]) -> Vec<f32> {
        if self.conv.x_stride == channel_stride(self.conv.c_in) {
            to_nchw(ctx, self.conv.batch, self.conv.c_in, dx)
        } else {
            let mut nchw = vec![f32::NAN; dx.len()];
            let pixels = self.conv.height * self.conv.width;
            let c = self.conv.c_in;
            oculist_kernels::nhwc_to_nchw(ctx, self.conv.batch, c, pixels, c, dx, &mut nchw);
            nchw
        }
    }

    /// Errors of the three passes relative to the largest value; panics when padding is not 0.
    fn errors(&self, ctx: &Context, plan: &ConvPlan) -> [f64; 3] {
        let conv = &self.conv;
        let x = self.input(ctx);
        let w = pack_weights(conv, &self.w);
        let dy = to_nhwc(ctx, conv.batch, conv.c_out, &self.dy);
        let mut scratch = vec![f32::NAN; plan.scratch_len().max(plan.forward_scratch_len())];
        let mut y = vec![f32::NAN; conv.y_len()];
        plan.forward(ctx, &x, &w, &Epilogue::default(), &mut y, &mut scratch);
        scratch.fill(f32::NAN);
        let mut again = vec![f32::NAN; conv.y_len()];
        let prepared = plan.prepare(ctx, &w);
        plan.forward_prepared(ctx, &x, &prepared, &Epilogue::default(), &mut again, &mut scratch);
        // Sums over slices of channels may be grouped in another way.
        let prepared = relative_error(&to_nchw(ctx, conv.batch, conv.c_out, &again), &self.y);
        scratch.fill(f32::NAN);
        let mut dx = vec![f32::NAN; conv.x_len()];
        plan.backward_data(ctx, &dy, &w, &mut dx, false, &mut scratch);
        scratch.fill(f32::NAN);
        let mut twice = dx.clone();
        plan.backward_data(ctx, &dy, &w, &mut twice, true, &mut scratch);
        for (a, b) in twice.iter().zip(&dx) {
            assert!(
                (a - 2.0 * b).abs() <= 1e-5 * (1.0 + b.abs()),
                "accumulated gradient: {}",
                plan.describe()
            );
        }
        scratch.fill(f32::NAN);
        let mut dw = vec![f32::NAN; conv.weights_len()];
        plan.backward_weights(ctx, &x, &dy, &mut dw, &mut scratch);
        let plain = unpack_weights(conv, &dw);
        assert!(pack_weights(conv, &plain) == dw, "padded weight gradient is not 0: {}", plan.describe());
        [
            relative_error(&to_nchw(ctx, conv.batch, conv.c_out, &y), &self.y).max(prepared),
            relative_error(&self.input_gradient(ctx, &dx), &self.dx),
            relative_error(&plain, &self.dw),
        ]
    }

    fn check(&self, ctx: &Context, algorithms: Algorithms) {
        let plan = ConvPlan::with_algorithms(ctx, self.conv, algorithms).unwrap();
        let errors = self.errors(ctx, &plan);
        let passes = [algorithms.forward, algorithms.backward_data, algorithms.backward_weights];
        for (pass, (error, algorithm)) in errors.into_iter().zip(passes).enumerate() {
            assert!(
                error <= tolerance(pass, algorithm),
                "{}: pass {pass} off by {error:.2e} on {}",
                plan.describe(),
                ctx.isa()
            );
        }
    }
}

/// Allowed error relative to the largest value.
fn tolerance(pass: usize, algorithm: Algorithm) -> f64 {
    match (algorithm, pass) {
        (Algorithm::Winograd, 0) => 2e-5,
        (Algorithm::Winograd, _) => 1e-4,
        _ => 5e-6,
    }
}

/// All algorithms that can compute the pass `(forward, data, weights)`, as triples.
fn candidates(ctx: &Context, conv: &Conv2d) -> Vec<Algorithms> {
    Algorithm::ALL
        .into_iter()
        .map(|a| {
            let supported = |pass| if a.supports(pass, conv) { a } else { Algorithm::General };
            Algorithms {
                forward: supported(Pass::Forward),
                backward_data: supported(Pass::BackwardData),
                backward_weights: supported(Pass::BackwardWeights),
            }
        })
        .chain([ConvPlan::new(ctx, *conv).unwrap().algorithms()])
        .collect()
}

fn check_everywhere(conv: Conv2d, noise: &mut Noise) {
    let problem = Problem::new(conv, noise);
    for ctx in contexts() {
        let mut done = Vec::new();
        for algorithms in candidates(&ctx, &conv) {
            if !done.contains(&algorithms) {
                problem.check(&ctx, algorithms);
                done.push(algorithms);
            }
        }
    }
}

#[test]
fn channels_straddle_blocks() {
    let mut noise = Noise::new(1);
    for c_in in [1, 3, 15, 16, 17, 33] {
        for c_out in [1, 10, 16, 31, 48] {
            check_everywhere(Conv2d::square(2, [6, 5], [c_in, c_out], 3, 1, 1), &mut noise);
        }
    }
}

#[test]
fn sizes_straddle_tiles() {
    let mut noise = Noise::new(2);
    for height in [1, 2, 4, 5, 8, 13] {
        for width in [1, 3, 4, 6, 9, 14, 15, 29] {
            check_everywhere(Conv2d::square(1, [height, width], [18, 20], 3, 1, 1), &mut noise);
        }
    }
}

#[test]
fn dense_images() {
    let mut noise = Noise::new(3);
    for (c, stride, kernel) in [(1, 1, 3), (3, 1, 3), (3, 2, 3), (3, 2, 7), (1, 4, 4), (3, 4, 11)] {
        let mut conv = Conv2d::square(2, [23, 17], [c, 24], kernel, stride, kernel / 2);
        conv.x_stride = c;
        check_everywhere(conv, &mut noise);
    }
}

/// Register tiles over the rows of the kernel: every width of row, one block of outputs and several, whole images and
/// rows as chunks.
#[test]
fn dense_images_of_few_channels() {
    let mut noise = Noise::new(13);
    for c in [1, 2, 3, 4, 7] {
        for kernel in [1, 2, 3, 5, 7] {
            let (c_out, stride) = (noise.pick(&[7, 16, 20, 40]), noise.pick(&[1, 2]));
            let batch = noise.between(1, 9);
            let size = [noise.between(7, 18), noise.between(7, 18)];
            let mut conv = Conv2d::square(batch, size, [c, c_out], kernel, stride, kernel / 2);
            conv.x_stride = c;
            check_everywhere(conv, &mut noise);
            conv.dilation = [noise.pick(&[1, 2]), noise.pick(&[1, 2])];
            if conv.check().is_ok() {
                check_everywhere(conv, &mut noise);
            }
        }
    }
}

#[test]
fn fully_connected_layers() {
    let mut noise = Noise::new(4);
    for (batch, size, c_in, c_out) in [(1, 1, 40, 10), (9, 1, 64, 10), (30, 1, 17, 100), (3, 4, 20, 33)] {
        check_everywhere(Conv2d::square(batch, [size, size], [c_in, c_out], size, 1, 0), &mut noise);
    }
}

#[test]
fn generated_geometries() {
    let mut noise = Noise::new(5);
    let mut checked = 0;
    while checked < 150 {
        let groups = noise.pick(&[1, 1, 1, 2, 3]);
        let conv = Conv2d {
            batch: noise.between(1, 3),
            height: noise.between(1, 15),
            width: noise.between(1, 19),
            c_in: groups * noise.between(1, 24),
            c_out: groups * noise.between(1, 24),
            kernel: [noise.pick(&[1, 1, 2, 3, 3, 5]), noise.pick(&[1, 2, 3, 3, 4, 7])],
            stride: [noise.pick(&[1, 1, 2, 3]), noise.pick(&[1, 1, 2, 3])],
            padding: std::array::from_fn(|_| noise.between(0, 3)),
            dilation: [noise.pick(&[1, 1, 2]), noise.pick(&[1, 1, 3])],
            groups,
            x_stride: 0,
        };
        let conv = Conv2d { x_stride: channel_stride(conv.c_in), ..conv };
        if conv.check().is_ok() {
            check_everywhere(conv, &mut noise);
            checked += 1;
        }
    }
}

#[test]
fn generated_winograd_geometries() {
    let mut noise = Noise::new(7);
    for _ in 0..40 {
        let mut conv = Conv2d::square(
            noise.between(1, 5),
            [noise.between(3, 17), noise.between(3, 21)],
            [noise.between(1, 70), noise.between(1, 70)],
            3,
            1,
            1,
        );
        conv.padding = std::array::from_fn(|_| noise.between(0, 2));
        check_everywhere(conv, &mut noise);
    }
}

#[test]
fn generated_depthwise_geometries() {
    let mut noise = Noise::new(6);
    let mut checked = 0;
    while checked < 60 {
        let c = noise.between(2, 40);
        let kernel = noise.pick(&[1, 3, 3, 5, 5, 7]);
        let stride = noise.pick(&[1, 1, 2]);
        let mut conv = Conv2d::square(
            noise.between(1, 3),
            [noise.between(1, 15), noise.between(1, 15)],
            [c, c],
            kernel,
            stride,
            0,
        );
        conv.padding = std::array::from_fn(|_| noise.between(0, kernel / 2));
        conv.dilation = [noise.pick(&[1, 1, 1, 2]); 2];
        conv.groups = c;
        if conv.check().is_ok() {
            check_everywhere(conv, &mut noise);
            checked += 1;
        }
    }
}

/// Rows of several tiles: inner ones, those at the edges, and a last one that overlaps the one before.
#[test]
fn wide_depthwise_rows() {
    let mut noise = Noise::new(16);
    for width in [14, 16, 23, 28, 33] {
        for kernel in [3, 5] {
            for stride in [1, 2] {
                for padding in [0, kernel / 2] {
                    let mut conv = Conv2d::square(2, [6, width], [35, 35], kernel, stride, padding);
                    conv.groups = 35;
                    check_everywhere(conv, &mut noise);
                }
            }
        }
    }
}

/// The shapes of the first workload, at a small batch.
#[test]
fn residual_network_shapes() {
    let mut noise = Noise::new(8);
    for (size, c_in, c_out, stride) in
        [(28, 16, 16, 1), (28, 16, 32, 2), (14, 32, 32, 1), (14, 32, 64, 2), (7, 64, 64, 1), (4, 128, 128, 1)]
    {
        check_everywhere(Conv2d::square(2, [size, size], [c_in, c_out], 3, stride, 1), &mut noise);
        check_everywhere(Conv2d::square(2, [size, size], [c_in, c_out], 1, stride, 0), &mut noise);
    }
}

#[test]
fn epilogues_are_fused() {
    let mut noise = Noise::new(9);
    let activations = [
        Activation::Identity,
        Activation::Relu,
        Activation::Clip { min: -0.5, max: 6.0 },
        Activation::HardSwish,
        Activation::HardSigmoid { alpha: 0.2, beta: 0.5 },
        Activation::Sigmoid,
    ];
    let mut depthwise = Conv2d::square(2, [7, 9], [19, 19], 3, 1, 1);
    depthwise.groups = 19;
    let convs = [
        Conv2d::square(2, [7, 9], [17, 21], 3, 1, 1),
        Conv2d::square(2, [7, 9], [17, 37], 1, 1, 0),
        Conv2d::square(2, [7, 9], [17, 32], 3, 2, 1),
        depthwise,
    ];
    for conv in convs {
        let problem = Problem::new(conv, &mut noise);
        let bias = noise.vector(conv.c_out);
        let residual = noise.vector(problem.y.len());
        let plane = conv.out_height() * conv.out_width();
        for ctx in contexts() {
            for algorithms in candidates(&ctx, &conv) {
                for activation in activations {
                    for (with_bias, with_residual) in [(true, true), (true, false), (false, true)] {
                        let want: Vec<f64> = (0..problem.y.len())
                            .map(|i| {
                                let c = i / plane % conv.c_out;
                                let bias = if with_bias { f64::from(bias[c]) } else { 0.0 };
                                let residual = if with_residual { f64::from(residual[i]) } else { 0.0 };
                                crate::elementwise::reference(activation, problem.y[i] + bias + residual)
                            })
                            .collect();
                        let plan = ConvPlan::with_algorithms(&ctx, conv, algorithms).unwrap();
                        let mut padded_bias = bias.clone();
                        padded_bias.resize(conv.y_stride(), 0.0);
                        let residual = to_nhwc(&ctx, conv.batch, conv.c_out, &residual);
                        let epilogue = Epilogue {
                            bias: with_bias.then_some(&padded_bias),
                            residual: with_residual.then_some(&residual),
                            activation,
                        };
                        let mut y = vec![f32::NAN; conv.y_len()];
                        let mut scratch = vec![f32::NAN; plan.forward_scratch_len()];
                        let x = problem.input(&ctx);
                        let w = pack_weights(&conv, &problem.w);
                        plan.forward(&ctx, &x, &w, &epilogue, &mut y, &mut scratch);
                        let got = to_nchw(&ctx, conv.batch, conv.c_out, &y);
                        let error = relative_error(&got, &want);
                        assert!(error <= 5e-5, "{} {activation:?}: {error:.2e}", plan.describe());
                    }
                }
            }
        }
    }
}

#[test]
fn results_do_not_depend_on_threads() {
    let mut noise = Noise::new(10);
    let mut depthwise = Conv2d::square(3, [13, 9], [40, 40], 5, 1, 2);
    depthwise.groups = 40;
    for conv in [
        Conv2d::square(5, [14, 14], [32, 48], 3, 1, 1),
        Conv2d::square(5, [15, 14], [32, 48], 3, 2, 1),
        Conv2d::square(5, [9, 9], [70, 20], 1, 1, 0),
        depthwise,
    ] {
        let problem = Problem::new(conv, &mut noise);
        let run = |threads| {
            let ctx = Context::new(threads).unwrap();
            let plan = ConvPlan::new(&ctx, conv).unwrap();
            let (x, w) = (problem.input(&ctx), pack_weights(&conv, &problem.w));
            let dy = to_nhwc(&ctx, conv.batch, conv.c_out, &problem.dy);
            let mut scratch = vec![0.0; plan.scratch_len()];
            let mut y = vec![0.0; conv.y_len()];
            let mut dx = vec![0.0; conv.x_len()];
            let mut dw = vec![0.0; conv.weights_len()];
            plan.forward(&ctx, &x, &w, &Epilogue::default(), &mut y, &mut scratch);
            plan.backward_data(&ctx, &dy, &w, &mut dx, false, &mut scratch);
            plan.backward_weights(&ctx, &x, &dy, &mut dw, &mut scratch);
            (y, dx, dw)
        };
        let one = run(1);
        assert!(one == run(2) && one == run(3), "{}", conv.label());
    }
}

#[test]
fn packing_goes_both_ways() {
    let mut noise = Noise::new(11);
    for (c_in, c_out, groups) in [(3, 5, 1), (16, 32, 1), (12, 18, 3), (20, 20, 20)] {
        let mut conv = Conv2d::square(1, [5, 5], [c_in, c_out], 3, 1, 1);
        conv.groups = groups;
        let w = noise.vector(c_out * c_in / groups * 9);
        assert!(unpack_weights(&conv, &pack_weights(&conv, &w)) == w, "{}", conv.label());
    }
}

#[test]
fn senseless_geometries_are_errors() {
    let ctx = Context::new(1).unwrap();
    let good = Conv2d::square(1, [5, 5], [4, 4], 3, 1, 1);
    for bad in [
        Conv2d { batch: 0, ..good },
        Conv2d { stride: [0, 1], ..good },
        Conv2d { kernel: [8, 3], ..good },
        Conv2d { groups: 3, ..good },
        Conv2d { x_stride: 5, ..good },
        Conv2d { dilation: [4, 1], ..good },
    ] {
        assert!(matches!(ConvPlan::new(&ctx, bad), Err(KernelError::Geometry { .. })), "{bad:?}");
    }
    let strided = Conv2d::square(1, [5, 5], [4, 4], 3, 2, 1);
    let forced = ConvPlan::with_algorithms(&ctx, strided, Algorithms::all(Algorithm::Winograd));
    assert!(matches!(forced, Err(KernelError::Algorithm { .. })));
}

/// The twin: the same comparison rejects results that are slightly wrong.
#[test]
fn wrong_results_are_rejected() {
    let mut noise = Noise::new(12);
    let mut problem = Problem::new(Conv2d::square(2, [9, 9], [20, 20], 3, 1, 1), &mut noise);
    problem.y[77] *= 1.001;
    problem.dx[33] += 0.01;
    problem.dw[5] = 0.0;
    for ctx in contexts() {
        let plan = ConvPlan::new(&ctx, problem.conv).unwrap();
        for (pass, error) in problem.errors(&ctx, &plan).into_iter().enumerate() {
            assert!(error > 1.5 * tolerance(pass, Algorithm::Winograd), "pass {pass}: {error:.2e}");
        }
    }
}
