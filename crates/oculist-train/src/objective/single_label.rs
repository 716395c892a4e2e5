//! One class an image: softmax and its losses.

use oculist_data::{Targets, Task};
use oculist_metrics::{Metric, Outputs, Scores, classification};

use super::Objective;
use super::padded::on_padded_rows;
use crate::config::{TrainConfig, VIEWS};
use crate::error::TrainError;
use crate::loss::{Criterion, Distillation};

#[derive(Debug)]
pub(super) struct SingleLabel {
    criterion: Criterion,
    classes: usize,
    /// Weight of the consistency loss; where it is not 0, images come in views.
    consistency: f32,
}

impl SingleLabel {
    pub(super) fn new(config: &TrainConfig, classes: usize) -> Result<Self, TrainError> {
        let TrainConfig { loss, label_smoothing, class_weights, class_priors, consistency, .. } = config;
        let criterion = Criterion::new(*loss, classes, *label_smoothing, class_weights, class_priors)?;
        Ok(Self { criterion, classes, consistency: *consistency })
    }

    pub(super) fn plain(classes: usize) -> Self {
        Self { criterion: Criterion::plain(classes), classes, consistency: 0.0 }
    }
}

impl Objective for SingleLabel {
    fn task(&self) -> Task {
        Task::SingleLabel
    }

    fn metrics(&self) -> &'static [Metric] {
        &Metric::CLASSIFICATION
    }

    fn loss_and_gradient(
        &self,
        targets: &Targets,
        mixed: Option<&[f32]>,
        teacher: Option<&Distillation<'_>>,
        logits: &[f32],
        gradient: &mut [f32],
    ) -> f64 {
        let criterion = &self.criterion;
        on_padded_rows(self.classes, teacher, logits, gradient, |teacher, logits, gradient| match mixed {
            _ if self.consistency > 0.0 => {
                let labels: Vec<u32> = targets.labels().iter().step_by(VIEWS).copied().collect();
                criterion.consistency_loss_and_gradient(&labels, self.consistency, logits, gradient)
            }
            Some(mixed) => criterion.soft_loss_and_gradient(mixed, teacher, logits, gradient),
            None => criterion.loss_and_gradient(targets.labels(), teacher, logits, gradient),
        })
    }

    fn scores(&self, targets: &Targets, logits: &[f32]) -> Scores {
        classification(Outputs::Logits(logits), targets.labels(), self.classes)
    }
}
