//! What tests of the kernels share.

use oculist_graph::{Op, Tensor};
use oculist_kernels::Context;

/// The results of an operator applied to tensors, or its error in words.
pub(crate) fn run_all(op: impl Into<Op>, inputs: &[&Tensor], outputs: usize) -> Result<Vec<Tensor>, String> {
    let inputs: Vec<Option<&Tensor>> = inputs.iter().copied().map(Some).collect();
    let ctx = Context::new(2).map_err(|e| e.to_string())?;
    crate::evaluate(&ctx, &op.into(), &inputs, outputs).map_err(|e| e.to_string())
}

/// The first result.
pub(crate) fn run(op: impl Into<Op>, inputs: &[&Tensor]) -> Result<Tensor, String> {
    run_all(op, inputs, 1).map(|mut results| results.remove(0))
}

/// Refuses floats that are not within a thousandth of a percent of those expected.
pub(crate) fn close(found: &Tensor, shape: &[usize], expected: &[f32]) {
    assert_eq!(found.shape(), shape);
    let found = found.to_f32s();
    assert_eq!(found.len(), expected.len());
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * b.abs().max(1.0);
    assert!(found.iter().zip(expected).all(near), "expected {expected:?}, found {found:?}");
}
