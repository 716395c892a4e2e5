//! A classifier taken apart: the network in front of its last layer, and that layer.
//!
//! **What it does.** [`extractor`] ends a graph in the features that its classifier reads, one row for each image;
//! [`classifier`] gives the classifier's weights, row by row.
//!
//! **Applies when.** From the output backwards, along what depends on the image, there is a fully connected layer or a
//! convolution of more than one feature; or the place is named.
//!
//! **Preserves.** The features are the values that the graph computed there; maps become their means over places.
//!
//! **Source.** "Neural codes" (Babenko et al., arXiv 1404.1777) for the features, Lin et al. (arXiv 1312.4400) for their
//! global average.

mod classifier;
#[cfg(test)]
mod tests;

use oculist_graph::{
    Flatten, GlobalPool, Graph, Node, NodeId, Op, Reduce, ReduceKind, Tensor, Unary, ValueId,
};

use crate::edit::Names;
use crate::error::{PassError, Result};

pub use classifier::{Classifier, classifier};

/// Nodes at the end of a graph that an error lists.
const TOLD: usize = 6;

/// Where a graph is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut<'a> {
    /// In front of the last layer: what the classifier reads.
    Classifier,
    /// Behind the last map of more than one place that the classifier depends on; its means over places are the features.
    Maps,
    /// At the value, or behind the node, of this name.
    At(&'a str),
}

/// A network that gives features.
#[derive(Debug, Clone)]
pub struct Extractor {
    /// The network; its one output is `[N, features]`.
    pub graph: Graph,
    /// Features of an image.
    pub features: usize,
    /// The value that was cut at.
    pub at: String,
    /// Whether the features are means over the places of maps.
    pub pooled: bool,
}

/// The network in front of a cut.
///
/// # Shapes
/// Rows `[N, D]` stay; maps `[N, C, H, W]` become their means over places `[N, C]`, tokens `[N, T, C]` their mean `[N, C]`.
///
/// # Errors
/// [`PassError::Option`] if there is no such place (of a graph without a recognisable classifier: what it ends in), or what
/// is there is nothing of one row for each image.
pub fn extractor(graph: &Graph, cut: Cut<'_>) -> Result<Extractor> {
    let value = place(graph, cut)?;
    let mut out = graph.clone();
    let name = graph.value(value).name.clone();
    let mut names = Names::of(graph);
    let mut nodes = Names::of_nodes(graph);
    let shape = graph.shape(value).clone();
    let (row, pooled) = match shape.rank() {
        2 => (value, false),
        4 if shape.chw().is_some_and(|(_, h, w)| h == 1 && w == 1) => {
            (out.add_node(nodes.fresh("features.flatten"), Flatten::IMAGES, [value]), false)
        }
        4 => {
            let pool = out.add_node(nodes.fresh("features.pool"), GlobalPool::Average, [value]);
            (out.add_node(nodes.fresh("features.flatten"), Flatten::IMAGES, [pool]), true)
        }
        3 => {
            let mean = Reduce { kind: ReduceKind::Mean, keepdims: false, noop_with_empty_axes: false };
            let axes = out.add_param(names.fresh("features.axes"), Tensor::ints(vec![1]));
            (out.add_node(nodes.fresh("features.mean"), mean, [value, axes]), true)
        }
        _ => return Err(no_place(graph, &format!("`{name}` is {shape}, expected a row, maps or tokens"))),
    };
    out.set_outputs(vec![row]);
    out.tidy()?;
    let output = out.outputs()[0];
    let found = out.shape(output).clone();
    match (found.rank(), found.get(1)) {
        (2, Some(features)) if features > 0 => Ok(Extractor { graph: out, features, at: name, pooled }),
        _ => Err(no_place(
            graph,
            &format!("`{name}` gives {found}, expected a row [N, features] of a known size"),
        )),
    }
}

/// The value that a cut names.
fn place(graph: &Graph, cut: Cut<'_>) -> Result<ValueId> {
    match cut {
        Cut::Classifier => last_layer(graph).map(|(_, data)| data).ok_or_else(|| {
            no_place(graph, "expected a fully connected layer or a convolution at its end that makes scores of features, found none")
        }),
        Cut::Maps => last_maps(graph).ok_or_else(|| {
            no_place(graph, "expected maps [N, C, H, W] that its scores depend on, found none")
        }),
        Cut::At(name) => {
            let of_node = || graph.nodes().iter().find(|node| node.name == name).map(Node::output);
            let inside = |v: ValueId| depends(graph)[v.index()] && !graph.inputs().contains(&v);
            let found = graph.find(name).or_else(of_node).filter(|&v| inside(v));
            found.ok_or_else(|| no_place(graph, &format!("expected the name of a value or node that depends on the image, found `{name}`")))
        }
    }
}

