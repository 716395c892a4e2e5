//! Softmax.

use oculist_graph::{Node, Softmax};

use super::Fast;
use crate::lower::Lowering;

impl Lowering<'_> {
    /// Softmax of each image's scores.
    pub(super) fn fast_softmax(&self, node: &Node, softmax: &Softmax) -> Option<Fast> {
        let x = node.inputs[0];
        self.form(x)?;
        let (rank, along) = (self.graph.shape(x).rank(), self.channel_axis(x));
        (softmax.axes(rank) == Ok(along..along + 1)).then_some(Fast::Softmax)
    }
}
