//! Gradients of operators with respect to their inputs.
//!
//! Whatever the operator, elements only moved by it are followed by position (`movement.rs`); the other families have a
//! file each.

mod attention;
mod binary;
mod broadcast;
mod choose;
mod conv;
mod deform_conv;
mod einsum;
mod fused;
mod gated;
mod grid;
mod linear;
mod linear_attention;
mod loss;
mod movement;
mod norm;
mod order;
mod pattern;
mod pool;
mod reduce;
mod regions;
mod resize;
mod response;
mod rotary;
mod scatter;
mod signal;
mod softmax;
mod unary;
mod unpool;

use oculist_graph::{IntegerMatMul, Op, SoftmaxKind, Tensor};
use oculist_kernels::Context;

use crate::call::{Call, Problem};
use crate::error::PlainError;
use unary::Flat;

/// What is known of an operator's gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gradient {
    /// It is computed.
    Known,
    /// It is zero wherever it exists: nothing flows back through steps, comparisons and indices.
    Zero,
    /// There is no rule for it.
    Unknown,
}

/// A gradient for each listed input, as far as it is wanted and there is one.
pub(crate) type Gradients = Result<Vec<Option<Tensor>>, Problem>;

/// A node that has been computed, and the gradients of its outputs.
pub(crate) struct Reverse<'a> {
    /// Threads and memory.
    pub(crate) ctx: &'a Context,
    inputs: &'a [Option<&'a Tensor>],
    outputs: &'a [Option<&'a Tensor>],
    gradients: &'a [Option<&'a Tensor>],
    wanted: &'a [bool],
}

impl<'a> Reverse<'a> {
    /// Input `i` if it is given.
    pub(crate) fn get(&self, i: usize) -> Option<&'a Tensor> {
        self.inputs.get(i).copied().flatten()
    }

    /// Input `i`.
    pub(crate) fn input(&self, i: usize) -> Result<&'a Tensor, Problem> {
        self.get(i).ok_or_else(|| Problem::Text(format!("input {i} is missing")))
    }

    /// Number of listed inputs.
    pub(crate) fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Output `i`.
    pub(crate) fn output(&self, i: usize) -> Result<&'a Tensor, Problem> {
        let output = self.outputs.get(i).copied().flatten();
        output.ok_or_else(|| Problem::Text(format!("output {i} is missing")))
    }

    /// The gradient of the first output, which must be the only one.
    pub(crate) fn only(&self) -> Result<&'a Tensor, Problem> {
        if let Some(i) = (1..self.gradients.len()).find(|&i| self.gradients[i].is_some()) {
            return Err(format!("output {i} has no gradient rule").into());
        }
        let first = self.gradients.first().copied().flatten();
        first.ok_or_else(|| Problem::Text("the gradient of the output is missing".to_owned()))
    }

    /// The gradient of output `i`, if anything flows back from it.
    pub(crate) fn gradient_of(&self, i: usize) -> Option<&'a Tensor> {
        self.gradients.get(i).copied().flatten()
    }

    /// The call that has been computed.
    pub(crate) fn call(&self) -> Call<'a> {
        Call { ctx: self.ctx, inputs: self.inputs, outputs: self.outputs.len() }
    }

    /// Whether the gradient of input `i` is asked for.
    pub(crate) fn wants(&self, i: usize) -> bool {
        self.wanted.get(i).copied().unwrap_or(false) && self.get(i).is_some_and(|t| t.dtype().is_float())
    }

    /// `f(i)` for each wanted input.
    pub(crate) fn each(&self, mut f: impl FnMut(usize) -> Result<Option<Tensor>, Problem>) -> Gradients {
        (0..self.len()).map(|i| if self.wants(i) { f(i) } else { Ok(None) }).collect()
    }

    /// A gradient for the first input alone.
    pub(crate) fn first(&self, gradient: impl FnOnce() -> Result<Tensor, Problem>) -> Gradients {
        let mut all = vec![None; self.len()];
        if self.wants(0) {
            all[0] = Some(gradient()?);
        }
        Ok(all)
    }
}

/// The gradient rule of an operator.
pub(crate) trait Backward {
    fn backward(&self, reverse: &Reverse) -> Gradients;
}

