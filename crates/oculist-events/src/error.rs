//! The error of this crate.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why an event is not in a file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EventError {
    /// The folder cannot be made, listed or written into.
    #[error("cannot keep event files in `{}`: {cause}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What went wrong.
        cause: io::Error,
    },
    /// The folder holds events already, which a reader would take for those of the new run.
    #[error("`{}` holds the events of an earlier run (`{file}`); take another folder or remove them", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// One of its event files.
        file: String,
    },
    /// A record cannot be appended.
    #[error("cannot write `{}`: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        cause: io::Error,
    },
    /// What was to be written is no event.
    #[error("cannot write `{tag}` into `{}`: {problem}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Name of the series.
        tag: String,
        /// What was expected and what was found.
        problem: String,
    },
}
