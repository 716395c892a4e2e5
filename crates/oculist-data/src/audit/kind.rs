//! Kinds of issues: names, units, explanations.

use std::cmp::Ordering;

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum IssueKind {
    /// A damaged image, or a file named like an image that is none.
    Unreadable,
    /// A file among the images that does not claim to be one.
    NotAnImage,
    /// A file whose name ends like another format than its content.
    Misnamed,
    /// The same pixels in two splits.
    ExactDuplicateAcrossSplits,
    /// Nearly the same picture in two splits.
    NearDuplicateAcrossSplits,
    /// The same pixels twice in a split.
    ExactDuplicate,
    /// Nearly the same picture twice in a split.
    NearDuplicate,
    /// Equal or nearly equal pictures with different labels.
    ConflictingLabels,
    /// A label that a model trained on other images does not believe.
    LabelError,
    /// Hardly any fine detail.
    Blurred,
    /// Hardly any bright pixel.
    Dark,
    /// Hardly any dark pixel.
    Bright,
    /// Few grey levels.
    LowInformation,
    /// Much larger or smaller than the others.
    OddSize,
    /// Much longer than wide, or the reverse.
    OddAspectRatio,
    /// No colour, where most images have some.
    GreyAmongColor,
    /// Colour, where most images have none.
    ColorAmongGrey,
    /// A class with few training images.
    RareClass,
}

impl IssueKind {
    /// All kinds, in the order of a report.
    pub const ALL: [Self; 18] = [
        Self::Unreadable,
        Self::NotAnImage,
        Self::Misnamed,
        Self::ExactDuplicateAcrossSplits,
        Self::NearDuplicateAcrossSplits,
        Self::ExactDuplicate,
        Self::NearDuplicate,
        Self::ConflictingLabels,
        Self::LabelError,
        Self::Blurred,
        Self::Dark,
        Self::Bright,
        Self::LowInformation,
        Self::OddSize,
        Self::OddAspectRatio,
        Self::GreyAmongColor,
        Self::ColorAmongGrey,
        Self::RareClass,
    ];

    /// The name in JSON and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::NotAnImage => "not-an-image",
            Self::Misnamed => "misnamed",
            Self::ExactDuplicateAcrossSplits => "exact-duplicates-across-splits",
            Self::NearDuplicateAcrossSplits => "near-duplicates-across-splits",
            Self::ExactDuplicate => "exact-duplicates",
            Self::NearDuplicate => "near-duplicates",
            Self::ConflictingLabels => "conflicting-labels",
            Self::LabelError => "label-errors",
            Self::Blurred => "blurred",
            Self::Dark => "dark",
            Self::Bright => "bright",
            Self::LowInformation => "low-information",
            Self::OddSize => "odd-size",
            Self::OddAspectRatio => "odd-aspect-ratio",
            Self::GreyAmongColor => "grey-among-color",
            Self::ColorAmongGrey => "color-among-grey",
            Self::RareClass => "rare-class",
        }
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What the score of an issue is.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Unreadable
            | Self::NotAnImage
            | Self::Misnamed
            | Self::ExactDuplicateAcrossSplits
            | Self::ExactDuplicate => "always 1",
            Self::NearDuplicateAcrossSplits | Self::NearDuplicate | Self::ConflictingLabels => {
                "correlation of the thumbnails"
            }
            Self::LabelError => "probability of the given label",
            Self::Blurred => "sharpness: variance of the Laplacian / variance of the grey levels",
            Self::Dark => "99th percentile of the grey levels, 0 to 1",
            Self::Bright => "5th percentile of the grey levels, 0 to 1",
            Self::LowInformation => "entropy of the grey levels in bits, 0 to 8",
            Self::OddSize => "root of the area / median root of the area",
            Self::OddAspectRatio => "shorter side / longer side",
            Self::GreyAmongColor | Self::ColorAmongGrey => "part of the images that differ from this one",
            Self::RareClass => "training images of the class / mean of all classes",
        }
    }

    /// What it means and what to do, in a sentence or two.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Unreadable => {
                "The file cannot be decoded and takes no part in anything. Replace or remove it."
            }
            Self::NotAnImage => "The file is no image and is ignored.",
            Self::Misnamed => {
                "The content is of another format than the name says. It is read all the same; rename it for other programs."
            }
            Self::ExactDuplicateAcrossSplits => {
                "The same pixels are learned from and measured on, so that the measured accuracy is too good. Remove the copy from the training images."
            }
            Self::NearDuplicateAcrossSplits => {
                "Nearly the same picture is learned from and measured on. Look at the pairs; remove the copy, or split anew with duplicates kept together."
            }
            Self::ExactDuplicate => "The same pixels occur twice in a split and count twice. Remove one.",
            Self::NearDuplicate => {
                "Nearly the same picture occurs twice in a split. Look at the pairs; series of one object should be in one split."
            }
            Self::ConflictingLabels => {
                "Equal or nearly equal pictures have different labels. At least one label is wrong, or the classes overlap."
            }
            Self::LabelError => {
                "A model that was trained on other images finds another class likelier. Look at each and approve a new label, or keep the old one."
            }
            Self::Blurred => "Hardly any fine detail, unlike the other images.",
            Self::Dark => "Even the brightest pixels are dark, unlike in the other images.",
            Self::Bright => "Even the darkest pixels are bright, unlike in the other images.",
            Self::LowInformation => {
                "Few grey levels, unlike in the other images: empty pictures, test cards, placeholders."
            }
            Self::OddSize => {
                "Much larger or smaller than the other images; scaling to the input size changes it most."
            }
            Self::OddAspectRatio => {
                "Much longer than wide or the reverse; scaling or cropping to a square distorts it or loses most of it."
            }
            Self::GreyAmongColor => {
                "No colour where most images have some; if one class has most of them, a model learns that instead of the object."
            }
            Self::ColorAmongGrey => "Colour where most images have none.",
            Self::RareClass => "The class has few training images; gather more, or weight the loss.",
        }
    }

    /// The order of two scores, worst first.
    pub fn worst_first(self, a: f64, b: f64) -> Ordering {
        match self {
            Self::Bright
            | Self::NearDuplicate
            | Self::NearDuplicateAcrossSplits
            | Self::ConflictingLabels => b.total_cmp(&a),
            Self::OddSize => b.ln().abs().total_cmp(&a.ln().abs()),
            _ => a.total_cmp(&b),
        }
    }
}

impl std::fmt::Display for IssueKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
