//! Channels in another order, some of them, or some of them twice.

use oculist_graph::{Gather, Node, axis};

use super::Fast;
use crate::error::RuntimeError;
use crate::lower::Lowering;

impl Lowering<'_> {
    /// A gather along the channels whose indices are constant.
    pub(super) fn fast_gather(&self, node: &Node, gather: Gather) -> Result<Option<Fast>, RuntimeError> {
        let (x, y) = (node.inputs[0], node.output());
        let (Some((_, size)), Some((_, same))) = (self.map(x), self.map(y)) else { return Ok(None) };
        let shape = self.graph.shape(x);
        let along = axis(gather.axis, shape.rank()) == Ok(1);
        let kept = shape.rank() == self.graph.shape(y).rank() && size == same;
        Ok((along && kept && self.picked_channels(node)?.is_some()).then_some(Fast::PickChannels))
    }

    /// Per channel of the result, the channel of the input; `None` if they are not constant or lie outside.
    pub(in crate::lower) fn picked_channels(&self, node: &Node) -> Result<Option<Box<[u32]>>, RuntimeError> {
        let (Some((channels, _)), Some(indices)) = (self.map(node.inputs[0]), node.inputs.get(1)) else {
            return Ok(None);
        };
        Ok(self.constant(indices)?.and_then(|indices| Gather::positions(indices, channels)))
    }
}
