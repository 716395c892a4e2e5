//! Batch normalisation.

use oculist_graph::{BatchNormalization, Node, NodeId, ValueId};
use oculist_kernels::{Activation, channel_stride};

use super::Fast;
use crate::error::RuntimeError;
use crate::lower::Lowering;
use crate::lower::tail::Tail;
use crate::step::{AffineStep, Work};
use crate::tensor::{Tensor, TensorId};

impl Lowering<'_> {
    pub(super) fn fast_norm(&self, node: &Node, norm: &BatchNormalization) -> Option<Fast> {
        self.float_map(node.inputs[0])?;
        let constant = (1..5).all(|i| node.inputs.get(i).is_some_and(|v| self.is_float_constant(v)));
        constant.then_some(Fast::Norm { epsilon: norm.epsilon })
    }

    /// Batch normalisation that no convolution took in.
    pub(super) fn lower_norm(&mut self, id: NodeId, epsilon: f32) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let norm = self.scale_shift(id, epsilon)?;
        let x = self.flat_f32(node.inputs[0], &node.name)?;
        self.affine(id, x, None, norm.scale, norm.shift)
    }

    /// `f(x * scale + shift + addend)`.
    pub(super) fn affine(
        &mut self,
        id: NodeId,
        x: TensorId,
        addend: Option<TensorId>,
        mut scale: Vec<f32>,
        mut shift: Vec<f32>,
    ) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let Tensor { channels, size, .. } = self.tensors[x];
        scale.resize(channel_stride(channels), 0.0);
        shift.resize(channel_stride(channels), 0.0);
        let mut inputs = vec![x];
        let (end, activation) = if let Some(addend) = addend {
            inputs.push(addend);
            self.take_activation(node.output())
        } else {
            let Tail { end, scale_shift, residual, activation } =
                self.take_tail(node.output(), channels, size)?;
            if let Some(second) = scale_shift {
                for c in 0..channels {
                    scale[c] *= second.scale[c];
                    shift[c] = shift[c] * second.scale[c] + second.shift[c];
                }
            }
            if let Some(residual) = residual {
                inputs.push(self.f32(residual, &node.name)?);
            }
            (end, activation)
        };
        let residual = inputs.len() == 2;
        let step = AffineStep { scale, shift, residual, activation };
        let y = self.step(&node.name, Work::Affine(Box::new(step)), inputs, Tensor::f32(channels, size));
        self.set_f32(end, y)
    }

    /// The activation that alone reads `value`, marked as done.
    fn take_activation(&mut self, value: ValueId) -> (ValueId, Activation) {
        if let Some(next) = self.only_reader(value)
            && let Some(Fast::Activation(activation)) = self.fast[next]
        {
            self.done[next] = true;
            return (self.node(next).output(), activation);
        }
        (value, Activation::Identity)
    }
}
