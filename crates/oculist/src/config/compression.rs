//! How far to compress.

use oculist_metrics::{Metric, Unit};
use serde::{Deserialize, Serialize};

use crate::settings::{Calibration, Settings, Target};
use crate::stage::Teacher;

/// Compression, resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompressionConfig {
    /// Points of validation top-1 that may be lost.
    pub max_drop: f64,
    /// What to make small.
    pub target: Target,
    /// Pruning levels tried at the most.
    pub candidates: usize,
    /// Shares of the cost that pruning tries to leave, from weak to strong; the usual ones if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<f64>,
    /// Whose answers fine-tuning learns from.
    #[serde(default, skip_serializing_if = "is_baseline")]
    pub teacher: Teacher,
    /// Calibration method.
    pub calibration: Calibration,
    /// Training images for calibration.
    pub calibration_images: usize,
}

impl CompressionConfig {
    /// What is asked for, or the usual.
    pub(super) fn resolve(settings: &Settings, metric: Metric) -> Self {
        Self {
            max_drop: settings.max_drop.unwrap_or_else(|| usual_drop(metric)),
            target: settings.target.unwrap_or_default(),
            candidates: settings.candidates.unwrap_or(4),
            levels: settings.levels.clone().unwrap_or_default(),
            teacher: settings.finetune_teacher.unwrap_or_default(),
            calibration: settings.calibration.unwrap_or_default(),
            calibration_images: settings.calibration_images.unwrap_or(512),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_baseline(teacher: &Teacher) -> bool {
    *teacher == Teacher::Baseline
}

/// What may be lost where nobody says: half a point, or a fiftieth of a nat.
fn usual_drop(metric: Metric) -> f64 {
    match metric.unit() {
        Unit::Nats => 0.02,
        _ => 0.5,
    }
}
