//! Every f32 kernel that holds unsafe code, small enough for Miri, on the portable path with two threads.
//!
//! Whether the results are right is tested elsewhere at length; here the results are compared too, but the point is
//! the memory that is touched on the way. Transposed convolution and normalisation have such tests beside their own.

use oculist_kernels::{
    Activation, AdaptivePooling, Algorithm, Algorithms, BatchNormBackward, BatchNormGradients, BlockLayer,
    BlockLayers, BlockPlan, Buffer, Context, Conv2d, ConvPlan, Epilogue, InvertedResidual, Isa, Pass,
    Pooling, Rows, activation_backward, activation_forward, adaptive_average_pool,
    adaptive_average_pool_backward, add, average_pool, average_pool_backward, batch_norm_backward,
    batch_statistics, channel_scale, channel_scale_backward, channel_stride, column_sums, fill_zero,
    max_pool, max_pool_backward, pack_weights, scale_shift, unpack_weights,
};
use oculist_testing::reference::conv::Conv;
use oculist_testing::reference::norm::BatchNorm;
use oculist_testing::reference::pooling::Pool;
use oculist_testing::reference::{Noise, relative_error, widen};

use crate::{to_nchw, to_nhwc};

fn context() -> Context {
    Context::with_isa(2, Isa::Portable).unwrap()
}

/// The three passes by one algorithm, the general one where it does not serve, against f64.
fn check_convolution(conv: Conv2d, algorithm: Algorithm, noise: &mut Noise) {
    let ctx = context();
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
    let or_general = |pass| if algorithm.supports(pass, &conv) { algorithm } else { Algorithm::General };
    let algorithms = Algorithms {
        forward: or_general(Pass::Forward),
        backward_data: or_general(Pass::BackwardData),
        backward_weights: or_general(Pass::BackwardWeights),
    };
    let plan = ConvPlan::with_algorithms(&ctx, conv, algorithms).unwrap();
    let (x, w, dy) = (noise.vector(naive.x_len()), noise.vector(naive.w_len()), noise.vector(naive.y_len()));
    let (xs, dys) = (to_nhwc(&ctx, conv.batch, conv.c_in, &x), to_nhwc(&ctx, conv.batch, conv.c_out, &dy));
    let packed = pack_weights(&conv, &w);
    // Of exactly the lengths asked for: what lies behind is another allocation.
    let mut scratch = vec![f32::NAN; plan.scratch_len()];
    let (mut y, mut dx) = (vec![f32::NAN; conv.y_len()], vec![f32::NAN; conv.x_len()]);
    let mut dw = vec![f32::NAN; packed.len()];
    plan.forward(&ctx, &xs, &packed, &Epilogue::default(), &mut y, &mut scratch);
    plan.backward_data(&ctx, &dys, &packed, &mut dx, false, &mut scratch);
    plan.backward_weights(&ctx, &xs, &dys, &mut dw, &mut scratch);
    let errors = [
        relative_error(&to_nchw(&ctx, conv.batch, conv.c_out, &y), &naive.forward(&widen(&x), &widen(&w))),
        relative_error(
            &to_nchw(&ctx, conv.batch, conv.c_in, &dx),
            &naive.backward_data(&widen(&dy), &widen(&w)),
        ),
        relative_error(&unpack_weights(&conv, &dw), &naive.backward_weights(&widen(&x), &widen(&dy))),
    ];
    assert!(errors.iter().all(|e| *e < 1e-4), "{}: {errors:?}", plan.describe());
}

#[test]
fn direct_and_general_convolution() {
    let mut noise = Noise::new(110);
    let strided = Conv2d { padding: [1, 0, 0, 1], ..Conv2d::square(1, [5, 4], [3, 17], 3, 2, 0) };
    check_convolution(strided, Algorithm::Direct, &mut noise);
    check_convolution(strided, Algorithm::General, &mut noise);
    check_convolution(Conv2d::square(2, [1, 1], [5, 18], 1, 1, 0), Algorithm::Direct, &mut noise);
    let grouped = Conv2d { groups: 2, ..Conv2d::square(1, [3, 4], [4, 6], 2, 1, 1) };
    check_convolution(grouped, Algorithm::General, &mut noise);
}

#[test]
fn depthwise_convolution() {
    let mut noise = Noise::new(111);
    for stride in [1, 2] {
        let conv = Conv2d { groups: 18, ..Conv2d::square(1, [5, 4], [18, 18], 3, stride, 1) };
        check_convolution(conv, Algorithm::Depthwise, &mut noise);
    }
}

