//! Which channels depend on each other, found from the graph.

use std::collections::BTreeMap;

use oculist_graph::{AveragePool, BatchNormalization, Binary, Concat, Conv, DequantizeLinear, Dropout, Flatten, Gemm, GlobalPool, Graph, Identity, MaxPool, Node, NodeId, Op, QuantizeLinear, Softmax, Unary, ValueId};

use super::PASS;
use super::elements::Elements;
use crate::{PassError, Result};

/// One index of one axis of a parameter or activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slice {
    /// The parameter or activation.
    pub value: ValueId,
    /// 0 or 1 for a weight, 0 for a vector, 1 for an activation.
    pub axis: usize,
    /// Position along the axis.
    pub index: usize,
}

/// Channels that can only be removed together.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// Everything that goes when the unit goes: slices of parameters and channels of activations.
    pub slices: Vec<Slice>,
    /// Position of the unit's group in [`ChannelGroups::groups`].
    pub group: usize,
}

/// Units that the same layers produce, such as all channels of one residual stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The `Conv` and `Gemm` nodes that lose output channels, in the graph's order.
    pub producers: Vec<NodeId>,
    /// Positions in [`ChannelGroups::units`], ascending.
    pub units: Vec<usize>,
    /// Output channels that one unit takes from the first producer.
    pub channels_per_unit: usize,
}

/// The dependencies between the channels of a graph.
///
/// Every channel of every activation and every slice of every weight is an element; operators tie elements that
/// must stay or go together: the two operands of an addition, the input and output of a depthwise convolution, a
/// channel and the `h * w` features that `Flatten` makes of it, an output channel and its row of the weight. The
/// connected sets are the [`Unit`]s. Nothing here knows an architecture: the zero-padded shortcut of the CIFAR
/// ResNets, for example, ties channel `j + before` behind `PadChannels` to channel `j` before it, and leaves the
/// added channels to the layers they are added to.
///
/// # Source
/// Fang et al. 2023, "DepGraph: Towards Any Structural Pruning"; here per channel instead of per layer.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelGroups {
    /// All removable units, in a fixed order.
    pub units: Vec<Unit>,
    /// All groups, in the order of their first producer.
    pub groups: Vec<Group>,
}

impl ChannelGroups {
    /// Finds the units and groups of a float graph.
    ///
    /// Channels of graph inputs and outputs, and whatever is tied to them, belong to no unit.
    ///
    /// # Errors
    /// [`PassError::Unsupported`] for quantised graphs and for operators applied to constants;
    /// [`PassError::Graph`] if the graph is invalid.
    pub fn analyze(graph: &Graph) -> Result<Self> {
        graph.check()?;
        let mut elements = Elements::default();
        for node in graph.nodes() {
            link(graph, node, &mut elements)?;
        }
        for &v in graph.inputs().iter().chain(graph.outputs()) {
            let axis = elements.axis(graph, v, 1);
            elements.fix(axis);
        }
        // Rows of a layer's weight say which layer produces the channel.
        let mut layer_of: BTreeMap<ValueId, NodeId> = BTreeMap::new();
        for (i, node) in graph.nodes().iter().enumerate() {
            if matches!(node.op, Op::Conv(_) | Op::Gemm(Gemm::LINEAR)) {
                layer_of.entry(node.inputs[1]).or_insert(i);
            }
        }
        let mut by_signature: BTreeMap<(Vec<NodeId>, Option<ValueId>), Vec<usize>> = BTreeMap::new();
        let mut units = Vec::new();
        for set in elements.free_sets() {
            let slices: Vec<Slice> =
                set.into_iter().map(|(value, axis, index)| Slice { value, axis, index }).collect();
            let mut producers: Vec<NodeId> = slices
                .iter()
                .filter(|s| s.axis == 0)
                .filter_map(|s| layer_of.get(&s.value).copied())
                .collect();
            producers.sort_unstable();
            producers.dedup();
            // Channels without a producer are constant zeros; they form a group by the value they appear in.
            let constant = if producers.is_empty() { slices.first().map(|s| s.value) } else { None };
            by_signature.entry((producers, constant)).or_default().push(units.len());
            units.push(Unit { slices, group: 0 });
        }
        let mut groups = Vec::new();
        for ((producers, _), members) in by_signature {
            for &u in &members {
                units[u].group = groups.len();
            }
            let first = &units[members[0]];
            let rows = |n: &NodeId| {
                let weight = graph.nodes()[*n].inputs[1];
                first.slices.iter().filter(|s| s.axis == 0 && s.value == weight).count()
            };
            let channels_per_unit = producers.first().map_or(1, rows);
            groups.push(Group { producers, units: members, channels_per_unit });
        }
        Ok(Self { units, groups })
    }
}

