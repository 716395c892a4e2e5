//! Integer convolutions and fully connected layers.

use oculist_graph::{Binary, Conv, DequantizeLinear, Identity, NodeId, Op, QuantizeLinear, TensorData, ValueId};
use oculist_kernels::int8::{IntBias, IntConv, IntConvPlan, IntFinish, IntResidual, IntThen, Quant};
use oculist_kernels::{Activation, Conv2d};

use super::{Lowering, Requantization};
use crate::error::RuntimeError;
use crate::lower::tail::activation_of;
use crate::step::{IntConvStep, Work};
use crate::tensor::{Tensor, TensorId};

/// Symmetric weights.
pub(in crate::lower) struct QuantizedWeight {
    values: Vec<i8>,
    /// One, or one per output channel.
    scales: Vec<f32>,
}

/// How a convolution ends.
struct Ending {
    finish: IntFinish,
    /// The tensor that is added.
    residual: Option<TensorId>,
    /// The value that the step computes.
    end: ValueId,
    /// What its bytes mean, unless it is floats.
    quant: Option<Quant>,
    /// In words.
    fused: Vec<String>,
}

/// An addition behind a convolution's `Q -> DQ`.
struct Residual {
    other: TensorId,
    addend: Quant,
    next: Requantization,
    /// Whether the convolution is the first operand.
    own_first: bool,
    /// The `DQ` and the `Add`.
    nodes: [NodeId; 2],
}