#[test]
fn winograd_convolution() {
    let mut noise = Noise::new(112);
    let conv = Conv2d::square(1, [5, 6], [5, 17], 3, 1, 1);
    for algorithm in Algorithm::ALL.into_iter().filter(|a| a.name().contains("winograd")) {
        check_convolution(conv, algorithm, &mut noise);
    }
}

#[test]
fn inverted_residual_block() {
    let mut noise = Noise::new(113);
    let ctx = context();
    let block = InvertedResidual {
        expand: Some(Conv2d::square(1, [4, 3], [5, 18], 1, 1, 0)),
        depthwise: Conv2d { groups: 18, ..Conv2d::square(1, [4, 3], [18, 18], 3, 1, 1) },
        project: Conv2d::square(1, [4, 3], [18, 6], 1, 1, 0),
    };
    let convs = [block.expand.unwrap(), block.depthwise, block.project];
    let weights = convs.map(|c| pack_weights(&c, &noise.vector(c.c_out * (c.c_in / c.groups) * c.taps())));
    let layer = |i: usize| BlockLayer { weights: &weights[i], bias: None, activation: Activation::Identity };
    let layers =
        BlockLayers { expand: Some(layer(0)), depthwise: layer(1), project: layer(2), residual: None };
    let x = to_nhwc(&ctx, 1, 5, &noise.vector(5 * 12));
    let plan = BlockPlan::new(&ctx, block).unwrap();
    let mut y = vec![f32::NAN; block.project.y_len()];
    plan.run(&ctx, &x, &layers, &mut y, &mut vec![f32::NAN; plan.scratch_len()]);
    let mut want = x;
    for (conv, w) in convs.iter().zip(&weights) {
        let plan = ConvPlan::new(&ctx, *conv).unwrap();
        let mut out = vec![f32::NAN; conv.y_len()];
        let mut scratch = vec![f32::NAN; plan.forward_scratch_len()];
        plan.forward(&ctx, &want, w, &Epilogue::default(), &mut out, &mut scratch);
        want = out;
    }
    assert!(y == want);
}

#[test]
fn pooling() {
    let mut noise = Noise::new(114);
    let ctx = context();
    let pool = Pooling {
        batch: 1,
        height: 4,
        width: 5,
        channels: 17,
        kernel: [3, 2],
        stride: [2, 2],
        padding: [1, 0, 0, 1],
    };
    let naive =
        Pool { planes: 17, size: [4, 5], kernel: pool.kernel, stride: pool.stride, padding: pool.padding };
    let x = noise.vector(17 * 20);
    let dy = noise.vector(17 * pool.out_height() * pool.out_width());
    let (xs, dys) = (to_nhwc(&ctx, 1, 17, &x), to_nhwc(&ctx, 1, 17, &dy));
    let (mut y, mut dx) = (vec![f32::NAN; pool.y_len()], vec![f32::NAN; pool.x_len()]);
    let mut argmax = vec![0; pool.y_len()];
    max_pool(&ctx, &pool, &xs, &mut y, Some(&mut argmax));
    max_pool_backward(&ctx, &pool, &dys, &argmax, &mut dx, false);
    assert_eq!(widen(&to_nchw(&ctx, 1, 17, &y)), naive.max(&widen(&x)));
    let want = naive.max_backward(&widen(&x), &widen(&dy));
    assert!(relative_error(&to_nchw(&ctx, 1, 17, &dx), &want) < 1e-6);
    average_pool(&ctx, &pool, false, &xs, &mut y);
    average_pool_backward(&ctx, &pool, false, &dys, &mut dx, false);
    assert!(relative_error(&to_nchw(&ctx, 1, 17, &y), &naive.average(&widen(&x), false)) < 1e-6);
    let want = naive.average_backward(&widen(&dy), false);
    assert!(relative_error(&to_nchw(&ctx, 1, 17, &dx), &want) < 1e-6);
    let all = AdaptivePooling { batch: 1, input: [4, 5], out: [1, 1], channels: 17 };
    let mut mean = vec![f32::NAN; channel_stride(17)];
    adaptive_average_pool(&ctx, &all, &xs, &mut mean);
    adaptive_average_pool_backward(&ctx, &all, &mean, &mut dx, false);
    let want: Vec<f64> = widen(&x).chunks_exact(20).map(|plane| plane.iter().sum::<f64>() / 20.0).collect();
    assert!(relative_error(&mean[..17], &want) < 1e-6);
    assert!((f64::from(dx[0]) - want[0] / 20.0).abs() < 1e-6);
}

