//! The tests as the Python side has written them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use oculist_graph::Tensor;
use serde::Deserialize;

/// All tests.
#[derive(Debug, Deserialize)]
pub(crate) struct Index {
    /// Version of the ONNX package that they come from.
    pub(crate) onnx: String,
    /// The tests, in order of their names.
    pub(crate) cases: Vec<Case>,
}

/// One test: a model, what goes in and what must come out.
#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// The operator that it tests, with its domain if that is not ONNX's own.
    pub(crate) op: String,
    pub(crate) model: PathBuf,
    /// Relative tolerance.
    pub(crate) rtol: f64,
    /// Absolute tolerance.
    pub(crate) atol: f64,
    pub(crate) inputs: Vec<Slot>,
    pub(crate) outputs: Vec<Slot>,
}

/// A value of a data set.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Slot {
    /// A tensor in a file.
    File(PathBuf),
    /// Something that is no tensor: its kind.
    Other(String),
}

impl Index {
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("index.json");
        let text = fs::read(&path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| path.display().to_string())
    }
}

impl Slot {
    /// The kind of a value that is no tensor.
    pub(crate) fn other(&self) -> Option<&str> {
        if let Self::Other(kind) = self { Some(kind) } else { None }
    }

    pub(crate) fn tensor(&self, folder: &Path) -> Result<Tensor> {
        match self {
            Self::Other(kind) => anyhow::bail!("a {kind} is no tensor"),
            Self::File(file) => {
                let path = folder.join(file);
                let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
                Ok(oculist_onnx::tensor_from_bytes(&bytes)?)
            }
        }
    }
}
