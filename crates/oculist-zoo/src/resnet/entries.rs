//! The catalogue of the residual networks.

use oculist_graph::{Graph, GraphError};

use super::{Form, build};
use crate::catalog::{ArchitectureInfo, Family};
use crate::options::{BuildOptions, Head, Normalization};

const HE: &str = "He et al., Deep Residual Learning for Image Recognition, arXiv 1512.03385";
const WIDE: &str = "Zagoruyko and Komodakis, Wide Residual Networks, arXiv 1605.07146";
const AGGREGATED: &str =
    "Xie et al., Aggregated Residual Transformations for Deep Neural Networks, arXiv 1611.05431";
const GATED: &str = "Hu et al., Squeeze-and-Excitation Networks, arXiv 1709.01507";
const GROUPS: &str = "Wu and He, Group Normalization, arXiv 1803.08494";
const INSTANCES: &str = "Ulyanov et al., Instance Normalization, arXiv 1607.08022";
const PYRAMID: &str = "He et al., Spatial Pyramid Pooling in Deep Convolutional Networks, arXiv 1406.4729";

/// Groups of the published group normalisation.
const GN: Normalization = Normalization::Group(32);

const fn entry(
    name: &'static str,
    aliases: &'static [&'static str],
    (paper, year): (&'static str, u16),
    description: &'static str,
    (params, macs): (u64, u64),
    build: fn(&BuildOptions) -> Result<Graph, GraphError>,
) -> ArchitectureInfo {
    ArchitectureInfo {
        name,
        aliases,
        family: Family::ResNet,
        description,
        paper,
        year,
        input_sizes: &[32, 64, 128, 224],
        native_input: (3, 224, 224),
        native_classes: 1000,
        params,
        macs,
        build,
    }
}

/// The caller's normalisation, or the architecture's.
fn normalised(own: Normalization, options: &BuildOptions) -> BuildOptions {
    match options.normalization {
        Normalization::Own => options.clone().with_normalization(own),
        _ => options.clone(),
    }
}

const R18: Form = Form::basic([2, 2, 2, 2]);
const R34: Form = Form::basic([3, 4, 6, 3]);
const R50: Form = Form::bottleneck([3, 4, 6, 3]);
const R101: Form = Form::bottleneck([3, 4, 23, 3]);
const R152: Form = Form::bottleneck([3, 8, 36, 3]);

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 13] = [
    entry(
        "resnet18",
        &["resnet_18"],
        (HE, 2015),
        "eight residual blocks; trains and quantises without trouble",
        (11_689_512, 1_814_073_344),
        |o| build("resnet18", R18, o),
    ),
    entry(
        "resnet34",
        &["resnet_34"],
        (HE, 2015),
        "sixteen residual blocks; twice the work of resnet18",
        (21_797_672, 3_663_761_408),
        |o| build("resnet34", R34, o),
    ),
    entry(
        "resnet50",
        &["resnet_50"],
        (HE, 2015),
        "sixteen bottleneck blocks; the usual reference for larger photos",
        (25_557_032, 4_089_184_256),
        |o| build("resnet50", R50, o),
    ),
    entry("resnet101", &[], (HE, 2015), "33 bottleneck blocks", (44_549_160, 7_801_405_440), |o| {
        build("resnet101", R101, o)
    }),
    entry("resnet152", &[], (HE, 2015), "fifty bottleneck blocks", (60_192_808, 11_513_626_624), |o| {
        build("resnet152", R152, o)
    }),
    entry(
        "wide_resnet50_2",
        &["wideresnet50"],
        (WIDE, 2016),
        "resnet50 with twice the channels in its 3x3 convolutions",
        (68_883_240, 11_398_021_120),
        |o| build("wide_resnet50_2", Form { group_width: 128, ..R50 }, o),
    ),
    entry(
        "resnext50_32x4d",
        &["resnext50"],
        (AGGREGATED, 2016),
        "resnet50 with 3x3 convolutions in 32 groups",
        (25_028_904, 4_230_479_872),
        |o| build("resnext50_32x4d", Form { groups: 32, group_width: 4, ..R50 }, o),
    ),
    entry(
        "seresnet18",
        &["se_resnet18"],
        (GATED, 2017),
        "resnet18 with a gate in each block",
        (11_779_624, 1_814_161_408),
        |o| build("seresnet18", Form { gate: true, ..R18 }, o),
    ),
    entry(
        "seresnet50",
        &["se_resnet50"],
        (GATED, 2017),
        "resnet50 with a gate in each block",
        (28_088_024, 4_091_699_200),
        |o| build("seresnet50", Form { gate: true, ..R50 }, o),
    ),
    entry(
        "resnet18_gn",
        &[],
        (GROUPS, 2018),
        "resnet18 with group normalisation, for batches of a few images",
        (11_689_512, 1_814_073_344),
        |o| build("resnet18_gn", R18, &normalised(GN, o)),
    ),
    entry(
        "resnet50_gn",
        &[],
        (GROUPS, 2018),
        "resnet50 with group normalisation, for batches of a few images",
        (25_557_032, 4_089_184_256),
        |o| build("resnet50_gn", R50, &normalised(GN, o)),
    ),
    entry(
        "resnet18_in",
        &[],
        (INSTANCES, 2016),
        "resnet18 with instance normalisation",
        (11_689_512, 1_814_073_344),
        |o| build("resnet18_in", R18, &normalised(Normalization::Instance, o)),
    ),
    entry(
        "resnet18_spp",
        &[],
        (PYRAMID, 2014),
        "resnet18 that keeps where things are: spatial pyramid pooling",
        (21_929_512, 1_824_313_344),
        |o| build("resnet18_spp", R18, &o.clone().with_head(Head::SpatialPyramid)),
    ),
];
