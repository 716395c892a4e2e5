//! Nodes between `DequantizeLinear` and `QuantizeLinear`, in integers.
//!
//! A `DequantizeLinear` costs nothing here: its output is remembered as bytes with a scale. A node all of whose
//! inputs are such bytes, and whose output a `QuantizeLinear` reads next, becomes an integer step. Whatever fits no
//! pattern gets its inputs as floats and its output quantised by a step of its own.

use std::cell::Cell;

use oculist_graph::{NodeId, ValueId};
use oculist_kernels::int8::{Quant, int_channel_stride, lookup_table};
use oculist_kernels::{Activation, channel_stride};
use oculist_plain::evaluate;

use super::Lowering;
use super::op::Fast;
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
    pub(super) fn lower_quantized(&mut self, id: NodeId, fast: Fast) -> Result<bool, RuntimeError> {
        let node = self.node(id);
        match fast {
            Fast::Quantize(quant) => self.lower_quantize(id, quant).map(|()| true),
            Fast::Dequantize(quant) => self.lower_dequantize(id, quant),
            Fast::Conv { plane, groups } => self.lower_int_conv(id, &plane, groups),
            Fast::Gemm => self.lower_int_gemm(id),
            Fast::Add | Fast::Multiply | Fast::Gate { .. } => self.lower_int_pair(id, fast),
            Fast::Concat => self.lower_int_concat(id),
            Fast::MaxPool(plane) => {
                let Some((x, quant)) = self.bytes(node.inputs[0]) else { return Ok(false) };
                let geometry = pooling(&plane, self.options.batch, &self.tensors[x]);
                geometry.check().map_err(self.kernel_error(id))?;
                let out = Tensor::u8(geometry.channels, [geometry.out_height(), geometry.out_width()]);
                let y = self.step(&node.name, Work::IntMaxPool(plane), vec![x], out);
                self.set_u8(node.output(), y, quant)?;
                Ok(true)
            }
            Fast::Resize => {
                let Some((x, quant)) = self.bytes(node.inputs[0]) else { return Ok(false) };
                let size = self.map(node.output()).map_or([1, 1], |(_, size)| size);
                let work = Work::PickPixels(self.nearest_pixels(id)?);
                let y = self.step(&node.name, work, vec![x], Tensor::u8(self.tensors[x].channels, size));
                self.set_u8(node.output(), y, quant)?;
                Ok(true)
            }
            Fast::PickChannels => {
                let Some((x, quant)) = self.bytes(node.inputs[0]) else { return Ok(false) };
                let Some(picked) = self.picked_channels(node)? else { return Ok(false) };
                let out = Tensor::u8(picked.len(), self.tensors[x].size);
                let y = self.step(&node.name, Work::PickChannels(picked), vec![x], out);
                self.set_u8(node.output(), y, quant)?;
                Ok(true)
            }
            Fast::PadChannels { before, after } => {
                let Some((x, quant)) = self.bytes(node.inputs[0]) else { return Ok(false) };
                let Tensor { channels, size, .. } = self.tensors[x];
                let work = Work::IntPadChannels { before, zero_point: quant.zero_point };
                let y = self.step(&node.name, work, vec![x], Tensor::u8(before + channels + after, size));
                self.set_u8(node.output(), y, quant)?;
                Ok(true)
            }
            Fast::AveragePool { .. } | Fast::GlobalAveragePool => self.lower_int_mean(id, fast),
            Fast::Activation(activation) => self.lower_table(id, |x| Ok(activation.apply(x))),
            Fast::Function(_) => {
                let context = self.options.context.clone();
                self.lower_table(id, |x| {
                    let results =
                        evaluate(&context, &node.op, &[Some(&oculist_graph::Tensor::f32(&[1], vec![x]))], 1);
                    let results =
                        results.map_err(|source| RuntimeError::Plain { node: node.name.clone(), source })?;
                    Ok(results.first().and_then(|y| y.to_f32s().first().copied()).unwrap_or(0.0))
                })
            }
            Fast::Slice { .. }
            | Fast::Split
            | Fast::Linear
            | Fast::RowNorm { .. }
            | Fast::Moved(_)
            | Fast::Row { .. }
            | Fast::Norm { .. }
            | Fast::Affine { .. }
            | Fast::Softmax
            | Fast::Same
            | Fast::Flat => Ok(false),
        }
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

    fn lower_quantize(&mut self, id: NodeId, quant: Quant) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let x = node.inputs[0];
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
        let dense = |id: &NodeId| {
            matches!(self.fast[*id], Some(Fast::Conv { groups: 1, .. }))
                && self.is_quantized_weight(self.node(*id).inputs[1])
        };
        let unkept = |value: ValueId| !self.kept[value.index()];
        unkept(quantized)
            && self.consumers[quantized.index()].iter().all(|&id| {
                let node = self.node(id);
                matches!(self.fast[id], Some(Fast::Dequantize(_)))
                    && unkept(node.output())
                    && self.consumers[node.output().index()].iter().all(dense)
            })
    }

    fn lower_dequantize(&mut self, id: NodeId, quant: Quant) -> Result<bool, RuntimeError> {
        let node = self.node(id);
        let Some((bytes, _)) = self.states[node.inputs[0].index()].u8 else { return Ok(false) };
        self.set_u8(node.output(), bytes, quant)?;
        Ok(true)
    }

    /// The `[Relu | Clip | other activation]? -> Q` that alone reads a value. Nothing is marked yet.
    pub(super) fn requantization(&self, value: ValueId) -> Option<Requantization> {
        let mut activation = Activation::Identity;
        let mut nodes = [None; 2];
        let mut end = value;
        while let Some(id) = self.only_reader(end) {
            let node = self.node(id);
            match self.fast[id] {
                Some(Fast::Quantize(quant)) => {
                    nodes[1] = Some(id);
                    // A clamp commutes with the rounding to levels.
                    let (levels, activation) = match activation {
                        Activation::Relu => ([quant.quantize(0.0), 255], Activation::Identity),
                        Activation::Clip { min, max } => {
                            ([quant.quantize(min), quant.quantize(max)], Activation::Identity)
                        }
                        other => ([0, 255], other),
                    };
                    return Some(Requantization { quant, levels, activation, end: node.output(), nodes });
                }
                Some(Fast::Activation(f)) if activation == Activation::Identity => {
                    activation = f;
                    nodes[0] = Some(id);
                    end = node.output();
                }
                _ => break,
            }
        }
        None
    }

    /// Marks the nodes of a requantisation as lowered.
    pub(super) fn take(&mut self, requantization: &Requantization) {
        for id in requantization.nodes.into_iter().flatten() {
            self.done[id] = true;
        }
    }

    fn lower_int_pair(&mut self, id: NodeId, fast: Fast) -> Result<bool, RuntimeError> {
        let node = self.node(id);
        let map = if let Fast::Gate { map } = fast { map } else { 0 };
        let (Some((a, a_quant)), Some((b, b_quant))) =
            (self.bytes(node.inputs[map]), self.bytes(node.inputs[1 - map]))
        else {
            return Ok(false);
        };
        let same = self.tensors[a] == self.tensors[b];
        let Some(next) = self.requantization(node.output()) else { return Ok(false) };
        let quants = Pair { a: a_quant, b: b_quant, y: next.quant };
        let plain = next.levels == [0, 255];
        let work = match fast {
            _ if next.activation != Activation::Identity => return Ok(false),
            Fast::Add if same => Work::IntAdd { quants, levels: next.levels },
            Fast::Multiply if same && plain => Work::IntMultiply(quants),
            Fast::Gate { .. } if plain => Work::IntGate(quants),
            _ => return Ok(false),
        };
        self.take(&next);
        let y = self.step(&node.name, work, vec![a, b], self.tensors[a]);
        self.set_u8(next.end, y, next.quant)?;
        Ok(true)
    }

    fn lower_int_concat(&mut self, id: NodeId) -> Result<bool, RuntimeError> {
        let node = self.node(id);
        let parts: Vec<_> = node.inputs.iter().map_while(|x| self.bytes(x).map(|part| (x, part))).collect();
        let unflattened = parts.iter().any(|&(x, (tensor, _))| self.is_unflattened(x, tensor));
        if parts.len() < node.inputs.len() || unflattened {
            return Ok(false);
        }
        let common = parts.iter().all(|(_, (_, quant))| *quant == parts[0].1.1).then_some(parts[0].1.1);
        let (end, quant) = match (self.requantization(node.output()), common) {
            (Some(next), _) if next.levels == [0, 255] && next.activation == Activation::Identity => {
                self.take(&next);
                (next.end, next.quant)
            }
            (_, Some(common)) => (node.output(), common),
            _ => return Ok(false),
        };
        let tables = parts
            .iter()
            .map(|&(_, (_, old))| (old != quant).then(|| Box::new(lookup_table(old, quant, |x| x))))
            .collect();
        let inputs: Vec<TensorId> = parts.iter().map(|&(_, (tensor, _))| tensor).collect();
        let channels = inputs.iter().map(|&x| self.tensors[x].channels).sum();
        let out = Tensor::u8(channels, self.tensors[inputs[0]].size);
        let y = self.step(&node.name, Work::IntConcat(tables), inputs, out);
        self.set_u8(end, y, quant)?;
        Ok(true)
    }

    fn lower_int_mean(&mut self, id: NodeId, fast: Fast) -> Result<bool, RuntimeError> {
        let node = self.node(id);
        let Some((x, x_quant)) = self.bytes(node.inputs[0]) else { return Ok(false) };
        let Some(next) = self.requantization(node.output()) else { return Ok(false) };
        if next.levels != [0, 255] || next.activation != Activation::Identity {
            return Ok(false);
        }
        let quants = (x_quant, next.quant);
        let (work, size) = match fast {
            Fast::AveragePool { plane, count_include_pad } => {
                let geometry = pooling(&plane, self.options.batch, &self.tensors[x]);
                geometry.check().map_err(self.kernel_error(id))?;
                let work = Work::IntAveragePool { plane, count_include_pad, x: quants.0, y: quants.1 };
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

    /// A function of bytes is a table.
    fn lower_table(
        &mut self,
        id: NodeId,
        function: impl Fn(f32) -> Result<f32, RuntimeError>,
    ) -> Result<bool, RuntimeError> {
        let node = self.node(id);
        let Some((x, x_quant)) = self.bytes(node.inputs[0]) else { return Ok(false) };
        let Some(next) = self.requantization(node.output()) else { return Ok(false) };
        self.take(&next);
        let [low, high] = next.levels;
        let second = next.activation;
        let failed = Cell::new(None);
        let mut table = lookup_table(x_quant, next.quant, |x| match function(x) {
            Ok(y) => second.apply(y),
            Err(error) => {
                failed.set(Some(error));
                0.0
            }
        });
        if let Some(error) = failed.into_inner() {
            return Err(error);
        }
        for y in &mut table {
            *y = (*y).clamp(low, high.max(low));
        }
        let y = self.step(&node.name, Work::Lookup(Box::new(table)), vec![x], self.tensors[x]);
        self.set_u8(next.end, y, next.quant)?;
        Ok(true)
    }
}
