//! The error of the library.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::message::{Message, setting};

/// What can stop a recipe.
///
/// Displayed, it has settings by their names; [`OculistError::message`] tells it to users who know them otherwise.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OculistError {
    /// The output folder cannot be used.
    #[error("output {path}: {problem}")]
    Output {
        /// The folder or file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: Message,
    },
    /// The output folder holds another run.
    #[error("{}", run_exists(.path))]
    RunExists {
        /// The folder.
        path: PathBuf,
    },
    /// A setting is wrong, or what an option of a recipe says.
    #[error("{name}: {problem}")]
    Setting {
        /// Its name, with the file that it names where that is wrong; or that file alone.
        name: Message,
        /// What was expected and what was found.
        problem: Message,
    },
    /// A stage of a recipe cannot do what it is asked for.
    #[error("stage `{stage}`: {problem}")]
    Stage {
        /// Its kind, such as `prune`.
        stage: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A recipe's file is wrong.
    #[error("recipe {name}: {problem}")]
    Recipe {
        /// The file, or the name of the recipe.
        name: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A stage cannot go as far as was asked.
    #[error("{problem}")]
    OutOfReach {
        /// How far it was asked to go and how far it can.
        problem: String,
    },
    /// A model file does not fit its use.
    #[error("model {path}: {problem}")]
    Model {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: Message,
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
    /// The caller asked to stop.
    #[error("{}", stopped(*.resumable))]
    Stopped {
        /// Whether the run can be continued.
        resumable: bool,
    },
    /// The loss is no number any more.
    #[error("{}", diverged(*.epoch, *.step, *.loss, *.lr, .kept))]
    Diverged {
        /// Epoch, from 1.
        epoch: usize,
        /// Step within the epoch, from 1.
        step: usize,
        /// The loss.
        loss: f32,
        /// The peak learning rate.
        lr: f32,
        /// Where the checkpoint is, in brackets, or that there is none.
        kept: String,
    },
    /// A network's answer is no number.
    #[error(
        "it gives {value} for the image {image}; expected finite numbers: its weights or the mean and std in its metadata \
         are wrong or too large"
    )]
    NotFinite {
        /// The image, as its data set names it.
        image: String,
        /// What the network gave.
        value: f32,
    },
    /// The data set is unusable.
    #[error(transparent)]
    Data(#[from] oculist_data::Error),
    /// Training failed.
    #[error(transparent)]
    Train(oculist_train::TrainError),
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
    /// A file of weights cannot be read, or does not fit the network.
    #[error(transparent)]
    Weights(#[from] oculist_weights::WeightsError),
    /// An architecture cannot be built.
    #[error(transparent)]
    Zoo(#[from] oculist_zoo::ZooError),
    /// Nothing can be learned on features.
    #[error("features: {0}")]
    Head(oculist_heads::HeadError),
    /// Event files cannot be written.
    #[error(transparent)]
    Events(#[from] oculist_events::EventError),
    /// The report cannot be made.
    #[error(transparent)]
    Report(#[from] oculist_report::ReportError),
    /// Preprocessing or augmentation refused an image or its settings.
    #[error(transparent)]
    Augment(#[from] oculist_augment::Error),
}

/// The error of a setting that is wrong.
pub(crate) fn wrong(name: &str, problem: impl Into<Message>) -> OculistError {
    OculistError::Setting { name: setting(name).into(), problem: problem.into() }
}

fn run_exists(path: &Path) -> Message {
    let [output, resume, force] = ["output", "resume", "force"].map(setting);
    format!(
        "output {} holds another run; choose another folder with {output}, continue it with {resume}, or replace it with \
         {force}",
        path.display()
    )
    .into()
}

fn stopped(resumable: bool) -> Message {
    let hint = if resumable { format!("; continue with {}", setting("resume")) } else { String::new() };
    format!("stopped on request{hint}").into()
}

fn diverged(epoch: usize, step: usize, loss: f32, lr: f32, kept: &str) -> Message {
    let rate = setting("lr");
    format!(
        "the loss became {loss} in epoch {epoch}, step {step}: training stopped and the last good checkpoint was \
         kept{kept}; lower the learning rate ({rate}, now {lr:?})"
    )
    .into()
}

/// Settings of a training that are settings of a run by the same name.
const TRAINING: [&str; 4] = ["epochs", "batch_size", "lr", "patience"];

impl From<oculist_train::TrainError> for OculistError {
    fn from(error: oculist_train::TrainError) -> Self {
        match error {
            // Said again with the settings that there are.
            oculist_train::TrainError::NonFiniteLoss { epoch, step, loss, lr, kept } => {
                Self::Diverged { epoch, step, loss, lr, kept }
            }
            oculist_train::TrainError::Setting { name, expected, found } if TRAINING.contains(&name) => {
                wrong(name, format!("expected {expected}, found {found}"))
            }
            other => Self::Train(other),
        }
    }
}

impl OculistError {
    /// What happened, as a text that can be shown with settings as its reader knows them.
    pub fn message(&self) -> Message {
        match self {
            Self::Output { path, problem } => {
                format!("output {}: {}", path.display(), problem.marked()).into()
            }
            Self::Model { path, problem } => format!("model {}: {}", path.display(), problem.marked()).into(),
            Self::Setting { name, problem } => format!("{}: {}", name.marked(), problem.marked()).into(),
            Self::RunExists { path } => run_exists(path),
            Self::Stopped { resumable } => stopped(*resumable),
            Self::Diverged { epoch, step, loss, lr, kept } => diverged(*epoch, *step, *loss, *lr, kept),
            other => other.to_string().into(),
        }
    }

    /// Names the file of the model that an error came from, unless the error is about something else.
    pub(crate) fn of_model(self, path: &Path) -> Self {
        use oculist_train::TrainError;
        match self {
            Self::Runtime(_)
            | Self::Graph(_)
            | Self::Kernel(_)
            | Self::Pass(_)
            | Self::NotFinite { .. }
            | Self::Train(
                TrainError::Unsupported { .. }
                | TrainError::NothingToTrain { .. }
                | TrainError::Graph(_)
                | TrainError::Kernel(_),
            ) => Self::Model { path: path.to_path_buf(), problem: self.message() },
            other => other,
        }
    }

    /// Adds to a stop, and to a disk that is full, that the run can be continued.
    pub(crate) fn resumable(self) -> Self {
        let full = |path: PathBuf, source: &std::io::Error| Self::Output {
            path,
            problem: format!("{source}; make room, then continue with {}", setting("resume")).into(),
        };
        match self {
            Self::Stopped { .. } => Self::Stopped { resumable: true },
            Self::Train(oculist_train::TrainError::Io { path, source }) if is_full(&source) => {
                full(path, &source)
            }
            Self::Io { path, source } if is_full(&source) => full(path, &source),
            Self::Onnx(oculist_onnx::OnnxError::Write { path, cause }) if is_full(&cause) => {
                full(path, &cause)
            }
            other => other,
        }
    }
}

/// Whether the system has no room for what was to be written.
fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_learning_rate_is_not_written_out() {
        let error = oculist_train::TrainError::NonFiniteLoss {
            epoch: 1,
            step: 2,
            loss: f32::NAN,
            lr: 1e30,
            kept: " (none yet: no epoch was finished)".into(),
        };
        let text = OculistError::from(error).to_string();
        assert!(text.contains("(lr, now 1e30)") && text.contains("NaN in epoch 1, step 2"), "{text}");
    }

    #[test]
    fn settings_are_named_as_the_recipe_names_them() {
        let setting = |name| {
            let (expected, found) = ("at least 2", "1".to_owned());
            OculistError::from(oculist_train::TrainError::Setting { name, expected, found }).to_string()
        };
        assert_eq!(setting("batch_size"), "batch_size: expected at least 2, found 1");
        assert_eq!(setting("clip_norm"), "clip_norm must be at least 2, found 1", "no setting of a run");
    }

    #[test]
    fn only_a_run_that_can_be_continued_says_so() {
        let stopped = OculistError::Stopped { resumable: false };
        assert_eq!(stopped.to_string(), "stopped on request");
        assert_eq!(stopped.resumable().to_string(), "stopped on request; continue with resume");
        let io = |kind| OculistError::Io { path: "run/last".into(), source: std::io::Error::from(kind) };
        let full = io(std::io::ErrorKind::StorageFull).resumable().to_string();
        assert!(
            full.contains("run/last") && full.ends_with("make room, then continue with resume"),
            "{full}"
        );
        let other = io(std::io::ErrorKind::NotFound).resumable().to_string();
        assert!(!other.contains("resume"), "{other}");
    }
}
