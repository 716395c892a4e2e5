//! Integer convolutions and fully connected layers.

use oculist_graph::{DataType, DequantizeLinear, Gemm, NodeId, Op, Plane, ValueId};
use oculist_kernels::int8::{IntBias, IntConv, IntConvPlan, IntFinish, IntResidual, IntThen, Quant};
use oculist_kernels::{Activation, Conv2d};

use super::{Lowering, Requantization};
use crate::error::RuntimeError;
use crate::lower::op::Fast;
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
    /// The integers of a constant; none where inputs are left out.
    fn integers(&self, value: Option<ValueId>) -> Result<Option<Vec<i32>>, RuntimeError> {
        let Some(value) = value else { return Ok(Some(Vec::new())) };
        let integers = self.constant(value)?.and_then(oculist_graph::Tensor::to_i64s);
        Ok(integers.and_then(|v| v.into_iter().map(|x| i32::try_from(x).ok()).collect()))
    }

    /// Whether a value is a constant of integers behind a `DequantizeLinear` with scales that integer layers take.
    fn is_symmetric(&self, value: ValueId) -> bool {
        let Some(node) = self.node_of(value).filter(|_| self.is_constant(value)) else { return false };
        let Op::DequantizeLinear(DequantizeLinear { axis, block, .. }) = node.op else { return false };
        let scales = self.graph.shape(node.inputs[1]).sizes().map(|s| s.iter().product::<usize>());
        block == 0 && (scales == Some(1) || axis == 0)
    }

    /// Whether a layer's weight is given as bytes, for all that shapes and types tell.
    pub(in crate::lower) fn is_quantized_weight(&self, value: ValueId) -> bool {
        let bytes = |v: ValueId| matches!(self.graph.value(v).dtype, DataType::I8 | DataType::U8);
        self.is_symmetric(value) && self.node_of(value).is_some_and(|node| bytes(node.inputs[0]))
    }

    /// The integers and scales behind a `DequantizeLinear` of a constant with zero points of 0, along axis 0.
    #[expect(clippy::type_complexity, reason = "integers and scales")]
    fn symmetric(&self, value: ValueId) -> Result<Option<(Vec<i32>, Vec<f32>)>, RuntimeError> {
        let Some(node) = self.node_of(value).filter(|_| self.is_symmetric(value)) else { return Ok(None) };
        let Some(scales) = self.floats(node.inputs[1])? else { return Ok(None) };
        let zero_points = self.integers(node.inputs.get(2))?;
        if zero_points.is_none_or(|z| z.iter().any(|&z| z != 0)) {
            return Ok(None);
        }
        Ok(self.integers(node.inputs.get(0))?.map(|integers| (integers, scales.values)))
    }

    /// A layer's weight as symmetric bytes, if it is given so.
    fn quantized_weight(&self, value: ValueId) -> Result<Option<QuantizedWeight>, RuntimeError> {
        let Some((integers, scales)) = self.symmetric(value)? else { return Ok(None) };
        let values: Option<Vec<i8>> = integers.into_iter().map(|w| i8::try_from(w).ok()).collect();
        let positive = scales.iter().all(|s| s.is_finite() && *s > 0.0);
        Ok(values.map(|values| QuantizedWeight { values, scales }).filter(|_| positive))
    }

    pub(super) fn lower_int_conv(
        &mut self,
        id: NodeId,
        plane: &Plane,
        groups: usize,
    ) -> Result<bool, RuntimeError> {
        let node = self.node(id);
        let Some((input, x)) = self.states[node.inputs[0].index()].u8 else { return Ok(false) };
        let Some(weight) = self.quantized_weight(node.inputs[1])? else { return Ok(false) };
        let geometry = self.conv_geometry(node, plane, groups, self.tensors[input]);
        geometry.map_or(Ok(false), |geometry| self.int_linear(id, (input, x), geometry, &weight))
    }

    pub(super) fn lower_int_gemm(&mut self, id: NodeId) -> Result<bool, RuntimeError> {
        let node = self.node(id);
        let Some((input, x)) = self.states[node.inputs[0].index()].u8 else { return Ok(false) };
        if node.op != Op::Gemm(Gemm::LINEAR) {
            return Ok(false);
        }
        let Some(weight) = self.quantized_weight(node.inputs[1])? else { return Ok(false) };
        let outputs = self.graph.shape(node.inputs[1]).get(0).unwrap_or(0);
        self.int_linear(id, (input, x), self.gemm_geometry(outputs, self.tensors[input], false), &weight)
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
            self.set_f32(ending.end, y)?;
        }
        Ok(true)
    }

    /// What follows a convolution and is fused into it, marked as lowered.
    fn ending(&mut self, id: NodeId, channels: usize, size: [usize; 2]) -> Result<Ending, RuntimeError> {
        let output = self.node(id).output();
        let mut fused = Vec::new();
        let Some(next) = self.requantization(output) else {
            // Without quantisation the result is floats; an activation that keeps zero can still be fused.
            let mut ending = Ending {
                finish: IntFinish::F32 { activation: Activation::Identity },
                residual: None,
                end: output,
                quant: None,
                fused,
            };
            if let Some(reader) = self.only_reader(output)
                && let Some(Fast::Activation(activation)) = self.fast[reader]
                && activation.keeps_zero()
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
        } else if plain && let Some((dq, next)) = self.table(end, y) {
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
        let Some(bias) = self.node(id).inputs.get(2) else { return Ok((None, None)) };
        if let Some((steps, scales)) = self.symmetric(bias)? {
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
    fn table(&self, q: ValueId, quant: Quant) -> Option<(NodeId, Requantization)> {
        let dq = self.only_reader(q).filter(|&dq| self.fast[dq] == Some(Fast::Dequantize(quant)))?;
        let next = self.requantization(self.node(dq).output())?;
        (next.activation != Activation::Identity).then_some((dq, next))
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
        if self.fast[dq] != Some(Fast::Dequantize(quant)) {
            return Ok(None);
        }
        let own = self.node(dq).output();
        let Some(add) = self.only_reader(own) else { return Ok(None) };
        let node = self.node(add);
        if self.fast[add] != Some(Fast::Add) {
            return Ok(None);
        }
        let own_first = node.inputs[0] == own;
        let other = node.inputs[usize::from(own_first)];
        if other == own || !self.compute_early(other)? {
            return Ok(None);
        }
        let Some((tensor, addend)) = self.bytes(other) else { return Ok(None) };
        let fits = self.tensors[tensor] == Tensor::u8(channels, size);
        match self.requantization(node.output()) {
            Some(next) if fits && next.activation == Activation::Identity => {
                Ok(Some(Residual { other: tensor, addend, next, own_first, nodes: [dq, add] }))
            }
            _ => Ok(None),
        }
    }
}
