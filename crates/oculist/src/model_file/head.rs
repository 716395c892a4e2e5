//! What stands behind the logits in a model file.
//!
//! Everything here computes with logits: losses, distillation, calibration, the mean over views. A file whose last
//! layer is a `Softmax` gives probabilities instead, and a second softmax on top would flatten them. So the layer is
//! taken off when a model is read and put back when it is written. The same holds for a `Sigmoid`, and for a single logit,
//! which becomes two, one for each class ([`binary`]),
//! also where it has no axis of its own ([`flat`]). A forest may give probabilities without such a layer ([`forest`]).

mod binary;
mod flat;
mod forest;

use std::collections::BTreeMap;

use oculist_graph::op::Quantization;
use oculist_graph::{Graph, Node, NodeId, Op, SoftmaxKind, Tensor, Unary, ValueId};

use crate::error::OculistError;
use crate::metrics::Probabilities;
pub(crate) use flat::is_flat;

/// The nodes that make a file's output of the logits: a `Softmax` or `Sigmoid` and what only passes its result on. Empty for
/// a file that ends in logits.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Head {
    nodes: Vec<HeadNode>,
    /// Whether the file gives one number for two classes.
    binary: bool,
    /// The output's name where that number has no axis of its own.
    flat: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
struct HeadNode {
    name: String,
    op: Op,
    /// Name of its output.
    output: String,
    /// What it reads beside the result of the node before it; `None` for an optional input that is left out.
    params: Vec<Option<(String, Tensor)>>,
}

impl Head {
    /// Takes the last `Softmax` off a graph of one output, which then ends in logits.
    ///
    /// Behind it may stand nodes that pass probabilities on ([`passes_on`]), such as `Identity`, `Relu`, and the `Q/DQ` of a
    /// quantised model, whose rounding of the probabilities is left out. Of two `Softmax` one stays: the file means its
    /// result as logits. A `Sigmoid` is taken off in the same way, and one number becomes two logits.
    ///
    /// # Errors
    /// What the graph ends in, in words, if that gives neither logits nor probabilities of one class for each image, or if
    /// a `Softmax` cannot be taken off although nothing behind it makes logits of its probabilities.
    pub(crate) fn take(graph: &mut Graph) -> Result<Self, String> {
        let flat = flat::widen(graph)?;
        forest::spell_out(graph)?;
        let producers = graph.producers();
        let mut chain: Vec<NodeId> = Vec::new();
        let Some(mut at) = graph.outputs().first().copied() else { return Ok(Self::default()) };
        while let Some(id) = producers[at.index()] {
            let node = &graph.nodes()[id];
            chain.push(id);
            if gives_probabilities(graph, node) || judges(graph, node) {
                let softmax = matches!(node.op, Op::Softmax(_));
                let nodes = chain.iter().rev().map(|&id| head_node(graph, id)).collect::<Result<_, _>>()?;
                let logits = node.inputs[0];
                if softmax && graph.shape(logits).get(1) == Some(1) {
                    return Err(format!(
                        "its Softmax (node `{}`) is over a single class, always 1",
                        node.name
                    ));
                }
                graph.set_outputs(vec![logits]);
                graph.tidy().map_err(|e| e.to_string())?;
                return Ok(Self { nodes, binary: binary::expand(graph)?, flat });
            }
            if !passes_on(graph, node) {
                break;
            }
            at = node.inputs[0];
        }
        let ends = Ends::of(graph);
        if let Some(node) = ends.judging {
            return Err(format!(
                "it ends in a {} (node `{}`), which judges every class by itself, so that several may hold at once; \
                 expected logits or a Softmax, which tell one class for each image",
                node.op.name(),
                node.name
            ));
        }
        match ends.softmax {
            None => Ok(Self { nodes: Vec::new(), binary: binary::expand(graph)?, flat }),
            Some(node) => Err(format!(
                "its output is neither logits nor the result of one Softmax: behind the Softmax (node `{}`) the \
                 probabilities are changed without a layer that has weights; expected a network that ends in logits or \
                 in a Softmax",
                node.name
            )),
        }
    }

