//! The list of architectures, look-up by name, and the one entry for building.

use std::fmt;
use std::sync::LazyLock;

use oculist_graph::{Graph, GraphError, Op};

use crate::error::ZooError;
use crate::options::{BuildOptions, Stem};
use crate::{
    airbench, alexnet, cifar_resnet, convnext, densenet, efficientnet, efficientnet_lite, googlenet,
    inception_v3, mobilenet_v1, mobilenet_v2, mobilenet_v3, mobileone, regnet, repvgg, resnet, shufflenet_v2,
    squeezenet, vgg, vit,
};

/// A family of architectures that differ in depth or width only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// Residual networks for CIFAR.
    CifarResNet,
    /// Networks of the fast-training records.
    Airbench,
    /// Residual networks for ImageNet.
    ResNet,
    /// MobileNetV2.
    MobileNetV2,
    /// MobileNetV3.
    MobileNetV3,
    /// EfficientNet-Lite.
    EfficientNetLite,
    /// VGG with and without batch normalisation.
    Vgg,
    /// AlexNet.
    AlexNet,
    /// DenseNet.
    DenseNet,
    /// GoogLeNet and Inception-v3.
    Inception,
    /// MobileNetV1.
    MobileNetV1,
    /// EfficientNet and EfficientNetV2.
    EfficientNet,
    /// ShuffleNetV2.
    ShuffleNetV2,
    /// SqueezeNet.
    SqueezeNet,
    /// RegNetY.
    RegNet,
    /// RepVGG.
    RepVgg,
    /// MobileOne.
    MobileOne,
    /// ConvNeXt.
    ConvNext,
    /// ViT and DeiT.
    VisionTransformer,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CifarResNet => "ResNet (CIFAR)",
            Self::Airbench => "airbench",
            Self::ResNet => "ResNet",
            Self::MobileNetV2 => "MobileNetV2",
            Self::MobileNetV3 => "MobileNetV3",
            Self::EfficientNetLite => "EfficientNet-Lite",
            Self::Vgg => "VGG",
            Self::AlexNet => "AlexNet",
            Self::DenseNet => "DenseNet",
            Self::Inception => "Inception",
            Self::MobileNetV1 => "MobileNetV1",
            Self::EfficientNet => "EfficientNet",
            Self::ShuffleNetV2 => "ShuffleNetV2",
            Self::SqueezeNet => "SqueezeNet",
            Self::RegNet => "RegNet",
            Self::RepVgg => "RepVGG",
            Self::MobileOne => "MobileOne",
            Self::ConvNext => "ConvNeXt",
            Self::VisionTransformer => "Vision transformer",
        })
    }
}

/// What the zoo knows about one architecture.
#[derive(Clone)]
pub struct ArchitectureInfo {
    /// The name that [`build`] takes; also the graph's name.
    pub name: &'static str,
    /// Other accepted names. Case, hyphens and underscores never matter.
    pub aliases: &'static [&'static str],
    /// The family.
    pub family: Family,
    /// One line for a list.
    pub description: &'static str,
    /// Where it was published.
    pub paper: &'static str,
    /// Year of publication.
    pub year: u16,
    /// Side lengths in pixels at which it is commonly used.
    pub input_sizes: &'static [usize],
    /// Channels, height and width of the published form.
    pub native_input: (usize, usize, usize),
    /// Number of classes of the published form.
    pub native_classes: usize,
    /// Parameters of the published form.
    pub params: u64,
    /// Multiply-accumulates of the published form for one image, biases not counted.
    pub macs: u64,
    pub(crate) build: fn(&BuildOptions) -> Result<Graph, GraphError>,
}

impl fmt::Debug for ArchitectureInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchitectureInfo").field("name", &self.name).finish_non_exhaustive()
    }
}

/// All architectures, by family and depth.
pub fn architectures() -> &'static [ArchitectureInfo] {
    static ALL: LazyLock<Vec<ArchitectureInfo>> = LazyLock::new(|| {
        let families: [&[ArchitectureInfo]; 20] = [
            &cifar_resnet::ENTRIES,
            &airbench::ENTRIES,
            &resnet::ENTRIES,
            &densenet::ENTRIES,
            &googlenet::ENTRIES,
            &inception_v3::ENTRIES,
            &mobilenet_v1::ENTRIES,
            &mobilenet_v2::ENTRIES,
            &mobilenet_v3::ENTRIES,
            &efficientnet_lite::ENTRIES,
            &efficientnet::ENTRIES,
            &shufflenet_v2::ENTRIES,
            &squeezenet::ENTRIES,
            &regnet::ENTRIES,
            &repvgg::ENTRIES,
            &mobileone::ENTRIES,
            &convnext::ENTRIES,
            &vit::ENTRIES,
            &vgg::ENTRIES,
            &alexnet::ENTRIES,
        ];
        families.concat()
    });
    &ALL
}

/// The architecture of a name or alias; case, hyphens, underscores, dots and spaces do not matter.
///
/// # Errors
/// [`ZooError::UnknownArchitecture`] with the names that are spelt alike.
pub fn find(name: &str) -> Result<&'static ArchitectureInfo, ZooError> {
    let wanted = plain(name);
    architectures()
        .iter()
        .find(|a| names(a).any(|n| plain(n) == wanted))
        .ok_or_else(|| ZooError::UnknownArchitecture { name: name.to_owned(), near: near_matches(&wanted) })
}

