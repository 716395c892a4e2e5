//! Decides which nodes work on integers and which values are quantised.

use std::collections::HashSet;

use oculist_graph::op::Quantization;
use oculist_graph::{Binary, DataType, Graph, Node, NodeId, Op, Role, ValueId};

use super::{PASS, QuantizeOptions};
use crate::edit::{consumer_counts, has_weight_rows};
use crate::fold_batch_norm::foldable;
use crate::{PassError, Result};

/// The decisions for one graph and one set of options.
pub(super) struct Placement {
    /// Per node: whether it reads dequantised values and belongs to a pattern.
    pub integer: Vec<bool>,
    /// Per value: whether `Q -> DQ` follows it.
    pub quantized: Vec<bool>,
    /// Per value: whether its producer is an integer node.
    pub from_integer: Vec<bool>,
    /// Per value: the value whose scale and zero_point it shares.
    pub same_as: Vec<Option<ValueId>>,
    /// Per value: bounds of the fused activation that produces it.
    pub bounds: Vec<Option<(f32, f32)>>,
}

impl Placement {
    pub(super) fn new(graph: &Graph, options: &QuantizeOptions) -> Result<Self> {
        refuse_unprepared(graph)?;
        check_names(graph, options)?;
        let chosen = |node: &oculist_graph::Node| {
            !options.keep_f32.contains(&node.name)
                && options.only.as_ref().is_none_or(|only| only.contains(&node.name))
        };
        let fused = fused_activations(graph);
        let n = graph.nodes().len();
        let producers = graph.producers();
        let consumers = graph.consumers();
        let is_layer = |i: NodeId| is_layer(graph, &graph.nodes()[i]);
        // A node between layers is worth doing in integers only if integers come in and are wanted behind it.
        let mut before = vec![false; n];
        for i in 0..n {
            let node = &graph.nodes()[i];
            let fed = || node.inputs.iter().any(|v| producers[v.index()].is_some_and(|p| before[p]));
            before[i] = if let Some(layer) = fused[i] {
                before[layer]
            } else {
                chosen(node) && (is_layer(i) || (has_pattern(graph, node) && fed()))
            };
        }
        let mut integer = vec![false; n];
        for i in (0..n).rev() {
            let node = &graph.nodes()[i];
            let wanted = || consumers[node.output().index()].iter().any(|&c| integer[c]);
            integer[i] = before[i] && (is_layer(i) || wanted());
        }
        // A fused activation follows its layer; the addition before one follows it.
        for i in 0..n {
            if let Some(layer) = fused[i] {
                integer[i] = integer[layer]
                    && (!is_gemm(graph, layer) || {
                        let out = graph.nodes()[i].output();
                        consumers[out.index()].iter().any(|&c| integer[c])
                    });
            }
        }
        let values = graph.values().len();
        let mut placement = Self {
            integer,
            quantized: vec![false; values],
            from_integer: vec![false; values],
            same_as: vec![None; values],
            bounds: vec![None; values],
        };
        let internal = |v: ValueId| {
            consumers[v.index()].iter().any(|&c| fused[c].is_some_and(|p| graph.nodes()[p].output() == v))
        };
        for i in 0..n {
            if !placement.integer[i] {
                continue;
            }
            let node = &graph.nodes()[i];
            if fused[i].is_none() {
                for v in &node.inputs {
                    if graph.param(v).is_none() {
                        placement.quantized[v.index()] = true;
                    }
                }
            }
            let out = node.output();
            let float_output = is_gemm(graph, i) || fused[i].is_some_and(|p| is_gemm(graph, p));
            let fused_behind = internal(out) && consumers[out.index()].iter().all(|&c| placement.integer[c]);
            if !fused_behind {
                // The output of a layer in front of float nodes is quantised too, so that the layer runs in
                // integers; only Gemm has a form with float output.
                let read_by_integer = consumers[out.index()].iter().any(|&c| placement.integer[c]);
                if !float_output || read_by_integer {
                    placement.quantized[out.index()] = true;
                    placement.from_integer[out.index()] = true;
                }
            }
            if node.op.quantization() == Quantization::Moves {
                placement.same_as[out.index()] = Some(node.inputs[0]);
            }
            if fused[i].is_some() {
                placement.bounds[out.index()] = node.op.clamp();
            }
        }
        Ok(placement)
    }
}

