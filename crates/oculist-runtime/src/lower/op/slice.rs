//! Parts of the channels.

use oculist_graph::op::axis;
use oculist_graph::{Node, NodeId, Split, ValueId};

use super::Fast;
use crate::error::RuntimeError;
use crate::lower::Lowering;
use crate::step::Work;
use crate::tensor::{Tensor, TensorId};

impl Lowering<'_> {
    /// A slice of consecutive channels with everything else as it is.
    pub(super) fn fast_slice(&self, node: &Node) -> Result<Option<Fast>, RuntimeError> {
        let x = node.inputs[0];
        if self.form(x).is_none() {
            return Ok(None);
        }
        let channels = self.channel_axis(x);
        Ok(self.slice_along(node)?.and_then(|(along, first)| {
            let whole = self.same_shape(x, node.output());
            (whole || along == channels).then_some(Fast::Slice { first })
        }))
    }

    /// Channels shared out among several outputs.
    pub(super) fn fast_split(&self, node: &Node, split: Split) -> Option<Fast> {
        let rank = self.graph.shape(node.inputs[0]).rank();
        let x = node.inputs[0];
        let (channels, _) = self.form(x)?;
        let along = self.channel_axis(x);
        let parts = node.outputs.iter().map(|&v| self.graph.shape(v).get(along));
        let parts = parts.collect::<Option<Vec<_>>>()?;
        let whole = parts.iter().all(|&part| part > 0) && parts.iter().sum::<usize>() == channels;
        (axis(split.axis, rank) == Ok(along) && whole).then_some(Fast::Split)
    }

    /// A step that takes the channels of `output` out of `x`.
    pub(super) fn lower_part(
        &mut self,
        id: NodeId,
        output: ValueId,
        x: TensorId,
        first: usize,
    ) -> Result<(), RuntimeError> {
        let channels = self.form(output).map_or(0, |(channels, _)| channels);
        let out = Tensor::f32(channels, self.tensors[x].size);
        let y = self.step(&self.node(id).name, Work::SliceChannels { first }, vec![x], out);
        self.set_f32(output, y)
    }
}
