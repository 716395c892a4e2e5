//! Shapes and sizes as values.

use oculist_graph::{ShapeOf, SizeOf, Tensor, TensorData};

use crate::call::{Call, Forward, Outcome};

impl Forward for ShapeOf {
    fn forward(&self, call: &Call) -> Outcome {
        let shape = call.input(0)?.shape();
        Ok(vec![Tensor::ints(shape[self.range(shape.len())].iter().map(|&d| d as i64).collect())])
    }
}

impl Forward for SizeOf {
    fn forward(&self, call: &Call) -> Outcome {
        Ok(vec![Tensor::new(Vec::new(), TensorData::I64(vec![call.input(0)?.len() as i64]))?])
    }
}
