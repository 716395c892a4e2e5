//! Training of graphs: executor, losses, optimisers, schedules, checkpoints, distillation.
//!
//! [`Trainer`] is the loop. It talks to an [`Engine`], of which [`Cpu`] is the one there is: its [`Executor`] plans a graph
//! for a batch size and runs it forward and backward on the CPU kernels; [`Optimizer`] and [`Ema`] update the weights.
//! [`Schedule`] gives the learning rate; an [`Objective`] says what a task makes of targets (loss, gradient, scores);
//! [`Criterion`] and [`BinaryCriterion`] are the losses of one label and of several labels an image. A [`Tuning`] says of
//! each parameter how it is trained, which is what fine-tuning is made of.

mod checkpoint;
mod config;
mod cpu;
mod engine;
mod error;
mod loss;
mod mixing;
mod objective;
mod optimizer;
mod schedule;
mod sensitivity;
mod trainer;
mod tuning;

pub use checkpoint::RunState;
pub use config::{Keep, TrainConfig, VIEWS};
pub use cpu::{Cpu, Ema, Executor, Mode, Optimizer, Param, ParamSet, global_norm, has_fast_step};
pub use engine::{
    Answers, Deployed, Engine, Learner, LossOf, Setup, Shapes, State, StateForm, Tensors, Update,
};
pub use error::TrainError;
pub use loss::{
    BinaryCriterion, Criterion, Distillation, Loss, balanced_weights, class_priors, loss_and_gradient,
    positive_weights,
};
pub use objective::{Objective, deciding_metric, objective, plain_objective};
pub use optimizer::OptimizerConfig;
pub use schedule::Schedule;
pub use sensitivity::for_each_gradient;
pub use trainer::{BatchIterator, EpochRecord, Event, Outcome, Trainer, TrainingData};
pub use tuning::{Layer, NormTraining, Parameter, ParameterKind, Rule, Tuning, layers};
