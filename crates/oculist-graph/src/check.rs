//! The checker: every invariant that other crates rely on.

use std::collections::HashSet;

use crate::error::GraphError;
use crate::graph::{Graph, Node, ValueKind};
use crate::infer::infer_node;
use crate::op::{BatchNormalization, Op};
use crate::tensor::Tensor;

impl Graph {
    /// Verifies names, order, producers, parameters and shapes.
    ///
    /// # Errors
    /// [`GraphError`] naming the first violation.
    pub fn check(&self) -> Result<(), GraphError> {
        let structure = |problem: String| Err(GraphError::Structure { graph: self.name.clone(), problem });
        if self.outputs.is_empty() {
            return structure("expected outputs, found none".to_owned());
        }
        self.check_inputs()?;
        let weights = self.weights();
        let mut names = HashSet::new();
        for (value, weight) in self.values.iter().zip(weights) {
            if !names.insert(value.name.as_str()) {
                return structure(format!("two values are named `{}`", value.name));
            }
            // A mask may hold minus infinity; what is computed with everywhere may not.
            if weight
                && let ValueKind::Param(t) = &value.kind
                && let Some(v) = t.as_f32()
                && let Some(bad) = v.iter().find(|x| !x.is_finite())
            {
                return structure(format!("parameter `{}` holds {bad}", value.name));
            }
        }
        let mut node_names = HashSet::new();
        let mut known: Vec<bool> =
            self.values.iter().map(|v| !matches!(v.kind, ValueKind::Activation)).collect();
        for node in &self.nodes {
            if !node_names.insert(node.name.as_str()) {
                return structure(format!("two nodes are named `{}`", node.name));
            }
            for input in &node.inputs {
                if !known[input.0] {
                    return structure(format!(
                        "node `{}` reads `{}` before it is produced",
                        node.name, self.values[input.0].name
                    ));
                }
            }
            for output in &node.outputs {
                if known[output.0] {
                    return structure(format!("value `{}` has two producers", self.values[output.0].name));
                }
                known[output.0] = true;
            }
            self.check_variance(node)?;
        }
        if let Some(output) = self.outputs.iter().find(|v| !known[v.0]) {
            return structure(format!("output `{}` has no producer", self.values[output.0].name));
        }
        // Nodes are in order, so each stored shape is compared with what follows from shapes already confirmed.
        for node in &self.nodes {
            for (&output, fact) in node.outputs.iter().zip(infer_node(self, node)?) {
                let stored = self.value(output);
                if stored.shape.as_ref() != Some(&fact.shape) || stored.dtype != fact.dtype {
                    return structure(format!("the stored shape of `{}` is out of date", stored.name));
                }
            }
        }
        Ok(())
    }

    /// A normalisation divides by the root of its variance, which must be one.
    fn check_variance(&self, node: &Node) -> Result<(), GraphError> {
        let Op::BatchNormalization(BatchNormalization { epsilon, .. }) = node.op else { return Ok(()) };
        let variance = node.inputs.get(4).filter(|id| id.0 < self.values.len());
        let Some(id) = variance else { return Ok(()) };
        let values = self.param(id).and_then(Tensor::as_f32).unwrap_or_default();
        match values.iter().find(|&&v| v + epsilon <= 0.0) {
            None => Ok(()),
            Some(bad) => Err(GraphError::Structure {
                graph: self.name.clone(),
                problem: format!(
                    "node `{}`: parameter `{}` holds the variance {bad}; expected more than -{epsilon} (minus epsilon), \
                     since the node divides by the root of their sum",
                    node.name, self.values[id.0].name
                ),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
