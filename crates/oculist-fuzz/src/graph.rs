//! Bytes as a sequence of operators.

use oculist_graph::op::{Attribute, Attributes, Written};
use oculist_graph::{Dim, Graph, Node, Op, Shape, ValueId};
use oculist_onnx::{from_bytes, to_bytes};

use crate::bytes::Bytes;
use crate::operators::{self, Operator};
use crate::{onnx, stages};

/// The most nodes of a graph.
const MOST_NODES: usize = 12;

/// Builds a graph of the bytes and takes it through every stage.
///
/// Inputs have any type, rank and size; each node is any operator with any attributes on any values and constants. What the
/// graph refuses is left out. The rest passes the checker, is the same when it was written and read, and can be simplified.
/// With `OCULIST_FUZZ_SHOW` in the environment it is printed first.
///
/// # Panics
/// If the project is at fault.
pub fn graph(bytes: &[u8]) {
    let Some(graph) = built(&mut Bytes::new(bytes)) else { return };
    let dump = graph.dump();
    if std::env::var_os("OCULIST_FUZZ_SHOW").is_some() {
        eprintln!("{dump}");
    }
    let _ = (graph.cost(), graph.check_operations());
    for batch in [0, 1, 5, usize::MAX] {
        if let Ok(bound) = graph.with_batch(batch) {
            assert_eq!(bound.nodes().len(), graph.nodes().len(), "nodes with a batch of {batch}");
        }
    }
    if let Err(error) = graph.check() {
        // Numbers that are none are refused where they are weights; everything else was looked at while it was built.
        let numbers = error.to_string().contains(" holds ");
        assert!(numbers, "a graph that was built is not valid: {error}");
        return;
    }
    if let Ok(bytes) = to_bytes(&graph) {
        let again = from_bytes(&bytes).unwrap_or_else(|e| panic!("what was written cannot be read: {e}"));
        for (v, w) in graph.outputs().iter().zip(again.outputs()) {
            assert!(onnx::same_type(&graph, *v, &again, *w), "{dump}\nis read as\n{}", again.dump());
        }
        // Names of dimensions are now as a file gives them.
        onnx::written(&again);
    }
    stages::passed(&graph);
    stages::planned(&graph);
    if let Some(prepared) = stages::prepared(&graph) {
        stages::planned(&prepared);
    }
}

/// The graph; `None` if it has no node or is refused as a whole.
fn built(bytes: &mut Bytes<'_>) -> Option<Graph> {
    let mut graph = Graph::new("fuzz");
    graph.set_opset(if bytes.byte() < 200 { Graph::OPSET } else { 7 + bytes.below(22) as i64 });
    for i in 0..=bytes.below(3) {
        let dtype = bytes.dtype();
        let dims = (0..bytes.below(6)).map(|at| dim(bytes, &mut graph, at)).collect();
        graph.add_typed_input(format!("input{i}"), dtype, Shape::new(dims));
    }
    graph.infer_shapes().ok()?;
    while graph.nodes().len() < MOST_NODES && !bytes.is_empty() {
        if let Some(longer) = with_node(bytes, &graph) {
            graph = longer;
        }
    }
    let last = graph.nodes().last()?.clone();
    let mut outputs = last.outputs;
    if bytes.byte() >= 200 {
        // Any value may be given out as well, inputs and constants too.
        let ids: Vec<ValueId> = graph.value_ids().collect();
        let other = bytes.pick(&ids);
        if !outputs.contains(&other) {
            outputs.push(other);
        }
    }
    graph.set_outputs(outputs);
    graph.tidy().unwrap_or_else(|e| panic!("a graph whose nodes were inferred one by one is refused: {e}"));
    Some(graph)
}

fn dim(bytes: &mut Bytes<'_>, graph: &mut Graph, at: usize) -> Dim {
    const SIZES: [usize; 16] = [1, 2, 3, 4, 8, 5, 6, 7, 16, 0, 9, 1, 2, 4, 17, 32];
    match bytes.byte() {
        batch @ 0..=127 if at == 0 && batch < 96 => Dim::Batch,
        size @ 0..=223 => Dim::Fixed(SIZES[usize::from(size) % SIZES.len()]),
        224..=229 => Dim::Batch,
        symbol @ 230..=239 => graph.symbol(if symbol % 2 == 0 { "a" } else { "b" }),
        240..=243 => Dim::Unknown,
        _ => Dim::Fixed(usize::try_from(bytes.int().unsigned_abs()).unwrap_or(usize::MAX)),
    }
}

