//! Checkpoints: one safetensors file with weights, optimiser state, moving average and the position in the run.
//!
//! All tensors are in the graph's layout under the graph's names (`model.NAME`, `stats.NAME`, `first.NAME`,
//! `second.NAME`, `ema.NAME`, `ema_stats.NAME`), so that any safetensors reader can use them. The state of the run
//! is JSON in the file's metadata under `oculist.state`. One file, written beside its place and renamed, cannot be
//! half new and half old.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use oculist_graph::Tensor;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::params::ParamSet;
use crate::trainer::EpochRecord;

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// Epochs done.
    pub epoch: usize,
    /// Updates done.
    pub step: u64,
    /// Updates of the moving average done.
    pub ema_updates: u64,
    /// Digest of what must not change between start and resume (settings, graph, data, threads).
    pub fingerprint: String,
    /// Best validation top-1 so far, percent.
    pub best_top1: f64,
    /// Epoch of the best, from 1.
    pub best_epoch: usize,
    /// One record per epoch.
    pub history: Vec<EpochRecord>,
}

/// The flat buffers of a checkpoint.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffers {
    pub(crate) weights: Vec<f32>,
    pub(crate) stats: Vec<f32>,
    pub(crate) first: Vec<f32>,
    pub(crate) second: Vec<f32>,
    pub(crate) ema_weights: Vec<f32>,
    pub(crate) ema_stats: Vec<f32>,
}

impl Buffers {
    fn parts<'a>(
        &'a self,
        weights: &'a ParamSet,
        stats: &'a ParamSet,
    ) -> [(&'static str, &'a ParamSet, &'a [f32]); 6] {
        [
            ("model", weights, &self.weights),
            ("stats", stats, &self.stats),
            ("first", weights, &self.first),
            ("second", weights, &self.second),
            ("ema", weights, &self.ema_weights),
            ("ema_stats", stats, &self.ema_stats),
        ]
    }
}

const STATE_KEY: &str = "oculist.state";

/// Writes a checkpoint beside `path` and renames it into place.
///
/// # Errors
/// [`TrainError::Io`] naming the file.
pub(crate) fn save(
    path: &Path,
    state: &RunState,
    buffers: &Buffers,
    weights: &ParamSet,
    stats: &ParamSet,
) -> Result<(), TrainError> {
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (prefix, set, flat) in buffers.parts(weights, stats) {
        if flat.is_empty() {
            continue;
        }
        for p in set {
            let tensor = p.unpack(&flat[p.range()]);
            let bytes = tensor.as_f32().unwrap_or(&[]).iter().flat_map(|x| x.to_le_bytes()).collect();
            tensors.push((format!("{prefix}.{}", p.name), tensor.shape().to_vec(), bytes));
        }
    }
    let problem = |problem: String| TrainError::Checkpoint { path: path.to_path_buf(), problem };
    let views: Vec<(String, TensorView<'_>)> = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name.clone(), view))
        })
        .collect::<Result<_, _>>()
        .map_err(|e| problem(e.to_string()))?;
    let state = serde_json::to_string(state).map_err(|e| problem(e.to_string()))?;
    let metadata = HashMap::from([(STATE_KEY.to_owned(), state)]);
    let bytes = serialize(views, Some(metadata)).map_err(|e| problem(e.to_string()))?;
    write_atomically(path, &bytes)
}

/// Reads a checkpoint.
///
/// # Errors
/// [`TrainError::Checkpoint`] if the file is damaged or holds other parameters than the graph.
pub(crate) fn load(
    path: &Path,
    weights: &ParamSet,
    stats: &ParamSet,
) -> Result<(RunState, Buffers), TrainError> {
    let bytes =
        oculist_files::read(path).map_err(|source| TrainError::Io { path: path.to_path_buf(), source })?;
    let problem = |problem: String| TrainError::Checkpoint { path: path.to_path_buf(), problem };
    let (_, metadata) =
        SafeTensors::read_metadata(&bytes).map_err(|e| problem(format!("no safetensors file: {e}")))?;
    let tensors =
        SafeTensors::deserialize(&bytes).map_err(|e| problem(format!("no safetensors file: {e}")))?;
    let state = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get(STATE_KEY))
        .ok_or_else(|| problem(format!("expected the key `{STATE_KEY}` in the metadata, found none")))?;
    let state: RunState =
        serde_json::from_str(state).map_err(|e| problem(format!("unreadable state: {e}")))?;
    let read = |prefix: &str, set: &ParamSet, optional: bool| -> Result<Vec<f32>, TrainError> {
        let first = set.iter().next().map(|p| format!("{prefix}.{}", p.name));
        if optional && first.is_some_and(|name| tensors.tensor(&name).is_err()) {
            return Ok(Vec::new());
        }
        let mut flat = vec![0.0; set.len()];
        for p in set {
            let name = format!("{prefix}.{}", p.name);
            let view = tensors.tensor(&name).map_err(|_| problem(format!("tensor `{name}` is missing")))?;
            if view.shape() != p.shape || view.dtype() != Dtype::F32 {
                return Err(problem(format!(
                    "tensor `{name}`: expected F32 {:?}, found {:?} {:?}",
                    p.shape,
                    view.dtype(),
                    view.shape()
                )));
            }
            let data: Vec<f32> =
                view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            p.pack(Tensor::f32(&p.shape, data).as_f32().unwrap_or(&[]), &mut flat[p.range()]);
        }
        Ok(flat)
    };
    let buffers = Buffers {
        weights: read("model", weights, false)?,
        stats: read("stats", stats, false)?,
        first: read("first", weights, true)?,
        second: read("second", weights, true)?,
        ema_weights: read("ema", weights, true)?,
        ema_stats: read("ema_stats", stats, true)?,
    };
    Ok((state, buffers))
}

/// Writes to a temporary file in the same folder, syncs and renames, so that `path` is either the old or the new.
///
/// # Errors
/// [`TrainError::Io`] naming the file.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let io = |source| TrainError::Io { path: path.to_path_buf(), source };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut builder = tempfile::Builder::new();
    // As any other new file: the user's umask decides who may read, not the privacy of temporary files.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|e| io(e.error))?;
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_written_file_is_as_readable_as_any_other() {
        let dir = tempfile::tempdir().unwrap();
        let (plain, ours) = (dir.path().join("plain"), dir.path().join("ours"));
        std::fs::write(&plain, "x").unwrap();
        write_atomically(&ours, b"x").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }
}
