//! docs/augmentation-results.md: one section for each data set, replaced when its table is made again.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::methods::{METHODS, Method};
use super::{Data, Job, Study};
use crate::bench::Section;
use crate::workspace;

/// Test errors in percent, one for each seed that is finished.
#[derive(Debug)]
struct Row {
    method: &'static Method,
    errors: Vec<f64>,
    /// With each test image and its mirror image, their probabilities averaged.
    mirrored: Vec<f64>,
}

/// Test error in percent from a run's summary.
pub(super) fn test_error(summary: &Path) -> Result<f64> {
    error(summary, "/models/0/top1")
}

/// Test error in percent over both views, from the answer of `oculist eval --tta flip --json`.
pub(super) fn mirrored_error(evaluation: &Path) -> Result<f64> {
    error(evaluation, "/tta/top1")
}

fn error(file: &Path, top1: &str) -> Result<f64> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let value: Value = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
    let found = value.pointer(top1).and_then(Value::as_f64);
    Ok(100.0 - found.with_context(|| format!("{}: no number at {top1}", file.display()))?)
}

pub(super) fn write(study: &Study, folder: &Path) -> Result<()> {
    let mut rows = Vec::new();
    for method in &METHODS {
        let files = |name| {
            let runs = (0..study.seeds).map(move |seed| folder.join(Job { method, seed }.name()));
            runs.map(move |run| run.join(name)).filter(|file| file.exists())
        };
        let errors: Result<_> = files("summary.json").map(|file| test_error(&file)).collect();
        let mirrored: Result<_> = files(super::MIRRORED).map(|file| mirrored_error(&file)).collect();
        rows.push(Row { method, errors: errors?, mirrored: mirrored? });
    }
    let text = section(study, &rows);
    println!("\n{text}");
    let path = workspace::root().join("docs").join("augmentation-results.md");
    let section = Section { name: study.data.name(), kind: None, heading: heading(study.data) };
    section.replace(&path, &text)
}

fn heading(data: Data) -> &'static str {
    match data {
        Data::FashionMnist => "Fashion-MNIST",
        Data::Elpv => "Photos of solar cells",
    }
}

fn section(study: &Study, rows: &[Row]) -> String {
    let mut text = format!(
        "`cargo xtask augmentations {} --arch {} --width {} --epochs {} --seeds {}`\n\n",
        study.data.name(),
        study.arch,
        study.width,
        study.epochs,
        study.seeds
    );
    text += "| | test error, mean | spread (standard deviation) | each seed | against none | with the mirror image | against none | what |\n\
             |---|---|---|---|---|---|---|---|\n";
    // Both columns are set against images as they are, seen once.
    let plain = rows.first().and_then(|row| mean(&row.errors));
    for row in rows {
        let Some(error) = mean(&row.errors) else { continue };
        let each: Vec<String> = row.errors.iter().map(|e| format!("{e:.2}")).collect();
        let change = |error: f64| plain.map_or(0.0, |base| (error / base - 1.0) * 100.0);
        let mirrored = mean(&row.mirrored)
            .map_or_else(|| "- | -".into(), |error| format!("{error:.2}% | {:+.1}%", change(error)));
        let _ = writeln!(
            text,
            "| {} | {error:.2}% | {} | {} | {:+.1}% | {mirrored} | {} |",
            row.method.name,
            deviation(&row.errors).map_or_else(|| "-".into(), |d| format!("{d:.2}")),
            each.join(", "),
            change(error),
            row.method.about
        );
    }
    text
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Standard deviation of a sample; `None` below two values.
fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_mean_spread_and_change() {
        let study =
            Study { data: Data::Elpv, arch: "resnet8".into(), width: 1.0, epochs: 3, seeds: 3, jobs: 1 };
        let rows = [
            Row { method: &METHODS[0], errors: vec![10.0, 11.0, 12.0], mirrored: vec![11.5, 10.4] },
            Row { method: &METHODS[1], errors: vec![8.0], mirrored: vec![] },
            Row { method: &METHODS[2], errors: vec![], mirrored: vec![] },
        ];
        let text = section(&study, &rows);
        assert!(
            text.contains("| none | 11.00% | 1.00 | 10.00, 11.00, 12.00 | +0.0% | 10.95% | -0.5% |"),
            "{text}"
        );
        assert!(text.contains("| flips and crops | 8.00% | - | 8.00 | -27.3% | - | - |"), "{text}");
        assert!(!text.contains("trivial"), "{text}");
    }
}
