//! What is left of each axis while units are removed, and what that costs.

use std::collections::BTreeMap;

use oculist_graph::{Graph, Node, Shape, ValueId};

use super::groups::Unit;
use crate::edit::has_weight_rows;

/// Kept indices of every axis that pruning may shorten, with the cost of the graph as it stands.
pub(super) struct Account<'a> {
    graph: &'a Graph,
    removed: BTreeMap<(ValueId, usize), Vec<usize>>,
}

impl<'a> Account<'a> {
    pub(super) fn new(graph: &'a Graph) -> Self {
        Self { graph, removed: BTreeMap::new() }
    }

    pub(super) fn remove(&mut self, unit: &Unit) {
        for s in &unit.slices {
            self.removed.entry((s.value, s.axis)).or_default().push(s.index);
        }
    }

    /// Indices of an axis that stay; `None` if all stay.
    pub(super) fn kept(&self, value: ValueId, axis: usize) -> Option<Vec<usize>> {
        let removed = self.removed.get(&(value, axis))?;
        let mut keep = vec![true; self.graph.shape(value).get(axis).unwrap_or(0)];
        for &i in removed {
            keep[i] = false;
        }
        Some((0..keep.len()).filter(|&i| keep[i]).collect())
    }

    /// Length of an axis now.
    pub(super) fn len(&self, value: ValueId, axis: usize) -> usize {
        let removed = self.removed.get(&(value, axis)).map_or(0, Vec::len);
        self.graph.shape(value).get(axis).unwrap_or(1) - removed
    }

    /// Multiply-adds and trainable parameters now; counted as [`Graph::cost`] does.
    pub(super) fn cost(&self) -> (u64, u64) {
        let (mut macs, mut params) = (0u64, 0u64);
        let mut counted = vec![false; self.graph.values().len()];
        for node in self.graph.nodes() {
            if has_weight_rows(self.graph, node) {
                let out = self.graph.shape(node.output());
                let pixels: usize = (2..out.rank()).filter_map(|a| out.get(a)).product();
                macs += pixels as u64 * self.elements(node.inputs[1]);
            } else {
                // What else multiplies does so as before: its share of what is left is not counted apart.
                macs += self.fixed_macs(node);
            }
            for (i, slot) in node.inputs.slots().iter().enumerate() {
                if let Some(p) = *slot
                    && self.graph.is_weight_at(node, i)
                    && self.graph.param(p).is_some()
                    && !std::mem::replace(&mut counted[p.index()], true)
                {
                    params += self.elements(p);
                }
            }
        }
        (macs, params)
    }

    /// Multiply-adds of a node as the graph has it.
    fn fixed_macs(&self, node: &Node) -> u64 {
        let outputs: Vec<&Shape> = node.outputs.iter().map(|&v| self.graph.shape(v)).collect();
        self.graph.given(node).map_or(0, |given| node.op.cost(&given, &outputs).macs)
    }

    /// The first axis of a value of which nothing is left.
    pub(super) fn emptied(&self, value: ValueId) -> Option<usize> {
        (0..self.graph.shape(value).rank())
            .find(|&a| self.removed.contains_key(&(value, a)) && self.len(value, a) == 0)
    }

    fn elements(&self, value: ValueId) -> u64 {
        (0..self.graph.shape(value).rank()).map(|a| self.len(value, a) as u64).product()
    }
}
