//! What happened inside the network: widths, sensitivity, quantisation.

use serde::Serialize;

use crate::page::Fact;
use crate::{Quantization, RunSummary, format, measure};

#[derive(Debug, Serialize)]
pub(super) struct Compression {
    pub(super) layers: Vec<LayerRow>,
    pub(super) layers_intro: String,
    /// What the scan shows: `validation top-1, in points`.
    pub(super) sensitivity_of: String,
    pub(super) sensitivity: Vec<SensitivityRow>,
    pub(super) quantization: Option<QuantizationView>,
}

#[derive(Debug, Serialize)]
pub(super) struct LayerRow {
    pub(super) layer: String,
    pub(super) before: usize,
    pub(super) after: usize,
    /// Lengths of the bars, percent of the widest layer.
    pub(super) before_length: String,
    pub(super) after_length: String,
}

#[derive(Debug, Serialize)]
pub(super) struct SensitivityRow {
    pub(super) layer: String,
    pub(super) drop: String,
    /// Length of the bar, percent of the largest drop.
    pub(super) length: String,
    pub(super) decision: String,
    /// Whether the layer was spared.
    pub(super) spared: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct QuantizationView {
    pub(super) facts: Vec<Fact>,
    pub(super) int8: Vec<String>,
    pub(super) f32: Vec<String>,
}

impl Compression {
    pub(super) fn new(run: &RunSummary) -> Option<Self> {
        if run.layers.is_empty() && run.sensitivity.is_empty() && run.quantization.is_none() {
            return None;
        }
        Some(Compression {
            layers: layers(run),
            layers_intro: layers_intro(run),
            sensitivity_of: sensitivity_of(run),
            sensitivity: sensitivity(run),
            quantization: run.quantization.as_ref().map(quantization),
        })
    }
}

fn layers(run: &RunSummary) -> Vec<LayerRow> {
    let widest = run.layers.iter().map(|l| l.before.max(l.after)).max().unwrap_or(0).max(1) as f64;
    let length = |channels: usize| format!("{:.1}", channels as f64 / widest * 100.0);
    run.layers
        .iter()
        .map(|l| LayerRow {
            layer: l.layer.clone(),
            before: l.before,
            after: l.after,
            before_length: length(l.before),
            after_length: length(l.after),
        })
        .collect()
}

fn layers_intro(run: &RunSummary) -> String {
    let before: usize = run.layers.iter().map(|l| l.before).sum();
    let after: usize = run.layers.iter().map(|l| l.after).sum();
    if before == 0 {
        return String::new();
    }
    format!(
        "{} of {} channels remain ({}).",
        format::grouped(after as u64),
        format::grouped(before as u64),
        format::share(after as f64 / before as f64)
    )
}

fn sensitivity_of(run: &RunSummary) -> String {
    let metric = run.deciding_metric();
    let unit = match measure::difference_unit(metric).trim() {
        "" => String::new(),
        unit => format!(", in {unit}"),
    };
    format!("validation {}{unit}", metric.title())
}

fn sensitivity(run: &RunSummary) -> Vec<SensitivityRow> {
    let metric = run.deciding_metric();
    let largest = run.sensitivity.iter().map(|s| s.val_drop).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    run.sensitivity
        .iter()
        .map(|s| SensitivityRow {
            layer: s.layer.clone(),
            drop: measure::loss(metric, s.val_drop),
            length: format!("{:.1}", (s.val_drop / largest * 100.0).clamp(0.0, 100.0)),
            decision: s.decision.clone(),
            spared: !s.decision.eq_ignore_ascii_case("int8") && !s.decision.eq_ignore_ascii_case("prune"),
        })
        .collect()
}

fn quantization(q: &Quantization) -> QuantizationView {
    let mut facts = Vec::new();
    let mut push = |name, value: &str| {
        if !value.is_empty() {
            facts.push(Fact::new(name, value));
        }
    };
    push("Weights", &q.weights);
    push("Activations", &q.activations);
    push("Calibration", &q.calibration);
    push("Calibrated on", &format!("{} training images", format::grouped(q.images as u64)));
    push("Bias correction", if q.bias_correction { "yes" } else { "no" });
    push("Layers in int8", &q.layers_int8.len().to_string());
    push("Layers in f32", &q.layers_f32.len().to_string());
    QuantizationView { facts, int8: q.layers_int8.clone(), f32: q.layers_f32.clone() }
}
