//! MobileNetV2.
//!
//! A 3x3 stem, seventeen inverted residual blocks (1x1 expansion, 3x3 depthwise convolution, linear 1x1 projection; a
//! shortcut where shape allows it), a 1x1 convolution to 1280 channels, global average pooling, dropout and a linear
//! classifier. All activations are ReLU6.
//!
//! **Small images**, as is usual for CIFAR: up to 64 pixels the stem has stride 1, up to 32 pixels the first block
//! with 24 channels too, so that the last map keeps about 4x4 pixels.
//! **Width** scales all channels; the last 1280 only upwards, as in the paper.
//!
//! # Source
//! Sandler, Howard, Zhu, Zhmoginov, Chen: MobileNetV2: Inverted Residuals and Linear Bottlenecks, 2018
//! (arXiv 1801.04381); layer names from torchvision's `models/mobilenetv2.py`.

use oculist_graph::{Conv, Graph, GraphError, ValueId};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Activation, Net, Norm, make_divisible, scaled};
use crate::options::BuildOptions;

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 1] = [ArchitectureInfo {
    name: "mobilenet_v2",
    aliases: &["mobilenetv2"],
    family: Family::MobileNetV2,
    description: "inverted residual blocks with depthwise convolutions; small, and quantises well",
    paper: "Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, arXiv 1801.04381",
    year: 2018,
    input_sizes: &[32, 64, 96, 128, 224],
    native_input: (3, 224, 224),
    native_classes: 1000,
    params: 3_504_872,
    macs: 300_774_272,
    build,
}];

/// Expansion, channels, number of blocks, stride of the first: table 2 of the paper.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

fn build(options: &BuildOptions) -> Result<Graph, GraphError> {
    let (mut net, x) = Net::new("mobilenet_v2", options, Norm::DEFAULT);
    let small = options.small_stem();
    let tiny = small && options.short_side() <= 32;
    let stem = Conv::square(3, if small { 1 } else { 2 }, 1);
    let mut x = net.conv_norm_act("features.0", x, scaled(32, options), stem, Some(Activation::Relu6));
    let mut index = 1;
    for (stage, (expansion, channels, blocks, stride)) in STAGES.into_iter().enumerate() {
        for i in 0..blocks {
            let stride = if i > 0 || (stage == 1 && tiny) { 1 } else { stride };
            let name = format!("features.{index}");
            x = block(&mut net, &name, x, expansion, scaled(channels, options), stride);
            index += 1;
        }
    }
    let last = make_divisible(1280.0 * options.width.max(1.0));
    let name = format!("features.{index}");
    x = net.conv_norm_act(&name, x, last, Conv::square(1, 1, 0), Some(Activation::Relu6));
    let y = net.global_pool(x);
    let y = net.dropout("classifier.0", y, options, 0.2);
    let y = net.linear("classifier.1", y, options.num_classes);
    net.finish(y)
}

fn block(net: &mut Net, name: &str, x: ValueId, expansion: usize, c_out: usize, stride: usize) -> ValueId {
    let (c_in, _, _) = net.chw(x);
    let hidden = c_in * expansion;
    let mut y = x;
    let mut part = 0;
    if expansion != 1 {
        let conv = Conv::square(1, 1, 0);
        y = net.conv_norm_act(&format!("{name}.conv.0"), y, hidden, conv, Some(Activation::Relu6));
        part = 1;
    }
    let depthwise = Conv::square(3, stride, 1).with_groups(hidden);
    y = net.conv_norm_act(&format!("{name}.conv.{part}"), y, hidden, depthwise, Some(Activation::Relu6));
    y = net.conv(&format!("{name}.conv.{}", part + 1), y, c_out, Conv::square(1, 1, 0), false);
    y = net.batch_norm(&format!("{name}.conv.{}", part + 2), y);
    if stride == 1 && c_in == c_out { net.add(&format!("{name}.add"), x, y) } else { y }
}
