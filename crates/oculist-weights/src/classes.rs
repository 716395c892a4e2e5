//! How many classes the classifier in a file has.

use oculist_zoo::Family;

use crate::error::{WeightsError, listed};
use crate::read::Weights;

/// Names of the last layer's weight in each family: torchvision's, then those of other producers.
const CLASSIFIERS: [(Family, &[&str]); 19] = [
    (Family::CifarResNet, &["linear.weight", "fc.weight"]),
    (Family::Airbench, &["head.weight"]),
    (Family::ResNet, &["fc.weight"]),
    (Family::MobileNetV2, &["classifier.1.weight", "classifier.weight"]),
    (Family::MobileNetV3, &["classifier.3.weight", "classifier.weight"]),
    (Family::EfficientNetLite, &["classifier.1.weight", "classifier.weight", "_fc.weight"]),
    (Family::Vgg, &["classifier.6.weight", "head.fc.weight", "classifier.weight"]),
    (Family::AlexNet, &["classifier.6.weight"]),
    (Family::DenseNet, &["classifier.weight"]),
    (Family::Inception, &["fc.weight"]),
    (Family::MobileNetV1, &["classifier.weight"]),
    (Family::EfficientNet, &["classifier.1.weight", "classifier.weight"]),
    (Family::ShuffleNetV2, &["fc.weight"]),
    (Family::SqueezeNet, &["classifier.1.weight"]),
    (Family::RegNet, &["fc.weight", "head.fc.weight"]),
    (Family::RepVgg, &["head.fc.weight"]),
    (Family::MobileOne, &["head.fc.weight"]),
    (Family::ConvNext, &["classifier.2.weight", "head.fc.weight"]),
    (Family::VisionTransformer, &["head.weight"]),
];

/// The number of classes of the classifier among `weights`, if they are those of an architecture of the zoo.
///
/// # Errors
/// [`WeightsError::Zoo`] for an unknown architecture, [`WeightsError::NoClassifier`] if no tensor has the name of its
/// classifier.
pub fn classes_of(architecture: &str, weights: &Weights) -> Result<usize, WeightsError> {
    let info = oculist_zoo::find(architecture)?;
    let names =
        CLASSIFIERS.iter().find(|(family, _)| *family == info.family).map_or(&[][..], |(_, names)| *names);
    names
        .iter()
        .filter_map(|name| weights.get(name))
        // A vector under the name of a matrix is of another network.
        .find(|tensor| {
            tensor.shape().len() >= 2 && tensor.shape()[0] > 0 && tensor.len() >= tensor.shape()[0]
        })
        .map(|tensor| tensor.shape()[0])
        .ok_or_else(|| WeightsError::NoClassifier {
            file: weights.file.clone(),
            architecture: info.name.to_owned(),
            expected: listed(&names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>()),
        })
}

/// Names of the first convolution's weight: torchvision's, then those of other producers.
const STEMS: [&str; 14] = [
    "conv1.weight",
    "features.0.0.weight",
    "features.0.weight",
    "conv_stem.weight",
    "_conv_stem.weight",
    "stem.0.weight",
    "stem.conv.weight",
    "features.conv0.weight",
    "conv1.conv.weight",
    "Conv2d_1a_3x3.conv.weight",
    "conv1.0.weight",
    "stem.conv_kxk.conv.weight",
    "stem.conv_kxk.0.conv.weight",
    "patch_embed.proj.weight",
];

/// The shape `[filters, channels, height, width]` of the first convolution's weight, found by its name: files need not have their
/// tensors in the network's order.
pub fn stem_of(weights: &Weights) -> Option<[usize; 4]> {
    STEMS.iter().filter_map(|name| weights.get(name)).find_map(|tensor| tensor.shape().try_into().ok())
}

#[cfg(test)]
mod tests {
    use oculist_graph::Tensor;

    use super::*;
    use crate::Format;

    #[test]
    fn classes_without_elements_are_none() {
        let of = |shape: &[usize]| {
            let tensor = Tensor::filled(shape, 0.5);
            let tensors = vec![("linear.weight".to_owned(), tensor)];
            let weights = Weights {
                file: "w".into(),
                format: Format::Safetensors,
                key: None,
                prefix: String::new(),
                tensors,
                skipped: Vec::new(),
                notes: Vec::new(),
            };
            classes_of("resnet8", &weights).ok()
        };
        assert_eq!(of(&[7, 64]), Some(7));
        assert_eq!(of(&[1 << 60, 0]), None);
        assert_eq!(of(&[0, 64]), None);
    }

    #[test]
    fn the_stem_is_found_by_its_name_in_any_order() {
        let of = |names: &[(&str, &[usize])]| {
            let tensors = names.iter().map(|(name, shape)| ((*name).to_owned(), Tensor::filled(shape, 0.5)));
            stem_of(&Weights {
                file: "w".into(),
                format: Format::Safetensors,
                key: None,
                prefix: String::new(),
                tensors: tensors.collect(),
                skipped: Vec::new(),
                notes: Vec::new(),
            })
        };
        // Sorted, as safetensors are: a depthwise layer comes first.
        let depthwise: (&str, &[usize]) = ("blocks.0.0.conv_dw.weight", &[16, 1, 3, 3]);
        assert_eq!(of(&[depthwise, ("conv_stem.weight", &[16, 3, 3, 3])]), Some([16, 3, 3, 3]));
        assert_eq!(of(&[("conv1.weight", &[64, 3, 7, 7])]), Some([64, 3, 7, 7]));
        assert_eq!(of(&[depthwise]), None);
        assert_eq!(of(&[("conv1.weight", &[64, 3])]), None, "no convolution");
    }
}