enum Rule<'a> {
    Known(&'a dyn Backward),
    Zero,
    Unknown,
}

/// The rules of all operators. This is the one place that says which functions have no gradient: those of [`Zero`] are
/// constant wherever they have one, of those of [`Unknown`] nobody has written it down.
///
/// [`Zero`]: Rule::Zero
/// [`Unknown`]: Rule::Unknown
fn rule(op: &Op) -> Rule<'_> {
    use Rule::{Known, Unknown, Zero};
    match op {
        Op::Unary(op) if op.is_flat() => Zero,
        Op::Unary(op) => Known(op),
        Op::Binary(op) if op.is_flat() => Zero,
        Op::Binary(op) => Known(op),
        Op::Variadic(op) => Known(op),
        Op::Clip(op) => Known(op),
        Op::Where(op) => Known(op),
        Op::Softmax(op) if op.kind == SoftmaxKind::Hardmax => Zero,
        Op::Softmax(op) => Known(op),
        Op::Reduce(op) => Known(op),
        Op::Gemm(op) => Known(op),
        Op::MatMul(op) => Known(op),
        Op::FusedMatMul(op) => Known(op),
        Op::Einsum(op) => Known(op),
        Op::Conv(op) => Known(op),
        Op::ConvTranspose(op) => Known(op),
        Op::MaxPool(op) => Known(op),
        Op::AveragePool(op) => Known(op),
        Op::LpPool(op) => Known(op),
        Op::GlobalPool(op) => Known(op),
        // Statistics of the batch that the file asks for are not followed.
        Op::BatchNormalization(op) if op.training => Unknown,
        Op::BatchNormalization(op) => Known(op),
        Op::LayerNormalization(op) => Known(op),
        Op::RmsNormalization(op) => Known(op),
        Op::InstanceNormalization(op) => Known(op),
        Op::GroupNormalization(op) => Known(op),
        Op::Identity(_)
        | Op::Flatten(_)
        | Op::Dropout(_)
        | Op::Reshape(_)
        | Op::Squeeze(_)
        | Op::Unsqueeze(_) => Known(&movement::Reshaped),
        Op::Transpose(op) => Known(op),
        Op::Slice(op) => Known(op),
        Op::Split(op) => Known(op),
        Op::Gather(op) => Known(op),
        Op::GatherElements(op) => Known(op),
        Op::GatherND(op) => Known(op),
        Op::ArrayFeatureExtractor(op) => Known(op),
        Op::ScatterElements(op) => Known(op),
        Op::ScatterND(op) => Known(op),
        Op::TensorScatter(op) => Known(op),
        Op::Expand(op) => Known(op),
        Op::Tile(op) => Known(op),
        Op::Range(op) => Known(op),
        Op::DepthToSpace(op) => Known(op),
        Op::SpaceToDepth(op) => Known(op),
        Op::CenterCropPad(op) => Known(op),
        Op::MaxUnpool(op) => Known(op),
        Op::Resize(op) => Known(op),
        Op::Attention(op) => Known(op),
        Op::SwiGlu(op) => Known(op),
        Op::BiasGelu(op) => Known(op),
        Op::LpNormalization(op) => Known(op),
        Op::Lrn(op) => Known(op),
        Op::MeanVarianceNormalization(op) => Known(op),
        Op::RotaryEmbedding(op) => Known(op),
        Op::TopK(op) => Known(op),
        Op::Concat(op) => Known(op),
        Op::Pad(op) => Known(op),
        Op::Trilu(op) => Known(op),
        Op::ReverseSequence(op) => Known(op),
        Op::Compress(op) => Known(op),
        Op::Cumulative(op) => Known(op),
        Op::Cast(_) | Op::CastLike(_) => Known(&movement::Converted),
        Op::FusedConv(op) => Known(op),
        Op::FusedGemm(op) => Known(op),
        Op::SkipLayerNormalization(op) => Known(op),
        Op::DeformConv(op) => Known(op),
        Op::FlexAttention(op) => Known(op),
        Op::LinearAttention(op) => Known(op),
        Op::CausalConvWithState(op) => Known(op),
        Op::GridSample(op) => Known(op),
        Op::AffineGrid(op) => Known(op),
        Op::Col2Im(op) => Known(op),
        Op::RoiAlign(op) => Known(op),
        Op::OneHot(op) => Known(op),
        Op::Det(op) => Known(op),
        Op::Loss(op) => Known(op),
        Op::Dft(op) => Known(op),
        Op::Stft(op) => Known(op),
        // Positions and numbers of elements: a small step changes none of them.
        Op::NonZero(_)
        | Op::ArgReduce(_)
        | Op::Unique(_)
        | Op::NonMaxSuppression(_)
        | Op::ShapeOf(_)
        | Op::SizeOf(_)
        // Steps: thresholds, rounding to integers, and what is computed with integers.
        | Op::Binarizer(_)
        | Op::QuantizeLinear(_)
        | Op::ConvInteger(_)
        | Op::QLinearConv(_)
        | Op::QLinear(_)
        | Op::IntegerMatMul(IntegerMatMul::Sums | IntegerMatMul::Quantized)
        // Bands of frequencies begin and end at whole bins.
        | Op::MelWeightMatrix(_)
        // Bits read as another type are no function of the number.
        | Op::BitCast(_)
        // Nothing is read but sizes.
        | Op::Constant(_)
        | Op::ConstantOfShape(_)
        | Op::EyeLike(_)
        | Op::SignalWindow(_) => Zero,
        // Scales that follow from the numbers, or that numbers are multiplied by behind integers.
        Op::DequantizeLinear(_)
        | Op::DynamicQuantizeLinear(_)
        | Op::IntegerMatMul(IntegerMatMul::Floats | IntegerMatMul::Dynamic)
        // A step everywhere: what stands before trees is not trained through them.
        | Op::TreeEnsembleClassifier(_) => Unknown,
    }
}

