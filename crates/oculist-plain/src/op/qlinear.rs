//! Operators between quantised values: dequantised, computed in floats, quantised.

use oculist_graph::{DataType, DequantizeLinear, QLinear, QuantizeLinear, Tensor};

use super::kernel;
use crate::call::{Call, Forward, Outcome, Problem};
use crate::cast::cast;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;

    #[test]
    fn sums_and_parts_have_the_scale_of_the_result() {
        let (a, b) = (Tensor::u8(&[2], vec![10, 200]), Tensor::u8(&[2], vec![130, 128]));
        let scale = |s| Tensor::f32(&[], vec![s]);
        let zero = |z| Tensor::u8(&[], vec![z]);
        // 10 * 0.5 + 2 * 0.25 and 200 * 0.5, in halves.
        let (half, quarter) = (scale(0.5), scale(0.25));
        let inputs = [&a, &half, &zero(0), &b, &quarter, &zero(128), &half, &zero(3)];
        assert_eq!(run(QLinear::Add, &inputs).unwrap(), Tensor::u8(&[2], vec![14, 203]));
        let inputs = [&quarter, &zero(0), &a, &half, &zero(0), &b, &quarter, &zero(128)];
        assert_eq!(run(QLinear::Concat { axis: 0 }, &inputs).unwrap(), Tensor::u8(&[4], vec![20, 255, 2, 0]));
    }
}
