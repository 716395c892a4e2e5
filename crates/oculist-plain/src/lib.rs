//! Every operator on row-major tensors of any rank.
//!
//! Complete first, fast elsewhere: what has no kernel in the padded layout runs here, constants are folded here, and
//! ONNX's own tests are run here. Shapes are those that the tensors have when a node runs, so results whose size only
//! the data tell are no special case.
//!
//! [`evaluate`] computes one operator, [`run`] a graph, node by node.

mod along;
mod backward;
mod broadcast;
mod call;
mod cast;
mod element;
mod error;
mod expand;

mod fourier;
mod gemm;
mod heads;
mod moves;
mod op;
mod real;
mod run;
mod special;
#[cfg(test)]
mod testing;
mod window;

pub use backward::{Gradient, differentiable, gradient};
pub use call::evaluate;
pub use cast::cast;
pub use error::PlainError;
pub use op::unary::vector_function;
pub use run::run;
