//! Loss and scores on the validation images.

use oculist_data::Targets;
use oculist_metrics::Scores;

use super::{TrainingData, check_targets};
use crate::engine::Learner;
use crate::error::TrainError;
use crate::objective::plain_objective;

/// What was measured on the validation images.
pub(super) struct Validation {
    pub(super) images: usize,
    /// Mean plain loss; 0 of no images.
    pub(super) loss: f64,
    pub(super) scores: Scores,
}

/// Measures the deployed weights and statistics.
pub(super) fn evaluate(learner: &mut dyn Learner, data: &dyn TrainingData) -> Result<Validation, TrainError> {
    let classes = learner.classes();
    let objective = plain_objective(data.task(), classes);
    let mut loss = 0.0;
    let (mut targets, mut answers) = (Targets::none(data.task(), classes), Vec::new());
    let mut ignored = Vec::new();
    for batch in data.validation()? {
        let batch = batch?;
        check_targets(&*objective, classes, &batch)?;
        let n = batch.len();
        // All of its images may have been unreadable.
        if n == 0 {
            continue;
        }
        let logits = learner.logits(&batch.images)?;
        let logits = &logits[..n * classes];
        ignored.resize(logits.len(), 0.0);
        loss += objective.loss_and_gradient(&batch.targets, None, None, logits, &mut ignored) * n as f64;
        answers.extend_from_slice(logits);
        targets.extend(&batch.targets)?;
    }
    let scores = objective.scores(&targets, &answers);
    let images = targets.len();
    Ok(Validation { images, loss: loss / images.max(1) as f64, scores })
}
