//! Channels in another order, some of them, or some of them twice.

use oculist_graph::{Gather, Node, axis};

use super::Fast;
use crate::error::RuntimeError;
use crate::lower::{Lowering, Order};

impl Lowering<'_> {
    /// A gather along the channels whose indices are constant.
    pub(super) fn fast_gather(&self, node: &Node, gather: Gather) -> Result<Option<Fast>, RuntimeError> {
        let (x, y) = (node.inputs[0], node.output());
        let (Some((_, size)), Some((_, same))) = (self.map(x), self.map(y)) else {
            return self.fast_token(node, gather);
        };
        let shape = self.graph.shape(x);
        let along = axis(gather.axis, shape.rank()) == Ok(1);
        let kept = shape.rank() == self.graph.shape(y).rank() && size == same;
        Ok((along && kept && self.picked_channels(node)?.is_some()).then_some(Fast::PickChannels))
    }

    /// One token of each image.
    fn fast_token(&self, node: &Node, gather: Gather) -> Result<Option<Fast>, RuntimeError> {
        let (x, y) = (node.inputs[0], node.output());
        let Some(sizes) = self.graph.shape(x).sizes() else { return Ok(None) };
        let tokens = self.orders[x.index()] == Order::Last
            && matches!(sizes[..], [n, _, _] if n == self.options.batch)
            && self.form(x).is_some()
            && axis(gather.axis, 3) == Ok(1)
            && self.graph.shape(y).rank() == 2;
        let index = if tokens { self.constant_index(node, sizes[1])? } else { None };
        Ok(index.map(|index| Fast::Row { index }))
    }

    /// The only index of a gather along an axis of `size`, if it is constant and lies inside.
    pub(in crate::lower) fn constant_index(
        &self,
        node: &Node,
        size: usize,
    ) -> Result<Option<usize>, RuntimeError> {
        let Some(index) = node.inputs.get(1) else { return Ok(None) };
        let single = self.constant(index)?.and_then(|t| t.clone().reshaped(vec![1]).ok());
        Ok(single.and_then(|t| Gather::positions(&t, size)).map(|at| at[0] as usize))
    }

    /// Per channel of the result, the channel of the input; `None` if they are not constant or lie outside.
    pub(in crate::lower) fn picked_channels(&self, node: &Node) -> Result<Option<Box<[u32]>>, RuntimeError> {
        let (Some((channels, _)), Some(indices)) = (self.map(node.inputs[0]), node.inputs.get(1)) else {
            return Ok(None);
        };
        Ok(self.constant(indices)?.and_then(|indices| Gather::positions(indices, channels)))
    }
}
