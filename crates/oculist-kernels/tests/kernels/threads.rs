//! The same bits with one, two and three threads, kernel by kernel.
//!
//! The integer kernels' own tests compare with exact integers on one and three threads.

use oculist_kernels::{
    Activation, AdaptivePooling, Algorithm, Algorithms, Attention, AttentionPlan, AttentionStart,
    BatchNormBackward, BatchNormGradients, BlockLayer, BlockLayers, BlockPlan, ChannelCopy, Context, Conv2d,
    ConvPlan, Epilogue, Function, InvertedResidual, Isa, Matmul, MatmulEpilogue, MatmulPlan, Pass, Pooling,
    Right, RowNorm, Rows, TransposedConv2d, TransposedConvPlan, activation_backward, activation_forward,
    adaptive_average_pool, adaptive_average_pool_backward, add, add_scaled, average_pool,
    average_pool_backward, batch_norm_backward, batch_statistics, channel_scale, channel_scale_backward,
    channel_stride, column_sums, copy_channels, max_pool, max_pool_backward, norm_rows, scale_shift,
    softmax_rows,
};
use oculist_testing::reference::Noise;

use crate::set_norm::{Kind, Problem as NormProblem};

/// Asserts that `run` gives the same bits with any number of threads, on every instruction set.
fn assert_same(label: &str, run: impl Fn(&Context) -> Vec<f32>) {
    for isa in Isa::available() {
        let bits = |threads| -> Vec<u32> {
            let ctx = Context::with_isa(threads, isa).unwrap();
            run(&ctx).iter().map(|v| v.to_bits()).collect()
        };
        let one = bits(1);
        assert!(!one.is_empty(), "{label}: nothing to compare");
        for threads in [2, 3] {
            let many = bits(threads);
            let different = one.iter().zip(&many).position(|(a, b)| a != b);
            assert!(
                one.len() == many.len() && different.is_none(),
                "{label} depends on the number of threads: {threads} on {isa}, element {different:?}"
            );
        }
    }
}

/// Padded rows with zeros in the lanes that are no channels.
fn rows(noise: &mut Noise, shape: Rows) -> Vec<f32> {
    (0..shape.len()).map(|i| if i % shape.stride() < shape.channels { noise.signed() } else { 0.0 }).collect()
}

fn padded(noise: &mut Noise, channels: usize) -> Vec<f32> {
    rows(noise, Rows::new(1, channels))
}

/// The three passes of a convolution by given algorithms, one after the other.
fn passes(ctx: &Context, conv: Conv2d, algorithms: Algorithms, x: &[f32], dy: &[f32], w: &[f32]) -> Vec<f32> {
    let plan = ConvPlan::with_algorithms(ctx, conv, algorithms).unwrap();
    let mut scratch = vec![f32::NAN; plan.scratch_len()];
    let (mut y, mut dx) = (vec![f32::NAN; conv.y_len()], vec![f32::NAN; conv.x_len()]);
    let mut dw = vec![f32::NAN; conv.weights_len()];
    let mut all = Vec::new();
    let epilogue = Epilogue { residual: Some(dy), activation: Activation::Relu, ..Epilogue::default() };
    plan.forward(ctx, x, w, &epilogue, &mut y, &mut scratch);
    all.extend_from_slice(&y);
    scratch.fill(f32::NAN);
    let prepared = plan.prepare(ctx, w);
    plan.forward_prepared(ctx, x, &prepared, &Epilogue::default(), &mut y, &mut scratch);
    all.extend(y);
    scratch.fill(f32::NAN);
    plan.backward_data(ctx, dy, w, &mut dx, false, &mut scratch);
    plan.backward_data(ctx, dy, w, &mut dx, true, &mut scratch);
    all.extend(dx);
    scratch.fill(f32::NAN);
    plan.backward_weights(ctx, x, dy, &mut dw, &mut scratch);
    all.extend(dw);
    all
}

