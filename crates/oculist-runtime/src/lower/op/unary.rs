//! Functions of one element.

use oculist_graph::{Node, Unary};
use oculist_kernels::Activation;

use super::Fast;
use crate::lower::Lowering;

/// The kernels' name of a function, if they have it.
fn activation_of(unary: Unary) -> Option<Activation> {
    match unary {
        Unary::Relu => Some(Activation::Relu),
        Unary::Clip { min, max } => Some(Activation::Clip { min, max }),
        Unary::HardSwish => Some(Activation::HardSwish),
        Unary::HardSigmoid { alpha, beta } => Some(Activation::HardSigmoid { alpha, beta }),
        Unary::Sigmoid => Some(Activation::Sigmoid),
        _ => None,
    }
}

impl Lowering<'_> {
    pub(super) fn fast_unary(&self, node: &Node, unary: Unary) -> Option<Fast> {
        self.float_map(node.inputs[0])?;
        activation_of(unary).map(Fast::Activation)
    }
}
