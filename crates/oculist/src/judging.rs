//! How models are judged: what they get right on images, by every metric there is for the task, and which one decides.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use oculist_data::{Targets, Task};
use oculist_graph::Graph;
use oculist_metrics::{
    Evaluation, LabelStanding, Metric, MultiLabel, Outputs, Scores, agreement, multi_label,
};
use oculist_runtime::Context;
use oculist_train::plain_objective;

use crate::error::OculistError;
use crate::evaluate::logits_until;
use crate::images::Images;
use crate::metrics::{Probabilities, evaluate_as};

/// What absorbs the rounding of a difference of two ratios of counts.
const SLACK: f64 = 1e-9;

/// Runs graphs over images and scores their answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judge<'a> {
    pub(crate) ctx: &'a Arc<Context>,
    pub(crate) images: &'a Images,
    /// The metric that decides.
    pub(crate) metric: Metric,
    pub(crate) stop: &'a AtomicBool,
}

impl<'a> Judge<'a> {
    /// The logits of a graph that ends in them.
    ///
    /// # Errors
    /// As [`crate::logits`].
    pub(crate) fn logits(&self, graph: &Graph) -> Result<Vec<f32>, OculistError> {
        logits_until(graph, self.images, self.ctx, self.stop)
    }

    /// All scores of a graph that ends in logits.
    ///
    /// # Errors
    /// As [`crate::logits`].
    pub(crate) fn scores(&self, graph: &Graph) -> Result<Scores, OculistError> {
        Ok(scores(&self.logits(graph)?, self.images))
    }

    /// What the metric says of scores.
    pub(crate) fn value(&self, scores: &Scores) -> f64 {
        scores.get(self.metric).unwrap_or(f64::NAN)
    }

    /// `val top-1 90.35%`.
    pub(crate) fn text(&self, scores: &Scores) -> String {
        format!("val {} {}", self.metric.title(), self.metric.format(self.value(scores)))
    }

    /// The same with other images.
    pub(crate) fn on<'b>(&self, images: &'b Images) -> Judge<'b>
    where
        'a: 'b,
    {
        Judge { images, ..*self }
    }
}

/// The scores of logits on images.
pub(crate) fn scores(logits: &[f32], images: &Images) -> Scores {
    let classes = logits.len() / images.len().max(1);
    plain_objective(images.targets().task(), classes).scores(images.targets(), logits)
}

/// The metric that decides where none is asked for: the first that the task has.
pub(crate) fn usual_metric(task: Task) -> Metric {
    metrics(task)[0]
}

/// The metrics that a task has.
pub(crate) fn metrics(task: Task) -> &'static [Metric] {
    plain_objective(task, 2).metrics()
}

/// What a model answers on images, with all that a report shows of it.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    pub(crate) scores: Scores,
    pub(crate) of_task: OfTask,
}

/// What belongs to one task.
#[derive(Debug, Clone)]
pub(crate) enum OfTask {
    /// One class an image.
    One(Evaluation),
    /// Any number of classes an image.
    Several(Several),
}

/// Answers with any number of classes an image.
#[derive(Debug, Clone)]
pub(crate) struct Several {
    pub(crate) found: MultiLabel,
    /// How they stand beside one answer for all.
    pub(crate) standing: Option<LabelStanding>,
    /// Probabilities, `[images, classes]`.
    pub(crate) probabilities: Vec<f32>,
    pub(crate) targets: Targets,
}

/// From this probability on a class is answered, where an image may have several.
pub const THRESHOLD: f64 = 0.5;

impl Several {
    /// The probabilities of image i.
    pub(crate) fn row(&self, i: usize) -> &[f32] {
        let classes = self.probabilities.len() / self.targets.len().max(1);
        &self.probabilities[i * classes..(i + 1) * classes]
    }

    /// The classes that are answered for image i, ascending.
    pub(crate) fn answer(&self, i: usize) -> Vec<u32> {
        let answered = |(class, &p): (usize, &f32)| (f64::from(p) >= THRESHOLD).then_some(class as u32);
        self.row(i).iter().enumerate().filter_map(answered).collect()
    }
}

impl Answers {
    /// What logits say of images.
    pub(crate) fn of(logits: &[f32], images: &Images, probabilities: Probabilities) -> Self {
        let classes = logits.len() / images.len().max(1);
        match images.targets() {
            Targets::Classes(labels) => {
                let found = evaluate_as(probabilities, logits, labels, classes);
                Self { scores: found.scores(), of_task: OfTask::One(found) }
            }
            targets @ Targets::Labels(sets) => {
                let dense = sets.dense();
                let found = multi_label(Outputs::Logits(logits), &dense, classes, THRESHOLD);
                let standing = LabelStanding::of(Outputs::Logits(logits), &dense, classes);
                let probabilities = Probabilities::Sigmoids.of(logits);
                let several = Several { found, standing, probabilities, targets: targets.clone() };
                Self { scores: several.found.scores.clone(), of_task: OfTask::Several(several) }
            }
        }
    }

    /// Whether the answer for image i is exactly right.
    pub(crate) fn is_right(&self, i: usize) -> bool {
        match &self.of_task {
            OfTask::One(found) => found.predictions[i] == found.labels[i],
            OfTask::Several(found) => found.answer(i) == found.targets.row(i),
        }
    }

    /// Share of images that both answer alike, percent.
    pub(crate) fn agreement(&self, other: &Self) -> f64 {
        match (&self.of_task, &other.of_task) {
            (OfTask::One(a), OfTask::One(b)) => agreement(&a.predictions, &b.predictions),
            (OfTask::Several(a), OfTask::Several(b)) => {
                let n = a.targets.len();
                let same = (0..n).filter(|&i| a.answer(i) == b.answer(i)).count();
                100.0 * same as f64 / n.max(1) as f64
            }
            _ => 0.0,
        }
    }
}

/// What a candidate may lose of what it is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Allowance {
    pub(crate) metric: Metric,
    /// The value that it is compared with.
    pub(crate) reference: f64,
    /// How much may be lost, in the metric's unit.
    pub(crate) max_drop: f64,
}

impl Allowance {
    /// How much a value has lost; negative if it has gained.
    pub(crate) fn lost(&self, value: f64) -> f64 {
        self.metric.drop(self.reference, value)
    }

    /// Whether no more is lost than is allowed.
    pub(crate) fn keeps(&self, value: f64) -> bool {
        self.lost(value) <= self.max_drop + SLACK
    }

    /// `0.5 points`, `1 point`, `0.02 log loss`: what is allowed.
    pub(crate) fn text(metric: Metric, max_drop: f64) -> String {
        match metric.unit() {
            oculist_metrics::Unit::Percent => crate::summary::points_text(max_drop),
            _ => format!("{max_drop} of the {}", metric.title()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_allowed_to_the_point_in_either_direction() {
        let top1 = Allowance { metric: Metric::Top1, reference: 90.0, max_drop: 0.5 };
        assert!(top1.keeps(89.5) && !top1.keeps(89.49) && top1.keeps(95.0) && !top1.keeps(f64::NAN));
        let loss = Allowance { metric: Metric::LogLoss, reference: 0.3, max_drop: 0.1 };
        assert!(loss.keeps(0.4) && !loss.keeps(0.41) && loss.keeps(0.1));
        assert_eq!(Allowance::text(Metric::Top1, 1.0), "1 point");
        assert_eq!(Allowance::text(Metric::LogLoss, 0.02), "0.02 of the log loss");
    }
}
