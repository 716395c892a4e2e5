//! RepVGG-A0.
//!
//! Trained with three branches a layer, deployed with one: `y = relu(norm(conv3x3(x)) + norm(conv1x1(x)) + norm(x))`, the last
//! where the shape stays. All three are linear in inference, so `oculist_passes::reparameterize`, which `export --fold`
//! applies, makes them a single 3x3 convolution with bias, and the deployed network is a plain chain. A stem, four stages, global
//! average pooling and a linear classifier.
//!
//! **Small images**: up to 64 pixels the stem has stride 1, up to 32 pixels the first stage too (its first layer then has the third
//! branch), so that the last map keeps about 4x4 pixels.
//!
//! # Source
//! Ding et al.: RepVGG: Making VGG-style ConvNets Great Again, 2021 (arXiv 2101.03697); layer names from timm's
//! `repvgg_a0`.

use oculist_graph::{Conv, Graph, GraphError, ValueId};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Net, Norm, scaled};
use crate::options::BuildOptions;

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 1] = [ArchitectureInfo {
    name: "repvgg_a0",
    aliases: &[],
    family: Family::RepVgg,
    description: "three branches a layer in training, one 3x3 convolution when deployed",
    paper: "Ding et al., RepVGG: Making VGG-style ConvNets Great Again, arXiv 2101.03697",
    year: 2021,
    input_sizes: &[32, 64, 128, 224],
    native_input: (3, 224, 224),
    native_classes: 1000,
    params: 9_108_968,
    macs: 1_512_581_120,
    build,
}];

/// Channels and layers of the stages.
const STAGES: [(usize, usize); 4] = [(48, 2), (96, 4), (192, 14), (1280, 1)];

fn build(options: &BuildOptions) -> Result<Graph, GraphError> {
    let (mut net, x) = Net::new("repvgg_a0", options, Norm::DEFAULT);
    let stem = if options.small_stem() { 1 } else { 2 };
    let mut x = layer(&mut net, "stem", x, scaled(48, options), stem);
    for (stage, (channels, layers)) in STAGES.into_iter().enumerate() {
        for i in 0..layers {
            let stride = if i > 0 || (stage == 0 && options.tiny()) { 1 } else { 2 };
            x = layer(&mut net, &format!("stages.{stage}.{i}"), x, scaled(channels, options), stride);
        }
    }
    let y = net.global_pool(x);
    let y = net.dropout("head.drop", y, options, 0.0);
    let y = net.linear("head.fc", y, options.num_classes);
    net.finish(y)
}

fn layer(net: &mut Net, name: &str, x: ValueId, c_out: usize, stride: usize) -> ValueId {
    let (c_in, _, _) = net.chw(x);
    let identity = (stride == 1 && c_in == c_out).then(|| net.batch_norm(&format!("{name}.identity"), x));
    let mut branch = |part: &str, conv: Conv| {
        let y = net.conv(&format!("{name}.{part}.conv"), x, c_out, conv, false);
        net.batch_norm(&format!("{name}.{part}.bn"), y)
    };
    let window = branch("conv_kxk", Conv::square(3, stride, 1));
    let point = branch("conv_1x1", Conv::square(1, stride, 0));
    let mut y = net.add(&format!("{name}.add"), window, point);
    if let Some(identity) = identity {
        y = net.add(&format!("{name}.add_identity"), y, identity);
    }
    net.relu(&format!("{name}.act"), y)
}
