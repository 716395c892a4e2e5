//! How models are judged: what they get right on images, by every metric there is for the task, and which one decides.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use oculist_graph::Graph;
use oculist_metrics::{Metric, Scores};
use oculist_runtime::Context;

use crate::error::OculistError;
use crate::evaluate::logits_until;
use crate::images::Images;
use crate::metrics::evaluate_logits;

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
    /// All scores of a graph that ends in logits.
    ///
    /// # Errors
    /// As [`crate::logits`].
    pub(crate) fn scores(&self, graph: &Graph) -> Result<Scores, OculistError> {
        Ok(scores(&logits_until(graph, self.images, self.ctx, self.stop)?, self.images))
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
    evaluate_logits(logits, images.labels(), classes).scores()
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
