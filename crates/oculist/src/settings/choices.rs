//! Settings that are a choice of names. Doc comments are the help of the command line; the names there and in files are one.

use serde::{Deserialize, Serialize};

/// With which instructions networks are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum IsaName {
    /// The fastest of this processor.
    #[default]
    Auto,
    /// AVX-512, with VNNI where the processor has it.
    Avx512,
    /// AVX2 and FMA.
    Avx2,
    /// Those of every processor.
    Portable,
}

/// What compression should make small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Target {
    /// Bytes of the file.
    #[default]
    Size,
    /// Time for one image.
    Latency,
    /// Multiply-accumulate operations.
    Macs,
}

/// How activation ranges are chosen for int8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Calibration {
    /// Try all and keep the best on validation images.
    #[default]
    Auto,
    /// Smallest and largest value.
    Minmax,
    /// All but the outermost values.
    Percentile,
    /// Least Kullback-Leibler divergence.
    Entropy,
}

/// What is carried over from a model for another task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TransferMode {
    /// Try what the time allows and keep what is best on validation images.
    #[default]
    Auto,
    /// The network in front of its last layer, frozen, with a classical learner on its features.
    Features,
    /// The same in front of its last maps: their means over places, and a new fully connected layer.
    Gap,
    /// All layers, the rows of the last one by the names of the classes.
    Fc,
    /// The network as with `features`, then all of it trained on.
    Finetune,
}

/// What is learned on the features of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HeadName {
    /// All of them; the best on validation images is kept.
    Auto,
    /// Logistic regression.
    #[default]
    Logistic,
    /// Linear support vector machines.
    Svm,
    /// Linear discriminant analysis.
    Lda,
    /// Nearest neighbours.
    Knn,
    /// A forest of decision trees.
    Forest,
}

/// In what a network computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Precision {
    /// Floats.
    #[default]
    F32,
    /// Bytes, where the runtime can.
    Int8,
}

/// Which rule updates the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OptimizerName {
    /// SGD with Nesterov momentum.
    Sgd,
    /// Adam with decoupled weight decay.
    Adamw,
}

/// Which augmentation the training images get.
///
/// All but the first three crop (small images after padding, photos to random sizes) and, where it suits the data, flip.
/// The policy of [`Augmentation::Auto`] is CIFAR-10's for small images, ImageNet's for photos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Augmentation {
    /// Padded crops, flips, small rotations and scalings.
    Small,
    /// Random resized crops, flips, colour jitter.
    Photos,
    /// None.
    None,
    /// Crops and flips alone.
    Crops,
    /// Crops, flips, TrivialAugmentWide: one random operation of random strength.
    Trivial,
    /// Crops, flips, RandAugment: two random operations of one strength.
    Rand,
    /// Crops, flips, AutoAugment: a learned policy.
    Auto,
    /// Crops, flips, AugMix: several chains of operations mixed into one image.
    Augmix,
    /// Crops, flips, 3-Augment: grey, solarise or blur, then colour jitter.
    Three,
    /// Crops, flips, random erasing.
    Erasing,
}

/// The loss on the labels. Focal loss has gamma 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LossName {
    /// Cross-entropy.
    CrossEntropy,
    /// Cross-entropy in which each class weighs the same.
    Weighted,
    /// Focal loss.
    Focal,
    /// Logits adjusted by the classes' frequencies.
    LogitAdjusted,
}

/// Which images an epoch shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SamplingName {
    /// Each image once.
    Once,
    /// Each class equally often.
    Balanced,
    /// Fewer images, each several times in a batch, differently augmented.
    Repeated,
    /// Each image several times in a batch; the epoch is as many times as long.
    BatchAugment,
}

/// Which parameters fine-tuning trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Tune {
    /// All.
    #[default]
    All,
    /// Those of the last layer.
    Head,
    /// Biases, gamma and beta, and the last layer (BitFit).
    Bias,
    /// Low-rank adapters beside the layers, merged in the end, and the last layer (LoRA).
    Adapters,
}

/// When the layers of a network begin to be trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Unfreeze {
    /// All from the first epoch on.
    #[default]
    None,
    /// From the last to the first over half of the epochs.
    Gradual,
}

#[cfg(all(test, feature = "clap"))]
mod tests {
    use clap::ValueEnum;
    use oculist_train::Keep;

    use super::*;

    fn typed_as_in_files<T: ValueEnum + Serialize>() {
        for value in T::value_variants() {
            let typed = value.to_possible_value().expect("no variant is skipped");
            assert_eq!(serde_json::to_value(value).unwrap(), typed.get_name());
            assert!(typed.get_help().is_some(), "{}", typed.get_name());
        }
    }

    #[test]
    fn names_are_typed_as_they_stand_in_files() {
        typed_as_in_files::<Target>();
        typed_as_in_files::<Calibration>();
        typed_as_in_files::<OptimizerName>();
        typed_as_in_files::<Augmentation>();
        typed_as_in_files::<LossName>();
        typed_as_in_files::<SamplingName>();
        typed_as_in_files::<Keep>();
        typed_as_in_files::<Tune>();
        typed_as_in_files::<Unfreeze>();
        typed_as_in_files::<oculist_train::NormTraining>();
        typed_as_in_files::<crate::stage::Teacher>();
    }
}
