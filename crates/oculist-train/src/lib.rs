//! Training of graphs: executor, losses, optimisers, schedules, checkpoints, distillation.
//!
//! [`Executor`] plans a graph for a batch size and runs it forward and backward on the CPU kernels;
//! [`loss_and_gradient`] gives cross-entropy and distillation, [`Criterion`] the losses for soft labels and unequal
//! classes; [`Optimizer`], [`Schedule`] and [`Ema`] update the weights.

mod checkpoint;
mod config;
mod ema;
mod error;
mod executor;
mod loss;
mod mixing;
mod optimizer;
mod params;
mod schedule;
mod sensitivity;
mod trainer;

pub use checkpoint::RunState;
pub use config::{Keep, TrainConfig, VIEWS};
pub use ema::Ema;
pub use error::TrainError;
pub use executor::{Executor, Mode, has_fast_step};
pub use loss::{Criterion, Distillation, Loss, balanced_weights, class_priors, loss_and_gradient};
pub use optimizer::{Optimizer, OptimizerConfig, global_norm};
pub use params::{Param, ParamSet};
pub use schedule::Schedule;
pub use sensitivity::for_each_gradient;
pub use trainer::{BatchIterator, EpochRecord, Event, Outcome, Trainer, TrainingData};
