//! What a task makes of targets: the loss that is trained, and what is measured on the validation images.
//!
//! The trainer, its checkpoints and its early stopping know no task and no metric by name: they ask an [`Objective`].

mod multi_label;
mod padded;
mod single_label;

use std::fmt::Debug;

use oculist_data::{Targets, Task};
use oculist_metrics::{Metric, Scores};

use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::loss::Distillation;
use multi_label::MultiLabel;
use single_label::SingleLabel;

/// Loss, gradient and scores of a task.
pub trait Objective: Debug {
    /// The task whose targets it takes.
    fn task(&self) -> Task;

    /// The metrics that [`scores`](Self::scores) can give, the usual one first.
    fn metrics(&self) -> &'static [Metric];

    /// The mean loss of a training batch and its gradient with respect to the logits.
    ///
    /// `mixed` are the targets of a batch that was mixed, `[n, classes]` dense; without, the images' own count.
    ///
    /// # Shapes
    /// `logits`, `gradient`, the teacher's logits: `[n, classes]` dense.
    ///
    /// # Panics
    /// For targets of another task, a label that is no class, or slices that are shorter than the shape says.
    fn loss_and_gradient(
        &self,
        targets: &Targets,
        mixed: Option<&[f32]>,
        teacher: Option<&Distillation<'_>>,
        logits: &[f32],
        gradient: &mut [f32],
    ) -> f64;

    /// What was measured of all validation images.
    ///
    /// # Shapes
    /// `logits`: `[targets.len(), classes]` dense.
    ///
    /// # Panics
    /// As for [`loss_and_gradient`](Self::loss_and_gradient).
    fn scores(&self, targets: &Targets, logits: &[f32]) -> Scores;
}

/// The objective of a training run.
///
/// # Errors
/// [`TrainError::Setting`]: class weights or priors that are not one for each class; a loss or a consistency loss that the
/// task does not have.
pub fn objective(task: Task, config: &TrainConfig, classes: usize) -> Result<Box<dyn Objective>, TrainError> {
    Ok(match task {
        Task::SingleLabel => Box::new(SingleLabel::new(config, classes)?),
        Task::MultiLabel => Box::new(MultiLabel::new(config, classes)?),
    })
}

/// The objective without what makes training a little harder (smoothing, weights, other losses): what is validated, and what
/// importances are estimated by.
pub fn plain_objective(task: Task, classes: usize) -> Box<dyn Objective> {
    match task {
        Task::SingleLabel => Box::new(SingleLabel::plain(classes)),
        Task::MultiLabel => Box::new(MultiLabel::plain(classes)),
    }
}

/// The metric that decides which weights are kept: the one that the settings name, or the task's usual one.
///
/// # Errors
/// [`TrainError::Setting`] for a metric that the task does not have.
pub fn deciding_metric(objective: &dyn Objective, config: &TrainConfig) -> Result<Metric, TrainError> {
    let choices = objective.metrics();
    match config.metric {
        None => Ok(choices[0]),
        Some(metric) if choices.contains(&metric) => Ok(metric),
        Some(other) => Err(TrainError::Setting {
            name: "metric",
            expected: "one that the task has",
            found: format!("{other} for {}, which has {}", objective.task(), names(choices)),
        }),
    }
}

fn names(metrics: &[Metric]) -> String {
    metrics.iter().map(|metric| metric.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::Loss;

    #[test]
    fn the_usual_metrics_and_those_that_a_task_has_not() {
        let of = |task, metric| {
            let config = TrainConfig { metric, ..TrainConfig::default() };
            deciding_metric(&*objective(task, &config, 3).unwrap(), &config)
        };
        assert_eq!(of(Task::SingleLabel, None).unwrap(), Metric::Top1);
        assert_eq!(of(Task::MultiLabel, None).unwrap(), Metric::Map);
        assert_eq!(of(Task::SingleLabel, Some(Metric::LogLoss)).unwrap(), Metric::LogLoss);
        let text = of(Task::MultiLabel, Some(Metric::Top1)).unwrap_err().to_string();
        assert!(text.starts_with("metric must be") && text.contains("multi-label, which has map"), "{text}");
    }

    #[test]
    fn several_labels_have_no_softmax_loss() {
        let configs = [
            ("loss", TrainConfig { loss: Loss::Focal { gamma: 2.0 }, ..TrainConfig::default() }),
            ("consistency", TrainConfig { consistency: 12.0, ..TrainConfig::default() }),
            ("class_weights", TrainConfig { class_weights: vec![1.0; 2], ..TrainConfig::default() }),
        ];
        for (name, config) in configs {
            let text = objective(Task::MultiLabel, &config, 3).unwrap_err().to_string();
            assert!(text.starts_with(name), "{text}");
        }
    }
}