/// The last layer with weights that makes scores of several features, and what it reads.
pub(super) fn last_layer(graph: &Graph) -> Option<(NodeId, ValueId)> {
    let (producers, depends) = (graph.producers(), depends(graph));
    let mut at = *graph.outputs().first()?;
    while let Some(id) = producers[at.index()] {
        let node = &graph.nodes()[id];
        let data = node.inputs.iter().find(|v| depends[v.index()])?;
        // A layer of a single feature only turns one score into two.
        let several = graph.shape(data).get(1).is_none_or(|features| features > 1);
        if matches!(node.op, Op::Gemm(_) | Op::MatMul(_) | Op::Conv(_)) && several {
            return Some((id, data));
        }
        // Behind a classifier scores are passed on one by one, or averaged over places; nothing else of the image joins them.
        let alone = node.inputs.iter().filter(|v| depends[v.index()]).count() == 1;
        let passes = matches!(
            node.op,
            Op::Binary(_)
                | Op::Unary(_)
                | Op::Clip(_)
                | Op::Softmax(_)
                | Op::Identity(_)
                | Op::Dropout(_)
                | Op::Cast(_)
                | Op::Flatten(_)
                | Op::Reshape(_)
                | Op::Squeeze(_)
                | Op::Unsqueeze(_)
                | Op::Transpose(_)
                | Op::GlobalPool(_)
                | Op::AveragePool(_)
                | Op::Reduce(_)
                | Op::Gemm(_)
                | Op::MatMul(_)
                | Op::Conv(_)
                | Op::QuantizeLinear(_)
                | Op::DequantizeLinear(_)
                | Op::Concat(_)
                | Op::Variadic(_)
        );
        if !alone || !passes {
            return None;
        }
        at = data;
    }
    None
}

/// Whether an activation stands behind the layer that is taken for the classifier: then it may be a layer of features, in a
/// network that has no classifier.
pub fn is_doubtful(graph: &Graph) -> bool {
    let (producers, depends) = (graph.producers(), depends(graph));
    let Some((layer, _)) = last_layer(graph) else { return false };
    let mut at = graph.outputs().first().copied();
    while let Some(id) = at.and_then(|v| producers[v.index()]).filter(|&id| id != layer) {
        let node = &graph.nodes()[id];
        if matches!(node.op, Op::Unary(Unary::Relu | Unary::Clip { .. } | Unary::HardSwish)) {
            return true;
        }
        at = node.inputs.iter().find(|v| depends[v.index()]);
    }
    false
}

/// The last value of more than one place from which the output is made.
fn last_maps(graph: &Graph) -> Option<ValueId> {
    let (producers, depends) = (graph.producers(), depends(graph));
    let (_, mut at) = last_layer(graph)?;
    loop {
        if graph.shape(at).chw().is_some_and(|(_, h, w)| h * w > 1) {
            return Some(at);
        }
        let node = &graph.nodes()[producers[at.index()]?];
        at = node.inputs.iter().find(|v| depends[v.index()])?;
    }
}

/// Whether the classifier reads nothing but the means of the last maps over their places, so that [`Cut::Maps`] gives the same
/// features as [`Cut::Classifier`].
pub fn pools_its_maps(graph: &Graph) -> bool {
    let (producers, depends) = (graph.producers(), depends(graph));
    let Some((_, mut at)) = last_layer(graph) else { return false };
    let mut pools = false;
    while graph.shape(at).chw().is_none_or(|(_, h, w)| h * w == 1) {
        let Some(node) = producers[at.index()].map(|id| &graph.nodes()[id]) else { return false };
        match &node.op {
            // Average pooling to one place has one window over all of the map.
            Op::GlobalPool(GlobalPool::Average) | Op::AveragePool(_) => pools = true,
            Op::Reduce(reduce) if reduce.kind == ReduceKind::Mean => pools = true,
            Op::Flatten(_) | Op::Reshape(_) | Op::Squeeze(_) | Op::Identity(_) | Op::Dropout(_) => {}
            _ => return false,
        }
        let Some(data) = node.inputs.iter().find(|v| depends[v.index()]) else { return false };
        at = data;
    }
    pools
}

/// Of each value, whether it depends on an input.
fn depends(graph: &Graph) -> Vec<bool> {
    let mut depends = vec![false; graph.values().len()];
    for &input in graph.inputs() {
        depends[input.index()] = true;
    }
    for node in graph.nodes() {
        if node.inputs.iter().any(|v| depends[v.index()]) {
            for v in &node.outputs {
                depends[v.index()] = true;
            }
        }
    }
    depends
}

/// The error of a graph that is not cut, with what it ends in.
fn no_place(graph: &Graph, problem: &str) -> PassError {
    let nodes = graph.nodes();
    let last: Vec<String> = nodes[nodes.len().saturating_sub(TOLD)..]
        .iter()
        .map(|node| format!("`{}` ({}) {}", node.name, node.op.name(), graph.shape(node.output())))
        .collect();
    PassError::Option {
        pass: "extractor",
        option: "layer",
        problem: format!("{problem}; it ends in {}", last.join(", ")),
    }
}