impl Lowering<'_> {
    /// The integers of a constant.
    fn integers(&self, value: ValueId) -> Option<Vec<i32>> {
        match self.graph.param(value).map(oculist_graph::Tensor::data) {
            Some(TensorData::I8(v)) => Some(v.iter().map(|&x| i32::from(x)).collect()),
            Some(TensorData::U8(v)) => Some(v.iter().map(|&x| i32::from(x)).collect()),
            Some(TensorData::I32(v)) => Some(v.clone()),
            Some(_) => None,
            None => match &self.node_of(value)?.op {
                Op::QuantizeLinear(_) => {
                    Some(self.constant(value)?.values.iter().map(|&x| x as i32).collect())
                }
                _ => None,
            },
        }
    }

    /// The integers and scales behind a `DequantizeLinear` of a constant with zero points of 0, along axis 0.
    fn symmetric(&self, value: ValueId) -> Option<(Vec<i32>, Vec<f32>)> {
        let node = self.node_of(value)?;
        let Op::DequantizeLinear(DequantizeLinear { axis, .. }) = node.op else { return None };
        let scales = self.constant(node.inputs[1])?.values;
        let zero_points = self.integers(node.inputs[2])?;
        let fits = zero_points.iter().all(|&z| z == 0) && (scales.len() == 1 || axis == 0);
        Some((self.integers(node.inputs[0]).filter(|_| fits)?, scales))
    }

    /// A layer's weight as symmetric bytes, if it is given so.
    pub(in crate::lower) fn quantized_weight(&self, value: ValueId) -> Option<QuantizedWeight> {
        let (integers, scales) = self.symmetric(value)?;
        let values: Option<Vec<i8>> = integers.into_iter().map(|w| i8::try_from(w).ok()).collect();
        let positive = scales.iter().all(|s| s.is_finite() && *s > 0.0);
        Some(QuantizedWeight { values: values?, scales }).filter(|_| positive)
    }

    pub(super) fn lower_int_conv(&mut self, id: NodeId, conv: &Conv) -> Result<bool, RuntimeError> {
        let node = self.node(id);
        let Some((input, x)) = self.states[node.inputs[0].index()].u8 else { return Ok(false) };
        let Some(weight) = self.quantized_weight(node.inputs[1]) else { return Ok(false) };
        let Tensor { channels, size, stride, .. } = self.tensors[input];
        let geometry = Conv2d {
            batch: self.options.batch,
            height: size[0],
            width: size[1],
            c_in: channels,
            c_out: self.graph.shape(node.inputs[1]).get(0).unwrap_or(0),
            kernel: conv.kernel,
            stride: conv.stride,
            padding: conv.padding,
            dilation: conv.dilation,
            groups: conv.groups,
            x_stride: stride,
        };
        self.int_linear(id, (input, x), geometry, &weight)
    }

    pub(super) fn lower_int_gemm(&mut self, id: NodeId) -> Result<bool, RuntimeError> {
        let node = self.node(id);
        let Some((input, x)) = self.states[node.inputs[0].index()].u8 else { return Ok(false) };
        let Some(weight) = self.quantized_weight(node.inputs[1]) else { return Ok(false) };
        let Tensor { channels, size, stride, .. } = self.tensors[input];
        let geometry = Conv2d {
            batch: self.options.batch,
            height: size[0],
            width: size[1],
            c_in: channels,
            c_out: self.graph.shape(node.inputs[1]).get(0).unwrap_or(0),
            kernel: size,
            stride: [1; 2],
            padding: [0; 4],
            dilation: [1; 2],
            groups: 1,
            x_stride: stride,
        };
        self.int_linear(id, (input, x), geometry, &weight)
    }

    fn int_linear(
        &mut self,
        id: NodeId,
        (input, x): (TensorId, Quant),
        conv: Conv2d,
        weight: &QuantizedWeight,
    ) -> Result<bool, RuntimeError> {
        let node = self.node(id);
        conv.check()
            .or_else(|e| if conv.x_stride == 4 { Ok(()) } else { Err(e) })
            .map_err(self.kernel_error(id))?;
        let size = [conv.out_height(), conv.out_width()];
        let (steps, real) = self.int_bias(id, x, weight)?;
        let bias = match (&steps, &real) {
            (Some(steps), _) => IntBias::Steps(steps),
            (_, Some(real)) => IntBias::Real(real),
            _ => IntBias::None,
        };
        let ending = self.ending(id, conv.c_out, size)?;
        let finish = ending.finish;
        let problem =
            IntConv { conv, x, weights: &weight.values, weight_scales: &weight.scales, bias, finish };
        // Widened to 16 bits, or transformed from 9 bytes to 72.
        let widened = if conv.kernel == [3, 3] { 8 } else { 2 };
        self.check_weights(id, conv.weights_len().saturating_mul(widened))?;
        let plan = IntConvPlan::new(self.ctx(), &problem).map_err(self.kernel_error(id))?;
        self.weight_bytes = self.weight_bytes.saturating_add(plan.weight_bytes());
        let residual = ending.residual.is_some();
        let work = Work::IntConv(Box::new(IntConvStep { plan, residual, fused: ending.fused.concat() }));
        let inputs = std::iter::once(input).chain(ending.residual).collect();
        if let Some(quant) = ending.quant {
            let y = self.step(&node.name, work, inputs, Tensor::u8(conv.c_out, size));
            self.set_u8(ending.end, y, quant)?;
        } else {
            let y = self.step(&node.name, work, inputs, Tensor::f32(conv.c_out, size));
            self.set_f32(ending.end, y);
        }
        Ok(true)
    }

    /// What follows a convolution and is fused into it, marked as lowered.
    fn ending(&mut self, id: NodeId, channels: usize, size: [usize; 2]) -> Result<Ending, RuntimeError> {
        let output = self.node(id).output();
        let mut fused = Vec::new();
        let Some(next) = self.requantization(output)? else {
            // Without quantisation the result is floats; an activation that keeps zero can still be fused.
            let mut ending = Ending {
                finish: IntFinish::F32 { activation: Activation::Identity },
                residual: None,
                end: output,
                quant: None,
                fused,
            };
            if let Some(reader) = self.only_reader(output)
                && let Some(activation) = activation_of(&self.node(reader).op).filter(|f| f.keeps_zero())
            {
                self.done[reader] = true;
                ending.finish = IntFinish::F32 { activation };
                ending.end = self.node(reader).output();
                ending.fused.push(format!(" + {activation:?}"));
            }
            return Ok(ending);
        };
        self.take(&next);
        let Requantization { quant: y, levels: [low, high], activation, mut end, .. } = next;
        let mut quant = y;
        if next.levels != [0, 255] {
            fused.push(format!(" + clamp {low}..={high}"));
        }
        if activation != Activation::Identity {
            fused.push(format!(" + {activation:?}"));
        }
        let plain = activation == Activation::Identity;
        let addition = if plain { self.residual(end, y, channels, size)? } else { None };
        let mut then = None;
        let mut other = None;
        if let Some(Residual { other: tensor, addend, next, own_first, nodes }) = addition {
            for id in nodes {
                self.done[id] = true;
            }
            self.take(&next);
            fused.push(" + residual".to_owned());
            let [low, high] = next.levels;
            then = Some(IntThen::Add(IntResidual { addend, sum: next.quant, low, high, own_first }));
            (end, quant, other) = (next.end, next.quant, Some(tensor));
        } else if plain && let Some((dq, next)) = self.table(end, y)? {
            self.done[dq] = true;
            self.take(&next);
            fused.push(format!(" + {:?}", next.activation));
            then = Some(IntThen::Apply { activation: next.activation, y: next.quant });
            (end, quant) = (next.end, next.quant);
        }
        let finish = IntFinish::U8 { y, activation, low, high, then };
        Ok(Ending { finish, residual: other, end, quant: Some(quant), fused })
    }

    /// The bias in steps of `x.scale * weight_scale`, or else as real numbers.
    #[expect(clippy::type_complexity, reason = "at most one of the two forms")]
    fn int_bias(
        &self,
        id: NodeId,
        x: Quant,
        weight: &QuantizedWeight,
    ) -> Result<(Option<Vec<i32>>, Option<Vec<f32>>), RuntimeError> {
        let Some(&bias) = self.node(id).inputs.get(2) else { return Ok((None, None)) };
        if let Some((steps, scales)) = self.symmetric(bias) {
            let at = |v: &[f32], o: usize| v[if v.len() == 1 { 0 } else { o }];
            let agrees = (0..steps.len()).all(|o| {
                let want = x.scale * at(&weight.scales, o);
                (at(&scales, o) - want).abs() <= 1e-6 * want
            });
            if agrees {
                return Ok((Some(steps), None));
            }
        }
        Ok((None, Some(self.constant_input(id, 2, "bias")?.values)))
    }

    /// `DQ -> activation -> Q` behind the quantised value `q`, for an activation that is no clamp.
    fn table(&self, q: ValueId, quant: Quant) -> Result<Option<(NodeId, Requantization)>, RuntimeError> {
        let Some(dq) = self.only_reader(q) else { return Ok(None) };
        if !matches!(self.node(dq).op, Op::DequantizeLinear(_)) || self.quant_of(dq)? != quant {
            return Ok(None);
        }
        let next = self.requantization(self.node(dq).output())?;
        Ok(next.filter(|next| next.activation != Activation::Identity).map(|next| (dq, next)))
    }

    /// `DQ -> Add(other) -> [Relu | Clip]? -> Q` behind the quantised value `q`, where `other` exists as bytes.
    fn residual(
        &mut self,
        q: ValueId,
        quant: Quant,
        channels: usize,
        size: [usize; 2],
    ) -> Result<Option<Residual>, RuntimeError> {
        let Some(dq) = self.only_reader(q) else { return Ok(None) };
        if !matches!(self.node(dq).op, Op::DequantizeLinear(_)) || self.quant_of(dq)? != quant {
            return Ok(None);
        }
        let own = self.node(dq).output();
        let Some(add) = self.only_reader(own) else { return Ok(None) };
        let node = self.node(add);
        if node.op != Op::Binary(Binary::Add) {
            return Ok(None);
        }
        let own_first = node.inputs[0] == own;
        let other = node.inputs[usize::from(own_first)];
        if other == own || !self.compute_early(other)? {
            return Ok(None);
        }
        let Some((tensor, addend)) = self.bytes(other) else { return Ok(None) };
        let fits = self.tensors[tensor] == Tensor::u8(channels, size);
        match self.requantization(node.output())? {
            Some(next) if fits && next.activation == Activation::Identity => {
                Ok(Some(Residual { other: tensor, addend, next, own_first, nodes: [dq, add] }))
            }
            _ => Ok(None),
        }
    }
}
