//! The tables: who names what how.

use super::{Assumption, Blocks, Kind, Naming};

const SAME: Naming = Naming {
    producer: "torchvision or alike",
    parts: &[],
    blocks: &[],
    within: &[],
    reshaped: &[],
    epsilon: None,
    same_padding: false,
    assumption: None,
};

/// Expansion, depthwise convolution, gate, projection.
const EXPANDED_GATED: Kind = Kind {
    has: &["conv_pwl", "se.conv_reduce"],
    layers: &[
        ("conv_pw", "block.0.0"),
        ("bn1", "block.0.1"),
        ("conv_dw", "block.1.0"),
        ("bn2", "block.1.1"),
        ("se.conv_reduce", "block.2.fc1"),
        ("se.conv_expand", "block.2.fc2"),
        ("conv_pwl", "block.3.0"),
        ("bn3", "block.3.1"),
    ],
};

/// Expansion, depthwise convolution, projection.
const EXPANDED: Kind = Kind {
    has: &["conv_pwl"],
    layers: &[
        ("conv_pw", "block.0.0"),
        ("bn1", "block.0.1"),
        ("conv_dw", "block.1.0"),
        ("bn2", "block.1.1"),
        ("conv_pwl", "block.2.0"),
        ("bn3", "block.2.1"),
    ],
};

/// Depthwise convolution, gate, projection.
const GATED: Kind = Kind {
    has: &["conv_dw", "se.conv_reduce"],
    layers: &[
        ("conv_dw", "block.0.0"),
        ("bn1", "block.0.1"),
        ("se.conv_reduce", "block.1.fc1"),
        ("se.conv_expand", "block.1.fc2"),
        ("conv_pw", "block.2.0"),
        ("bn2", "block.2.1"),
    ],
};

/// Depthwise convolution, projection.
const PLAIN: Kind = Kind {
    has: &["conv_dw"],
    layers: &[("conv_dw", "block.0.0"), ("bn1", "block.0.1"), ("conv_pw", "block.1.0"), ("bn2", "block.1.1")],
};

/// A 3x3 convolution that expands, projection.
const FUSED: Kind = Kind {
    has: &["conv_exp"],
    layers: &[
        ("conv_exp", "block.0.0"),
        ("bn1", "block.0.1"),
        ("conv_pwl", "block.1.0"),
        ("bn2", "block.1.1"),
    ],
};

/// A single convolution.
const SINGLE: Kind = Kind { has: &["conv"], layers: &[("conv", "block.0.0"), ("bn1", "block.0.1")] };

const EFFICIENTNET_PARTS: &[(&str, &str)] = &[
    ("conv_stem.", "features.0.0."),
    ("bn1.", "features.0.1."),
    ("conv_head.", "features.{stages+1}.0."),
    ("bn2.", "features.{stages+1}.1."),
    ("classifier.", "classifier.1."),
];

