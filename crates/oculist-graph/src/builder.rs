//! A builder with one method per layer, for the zoo and for tests.

use crate::error::GraphError;
use crate::graph::{Graph, ValueId};
use crate::inputs::Inputs;
use crate::op::{BatchNormalization, Binary, Conv, Gemm, MaxPool, Op, Pad, Unary};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// Builds a graph layer by layer; parameters are zero (gamma and running variance one) until they are set.
///
/// Parameters are named as PyTorch's `state_dict` names them: `{layer}.weight`, `{layer}.bias`,
/// `{layer}.running_mean`, `{layer}.running_var`.
#[derive(Debug)]
pub struct GraphBuilder {
    graph: Graph,
    error: Option<GraphError>,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> Self {
        Self { graph: Graph::new(name), error: None }
    }

    /// An image input `[N, c, h, w]`.
    pub fn input(&mut self, name: &str, c: usize, h: usize, w: usize) -> ValueId {
        self.graph.add_input(name, Shape::nchw(c, h, w))
    }

    /// The inferred shape of a value as `(channels, height, width)`; zeros after an error.
    pub fn chw(&self, v: ValueId) -> (usize, usize, usize) {
        self.graph.value(v).shape.as_ref().and_then(Shape::chw).unwrap_or((0, 0, 0))
    }

    /// Any operator; the first error is kept and returned by [`GraphBuilder::finish`].
    pub fn op(&mut self, name: &str, op: impl Into<Op>, inputs: &[ValueId]) -> ValueId {
        self.op_of(name, op, inputs.to_vec())
    }

    /// As [`GraphBuilder::op`], for inputs of which some are left out.
    pub fn op_of(&mut self, name: &str, op: impl Into<Op>, inputs: impl Into<Inputs>) -> ValueId {
        let out = self.graph.add_node(name, op, inputs);
        if self.error.is_none()
            && let Err(e) = self.graph.infer_last()
        {
            self.error = Some(e);
        }
        out
    }

    /// A parameter.
    pub fn param(&mut self, name: &str, tensor: Tensor) -> ValueId {
        self.graph.add_param(name, tensor)
    }

    /// A convolution without bias, or with (`bias`).
    pub fn conv(&mut self, name: &str, x: ValueId, c_out: usize, conv: Conv, bias: bool) -> ValueId {
        let c_in = self.chw(x).0;
        let mut shape = vec![c_out, c_in / conv.groups.max(1)];
        shape.extend(&conv.window.kernel);
        let mut inputs = vec![x, self.param(&format!("{name}.weight"), Tensor::filled(&shape, 0.0))];
        if bias {
            inputs.push(self.param(&format!("{name}.bias"), Tensor::filled(&[c_out], 0.0)));
        }
        self.op(name, conv, &inputs)
    }

    /// Batch normalisation with the given epsilon; `momentum` is ONNX's (0.9 for PyTorch's 0.1).
    pub fn batch_norm(&mut self, name: &str, x: ValueId, epsilon: f32, momentum: f32) -> ValueId {
        let c = self.chw(x).0;
        let gamma = self.param(&format!("{name}.weight"), Tensor::filled(&[c], 1.0));
        let beta = self.param(&format!("{name}.bias"), Tensor::filled(&[c], 0.0));
        let mean = self.param(&format!("{name}.running_mean"), Tensor::filled(&[c], 0.0));
        let var = self.param(&format!("{name}.running_var"), Tensor::filled(&[c], 1.0));
        let op = BatchNormalization { epsilon, momentum, training: false };
        self.op(name, op, &[x, gamma, beta, mean, var])
    }

    /// `max(x, 0)`.
    pub fn relu(&mut self, name: &str, x: ValueId) -> ValueId {
        self.op(name, Unary::Relu, &[x])
    }

    /// Sum of two values.
    pub fn add(&mut self, name: &str, a: ValueId, b: ValueId) -> ValueId {
        self.op(name, Binary::Add, &[a, b])
    }

    /// Maximum over a square window.
    pub fn max_pool(
        &mut self,
        name: &str,
        x: ValueId,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> ValueId {
        self.op(name, MaxPool::square(kernel, stride, padding), &[x])
    }

    /// Zero channels before and behind those of `[N, C, H, W]`.
    pub fn pad_channels(&mut self, name: &str, x: ValueId, before: usize, behind: usize) -> ValueId {
        let pads = [0, before, 0, 0, 0, behind, 0, 0].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let pads = self.param(&format!("{name}.pads"), Tensor::ints(pads.to_vec()));
        self.op(name, Pad::CONSTANT, &[x, pads])
    }

    /// A fully connected layer with bias on `[N, in]`.
    pub fn linear(&mut self, name: &str, x: ValueId, out: usize) -> ValueId {
        let input = self.chw(x).0;
        let w = self.param(&format!("{name}.weight"), Tensor::filled(&[out, input], 0.0));
        let b = self.param(&format!("{name}.bias"), Tensor::filled(&[out], 0.0));
        self.op(name, Gemm::LINEAR, &[x, w, b])
    }

    /// Ends the graph with one output.
    ///
    /// # Errors
    /// The first shape error met while building, or a failed [`Graph::check`].
    pub fn finish(mut self, output: ValueId) -> Result<Graph, GraphError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.graph.set_outputs(vec![output]);
        self.graph.tidy()?;
        self.graph.check()?;
        Ok(self.graph)
    }
}
