//! Gradients of a trained network on training batches, for importance estimates.

use std::collections::BTreeMap;

use oculist_graph::{Graph, Tensor, ValueId};

use crate::engine::{Answers, Engine, Setup};
use crate::error::TrainError;
use crate::objective::plain_objective;
use crate::trainer::{TrainingData, check_targets};

/// Hands out the gradients of the task's plain cross-entropy for up to `batches` training batches, one map per batch; the
/// weights stay as they are.
///
/// # Errors
/// [`TrainError`]: unsupported node, unreadable data, or what `body` returns.
pub fn for_each_gradient<E: From<TrainError>>(
    engine: &dyn Engine,
    graph: &Graph,
    batch_size: usize,
    data: &dyn TrainingData,
    batches: usize,
    mut body: impl FnMut(BTreeMap<ValueId, Tensor>) -> Result<(), E>,
) -> Result<(), E> {
    let mut learner = engine.load(graph, &Setup::plain(batch_size))?;
    // Parameters that stand like weights, but that no gradient reaches, have one of zeros.
    let mut zeros = BTreeMap::new();
    for node in graph.nodes() {
        for (i, slot) in node.inputs.slots().iter().enumerate() {
            if let Some(v) = *slot
                && graph.is_weight_at(node, i)
                && let Some(tensor) = graph.param(v)
            {
                zeros.insert(v, Tensor::filled(tensor.shape(), 0.0));
            }
        }
    }
    let mut ids = BTreeMap::new();
    for (id, value, _) in graph.params() {
        if learner.form().weights.contains_key(&value.name) {
            zeros.remove(&id);
            ids.insert(value.name.as_str(), id);
        }
    }
    let objective = plain_objective(data.task(), learner.classes());
    for batch in data.epoch(0)?.take(batches) {
        let batch = batch?;
        check_targets(&*objective, learner.classes(), &batch)?;
        let mut loss = |answers: Answers<'_>, gradient: &mut [f32]| {
            objective.loss_and_gradient(&batch.targets, None, None, answers.logits, gradient)
        };
        let gradients = learner.gradients(&batch.images, &mut loss)?;
        let known =
            gradients.into_iter().filter_map(|(name, tensor)| Some((*ids.get(name.as_str())?, tensor)));
        body(known.chain(zeros.clone()).collect())?;
    }
    Ok(())
}
