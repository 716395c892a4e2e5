//! EfficientNet-Lite, 0 to 4.
//!
//! A 3x3 stem, inverted residual blocks as in MobileNetV2 with kernels of 3 or 5, a 1x1 convolution to 1280 channels,
//! global average pooling, dropout and a linear classifier: EfficientNet without what phones' accelerators are slow at.
//! There are no gates, and all activations are ReLU6. Each size scales channels and the number of blocks by a factor, but
//! for the stem, the last 1280 channels, and the number of blocks of the first and the last stage.
//!
//! **Two forms.** `tf_efficientnet_lite*` is the published one: convolutions of stride 2 are padded as TensorFlow's `SAME`
//! (as much as is needed, the odd pixel behind), and batch normalisation has eps 1e-3 and momentum 0.01 (0.99 in ONNX's
//! convention). `efficientnet_lite*` is what timm has under these names: the same padding on both sides and
//! PyTorch's constants. Their weights have the same names and shapes; each computes nonsense with the other's.
//!
//! **Small images**, as for the MobileNets: up to 64 pixels the stem has stride 1, up to 32 pixels the first block with
//! 24 channels too, so that the last map keeps about 4x4 pixels.
//! **Width** scales what the sizes scale.
//!
//! # Source
//! Tan, Le: EfficientNet, 2019 (arXiv 1905.11946), and the README of `efficientnet/lite` in `tensorflow/tpu`, 2020, for
//! the differences and sizes of inputs; layer names as torchvision names MobileNetV2's, which has the same blocks.

use oculist_graph::{Conv, Graph, GraphError, Padding, ValueId, Window};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Activation, Net, Norm, make_divisible};
use crate::options::BuildOptions;

/// What distinguishes the sizes.
#[derive(Debug, Clone, Copy)]
struct Size {
    width: f64,
    depth: f64,
    dropout: f32,
}

const SIZES: [Size; 5] = [
    Size { width: 1.0, depth: 1.0, dropout: 0.2 },
    Size { width: 1.0, depth: 1.1, dropout: 0.2 },
    Size { width: 1.1, depth: 1.2, dropout: 0.3 },
    Size { width: 1.2, depth: 1.4, dropout: 0.3 },
    Size { width: 1.4, depth: 1.8, dropout: 0.3 },
];

/// Whose padding and constants of normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Torch,
    TensorFlow,
}

const fn entry(
    name: &'static str,
    description: &'static str,
    side: usize,
    (params, macs): (u64, u64),
    build: fn(&BuildOptions) -> Result<Graph, GraphError>,
) -> ArchitectureInfo {
    ArchitectureInfo {
        name,
        aliases: &[],
        family: Family::EfficientNetLite,
        description,
        paper: "Tan and Le, EfficientNet, arXiv 1905.11946; sizes of efficientnet/lite in tensorflow/tpu",
        year: 2020,
        input_sizes: &[32, 64, 96, 128, 224, 240, 260, 280, 300],
        native_input: (3, side, side),
        native_classes: 1000,
        params,
        macs,
        build,
    }
}

/// Parameters and multiply-accumulates of each size, the same in both forms.
const COSTS: [(u64, u64); 5] = [
    (4_652_008, 385_187_552),
    (5_416_680, 600_185_232),
    (6_092_072, 859_736_272),
    (8_197_096, 1_383_321_872),
    (13_006_568, 2_553_034_336),
];

const SAME_PADDING: &str = "as its namesake, but padded and normalised as published for TensorFlow";

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 10] = [
    entry(
        "efficientnet_lite0",
        "inverted residual blocks without gates, made to be quantised; the smallest of five",
        224,
        COSTS[0],
        |o| build("efficientnet_lite0", 0, Form::Torch, o),
    ),
    entry("efficientnet_lite1", "the same, deeper", 240, COSTS[1], |o| {
        build("efficientnet_lite1", 1, Form::Torch, o)
    }),
    entry("efficientnet_lite2", "the same, wider", 260, COSTS[2], |o| {
        build("efficientnet_lite2", 2, Form::Torch, o)
    }),
    entry("efficientnet_lite3", "the same, deeper and wider", 280, COSTS[3], |o| {
        build("efficientnet_lite3", 3, Form::Torch, o)
    }),
    entry("efficientnet_lite4", "the same, deepest and widest", 300, COSTS[4], |o| {
        build("efficientnet_lite4", 4, Form::Torch, o)
    }),
    entry("tf_efficientnet_lite0", SAME_PADDING, 224, COSTS[0], |o| {
        build("tf_efficientnet_lite0", 0, Form::TensorFlow, o)
    }),
    entry("tf_efficientnet_lite1", SAME_PADDING, 240, COSTS[1], |o| {
        build("tf_efficientnet_lite1", 1, Form::TensorFlow, o)
    }),
    entry("tf_efficientnet_lite2", SAME_PADDING, 260, COSTS[2], |o| {
        build("tf_efficientnet_lite2", 2, Form::TensorFlow, o)
    }),
    entry("tf_efficientnet_lite3", SAME_PADDING, 280, COSTS[3], |o| {
        build("tf_efficientnet_lite3", 3, Form::TensorFlow, o)
    }),
    entry("tf_efficientnet_lite4", SAME_PADDING, 300, COSTS[4], |o| {
        build("tf_efficientnet_lite4", 4, Form::TensorFlow, o)
    }),
];