/// Ties the elements of one node's inputs, parameters and output.
fn link(graph: &Graph, node: &Node, elements: &mut Elements) -> Result<()> {
    let unsupported = |problem: &str| PassError::Unsupported {
        pass: PASS,
        node: node.name.clone(),
        op: node.op.name(),
        problem: problem.to_owned(),
    };
    let activations = match node.op {
        Op::Binary(Binary::Add) | Op::Binary(Binary::Mul) => 2,
        Op::Concat(Concat::CHANNELS) => node.inputs.len(),
        _ => 1,
    };
    if node.inputs[..activations].iter().any(|&v| graph.param(v).is_some()) {
        return Err(unsupported("expected computed inputs, found a constant one"));
    }
    let out = elements.axis(graph, node.output(), 1);
    let x = elements.axis(graph, node.inputs[0], 1);
    match &node.op {
        Op::Conv(conv) => {
            link_conv(graph, node, conv, elements);
            if let Some(&bias) = node.inputs.get(2) {
                let bias = elements.axis(graph, bias, 0);
                elements.tie_all(out, bias);
            }
        }
        Op::Gemm(Gemm::LINEAR) => {
            let (rows, columns) =
                (elements.axis(graph, node.inputs[1], 0), elements.axis(graph, node.inputs[1], 1));
            elements.tie_all(out, rows);
            elements.tie_all(x, columns);
            if let Some(&bias) = node.inputs.get(2) {
                let bias = elements.axis(graph, bias, 0);
                elements.tie_all(out, bias);
            }
        }
        Op::BatchNormalization(_) => {
            elements.tie_all(x, out);
            for &p in &node.inputs[1..] {
                let p = elements.axis(graph, p, 0);
                elements.tie_all(out, p);
            }
        }
        Op::Unary(Unary::Relu)
        | Op::Unary(Unary::Clip { .. })
        | Op::Unary(Unary::HardSigmoid { .. })
        | Op::Unary(Unary::HardSwish)
        | Op::Unary(Unary::Sigmoid)
        | Op::Dropout(_)
        | Op::Identity(Identity)
        | Op::MaxPool(_)
        | Op::AveragePool(_)
        | Op::GlobalPool(GlobalPool::Average) => elements.tie_all(x, out),
        Op::Binary(Binary::Add) | Op::Binary(Binary::Mul) => {
            let y = elements.axis(graph, node.inputs[1], 1);
            elements.tie_all(x, out);
            elements.tie_all(y, out);
        }
        Op::Concat(Concat::CHANNELS) => {
            let mut offset = 0;
            for &v in &node.inputs {
                let part = elements.axis(graph, v, 1);
                for c in 0..part.len {
                    elements.tie(part.at(c), out.at(offset + c));
                }
                offset += part.len;
            }
        }
        Op::Flatten(Flatten::IMAGES) => {
            let pixels = out.len / x.len.max(1);
            for c in 0..x.len {
                for k in 0..pixels {
                    elements.tie(x.at(c), out.at(c * pixels + k));
                }
            }
        }
        Op::PadChannels { before, .. } => {
            for c in 0..x.len {
                elements.tie(x.at(c), out.at(before + c));
            }
        }
        Op::Softmax(Softmax::along(1)) => {
            // Removing one class changes the others.
            elements.fix(x);
            elements.tie_all(x, out);
        }
        Op::QuantizeLinear(_) | Op::DequantizeLinear(_) => {
            return Err(unsupported("expected a float graph: prune before quantising"));
        }
    }
    Ok(())
}

/// Convolution: rows of the weight are output channels. How input channels are tied depends on the groups.
fn link_conv(graph: &Graph, node: &Node, conv: &Conv, elements: &mut Elements) {
    let (x, out) = (elements.axis(graph, node.inputs[0], 1), elements.axis(graph, node.output(), 1));
    let weight = node.inputs[1];
    let rows = elements.axis(graph, weight, 0);
    elements.tie_all(out, rows);
    let groups = conv.groups;
    let (c_in, c_out) = (x.len / groups, out.len / groups);
    if groups == 1 {
        let columns = elements.axis(graph, weight, 1);
        elements.tie_all(x, columns);
    } else if groups >= c_in {
        // Many small groups (depthwise is the extreme): a group goes as a whole.
        for g in 0..groups {
            let first = out.at(g * c_out);
            for i in 0..c_in {
                elements.tie(x.at(g * c_in + i), first);
            }
            for o in 1..c_out {
                elements.tie(out.at(g * c_out + o), first);
            }
        }
    } else {
        // Few large groups: every group loses the same positions, so that groups stay equal.
        let columns = elements.axis(graph, weight, 1);
        for g in 0..groups {
            for i in 0..c_in {
                elements.tie(x.at(g * c_in + i), columns.at(i));
            }
            for o in 0..c_out {
                elements.tie(out.at(g * c_out + o), out.at(o));
            }
        }
    }
}
