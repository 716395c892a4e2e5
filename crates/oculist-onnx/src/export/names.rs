//! The names of values in the file.

use std::collections::{BTreeMap, BTreeSet};

use oculist_graph::op::Quantization;
use oculist_graph::{Graph, Node, Op, Tensor, ValueId, ValueKind};

use crate::tensor::{element_code, raw_bytes};

/// The name of the first output of a graph that nobody named the outputs of; classifiers' readers look for it.
const OUTPUT: &str = "logits";

/// A name for every value that the file mentions.
pub(super) struct Names {
    chosen: Vec<String>,
    /// The value that stands for each value: a dropout's input for its output, the first of equal zero points.
    sources: Vec<ValueId>,
    /// Per value, whether it is dequantised with a zero point that need not be written.
    implied: Vec<bool>,
    /// Per value, whether a node or an output reads it.
    read: Vec<bool>,
    taken: BTreeSet<String>,
    /// Constants that are given out: the output has their name, they get another.
    given_out: BTreeSet<ValueId>,
    /// The number at which the search for a free name of a stem goes on.
    numbers: BTreeMap<String, usize>,
    counter: usize,
}

impl Names {
    /// Chooses the names: all stay, except those that [`Graph::add_node`] made up. In a quantised graph those, and the
    /// scales and zero points, get the shortest free names; elsewhere only the output is renamed.
    pub(super) fn new(graph: &Graph) -> Self {
        let made_up = made_up(graph);
        let compact = made_up.contains(&true) && graph.nodes().iter().any(is_quantisation);
        let constants = quantisation_constants(graph);
        let read = read(graph);
        let mut names = Self {
            chosen: vec![String::new(); graph.values().len()],
            sources: sources(graph, &constants, &read),
            implied: implied_zero_points(graph),
            read,
            taken: BTreeSet::new(),
            given_out: BTreeSet::new(),
            numbers: BTreeMap::new(),
            counter: 0,
        };
        // Names that must not change come first, so that nothing else can take them; those of outputs before all others.
        let is_output: BTreeSet<ValueId> = graph.outputs().iter().copied().collect();
        for &output in graph.outputs() {
            let (source, name) = (names.sources[output.index()], &graph.value(output).name);
            let free = source != output
                && matches!(graph.value(source).kind, ValueKind::Activation)
                && !is_output.contains(&source)
                && names.chosen[source.index()].is_empty();
            if free && !made_up[output.index()] && !name.is_empty() && names.taken.insert(name.clone()) {
                names.chosen[source.index()].clone_from(name);
            }
        }
        for id in graph.value_ids() {
            let value = graph.value(id);
            let keeps = match value.kind {
                ValueKind::Input => true,
                ValueKind::Param(_) => !(compact && constants[id.index()]),
                ValueKind::Activation => !made_up[id.index()],
            };
            let written = names.sources[id.index()] == id && names.chosen[id.index()].is_empty();
            if keeps && written && !value.name.is_empty() && names.taken.insert(value.name.clone()) {
                if is_output.contains(&id) && keeps_as_output(&value.name) && graph.param(id).is_some() {
                    names.given_out.insert(id);
                } else {
                    names.chosen[id.index()].clone_from(&value.name);
                }
            }
        }
        for &output in graph.outputs() {
            let source = names.sources[output.index()];
            let free = names.chosen[source.index()].is_empty();
            if free && matches!(graph.value(source).kind, ValueKind::Activation) {
                names.chosen[source.index()] = names.fresh(OUTPUT);
            }
        }
        // The rest in the order in which nodes mention it: the same file results when it is read and written again.
        let implied = names.implied.clone();
        let mentioned = graph.nodes().iter().flat_map(|node| mentions(&implied, node));
        for id in graph.inputs().iter().copied().chain(mentioned).chain(graph.outputs().iter().copied()) {
            let source = names.sources[id.index()];
            if !names.chosen[source.index()].is_empty() {
                continue;
            }
            let own = graph.value(source).name.as_str();
            let name = if compact || own.is_empty() { names.short() } else { names.fresh(own) };
            names.chosen[source.index()] = name;
        }
        names
    }

    /// The value that is written in place of `id`.
    pub(super) fn source(&self, id: ValueId) -> ValueId {
        self.sources[id.index()]
    }

    /// The name of a value.
    pub(super) fn of(&self, id: ValueId) -> &str {
        &self.chosen[self.source(id).index()]
    }

    /// Whether a node is not written: a dropout that does nothing.
    pub(super) fn is_left_out(&self, node: &Node) -> bool {
        is_left_out(node, &self.read)
    }

