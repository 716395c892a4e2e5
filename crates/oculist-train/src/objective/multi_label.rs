//! Any number of classes an image: a sigmoid for each, and binary cross-entropy.

use oculist_data::{LabelSets, Targets, Task};
use oculist_metrics::{Metric, Outputs, Scores, multi_label};

use super::Objective;
use super::padded::on_padded_rows;
use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::loss::{BinaryCriterion, Distillation, Loss};

/// The probability from which a class counts as answered.
const THRESHOLD: f64 = 0.5;

#[derive(Debug)]
pub(super) struct MultiLabel {
    criterion: BinaryCriterion,
    classes: usize,
}

impl MultiLabel {
    pub(super) fn new(config: &TrainConfig, classes: usize) -> Result<Self, TrainError> {
        let fail = |name, expected, found: String| Err(TrainError::Setting { name, expected, found });
        if config.loss != Loss::CrossEntropy {
            let expected = "cross-entropy where images have several labels";
            return fail("loss", expected, format!("{:?}", config.loss));
        }
        if config.consistency > 0.0 {
            let expected = "0 where images have several labels";
            return fail("consistency", expected, config.consistency.to_string());
        }
        let criterion = BinaryCriterion::new(classes, config.label_smoothing, &config.class_weights)?;
        Ok(Self { criterion, classes })
    }

    pub(super) fn plain(classes: usize) -> Self {
        Self { criterion: BinaryCriterion::plain(classes), classes }
    }

    /// The labels of a batch as numbers.
    fn dense(&self, targets: &Targets) -> Vec<f32> {
        match targets {
            Targets::Labels(sets) if sets.classes() == self.classes => LabelSets::dense(sets),
            other => panic!("expected lists of labels of {} classes, found {other:?}", self.classes),
        }
    }
}

impl Objective for MultiLabel {
    fn task(&self) -> Task {
        Task::MultiLabel
    }

    fn metrics(&self) -> &'static [Metric] {
        &Metric::MULTI_LABEL
    }

    fn loss_and_gradient(
        &self,
        targets: &Targets,
        mixed: Option<&[f32]>,
        teacher: Option<&Distillation<'_>>,
        logits: &[f32],
        gradient: &mut [f32],
    ) -> f64 {
        let own;
        let targets = if let Some(mixed) = mixed {
            mixed
        } else {
            own = self.dense(targets);
            &own
        };
        on_padded_rows(self.classes, teacher, logits, gradient, |teacher, logits, gradient| {
            self.criterion.loss_and_gradient(targets, teacher, logits, gradient)
        })
    }

    fn scores(&self, targets: &Targets, logits: &[f32]) -> Scores {
        multi_label(Outputs::Logits(logits), &self.dense(targets), self.classes, THRESHOLD).scores
    }
}
