//! Row-major tensors beside the arena.

use oculist_graph::{DataType, Op, Shape, Tensor};

/// Index into the plan's row-major tensors.
pub(crate) type SlotId = usize;

/// What is known of a row-major tensor before a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slot {
    /// Element type.
    pub(crate) dtype: DataType,
    /// Shape; sizes may be open.
    pub(crate) shape: Shape,
}

impl Slot {
    /// Bytes, if every size is known; 0 otherwise.
    pub(crate) fn bytes(&self) -> usize {
        if self.shape.sizes().is_none() {
            return 0;
        }
        self.shape.elements_per_sample().saturating_mul(self.dtype.size())
    }

    /// Type and shape in words.
    pub(crate) fn label(&self) -> String {
        format!("{} {}", self.dtype.name(), self.shape)
    }
}

/// A row-major tensor that a step reads.
#[derive(Debug, Clone)]
pub(crate) enum Operand {
    /// One that an earlier step makes, or an input.
    Slot(SlotId),
    /// One that is the same in every run.
    Constant(Tensor),
}

impl Operand {
    /// The slot, unless it is a constant.
    pub(crate) fn slot(&self) -> Option<SlotId> {
        if let Self::Slot(slot) = self { Some(*slot) } else { None }
    }

    /// The tensor, given those that exist at the moment.
    pub(crate) fn tensor<'a>(&'a self, slots: &'a [Option<Tensor>]) -> Option<&'a Tensor> {
        match self {
            Self::Slot(slot) => slots[*slot].as_ref(),
            Self::Constant(tensor) => Some(tensor),
        }
    }
}

/// An operator on row-major tensors.
#[derive(Debug)]
pub(crate) struct PlainStep {
    pub(crate) op: Op,
    /// Per listed input; `None` for one that is left out.
    pub(crate) inputs: Vec<Option<Operand>>,
    pub(crate) outputs: Vec<SlotId>,
}

impl PlainStep {
    /// Bytes of the constants that it reads.
    pub(crate) fn constants(&self) -> impl Iterator<Item = &Tensor> {
        self.inputs.iter().flatten().filter_map(|operand| match operand {
            Operand::Constant(tensor) => Some(tensor),
            Operand::Slot(_) => None,
        })
    }
}
