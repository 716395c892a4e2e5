//! AlexNet in the one-tower form that torchvision uses.
//!
//! Five convolutions with bias and without normalisation, three of them followed by maximum pooling, and three fully
//! connected layers. Local response normalisation and the split over two devices are gone, as in the second paper.
//!
//! **Small images** (shorter side up to 64 pixels): the 11x11 convolution with stride 4 and the 5x5 one become 3x3 with
//! stride 2 and 1, the pooling windows 2x2, and a pooling is left out where the map has become smaller than its window.
//! **Head.** Maps of at most 6x6 are flattened as they are (6x6 at 224x224); larger ones are averaged to 6x6 where
//! PyTorch's adaptive pooling is a plain average pooling, and globally where it is not.
//!
//! # Source
//! Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks, 2012;
//! Krizhevsky: One weird trick for parallelizing convolutional neural networks, 2014 (arXiv 1404.5997); layer names from
//! torchvision's `models/alexnet.py`.

use oculist_graph::{Conv, Flatten, Graph, GraphError, Op};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Net, Norm, scaled};
use crate::options::BuildOptions;

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 1] = [ArchitectureInfo {
    name: "alexnet",
    aliases: &["alex_net"],
    family: Family::AlexNet,
    description: "five convolutions and three wide linear layers, no normalisation; of historical interest",
    paper: "Krizhevsky, One weird trick for parallelizing convolutional neural networks, arXiv 1404.5997",
    year: 2012,
    input_sizes: &[32, 64, 224],
    native_input: (3, 224, 224),
    native_classes: 1000,
    params: 61_100_840,
    macs: 714_188_480,
    build,
}];

fn build(options: &BuildOptions) -> Result<Graph, GraphError> {
    let (mut net, mut x) = Net::new("alexnet", options, Norm::DEFAULT);
    let small = options.small_stem();
    let (stem, second) = if small {
        (Conv::square(3, 2, 1), Conv::square(3, 1, 1))
    } else {
        (Conv::square(11, 4, 2), Conv::square(5, 1, 2))
    };
    let third = Conv::square(3, 1, 1);
    let layers = [
        (0, 64, stem, true),
        (3, 192, second, true),
        (6, 384, third.clone(), false),
        (8, 256, third.clone(), false),
        (10, 256, third, true),
    ];
    for (index, channels, conv, pooled) in layers {
        x = net.conv(&format!("features.{index}"), x, scaled(channels, options), conv, true);
        x = net.relu(&format!("features.{}", index + 1), x);
        if pooled {
            let name = format!("features.{}", index + 2);
            x = if small {
                net.max_pool_while_possible(&name, x, 2, 2)
            } else {
                net.max_pool(&name, x, 3, 2, 0)
            };
        }
    }
    let (_, h, w) = net.chw(x);
    let mut y = if h <= 6 && w <= 6 {
        net.op("flatten", Op::Flatten(Flatten::IMAGES), &[x])
    } else if let Some(pooled) = net.adaptive_average_pool("avgpool", x, 6) {
        net.op("flatten", Op::Flatten(Flatten::IMAGES), &[pooled])
    } else {
        net.global_pool(x)
    };
    let hidden = scaled(4096, options);
    for i in [0, 3] {
        y = net.dropout(&format!("classifier.{i}"), y, options, 0.5);
        y = net.linear(&format!("classifier.{}", i + 1), y, hidden);
        y = net.relu(&format!("classifier.{}", i + 2), y);
    }
    let logits = net.linear("classifier.6", y, options.num_classes);
    net.finish(logits)
}
