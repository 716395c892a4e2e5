//! Runs a graph over a split.

use std::sync::Arc;

use oculist_graph::Graph;
use oculist_runtime::{Context, Plan, PlanOptions};

use crate::error::OculistError;
use crate::images::Images;
use crate::metrics::{Evaluation, evaluate_logits};

/// Images per run of an evaluation.
pub(crate) const BATCH: usize = 32;

/// The logits of every image, dense `[images, classes]`.
///
/// # Errors
/// [`OculistError::Runtime`] naming the node that cannot be run; [`OculistError::Data`] if an image cannot be read.
pub fn logits(graph: &Graph, images: &Images, ctx: &Arc<Context>) -> Result<Vec<f32>, OculistError> {
    let mut plan = Plan::new(graph, &PlanOptions::new(BATCH, ctx.clone()))?;
    let classes = plan.output_len();
    let mut all = Vec::with_capacity(images.len() * classes);
    let input_len = plan.input_len();
    images.for_each_batch(BATCH, &mut |batch| {
        let start = all.len();
        all.resize(start + batch.len() / input_len * classes, 0.0);
        plan.run(batch, &mut all[start..])?;
        Ok(())
    })?;
    Ok(all)
}

/// Accuracy and calibration of a graph on a split.
///
/// # Errors
/// As [`logits`].
pub fn evaluate(graph: &Graph, images: &Images, ctx: &Arc<Context>) -> Result<Evaluation, OculistError> {
    let all = logits(graph, images, ctx)?;
    let classes = all.len() / images.len().max(1);
    Ok(evaluate_logits(&all, images.labels(), classes))
}
