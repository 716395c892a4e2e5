//! The forms of a value: in the kernels' layout, as bytes, row-major.

use oculist_graph::{DataType, ValueId};
use oculist_kernels::LANES;

use super::order::{self, Order};
use super::{Lowering, Place, State};
use crate::error::RuntimeError;
use crate::rows::{Operand, Slot, SlotId};
use crate::step::{Step, Work};
use crate::tensor::{Tensor, TensorId};

impl Lowering<'_> {
    /// Channels and size of a value that the kernels' layout holds: floats or bytes of shape `[batch, C]` or
    /// `[batch, C, H, W]`.
    pub(super) fn map(&self, value: ValueId) -> Option<(usize, [usize; 2])> {
        if self.orders[value.index()] == Order::Last {
            return None;
        }
        let value = self.graph.value(value);
        if !matches!(value.dtype, DataType::F32 | DataType::U8 | DataType::I8) {
            return None;
        }
        let sizes = value.shape.as_ref()?.sizes()?;
        if sizes.contains(&0) {
            return None;
        }
        match sizes[..] {
            [n, c] if n == self.options.batch => Some((c, [1, 1])),
            [n, c, h, w] if n == self.options.batch => Some((c, [h, w])),
            _ => None,
        }
    }

    /// Channels and size of floats of any rank that the kernels' layout holds in the value's order.
    pub(super) fn form(&self, value: ValueId) -> Option<(usize, [usize; 2])> {
        let order = self.orders[value.index()];
        let value = self.graph.value(value);
        if value.dtype != DataType::F32 {
            return None;
        }
        let sizes = value.shape.as_ref()?.sizes()?;
        order::form(order, &sizes, self.options.batch)
    }

    /// The axis of the channels, for a value that has a form.
    pub(super) fn channel_axis(&self, value: ValueId) -> usize {
        match self.orders[value.index()] {
            Order::First => 1,
            Order::Last => self.graph.shape(value).rank().saturating_sub(1),
        }
    }

    /// [`Lowering::map`] of floats.
    pub(super) fn float_map(&self, value: ValueId) -> Option<(usize, [usize; 2])> {
        self.map(value).filter(|_| self.graph.value(value).dtype == DataType::F32)
    }

    /// Whether two values have the same known shape.
    pub(super) fn same_shape(&self, a: ValueId, b: ValueId) -> bool {
        self.graph.shape(a) == self.graph.shape(b) && self.graph.shape(a).sizes().is_some()
    }

    /// A new slot for a value.
    pub(super) fn slot(&mut self, value: ValueId) -> SlotId {
        let shape = self.graph.shape(value).clone();
        self.slots.push(Slot { dtype: self.graph.value(value).dtype, shape });
        self.slots.len() - 1
    }

    /// A value as floats in the kernels' layout; the map that a `Flatten` would flatten stays a map.
    pub(super) fn f32(&mut self, value: ValueId, node: &str) -> Result<TensorId, RuntimeError> {
        let state = self.states[value.index()];
        let floats = if let Some(tensor) = state.f32 {
            return Ok(tensor);
        } else if let Some(dense) = state.dense {
            let Tensor { channels, size, .. } = self.tensors[dense];
            self.step(node, Work::PadPixels, vec![dense], Tensor::f32(channels, size))
        } else if let Some((bytes, quant)) = state.u8 {
            let Tensor { channels, size, .. } = self.tensors[bytes];
            self.step(node, Work::Dequantize(quant), vec![bytes], Tensor::f32(channels, size))
        } else {
            let (channels, size) = self.form(value).ok_or_else(|| self.no_map(value, node))?;
            self.rows_as_map(value, node, Tensor::f32(channels, size))?
        };
        self.states[value.index()].f32 = Some(floats);
        Ok(floats)
    }

    fn no_map(&self, value: ValueId, node: &str) -> RuntimeError {
        RuntimeError::Model {
            graph: self.graph.name().to_owned(),
            problem: format!(
                "node `{node}` reads `{}` {}: expected floats of a known shape, such as [N, C], [N, T, C] or [N, C, H, W]",
                self.graph.value(value).name,
                self.graph.shape(value)
            ),
        }
    }

    /// The input of a convolution, which may be a dense image.
    pub(super) fn conv_input(
        &mut self,
        value: ValueId,
        node: &str,
        grouped: bool,
    ) -> Result<TensorId, RuntimeError> {
        match self.states[value.index()] {
            _ if grouped => self.f32(value, node),
            State { f32: None, dense: Some(dense), .. } => Ok(dense),
            State { f32: None, u8: None, .. } => match self.form(value) {
                // Padding would make many times as much of few channels.
                Some((channels, size)) if channels < LANES => {
                    let dense = self.rows_as_map(value, node, Tensor::dense(channels, size))?;
                    self.states[value.index()].dense = Some(dense);
                    Ok(dense)
                }
                _ => self.f32(value, node),
            },
            _ => self.f32(value, node),
        }
    }

    /// Whether a value of rank 2 is still the map that its `Flatten` got.
    pub(super) fn is_unflattened(&self, value: ValueId, tensor: TensorId) -> bool {
        self.orders[value.index()] == Order::First
            && self.graph.shape(value).rank() == 2
            && self.tensors[tensor].pixels() > 1
    }

    /// A value as floats in the kernels' layout with the axes that the graph gives it.
    pub(super) fn flat_f32(&mut self, value: ValueId, node: &str) -> Result<TensorId, RuntimeError> {
        let tensor = self.f32(value, node)?;
        if !self.is_unflattened(value, tensor) {
            return Ok(tensor);
        }
        let len = self.tensors[tensor].channels * self.tensors[tensor].pixels();
        let flat = self.step(node, Work::Flatten, vec![tensor], Tensor::f32(len, [1, 1]));
        self.states[value.index()].f32 = Some(flat);
        Ok(flat)
    }

    /// A row-major value in the kernels' layout.
    fn rows_as_map(&mut self, value: ValueId, node: &str, out: Tensor) -> Result<TensorId, RuntimeError> {
        let from = self.rows(value, node)?;
        let shape = self.graph.shape(value).sizes().unwrap_or_default();
        let order = self.orders[value.index()];
        Ok(self.step(node, Work::FromRows { from, shape, order }, Vec::new(), out))
    }

    /// A value as a row-major tensor.
    pub(super) fn rows(&mut self, value: ValueId, node: &str) -> Result<Operand, RuntimeError> {
        if let Some(tensor) = self.constant(value)? {
            return Ok(Operand::Constant(tensor.clone()));
        }
        let state = self.states[value.index()];
        if let Some(slot) = state.rows {
            return Ok(Operand::Slot(slot));
        }
        let floats = self.graph.value(value).dtype == DataType::F32;
        let from = match state {
            State { f32: Some(tensor), .. } | State { dense: Some(tensor), .. } if floats => tensor,
            State { u8: Some(_), .. } if floats => self.f32(value, node)?,
            State { u8: Some((bytes, _)), .. } => bytes,
            _ => {
                return Err(RuntimeError::Model {
                    graph: self.graph.name().to_owned(),
                    problem: format!(
                        "node `{node}` reads `{}` before it is computed",
                        self.graph.value(value).name
                    ),
                });
            }
        };
        let to = self.slot(value);
        self.steps.push(Step {
            node: node.to_owned(),
            inputs: vec![from],
            output: None,
            work: Work::ToRows {
                to,
                dtype: self.graph.value(value).dtype,
                shape: self.graph.shape(value).sizes().unwrap_or_default(),
                order: self.orders[value.index()],
            },
        });
        self.states[value.index()].rows = Some(to);
        Ok(Operand::Slot(to))
    }

    /// Lets `output` mean what `input` means.
    pub(super) fn alias(&mut self, input: ValueId, output: ValueId) -> Result<(), RuntimeError> {
        self.states[output.index()] = self.states[input.index()];
        self.show(output)
    }

    /// Hands a value to the observer if it is asked for, as floats.
    pub(super) fn show(&mut self, value: ValueId) -> Result<(), RuntimeError> {
        if !self.observed[value.index()] {
            return Ok(());
        }
        let name = self.graph.value(value).name.clone();
        let at = match self.states[value.index()] {
            State { dense: Some(dense), .. } if self.orders[value.index()] == Order::First => {
                Place::Fast(dense)
            }
            state
                if self.orders[value.index()] == Order::First
                    && (state.fast().is_some() || self.float_map(value).is_some()) =>
            {
                Place::Fast(self.f32(value, &name)?)
            }
            _ => {
                let shape = self.graph.shape(value);
                // Rows of a matrix may be several for each image, as tokens are.
                let several = |n: usize| shape.rank() == 2 && n > 0 && n.is_multiple_of(self.options.batch);
                let images = shape.get(0).is_some_and(|n| n == self.options.batch || several(n))
                    && shape.sizes().is_some();
                if !images || self.graph.value(value).dtype != DataType::F32 {
                    return Err(RuntimeError::Options(format!(
                        "value `{name}` cannot be observed: expected floats of a known shape with the batch first, found {} \
                         {shape}",
                        self.graph.value(value).dtype.name()
                    )));
                }
                Place::Rows(self.rows(value, &name)?)
            }
        };
        self.tap(value, at);
        Ok(())
    }

    /// Where an output of the graph lies.
    pub(super) fn output(&mut self, output: ValueId) -> Result<Place, RuntimeError> {
        let node = self.node_of(output).map_or("output", |n| n.name.as_str()).to_owned();
        let rows = self.is_constant(output)
            || self.states[output.index()].rows.is_some()
            || self.orders[output.index()] == Order::Last;
        if rows || self.graph.value(output).dtype != DataType::F32 {
            return Ok(Place::Rows(self.rows(output, &node)?));
        }
        Ok(Place::Fast(self.flat_f32(output, &node)?))
    }
}
