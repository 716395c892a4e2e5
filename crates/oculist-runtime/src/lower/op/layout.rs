//! Elements moved or kept.

use oculist_graph::op::axis;
use oculist_graph::{Concat, Node, NodeId, ValueId};

use super::Fast;
use crate::error::RuntimeError;
use crate::lower::Lowering;
use crate::step::Work;
use crate::tensor::Tensor;

impl Lowering<'_> {
    /// Channels behind channels.
    pub(super) fn fast_concat(&self, node: &Node, concat: Concat) -> Option<Fast> {
        let x = node.inputs[0];
        let along = axis(concat.axis, self.graph.shape(node.output()).rank());
        let order = self.orders[x.index()];
        let held =
            |v: ValueId| self.orders[v.index()] == order && (self.map(v).is_some() || self.form(v).is_some());
        (along == Ok(self.channel_axis(x)) && node.inputs.iter().all(held)).then_some(Fast::Concat)
    }

    /// An operator that keeps the order of all elements: fast if it flattens a map or gives `[N, C]` two more axes.
    pub(super) fn fast_flat(&self, node: &Node) -> Option<Fast> {
        let (x, y) = (node.inputs[0], node.output());
        if self.same_shape(x, y) && (self.map(x).is_some() || self.form(x).is_some()) {
            return Some(Fast::Same);
        }
        if let (Some((channels, size)), Some((flat, out_size))) = (self.map(x), self.map(y)) {
            let elements = channels.saturating_mul(size[0]).saturating_mul(size[1]);
            if out_size == [1, 1] && flat == elements {
                return Some(Fast::Flat);
            }
        }
        self.reshaped(x, y).map(Fast::Moved)
    }

    /// Zero channels around the existing ones.
    pub(super) fn fast_pad(&self, node: &Node) -> Option<Fast> {
        self.map(node.inputs[0])?;
        self.map(node.output())?;
        self.graph.channel_padding(node).map(|(before, after)| Fast::PadChannels { before, after })
    }

    pub(super) fn lower_concat(&mut self, id: NodeId) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let mut inputs = Vec::with_capacity(node.inputs.len());
        let mut channels = 0;
        for x in &node.inputs {
            let tensor = self.flat_f32(x, &node.name)?;
            channels += self.tensors[tensor].channels;
            inputs.push(tensor);
        }
        let size = self.tensors[inputs[0]].size;
        self.simple(id, Work::Concat, inputs, Tensor::f32(channels, size))
    }

    /// The map stays as it lies: a fully connected layer reads it so, and whatever else does puts it in order first.
    pub(super) fn lower_flat(&mut self, id: NodeId) -> Result<bool, RuntimeError> {
        let node = self.node(id);
        let (x, y) = (node.inputs[0], node.output());
        if self.states[x.index()].fast().is_none() {
            if self.float_map(x).is_none() {
                return Ok(false);
            }
            self.f32(x, &node.name)?;
        }
        // Of rank 4, nothing would say that it is not in order.
        let ordered = self.graph.shape(y).rank() == 4;
        let pixels = self.states[x.index()].fast().map_or(1, |tensor| self.tensors[tensor].pixels());
        if ordered && pixels > 1 {
            if self.float_map(x).is_none() {
                return Ok(false);
            }
            let map = self.f32(x, &node.name)?;
            let flat = Tensor::f32(self.tensors[map].channels * pixels, [1, 1]);
            let flat = self.step(&node.name, Work::Flatten, vec![map], flat);
            self.states[y.index()].f32 = Some(flat);
        } else {
            self.states[y.index()] = self.states[x.index()];
            self.states[y.index()].rows = None;
        }
        self.show(y)?;
        Ok(true)
    }
}