/// What is known of the gradient of an operator.
pub fn differentiable(op: &Op) -> Gradient {
    match rule(op) {
        Rule::Known(_) => Gradient::Known,
        Rule::Zero => Gradient::Zero,
        Rule::Unknown => Gradient::Unknown,
    }
}

/// The gradients of an operator's inputs from those of its outputs, both of one scalar: one entry per listed input, `None`
/// where none is wanted or nothing flows back. Inputs and outputs are those of [`crate::evaluate`].
///
/// # Errors
/// [`PlainError::Operator`] if there is no rule; [`PlainError::Memory`] if a result is larger than
/// [`Context::max_memory`] allows.
pub fn gradient(
    ctx: &Context,
    op: &Op,
    inputs: &[Option<&Tensor>],
    outputs: &[Option<&Tensor>],
    output_gradients: &[Option<&Tensor>],
    wanted: &[bool],
) -> Result<Vec<Option<Tensor>>, PlainError> {
    let problem = |problem: String| PlainError::Operator { op: op.name(), problem };
    let rule = match rule(op) {
        Rule::Known(rule) => rule,
        Rule::Zero => return Ok(vec![None; inputs.len()]),
        Rule::Unknown => return Err(problem("its gradient is not known".to_owned())),
    };
    for (i, (gradient, output)) in output_gradients.iter().zip(outputs).enumerate() {
        if let (Some(gradient), Some(output)) = (gradient, output)
            && gradient.shape() != output.shape()
        {
            return Err(problem(format!(
                "output {i} has the shape {:?}, its gradient {:?}",
                output.shape(),
                gradient.shape()
            )));
        }
    }
    if output_gradients.iter().all(Option::is_none) {
        return Ok(vec![None; inputs.len()]);
    }
    let reverse = Reverse { ctx, inputs, outputs, gradients: output_gradients, wanted };
    let gradients = rule.backward(&reverse).map_err(|e| match e {
        Problem::Text(text) => problem(text),
        Problem::Error(error) => error,
    })?;
    for (i, gradient) in gradients.iter().enumerate() {
        if let (Some(gradient), Some(input)) = (gradient, inputs.get(i).copied().flatten())
            && (gradient.shape() != input.shape() || gradient.dtype() != input.dtype())
        {
            return Err(problem(format!(
                "input {i} has the shape {:?}, its gradient {:?}",
                input.shape(),
                gradient.shape()
            )));
        }
    }
    Ok(gradients)
}

#[cfg(test)]
mod tests;