/// All namings; of those that name as many weights of a graph, the first counts.
pub(crate) const NAMINGS: [Naming; 11] = [
    SAME,
    Naming { producer: "CIFAR ResNets with `fc`", parts: &[("fc.", "linear.")], ..SAME },
    Naming {
        producer: "timm (mobilenetv2, efficientnet_lite)",
        parts: &[
            ("conv_stem.", "features.0.0."),
            ("bn1.", "features.0.1."),
            ("conv_head.", "features.{blocks+1}.0."),
            ("bn2.", "features.{blocks+1}.1."),
            ("classifier.", "classifier.1."),
        ],
        blocks: &[Blocks {
            from: "blocks.{s}.{b}.",
            to: "features.{n}.",
            kinds: &[
                Kind {
                    has: &["conv_pwl"],
                    layers: &[
                        ("conv_pw", "conv.0.0"),
                        ("bn1", "conv.0.1"),
                        ("conv_dw", "conv.1.0"),
                        ("bn2", "conv.1.1"),
                        ("conv_pwl", "conv.2"),
                        ("bn3", "conv.3"),
                    ],
                },
                Kind {
                    has: &["conv_dw"],
                    layers: &[
                        ("conv_dw", "conv.0.0"),
                        ("bn1", "conv.0.1"),
                        ("conv_pw", "conv.1"),
                        ("bn2", "conv.2"),
                    ],
                },
            ],
        }],
        assumption: Some(Assumption {
            graphs: "efficientnet_lite",
            text: "the names are timm's, taken for `efficientnet_lite...`; names do not tell these models from \
                   `tf_efficientnet_lite...`, an architecture of its own, which pads otherwise and adds 1e-3 to the variance in \
                   batch normalisation",
        }),
        ..SAME
    },
    Naming {
        producer: "timm (mobilenetv3)",
        parts: &[
            ("conv_stem.", "features.0.0."),
            ("bn1.", "features.0.1."),
            // The head works behind the pooling, as a convolution over one pixel.
            ("conv_head.", "classifier.0."),
            ("classifier.", "classifier.3."),
        ],
        blocks: &[Blocks {
            from: "blocks.{s}.{b}.",
            to: "features.{n}.",
            kinds: &[
                EXPANDED_GATED,
                EXPANDED,
                GATED,
                PLAIN,
                // The last convolution is a stage of its own.
                Kind { has: &["conv"], layers: &[("conv", "0"), ("bn1", "1")] },
            ],
        }],
        within: &[],
        reshaped: &["classifier.0.weight"],
        epsilon: Some(1e-5),
        same_padding: false,
        assumption: Some(Assumption {
            graphs: "",
            text: "the names are timm's, taken for `mobilenetv3_..._100`, whose batch normalisations add 1e-5 to the \
                   variance, which was set in the graph; names do not tell these models from `tf_mobilenetv3_...`, which \
                   add 1e-3 and pad otherwise",
        }),
    },
    Naming {
        producer: "timm (vgg)",
        parts: &[
            ("pre_logits.fc1.", "classifier.0."),
            ("pre_logits.fc2.", "classifier.3."),
            ("head.fc.", "classifier.6."),
        ],
        reshaped: &["classifier.0.weight", "classifier.3.weight"],
        ..SAME
    },
    Naming {
        producer: "efficientnet-lite-pytorch",
        parts: &[
            ("_conv_stem.", "features.0.0."),
            ("_bn0.", "features.0.1."),
            ("_conv_head.", "features.{blocks+1}.0."),
            ("_bn1.", "features.{blocks+1}.1."),
            ("_fc.", "classifier.1."),
        ],
        blocks: &[Blocks {
            from: "_blocks.{b}.",
            to: "features.{n}.",
            kinds: &[
                Kind {
                    has: &["_expand_conv"],
                    layers: &[
                        ("_expand_conv", "conv.0.0"),
                        ("_bn0", "conv.0.1"),
                        ("_depthwise_conv", "conv.1.0"),
                        ("_bn1", "conv.1.1"),
                        ("_project_conv", "conv.2"),
                        ("_bn2", "conv.3"),
                    ],
                },
                Kind {
                    has: &["_depthwise_conv"],
                    layers: &[
                        ("_depthwise_conv", "conv.0.0"),
                        ("_bn1", "conv.0.1"),
                        ("_project_conv", "conv.1"),
                        ("_bn2", "conv.2"),
                    ],
                },
            ],
        }],
        epsilon: Some(1e-3),
        same_padding: true,
        assumption: Some(Assumption {
            graphs: "efficientnet_lite",
            text: "the names are those of efficientnet-lite-pytorch, whose networks pad like TensorFlow and add 1e-3 to the \
                   variance in batch normalisation; both were set in the graph",
        }),
        ..SAME
    },
    // The files that torchvision offers; it rewrites these names itself when it loads them.
    Naming {
        producer: "torchvision (DenseNet of 2017)",
        within: &[
            (".norm.1.", ".norm1."),
            (".conv.1.", ".conv1."),
            (".norm.2.", ".norm2."),
            (".conv.2.", ".conv2."),
        ],
        ..SAME
    },
    // In front of the form with fused blocks, whose rules name these weights as well.
    Naming {
        producer: "timm (efficientnet)",
        parts: EFFICIENTNET_PARTS,
        blocks: &[Blocks {
            from: "blocks.{s}.{b}.",
            to: "features.{s+1}.{b}.",
            kinds: &[EXPANDED_GATED, GATED],
        }],
        assumption: Some(Assumption {
            graphs: "efficientnet_b0",
            text: "the names are timm's, taken for `efficientnet_b0`; names do not tell it from `tf_efficientnet_b0`, which pads like \
                   TensorFlow and adds 1e-3 to the variance in batch normalisation",
        }),
        ..SAME
    },
    Naming {
        producer: "timm (efficientnetv2)",
        parts: EFFICIENTNET_PARTS,
        blocks: &[Blocks {
            from: "blocks.{s}.{b}.",
            to: "features.{s+1}.{b}.",
            kinds: &[FUSED, EXPANDED_GATED, GATED, SINGLE],
        }],
        epsilon: Some(1e-3),
        same_padding: true,
        assumption: Some(Assumption {
            graphs: "efficientnet_v2",
            text: "the names are timm's, taken for `tf_efficientnetv2_s`, which timm has pretrained: it pads like TensorFlow, which was \
                   set in the graph; names do not tell it from `efficientnetv2_s`, which pads evenly and adds 1e-5 to the variance \
                   in batch normalisation instead of 1e-3; its published weights are for the preprocessing `inception`",
        }),
        ..SAME
    },
    Naming {
        producer: "timm (regnet)",
        parts: &[("stem.conv.", "stem.0."), ("stem.bn.", "stem.1."), ("head.fc.", "fc.")],
        blocks: &[Blocks {
            from: "s{s}.b{b}.",
            to: "trunk_output.block{s}.block{s}-{b-1}.",
            kinds: &[Kind {
                has: &["conv1"],
                layers: &[
                    ("conv1.conv", "f.a.0"),
                    ("conv1.bn", "f.a.1"),
                    ("conv2.conv", "f.b.0"),
                    ("conv2.bn", "f.b.1"),
                    ("se.fc1", "f.se.fc1"),
                    ("se.fc2", "f.se.fc2"),
                    ("conv3.conv", "f.c.0"),
                    ("conv3.bn", "f.c.1"),
                    ("downsample.conv", "proj.0"),
                    ("downsample.bn", "proj.1"),
                ],
            }],
        }],
        ..SAME
    },
    Naming {
        producer: "timm (convnext)",
        parts: &[
            ("stem.0.", "features.0.0."),
            ("stem.1.", "features.0.1."),
            ("head.norm.", "classifier.0."),
            ("head.fc.", "classifier.2."),
        ],
        blocks: &[
            Blocks {
                from: "stages.{s}.blocks.{b}.",
                to: "features.{2s+1}.{b}.",
                kinds: &[Kind {
                    has: &["conv_dw"],
                    layers: &[
                        ("gamma", "layer_scale"),
                        ("conv_dw", "block.0"),
                        ("norm", "block.2"),
                        ("mlp.fc1", "block.3"),
                        ("mlp.fc2", "block.5"),
                    ],
                }],
            },
            Blocks { from: "stages.{s}.downsample.", to: "features.{2s}.", kinds: &[] },
        ],
        reshaped: &["layer_scale"],
        ..SAME
    },
];
