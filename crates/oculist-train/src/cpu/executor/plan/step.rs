//! The steps of a plan.

use std::sync::Arc;

use oculist_kernels::{Activation, ConvPlan, Pooling};

use super::Slot;
use crate::cpu::executor::rows::RowStep;

/// One step of the plan. Parameters and statistics are indices into their sets.
#[derive(Debug)]
pub(crate) enum Step {
    Conv {
        x: Slot,
        weights: usize,
        bias: Option<usize>,
        plan: Box<ConvPlan>,
        y: Slot,
    },
    /// `y = activation(batch_norm(x) + residual)`.
    Norm {
        x: Slot,
        gamma: usize,
        beta: usize,
        running_mean: usize,
        running_var: usize,
        epsilon: f32,
        momentum: f32,
        /// Which saved batch statistics belong to it.
        saved: usize,
        residual: Option<Slot>,
        activation: Activation,
        y: Slot,
    },
    Activation {
        x: Slot,
        activation: Activation,
        y: Slot,
    },
    Add {
        a: Slot,
        b: Slot,
        y: Slot,
    },
    /// `y[n, h, w, c] = x[n, h, w, c] * gate[n, c]`, or `* gate[n, h, w, c]` if the gate has as many pixels as `x`.
    Gate {
        x: Slot,
        gate: Slot,
        y: Slot,
    },
    /// `y[n, c * pixels + p] = x[n, p, c]`.
    Flatten {
        x: Slot,
        y: Slot,
    },
    Concat {
        /// Inputs with the channel at which each begins.
        inputs: Vec<(Slot, usize)>,
        y: Slot,
    },
    MaxPool {
        x: Slot,
        pool: Pooling,
        /// Which saved table of maxima belongs to it.
        saved: usize,
        y: Slot,
    },
    AveragePool {
        x: Slot,
        pool: Pooling,
        count_include_pad: bool,
        y: Slot,
    },
    GlobalAveragePool {
        x: Slot,
        y: Slot,
    },
    Dropout {
        x: Slot,
        ratio: f32,
        /// Distinguishes the dropout layers of one network.
        key: u64,
        y: Slot,
    },
    /// `y[n, p, c] = x[n, p, picked[c]]`.
    PickChannels {
        x: Slot,
        picked: Box<[u32]>,
        y: Slot,
    },
    PadChannels {
        x: Slot,
        before: usize,
        y: Slot,
    },
    /// Whatever reads or makes row-major tensors.
    Rows(Arc<RowStep>),
}

impl Step {
    /// The slots it reads.
    pub(crate) fn inputs(&self) -> Vec<Slot> {
        match self {
            Self::Norm { x, residual, .. } => std::iter::once(*x).chain(*residual).collect(),
            Self::Add { a, b, .. } => vec![*a, *b],
            Self::Gate { x, gate, .. } => vec![*x, *gate],
            Self::Concat { inputs, .. } => inputs.iter().map(|(slot, _)| *slot).collect(),
            Self::Conv { x, .. }
            | Self::Activation { x, .. }
            | Self::Flatten { x, .. }
            | Self::MaxPool { x, .. }
            | Self::AveragePool { x, .. }
            | Self::GlobalAveragePool { x, .. }
            | Self::Dropout { x, .. }
            | Self::PickChannels { x, .. }
            | Self::PadChannels { x, .. } => vec![*x],
            Self::Rows(step) => step.slot_in().into_iter().collect(),
        }
    }

    /// The parameters it reads.
    pub(crate) fn parameters(&self) -> Vec<usize> {
        match self {
            Self::Conv { weights, bias, .. } => std::iter::once(*weights).chain(*bias).collect(),
            Self::Norm { gamma, beta, .. } => vec![*gamma, *beta],
            Self::Rows(step) => step.parameters(),
            Self::Activation { .. }
            | Self::Add { .. }
            | Self::Gate { .. }
            | Self::Flatten { .. }
            | Self::Concat { .. }
            | Self::MaxPool { .. }
            | Self::AveragePool { .. }
            | Self::GlobalAveragePool { .. }
            | Self::Dropout { .. }
            | Self::PickChannels { .. }
            | Self::PadChannels { .. } => Vec::new(),
        }
    }

    /// The slot it writes.
    pub(crate) fn output(&self) -> Option<Slot> {
        Some(match self {
            Self::Conv { y, .. }
            | Self::Norm { y, .. }
            | Self::Activation { y, .. }
            | Self::Add { y, .. }
            | Self::Gate { y, .. }
            | Self::Flatten { y, .. }
            | Self::Concat { y, .. }
            | Self::MaxPool { y, .. }
            | Self::AveragePool { y, .. }
            | Self::GlobalAveragePool { y, .. }
            | Self::Dropout { y, .. }
            | Self::PickChannels { y, .. }
            | Self::PadChannels { y, .. } => *y,
            Self::Rows(step) => return step.slot_out(),
        })
    }
}
