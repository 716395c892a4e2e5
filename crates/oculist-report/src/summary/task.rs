//! What the classes are to an image, and the metrics that suit it.

use std::fmt;

use oculist_metrics::Metric;
use serde::{Deserialize, Serialize};

/// How many classes an image has. In files its text: `single-label`, `multi-label`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Task {
    /// Exactly one.
    #[default]
    SingleLabel,
    /// Any number, also none.
    MultiLabel,
}

impl Task {
    /// The text in files.
    pub fn name(self) -> &'static str {
        match self {
            Task::SingleLabel => "single-label",
            Task::MultiLabel => "multi-label",
        }
    }

    /// What can be measured of its models, in the order of reports.
    pub fn metrics(self) -> &'static [Metric] {
        match self {
            Task::SingleLabel => &Metric::CLASSIFICATION,
            Task::MultiLabel => &Metric::MULTI_LABEL,
        }
    }

    /// The metric that decides where nothing else was asked for.
    pub fn usual_metric(self) -> Metric {
        self.metrics()[0]
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The value of `metric` on the validation split: `val`, or what older files have in its place.
pub(super) fn validation_value(metric: Metric, val: Option<f64>, val_top1: Option<f64>) -> Option<f64> {
    val.or(if metric == Metric::Top1 { val_top1 } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_the_name() {
        for task in [Task::SingleLabel, Task::MultiLabel] {
            assert_eq!(serde_json::to_string(&task).unwrap(), format!("\"{task}\""));
            assert_eq!(serde_json::from_str::<Task>(&format!("\"{task}\"")).unwrap(), task);
            assert!(task.metrics().contains(&task.usual_metric()));
        }
        assert_eq!(
            [Task::SingleLabel, Task::MultiLabel].map(Task::usual_metric),
            [Metric::Top1, Metric::Map]
        );
    }

    #[test]
    fn an_older_file_has_top1_and_nothing_else() {
        assert_eq!(validation_value(Metric::Top1, None, Some(90.0)), Some(90.0));
        assert_eq!(validation_value(Metric::Top1, Some(91.0), Some(90.0)), Some(91.0));
        assert_eq!(validation_value(Metric::LogLoss, None, Some(90.0)), None);
        assert_eq!(validation_value(Metric::LogLoss, Some(0.3), Some(90.0)), Some(0.3));
    }
}
