//! The error of the library.

use std::path::PathBuf;

use thiserror::Error;

/// What can stop a recipe.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OculistError {
    /// The output folder cannot be used.
    #[error("output {path}: {problem}")]
    Output {
        /// The folder or file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// The output folder holds another run.
    #[error(
        "output {path} holds another run; choose another folder with --output, continue it with --resume, or replace \
         it with --force"
    )]
    RunExists {
        /// The folder.
        path: PathBuf,
    },
    /// An option is wrong.
    #[error("{option}: {problem}")]
    Option {
        /// As the user types it.
        option: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A model file does not fit its use.
    #[error("model {path}: {problem}")]
    Model {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// A file could not be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// An image cannot be read.
    #[error("image {path}: {problem}")]
    Image {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The data set is unusable.
    #[error(transparent)]
    Data(#[from] oculist_data::Error),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] oculist_train::TrainError),
    /// A graph is invalid.
    #[error(transparent)]
    Graph(#[from] oculist_graph::GraphError),
    /// A kernel refused its arguments.
    #[error(transparent)]
    Kernel(#[from] oculist_kernels::KernelError),
    /// A pass cannot be applied.
    #[error(transparent)]
    Pass(#[from] oculist_passes::PassError),
    /// A graph cannot be run.
    #[error(transparent)]
    Runtime(#[from] oculist_runtime::RuntimeError),
    /// An ONNX file cannot be read or written.
    #[error(transparent)]
    Onnx(#[from] oculist_onnx::OnnxError),
    /// An architecture cannot be built.
    #[error(transparent)]
    Zoo(#[from] oculist_zoo::ZooError),
    /// The report cannot be made.
    #[error(transparent)]
    Report(#[from] oculist_report::ReportError),
    /// Preprocessing or augmentation refused an image or its settings.
    #[error(transparent)]
    Augment(#[from] oculist_augment::Error),
}
