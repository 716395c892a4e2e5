//! What happened inside the network: widths, sensitivity, quantisation.

use serde::Serialize;

use crate::page::Fact;
use crate::{Metric, Quantization, RunSummary, Unit, format, measure};

#[derive(Debug, Serialize)]
pub(super) struct Compression {
    pub(super) layers: Vec<LayerRow>,
    pub(super) layers_intro: String,
    /// What the scan shows: `validation top-1, in points`.
    pub(super) sensitivity_of: String,
    /// What the bars are drawn to, in a sentence.
    pub(super) sensitivity_scale: String,
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
    /// Length of the bar, percent of [`scale_end`].
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
            sensitivity_scale: scale_text(run),
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
        "{} of {} channels remain ({}); {} were removed.",
        format::grouped(after as u64),
        format::grouped(before as u64),
        format::share(after as f64 / before as f64),
        format::grouped(before.saturating_sub(after) as u64)
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

/// The number of validation images that the scan looked at; an older file does not say, and had at most all.
fn scanned(run: &RunSummary) -> usize {
    match run.quantization.as_ref().map_or(0, |q| q.sensitivity_images) {
        0 => run.data.val,
        images => images,
    }
}

/// See [`resolution`]; in the metric's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Resolution {
    /// The least change that means something.
    least: f64,
    /// What one image changes.
    one_image: Option<f64>,
}

/// What the scanned images can show at all: a change below is as likely chance; and the step of one image, where the metric
/// is a share of images.
///
/// A share of images has the standard error `100 sqrt(p (1 - p) / n)` points at a share of `p`, and moves in steps of one
/// image; near 0 and 1 the step is the larger. For another metric there is no such formula: what the run allowed to be lost
/// stands in for it, else 1 point or 0.05 nats.
fn resolution(run: &RunSummary) -> Resolution {
    let metric = run.deciding_metric();
    let n = scanned(run) as f64;
    let share = matches!(metric, Metric::Top1 | Metric::Top5 | Metric::ExactMatch);
    let value = run.baseline().and_then(|m| m.val_score(metric)).filter(|v| (0.0..=100.0).contains(v));
    match value {
        Some(percent) if share && n > 0.0 => {
            let (p, step) = (percent / 100.0, 100.0 / n);
            let error = (100.0 * (p * (1.0 - p) / n).sqrt()).max(step);
            Resolution { least: error, one_image: Some(step) }
        }
        _ => {
            let usual = if metric.unit() == Unit::Percent { 1.0 } else { 0.05 };
            let least = run.max_drop.filter(|drop| *drop > 0.0).unwrap_or(usual);
            Resolution { least, one_image: None }
        }
    }
}

/// What a full bar of the scan stands for: the largest drop, or what the images can show if that is more.
fn scale_end(run: &RunSummary) -> f64 {
    let largest = run.sensitivity.iter().map(|s| s.val_drop).filter(|d| d.is_finite()).fold(0.0, f64::max);
    largest.max(resolution(run).least)
}

fn scale_text(run: &RunSummary) -> String {
    let metric = run.deciding_metric();
    let unit = measure::difference_unit(metric);
    let full = format!("A full bar is {}{unit}", format::sig3(scale_end(run)));
    let Resolution { least, one_image: Some(step) } = resolution(run) else { return format!("{full}.") };
    format!(
        "{full}; the standard error of the {} on the {} images of the scan is {}{unit}, and one image is {}.",
        metric.title(),
        format::grouped(scanned(run) as u64),
        format::sig3(least),
        format::sig3(step)
    )
}

fn sensitivity(run: &RunSummary) -> Vec<SensitivityRow> {
    let metric = run.deciding_metric();
    let end = scale_end(run);
    run.sensitivity
        .iter()
        .map(|s| SensitivityRow {
            layer: s.layer.clone(),
            drop: measure::loss(metric, s.val_drop),
            length: format!("{:.1}", (s.val_drop / end * 100.0).clamp(0.0, 100.0)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LayerSensitivity, Model};

    fn run(drops: &[f64], images: usize, top1: f64) -> RunSummary {
        let of =
            |&val_drop: &f64| LayerSensitivity { val_drop, decision: "int8".into(), ..Default::default() };
        RunSummary {
            models: vec![Model { name: "baseline".into(), val_top1: Some(top1), ..Model::default() }],
            quantization: Some(Quantization { sensitivity_images: images, ..Quantization::default() }),
            sensitivity: drops.iter().map(of).collect(),
            ..RunSummary::default()
        }
    }

    fn lengths(run: &RunSummary) -> Vec<String> {
        sensitivity(run).into_iter().map(|row| row.length).collect()
    }

    #[test]
    fn one_image_does_not_fill_a_bar() {
        // 90% of 400 images: a standard error of 1.5 points, one image is 0.25.
        let run = run(&[0.25, 0.0, -0.25], 400, 90.0);
        assert!((resolution(&run).least - 1.5).abs() < 1e-12);
        assert_eq!(lengths(&run), ["16.7", "0.0", "0.0"]);
        let text = scale_text(&run);
        assert!(text.contains("full bar is 1.50 points") && text.contains("one image is 0.250"), "{text}");
    }

    #[test]
    fn a_drop_beyond_chance_has_the_full_bar() {
        assert_eq!(lengths(&run(&[6.0, 1.5], 400, 90.0)), ["100.0", "25.0"]);
        // All right: what remains is the step of one image.
        assert!((resolution(&run(&[0.1], 50, 100.0)).least - 2.0).abs() < 1e-12);
    }

    #[test]
    fn other_metrics_are_drawn_to_what_may_be_lost() {
        let mut run = run(&[0.01], 400, 90.0);
        (run.metric, run.max_drop) = (Metric::LogLoss, Some(0.02));
        assert_eq!(lengths(&run), ["50.0"]);
        // A value that no share has tells of no standard error, and none is said.
        let mut odd = self::run(&[0.1], 400, 120.0);
        odd.max_drop = Some(1.0);
        assert_eq!(resolution(&odd), Resolution { least: 1.0, one_image: None });
        assert_eq!(scale_text(&odd), format!("A full bar is {} points.", format::sig3(1.0)));
        run.max_drop = None;
        assert_eq!(lengths(&run), ["20.0"]);
        assert_eq!(scale_text(&run), "A full bar is 0.050.".replace("0.050", &format::sig3(0.05)));
    }
}
