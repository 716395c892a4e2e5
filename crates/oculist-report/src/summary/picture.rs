//! Sample predictions, augmented samples, and their pictures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The bytes of a PNG file; base64 text in JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Png(pub Vec<u8>);

impl Png {
    /// The picture as a `data:` address for an HTML page.
    pub fn data_uri(&self) -> String {
        format!("data:image/png;base64,{}", STANDARD.encode(&self.0))
    }
}

impl Serialize for Png {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Png {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Png).map_err(D::Error::custom)
    }
}

/// A class and the probability given to it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Guess {
    /// Name of the class.
    pub class: String,
    /// Probability, `0..=1`.
    pub confidence: f64,
}

/// The recommended model's prediction on one test image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// The picture; absent in `summary.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub png: Option<Png>,
    /// Path relative to the data folder, or the index in the test split.
    pub source: String,
    /// Name of the true class; empty where images have several labels.
    pub truth: String,
    /// Name of the predicted class; empty where images have several labels.
    pub predicted: String,
    /// Names of the true classes where images have several labels.
    pub truths: Vec<String>,
    /// Names of the predicted classes where images have several labels.
    pub predictions: Vec<String>,
    /// Probability of the predicted class, `0..=1`.
    pub confidence: f64,
    /// The likeliest classes, best first; may be empty.
    pub top: Vec<Guess>,
    /// The class the baseline predicted, if asked; where images have several labels, all of them in one text.
    pub baseline_predicted: Option<String>,
}

/// A training image after augmentation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AugmentedSample {
    /// The picture as the network sees it; absent in `summary.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub png: Option<Png>,
    /// The picture before augmentation; absent in `summary.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<Png>,
    /// Name of the class.
    pub class: String,
    /// What was done to it, in words.
    pub operations: String,
}
