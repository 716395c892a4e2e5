//! Tests of reading, loading and writing files of weights, against files that PyTorch and others wrote
//! (`tests/files/make.py`) and against files made to do harm.

mod efficientnet_lite;
mod files;
mod hostile;
mod loading;
mod pickles;
mod sharded;
mod timm;
mod writing;
mod zoo;

use std::path::PathBuf;

/// A file that `make.py` wrote.
fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(name)
}

fn json(name: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(file(name)).unwrap()).unwrap()
}

/// The whole text of an error, with what it is about.
fn error_of<T: std::fmt::Debug>(result: Result<T, oculist_weights::WeightsError>) -> String {
    result.unwrap_err().to_string()
}
