//! Inference of shapes, element types and the elements of small integer values.

use crate::error::GraphError;
use crate::graph::{Graph, Node, ValueKind};
use crate::op::{Fact, Given, Seen};
use crate::shape::{Dim, Shape};

impl Graph {
    /// Computes the shape and element type of every activation.
    ///
    /// # Errors
    /// [`GraphError::Node`] naming the first node whose inputs do not fit.
    pub fn infer_shapes(&mut self) -> Result<(), GraphError> {
        self.infer_shapes_from(0).map(|_| ())
    }

    /// Infers the nodes from number `first` on, for a graph that is being built and whose earlier nodes are inferred;
    /// returns the number of nodes, from which the next call can go on.
    ///
    /// # Errors
    /// As [`Graph::infer_shapes`].
    pub fn infer_shapes_from(&mut self, first: usize) -> Result<usize, GraphError> {
        if first == 0 {
            self.check_inputs()?;
        }
        for i in first..self.nodes.len() {
            self.infer_one(i)?;
        }
        Ok(self.nodes.len())
    }

    /// The same graph for a known number of samples: [`Dim::Batch`] of its inputs has that size, and everything that
    /// follows from it is inferred anew. Ids stay what they are; parameters are shared.
    ///
    /// # Errors
    /// As [`Graph::infer_shapes`]: a graph may be written for other batches.
    pub fn with_batch(&self, batch: usize) -> Result<Self, GraphError> {
        let mut graph = self.clone();
        for input in &self.inputs {
            let shape = graph.values[input.0].shape.as_mut();
            if let Some(shape) = shape {
                let bound = |&dim: &Dim| if dim == Dim::Batch { Dim::Fixed(batch) } else { dim };
                *shape = Shape::new(shape.dims().iter().map(bound).collect());
            }
        }
        graph.infer_shapes()?;
        Ok(graph)
    }

    pub(crate) fn infer_one(&mut self, node: usize) -> Result<(), GraphError> {
        let facts = infer_node(self, &self.nodes[node])?;
        for (&output, fact) in self.nodes[node].outputs.iter().zip(facts) {
            let value = &mut self.values[output.0];
            value.shape = Some(fact.shape);
            value.dtype = fact.dtype;
            value.items = fact.items;
        }
        Ok(())
    }

    /// Checks that the graph's inputs have not too many elements.
    pub(crate) fn check_inputs(&self) -> Result<(), GraphError> {
        for input in &self.inputs {
            let value = &self.values[input.0];
            if let Some(shape) = &value.shape
                && let Err(problem) = check_elements(shape)
            {
                let problem = format!("input `{}`: {problem}", value.name);
                return Err(GraphError::Structure { graph: self.name.clone(), problem });
            }
        }
        Ok(())
    }

    /// Infers only the last node, so that a builder stays linear in the number of nodes.
    pub(crate) fn infer_last(&mut self) -> Result<(), GraphError> {
        match self.nodes.len() {
            0 => Ok(()),
            n => self.infer_one(n - 1),
        }
    }

    /// What is known of a node's inputs.
    ///
    /// # Errors
    /// [`GraphError::Node`] if one of them has no shape yet.
    pub fn given(&self, node: &Node) -> Result<Given<'_>, GraphError> {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for slot in node.inputs.slots() {
            inputs.push(match slot {
                None => None,
                Some(id) => {
                    let value = self.value(*id);
                    let shape = value.shape.as_ref().ok_or_else(|| {
                        node.error(format!(
                            "input `{}` has no shape: it is produced later or never",
                            value.name
                        ))
                    })?;
                    let tensor = if let ValueKind::Param(tensor) = &value.kind { Some(tensor) } else { None };
                    let items = value.items.as_deref();
                    Some(Seen { name: &value.name, dtype: value.dtype, shape, items, tensor })
                }
            });
        }
        Ok(Given { inputs, outputs: node.outputs.len() })
    }
}

impl Node {
    /// An error that names this node.
    pub fn error(&self, problem: impl Into<String>) -> GraphError {
        GraphError::Node { node: self.name.clone(), op: self.op.name(), problem: problem.into() }
    }

    /// Refuses a number of inputs or outputs that the operator does not take.
    fn check_arity(&self) -> Result<(), GraphError> {
        let count = |what: &str, (min, max): (usize, usize), n: usize| {
            let s = |n: usize| if n == 1 { "" } else { "s" };
            if (min..=max).contains(&n) {
                Ok(())
            } else if min == max {
                Err(self.error(format!("expected {min} {what}{}, found {n}", s(min))))
            } else if max == usize::MAX {
                Err(self.error(format!("expected at least {min} {what}{}, found {n}", s(min))))
            } else {
                Err(self.error(format!("expected {min} to {max} {what}s, found {n}")))
            }
        };
        count("input", self.op.arity(), self.inputs.len())?;
        count("output", self.op.outputs(), self.outputs.len())?;
        match (0..self.op.arity().0).find(|&i| self.inputs.get(i).is_none()) {
            Some(missing) => Err(self.error(format!("input {missing} is missing"))),
            None => Ok(()),
        }
    }
}

/// Refuses a shape of more than [`Shape::MAX_ELEMENTS`], or of as many if the sizes of 0 were 1: strides and parts of a
/// shape are products that leave dimensions out.
fn check_elements(shape: &Shape) -> Result<(), String> {
    let sizes = shape.dims().iter().filter_map(|dim| dim.size()).filter(|&size| size > 0);
    if sizes.fold(1, usize::saturating_mul) > Shape::MAX_ELEMENTS {
        return Err(format!("expected at most {} elements, found the shape {shape}", Shape::MAX_ELEMENTS));
    }
    Ok(())
}

/// What follows for a node's outputs from its inputs.
pub(crate) fn infer_node(graph: &Graph, node: &Node) -> Result<Vec<Fact>, GraphError> {
    node.check_arity()?;
    let facts = node.op.infer(&graph.given(node)?).map_err(|problem| node.error(problem))?;
    if facts.len() < node.outputs.len() {
        return Err(node.error(format!("expected {} outputs, found {}", facts.len(), node.outputs.len())));
    }
    for fact in &facts {
        check_elements(&fact.shape).map_err(|problem| node.error(format!("its result: {problem}")))?;
    }
    Ok(facts)
}

#[cfg(test)]
mod tests;