/// The values that some choice of options quantises with a range of their own.
pub(super) fn candidates(graph: &Graph) -> Result<Vec<ValueId>> {
    refuse_unprepared(graph)?;
    let fused = fused_activations(graph);
    let consumers = graph.consumers();
    let producers = graph.producers();
    // Values from which a layer can still be reached, and outputs of layers that are always quantised.
    let mut reaches = vec![false; graph.values().len()];
    for node in graph.nodes().iter().rev() {
        let layer = is_layer(graph, node);
        if layer || (has_pattern(graph, node) && reaches[node.output().index()]) {
            for v in &node.inputs {
                reaches[v.index()] = true;
            }
        }
        // Whatever lies behind an operator without a pattern is quantised only at the next entry.
    }
    let wanted = |v: &ValueId| {
        if graph.param(*v).is_some() {
            return false;
        }
        let internal =
            consumers[v.index()].iter().any(|&c| fused[c].is_some_and(|p| graph.nodes()[p].output() == *v));
        if internal {
            return false;
        }
        let Some(p) = producers[v.index()] else { return reaches[v.index()] };
        let layer = fused[p].unwrap_or(p);
        reaches[v.index()]
            || (matches!(graph.nodes()[layer].op, Op::Conv(_)) && is_layer(graph, &graph.nodes()[layer]))
    };
    Ok(graph.value_ids().filter(wanted).collect())
}

fn is_gemm(graph: &Graph, node: NodeId) -> bool {
    matches!(graph.nodes()[node].op, Op::Gemm(_))
}

/// For each `Relu` or `Clip` that disappears in a layer or addition: that node.
fn fused_activations(graph: &Graph) -> Vec<Option<NodeId>> {
    let producers = graph.producers();
    let uses = consumer_counts(graph);
    graph
        .nodes()
        .iter()
        .map(|node| {
            let fits = node.op.clamp().is_some_and(|(min, max)| min <= 0.0 && max >= 0.0);
            let x = node.inputs.get(0)?;
            let p = producers[x.index()]?;
            let before = &graph.nodes()[p];
            let target = is_layer(graph, before)
                || (matches!(before.op, Op::Binary(Binary::Add)) && has_pattern(graph, before));
            (fits && target && uses[x.index()] == 1).then_some(p)
        })
        .collect()
}

/// Whether a value is a batch of maps or of rows of floats: what the integer kernels hold.
fn is_batch(graph: &Graph, value: ValueId) -> bool {
    let shape = graph.shape(value);
    graph.value(value).dtype == DataType::F32
        && matches!(shape.rank(), 2 | 4)
        && shape.dims()[0].size().is_none()
        && shape.chw().is_some()
}

/// Whether a node is a layer that has an integer kernel: over a batch of maps or rows.
fn is_layer(graph: &Graph, node: &Node) -> bool {
    has_weight_rows(graph, node) && is_batch(graph, node.inputs[0]) && is_batch(graph, node.output())
}

/// Whether the table of patterns has an entry for the node.
fn has_pattern(graph: &Graph, node: &Node) -> bool {
    if node.op.is_layer() {
        return is_layer(graph, node);
    }
    let data = |(i, slot): (usize, &Option<ValueId>)| {
        slot.is_none_or(|v| node.op.role(i) == Role::Argument || is_batch(graph, v))
    };
    let batches = node.outputs.len() == 1
        && is_batch(graph, node.output())
        && node.inputs.slots().iter().enumerate().all(data);
    // What has no integer kernel stays in floats.
    let bytes = |given: &_| node.op.works_on_bytes(given, &[graph.shape(node.output())]);
    batches && graph.given(node).is_ok_and(|given| bytes(&given))
}

fn refuse_unprepared(graph: &Graph) -> Result<()> {
    for (node, layer) in graph.nodes().iter().zip(foldable(graph)) {
        let problem = if node.op.quantization() == Quantization::Conversion {
            "expected a float graph, found one that is quantised already"
        } else if layer.is_some() {
            // One that cannot be folded, for example behind a layer that shares its weight, stays in floats.
            "expected batch normalisation to be folded before"
        } else if matches!(node.op, Op::Dropout(_) | Op::Identity(_)) {
            "expected no-ops to be removed before"
        } else {
            continue;
        };
        return Err(PassError::Unsupported {
            pass: PASS,
            node: node.name.clone(),
            op: node.op.name(),
            problem: problem.into(),
        });
    }
    Ok(())
}

fn check_names(graph: &Graph, options: &QuantizeOptions) -> Result<()> {
    let named = options.keep_f32.iter().map(|n| ("keep_f32", n));
    let only = options.only.iter().flatten().map(|n| ("only", n));
    let nodes: HashSet<&str> = graph.nodes().iter().map(|n| n.name.as_str()).collect();
    for (option, name) in named.chain(only) {
        if !nodes.contains(name.as_str()) {
            return Err(PassError::Option {
                pass: PASS,
                option,
                problem: format!("expected the name of a node, found `{name}`"),
            });
        }
    }
    Ok(())
}