/// Kernel, expansion, channels, number of blocks, stride of the first: EfficientNet-B0's table.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (3, 1, 16, 1, 1),
    (3, 6, 24, 2, 2),
    (5, 6, 40, 2, 2),
    (3, 6, 80, 3, 2),
    (5, 6, 112, 3, 1),
    (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
];

fn build(name: &str, size: usize, form: Form, options: &BuildOptions) -> Result<Graph, GraphError> {
    let size = SIZES[size];
    let norm = if form == Form::Torch { Norm::DEFAULT } else { Norm::MOBILE_V3 };
    let (mut net, x) = Net::new(name, options, norm);
    let small = options.small_stem();
    let tiny = small && options.short_side() <= 32;
    let stem = padded(&net, x, 3, if small { 1 } else { 2 }, form);
    let mut x = net.conv_norm_act("features.0", x, 32, stem, Some(Activation::Relu6));
    let mut index = 1;
    for (stage, (kernel, expansion, channels, blocks, stride)) in STAGES.into_iter().enumerate() {
        let blocks = if stage == 0 || stage == STAGES.len() - 1 {
            blocks
        } else {
            (blocks as f64 * size.depth).ceil() as usize
        };
        let channels = make_divisible(channels as f64 * size.width * options.width);
        for i in 0..blocks {
            let stride = if i > 0 || (stage == 1 && tiny) { 1 } else { stride };
            let name = format!("features.{index}");
            x = block(&mut net, &name, x, expansion, channels, (kernel, stride, form));
            index += 1;
        }
    }
    let name = format!("features.{index}");
    x = net.conv_norm_act(&name, x, 1280, Conv::square(1, 1, 0), Some(Activation::Relu6));
    let y = net.global_pool(x);
    let y = net.dropout("classifier.0", y, options, size.dropout);
    let y = net.linear("classifier.1", y, options.num_classes);
    net.finish(y)
}

fn block(
    net: &mut Net,
    name: &str,
    x: ValueId,
    expansion: usize,
    c_out: usize,
    (kernel, stride, form): (usize, usize, Form),
) -> ValueId {
    let (c_in, _, _) = net.chw(x);
    let hidden = c_in * expansion;
    let mut y = x;
    let mut part = 0;
    if expansion != 1 {
        let conv = Conv::square(1, 1, 0);
        y = net.conv_norm_act(&format!("{name}.conv.0"), y, hidden, conv, Some(Activation::Relu6));
        part = 1;
    }
    let depthwise = padded(net, y, kernel, stride, form).with_groups(hidden);
    y = net.conv_norm_act(&format!("{name}.conv.{part}"), y, hidden, depthwise, Some(Activation::Relu6));
    y = net.conv(&format!("{name}.conv.{}", part + 1), y, c_out, Conv::square(1, 1, 0), false);
    y = net.batch_norm(&format!("{name}.conv.{}", part + 2), y);
    if stride == 1 && c_in == c_out { net.add(&format!("{name}.add"), x, y) } else { y }
}

/// A convolution over `x` whose map is `1 / stride` of its, rounded up, in either form.
fn padded(net: &Net, x: ValueId, kernel: usize, stride: usize, form: Form) -> Conv {
    let conv = Conv::square(kernel, stride, kernel / 2);
    if form == Form::Torch {
        return conv;
    }
    let (_, height, width) = net.chw(x);
    // Written as numbers, which other tools read more often than `auto_pad`.
    let same = Window { padding: Padding::SameUpper, ..conv.window.clone() };
    same.plane([height, width]).map_or(conv, |plane| Conv::plane(plane, 1))
}