/// Every algorithm on geometries whose schedules differ: few and many tiles, small and large weights.
#[test]
fn convolution() {
    let mut noise = Noise::new(100);
    let mut convs = vec![
        Conv2d::square(5, [15, 14], [32, 48], 3, 2, 1),
        Conv2d::square(5, [9, 9], [70, 20], 1, 1, 0),
        Conv2d::square(1, [7, 7], [96, 130], 1, 1, 0),
        Conv2d::square(3, [4, 4], [256, 256], 3, 1, 1),
        Conv2d::square(1, [7, 7], [200, 160], 3, 1, 1),
        Conv2d::square(40, [1, 1], [64, 100], 1, 1, 0),
        Conv2d { groups: 40, ..Conv2d::square(3, [13, 9], [40, 40], 5, 1, 2) },
        Conv2d { groups: 40, ..Conv2d::square(3, [13, 9], [40, 40], 3, 2, 1) },
        Conv2d { groups: 3, ..Conv2d::square(2, [9, 8], [12, 18], 3, 1, 1) },
    ];
    // From a third of a task to several tasks a thread, by a few tiles at a time.
    for batch in [1, 2, 3, 4, 6, 9, 14] {
        convs.push(Conv2d::square(batch, [14, 13], [32, 48], 3, 1, 1));
        convs.push(Conv2d::square(batch, [9, 16], [80, 64], 3, 1, 1));
    }
    for conv in convs {
        let (x, dy) = (
            rows(&mut noise, Rows::new(conv.batch * conv.height * conv.width, conv.c_in)),
            rows(&mut noise, Rows::new(conv.y_len() / conv.y_stride(), conv.c_out)),
        );
        let w: Vec<f32> = noise.vector(conv.c_out * (conv.c_in / conv.groups) * conv.taps());
        let w = oculist_kernels::pack_weights(&conv, &w);
        for a in Algorithm::ALL {
            // Plain loops over large weights take long and are cut by rows alone.
            let slow = a == Algorithm::General && conv.macs() > 4_000_000;
            if slow || !Pass::ALL.into_iter().all(|pass| a.supports(pass, &conv)) {
                continue;
            }
            let label = format!("{}: {}", conv.label(), a.name());
            assert_same(&label, |ctx| passes(ctx, conv, Algorithms::all(a), &x, &dy, &w));
        }
    }
}

#[test]
fn transposed_convolution() {
    let mut noise = Noise::new(101);
    let mut conv = TransposedConv2d::square(3, [9, 8], [40, 24], 3, 2, 1);
    conv.output_padding = [1, 1];
    for conv in [conv, TransposedConv2d { groups: 8, ..conv }] {
        let x = rows(&mut noise, Rows::new(3 * 9 * 8, 40));
        let dy = rows(&mut noise, Rows::new(3 * conv.out_height() * conv.out_width(), 24));
        let w = conv.pack_weights(&noise.vector(40 * 24 / conv.groups * 9)).unwrap();
        let bias = padded(&mut noise, 24);
        assert_same("transposed convolution", |ctx| {
            let plan = TransposedConvPlan::new(ctx, conv).unwrap();
            let mut scratch = vec![f32::NAN; plan.scratch_len()];
            let (mut y, mut dx) = (vec![f32::NAN; conv.y_len()], vec![f32::NAN; conv.x_len()]);
            let (mut dw, mut dbias) = (vec![f32::NAN; w.len()], vec![f32::NAN; bias.len()]);
            plan.forward(ctx, &x, &w, Some(&bias), &mut y, &mut scratch);
            plan.backward_data(ctx, &dy, &w, &mut dx, &mut scratch);
            plan.backward_weights(ctx, &x, &dy, &mut dw, Some(&mut dbias), &mut scratch);
            [y, dx, dw, dbias].concat()
        });
    }
}

#[test]
fn inverted_residual_block() {
    let mut noise = Noise::new(102);
    for (batch, size) in [(1, 23), (3, 14)] {
        let depthwise = Conv2d { groups: 96, ..Conv2d::square(batch, [size, size], [96, 96], 3, 1, 1) };
        let block = InvertedResidual {
            expand: Some(Conv2d::square(batch, [size, size], [16, 96], 1, 1, 0)),
            depthwise,
            project: Conv2d::square(batch, [size, size], [96, 24], 1, 1, 0),
        };
        let x = rows(&mut noise, Rows::new(batch * size * size, 16));
        let weights = [16 * 96, 96 * 9, 96 * 32].map(|n| noise.vector(n));
        let layer =
            |i: usize| BlockLayer { weights: &weights[i], bias: None, activation: Activation::HardSwish };
        let layers =
            BlockLayers { expand: Some(layer(0)), depthwise: layer(1), project: layer(2), residual: None };
        assert_same("inverted residual block", |ctx| {
            let plan = BlockPlan::new(ctx, block).unwrap();
            let mut y = vec![f32::NAN; block.project.y_len()];
            plan.run(ctx, &x, &layers, &mut y, &mut vec![f32::NAN; plan.scratch_len()]);
            y
        });
    }
}

