//! Convolutions and fully connected layers in floats.

use oculist_graph::{Conv, Flatten, NodeId, ValueId};
use oculist_kernels::{Conv2d, ConvPlan, channel_stride, pack_weights};

use super::Lowering;
use super::tail::Tail;
use crate::error::RuntimeError;
use crate::step::{ConvStep, Work};
use crate::tensor::{Tensor, TensorId};

impl Lowering<'_> {
    pub(super) fn lower_conv(&mut self, id: NodeId, conv: &Conv) -> Result<(), RuntimeError> {
        let x = self.node(id).inputs[0];
        let weight = self.constant_input(id, 1, "weight")?;
        let depthwise = conv.groups > 1;
        let input = self.conv_input(x, &self.node(id).name.clone(), depthwise)?;
        let Tensor { channels, size, stride, .. } = self.tensors[input];
        let geometry = Conv2d {
            batch: self.options.batch,
            height: size[0],
            width: size[1],
            c_in: channels,
            c_out: weight.shape.get(0).unwrap_or(0),
            kernel: conv.kernel,
            stride: conv.stride,
            padding: conv.padding,
            dilation: conv.dilation,
            groups: conv.groups,
            x_stride: stride,
        };
        self.linear(id, input, geometry, weight.values)
    }

    /// A fully connected layer is a convolution whose kernel covers the map; the map of a `Flatten` before it is
    /// read as it lies.
    pub(super) fn lower_gemm(&mut self, id: NodeId) -> Result<(), RuntimeError> {
        let x = self.node(id).inputs[0];
        let weight = self.constant_input(id, 1, "weight")?;
        let input = self.conv_input(x, &self.node(id).name.clone(), false)?;
        let Tensor { channels, size, stride, .. } = self.tensors[input];
        let geometry = Conv2d {
            batch: self.options.batch,
            height: size[0],
            width: size[1],
            c_in: channels,
            c_out: weight.shape.get(0).unwrap_or(0),
            kernel: size,
            stride: [1; 2],
            padding: [0; 4],
            dilation: [1; 2],
            groups: 1,
            x_stride: stride,
        };
        self.linear(id, input, geometry, weight.values)
    }

    /// The input of a convolution, which may be a dense image.
    fn conv_input(&mut self, x: ValueId, node: &str, grouped: bool) -> Result<TensorId, RuntimeError> {
        match self.states[x.index()] {
            super::State { f32: None, dense: Some(dense), .. } if !grouped => Ok(dense),
            _ => self.f32(x, node),
        }
    }

    fn linear(
        &mut self,
        id: NodeId,
        input: TensorId,
        geometry: Conv2d,
        mut weight: Vec<f32>,
    ) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let plan = ConvPlan::new(self.ctx(), geometry).map_err(self.kernel_error(id))?;
        // Packed, and prepared from that.
        let bytes = plan.prepared_len().saturating_add(geometry.weights_len()).saturating_mul(4);
        self.check_weights(id, bytes)?;
        let mut bias = match node.inputs.len() {
            3 => Some(self.constant_input(id, 2, "bias")?.values),
            _ => None,
        };
        let c_out = geometry.c_out;
        let out = Tensor::f32(c_out, [geometry.out_height(), geometry.out_width()]);
        let Tail { end, scale_shift, residual, activation } =
            self.take_tail(node.output(), out.channels, out.size)?;
        if let Some(norm) = scale_shift {
            let per_output = weight.len() / c_out;
            for (w, s) in weight.chunks_exact_mut(per_output).zip(&norm.scale) {
                for w in w {
                    *w *= s;
                }
            }
            let old = bias.unwrap_or_else(|| vec![0.0; c_out]);
            let folded = old.iter().zip(&norm.scale).zip(&norm.shift).map(|((b, s), t)| b * s + t);
            bias = Some(folded.collect());
        }
        if let Some(bias) = &mut bias {
            bias.resize(channel_stride(c_out), 0.0);
        }
        let mut packed = pack_weights(&geometry, &weight);
        let weights = plan.prepare(self.ctx(), &packed);
        self.weight_bytes = self.weight_bytes.saturating_add(weights.bytes());
        if geometry.taps() > 1 && !geometry.is_depthwise() {
            packed = Vec::new();
        }
        let mut inputs = vec![input];
        if let Some(residual) = residual {
            inputs.push(self.f32(residual, &node.name)?);
        }
        let step = ConvStep { plan, weights, packed, bias, residual: residual.is_some(), activation };
        let y = self.step(&node.name, Work::Conv(Box::new(step)), inputs, out);
        self.set_f32(end, y);
        Ok(())
    }
}
