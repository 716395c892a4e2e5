//! MobileNetV3, small and large.
//!
//! Inverted residual blocks as in MobileNetV2 with, per block, a kernel of 3 or 5, a squeeze-and-excitation gate or
//! none, and ReLU or Hardswish; then a 1x1 convolution, global average pooling, a hidden linear layer with Hardswish,
//! dropout and the classifier. The gate is global pooling, 1x1 convolution to a quarter of the channels, ReLU, 1x1
//! convolution back, Hardsigmoid with slope 1/6. Batch normalisation has eps 1e-3 and momentum 0.01 (0.99 in ONNX's
//! convention).
//!
//! **Small images**, as is usual for CIFAR: up to 64 pixels the stem has stride 1, up to 32 pixels the first
//! block that would halve the map too, so that the last map keeps about 4x4 pixels. (In the small network that block
//! then has a shortcut, because its shape allows it.)
//!
//! # Source
//! Howard et al.: Searching for MobileNetV3, 2019 (arXiv 1905.02244); layer names and rounding from torchvision's
//! `models/mobilenetv3.py`.

use oculist_graph::{Conv, Graph, GraphError, Unary, ValueId};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Activation, Net, Norm, make_divisible, scaled};
use crate::options::BuildOptions;

const PAPER: &str = "Howard et al., Searching for MobileNetV3, arXiv 1905.02244";

const fn entry(
    name: &'static str,
    aliases: &'static [&'static str],
    description: &'static str,
    params: u64,
    macs: u64,
    build: fn(&BuildOptions) -> Result<Graph, GraphError>,
) -> ArchitectureInfo {
    ArchitectureInfo {
        name,
        aliases,
        family: Family::MobileNetV3,
        description,
        paper: PAPER,
        year: 2019,
        input_sizes: &[32, 64, 96, 128, 224],
        native_input: (3, 224, 224),
        native_classes: 1000,
        params,
        macs,
        build,
    }
}

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 2] = [
    entry(
        "mobilenet_v3_small",
        &["mobilenetv3_small"],
        "searched for phones: eleven gated blocks; the least work per photo in this list",
        2_542_856,
        56_510_400,
        |o| build("mobilenet_v3_small", &SMALL, 1024, o),
    ),
    entry(
        "mobilenet_v3_large",
        &["mobilenetv3_large"],
        "searched for phones: fifteen blocks, partly gated",
        5_483_032,
        216_589_760,
        |o| build("mobilenet_v3_large", &LARGE, 1280, o),
    ),
];

/// One row of the paper's tables 1 and 2.
struct Row {
    kernel: usize,
    expanded: usize,
    c_out: usize,
    gate: bool,
    activation: Activation,
    stride: usize,
}

const fn row(
    kernel: usize,
    expanded: usize,
    c_out: usize,
    gate: bool,
    activation: Activation,
    stride: usize,
) -> Row {
    Row { kernel, expanded, c_out, gate, activation, stride }
}

const RE: Activation = Activation::Relu;
const HS: Activation = Activation::HardSwish;

const SMALL: [Row; 11] = [
    row(3, 16, 16, true, RE, 2),
    row(3, 72, 24, false, RE, 2),
    row(3, 88, 24, false, RE, 1),
    row(5, 96, 40, true, HS, 2),
    row(5, 240, 40, true, HS, 1),
    row(5, 240, 40, true, HS, 1),
    row(5, 120, 48, true, HS, 1),
    row(5, 144, 48, true, HS, 1),
    row(5, 288, 96, true, HS, 2),
    row(5, 576, 96, true, HS, 1),
    row(5, 576, 96, true, HS, 1),
];

const LARGE: [Row; 15] = [
    row(3, 16, 16, false, RE, 1),
    row(3, 64, 24, false, RE, 2),
    row(3, 72, 24, false, RE, 1),
    row(5, 72, 40, true, RE, 2),
    row(5, 120, 40, true, RE, 1),
    row(5, 120, 40, true, RE, 1),
    row(3, 240, 80, false, HS, 2),
    row(3, 200, 80, false, HS, 1),
    row(3, 184, 80, false, HS, 1),
    row(3, 184, 80, false, HS, 1),
    row(3, 480, 112, true, HS, 1),
    row(3, 672, 112, true, HS, 1),
    row(5, 672, 160, true, HS, 2),
    row(5, 960, 160, true, HS, 1),
    row(5, 960, 160, true, HS, 1),
];

fn build(name: &str, rows: &[Row], hidden: usize, options: &BuildOptions) -> Result<Graph, GraphError> {
    let (mut net, x) = Net::new(name, options, Norm::MOBILE_V3);
    let small = options.small_stem();
    let mut keep_next = small && options.short_side() <= 32;
    let stem = Conv::square(3, if small { 1 } else { 2 }, 1);
    let mut x = net.conv_norm_act("features.0", x, scaled(16, options), stem, Some(HS));
    for (i, row) in rows.iter().enumerate() {
        let mut stride = row.stride;
        if stride == 2 && keep_next {
            stride = 1;
            keep_next = false;
        }
        x = block(&mut net, &format!("features.{}", i + 1), x, row, stride, options);
    }
    let last = 6 * net.chw(x).0;
    let name = format!("features.{}", rows.len() + 1);
    x = net.conv_norm_act(&name, x, last, Conv::square(1, 1, 0), Some(HS));
    let y = net.global_pool(x);
    let y = net.linear("classifier.0", y, scaled(hidden, options));
    let y = net.activation("classifier.1", y, HS);
    let y = net.dropout("classifier.2", y, options, 0.2);
    let y = net.linear("classifier.3", y, options.num_classes);
    net.finish(y)
}

fn block(net: &mut Net, name: &str, x: ValueId, row: &Row, stride: usize, options: &BuildOptions) -> ValueId {
    let (c_in, _, _) = net.chw(x);
    let (expanded, c_out) = (scaled(row.expanded, options), scaled(row.c_out, options));
    let mut part = 0;
    let mut next = || {
        part += 1;
        format!("{name}.block.{}", part - 1)
    };
    let mut y = x;
    if expanded != c_in {
        y = net.conv_norm_act(&next(), y, expanded, Conv::square(1, 1, 0), Some(row.activation));
    }
    let depthwise = Conv::square(row.kernel, stride, (row.kernel - 1) / 2).with_groups(expanded);
    y = net.conv_norm_act(&next(), y, expanded, depthwise, Some(row.activation));
    if row.gate {
        let squeezed = make_divisible((net.chw(y).0 / 4) as f64);
        let gate = Unary::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 };
        y = net.gate(&next(), y, squeezed, Activation::Relu, gate);
    }
    y = net.conv_norm_act(&next(), y, c_out, Conv::square(1, 1, 0), None);
    if stride == 1 && c_in == c_out { net.add(&format!("{name}.add"), y, x) } else { y }
}