    /// Whether the file gives the logits themselves, one for each class.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && !self.binary
    }

    /// What is to be said of a head that was taken off, for the classes that the model has.
    pub(crate) fn note(&self, class_names: &[String]) -> Option<String> {
        if let (true, [first, second]) = (self.binary, class_names) {
            return Some(format!(
                "one number for two classes: `{second}` where it speaks for it, else `{first}`"
            ));
        }
        self.judges().then(|| {
            "the file ends in a Sigmoid, which judges every class by itself: the likeliest one is taken and its own \
             probability said, training chooses among them"
                .to_owned()
        })
    }

    /// Whether the file judges each of several classes by itself.
    pub fn judges(&self) -> bool {
        !self.binary && self.nodes.first().is_some_and(|node| matches!(node.op, Op::Unary(Unary::Sigmoid)))
    }

    /// Whether the file tells one class among all.
    pub(crate) fn is_softmax(&self) -> bool {
        self.nodes.first().is_some_and(|node| matches!(node.op, Op::Softmax(_)))
    }

    /// The probabilities that the file gives: of one number for two classes a softmax gives the same as its sigmoid.
    pub fn probabilities(&self) -> Probabilities {
        if self.judges() { Probabilities::Sigmoids } else { Probabilities::Softmax }
    }

    /// Puts the nodes back behind the logits of a graph that may have been changed since.
    ///
    /// # Errors
    /// [`OculistError`] if the graph is invalid.
    pub(crate) fn put_back(&self, graph: &mut Graph) -> Result<(), OculistError> {
        if self.binary {
            binary::collapse(graph)?;
        }
        let Some(&logits) = graph.outputs().first() else { return Ok(()) };
        let mut x = logits;
        // Two nodes may read one parameter, as `Q` and `DQ` do.
        let mut added: BTreeMap<&str, ValueId> = BTreeMap::new();
        for node in &self.nodes {
            let mut inputs = vec![Some(x)];
            for param in &node.params {
                let Some((name, tensor)) = param else {
                    inputs.push(None);
                    continue;
                };
                let id = match added.get(name.as_str()) {
                    Some(id) => *id,
                    None => graph.add_param(free_value(graph, name), tensor.clone()),
                };
                added.insert(name, id);
                inputs.push(Some(id));
            }
            // The file's own output has this name.
            let taken = self.flat.as_ref() == Some(&node.output);
            let output = free_value(
                graph,
                &if taken { format!("{}.column", node.output) } else { node.output.clone() },
            );
            x = graph.add_activation(output);
            let name = free_node(graph, &node.name);
            graph.edit().push(Node { name, op: node.op.clone(), inputs: inputs.into(), outputs: vec![x] });
        }
        if !self.is_empty() {
            graph.set_outputs(vec![x]);
            graph.tidy()?;
        }
        if let Some(name) = &self.flat {
            flat::flatten(graph, name);
            graph.tidy()?;
        }
        Ok(())
    }
}

/// The node whose probabilities a graph of one output gives as its logits, if there is one: a second softmax would stand
/// on top, which no training should learn through.
pub(crate) fn softmax_as_logits(graph: &Graph) -> Option<&Node> {
    Ends::of(graph).softmax
}

/// Whether a node hands on probabilities in their order and, but for rounding, as they are: one row for each image.
fn passes_on(graph: &Graph, node: &Node) -> bool {
    // What a clip may cut off or fill up is less than a hundredth of a percent.
    const NEARLY: f32 = 1e-4;
    if node.outputs.len() > 1 {
        return false;
    }
    if node.op.quantization() == Quantization::Conversion {
        return true;
    }
    if let Some((min, max)) = node.op.clamp() {
        return min <= NEARLY && max >= 1.0 - NEARLY;
    }
    let Some(from) = node.inputs.get(0) else { return false };
    let to = node.output();
    let rows = is_one_pixel(graph, from) && is_one_pixel(graph, to);
    rows && graph.shape(from).dims()[0] == graph.shape(to).dims()[0]
        && graph.given(node).is_ok_and(|given| node.op.keeps_elements(&given))
}

