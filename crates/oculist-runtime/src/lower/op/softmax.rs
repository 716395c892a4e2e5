//! Softmax.

use oculist_graph::{Node, Softmax};

use super::Fast;
use crate::lower::Lowering;

impl Lowering<'_> {
    /// Softmax of each image's scores.
    pub(super) fn fast_softmax(&self, node: &Node, softmax: &Softmax) -> Option<Fast> {
        self.float_map(node.inputs[0])?;
        let rank = self.graph.shape(node.inputs[0]).rank();
        (rank == 2 && softmax.axes(rank) == Ok(1..2)).then_some(Fast::Softmax)
    }
}
