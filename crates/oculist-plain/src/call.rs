//! One operator applied to tensors.

use oculist_graph::op::Operator;
use oculist_graph::{DataType, Op, Tensor};
use oculist_kernels::Context;

use crate::error::PlainError;

/// The result of a kernel; the caller adds the operator's name to a problem.
pub(crate) type Outcome = Result<Vec<Tensor>, Problem>;

/// What went wrong within a kernel.
#[derive(Debug)]
pub(crate) enum Problem {
    /// Expected and found.
    Text(String),
    /// Memory or lengths.
    Error(PlainError),
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Problem {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<E: Into<PlainError>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// The tensors that an operator is applied to.
pub(crate) struct Call<'a> {
    /// Threads and memory.
    pub(crate) ctx: &'a Context,
    /// Per listed input; `None` for one that is left out.
    pub(crate) inputs: &'a [Option<&'a Tensor>],
    /// Number of outputs that are wanted.
    pub(crate) outputs: usize,
}

impl<'a> Call<'a> {
    /// Input `i` if it is given.
    pub(crate) fn get(&self, i: usize) -> Option<&'a Tensor> {
        self.inputs.get(i).copied().flatten()
    }

    /// Input `i`.
    pub(crate) fn input(&self, i: usize) -> Result<&'a Tensor, Problem> {
        self.get(i).ok_or_else(|| Problem::Text(format!("input {i} is missing")))
    }

    /// Input `i` as integers, if it is given.
    pub(crate) fn ints(&self, i: usize) -> Result<Option<Vec<i64>>, Problem> {
        let Some(tensor) = self.get(i) else { return Ok(None) };
        let ints = tensor.to_i64s();
        ints.map(Some)
            .ok_or_else(|| format!("input {i} must be of integers, found {}", tensor.dtype().name()).into())
    }

    /// Checks that a result of this size may be made, and returns its number of elements. To be called before anything
    /// of a size that inputs tell is allocated.
    pub(crate) fn room(&self, dtype: DataType, shape: &[usize]) -> Result<usize, Problem> {
        let len =
            if shape.contains(&0) { 0 } else { shape.iter().fold(1, |n: usize, &d| n.saturating_mul(d)) };
        self.ctx.check_memory("the result of a node", len.saturating_mul(dtype.size()))?;
        Ok(len)
    }
}

/// The plain kernel of an operator.
pub(crate) trait Forward: Operator {
    /// Computes the outputs; inputs have passed the operator's inference with their actual shapes.
    fn forward(&self, call: &Call) -> Outcome;
}

/// Applies an operator to tensors: one entry per listed input, `None` for one that is left out. Inference checks types
/// and shapes first.
///
/// # Errors
/// [`PlainError::Operator`] if the inputs do not fit; [`PlainError::Memory`] if a result is larger than
/// [`Context::max_memory`] allows.
pub fn evaluate(
    ctx: &Context,
    op: &Op,
    inputs: &[Option<&Tensor>],
    outputs: usize,
) -> Result<Vec<Tensor>, PlainError> {
    let problem = |problem: String| PlainError::Operator { op: op.name(), problem };
    crate::run::check(op, inputs, outputs).map_err(problem)?;
    let results = crate::op::kernel(op).forward(&Call { ctx, inputs, outputs }).map_err(|e| match e {
        Problem::Text(text) => problem(text),
        Problem::Error(error) => error,
    })?;
    if results.len() < outputs {
        return Err(problem(format!("{outputs} outputs are asked for, it has {}", results.len())));
    }
    Ok(results)
}
