//! Operators other than convolutions, in floats.

use oculist_graph::{AveragePool, BatchNormalization, Binary, Concat, GlobalPool, Identity, MaxPool, NodeId, Op, Softmax, ValueId};
use oculist_kernels::{Activation, channel_stride};

use super::Lowering;
use super::tail::{Tail, activation_of};
use crate::error::RuntimeError;
use crate::step::{AffineStep, Work, pooling};
use crate::tensor::{Tensor, TensorId};

impl Lowering<'_> {
    /// Batch normalisation that no convolution took in.
    pub(super) fn lower_batch_norm(&mut self, id: NodeId) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let Op::BatchNormalization(BatchNormalization { epsilon, .. }) = node.op else {
            unreachable!("called for this operator")
        };
        let norm = self.scale_shift(id, epsilon)?;
        let x = self.flat_f32(node.inputs[0], &node.name)?;
        self.affine(id, x, None, norm.scale, norm.shift)
    }

    /// An addition that no convolution took in.
    pub(super) fn lower_add(&mut self, id: NodeId) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let (a, b) = self.same_layout(id)?;
        let Tensor { channels, size, .. } = self.tensors[a];
        let plain =
            self.only_reader(node.output()).is_none_or(|next| activation_of(&self.node(next).op).is_none());
        if plain {
            let y = self.step(&node.name, Work::Add, vec![a, b], Tensor::f32(channels, size));
            self.set_f32(node.output(), y);
            return Ok(());
        }
        self.affine(id, a, Some(b), vec![1.0; channels], vec![0.0; channels])
    }

    fn affine(
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
        self.set_f32(end, y);
        Ok(())
    }

    /// The activation that alone reads `value`, marked as done.
    fn take_activation(&mut self, value: ValueId) -> (ValueId, Activation) {
        if let Some(next) = self.only_reader(value)
            && let Some(activation) = activation_of(&self.node(next).op)
        {
            self.done[next] = true;
            return (self.node(next).output(), activation);
        }
        (value, Activation::Identity)
    }

    /// The two inputs of a node in the same layout.
    fn same_layout(&mut self, id: NodeId) -> Result<(TensorId, TensorId), RuntimeError> {
        let node = self.node(id);
        let (a, b) = (self.f32(node.inputs[0], &node.name)?, self.f32(node.inputs[1], &node.name)?);
        if self.tensors[a].size == self.tensors[b].size {
            return Ok((a, b));
        }
        Ok((self.flat_f32(node.inputs[0], &node.name)?, self.flat_f32(node.inputs[1], &node.name)?))
    }

    pub(super) fn lower_simple(&mut self, id: NodeId) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let name = &node.name;
        let batch = self.options.batch;
        let x = node.inputs[0];
        let (work, inputs, out) = match &node.op {
            op if activation_of(op).is_some() => {
                let x = self.f32(x, name)?;
                let activation = activation_of(op).unwrap_or_default();
                (Work::Activation(activation), vec![x], self.tensors[x])
            }
            Op::Binary(Binary::Mul) => {
                let gate = self.graph.shape(x) != self.graph.shape(node.inputs[1]);
                if gate {
                    let (a, b) = (self.f32(x, name)?, self.f32(node.inputs[1], name)?);
                    (Work::Gate, vec![a, b], self.tensors[a])
                } else {
                    let (a, b) = self.same_layout(id)?;
                    (Work::Multiply, vec![a, b], self.tensors[a])
                }
            }
            Op::Concat(Concat::CHANNELS) => {
                let mut inputs = Vec::with_capacity(node.inputs.len());
                let mut channels = 0;
                for &x in &node.inputs {
                    let tensor = self.flat_f32(x, name)?;
                    channels += self.tensors[tensor].channels;
                    inputs.push(tensor);
                }
                let size = self.tensors[inputs[0]].size;
                (Work::Concat, inputs, Tensor::f32(channels, size))
            }
            Op::PadChannels { before, after } => {
                let x = self.f32(x, name)?;
                let Tensor { channels, size, .. } = self.tensors[x];
                let work = Work::PadChannels { before: *before };
                (work, vec![x], Tensor::f32(before + channels + after, size))
            }
            Op::MaxPool(pool) | Op::AveragePool(AveragePool { pool, .. }) => {
                let x = self.f32(x, name)?;
                let geometry = pooling(pool, batch, &self.tensors[x]);
                geometry.check().map_err(self.kernel_error(id))?;
                let work = match &node.op {
                    Op::AveragePool(AveragePool { count_include_pad, .. }) => {
                        Work::AveragePool { pool: pool.clone(), count_include_pad: *count_include_pad }
                    }
                    _ => Work::MaxPool(pool.clone()),
                };
                let size = [geometry.out_height(), geometry.out_width()];
                (work, vec![x], Tensor::f32(geometry.channels, size))
            }
            Op::GlobalPool(GlobalPool::Average) => {
                let x = self.f32(x, name)?;
                let channels = self.tensors[x].channels;
                (Work::GlobalAveragePool, vec![x], Tensor::f32(channels, [1, 1]))
            }
            Op::Softmax(Softmax::along(1)) => {
                let x = self.flat_f32(x, name)?;
                if self.tensors[x].pixels() != 1 {
                    return Err(self.unsupported(id, "expected an input [N, C]"));
                }
                (Work::Softmax, vec![x], self.tensors[x])
            }
            _ => return Err(self.unsupported(id, "no kernel computes this operator")),
        };
        let y = self.step(name, work, inputs, out);
        self.set_f32(node.output(), y);
        Ok(())
    }
}
