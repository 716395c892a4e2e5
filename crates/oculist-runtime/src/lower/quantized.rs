//! Nodes between `DequantizeLinear` and `QuantizeLinear`, in integers.
//!
//! A `DequantizeLinear` costs nothing here: its output is remembered as bytes with a scale. A node all of whose
//! inputs are such bytes, and whose output a `QuantizeLinear` reads next, becomes an integer step. Whatever fits no
//! pattern gets its inputs as floats and its output quantised by a step of its own.

use oculist_graph::{AveragePool, Binary, Concat, DataType, DequantizeLinear, Gemm, GlobalPool, Identity, MaxPool, NodeId, Op, QuantizeLinear, ValueId};
use oculist_kernels::int8::{Quant, int_channel_stride, lookup_table};
use oculist_kernels::{Activation, channel_stride};

use super::Lowering;
use super::tail::activation_of;
use crate::error::RuntimeError;
use crate::step::{Pair, Work, pooling};
use crate::tensor::{Format, Tensor, TensorId};

mod conv;

/// A `QuantizeLinear` behind a value, and the clamping activation between them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Requantization {
    /// Scale and zero point of the result.
    pub(super) quant: Quant,
    /// Least and greatest byte.
    pub(super) levels: [u8; 2],
    /// An activation that is no clamp.
    pub(super) activation: Activation,
    /// The quantised value.
    pub(super) end: ValueId,
    nodes: [Option<NodeId>; 2],
}

