//! Softmax.

use oculist_graph::{Node, Softmax, SoftmaxKind};

use super::Fast;
use crate::lower::Lowering;

impl Lowering<'_> {
    /// Softmax of each image's scores.
    pub(super) fn fast_softmax(&self, node: &Node, softmax: &Softmax) -> Option<Fast> {
        let x = node.inputs[0];
        self.form(x)?;
        let (rank, along) = (self.graph.shape(x).rank(), self.channel_axis(x));
        let rows = softmax.kind == SoftmaxKind::Softmax && softmax.axes(rank) == Ok(along..along + 1);
        rows.then_some(Fast::Softmax)
    }
}
