//! EfficientNet-B0 and EfficientNetV2-S.
//!
//! A 3x3 stem, inverted residual blocks (1x1 expansion, depthwise convolution, squeeze-and-excitation gate, linear 1x1
//! projection; a shortcut where shape allows it), a 1x1 convolution to 1280 channels, global average pooling, dropout and a
//! linear classifier. The first stages of V2 have fused blocks: a 3x3 convolution instead of expansion and depthwise convolution, no
//! gate. All activations are SiLU, `x * sigmoid(x)`; a gate has a quarter of the channels that its block reads. Batch normalisation
//! has eps 1e-5 in B0 and 1e-3 in V2-S.
//!
//! Stochastic depth, which drops whole blocks while training, is not in the graph.
//!
//! **Small images**, as for the MobileNets: up to 64 pixels the stem has stride 1, up to 32 pixels the first block that would halve the
//! map too, so that the last map keeps about 4x4 pixels.
//!
//! # Source
//! Tan, Le: EfficientNet, 2019 (arXiv 1905.11946); Tan, Le: EfficientNetV2, 2021 (arXiv 2104.00298); layer names from
//! torchvision's `models/efficientnet.py`.

use oculist_graph::{Conv, Graph, GraphError, Unary, ValueId};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Activation, Net, Norm, scaled};
use crate::options::BuildOptions;

const fn entry(
    name: &'static str,
    aliases: &'static [&'static str],
    (paper, year): (&'static str, u16),
    description: &'static str,
    side: usize,
    (params, macs): (u64, u64),
    build: fn(&BuildOptions) -> Result<Graph, GraphError>,
) -> ArchitectureInfo {
    ArchitectureInfo {
        name,
        aliases,
        family: Family::EfficientNet,
        description,
        paper,
        year,
        input_sizes: &[32, 64, 96, 128, 224, 384],
        native_input: (3, side, side),
        native_classes: 1000,
        params,
        macs,
        build,
    }
}

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 2] = [
    entry(
        "efficientnet_b0",
        &[],
        ("Tan and Le, EfficientNet, arXiv 1905.11946", 2019),
        "gated inverted residual blocks, searched for few multiply-adds",
        224,
        (5_288_548, 385_814_752),
        |o| build("efficientnet_b0", &B0, (Norm::DEFAULT, 32), o),
    ),
    entry(
        "efficientnet_v2_s",
        &["efficientnetv2_s"],
        ("Tan and Le, EfficientNetV2, arXiv 2104.00298", 2021),
        "the same with plain 3x3 convolutions in the first stages, searched for training speed",
        384,
        (21_458_488, 8_365_617_152),
        |o| build("efficientnet_v2_s", &V2_S, (Norm::MILLI, 24), o),
    ),
];

/// A row of the papers' tables.
struct Stage {
    fused: bool,
    expansion: usize,
    kernel: usize,
    stride: usize,
    channels: usize,
    blocks: usize,
}

const fn stage(
    fused: bool,
    expansion: usize,
    kernel: usize,
    stride: usize,
    channels: usize,
    blocks: usize,
) -> Stage {
    Stage { fused, expansion, kernel, stride, channels, blocks }
}

const B0: [Stage; 7] = [
    stage(false, 1, 3, 1, 16, 1),
    stage(false, 6, 3, 2, 24, 2),
    stage(false, 6, 5, 2, 40, 2),
    stage(false, 6, 3, 2, 80, 3),
    stage(false, 6, 5, 1, 112, 3),
    stage(false, 6, 5, 2, 192, 4),
    stage(false, 6, 3, 1, 320, 1),
];

const V2_S: [Stage; 6] = [
    stage(true, 1, 3, 1, 24, 2),
    stage(true, 4, 3, 2, 48, 4),
    stage(true, 4, 3, 2, 64, 4),
    stage(false, 4, 3, 2, 128, 6),
    stage(false, 6, 3, 1, 160, 9),
    stage(false, 6, 3, 2, 256, 15),
];

const SILU: Option<Activation> = Some(Activation::Silu);

fn build(
    name: &str,
    stages: &[Stage],
    (norm, stem): (Norm, usize),
    options: &BuildOptions,
) -> Result<Graph, GraphError> {
    let (mut net, x) = Net::new(name, options, norm);
    let conv = Conv::square(3, if options.small_stem() { 1 } else { 2 }, 1);
    let mut x = net.conv_norm_act("features.0", x, scaled(stem, options), conv, SILU);
    for (s, stage) in stages.iter().enumerate() {
        for i in 0..stage.blocks {
            let stride = if i > 0 || (s == 1 && options.tiny()) { 1 } else { stage.stride };
            let name = format!("features.{}.{i}", s + 1);
            x = block(&mut net, &name, x, stage, stride, scaled(stage.channels, options));
        }
    }
    let last = scaled(1280, options);
    x = net.conv_norm_act(&format!("features.{}", stages.len() + 1), x, last, Conv::square(1, 1, 0), SILU);
    let y = net.global_pool(x);
    let y = net.dropout("classifier.0", y, options, 0.2);
    let y = net.linear("classifier.1", y, options.num_classes);
    net.finish(y)
}

fn block(net: &mut Net, name: &str, x: ValueId, stage: &Stage, stride: usize, c_out: usize) -> ValueId {
    let (c_in, _, _) = net.chw(x);
    let hidden = c_in * stage.expansion;
    let window = Conv::square(stage.kernel, stride, stage.kernel / 2);
    let mut part = 0;
    let mut next = || {
        part += 1;
        format!("{name}.block.{}", part - 1)
    };
    let mut y = x;
    if stage.fused && stage.expansion == 1 {
        y = net.conv_norm_act(&next(), y, c_out, window, SILU);
    } else {
        if stage.fused {
            y = net.conv_norm_act(&next(), y, hidden, window, SILU);
        } else {
            if stage.expansion != 1 {
                y = net.conv_norm_act(&next(), y, hidden, Conv::square(1, 1, 0), SILU);
            }
            y = net.conv_norm_act(&next(), y, hidden, window.with_groups(hidden), SILU);
            y = net.gate(&next(), y, (c_in / 4).max(1), Activation::Silu, Unary::Sigmoid);
        }
        y = net.conv_norm_act(&next(), y, c_out, Conv::square(1, 1, 0), None);
    }
    if stride == 1 && c_in == c_out { net.add(&format!("{name}.add"), y, x) } else { y }
}
