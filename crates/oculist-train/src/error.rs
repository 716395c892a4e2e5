//! The error of this crate.

use std::path::PathBuf;

use thiserror::Error;

/// What can go wrong while training.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The executor has no rule for an operator at this place.
    #[error("node `{node}` ({op}) cannot be trained: {problem}")]
    Unsupported {
        /// Name of the node.
        node: String,
        /// Operator name.
        op: &'static str,
        /// What was expected and what was found.
        problem: String,
    },
    /// An operator on row-major tensors could not be computed.
    #[error("node `{node}`: {source}")]
    Plain {
        /// Name of the node.
        node: String,
        /// What went wrong.
        source: oculist_plain::PlainError,
    },
    /// The graph has no parameter that training could change.
    #[error(
        "`{graph}` has nothing to train: expected layers with weights (Conv, Gemm, BatchNormalization), found none"
    )]
    NothingToTrain {
        /// Name of the graph.
        graph: String,
    },
    /// The graph is invalid.
    #[error(transparent)]
    Graph(#[from] oculist_graph::GraphError),
    /// A kernel refused its arguments.
    #[error(transparent)]
    Kernel(#[from] oculist_kernels::KernelError),
    /// The network that is learned from cannot be run.
    #[error("the teacher: {0}")]
    Teacher(#[from] oculist_runtime::RuntimeError),
    /// The data could not be read.
    #[error(transparent)]
    Data(#[from] oculist_data::Error),
    /// A setting is out of its range.
    #[error("{name} must be {expected}, found {found}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// The range.
        expected: &'static str,
        /// The value given.
        found: String,
    },
    /// What a tuning says of a parameter cannot be done.
    #[error("tuning of `{name}`: {problem}")]
    Tuning {
        /// Name of the parameter.
        name: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// The loss is no number any more.
    #[error(
        "the loss became {loss} in epoch {epoch}, step {step}: training stopped and the last good checkpoint was \
         kept{kept}; lower the learning rate (now {lr}), or set a lower gradient clipping norm"
    )]
    NonFiniteLoss {
        /// Epoch, from 1.
        epoch: usize,
        /// Step within the epoch, from 1.
        step: usize,
        /// The loss.
        loss: f32,
        /// The learning rate of that step.
        lr: f32,
        /// Where the checkpoint is, as ` in PATH`, or empty.
        kept: String,
    },
    /// The validation images do not tell what decides.
    #[error(
        "{metric} cannot be computed of the validation images ({}): expected images to measure it on, found none that show what \
         it is about; choose another metric, or give other validation images",
        metric.description()
    )]
    NoValue {
        /// What was to be measured.
        metric: oculist_metrics::Metric,
    },
    /// A checkpoint belongs to another run.
    #[error(
        "checkpoint {path}: it belongs to a run with other settings, data, network or threads; resume with the same \
         arguments, or start anew in another folder"
    )]
    OtherRun {
        /// The file.
        path: PathBuf,
    },
    /// A checkpoint is damaged, or holds what no run can have.
    #[error("checkpoint {path}: {problem}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// A state does not fit the network, the optimiser or the average.
    #[error("tensor `{name}`: {problem}")]
    State {
        /// Name of the tensor, as it is named in checkpoints.
        name: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// An engine has failed in a way of its own: a device is lost, or it lacks what a network needs.
    #[error("the engine `{engine}` failed: {source}")]
    Engine {
        /// The engine, as it names itself.
        engine: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file could not be written or read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The caller asked to stop; the checkpoint of the last finished epoch stands.
    #[error("stopped on request{kept}; continue with --resume")]
    Stopped {
        /// Where the checkpoint is, as ` after epoch N`, or empty.
        kept: String,
    },
}
