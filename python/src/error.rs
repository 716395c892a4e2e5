//! Errors of the library as exceptions of the package.

use oculist::OculistError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::message::shown;

/// What went wrong, by the class of its exception; can be made without the interpreter.
#[derive(Debug)]
pub(crate) enum Failure {
    /// `DataError`: images, masks, boxes and data sets.
    Data(String),
    /// `ModelError`: files of models and networks that cannot be run.
    Model(String),
    /// `SettingError`: an argument out of its range.
    Setting(String),
    /// `OutOfMemoryError`: more than there is.
    Memory(String),
    /// `OculistError`: anything else.
    Other(String),
    /// An exception that is there already.
    Python(PyErr),
}

/// What the functions of this module give.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

/// The name of an object's type, for errors.
pub(crate) fn kind_of(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "another object".to_owned(), |name| name.to_string())
}

impl From<oculist_augment::Error> for Failure {
    fn from(error: oculist_augment::Error) -> Self {
        use oculist_augment::Error;
        let text = error.to_string();
        match error {
            Error::NoMemory { .. } | Error::TooLarge { .. } => Self::Memory(text),
            Error::PixelCount { .. } | Error::EmptyImage { .. } | Error::Channels { .. } => Self::Data(text),
            Error::MissingKey { .. } | Error::MetadataValue { .. } => Self::Model(text),
            _ => Self::Setting(text),
        }
    }
}

impl From<OculistError> for Failure {
    fn from(error: OculistError) -> Self {
        let text = shown(&error.message());
        match error {
            OculistError::Setting { .. }
            | OculistError::Stage { .. }
            | OculistError::Recipe { .. }
            | OculistError::OutOfReach { .. }
            | OculistError::Output { .. }
            | OculistError::RunExists { .. } => Self::Setting(text),
            OculistError::Model { .. }
            | OculistError::NotFinite { .. }
            | OculistError::Graph(_)
            | OculistError::Pass(_)
            | OculistError::Runtime(_)
            | OculistError::Onnx(_)
            | OculistError::Weights(_)
            | OculistError::Zoo(_) => Self::Model(text),
            OculistError::Image { .. } | OculistError::Data(_) => Self::Data(text),
            OculistError::Augment(error) => error.into(),
            _ => Self::Other(text),
        }
    }
}

impl From<oculist_runtime::RuntimeError> for Failure {
    fn from(error: oculist_runtime::RuntimeError) -> Self {
        Self::Model(shown(&error.to_string().into()))
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        static CLASSES: [PyOnceLock<Py<PyType>>; 5] = [const { PyOnceLock::new() }; 5];
        let (class, name, text) = match failure {
            Failure::Python(error) => return error,
            Failure::Data(text) => (&CLASSES[0], "DataError", text),
            Failure::Model(text) => (&CLASSES[1], "ModelError", text),
            Failure::Setting(text) => (&CLASSES[2], "SettingError", text),
            Failure::Other(text) => (&CLASSES[3], "OculistError", text),
            Failure::Memory(text) => (&CLASSES[4], "OutOfMemoryError", text),
        };
        Python::attach(|py| match class.import(py, "oculist._errors", name) {
            Ok(class) => PyErr::from_type(class.clone(), (text,)),
            Err(error) => error,
        })
    }
}
