//! Rows of channels: what transformers compute on every token.

use oculist_graph::op::axis;
use oculist_graph::{DataType, LayerNormalization, Node, NodeId, Transpose};
use oculist_kernels::channel_stride;

use super::Fast;
use crate::error::RuntimeError;
use crate::lower::{Lowering, Order, State};
use crate::step::{RowNormStep, Work};
use crate::tensor::{Tensor, TensorId};

impl Lowering<'_> {
    /// Axes that are exchanged while the elements stay where they are.
    pub(super) fn fast_transpose(&self, node: &Node, transpose: &Transpose) -> Option<Fast> {
        let (x, y) = (node.inputs[0], node.output());
        let order = transpose.axes(self.graph.shape(x).rank()).ok()?;
        self.transposed(x, y, &order).map(Fast::Moved)
    }

    pub(super) fn lower_moved(&mut self, id: NodeId) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let (x, y) = (node.inputs[0], node.output());
        // Images of few channels stay without padding until somebody needs it.
        let image = self.states[x.index()]
            .dense
            .filter(|&dense| self.states[x.index()].f32.is_none() && !self.is_unflattened(x, dense));
        let state = if let Some(dense) = image {
            State { dense: Some(self.in_size_of(id, dense)), ..State::default() }
        } else {
            let floats = self.flat_f32(x, &node.name)?;
            State { f32: Some(self.in_size_of(id, floats)), ..State::default() }
        };
        self.states[y.index()] = state;
        self.show(y)
    }

    /// A tensor with the height and width of a node's result: windows look at them. Where they are others, it is copied.
    fn in_size_of(&mut self, id: NodeId, tensor: TensorId) -> TensorId {
        let node = self.node(id);
        let from = self.tensors[tensor];
        match self.map(node.output()) {
            Some((_, size)) if size != from.size => {
                let pixels = (0..from.pixels()).map(|pixel| pixel as u32).collect();
                self.step(&node.name, Work::PickPixels(pixels), vec![tensor], Tensor { size, ..from })
            }
            _ => tensor,
        }
    }

    /// Layer normalisation over the channels with constant parameters, one for each.
    pub(super) fn fast_layer_norm(&self, node: &Node, norm: LayerNormalization) -> Option<Fast> {
        let x = node.inputs[0];
        let (channels, _) = self.form(x)?;
        let rank = self.graph.shape(x).rank();
        let rows = self.orders[x.index()] == Order::Last && axis(norm.axis, rank) == Ok(rank - 1);
        let each = |i: usize| match node.inputs.get(i) {
            Some(v) => {
                self.is_float_constant(v) && self.graph.shape(v).sizes().as_deref() == Some(&[channels])
            }
            None => i == 2,
        };
        let known = rows && norm.stash == DataType::F32 && norm.epsilon > 0.0 && each(1) && each(2);
        known.then_some(Fast::RowNorm { epsilon: norm.epsilon })
    }

    pub(super) fn lower_layer_norm(&mut self, id: NodeId, epsilon: f32) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let mut gamma = self.constant_input(id, 1, "gamma")?.values;
        let mut beta = match node.inputs.get(2) {
            Some(_) => self.constant_input(id, 2, "beta")?.values,
            None => Vec::new(),
        };
        let x = self.f32(node.inputs[0], &node.name)?;
        let out = self.tensors[x];
        gamma.resize(channel_stride(out.channels), 0.0);
        beta.resize(channel_stride(out.channels), 0.0);
        let rows = self.options.batch.saturating_mul(out.pixels());
        let step = RowNormStep { epsilon, gamma, beta, rows };
        self.simple(id, Work::RowNorm(Box::new(step)), vec![x], out)
    }
}
