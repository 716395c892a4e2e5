//! Functions of one element.

use oculist_graph::{Node, Unary};
use oculist_kernels::Activation;

use super::Fast;
use crate::error::RuntimeError;
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
        self.form(node.inputs[0])?;
        self.form(node.output())?;
        Some(activation_of(unary).map_or(Fast::Function(unary), Fast::Activation))
    }

    /// Bounds that are constants.
    pub(super) fn fast_clip(&self, node: &Node) -> Result<Option<Fast>, RuntimeError> {
        if self.form(node.inputs[0]).is_none() {
            return Ok(None);
        }
        let bound = |i: usize, none: f32| match node.inputs.get(i) {
            Some(bound) => self.number(bound),
            None => Ok(Some(none)),
        };
        let (min, max) = (bound(1, f32::NEG_INFINITY)?, bound(2, f32::INFINITY)?);
        let bounds = min.zip(max).filter(|(min, max)| min <= max);
        Ok(bounds.map(|(min, max)| Fast::Activation(Activation::Clip { min, max })))
    }
}
