//! MobileNetV1.
//!
//! A 3x3 stem, thirteen depthwise separable convolutions (3x3 depthwise and 1x1, each with normalisation and ReLU6), global average
//! pooling, dropout and a linear classifier.
//!
//! **Small images**: up to 64 pixels the stem has stride 1, up to 32 pixels the first block that would halve the map too, so
//! that the last map keeps about 4x4 pixels.
//!
//! # Source
//! Howard et al.: MobileNets, 2017 (arXiv 1704.04861); layer names and ReLU6 (the paper says ReLU, the
//! reference code has ReLU6) from timm's `mobilenetv1_100`.

use oculist_graph::{Conv, Graph, GraphError};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Activation, Net, Norm, scaled};
use crate::options::BuildOptions;

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 1] = [ArchitectureInfo {
    name: "mobilenet_v1",
    aliases: &["mobilenetv1_100", "mobilenetv1"],
    family: Family::MobileNetV1,
    description: "depthwise separable convolutions in a plain chain",
    paper: "Howard et al., MobileNets, arXiv 1704.04861",
    year: 2017,
    input_sizes: &[32, 64, 96, 128, 224],
    native_input: (3, 224, 224),
    native_classes: 1000,
    params: 4_231_976,
    macs: 568_740_352,
    build,
}];

/// Channels, number of blocks, stride of the first: table 1 of the paper.
const STAGES: [(usize, usize, usize); 5] = [(64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2)];

fn build(options: &BuildOptions) -> Result<Graph, GraphError> {
    let (mut net, x) = Net::new("mobilenet_v1", options, Norm::DEFAULT);
    let stem = Conv::square(3, if options.small_stem() { 1 } else { 2 }, 1);
    let mut x = net.conv("conv_stem", x, scaled(32, options), stem, false);
    x = net.batch_norm("bn1", x);
    x = net.activation("act1", x, Activation::Relu6);
    for (stage, (channels, blocks, stride)) in STAGES.into_iter().enumerate() {
        for i in 0..blocks {
            let name = format!("blocks.{stage}.{i}");
            let stride = if i > 0 || (stage == 1 && options.tiny()) { 1 } else { stride };
            let (c_in, _, _) = net.chw(x);
            let depthwise = Conv::square(3, stride, 1).with_groups(c_in);
            x = net.conv(&format!("{name}.conv_dw"), x, c_in, depthwise, false);
            x = net.batch_norm(&format!("{name}.bn1"), x);
            x = net.activation(&format!("{name}.act1"), x, Activation::Relu6);
            let c_out = scaled(channels, options);
            x = net.conv(&format!("{name}.conv_pw"), x, c_out, Conv::square(1, 1, 0), false);
            x = net.batch_norm(&format!("{name}.bn2"), x);
            x = net.activation(&format!("{name}.act2"), x, Activation::Relu6);
        }
    }
    let y = net.global_pool(x);
    let y = net.dropout("dropout", y, options, 0.2);
    let y = net.linear("classifier", y, options.num_classes);
    net.finish(y)
}
