//! Models without a file of their own: as the bytes of one.

use oculist::Model as Classifier;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::{Failure, Result, kind_of};
use crate::message::shown;

const NAME: &str = "model.onnx";

/// The bytes of the file that the model is written as.
///
/// # Errors
/// As writing it.
pub(super) fn bytes(model: &Classifier) -> Result<Vec<u8>> {
    let folder = folder()?;
    let path = folder.path().join(NAME);
    model.write(&path)?;
    std::fs::read(&path).map_err(|e| failed(&e))
}

/// The model of such bytes.
///
/// # Errors
/// As reading a file of them.
pub(super) fn model(bytes: &[u8]) -> Result<Classifier> {
    let folder = folder()?;
    let path = folder.path().join(NAME);
    std::fs::write(&path, bytes).map_err(|e| failed(&e))?;
    Classifier::read(&path).map_err(|e| {
        // Whoever gave bytes knows no file.
        let text = shown(&e.message()).replace(&path.display().to_string(), "data");
        Failure::Model(text)
    })
}

/// The bytes of an object that holds some.
///
/// # Errors
/// Another object, or no bytes in it.
pub(super) fn given(object: &Bound<'_, PyAny>) -> Result<Vec<u8>> {
    let py = object.py();
    let expected = "data: expected the bytes that to_bytes gives, found";
    let view = py.import("builtins")?.getattr("memoryview")?.call1((object,));
    let view = view.map_err(|_| Failure::Setting(format!("{expected} {}", kind_of(object))))?;
    let bytes = view.call_method0("tobytes")?;
    let bytes = bytes.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes().to_vec();
    if bytes.is_empty() {
        return Err(Failure::Model(format!("{expected} none")));
    }
    Ok(bytes)
}

fn folder() -> Result<tempfile::TempDir> {
    tempfile::tempdir().map_err(|e| failed(&e))
}

fn failed(error: &std::io::Error) -> Failure {
    Failure::Other(format!("a folder for a moment: {error}"))
}
