//! Parts of the channels.

use oculist_graph::op::axis;
use oculist_graph::{Node, NodeId, Slice, Split, ValueId};

use super::Fast;
use crate::error::RuntimeError;
use crate::lower::Lowering;
use crate::step::Work;
use crate::tensor::{Tensor, TensorId};

impl Lowering<'_> {
    /// A slice of consecutive channels with everything else as it is.
    pub(super) fn fast_slice(&self, node: &Node) -> Result<Option<Fast>, RuntimeError> {
        let x = node.inputs[0];
        if self.float_map(x).is_none() || self.float_map(node.output()).is_none() {
            return Ok(None);
        }
        let Some(sizes) = self.graph.shape(x).sizes() else { return Ok(None) };
        let ints = |i: usize| match node.inputs.get(i) {
            Some(v) => Ok(self.constant(v)?.and_then(oculist_graph::Tensor::to_i64s)),
            None => Ok::<_, RuntimeError>(None),
        };
        let (Some(starts), Some(ends)) = (ints(1)?, ints(2)?) else { return Ok(None) };
        let count = starts.len();
        let axes = if node.inputs.get(3).is_some() { ints(3)? } else { Some((0..count as i64).collect()) };
        let steps = if node.inputs.get(4).is_some() { ints(4)? } else { Some(vec![1; count]) };
        let (Some(axes), Some(steps)) = (axes, steps) else { return Ok(None) };
        if [ends.len(), axes.len(), steps.len()] != [count; 3] || steps.iter().any(|&step| step != 1) {
            return Ok(None);
        }
        let mut first = 0;
        for i in 0..count {
            let Ok(along) = axis(axes[i], sizes.len()) else { return Ok(None) };
            match Slice::range(sizes[along], starts[i], ends[i], 1) {
                Ok((from, _)) if along == 1 => first = from,
                Ok((0, size)) if size == sizes[along] => {}
                _ => return Ok(None),
            }
        }
        Ok(Some(Fast::Slice { first }))
    }

    /// Channels shared out among several outputs.
    pub(super) fn fast_split(&self, node: &Node, split: Split) -> Option<Fast> {
        let rank = self.graph.shape(node.inputs[0]).rank();
        let (channels, _) = self.float_map(node.inputs[0])?;
        let parts = node.outputs.iter().map(|&v| Some(self.float_map(v)?.0)).collect::<Option<Vec<_>>>()?;
        (axis(split.axis, rank) == Ok(1) && parts.iter().sum::<usize>() == channels).then_some(Fast::Split)
    }

    /// A step that takes the channels of `output` out of `x`.
    pub(super) fn lower_part(&mut self, id: NodeId, output: ValueId, x: TensorId, first: usize) {
        let channels = self.map(output).map_or(0, |(channels, _)| channels);
        let out = Tensor::f32(channels, self.tensors[x].size);
        let y = self.step(&self.node(id).name, Work::SliceChannels { first }, vec![x], out);
        self.set_f32(output, y);
    }
}
