//! Reductions.

use oculist_graph::{Node, Reduce};

use super::Fast;
use crate::error::RuntimeError;
use crate::lower::Lowering;

impl Lowering<'_> {
    /// The mean over height and width, whether they stay as axes or not.
    pub(super) fn fast_reduce(&self, node: &Node, reduce: Reduce) -> Result<Option<Fast>, RuntimeError> {
        let x = node.inputs[0];
        if self.map(x).is_none() || self.graph.shape(x).rank() != 4 {
            return Ok(None);
        }
        let Some(axes) = node.inputs.get(1) else { return Ok(None) };
        let axes = self.constant(axes)?.and_then(oculist_graph::Tensor::to_i64s);
        let mask = axes.and_then(|axes| reduce.mask(&axes, 4).ok());
        let fast = mask.as_deref() == Some(&[false, false, true, true]) && self.map(node.output()).is_some();
        Ok(fast.then_some(Fast::GlobalAveragePool))
    }
}
