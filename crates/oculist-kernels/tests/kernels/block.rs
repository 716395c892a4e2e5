//! The fused inverted residual block against the layers one by one.

use oculist_kernels::{
    Activation, BlockLayer, BlockLayers, BlockPlan, Context, Conv2d, ConvPlan, Epilogue, InvertedResidual,
    KernelError,
};
use oculist_testing::reference::{Noise, relative_error, widen};

use crate::contexts;

fn block(
    batch: usize,
    size: [usize; 2],
    channels: [usize; 3],
    kernel: usize,
    stride: usize,
) -> InvertedResidual {
    let [c_in, wide, c_out] = channels;
    let expand = (wide != c_in).then(|| Conv2d::square(batch, size, [c_in, wide], 1, 1, 0));
    let depthwise =
        Conv2d { groups: wide, ..Conv2d::square(batch, size, [wide, wide], kernel, stride, kernel / 2) };
    let out = [depthwise.out_height(), depthwise.out_width()];
    InvertedResidual { expand, depthwise, project: Conv2d::square(batch, out, [wide, c_out], 1, 1, 0) }
}

/// Random values with zeros in the padded lanes.
fn pixels(noise: &mut Noise, len: usize, channels: usize) -> Vec<f32> {
    let stride = oculist_kernels::channel_stride(channels);
    (0..len).map(|i| if i % stride < channels { noise.signed() } else { 0.0 }).collect()
}

struct Parameters {
    weights: [Vec<f32>; 3],
    biases: [Vec<f32>; 3],
}

impl Parameters {
    fn new(block: &InvertedResidual, noise: &mut Noise) -> Self {
        let convs = [block.expand.unwrap_or(block.project), block.depthwise, block.project];
        Self {
            weights: convs.map(|conv| {
                let n = conv.c_out * (conv.c_in / conv.groups) * conv.taps();
                oculist_kernels::pack_weights(&conv, &noise.vector(n))
            }),
            biases: convs.map(|conv| pixels(noise, conv.y_stride(), conv.c_out)),
        }
    }

    fn layer(&self, i: usize, activation: Activation) -> BlockLayer<'_> {
        BlockLayer { weights: &self.weights[i], bias: Some(&self.biases[i]), activation }
    }
}

const RELU6: Activation = Activation::Clip { min: 0.0, max: 6.0 };

/// One layer through a plan of its own.
fn layer(ctx: &Context, conv: Conv2d, x: &[f32], layer: &BlockLayer, residual: Option<&[f32]>) -> Vec<f32> {
    let plan = ConvPlan::new(ctx, conv).unwrap();
    let mut y = vec![f32::NAN; conv.y_len()];
    let mut scratch = vec![f32::NAN; plan.forward_scratch_len()];
    let epilogue = Epilogue { bias: layer.bias, residual, activation: layer.activation };
    plan.forward(ctx, x, layer.weights, &epilogue, &mut y, &mut scratch);
    y
}

#[test]
fn fused_equals_layer_by_layer() {
    let mut noise = Noise::new(60);
    let cases = [
        block(1, [9, 7], [5, 18, 6], 3, 1),
        block(2, [112, 56], [16, 96, 24], 3, 2),
        block(3, [56, 56], [24, 144, 24], 3, 1),
        block(1, [41, 60], [24, 150, 40], 5, 2),
        block(9, [14, 14], [64, 384, 64], 5, 1),
        block(2, [60, 60], [32, 32, 16], 3, 1),
        block(1, [1, 1], [16, 48, 16], 3, 1),
    ];
    for block in cases {
        let parameters = Parameters::new(&block, &mut noise);
        let source = block.expand.unwrap_or(block.depthwise);
        let x = pixels(&mut noise, source.x_len(), source.c_in);
        let residual = pixels(&mut noise, block.project.y_len(), block.project.c_out);
        let layers = BlockLayers {
            expand: block.expand.map(|_| parameters.layer(0, RELU6)),
            depthwise: parameters.layer(1, Activation::HardSwish),
            project: parameters.layer(2, Activation::Identity),
            residual: Some(&residual),
        };
        for ctx in contexts() {
            let expanded = match (block.expand, &layers.expand) {
                (Some(conv), Some(parameters)) => layer(&ctx, conv, &x, parameters, None),
                _ => x.clone(),
            };
            let convolved = layer(&ctx, block.depthwise, &expanded, &layers.depthwise, None);
            let want = layer(&ctx, block.project, &convolved, &layers.project, Some(&residual));
            let plan = BlockPlan::new(&ctx, block).unwrap();
            let mut y = vec![f32::NAN; want.len()];
            let mut scratch = vec![f32::NAN; plan.scratch_len()];
            plan.run(&ctx, &x, &layers, &mut y, &mut scratch);
            assert!(y == want, "{} on {}", plan.describe(), ctx.isa());
            y[0] += 1e-3;
            assert!(relative_error(&y, &widen(&want)) > 0.0, "the comparison accepts a wrong pixel");
        }
    }
}

#[test]
fn what_is_no_inverted_residual_is_refused() {
    let ctx = Context::new(1).unwrap();
    let good = block(1, [9, 9], [16, 96, 24], 3, 1);
    assert!(BlockPlan::new(&ctx, good).is_ok());
    let wide = Conv2d::square(1, [9, 9], [16, 80], 1, 1, 0);
    let spatial = Conv2d::square(1, [9, 9], [16, 96], 3, 1, 1);
    let dense = Conv2d { groups: 1, ..good.depthwise };
    for bad in [
        InvertedResidual { expand: Some(wide), ..good },
        InvertedResidual { expand: Some(spatial), ..good },
        InvertedResidual { depthwise: dense, ..good },
        InvertedResidual { project: Conv2d { height: 8, ..good.project }, ..good },
    ] {
        assert!(matches!(BlockPlan::new(&ctx, bad), Err(KernelError::Geometry { .. })), "{bad:?}");
    }
}
