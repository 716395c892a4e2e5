//! The error of this crate.

use std::io;
use std::path::PathBuf;

use oculist_graph::DataType;
use oculist_text::name as shown;
use thiserror::Error;

use crate::load::LoadReport;

/// Why weights could not be read, loaded or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file could not be read.
    #[error("cannot read `{}`: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file could not be written.
    #[error("cannot write `{}`: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file was read, but its content cannot be used.
    #[error("`{}`: {problem}", shown(file))]
    File {
        /// Name of the file.
        file: String,
        /// What is wrong with its content.
        problem: Box<WeightsError>,
    },
    /// The bytes are no file of weights that is read, or it is damaged or cut short.
    #[error("{problem}")]
    Format {
        /// What was expected and what was found.
        problem: String,
    },
    /// The file asks for something to be called that no weights need.
    #[error(
        "it asks for `{}` to be called, which weights never need; nothing was called. Do not use this file if you do \
         not know who made it",
        shown(name)
    )]
    Refused {
        /// Full name of what is to be called.
        name: String,
    },
    /// The file holds a model as an object of Python.
    #[error(
        "it holds a whole model, an object of the class `{}`, which cannot be made without running the program of that \
         class; save the weights alone: `torch.save(model.state_dict(), \"weights.pth\")`",
        shown(class)
    )]
    WholeModule {
        /// Full name of the model's class.
        class: String,
    },
    /// The file is a TorchScript archive.
    #[error(
        "it is a TorchScript archive, a program with its weights; save the weights alone: \
         `torch.save(torch.jit.load(\"FILE\", map_location=\"cpu\").state_dict(), \"weights.pth\")`"
    )]
    TorchScript,
    /// A tensor's elements are of a type that is not read.
    #[error(
        "tensor `{}`: the type {} is not supported; supported are {}",
        shown(tensor),
        shown(found),
        element_types()
    )]
    ElementType {
        /// Name of the tensor.
        tensor: String,
        /// Its type as the file names it.
        found: String,
    },
    /// A tensor cannot be used.
    #[error("tensor `{}`: {problem}", shown(tensor))]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// The file holds several sets of weights.
    #[error("it holds several sets of weights: {}; choose one of them with --state-dict", listed(choices))]
    Ambiguous {
        /// What to choose from.
        choices: Vec<String>,
    },
    /// The chosen set of weights is not in the file.
    #[error("expected weights under `{}`, found {}", shown(asked), if choices.is_empty() { "none".to_owned() } else { listed(choices) })]
    NoSuchChoice {
        /// What was chosen.
        asked: String,
        /// What there is.
        choices: Vec<String>,
    },
    /// There is no set of named tensors in the file.
    #[error("expected a dictionary from names to tensors (a state dict), found {found}")]
    NoStateDict {
        /// What there is instead.
        found: String,
    },
    /// The weights do not fit the graph, which is unchanged.
    #[error("`{}` does not fit `{}`: {report}", shown(file), shown(graph))]
    Mismatch {
        /// Name of the file.
        file: String,
        /// Name of the graph.
        graph: String,
        /// All that fits and does not.
        report: Box<LoadReport>,
    },
    /// A weight is not a number.
    #[error("tensor `{}`: expected finite numbers, found {found} at element {position}", shown(tensor))]
    NotFinite {
        /// Name of the tensor in the file.
        tensor: String,
        /// Its first such element, counted row by row from 0.
        position: usize,
        /// That element.
        found: f64,
    },
    /// The classifier was not found among the weights.
    #[error(
        "cannot tell the number of classes of `{}` for {architecture}: expected one of {expected}, found none",
        shown(file)
    )]
    NoClassifier {
        /// Name of the file.
        file: String,
        /// The architecture.
        architecture: String,
        /// Names that its classifier may have.
        expected: String,
    },
    /// The zoo does not know the architecture.
    #[error(transparent)]
    Zoo(#[from] oculist_zoo::ZooError),
}

impl WeightsError {
    pub(crate) fn format(problem: impl Into<String>) -> Self {
        Self::Format { problem: problem.into() }
    }

    pub(crate) fn tensor(tensor: &str, problem: impl Into<String>) -> Self {
        Self::Tensor { tensor: tensor.to_owned(), problem: problem.into() }
    }

    /// The same with the file it is about.
    pub(crate) fn of_file(self, file: &str) -> Self {
        Self::File { file: file.to_owned(), problem: Box::new(self) }
    }
}

/// Names for a message, the first eight of them.
pub(crate) fn listed(names: &[String]) -> String {
    const MOST: usize = 8;
    let text = names.iter().take(MOST).map(|n| format!("`{}`", shown(n))).collect::<Vec<_>>().join(", ");
    if names.len() > MOST { format!("{text} and {} more", names.len() - MOST) } else { text }
}

fn element_types() -> String {
    let kept = |t: &&DataType| !matches!(t, DataType::U4 | DataType::I4);
    DataType::ALL.iter().filter(kept).map(|t| t.name()).collect::<Vec<_>>().join(", ")
}
