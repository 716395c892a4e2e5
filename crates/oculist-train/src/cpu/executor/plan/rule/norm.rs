//! Batch normalisation, with the addition and the activation behind it.

use oculist_graph::{BatchNormalization, Binary, NodeId, Op};
use oculist_kernels::{Activation, channel_stride};

use super::super::{Planner, Slot, Step, unsupported};
use super::Outcome;
use super::arithmetic::activation_of;
use crate::cpu::params::ParamLayout;
use crate::error::TrainError;

/// Normalisation with statistics of the batch.
pub(super) fn batch_norm(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    let Op::BatchNormalization(op) = &node.op else { return Ok(false) };
    let Some(value) = node.inputs.get(0).filter(|&v| planner.reaches_slot(v)) else { return Ok(false) };
    let vector = ParamLayout::Channels(planner.graph.shape(value).get(1).unwrap_or(0));
    let statistics = |i: usize| {
        node.inputs.get(i).and_then(|v| planner.graph.param(v)).is_some_and(|t| t.as_f32().is_some())
    };
    let trained = planner.is_trained(n, 1, &vector) && planner.is_trained(n, 2, &vector);
    if op.training || node.outputs.len() != 1 || !trained || !statistics(3) || !statistics(4) {
        return Ok(false);
    }
    let Some(x) = planner.slot(n, value) else { return Ok(false) };
    let x = planner.flat(value, x);
    planner.normalise(n, x, *op)?;
    Ok(true)
}

impl Planner<'_> {
    fn normalise(&mut self, n: NodeId, x: Slot, op: BatchNormalization) -> Result<(), TrainError> {
        let node = &self.graph.nodes()[n];
        let map = self.plan.slots[x];
        if map.stride != channel_stride(map.channels) {
            return Err(unsupported(node, "normalising the image itself is not supported".into()));
        }
        let vector = ParamLayout::Channels(map.channels);
        let gamma = self.weight(n, 1, vector.clone(), false)?;
        let beta = self.weight(n, 2, vector.clone(), false)?;
        let running_mean = self.statistic(n, 3, vector.clone())?;
        let running_var = self.statistic(n, 4, vector)?;
        if running_mean == running_var {
            return Err(unsupported(node, "its running mean and variance are one parameter".into()));
        }
        let mut output = node.output();
        let mut residual = None;
        // The residual addition, if its other operand is known already.
        if let Some(next) = self.only_consumer(output)
            && self.graph.nodes()[next].op == Op::Binary(Binary::Add)
        {
            let add = &self.graph.nodes()[next];
            let other = if add.inputs[0] == output { add.inputs[1] } else { add.inputs[0] };
            // What is normalised cannot be the residual as well: both gradients would be written at once.
            if other != output
                && self.graph.shape(other) == self.graph.shape(output)
                && let Some(slot) = self.slot_of[other.index()].map(|slot| self.flat(other, slot))
                && slot != x
                && self.plan.slots[slot] == map
            {
                residual = Some(slot);
                output = add.output();
                self.done[next] = true;
            }
        }
        let mut activation = Activation::Identity;
        if let Some(next) = self.only_consumer(output)
            && let Some(found) = activation_of(&self.graph.nodes()[next].op)
            // The derivative is taken from the output, or from the normalised input when there is no residual.
            && (residual.is_none() || matches!(found, Activation::Relu | Activation::Clip { .. }))
        {
            activation = found;
            output = self.graph.nodes()[next].output();
            self.done[next] = true;
        }
        let y = self.new_slot(output, map);
        let saved = self.plan.norms;
        self.plan.norms += 1;
        self.plan.steps.push(Step::Norm {
            x,
            gamma,
            beta,
            running_mean,
            running_var,
            epsilon: op.epsilon,
            momentum: op.momentum,
            saved,
            residual,
            activation,
            y,
        });
        Ok(())
    }
}