impl Lowering<'_> {
    /// Lowers a node as integers if a pattern allows it; says whether it did.
    pub(super) fn lower_quantized(&mut self, id: NodeId) -> Result<bool, RuntimeError> {
        let node = self.node(id);
        match &node.op {
            Op::QuantizeLinear(_) => self.lower_quantize(id).map(|()| true),
            Op::DequantizeLinear(_) => self.lower_dequantize(id).map(|()| true),
            Op::Conv(conv) => self.lower_int_conv(id, conv),
            Op::Gemm(Gemm::LINEAR) => self.lower_int_gemm(id),
            Op::Binary(Binary::Add) | Op::Binary(Binary::Mul) => self.lower_int_pair(id),
            Op::Concat(Concat::CHANNELS) => Ok(self.lower_int_concat(id)),
            Op::MaxPool(pool) => {
                let Some((x, quant)) = self.bytes(node.inputs[0]) else { return Ok(false) };
                let geometry = pooling(pool, self.options.batch, &self.tensors[x]);
                geometry.check().map_err(self.kernel_error(id))?;
                let out = Tensor::u8(geometry.channels, [geometry.out_height(), geometry.out_width()]);
                let y = self.step(&node.name, Work::IntMaxPool(pool.clone()), vec![x], out);
                self.set_u8(node.output(), y, quant)?;
                Ok(true)
            }
            Op::PadChannels { before, after } => {
                let Some((x, quant)) = self.bytes(node.inputs[0]) else { return Ok(false) };
                let Tensor { channels, size, .. } = self.tensors[x];
                let work = Work::IntPadChannels { before: *before, zero_point: quant.zero_point };
                let y = self.step(&node.name, work, vec![x], Tensor::u8(before + channels + after, size));
                self.set_u8(node.output(), y, quant)?;
                Ok(true)
            }
            Op::AveragePool(_) | Op::GlobalPool(GlobalPool::Average) => self.lower_int_mean(id),
            op => match activation_of(op) {
                Some(activation) => self.lower_table(id, activation),
                None => Ok(false),
            },
        }
    }

    /// Scale and zero point of a Q or DQ node of an activation, in terms of u8.
    pub(super) fn quant_of(&self, id: NodeId) -> Result<Quant, RuntimeError> {
        let node = self.node(id);
        let scale = self.constant_input(id, 1, "scale")?.values;
        let zero_point = self.constant_input(id, 2, "zero_point")?.values;
        let ([scale], [zero_point]) = (&scale[..], &zero_point[..]) else {
            return Err(self.unsupported(
                id,
                format!("expected one scale for an activation, found {} along an axis", scale.len()),
            ));
        };
        let offset = match self.graph.value(node.inputs[2]).dtype {
            DataType::U8 => 0.0,
            DataType::I8 => 128.0,
            other => {
                return Err(
                    self.unsupported(id, format!("expected u8 or i8 activations, found {}", other.name()))
                );
            }
        };
        if !(scale.is_finite() && *scale > 0.0) {
            return Err(self.unsupported(id, format!("expected a positive scale, found {scale}")));
        }
        Ok(Quant { scale: *scale, zero_point: (zero_point + offset) as u8 })
    }

    /// A value's bytes in the kernels' layout.
    pub(super) fn bytes(&self, value: ValueId) -> Option<(TensorId, Quant)> {
        let (tensor, quant) = self.states[value.index()].u8?;
        let Tensor { channels, stride, .. } = self.tensors[tensor];
        (stride == channel_stride(channels)).then_some((tensor, quant))
    }

    /// Records that a value lies in memory as bytes.
    pub(super) fn set_u8(
        &mut self,
        value: ValueId,
        tensor: TensorId,
        quant: Quant,
    ) -> Result<(), RuntimeError> {
        self.states[value.index()].u8 = Some((tensor, quant));
        self.show(value)
    }

    fn lower_quantize(&mut self, id: NodeId) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let x = node.inputs[0];
        let quant = self.quant_of(id)?;
        let state = self.states[x.index()];
        if let Some((bytes, old)) = state.u8 {
            if old == quant {
                self.states[node.output().index()].u8 = state.u8;
                return self.show(node.output());
            }
            let table = Box::new(lookup_table(old, quant, |x| x));
            let out = self.tensors[bytes];
            let y = self.step(&node.name, Work::Lookup(table), vec![bytes], out);
            return self.set_u8(node.output(), y, quant);
        }
        let from = match state {
            super::State { f32: None, dense: Some(dense), .. } => dense,
            _ => self.f32(x, &node.name)?,
        };
        let Tensor { channels, size, .. } = self.tensors[from];
        let image = state.dense.is_some() && self.only_dense_convolutions_read(node.output());
        let stride = int_channel_stride(channels, image);
        let out = Tensor { channels, size, stride, format: Format::U8 };
        let y = self.step(&node.name, Work::Quantize(quant), vec![from], out);
        self.set_u8(node.output(), y, quant)
    }

    /// Whether a quantised value goes into dense convolutions alone, which take four channels per pixel.
    fn only_dense_convolutions_read(&self, quantized: ValueId) -> bool {
        let dense = |id: &NodeId| match &self.node(*id).op {
            Op::Conv(conv) => conv.groups == 1 && self.quantized_weight(self.node(*id).inputs[1]).is_some(),
            _ => false,
        };
        let unkept = |value: ValueId| !self.kept[value.index()];
        unkept(quantized)
            && self.consumers[quantized.index()].iter().all(|&id| {
                let node = self.node(id);
                matches!(node.op, Op::DequantizeLinear(_))
                    && unkept(node.output())
                    && self.consumers[node.output().index()].iter().all(dense)
            })
    }

    fn lower_dequantize(&mut self, id: NodeId) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let quant = self.quant_of(id)?;
        let Some((bytes, _)) = self.states[node.inputs[0].index()].u8 else {
            return Err(self.unsupported(id, "expected a quantised activation"));
        };
        self.set_u8(node.output(), bytes, quant)
    }

    /// The `[Relu | Clip | other activation]? -> Q` that alone reads a value. Nothing is marked yet.
    pub(super) fn requantization(&self, value: ValueId) -> Result<Option<Requantization>, RuntimeError> {
        let mut activation = Activation::Identity;
        let mut nodes = [None; 2];
        let mut end = value;
        while let Some(id) = self.only_reader(end) {
            let node = self.node(id);
            match &node.op {
                Op::QuantizeLinear(_) => {
                    nodes[1] = Some(id);
                    let quant = self.quant_of(id)?;
                    // A clamp commutes with the rounding to levels.
                    let (levels, activation) = match activation {
                        Activation::Relu => ([quant.quantize(0.0), 255], Activation::Identity),
                        Activation::Clip { min, max } => {
                            ([quant.quantize(min), quant.quantize(max)], Activation::Identity)
                        }
                        other => ([0, 255], other),
                    };
                    return Ok(Some(Requantization { quant, levels, activation, end: node.output(), nodes }));
                }
                op => match activation_of(op) {
                    Some(f) if activation == Activation::Identity => {
                        activation = f;
                        nodes[0] = Some(id);
                        end = node.output();
                    }
                    _ => break,
                },
            }
        }
        Ok(None)
    }

    /// Marks the nodes of a requantisation as lowered.
    pub(super) fn take(&mut self, requantization: &Requantization) {
        for id in requantization.nodes.into_iter().flatten() {
            self.done[id] = true;
        }
    }

    fn lower_int_pair(&mut self, id: NodeId) -> Result<bool, RuntimeError> {
        let node = self.node(id);
        let (Some((a, a_quant)), Some((b, b_quant))) =
            (self.bytes(node.inputs[0]), self.bytes(node.inputs[1]))
        else {
            return Ok(false);
        };
        let same = self.tensors[a] == self.tensors[b];
        let gate = self.graph.shape(node.inputs[0]) != self.graph.shape(node.inputs[1]);
        let Some(next) = self.requantization(node.output())? else { return Ok(false) };
        let quants = Pair { a: a_quant, b: b_quant, y: next.quant };
        let plain = next.levels == [0, 255];
        let work = match &node.op {
            _ if next.activation != Activation::Identity => return Ok(false),
            Op::Binary(Binary::Add) if same => Work::IntAdd { quants, levels: next.levels },
            Op::Binary(Binary::Mul) if same && !gate && plain => Work::IntMultiply(quants),
            Op::Binary(Binary::Mul) if gate && plain => Work::IntGate(quants),
            _ => return Ok(false),
        };
        self.take(&next);
        let y = self.step(&node.name, work, vec![a, b], self.tensors[a]);
        self.set_u8(next.end, y, next.quant)?;
        Ok(true)
    }

    fn lower_int_concat(&mut self, id: NodeId) -> bool {
        let node = self.node(id);
        let parts: Vec<_> = node.inputs.iter().map_while(|&x| self.bytes(x).map(|part| (x, part))).collect();
        let unflattened = parts.iter().any(|&(x, (tensor, _))| self.is_unflattened(x, tensor));
        if parts.len() < node.inputs.len() || unflattened {
            return false;
        }
        let common = parts.iter().all(|(_, (_, quant))| *quant == parts[0].1.1).then_some(parts[0].1.1);
        let (end, quant) = match (self.requantization(node.output()), common) {
            (Ok(Some(next)), _) if next.levels == [0, 255] && next.activation == Activation::Identity => {
                self.take(&next);
                (next.end, next.quant)
            }
            (_, Some(common)) => (node.output(), common),
            _ => return false,
        };
        let tables = parts
            .iter()
            .map(|&(_, (_, old))| (old != quant).then(|| Box::new(lookup_table(old, quant, |x| x))))
            .collect();
        let inputs: Vec<TensorId> = parts.iter().map(|&(_, (tensor, _))| tensor).collect();
        let channels = inputs.iter().map(|&x| self.tensors[x].channels).sum();
        let out = Tensor::u8(channels, self.tensors[inputs[0]].size);
        let y = self.step(&node.name, Work::IntConcat(tables), inputs, out);
        self.states[end.index()].u8 = Some((y, quant));
        self.show(end).is_ok()
    }

    fn lower_int_mean(&mut self, id: NodeId) -> Result<bool, RuntimeError> {
        let node = self.node(id);
        let Some((x, x_quant)) = self.bytes(node.inputs[0]) else { return Ok(false) };
        let Some(next) = self.requantization(node.output())? else { return Ok(false) };
        if next.levels != [0, 255] || next.activation != Activation::Identity {
            return Ok(false);
        }
        let quants = (x_quant, next.quant);
        let (work, size) = match &node.op {
            Op::AveragePool(AveragePool { pool, count_include_pad }) => {
                let geometry = pooling(pool, self.options.batch, &self.tensors[x]);
                geometry.check().map_err(self.kernel_error(id))?;
                let work = Work::IntAveragePool {
                    pool: pool.clone(),
                    count_include_pad: *count_include_pad,
                    x: quants.0,
                    y: quants.1,
                };
                (work, [geometry.out_height(), geometry.out_width()])
            }
            _ => (Work::IntGlobalAveragePool { x: quants.0, y: quants.1 }, [1, 1]),
        };
        self.take(&next);
        let channels = self.tensors[x].channels;
        let y = self.step(&node.name, work, vec![x], Tensor::u8(channels, size));
        self.set_u8(next.end, y, next.quant)?;
        Ok(true)
    }

    /// An activation of bytes is a table.
    fn lower_table(&mut self, id: NodeId, activation: Activation) -> Result<bool, RuntimeError> {
        let node = self.node(id);
        let Some((x, x_quant)) = self.bytes(node.inputs[0]) else { return Ok(false) };
        let Some(next) = self.requantization(node.output())? else { return Ok(false) };
        self.take(&next);
        let [low, high] = next.levels;
        let second = next.activation;
        let mut table = lookup_table(x_quant, next.quant, |x| second.apply(activation.apply(x)));
        for y in &mut table {
            *y = (*y).clamp(low, high.max(low));
        }
        let y = self.step(&node.name, Work::Lookup(Box::new(table)), vec![x], self.tensors[x]);
        self.set_u8(next.end, y, next.quant)?;
        Ok(true)
    }
}
