//! What pruning changed.

use std::collections::BTreeMap;

use oculist_graph::{Graph, NodeCost};

/// One layer before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerChange {
    /// Name of the `Conv` or `Gemm` node.
    pub name: String,
    /// Output channels, before and after.
    pub channels: (usize, usize),
    /// Input channels (features of a `Gemm`), before and after.
    pub inputs: (usize, usize),
    /// Multiply-adds for one sample, before and after.
    pub macs: (u64, u64),
    /// Parameters of weight and bias, before and after.
    pub params: (u64, u64),
}

/// The graph before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneReport {
    /// Every convolution and fully connected layer, in the graph's order.
    pub layers: Vec<LayerChange>,
    /// Removable units found.
    pub units: usize,
    /// Units removed.
    pub removed: usize,
    /// Multiply-adds for one sample, before and after.
    pub macs: (u64, u64),
    /// Trainable parameters, before and after.
    pub params: (u64, u64),
}

impl PruneReport {
    pub(super) fn new(before: &Graph, after: &Graph, units: usize, removed: usize) -> Self {
        let (old, new) = (before.cost(), after.cost());
        let widths =
            |graph: &Graph, cost: &[(usize, NodeCost)]| -> BTreeMap<String, (usize, usize, NodeCost)> {
                cost.iter()
                    .map(|&(i, c)| {
                        let node = &graph.nodes()[i];
                        let channels = |v| graph.shape(v).channels().unwrap_or(0);
                        (node.name.clone(), (channels(node.output()), channels(node.inputs[0]), c))
                    })
                    .collect()
            };
        let (a, b) = (widths(before, &old.nodes), widths(after, &new.nodes));
        let layers = before
            .nodes()
            .iter()
            .filter(|n| n.op.has_weight_rows())
            .filter_map(|n| {
                let (a, b) = (a.get(&n.name)?, b.get(&n.name)?);
                Some(LayerChange {
                    name: n.name.clone(),
                    channels: (a.0, b.0),
                    inputs: (a.1, b.1),
                    macs: (a.2.macs, b.2.macs),
                    params: (a.2.params, b.2.params),
                })
            })
            .collect();
        Self { layers, units, removed, macs: (old.macs, new.macs), params: (old.params, new.params) }
    }
}
