//! Convolutions and fully connected layers in floats.

use oculist_graph::{Conv, Gemm, Node, NodeId, Op, Plane};
use oculist_kernels::{Conv2d, ConvPlan, channel_stride, pack_weights};

use super::Fast;
use crate::error::RuntimeError;
use crate::lower::constant::Floats;
use crate::lower::tail::Tail;
use crate::lower::{Lowering, Order};
use crate::step::{ConvStep, Work};
use crate::tensor::{Tensor, TensorId};

/// A product of two matrices.
const PRODUCT: Gemm = Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: false };

impl Lowering<'_> {
    /// A convolution over height and width with constant parameters and a geometry that the kernels know.
    pub(super) fn fast_conv(&self, node: &Node, conv: &Conv) -> Option<Fast> {
        let (channels, size) = self.float_map(node.inputs[0])?;
        let weight = self.graph.shape(node.inputs.get(1)?).sizes()?;
        let plane = conv.window.filled(weight.get(2..)?).plane(size)?;
        let geometry = self
            .conv_geometry(node, &plane, conv.groups, Tensor::f32(channels, size))
            .filter(|g| g.check().is_ok())?;
        let parameters =
            self.is_float_constant(node.inputs[1]) && self.has_bias_or_none(node, geometry.c_out);
        parameters.then_some(Fast::Conv { plane, groups: conv.groups })
    }

    /// A fully connected layer with a constant weight and, if it has one, a bias for each output.
    pub(super) fn fast_gemm(&self, node: &Node, gemm: &Gemm) -> Option<Fast> {
        let x = node.inputs[0];
        let (channels, size) = self.form(x)?;
        let weight = node.inputs.get(1)?;
        let outputs = self.graph.shape(weight).get(usize::from(!gemm.trans_b))?;
        let parameters = self.is_float_constant(weight) && self.has_bias_or_none(node, outputs);
        if !parameters || gemm.trans_a || outputs == 0 {
            return None;
        }
        if self.orders[x.index()] == Order::Last {
            let geometry = self.gemm_geometry(outputs, Tensor::f32(channels, size), true);
            return geometry.check().is_ok().then_some(Fast::Linear);
        }
        (self.graph.shape(x).rank() == 2).then_some(Fast::Gemm)
    }

    /// The product of `[N, C]`, or of rows of any number, and a constant matrix.
    pub(super) fn fast_product(&self, node: &Node) -> Option<Fast> {
        if self.graph.shape(node.inputs.get(1)?).rank() == 2 { self.fast_gemm(node, &PRODUCT) } else { None }
    }

    /// Whether a layer has no bias or a constant one for each output.
    fn has_bias_or_none(&self, node: &Node, outputs: usize) -> bool {
        node.inputs.get(2).is_none_or(|bias| {
            self.is_float_constant(bias)
                && self.graph.shape(bias).sizes().is_some_and(|s| s.iter().product::<usize>() == outputs)
                && self.graph.shape(bias).dims().last().and_then(|d| d.size()) == Some(outputs)
        })
    }

    /// The geometry of a convolution; `x` is its input.
    pub(in crate::lower) fn conv_geometry(
        &self,
        node: &Node,
        plane: &Plane,
        groups: usize,
        x: Tensor,
    ) -> Option<Conv2d> {
        let Plane { kernel, stride, padding, dilation } = *plane;
        let c_out = self.graph.shape(node.inputs.get(1)?).get(0)?;
        let Tensor { channels, size, stride: x_stride, .. } = x;
        let [height, width] = size;
        let (batch, c_in) = (self.options.batch, channels);
        Some(Conv2d {
            batch,
            height,
            width,
            c_in,
            c_out,
            kernel,
            stride,
            padding,
            dilation,
            groups,
            x_stride,
        })
    }

    /// A fully connected layer is a convolution whose kernel covers the map; the map of a `Flatten` before it is
    /// read as it lies.
    ///
    /// Where it is applied to every row, the kernel is a single one.
    pub(in crate::lower) fn gemm_geometry(&self, c_out: usize, x: Tensor, rows: bool) -> Conv2d {
        let Tensor { channels, size, stride, .. } = x;
        Conv2d {
            batch: self.options.batch,
            height: size[0],
            width: size[1],
            c_in: channels,
            c_out,
            kernel: if rows { [1; 2] } else { size },
            stride: [1; 2],
            padding: [0; 4],
            dilation: [1; 2],
            groups: 1,
            x_stride: stride,
        }
    }

    pub(super) fn lower_conv(&mut self, id: NodeId, plane: Plane, groups: usize) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let weight = self.constant_input(id, 1, "weight")?;
        let bias = self.bias(id)?;
        let input = self.conv_input(node.inputs[0], &node.name, groups > 1)?;
        let geometry = self.conv_geometry(node, &plane, groups, self.tensors[input]);
        let Some(geometry) = geometry else { unreachable!("the weight is a constant") };
        self.linear(id, input, geometry, weight.values, bias)
    }

    pub(super) fn lower_gemm(&mut self, id: NodeId, rows: bool) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let gemm = if let Op::Gemm(gemm) = node.op { gemm } else { PRODUCT };
        let mut weight = self.constant_input(id, 1, "weight")?;
        if !gemm.trans_b {
            weight = transposed(&weight);
        }
        let mut bias = self.bias(id)?;
        if gemm.alpha != 1.0 {
            weight.values.iter_mut().for_each(|w| *w *= gemm.alpha);
        }
        if gemm.beta != 1.0 {
            bias.iter_mut().flatten().for_each(|b| *b *= gemm.beta);
        }
        let input = self.conv_input(node.inputs[0], &node.name, false)?;
        let geometry = self.gemm_geometry(weight.shape.get(0).unwrap_or(0), self.tensors[input], rows);
        self.linear(id, input, geometry, weight.values, bias)
    }

    fn bias(&self, id: NodeId) -> Result<Option<Vec<f32>>, RuntimeError> {
        match self.node(id).inputs.get(2) {
            Some(_) => Ok(Some(self.constant_input(id, 2, "bias")?.values)),
            None => Ok(None),
        }
    }

    fn linear(
        &mut self,
        id: NodeId,
        input: TensorId,
        geometry: Conv2d,
        mut weight: Vec<f32>,
        mut bias: Option<Vec<f32>>,
    ) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let plan = ConvPlan::new(self.ctx(), geometry).map_err(self.kernel_error(id))?;
        // Packed, and prepared from that.
        let bytes = plan.prepared_len().saturating_add(geometry.weights_len()).saturating_mul(4);
        self.check_weights(id, bytes)?;
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
        self.set_f32(end, y)
    }
}

/// A matrix with rows and columns exchanged.
fn transposed(matrix: &Floats) -> Floats {
    let (rows, columns) = (matrix.shape.get(0).unwrap_or(0), matrix.shape.get(1).unwrap_or(0));
    let at = |column: usize| (0..rows).map(move |row| matrix.values[row * columns + column]);
    Floats {
        shape: oculist_graph::Shape::fixed(&[columns, rows]),
        values: (0..columns).flat_map(at).collect(),
    }
}
