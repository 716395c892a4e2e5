//! Gradients of a trained network on training batches, for importance estimates.

use std::collections::BTreeMap;
use std::sync::Arc;

use oculist_graph::{Graph, Tensor, ValueId};
use oculist_kernels::Context;

use crate::error::TrainError;
use crate::executor::{Executor, Mode};
use crate::objective::plain_objective;
use crate::trainer::{TrainingData, check_targets};

/// Hands out the gradients of the task's plain cross-entropy for up to `batches` training batches, one map per batch; the
/// weights stay as they are.
///
/// # Errors
/// [`TrainError`]: unsupported node, unreadable data, or what `body` returns.
pub fn for_each_gradient<E: From<TrainError>>(
    ctx: Arc<Context>,
    graph: &Graph,
    batch_size: usize,
    data: &dyn TrainingData,
    batches: usize,
    mut body: impl FnMut(BTreeMap<ValueId, Tensor>) -> Result<(), E>,
) -> Result<(), E> {
    let mut executor = Executor::new(ctx, graph, batch_size, Mode::Train)?;
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
    for (v, _) in executor.gradient_tensors() {
        zeros.remove(&v);
    }
    let objective = plain_objective(data.task(), executor.classes());
    let mut gradient = vec![0.0; executor.logits().len()];
    for batch in data.epoch(0)?.take(batches) {
        let batch = batch?;
        check_targets(&*objective, executor.classes(), &batch)?;
        executor.forward_train(&batch.images, 0);
        objective.loss_and_gradient(&batch.targets, None, None, executor.logits(), &mut gradient);
        executor.backward(&gradient);
        executor.take_failure()?;
        body(executor.gradient_tensors().into_iter().chain(zeros.clone()).collect())?;
    }
    Ok(())
}
