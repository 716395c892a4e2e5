//! Accuracy under changed conditions: the corruptions of the robustness benchmarks, and test-time augmentation.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::{Align, Table, format};

/// Accuracy at one severity of a corruption.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeverityResult {
    /// 1 (weak) to 5 (strong).
    pub severity: u8,
    /// Top-1 accuracy, percent.
    pub top1: f64,
}

/// Accuracy under one corruption.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CorruptionResult {
    /// The benchmark's name, such as `gaussian_noise`.
    pub corruption: String,
    /// Mean top-1 over the severities, percent.
    pub top1: f64,
    /// Each severity, weakest first.
    pub severities: Vec<SeverityResult>,
}

/// Accuracy under all corruptions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Robustness {
    /// Seed of the random corruptions.
    pub seed: u64,
    /// Number of images.
    pub images: usize,
    /// Top-1 on the images as they are, percent.
    pub clean_top1: f64,
    /// Mean top-1 over corruptions and severities, percent.
    pub mean_top1: f64,
    /// 100 - `mean_top1`: the plain mean of the errors, not divided by those of another network, which
    /// [`normalised`](Self::normalised) is.
    pub mean_corruption_error: f64,
    /// The errors beside those of another model on the same images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalised: Option<Normalised>,
    /// Each corruption, in the order of the paper.
    pub corruptions: Vec<CorruptionResult>,
}

/// The errors under corruptions in percent of those of a baseline, as ImageNet-C has them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Normalised {
    /// File of the baseline.
    pub baseline: String,
    /// The baseline's top-1 on the images as they are, percent.
    pub clean_top1: f64,
    /// The baseline's mean top-1 over corruptions and severities, percent.
    pub mean_top1: f64,
    /// Mean of `corruption_errors`; `None` where one of them is.
    pub mean_corruption_error: Option<f64>,
    /// For each corruption 100 times the sum of the errors over severities by that of the baseline's errors; `None` where the
    /// baseline makes none.
    pub corruption_errors: Vec<Option<f64>>,
}

impl Robustness {
    /// The table for the terminal: a row for each corruption, a column for each severity.
    pub fn table(&self) -> String {
        let severities = self.corruptions.first().map_or(&[][..], |c| &c.severities);
        let mut columns = vec![("top-1 under".to_owned(), Align::Left), ("mean".to_owned(), Align::Right)];
        let normalised = self.normalised.as_ref();
        columns.extend(normalised.map(|_| ("CE".to_owned(), Align::Right)));
        columns.extend(severities.iter().map(|s| (format!("severity {}", s.severity), Align::Right)));
        let mut table = Table::new(&columns);
        let or_dash = |value: Option<f64>| value.map_or("-".to_owned(), format::percent);
        for (i, c) in self.corruptions.iter().enumerate() {
            let cells = c.severities.iter().map(|s| format::percent(s.top1));
            let error = normalised.map(|n| or_dash(n.corruption_errors.get(i).copied().flatten()));
            let first = [c.corruption.clone(), format::percent(c.top1)];
            table.row(first.into_iter().chain(error).chain(cells));
        }
        let mut text = table.to_string();
        let _ = writeln!(
            text,
            "\nMean error over corruptions, unnormalised: {}, clean top-1 {}, on {} images (seed {}).",
            format::percent(self.mean_corruption_error),
            format::percent(self.clean_top1),
            format::grouped(self.images as u64),
            self.seed
        );
        if let Some(n) = normalised {
            let _ = writeln!(
                text,
                "Mean corruption error (mCE): {} of the errors of {} (clean top-1 {}, mean error {}).",
                or_dash(n.mean_corruption_error),
                oculist_text::visible(&n.baseline),
                format::percent(n.clean_top1),
                format::percent(100.0 - n.mean_top1),
            );
        }
        text
    }
}

/// Accuracy with test-time augmentation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TtaResult {
    /// Which views.
    pub name: String,
    /// Views per image, the image itself included.
    pub views: usize,
    /// Seed of views that are drawn.
    pub seed: u64,
    /// Top-1 on the images alone, percent.
    pub top1_without: f64,
    /// Top-1 by the mean probabilities, percent.
    pub top1: f64,
    /// Top-5 by the mean probabilities, percent.
    pub top5: f64,
    /// Expected calibration error of the mean probabilities, 0 to 1.
    pub ece: f64,
}

impl TtaResult {
    /// The table for the terminal.
    pub fn table(&self) -> String {
        let right = Align::Right;
        let mut table =
            Table::new(&[("test-time augmentation", Align::Left), ("views", right), ("top-1", right)]);
        table.row(["without".to_owned(), "1".to_owned(), format::percent(self.top1_without)]);
        table.row([self.name.clone(), self.views.to_string(), format::percent(self.top1)]);
        table.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_show_every_number() {
        let result = Robustness {
            seed: 3,
            images: 2000,
            clean_top1: 90.0,
            mean_top1: 70.0,
            mean_corruption_error: 30.0,
            normalised: None,
            corruptions: vec![CorruptionResult {
                corruption: "fog".into(),
                top1: 70.0,
                severities: [(1, 80.0), (5, 60.0)]
                    .map(|(severity, top1)| SeverityResult { severity, top1 })
                    .into(),
            }],
        };
        let table = result.table();
        for part in [
            "severity 1",
            "severity 5",
            "80.00%",
            "60.00%",
            "70.00%",
            "unnormalised: 30.00%",
            "90.00%",
            "seed 3",
        ] {
            assert!(table.contains(part), "{part} in {table}");
        }
        assert!(!table.contains("severity 2") && !table.contains("mCE") && !table.contains("CE "));
        let normalised = Normalised {
            baseline: "base.onnx".into(),
            clean_top1: 85.0,
            mean_top1: 60.0,
            mean_corruption_error: Some(75.0),
            corruption_errors: vec![Some(75.0)],
        };
        let beside = Robustness { normalised: Some(normalised), ..result.clone() }.table();
        assert!(
            beside.contains("(mCE): 75.00% of the errors of base.onnx") && beside.contains("40.00%"),
            "{beside}"
        );
        let tta = TtaResult {
            name: "flip".into(),
            views: 2,
            top1_without: 88.5,
            top1: 89.25,
            ..TtaResult::default()
        };
        let table = tta.table();
        assert!(table.contains("88.50%") && table.contains("89.25%") && table.contains("flip"), "{table}");
    }
}