/// Builds an architecture; weights are zero until [`crate::initialize`] or [`crate::load_named`].
///
/// # Shapes
/// One input `input` of `[N, channels, height, width]`, one output of `[N, num_classes]` logits.
///
/// # Errors
/// [`ZooError::UnknownArchitecture`] for an unknown name, [`ZooError::Option`] for an option out of range,
/// [`ZooError::Build`] if the input is too small for the layers.
pub fn build(name: &str, options: &BuildOptions) -> Result<Graph, ZooError> {
    let info = find(name)?;
    options.validate()?;
    (info.build)(options).map_err(|source| ZooError::Build { name: info.name, input: options.input, source })
}

/// The stem whose first convolution has a window of `kernel` pixels: files of weights tell by it which one they are for.
/// [`Stem::Auto`] if both stems have it, or neither.
pub fn stem_with_kernel(info: &ArchitectureInfo, kernel: usize) -> Stem {
    let has = |stem| {
        // Narrow, because wide heads take hundreds of megabytes.
        let options = BuildOptions::new(1, info.native_input).with_stem(stem).with_width(0.125);
        let graph = (info.build)(&options).ok();
        let first = graph.as_ref().and_then(|graph| {
            graph.nodes().iter().find_map(|node| match &node.op {
                Op::Conv(conv) => conv.window.kernel.first().copied(),
                _ => None,
            })
        });
        first == Some(kernel)
    };
    match (has(Stem::Large), has(Stem::Small)) {
        (true, false) => Stem::Large,
        (false, true) => Stem::Small,
        _ => Stem::Auto,
    }
}

fn names(info: &ArchitectureInfo) -> impl Iterator<Item = &'static str> {
    [info.name].into_iter().chain(info.aliases.iter().copied())
}

/// A name without what does not distinguish.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Up to five names spelt like `wanted`: those that begin with it, and those few edits away; nearest first.
fn near_matches(wanted: &str) -> Vec<&'static str> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let mut scored: Vec<(usize, &'static str)> = architectures()
        .iter()
        .filter_map(|a| {
            let distance = names(a).map(|n| edit_distance(&plain(n), wanted)).min()?;
            let starts = plain(a.name).starts_with(wanted);
            (starts || distance <= 1 + wanted.chars().count() / 4).then_some((distance, a.name))
        })
        .collect();
    scored.sort_by_key(|(distance, _)| *distance);
    scored.into_iter().take(5).map(|(_, name)| name).collect()
}

/// Levenshtein distance in characters.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &cb) in b.iter().enumerate() {
            let replace = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distances_match_known_ones() {
        for (a, b, d) in [("", "", 0), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("", "abc", 3)] {
            assert_eq!(edit_distance(a, b), d, "{a} {b}");
            assert_eq!(edit_distance(b, a), d, "{b} {a}");
        }
    }

    #[test]
    fn names_are_unique_whatever_the_spelling() {
        let mut seen = std::collections::BTreeMap::new();
        for info in architectures() {
            for name in names(info) {
                let owner = *seen.entry(plain(name)).or_insert(info.name);
                assert_eq!(owner, info.name, "`{name}` names two architectures");
            }
        }
    }

    #[test]
    fn a_stem_is_told_by_its_window() {
        let stem = |name: &str, kernel| stem_with_kernel(find(name).unwrap(), kernel);
        assert_eq!([7, 3, 5].map(|k| stem("resnet18", k)), [Stem::Large, Stem::Small, Stem::Auto]);
        assert_eq!([16, 4].map(|k| stem("vit_tiny_patch16_224", k)), [Stem::Large, Stem::Small]);
        assert_eq!([4, 2].map(|k| stem("convnext_tiny", k)), [Stem::Large, Stem::Small]);
        assert_eq!(stem("inception_v3", 3), Stem::Auto);
    }

    #[test]
    fn spelling_does_not_matter_but_the_letters_do() {
        assert_eq!(find("ResNet-18").unwrap().name, "resnet18");
        assert_eq!(find("VGG-16-BN").unwrap().name, "vgg16_bn");
        assert_eq!(find("MobileNetV3 small").unwrap().name, "mobilenet_v3_small");
        assert!(find("resnet").is_err());
    }

    #[test]
    fn an_unknown_name_gets_near_ones() {
        let error = find("resnet21").unwrap_err();
        let ZooError::UnknownArchitecture { near, .. } = &error else { panic!("{error}") };
        assert!(near.contains(&"resnet20") && !near.contains(&"alexnet"), "{near:?}");
        assert!(error.to_string().starts_with("no architecture is called `resnet21`; did you mean `resnet"));
        let ZooError::UnknownArchitecture { near, .. } = find("mobilenet").unwrap_err() else { panic!() };
        assert_eq!(near[..2], ["mobilenet_v1", "mobilenet_v2"]);
        assert!(near.contains(&"mobilenet_v3_small"), "{near:?}");
        for name in ["", "transformer"] {
            let ZooError::UnknownArchitecture { near, .. } = find(name).unwrap_err() else { panic!() };
            assert!(near.is_empty(), "{near:?}");
        }
    }
}
