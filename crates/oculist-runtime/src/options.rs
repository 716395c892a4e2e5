//! What the caller decides about a plan.

use std::sync::Arc;

use oculist_graph::ValueId;
use oculist_kernels::Context;

/// Order of the elements of the images given to a run; both are dense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InputLayout {
    /// `[batch, height, width, channels]`, as decoded images lie.
    #[default]
    Nhwc,
    /// `[batch, channels, height, width]`, as the graph means it.
    Nchw,
}

/// Options of [`Plan::new`](crate::Plan::new).
#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// Largest number of images of one run.
    pub batch: usize,
    /// Threads and instruction set; plans may share one context.
    pub context: Arc<Context>,
    /// Order of the input's elements.
    pub input_layout: InputLayout,
    /// Values of the planned graph that [`Plan::run_observed`](crate::Plan::run_observed) hands out. Nothing is
    /// fused across them.
    pub observe: Vec<ValueId>,
}

impl PlanOptions {
    /// Plans for up to `batch` images on `context`: NHWC input, nothing observed.
    pub fn new(batch: usize, context: Arc<Context>) -> Self {
        Self { batch, context, input_layout: InputLayout::Nhwc, observe: Vec::new() }
    }

    /// The same with another order of the input.
    pub fn with_input_layout(mut self, input_layout: InputLayout) -> Self {
        self.input_layout = input_layout;
        self
    }

    /// The same with values to observe.
    pub fn with_observed(mut self, observe: Vec<ValueId>) -> Self {
        self.observe = observe;
        self
    }
}
