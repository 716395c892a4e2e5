//! MobileOne-S0.
//!
//! Trained with many branches a layer, deployed with one: `y = relu(sum_k norm(conv_k(x)) + norm(conv1x1(x)) + norm(x))` with four
//! convolutions `conv_k` of the layer's window, the 1x1 convolution where that window is larger, and the last term where the shape
//! stays. `oculist_passes::reparameterize` makes each layer a single convolution with bias, as it does for RepVGG. A stem
//! with one such convolution, four stages of depthwise 3x3 and 1x1 layers in turn, global average pooling and a linear classifier.
//!
//! **Small images**: up to 64 pixels the stem has stride 1, up to 32 pixels the first stage too (its first layer then has the
//! branch that keeps the map), so that the last map keeps about 4x4 pixels.
//!
//! # Source
//! Vasu, Gabriel, Zhu, Tuzel, Ranjan: MobileOne: An Improved One Millisecond Mobile Backbone, 2022 (arXiv 2206.04040); layer
//! names from timm's `mobileone_s0`.

use oculist_graph::{Conv, Graph, GraphError, ValueId};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Net, Norm, scaled};
use crate::options::BuildOptions;

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 1] = [ArchitectureInfo {
    name: "mobileone_s0",
    aliases: &[],
    family: Family::MobileOne,
    description: "up to six branches a layer in training, depthwise and 1x1 convolutions in a plain chain when deployed",
    paper: "Vasu et al., MobileOne: An Improved One Millisecond Mobile Backbone, arXiv 2206.04040",
    year: 2022,
    input_sizes: &[32, 64, 128, 224],
    native_input: (3, 224, 224),
    native_classes: 1000,
    params: 5_293_272,
    macs: 1_051_935_232,
    build,
}];

/// Channels and pairs of layers of the stages.
const STAGES: [(usize, usize); 4] = [(48, 2), (128, 8), (256, 10), (1024, 1)];

/// Convolutions of the same window in a layer.
const BRANCHES: usize = 4;

fn build(options: &BuildOptions) -> Result<Graph, GraphError> {
    let (mut net, x) = Net::new("mobileone_s0", options, Norm::DEFAULT);
    let stem = Conv::square(3, if options.small_stem() { 1 } else { 2 }, 1);
    let mut x = layer(&mut net, "stem", x, scaled(48, options), &stem, 1);
    for (stage, (channels, pairs)) in STAGES.into_iter().enumerate() {
        for i in 0..pairs {
            let stride = if i > 0 || (stage == 0 && options.tiny()) { 1 } else { 2 };
            let name = |layer: usize| format!("stages.{stage}.{}", 2 * i + layer);
            let (same, _, _) = net.chw(x);
            x = layer(&mut net, &name(0), x, same, &Conv::square(3, stride, 1).with_groups(same), BRANCHES);
            x = layer(&mut net, &name(1), x, scaled(channels, options), &Conv::square(1, 1, 0), BRANCHES);
        }
    }
    let y = net.global_pool(x);
    let y = net.dropout("head.drop", y, options, 0.0);
    let y = net.linear("head.fc", y, options.num_classes);
    net.finish(y)
}

/// A layer of `branches` convolutions, with the 1x1 convolution and the normalisation that belong beside them.
fn layer(net: &mut Net, name: &str, x: ValueId, c_out: usize, conv: &Conv, branches: usize) -> ValueId {
    let (c_in, _, _) = net.chw(x);
    let (kernel, stride, groups) = (conv.window.kernel[0], conv.window.stride[0], conv.groups);
    let identity = (stride == 1 && c_in == c_out).then(|| net.batch_norm(&format!("{name}.identity"), x));
    let mut windows = vec![(String::from("conv_scale"), Conv::square(1, stride, 0).with_groups(groups))];
    windows.truncate(usize::from(kernel > 1));
    windows.extend((0..branches).map(|i| (format!("conv_kxk.{i}"), conv.clone())));
    let mut parts: Vec<ValueId> = Vec::new();
    for (part, conv) in windows {
        let y = net.conv(&format!("{name}.{part}.conv"), x, c_out, conv, false);
        parts.push(net.batch_norm(&format!("{name}.{part}.bn"), y));
    }
    parts.extend(identity);
    let mut parts = parts.into_iter();
    let mut y = parts.next().unwrap_or(x);
    for (i, part) in parts.enumerate() {
        y = net.add(&format!("{name}.add.{i}"), y, part);
    }
    net.relu(&format!("{name}.act"), y)
}