#[test]
fn batch_normalisation() {
    let mut noise = Noise::new(103);
    for shape in [Rows::new(5003, 20), Rows::new(130, 300), Rows::new(7, 16)] {
        let [x, dy, residual] = [(); 3].map(|()| rows(&mut noise, shape));
        let [gamma, beta] = [(); 2].map(|()| padded(&mut noise, shape.channels));
        assert_same("batch normalisation", |ctx| {
            let n = shape.stride();
            let (mut mean, mut variance, mut sums) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
            batch_statistics(ctx, shape, &x, &mut mean, &mut variance);
            column_sums(ctx, shape, &dy, &mut sums);
            let inv_std: Vec<f32> = variance.iter().map(|v| 1.0 / (v + 1e-5).sqrt()).collect();
            let mut y = vec![f32::NAN; shape.len()];
            scale_shift(ctx, shape, &x, &gamma, &beta, Some(&residual), Activation::Relu, &mut y);
            let input = BatchNormBackward {
                x: &x,
                y: &y,
                residual: Some(&residual),
                dy: &dy,
                gamma: &gamma,
                beta: &beta,
                mean: &mean,
                inv_std: &inv_std,
                activation: Activation::Relu,
            };
            let (mut dx, mut dresidual) = (vec![f32::NAN; shape.len()], vec![f32::NAN; shape.len()]);
            let (mut dgamma, mut dbeta) = (vec![f32::NAN; n], vec![f32::NAN; n]);
            let output = BatchNormGradients {
                dx: &mut dx,
                dgamma: &mut dgamma,
                dbeta: &mut dbeta,
                dresidual: Some((&mut dresidual, false)),
            };
            batch_norm_backward(ctx, shape, &input, output);
            [mean, variance, sums, y, dx, dresidual, dgamma, dbeta].concat()
        });
    }
}

#[test]
fn other_normalisations() {
    let mut noise = Noise::new(104);
    for shape in [[3, 40, 1201], [1, 12, 5000], [9, 24, 7]] {
        for kind in [Kind::Group(4), Kind::Group(1), Kind::Group(shape[1]), Kind::Layer] {
            let n = shape.iter().product();
            let problem = NormProblem {
                shape,
                kind,
                x: noise.vector(n),
                gamma: noise.vector(shape[1]),
                beta: noise.vector(shape[1]),
                dy: noise.vector(n),
            };
            assert_same(&format!("{kind:?} of {shape:?}"), |ctx| {
                let r = problem.run(ctx);
                [r.y, r.mean, r.inv_std, r.dx, r.dgamma, r.dbeta].concat()
            });
        }
    }
}

#[test]
fn pooling() {
    let mut noise = Noise::new(105);
    let pool = Pooling {
        batch: 3,
        height: 17,
        width: 12,
        channels: 37,
        kernel: [3, 3],
        stride: [2, 1],
        padding: [1, 1, 0, 1],
    };
    let x = rows(&mut noise, Rows::new(3 * 17 * 12, 37));
    let dy = rows(&mut noise, Rows::new(3 * pool.out_height() * pool.out_width(), 37));
    assert_same("pooling", |ctx| {
        let (mut y, mut dx) = (vec![f32::NAN; pool.y_len()], vec![f32::NAN; pool.x_len()]);
        let mut argmax = vec![0; pool.y_len()];
        let mut all = Vec::new();
        max_pool(ctx, &pool, &x, &mut y, Some(&mut argmax));
        max_pool_backward(ctx, &pool, &dy, &argmax, &mut dx, false);
        all.extend([y.clone(), dx.clone()].concat());
        average_pool(ctx, &pool, false, &x, &mut y);
        average_pool_backward(ctx, &pool, true, &dy, &mut dx, true);
        all.extend([y, dx].concat());
        all
    });
    let adaptive = AdaptivePooling { batch: 3, input: [17, 12], out: [2, 5], channels: 37 };
    assert_same("adaptive pooling", |ctx| {
        let (mut y, mut dx) = (vec![f32::NAN; 3 * 10 * 48], vec![f32::NAN; x.len()]);
        adaptive_average_pool(ctx, &adaptive, &x, &mut y);
        adaptive_average_pool_backward(ctx, &adaptive, &dy[..y.len()], &mut dx, false);
        [y, dx].concat()
    });
}

