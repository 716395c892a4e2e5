//! Quantisation.

use oculist_graph::{DataType, Node, ValueId};
use oculist_kernels::int8::Quant;

use crate::error::RuntimeError;
use crate::lower::Lowering;

impl Lowering<'_> {
    /// Scale and zero point of a Q or DQ node of an activation, in terms of u8; `quantized` is the value of bytes.
    /// `None` if the integer kernels do not know the form: a scale for each channel, more than eight bits, a scale that is
    /// not positive.
    pub(in crate::lower) fn quant_of(
        &self,
        node: &Node,
        quantized: ValueId,
    ) -> Result<Option<Quant>, RuntimeError> {
        let offset = match self.graph.value(quantized).dtype {
            DataType::U8 => 0.0,
            DataType::I8 => 128.0,
            _ => return Ok(None),
        };
        let floats = self.float_map(node.inputs[0]).is_some() || self.float_map(node.output()).is_some();
        if !floats || self.map(quantized).is_none() {
            return Ok(None);
        }
        let zero_point = match node.inputs.get(2) {
            Some(zero_point) => self.number(zero_point)?,
            None => Some(0.0),
        };
        let scale = node.inputs.get(1).map_or(Ok(None), |scale| self.number(scale))?;
        let (Some(scale), Some(zero_point)) = (scale, zero_point) else { return Ok(None) };
        let positive = scale.is_finite() && scale > 0.0;
        Ok(positive.then_some(Quant { scale, zero_point: (zero_point + offset) as u8 }))
    }
}
