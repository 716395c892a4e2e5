//! A graph run node by node.

use oculist_graph::op::{Given, Seen};
use oculist_graph::{Graph, Op, Shape, Tensor};
use oculist_kernels::Context;

use crate::call::evaluate;
use crate::error::PlainError;

/// Checks that an operator takes these tensors: its inference with the actual shapes.
pub(crate) fn check(op: &Op, inputs: &[Option<&Tensor>], outputs: usize) -> Result<(), String> {
    let shapes: Vec<Option<Shape>> = inputs.iter().map(|x| x.map(|t| Shape::fixed(t.shape()))).collect();
    let seen = inputs.iter().zip(&shapes).map(|(tensor, shape)| {
        let (tensor, shape) = ((*tensor)?, shape.as_ref()?);
        Some(Seen { name: "", dtype: tensor.dtype(), shape, items: None, tensor: Some(tensor) })
    });
    op.infer(&Given { inputs: seen.collect(), outputs }).map(|_| ())
}

/// Runs a graph on its inputs, in their order, and returns its outputs.
///
/// Every value is held in memory until its last reader has run.
///
/// # Errors
/// [`PlainError::Inputs`] if number, types or shapes of the inputs are not the graph's; [`PlainError::Node`] naming the
/// node that cannot be computed.
pub fn run(ctx: &Context, graph: &Graph, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, PlainError> {
    let wrong = |problem: String| PlainError::Inputs { graph: graph.name().to_owned(), problem };
    if inputs.len() != graph.inputs().len() {
        return Err(wrong(format!("expected {} inputs, found {}", graph.inputs().len(), inputs.len())));
    }
    let mut values: Vec<Option<Tensor>> = vec![None; graph.values().len()];
    for (&id, tensor) in graph.inputs().iter().zip(inputs) {
        let value = graph.value(id);
        let fits = value.shape.as_ref().is_none_or(|shape| {
            shape.rank() == tensor.shape().len()
                && shape
                    .dims()
                    .iter()
                    .zip(tensor.shape())
                    .all(|(d, &n)| d.size().is_none_or(|size| size == n))
        });
        if value.dtype != tensor.dtype() || !fits {
            let shape = value.shape.as_ref().map_or(String::new(), ToString::to_string);
            return Err(wrong(format!(
                "input `{}`: expected {}{shape}, found {}{:?}",
                value.name,
                value.dtype.name(),
                tensor.dtype().name(),
                tensor.shape()
            )));
        }
        values[id.index()] = Some(tensor);
    }
    let mut readers = vec![0usize; values.len()];
    for v in graph.nodes().iter().flat_map(|node| &node.inputs).chain(graph.outputs().iter().copied()) {
        readers[v.index()] += 1;
    }
    for node in graph.nodes() {
        let given: Vec<Option<&Tensor>> = node
            .inputs
            .slots()
            .iter()
            .map(|slot| slot.and_then(|v| graph.param(v).or(values[v.index()].as_ref())))
            .collect();
        let results = evaluate(ctx, &node.op, &given, node.outputs.len())
            .map_err(|source| PlainError::Node { node: node.name.clone(), source: Box::new(source) })?;
        for v in &node.inputs {
            readers[v.index()] -= 1;
            if readers[v.index()] == 0 {
                values[v.index()] = None;
            }
        }
        for (&v, result) in node.outputs.iter().zip(results) {
            if readers[v.index()] > 0 {
                values[v.index()] = Some(result);
            }
        }
    }
    graph
        .outputs()
        .iter()
        .map(|&v| {
            let known = graph.param(v).or(values[v.index()].as_ref()).cloned();
            known.ok_or_else(|| wrong(format!("nothing computes the output `{}`", graph.value(v).name)))
        })
        .collect()
}
