//! The data set and the network's input.

use serde::{Deserialize, Serialize};

/// The data set and its split.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Data {
    /// Name as given on the command line, or of the folder.
    pub name: String,
    /// Number of training images.
    pub train: usize,
    /// Number of validation images: every decision of the run rests on these.
    pub val: usize,
    /// Number of test images: they are only reported.
    pub test: usize,
    /// A digest of which images are the test images, and of which classes: equal where two runs were measured on the same
    /// ones. `None` in older files.
    pub test_images: Option<String>,
    /// Number of classes.
    pub classes: usize,
    /// Names of the classes in label order; empty if the data set has none.
    pub class_names: Vec<String>,
    /// Number of training images of each class, in label order; may be empty.
    pub train_per_class: Vec<usize>,
    /// Licence or origin of the images, if known.
    pub license: Option<String>,
    /// Files that were left out.
    pub skipped: Vec<Skipped>,
    /// Images that repeat each other; `None` where they were not compared.
    pub repeats: Option<Repeats>,
}

/// Exact and near duplicates.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Repeats {
    /// Groups that a draw image by image would have cut, and that were kept in one split.
    pub kept: usize,
    /// Groups that drawn splits cut all the same.
    pub cut: usize,
    /// What splits share.
    pub shared: Vec<SharedImages>,
}

/// Images of one split that repeat images of another.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SharedImages {
    /// `test` or `val`.
    pub split: String,
    /// The split that is repeated: `train` or `val`.
    pub repeats: String,
    /// Images of `split` that repeat one of the other, exactly or nearly.
    pub images: usize,
    /// Those that have exactly its pixels.
    pub exact: usize,
    /// The first pairs.
    pub pairs: Vec<[String; 2]>,
}

/// A file that could not be used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Skipped {
    /// Path, relative to the data folder.
    pub path: String,
    /// Why it was left out.
    pub reason: String,
}

/// The network's input image and its preprocessing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Input {
    /// Height, pixels.
    pub height: usize,
    /// Width, pixels.
    pub width: usize,
    /// Number of channels: 1 or 3.
    pub channels: usize,
    /// How an image gets to that size, in words ("resize the shorter side to 73, crop the centre").
    pub preprocessing: String,
    /// Mean subtracted from each channel, on the scale `0..=1`.
    pub mean: Vec<f64>,
    /// Standard deviation each channel is divided by, on the scale `0..=1`.
    pub std: Vec<f64>,
}