/// Whether a value is a row of numbers for each image, or a map of one pixel.
fn is_one_pixel(graph: &Graph, value: ValueId) -> bool {
    graph.shape(value).chw().is_some_and(|(_, h, w)| (h, w) == (1, 1))
}

/// Whether a node makes probabilities, or their logarithms, of the logits of each image: a softmax of either gives the
/// same again.
fn gives_probabilities(graph: &Graph, node: &Node) -> bool {
    let Op::Softmax(softmax) = &node.op else { return false };
    let rank = graph.shape(node.inputs[0]).rank();
    // Of [N, C, 1, 1], the axes behind the channels add nothing.
    softmax.kind != SoftmaxKind::Hardmax
        && is_one_pixel(graph, node.inputs[0])
        && softmax.axes(rank).is_ok_and(|axes| axes.start == 1 && (axes.end == 2 || axes.end == rank))
}

/// Whether a node makes a probability of each logit by itself.
fn judges(graph: &Graph, node: &Node) -> bool {
    matches!(node.op, Op::Unary(Unary::Sigmoid)) && is_one_pixel(graph, node.inputs[0])
}

/// What the output of a graph is made of, without a layer with weights in between.
struct Ends<'a> {
    /// A `Softmax` on some way to the output.
    softmax: Option<&'a Node>,
    /// A `Sigmoid` or `HardSigmoid` where every way to the output leads from one: as a gate of a product it is none.
    judging: Option<&'a Node>,
}

impl<'a> Ends<'a> {
    fn of(graph: &'a Graph) -> Self {
        // For each value, the node that it is made of; nodes are in order.
        let (mut softmax, mut judging) = (vec![None; graph.values().len()], vec![None; graph.values().len()]);
        for node in graph.nodes() {
            let out = node.output().index();
            match node.op {
                // The logarithms of probabilities are logits again.
                Op::BatchNormalization(_) | Op::Unary(Unary::Log) => continue,
                Op::Softmax(_) => softmax[out] = Some(node),
                Op::Unary(Unary::Sigmoid | Unary::HardSigmoid { .. }) => judging[out] = Some(node),
                _ if node.op.is_layer() => continue,
                _ => {}
            }
            let computed = || {
                node.inputs.iter().filter(|&x| graph.param(x).is_none()).map(oculist_graph::ValueId::index)
            };
            softmax[out] = softmax[out].or_else(|| computed().find_map(|x| softmax[x]));
            let all = computed().all(|x| judging[x].is_some());
            judging[out] = judging[out].or_else(|| computed().find_map(|x| judging[x]).filter(|_| all));
        }
        let of_output = |nodes: &[Option<&'a Node>]| graph.outputs().first().and_then(|o| nodes[o.index()]);
        Self { softmax: of_output(&softmax), judging: of_output(&judging) }
    }
}

fn head_node(graph: &Graph, id: NodeId) -> Result<HeadNode, String> {
    let node = &graph.nodes()[id];
    let param = |slot: &Option<ValueId>| {
        let Some(id) = *slot else { return Ok(None) };
        let name = graph.value(id).name.clone();
        match graph.param(id) {
            Some(tensor) => Ok(Some((name, tensor.clone()))),
            None => Err(format!("node `{}` behind its Softmax reads the computed value `{name}`", node.name)),
        }
    };
    Ok(HeadNode {
        name: node.name.clone(),
        op: node.op.clone(),
        output: graph.value(node.output()).name.clone(),
        params: node.inputs.slots().iter().skip(1).map(param).collect::<Result<_, _>>()?,
    })
}

fn free_value(graph: &Graph, stem: &str) -> String {
    free(stem, |name| graph.find(name).is_none())
}

fn free_node(graph: &Graph, stem: &str) -> String {
    free(stem, |name| graph.nodes().iter().all(|node| node.name != name))
}

/// The stem, or the stem with the first number that makes it a new name.
fn free(stem: &str, is_free: impl Fn(&str) -> bool) -> String {
    let mut name = stem.to_owned();
    let mut number = 1;
    while !is_free(&name) {
        number += 1;
        name = format!("{stem}_{number}");
    }
    name
}

#[cfg(test)]
mod tests;