#[test]
fn statistics_and_elementwise_kernels() {
    let mut noise = Noise::new(115);
    let ctx = context();
    let shape = Rows::new(6, 17);
    let x = noise.vector(6 * 17);
    let xs = to_nhwc(&ctx, 1, 17, &x);
    let (mut mean, mut variance, mut sums) = ([f32::NAN; 32], [f32::NAN; 32], [f32::NAN; 32]);
    batch_statistics(&ctx, shape, &xs, &mut mean, &mut variance);
    column_sums(&ctx, shape, &xs, &mut sums);
    let naive = BatchNorm { batch: 1, channels: 17, pixels: 6, eps: 0.0 };
    let want = naive.statistics(&widen(&x));
    assert!(relative_error(&mean[..17], &want.0) < 1e-6 && relative_error(&variance[..17], &want.1) < 1e-6);
    assert!((sums[3] - 6.0 * mean[3]).abs() < 1e-5);
    let mut y = Buffer::zeroed(shape.len());
    scale_shift(&ctx, shape, &xs, &mean, &variance, Some(&xs), Activation::Relu, &mut y);
    let want = xs[5] * mean[5] + variance[5] + xs[5];
    assert!((y[5] - want.max(0.0)).abs() < 1e-5);
    let mut z = vec![f32::NAN; shape.len()];
    add(&ctx, &xs, &y, &mut z);
    assert_eq!(z[40], xs[40] + y[40]);
    activation_forward(&ctx, shape, Activation::Sigmoid, &xs, &mut z);
    assert!((z[4] - 1.0 / (1.0 + (-xs[4]).exp())).abs() < 1e-6 && z[31] == 0.0);
    activation_backward(&ctx, shape, Activation::HardSwish, &xs, &xs, &mut z, false);
    channel_scale(&ctx, shape, 1, &xs, &mean, &mut z);
    assert_eq!(z[33], xs[33] * mean[1]);
    let mut dgate = [f32::NAN; 32];
    channel_scale_backward(&ctx, shape, 1, &xs, &mean, &xs, &mut z, true, &mut dgate);
    let want: f32 = (0..6).map(|row| xs[row * 32 + 2] * xs[row * 32 + 2]).sum();
    assert!((dgate[2] - want).abs() < 1e-5);
    fill_zero(&ctx, &mut y);
    assert!(y.iter().all(|v| *v == 0.0));
}

#[test]
fn batch_normalisation_backward() {
    let mut noise = Noise::new(116);
    let ctx = context();
    let shape = Rows::new(5, 17);
    let [x, dy] = [(); 2].map(|()| to_nhwc(&ctx, 1, 17, &noise.vector(5 * 17)));
    let (gamma, zero, one) = (to_nhwc(&ctx, 1, 17, &noise.vector(17)), [0.0; 32], [1.0; 32]);
    let (mut dx, mut dresidual) = (vec![f32::NAN; shape.len()], vec![1.0; shape.len()]);
    let (mut dgamma, mut dbeta) = ([f32::NAN; 32], [f32::NAN; 32]);
    let input = BatchNormBackward {
        x: &x,
        y: &x,
        residual: Some(&x),
        dy: &dy,
        gamma: &gamma,
        beta: &zero,
        mean: &zero,
        inv_std: &one,
        activation: Activation::Identity,
    };
    let output = BatchNormGradients {
        dx: &mut dx,
        dgamma: &mut dgamma,
        dbeta: &mut dbeta,
        dresidual: Some((&mut dresidual, true)),
    };
    batch_norm_backward(&ctx, shape, &input, output);
    let sum: f32 = (0..5).map(|row| dy[row * 32 + 3]).sum();
    let product: f32 = (0..5).map(|row| dy[row * 32 + 3] * x[row * 32 + 3]).sum();
    assert!((dbeta[3] - sum).abs() < 1e-5 && (dgamma[3] - product).abs() < 1e-5);
    let want = gamma[3] * (dy[35] - sum / 5.0 - x[35] * product / 5.0);
    assert!((dx[35] - want).abs() < 1e-5 && dx[17] == 0.0);
    assert!((dresidual[35] - 1.0 - dy[35]).abs() < 1e-6);
}
