//! What is carried over from a model for another task, resolved.

use serde::{Deserialize, Serialize};

use crate::settings::{HeadName, Precision, Settings, TransferMode};

/// What is carried over, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferConfig {
    /// Files of the sources.
    pub from: Vec<String>,
    /// What is carried over.
    pub mode: TransferMode,
    /// What is learned on features.
    pub head: HeadName,
    /// Value or node that gives the features, where it was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// In what the extractor computes.
    pub precision: Precision,
}

impl TransferConfig {
    pub(super) fn resolve(settings: &Settings) -> Option<Self> {
        let from = settings.from.as_ref()?;
        Some(Self {
            from: from.iter().map(|path| path.display().to_string()).collect(),
            mode: settings.mode.unwrap_or_default(),
            head: settings.head.unwrap_or_default(),
            layer: settings.layer.clone(),
            precision: settings.precision.unwrap_or_default(),
        })
    }
}
