//! Operators between quantised values: dequantised, computed in floats, quantised.

use oculist_graph::{DataType, DequantizeLinear, QLinear, QuantizeLinear, Tensor};

use super::kernel;
use crate::call::{Call, Forward, Outcome, Problem};
use crate::float::cast;

/// An operator's first result.
fn apply(call: &Call, op: &dyn Forward, inputs: &[Option<&Tensor>]) -> Result<Tensor, Problem> {
    let results = op.forward(&Call { ctx: call.ctx, inputs, outputs: 1 })?;
    results.into_iter().next().ok_or_else(|| Problem::from("the operator has no result"))
}

impl Forward for QLinear {
    fn forward(&self, call: &Call) -> Outcome {
        let mut values = Vec::new();
        let mut dtype = DataType::U8;
        for i in self.values(call.inputs.len()) {
            let (x, scale) = (call.input(i)?, cast(call.input(i + 1)?, DataType::F32));
            dtype = x.dtype();
            let float = apply(call, &DequantizeLinear::along(1), &[Some(x), Some(&scale), call.get(i + 2)])?;
            values.push(match self.channels_last(x.shape().len()) {
                Some((before, _)) => apply(call, &before, &[Some(&float)])?,
                None => float,
            });
        }
        let inputs: Vec<Option<&Tensor>> = values.iter().map(Some).collect();
        let mut y = apply(call, kernel(&self.float()), &inputs)?;
        if let Some((_, behind)) = self.channels_last(y.shape().len()) {
            y = apply(call, &behind, &[Some(&y)])?;
        }
        let scale = cast(call.input(self.scale())?, DataType::F32);
        let quantize = QuantizeLinear { axis: 1, block: 0, dtype };
        Ok(vec![apply(call, &quantize, &[Some(&y), Some(&scale), call.get(self.scale() + 1)])?])
    }
}