    /// A name that nothing else has: `stem`, or with a number behind it.
    pub(super) fn fresh(&mut self, stem: &str) -> String {
        if self.taken.insert(stem.to_owned()) {
            return stem.to_owned();
        }
        let number = self.numbers.entry(stem.to_owned()).or_insert(1);
        loop {
            let name = format!("{stem}_{number}");
            *number += 1;
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }

    /// A name for an output that is no node's own result: its own where that is free.
    pub(super) fn fresh_output(&mut self, graph: &Graph, id: ValueId) -> String {
        let own = graph.value(id).name.as_str();
        if self.given_out.remove(&id) {
            return own.to_owned();
        }
        self.fresh(if keeps_as_output(own) { own } else { OUTPUT })
    }

    /// How many inputs of a node are written: a zero point that is implied is not.
    pub(super) fn inputs_written(&self, node: &Node) -> usize {
        inputs_written(&self.implied, node)
    }

    /// The shortest free name: `a` to `z`, `aa`, `ab`, ...
    fn short(&mut self) -> String {
        loop {
            let mut rest = self.counter;
            self.counter += 1;
            let mut name = String::new();
            loop {
                let letter = u8::try_from(rest % 26).unwrap_or(0);
                name.insert(0, char::from(b'a' + letter));
                rest /= 26;
                if rest == 0 {
                    break;
                }
                rest -= 1;
            }
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// What [`Graph::add_node`] puts behind a node's name to name its output.
const MADE_UP: &str = ".out";

/// Whether a value that is no node's own result keeps its name when it is given out.
fn keeps_as_output(name: &str) -> bool {
    !name.is_empty() && !name.ends_with(MADE_UP)
}

/// Per value, whether its name was made up from that of its node.
fn made_up(graph: &Graph) -> Vec<bool> {
    let mut made_up = vec![false; graph.values().len()];
    for node in graph.nodes() {
        for &output in &node.outputs {
            let name = graph.value(output).name.as_str();
            made_up[output.index()] = name.strip_suffix(MADE_UP) == Some(node.name.as_str())
                || (is_quantisation(node) && name == node.name);
        }
    }
    made_up
}

fn read(graph: &Graph) -> Vec<bool> {
    let mut read = vec![false; graph.values().len()];
    for id in graph.nodes().iter().flat_map(|node| &node.inputs).chain(graph.outputs().iter().copied()) {
        read[id.index()] = true;
    }
    read
}

fn is_quantisation(node: &Node) -> bool {
    node.op.quantization() == Quantization::Conversion
}

/// A dropout whose mask nobody reads and that nobody switches on.
fn is_left_out(node: &Node, read: &[bool]) -> bool {
    matches!(node.op, Op::Dropout(_))
        && node.inputs.get(2).is_none()
        && node.outputs.iter().skip(1).all(|v| !read[v.index()])
}

/// Per value, whether its node dequantises a constant with zero points that are all zero: ONNX takes a missing zero
/// point as zero, and the constant tells its type. A quarter of the constants of a quantised model is like that. Those
/// of a `Gemm` stay: ONNX Runtime fuses a quantised `Gemm` only if its weight's zero points are written out.
fn implied_zero_points(graph: &Graph) -> Vec<bool> {
    let zeros = |tensor: &Tensor| raw_bytes(tensor.data()).iter().all(|&byte| byte == 0);
    let param = |node: &Node, i: usize| node.inputs.get(i).and_then(|v| graph.param(v));
    let mut implied = vec![false; graph.values().len()];
    for node in graph.nodes() {
        implied[node.output().index()] = matches!(node.op, Op::DequantizeLinear(_))
            && param(node, 0).is_some()
            && param(node, 2).is_some_and(zeros);
    }
    for node in graph.nodes().iter().filter(|n| matches!(n.op, Op::Gemm(_))) {
        for input in &node.inputs {
            implied[input.index()] = false;
        }
    }
    implied
}

fn inputs_written(implied: &[bool], node: &Node) -> usize {
    if implied[node.output().index()] { 2 } else { node.inputs.len() }
}

fn mentions<'a>(implied: &[bool], node: &'a Node) -> impl Iterator<Item = ValueId> + use<'a> {
    let inputs = node.inputs.slots().iter().copied().take(inputs_written(implied, node)).flatten();
    inputs.chain(node.outputs.iter().copied())
}

/// Per value, whether it is a parameter that only serves as scale or zero point.
fn quantisation_constants(graph: &Graph) -> Vec<bool> {
    let mut as_constant = vec![false; graph.values().len()];
    let mut otherwise = vec![false; graph.values().len()];
    for node in graph.nodes() {
        for (i, slot) in node.inputs.slots().iter().enumerate() {
            let Some(v) = slot else { continue };
            let constant = is_quantisation(node) && i > 0 && graph.param(*v).is_some();
            (if constant { &mut as_constant } else { &mut otherwise })[v.index()] = true;
        }
    }
    for v in graph.outputs() {
        otherwise[v.index()] = true;
    }
    as_constant.iter().zip(&otherwise).map(|(&constant, &other)| constant && !other).collect()
}

fn sources(graph: &Graph, constants: &[bool], read: &[bool]) -> Vec<ValueId> {
    let mut sources: Vec<ValueId> = graph.value_ids().collect();
    let mut seen = vec![false; sources.len()];
    let mut zero_points: BTreeMap<(i32, &[usize], Vec<u8>), ValueId> = BTreeMap::new();
    for node in graph.nodes() {
        if is_left_out(node, read) {
            sources[node.output().index()] = sources[node.inputs[0].index()];
        }
        let Some(id) = node.inputs.get(2).filter(|_| is_quantisation(node)) else { continue };
        // Its content is looked at once, however many nodes read it.
        let first = !std::mem::replace(&mut seen[id.index()], true);
        if let (Some(tensor), true) = (graph.param(id), first && constants[id.index()]) {
            sources[id.index()] = *zero_points.entry(content(tensor)).or_insert(id);
        }
    }
    sources
}

fn content(tensor: &Tensor) -> (i32, &[usize], Vec<u8>) {
    (element_code(tensor.dtype()), tensor.shape(), raw_bytes(tensor.data()))
}
