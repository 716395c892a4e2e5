//! Training on the CPU. What is packed and padded for the kernels stays in here.

mod ema;
mod executor;
mod learner;
mod optimizer;
mod params;
mod rules;

use std::sync::Arc;

use oculist_graph::Graph;
use oculist_kernels::Context;

use crate::engine::{Engine, Learner, Setup};
use crate::error::TrainError;
pub use ema::Ema;
pub(crate) use executor::trained_parameters;
pub use executor::{Executor, Mode, has_fast_step};
use learner::CpuLearner;
pub use optimizer::{Optimizer, global_norm};
pub use params::{Param, ParamSet};

/// The engine that trains with the CPU kernels.
#[derive(Debug, Clone)]
pub struct Cpu {
    ctx: Arc<Context>,
}

impl Cpu {
    /// An engine with these threads, this instruction set and this bound of memory.
    pub fn new(ctx: Arc<Context>) -> Self {
        Self { ctx }
    }
}

impl Engine for Cpu {
    fn identity(&self) -> String {
        format!("{} {:?}", self.ctx.threads(), self.ctx.isa())
    }

    fn check(&self, graph: &Graph, rows: usize) -> Result<usize, TrainError> {
        Executor::check(&self.ctx, graph, rows, Mode::Train)
    }

    fn load(&self, graph: &Graph, setup: &Setup<'_>) -> Result<Box<dyn Learner>, TrainError> {
        Ok(Box::new(CpuLearner::new(&self.ctx, graph, setup)?))
    }
}