#[test]
fn element_by_element() {
    let mut noise = Noise::new(106);
    let (batch, shape) = (3, Rows::new(3 * 800, 21));
    let [a, b] = [(); 2].map(|()| rows(&mut noise, shape));
    let gate = rows(&mut noise, Rows::new(batch, 21));
    assert_same("elementwise kernels", |ctx| {
        let mut all = Vec::new();
        let mut y = vec![f32::NAN; shape.len()];
        add(ctx, &a, &b, &mut y);
        add_scaled(ctx, 0.3, &a, &mut y);
        all.extend_from_slice(&y);
        for activation in [Activation::Sigmoid, Activation::HardSwish] {
            activation_forward(ctx, shape, activation, &a, &mut y);
            all.extend_from_slice(&y);
            activation_backward(ctx, shape, activation, &a, &b, &mut y, true);
            all.extend_from_slice(&y);
        }
        channel_scale(ctx, shape, batch, &a, &gate, &mut y);
        all.extend_from_slice(&y);
        let mut dgate = vec![f32::NAN; gate.len()];
        channel_scale_backward(ctx, shape, batch, &a, &gate, &b, &mut y, false, &mut dgate);
        all.extend([y, dgate].concat());
        let mut wide = vec![0.0; shape.rows * channel_stride(40)];
        let copy = ChannelCopy {
            rows: shape.rows,
            channels: 21,
            src_stride: shape.stride(),
            src_offset: 0,
            dst_stride: channel_stride(40),
            dst_offset: 19,
        };
        copy_channels(ctx, copy, &a, &mut wide, true);
        all.extend(wide);
        all
    });
}

/// The twin: a sum that is cut by the number of threads is told apart.
#[test]
#[should_panic(expected = "depends on the number of threads")]
fn a_sum_by_threads_is_rejected() {
    let x = Noise::new(107).vector(1000);
    assert_same("a careless sum", |ctx| {
        let part = x.len().div_ceil(ctx.threads());
        vec![x.chunks(part).map(|c| c.iter().sum::<f32>()).sum()]
    });
}

#[test]
fn products_and_attention() {
    let mut noise = Noise::new(120);
    for (m, n, k) in [(1, 700, 300), (90, 170, 600), (600, 40, 33)] {
        let (a, b) = (noise.vector(m * k), noise.vector(k * n));
        for turned in [[false, false], [true, false], [false, true]] {
            let shape = Matmul::new(m, n, k).transposed(turned[0], turned[1]);
            assert_same(&format!("{shape:?}"), |ctx| {
                let plan = MatmulPlan::new(ctx, shape).unwrap();
                let (mut c, mut scratch) = (vec![f32::NAN; m * n], vec![f32::NAN; plan.scratch_len()]);
                let epilogue = MatmulEpilogue { function: Function::Gelu, ..MatmulEpilogue::default() };
                plan.run(ctx, &a, Right::Plain(&b), &epilogue, &mut c, &mut scratch);
                c
            });
        }
    }
    let (heads, len, dim) = (3, 70, 20);
    let shape = Attention {
        queries: len,
        keys: len,
        dim,
        value_dim: dim,
        strides: [heads * dim; 4],
        mask_stride: 0,
        scale: 0.3,
        causal: None,
    };
    let x = noise.vector(len * heads * dim);
    let starts: Vec<AttentionStart> = (0..heads)
        .map(|h| h * dim)
        .map(|at| AttentionStart { q: at, k: at, v: at, y: at, mask: 0 })
        .collect();
    assert_same("attention", |ctx| {
        let plan = AttentionPlan::new(ctx, shape, &starts).unwrap();
        let (mut y, mut scratch) = (vec![f32::NAN; x.len()], vec![f32::NAN; plan.scratch_len()]);
        plan.run(ctx, [&x; 3], None, &mut y, &mut scratch);
        softmax_rows(ctx, [len, heads * dim], 1.0, None, &y.clone(), &mut y);
        norm_rows(ctx, RowNorm::Layer, [len, heads * dim], 1e-5, &x, Some(&x), None, &mut y);
        y
    });
}
