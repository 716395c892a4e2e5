//! Row-major tensors: plain steps, and what comes from and goes to the arena.

use bytemuck::cast_slice;
use oculist_graph::{DataType, Tensor as Rows, TensorData, Unary};
use oculist_kernels::{apply, nchw_to_nhwc, nhwc_to_nchw, pad_channels, try_zeros, unpad_channels};
use oculist_plain::{evaluate, vector_function};

use crate::error::RuntimeError;
use crate::lower::{Order, Place};
use crate::plan::Plan;
use crate::rows::{Operand, PlainStep};
use crate::step::Step;
use crate::tensor::{Tensor, TensorId};

impl Plan {
    fn inputs_error(&self, problem: String) -> RuntimeError {
        RuntimeError::Inputs { graph: self.name.clone(), problem }
    }

    pub(super) fn run_plain(&mut self, node: &str, plain: &PlainStep) -> Result<(), RuntimeError> {
        let inputs: Vec<Option<&Rows>> = plain
            .inputs
            .iter()
            .map(|operand| operand.as_ref().and_then(|operand| operand.tensor(&self.slots)))
            .collect();
        let results = evaluate(&self.context, &plain.op, &inputs, plain.outputs.len())
            .map_err(|source| RuntimeError::Plain { node: node.to_owned(), source })?;
        for (&slot, tensor) in plain.outputs.iter().zip(results) {
            self.slots[slot] = Some(tensor);
        }
        Ok(())
    }

    /// A function of every element by its plain kernel, in the kernels' layout: no order has to change for that.
    pub(super) fn run_function(
        &mut self,
        step: &Step,
        function: Unary,
        input: &[f32],
    ) -> Result<(), RuntimeError> {
        let (Some(&from), Some(output)) = (step.inputs.first(), step.output) else { return Ok(()) };
        let Tensor { channels, stride, .. } = self.tensors[from];
        let len = self.batch * self.tensors[from].image_len();
        if let Some(function) = vector_function(function) {
            let ([x], y) = self.arena.split([from], output, input);
            apply(&self.context, function, &x[..len], &mut y[..len]);
            clear_padding(channels, stride, &mut y[..len]);
            return Ok(());
        }
        let mut elements = try_zeros(len, "the elements of a function").map_err(RuntimeError::Memory)?;
        elements.copy_from_slice(&self.arena.read(from, input)[..len]);
        let elements = Rows::f32(&[len], elements);
        let results = evaluate(&self.context, &function.into(), &[Some(&elements)], 1)
            .map_err(|source| RuntimeError::Plain { node: step.node.clone(), source })?;
        let Some(results) = results.first().and_then(Rows::as_f32) else { return Ok(()) };
        let ([], y) = self.arena.split([], output, input);
        y[..len].copy_from_slice(results);
        clear_padding(channels, stride, &mut y[..len]);
        Ok(())
    }

    /// The elements of `n` images of a tensor of the arena, without padding and in the graph's order.
    fn write_rows(&self, from: TensorId, n: usize, order: Order, input: &[f32], out: &mut [f32]) {
        let shape = &self.tensors[from];
        let x = &self.arena.read(from, input)[..n * shape.image_len()];
        let Tensor { channels, stride, .. } = *shape;
        match shape.pixels() {
            pixels if pixels == 1 || order == Order::Last => {
                if stride == channels {
                    out.copy_from_slice(x);
                } else {
                    unpad_channels(&self.context, n * pixels, channels, x, out);
                }
            }
            pixels => nhwc_to_nchw(&self.context, n, channels, pixels, stride, x, out),
        }
    }

    /// A tensor of the arena for the whole batch, row-major.
    pub(super) fn rows_of(
        &self,
        from: TensorId,
        dtype: DataType,
        shape: &[usize],
        order: Order,
        input: &[f32],
    ) -> Result<Rows, RuntimeError> {
        let tensor = &self.tensors[from];
        let data = if dtype == DataType::F32 {
            let len = self.batch * tensor.channels * tensor.pixels();
            let mut out = try_zeros(len, "a row-major tensor").map_err(RuntimeError::Memory)?;
            self.write_rows(from, self.batch, order, input, &mut out);
            TensorData::F32(out)
        } else {
            let bytes =
                &cast_slice::<f32, u8>(self.arena.read(from, input))[..self.batch * tensor.image_len()];
            let (pixels, stride) = (tensor.pixels(), tensor.stride);
            let images = bytes.chunks_exact((pixels * stride).max(1));
            let ordered = images.flat_map(|image| {
                (0..tensor.channels).flat_map(move |c| (0..pixels).map(move |p| image[p * stride + c]))
            });
            if dtype == DataType::I8 {
                TensorData::I8(ordered.map(|b| (i16::from(b) - 128) as i8).collect())
            } else {
                TensorData::U8(ordered.collect())
            }
        };
        Ok(Rows::new(shape.to_vec(), data)?)
    }

    pub(super) fn read_rows(
        &mut self,
        step: &Step,
        from: &Operand,
        shape: &[usize],
        order: Order,
        input: &[f32],
    ) -> Result<(), RuntimeError> {
        let Some(output) = step.output else { return Ok(()) };
        let rows = from.tensor(&self.slots);
        let Some(data) = rows.filter(|rows| rows.shape() == shape).and_then(Rows::as_f32) else {
            let found = rows.map_or("none".to_owned(), |r| format!("{}{:?}", r.dtype().name(), r.shape()));
            return Err(self.inputs_error(format!(
                "node `{}` reads a value of shape {shape:?}, found {found}",
                step.node
            )));
        };
        let Tensor { channels, stride, .. } = self.tensors[output];
        let pixels = self.tensors[output].pixels();
        let len = self.batch * pixels * stride;
        let ([], y) = self.arena.split([], output, input);
        match order {
            Order::Last if stride == channels => y[..len].copy_from_slice(data),
            Order::Last => pad_channels(&self.context, self.batch * pixels, channels, data, &mut y[..len]),
            Order::First => {
                nchw_to_nhwc(&self.context, self.batch, channels, pixels, stride, data, &mut y[..len]);
            }
        }
        Ok(())
    }

    /// Copies the output of `n` images to the caller, without padding and in the graph's order.
    pub(crate) fn write_output(&self, n: usize, input: &[f32], out: &mut [f32]) -> Result<(), RuntimeError> {
        match &self.outputs[0] {
            Place::Fast(tensor) => self.write_rows(*tensor, n, Order::First, input, out),
            Place::Rows(rows) => {
                let data = rows.tensor(&self.slots).and_then(Rows::as_f32).and_then(|v| v.get(..out.len()));
                let Some(data) = data else {
                    return Err(self.inputs_error("the output has not the expected size".to_owned()));
                };
                out.copy_from_slice(data);
            }
        }
        Ok(())
    }

    /// Output `i` of the whole batch.
    pub(crate) fn output_tensor(&self, i: usize, input: &[f32]) -> Result<Rows, RuntimeError> {
        match &self.outputs[i] {
            Place::Fast(tensor) => {
                let shape = &self.signature.outputs[i];
                self.rows_of(*tensor, DataType::F32, shape, Order::First, input)
            }
            Place::Rows(rows) => {
                let found = rows.tensor(&self.slots).cloned();
                found.ok_or_else(|| self.inputs_error(format!("nothing computes output {i}")))
            }
        }
    }
}

/// A function of zero need not be zero.
fn clear_padding(channels: usize, stride: usize, y: &mut [f32]) {
    if channels < stride {
        y.chunks_exact_mut(stride).for_each(|pixel| pixel[channels..].fill(0.0));
    }
}
