//! Which channels depend on each other, found from the graph.

use std::collections::{BTreeMap, BTreeSet};

use oculist_graph::op::{Port, Quantization, Tie, Ties};
use oculist_graph::{Graph, Node, NodeId, ValueId};

use super::PASS;
use super::elements::{Axis, Elements};
use crate::edit::has_weight_rows;
use crate::{PassError, Result};

/// One index of one axis of a parameter or activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slice {
    /// The parameter or activation.
    pub value: ValueId,
    /// Such as 0 or 1 for a weight, 0 for a vector, 1 for the channels of a map.
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
    /// [`PassError::Data`] naming a value with which the indices of all axes are too many to be held;
    /// [`PassError::Graph`] if the graph is invalid.
    pub fn analyze(graph: &Graph) -> Result<Self> {
        graph.check()?;
        let mut elements = Elements::default();
        for node in graph.nodes() {
            link(graph, node, &mut elements)?;
        }
        for &v in graph.inputs().iter().chain(graph.outputs()) {
            for a in 0..graph.shape(v).rank() {
                let axis = elements.axis(graph, v, a);
                elements.fix(axis);
            }
        }
        elements.check(graph)?;
        // Rows of a layer's weight say which layer produces the channel.
        let mut layer_of: BTreeMap<ValueId, NodeId> = BTreeMap::new();
        for (i, node) in graph.nodes().iter().enumerate() {
            if has_weight_rows(graph, node) {
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

/// Ties the elements of one node's inputs, parameters and outputs, as its operator says.
fn link(graph: &Graph, node: &Node, elements: &mut Elements) -> Result<()> {
    if node.op.quantization() == Quantization::Conversion {
        return Err(PassError::Unsupported {
            pass: PASS,
            node: node.name.clone(),
            op: node.op.name(),
            problem: "expected a float graph: prune before quantising".to_owned(),
        });
    }
    let given = graph.given(node)?;
    let outputs: Vec<_> = node.outputs.iter().map(|&v| graph.shape(v)).collect();
    let ties = match node.op.ties(&given, &outputs) {
        Ties::Known(ties) => ties,
        Ties::Unknown | Ties::Never => Vec::new(),
    };
    let axis = |elements: &mut Elements, port: Port| {
        let (value, axis) = match port {
            Port::Input(i, axis) => (node.inputs.get(i), axis),
            Port::Output(i, axis) => (node.outputs.get(i).copied(), axis),
        };
        value.map_or_else(Axis::empty, |v| elements.axis(graph, v, axis))
    };
    let mut said = BTreeSet::new();
    for tie in ties {
        let (from, to) = match tie {
            Tie::Same(a, b)
            | Tie::Shifted(a, b, _)
            | Tie::Spread(a, b, _)
            | Tie::Modulo(a, b, _)
            | Tie::Blocks(a, b, _, _) => (a, b),
            Tie::Fixed(a) => (a, a),
        };
        let (a, b) = (axis(elements, from), axis(elements, to));
        said.extend([key(from), key(to)]);
        let target: Box<dyn Fn(usize) -> std::ops::Range<usize>> = match tie {
            Tie::Same(..) => Box::new(|i| i..i + 1),
            Tie::Shifted(_, _, offset) => Box::new(move |i| i + offset..i + offset + 1),
            Tie::Spread(_, _, inner) => {
                Box::new(move |i| i.saturating_mul(inner)..(i + 1).saturating_mul(inner))
            }
            Tie::Modulo(_, _, period) => Box::new(move |i| i % period.max(1)..i % period.max(1) + 1),
            Tie::Blocks(_, _, size, step) => Box::new(move |i| {
                let first = i / size.max(1) * step;
                first..first + 1
            }),
            Tie::Fixed(_) => {
                elements.fix(a);
                continue;
            }
        };
        for i in 0..a.len {
            let indices = target(i);
            for j in indices.start..indices.end.min(b.len) {
                elements.tie(a.at(i), b.at(j));
            }
        }
    }
    // No index of an axis that nothing was said of may go.
    let inputs = node.inputs.slots().iter().enumerate().filter_map(|(i, slot)| slot.map(|v| (false, i, v)));
    let outputs = node.outputs.iter().enumerate().map(|(i, &v)| (true, i, v));
    for (is_output, i, value) in inputs.chain(outputs) {
        for a in 0..graph.shape(value).rank() {
            if !said.contains(&(is_output, i, a)) {
                let axis = elements.axis(graph, value, a);
                elements.fix(axis);
            }
        }
    }
    Ok(())
}

/// A port as something that can be ordered.
fn key(port: Port) -> (bool, usize, usize) {
    match port {
        Port::Input(i, axis) => (false, i, axis),
        Port::Output(i, axis) => (true, i, axis),
    }
}
