//! Models without a file of their own: as the bytes of one.

use oculist::Model as Classifier;

use crate::error::{Failure, Result};

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
    Ok(Classifier::read(&path)?)
}

fn folder() -> Result<tempfile::TempDir> {
    tempfile::tempdir().map_err(|e| failed(&e))
}

fn failed(error: &std::io::Error) -> Failure {
    Failure::Other(format!("a folder for a moment: {error}"))
}
