//! Channels as elements of a union-find structure.

use std::collections::BTreeMap;

use oculist_graph::{Graph, ValueId};

use super::PASS;
use crate::{PassError, Result};

/// A range of elements: the indices of one axis of one value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    base: usize,
    pub len: usize,
}

impl Axis {
    /// An axis of a value that is not there.
    pub(super) fn empty() -> Self {
        Self { base: 0, len: 0 }
    }

    /// The element of an index.
    pub(super) fn at(self, index: usize) -> usize {
        debug_assert!(index < self.len, "index {index} on an axis of {}", self.len);
        self.base + index
    }
}

/// The most elements of a graph, a hundred times those of the largest networks: they take some 25 bytes each.
const MOST: usize = 1 << 24;

/// All elements met so far, in disjoint sets.
#[derive(Debug, Default)]
pub(super) struct Elements {
    /// The first value with which they became more than [`MOST`].
    too_many: Option<ValueId>,
    axes: BTreeMap<(ValueId, usize), Axis>,
    parent: Vec<usize>,
    fixed: Vec<bool>,
}

impl Elements {
    /// The elements of an axis of a value; registers them the first time. Where they are too many there are none.
    pub(super) fn axis(&mut self, graph: &Graph, value: ValueId, axis: usize) -> Axis {
        let Self { axes, parent, fixed, too_many } = self;
        *axes.entry((value, axis)).or_insert_with(|| {
            let len = graph.shape(value).get(axis).unwrap_or(0);
            if len > MOST - parent.len() {
                too_many.get_or_insert(value);
                return Axis::empty();
            }
            let range = Axis { base: parent.len(), len };
            parent.extend(range.base..range.base + range.len);
            fixed.resize(parent.len(), false);
            range
        })
    }

    /// Refuses a graph with more elements than can be held, naming the value with which they became too many.
    pub(super) fn check(&self, graph: &Graph) -> Result<()> {
        let Some(value) = self.too_many else { return Ok(()) };
        Err(PassError::Data {
            pass: PASS,
            value: graph.value(value).name.clone(),
            problem: format!(
                "expected at most {MOST} indices on all axes of all values, found more with {}",
                graph.type_of(value)
            ),
        })
    }

    /// Says that two elements stay or go together.
    pub(super) fn tie(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        // The smaller number becomes the root, so that the result does not depend on the order of ties.
        let (low, high) = (a.min(b), a.max(b));
        self.parent[high] = low;
    }

    /// Says that an element must stay.
    pub(super) fn fix(&mut self, axis: Axis) {
        self.fixed[axis.base..axis.base + axis.len].fill(true);
    }

    fn root(&mut self, mut e: usize) -> usize {
        while self.parent[e] != e {
            self.parent[e] = self.parent[self.parent[e]];
            e = self.parent[e];
        }
        e
    }

    /// The sets without a fixed element, each as its `(value, axis, index)` triples in ascending order.
    pub(super) fn free_sets(mut self) -> Vec<Vec<(ValueId, usize, usize)>> {
        let roots: Vec<usize> = (0..self.parent.len()).map(|e| self.root(e)).collect();
        let mut fixed = vec![false; roots.len()];
        for (e, &root) in roots.iter().enumerate() {
            fixed[root] |= self.fixed[e];
        }
        let mut sets: BTreeMap<usize, Vec<(ValueId, usize, usize)>> = BTreeMap::new();
        for (&(value, axis), range) in &self.axes {
            for index in 0..range.len {
                let root = roots[range.at(index)];
                if !fixed[root] {
                    sets.entry(root).or_default().push((value, axis, index));
                }
            }
        }
        sets.into_values().collect()
    }
}
