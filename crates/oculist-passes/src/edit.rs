//! Small graph queries and edits that several passes share.

use std::collections::{HashMap, HashSet};

use oculist_graph::{Graph, Node};

/// How often each value is read: once per input slot, once per graph output.
pub(crate) fn consumer_counts(graph: &Graph) -> Vec<usize> {
    let mut counts = vec![0; graph.values().len()];
    let reads = graph.nodes().iter().flat_map(|n| &n.inputs).chain(graph.outputs().iter().copied());
    for v in reads {
        counts[v.index()] += 1;
    }
    counts
}

/// Whether a node is a convolution or fully connected layer whose weight is an f32 parameter with one row (index of axis
/// 0) for each output channel.
pub(crate) fn has_weight_rows(graph: &Graph, node: &Node) -> bool {
    // Other operators may have an input 2 and no input 1.
    if !node.op.has_weight_rows() {
        return false;
    }
    let float =
        |i: usize| node.inputs.get(i).is_none_or(|v| graph.param(v).is_some_and(|t| t.as_f32().is_some()));
    // A bias that is broadcast to all channels is no vector of them.
    let bias = node.inputs.get(2).is_none_or(|b| {
        graph.shape(b).rank() == 1 && graph.shape(b).get(0) == graph.shape(node.inputs[1]).get(0)
    });
    graph.param(node.inputs[1]).is_some() && float(1) && float(2) && bias
}

/// The names of a graph's values, for passes that add many.
pub(crate) struct Names {
    taken: HashSet<String>,
    /// The number at which the search for a free name goes on, by what was wished for.
    numbers: HashMap<String, usize>,
}

impl Names {
    /// Those of a graph.
    pub(crate) fn of(graph: &Graph) -> Self {
        Self { taken: graph.values().iter().map(|v| v.name.clone()).collect(), numbers: HashMap::new() }
    }

    /// Those of a graph's nodes.
    pub(crate) fn of_nodes(graph: &Graph) -> Self {
        Self { taken: graph.nodes().iter().map(|n| n.name.clone()).collect(), numbers: HashMap::new() }
    }

    /// `wish`, or `wish` with a number behind it if a value has that name already; from now on it is taken.
    pub(crate) fn fresh(&mut self, wish: &str) -> String {
        if self.taken.insert(wish.to_owned()) {
            return wish.to_owned();
        }
        let number = self.numbers.entry(wish.to_owned()).or_insert(2);
        loop {
            let name = format!("{wish}.{number}");
            *number += 1;
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}