/// The graph with one node more; `None` if it is refused.
fn with_node(bytes: &mut Bytes<'_>, graph: &Graph) -> Option<Graph> {
    let operators = operators::all();
    let Operator { domain, name, attributes: known, examples } = &operators[bytes.below(operators.len())];
    let opset = if bytes.byte() < 224 { 23 } else { 7 + bytes.below(22) as i64 };
    let (listed, outputs) = (bytes.byte(), 1 + if bytes.byte() < 192 { 0 } else { bytes.below(4) });
    let mut given: Vec<(String, Attribute)> = Vec::new();
    let example = (!examples.is_empty()).then(|| &examples[bytes.below(examples.len())]);
    let usual = bytes.byte() < 64;
    for (attribute, like) in known {
        let value = example.into_iter().flatten().find(|(name, _)| name == attribute).map(|(_, value)| value);
        let value = match bytes_choice(bytes, usual) {
            Choice::Usual => value.cloned(),
            Choice::Any => Some(bytes.attribute(like)),
            Choice::None => None,
        };
        given.extend(value.map(|value| ((*attribute).to_owned(), value)));
    }
    let mut attributes = Attributes::new(given).ok()?;
    // The number of inputs follows from the operator, and what it reads may follow from their number.
    let guess = 1 + usize::from(listed) % 4;
    let written = Written { domain, name, opset, inputs: guess, outputs };
    let op = Op::read(&written, &mut attributes).ok().flatten()?;
    let (least, most) = op.arity();
    let count = least + usize::from(listed) % (1 + most.saturating_sub(least).min(4));
    let mut longer = graph.clone();
    let mut inputs: Vec<Option<ValueId>> = Vec::with_capacity(count);
    for i in 0..count {
        let first = inputs.first().copied().flatten();
        inputs.push(value(bytes, &mut longer, i, i >= least, first));
    }
    let count = outputs.clamp(op.outputs().0, op.outputs().1.max(1));
    let number = longer.nodes().len();
    let node = format!("node{number}");
    let outputs = (0..count).map(|i| longer.add_activation(format!("{node}.out{i}"))).collect();
    longer.edit().push(Node { name: node, op, inputs: inputs.into(), outputs });
    longer.infer_shapes_from(number).ok()?;
    Some(longer)
}

enum Choice {
    Usual,
    Any,
    None,
}

fn bytes_choice(bytes: &mut Bytes<'_>, usual: bool) -> Choice {
    if usual {
        return Choice::Usual;
    }
    match bytes.byte() {
        0..=95 => Choice::Usual,
        96..=159 => Choice::None,
        _ => Choice::Any,
    }
}

/// An input of a node: a value that exists, a new constant, or none.
fn value(
    bytes: &mut Bytes<'_>,
    graph: &mut Graph,
    i: usize,
    optional: bool,
    first: Option<ValueId>,
) -> Option<ValueId> {
    let kind = bytes.byte();
    let constant = match kind {
        0..=127 => i > 0,
        128..=223 => false,
        _ if optional => return None,
        _ => true,
    };
    if !constant {
        // Those that were computed last come first.
        let ids: Vec<ValueId> = graph.value_ids().collect();
        let back = bytes.below(ids.len());
        return ids.get(ids.len() - 1 - back).copied();
    }
    let shape = constant_shape(bytes, graph, first);
    let dtype = match first {
        Some(first) if bytes.byte() < 128 => graph.value(first).dtype,
        _ => bytes.dtype(),
    };
    let tensor = bytes.tensor(dtype, shape);
    let name = format!("constant{}", graph.values().len());
    Some(graph.add_param(name, tensor))
}

/// A shape of its own, or one that may fit the node's first input: a vector of its rank, its channels, a weight, itself.
fn constant_shape(bytes: &mut Bytes<'_>, graph: &Graph, first: Option<ValueId>) -> Vec<usize> {
    let known: Vec<usize> = match first {
        Some(first) => graph.shape(first).dims().iter().map(|d| d.size().unwrap_or(1)).collect(),
        None => Vec::new(),
    };
    let channels = known.get(1).copied().unwrap_or(1);
    match bytes.byte() {
        0..=31 => Vec::new(),
        32..=63 => vec![known.len()],
        64..=95 => vec![bytes.below(6)],
        96..=127 => vec![channels],
        128..=159 => {
            let outputs = 1 + bytes.below(8);
            let group = 1 + bytes.below(3);
            let kernel = known.get(2..).unwrap_or_default().iter().map(|_| 1 + bytes.below(3));
            [outputs, channels / group].into_iter().chain(kernel.collect::<Vec<_>>()).collect()
        }
        160..=191 => known,
        192..=207 => vec![known.last().copied().unwrap_or(1), 1 + bytes.below(8)],
        208..=223 => vec![1 + bytes.below(8), known.last().copied().unwrap_or(1)],
        _ => (0..bytes.below(5)).map(|_| bytes.below(6)).collect(),
    }
}
