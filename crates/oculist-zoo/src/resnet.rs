//! Residual networks for ImageNet and their descendants: ResNet-18 to -152, Wide ResNet, ResNeXt, SE-ResNet, and forms
//! with group and instance normalisation.
//!
//! A stem, four stages of residual blocks with 64, 128, 256 and 512 channels, global average pooling, a linear
//! classifier. ResNet-18 and -34 use two 3x3 convolutions a block, the others the bottleneck 1x1, 3x3, 1x1 with four
//! times the channels at its end; as in torchvision the 3x3 convolution carries the stride (the paper's first 1x1
//! does). Shortcuts that change the shape are 1x1 convolutions with normalisation (option B).
//!
//! - **Wide ResNet** doubles the channels of the 3x3 convolutions of ResNet-50.
//! - **ResNeXt-50 32x4d** gives them 32 groups of 4 channels (8, 16, 32 in later stages).
//! - **SE-ResNet** multiplies each block's result, before the shortcut is added, by a gate of 1/16 of its channels (to a multiple of
//!   8), as timm's `seresnet*` do.
//! - `resnet18_gn`, `resnet50_gn`: group normalisation with 32 groups (`resnet50_gn` is timm's); `resnet18_in`: instance
//!   normalisation. The same can be had of every architecture by [`crate::BuildOptions::normalization`].
//! - `resnet18_spp`: spatial pyramid pooling instead of the average, by [`crate::BuildOptions::head`].
//!
//! **Stem.** Large: 7x7 convolution with stride 2 and 3x3 maximum pooling with stride 2. Small (shorter side up to 64
//! pixels): 3x3 convolution with stride 1, no pooling.
//!
//! # Source
//! He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2015 (arXiv 1512.03385); Zagoruyko, Komodakis: Wide
//! Residual Networks, 2016 (arXiv 1605.07146); Xie, Girshick, Dollár, Tu, He: Aggregated Residual Transformations, 2016 (arXiv
//! 1611.05431); Hu et al.: Squeeze-and-Excitation Networks, 2017 (arXiv 1709.01507). Layer names and the place of the
//! stride from torchvision's `models/resnet.py`, the gate's names from timm's `models/resnet.py`.

mod entries;

use oculist_graph::{Conv, Graph, GraphError, Unary, ValueId};

use crate::layers::{Activation, Net, Norm, scaled};
use crate::options::BuildOptions;
pub(crate) use entries::ENTRIES;

/// What distinguishes the members of the family.
#[derive(Debug, Clone, Copy)]
struct Form {
    /// Blocks in each stage.
    blocks: [usize; 4],
    /// Bottlenecks instead of two 3x3 convolutions.
    bottleneck: bool,
    /// Groups of the bottlenecks' 3x3 convolutions.
    groups: usize,
    /// Channels of each group in the first stage.
    group_width: usize,
    /// Whether blocks are gated.
    gate: bool,
}

impl Form {
    const fn basic(blocks: [usize; 4]) -> Self {
        Self { blocks, bottleneck: false, groups: 1, group_width: 64, gate: false }
    }

    const fn bottleneck(blocks: [usize; 4]) -> Self {
        Self { bottleneck: true, ..Self::basic(blocks) }
    }
}

fn build(name: &str, form: Form, options: &BuildOptions) -> Result<Graph, GraphError> {
    let (mut net, x) = Net::new(name, options, Norm::DEFAULT);
    let small = options.small_stem();
    let stem = if small { Conv::square(3, 1, 1) } else { Conv::square(7, 2, 3) };
    let mut x = net.conv("conv1", x, scaled(64, options), stem, false);
    x = net.batch_norm("bn1", x);
    x = net.relu("relu", x);
    if !small {
        x = net.max_pool("maxpool", x, 3, 2, 1);
    }
    for (stage, planes) in [64, 128, 256, 512].into_iter().enumerate() {
        for i in 0..form.blocks[stage] {
            let stride = if stage > 0 && i == 0 { 2 } else { 1 };
            let name = format!("layer{}.{i}", stage + 1);
            x = block(&mut net, &name, x, form, scaled(planes, options), stride);
        }
    }
    let y = net.global_pool(x);
    let y = net.dropout("dropout", y, options, 0.0);
    let y = net.linear("fc", y, options.num_classes);
    net.finish(y)
}

fn block(net: &mut Net, name: &str, x: ValueId, form: Form, planes: usize, stride: usize) -> ValueId {
    let layers = if form.bottleneck {
        let inner = (planes * form.group_width / 64).max(1) * form.groups;
        vec![
            (inner, Conv::square(1, 1, 0)),
            (inner, Conv::square(3, stride, 1).with_groups(form.groups)),
            (4 * planes, Conv::square(1, 1, 0)),
        ]
    } else {
        vec![(planes, Conv::square(3, stride, 1)), (planes, Conv::square(3, 1, 1))]
    };
    let last = layers.len();
    let mut y = x;
    for (i, (c_out, conv)) in layers.into_iter().enumerate() {
        let i = i + 1;
        y = net.conv(&format!("{name}.conv{i}"), y, c_out, conv, false);
        y = net.batch_norm(&format!("{name}.bn{i}"), y);
        if i < last {
            y = net.relu(&format!("{name}.relu{i}"), y);
        }
    }
    let (c_out, _, _) = net.chw(y);
    if form.gate {
        y = net.gate(&format!("{name}.se"), y, squeezed(c_out), Activation::Relu, Unary::Sigmoid);
    }
    let shortcut = if stride > 1 || net.chw(x).0 != c_out {
        let s = net.conv(&format!("{name}.downsample.0"), x, c_out, Conv::square(1, stride, 0), false);
        net.batch_norm(&format!("{name}.downsample.1"), s)
    } else {
        x
    };
    let y = net.add(&format!("{name}.add"), y, shortcut);
    net.relu(&format!("{name}.relu{last}"), y)
}

/// Channels within the gate of a block with `channels`: a sixteenth, to the nearest multiple of 8, at least 8.
///
/// # Source
/// timm's `make_divisible(channels / 16, 8, round_limit=0)`.
fn squeezed(channels: usize) -> usize {
    ((channels as f64 / 16.0 + 4.0) / 8.0).floor().max(1.0) as usize * 8
}
