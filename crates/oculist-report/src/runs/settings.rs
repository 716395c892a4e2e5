//! What runs were told that others were not.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ComparedRun;
use crate::format;

/// A setting with its value in each run.
#[derive(Debug, Serialize)]
pub(super) struct SettingRow {
    pub(super) key: String,
    pub(super) cells: Vec<SettingCell>,
}

#[derive(Debug, Serialize)]
pub(super) struct SettingCell {
    pub(super) text: String,
    /// Whether the value is that of the first run.
    pub(super) as_first: bool,
}

/// Tables of a configuration that say how to train.
const TRAINING: [&str; 5] = ["augmentation.", "finetune.", "repeat.", "train.", "tuning."];

/// Whether a setting does nothing in a run that trained nothing.
fn of_training(key: &str) -> bool {
    key == "balanced" || TRAINING.iter().any(|table| key.starts_with(table))
}

/// The settings that differ between runs, and how many are the same in all.
pub(super) fn differing(runs: &[ComparedRun]) -> (Vec<SettingRow>, usize) {
    let mut all: BTreeMap<&str, Vec<Option<&str>>> = BTreeMap::new();
    for (i, run) in runs.iter().enumerate() {
        let trained = !run.summary.history.is_empty();
        for (key, value) in run.settings.iter().filter(|(key, _)| trained || !of_training(key)) {
            all.entry(key).or_insert_with(|| vec![None; runs.len()])[i] = Some(value);
        }
    }
    let count = all.len();
    let rows: Vec<SettingRow> = all
        .into_iter()
        .filter(|(_, values)| values.iter().any(|value| *value != values[0]))
        .map(|(key, values)| SettingRow {
            key: key.to_owned(),
            cells: values
                .iter()
                .map(|value| SettingCell {
                    text: value.map_or(format::NONE.to_owned(), str::to_owned),
                    as_first: *value == values[0],
                })
                .collect(),
        })
        .collect();
    let alike = count - rows.len();
    (rows, alike)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Epoch, RunSummary};

    #[test]
    fn a_run_that_trained_nothing_has_no_settings_of_training() {
        let settings = [("train.lr", "0.1"), ("seed", "1"), ("balanced", "false")];
        let settings: Vec<_> = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let measured = ComparedRun { settings: settings.clone(), ..ComparedRun::default() };
        let (rows, alike) = differing(&[measured.clone(), measured.clone()]);
        assert_eq!((rows.len(), alike), (0, 1));
        let summary = RunSummary { history: vec![Epoch::default()], ..RunSummary::default() };
        let trained = ComparedRun { summary, settings, ..ComparedRun::default() };
        let (rows, _) = differing(&[measured, trained]);
        let told: Vec<_> = rows.iter().map(|r| (r.key.as_str(), r.cells[0].text.as_str())).collect();
        assert_eq!(told, [("balanced", "–"), ("train.lr", "–")]);
    }

    #[test]
    fn only_what_differs_is_listed_and_what_is_not_set_is_a_difference() {
        let run = |settings: &[(&str, &str)]| ComparedRun {
            settings: settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            summary: RunSummary { history: vec![Epoch::default()], ..RunSummary::default() },
            ..ComparedRun::default()
        };
        let runs = [
            run(&[("train.lr", "0.1"), ("seed", "1"), ("arch", "resnet8")]),
            run(&[("train.lr", "0.2"), ("seed", "1"), ("arch", "resnet8")]),
            run(&[("train.lr", "0.1"), ("seed", "1")]),
        ];
        let (rows, alike) = differing(&runs);
        let told: Vec<_> = rows
            .iter()
            .map(|r| (r.key.as_str(), r.cells.iter().map(|c| c.text.as_str()).collect::<Vec<_>>()))
            .collect();
        assert_eq!(
            told,
            [("arch", vec!["resnet8", "resnet8", "–"]), ("train.lr", vec!["0.1", "0.2", "0.1"])]
        );
        assert_eq!(alike, 1);
        assert!(rows[1].cells[2].as_first && !rows[1].cells[1].as_first);
        assert_eq!(differing(&runs[..1]).0.len(), 0);
    }
}
