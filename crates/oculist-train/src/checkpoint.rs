//! Checkpoints: one safetensors file with weights, optimiser state, moving average and the position in the run.
//!
//! All tensors are in the graph's layout under the graph's names (`model.NAME`, `stats.NAME`, `first.NAME`,
//! `second.NAME`, `ema.NAME`, `ema_stats.NAME`), so that any safetensors reader can use them. The state of the run
//! is JSON in the file's metadata under `oculist.state`. One file, written beside its place and renamed, cannot be
//! half new and half old. The state has a checksum over the whole file (with zeros in its own place), so that no flipped
//! bit is taken for a weight.
//!
//! The file of the weights that are kept holds them as `model` and `stats`, and beside them all that training needs to
//! go on from there: the optimiser's state, the weights that are trained as `trained` and `trained_stats`, and their
//! moving average, the latter two where they are not the kept ones themselves.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

use oculist_files::Digest;
use oculist_graph::Tensor;
use oculist_metrics::Metric;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};

use crate::engine::{Deployed, Shapes, State, StateForm, Tensors, same_bits};
use crate::error::TrainError;
use crate::trainer::{EpochRecord, number_or_none};

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// Epochs done.
    pub epoch: usize,
    /// Updates done.
    pub step: u64,
    /// Updates of the moving average done.
    pub ema_updates: u64,
    /// Updates that a parameter had no part in, since it was frozen in their epochs, where there are any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub missed: BTreeMap<String, u64>,
    /// Digest of what must not change between start and resume (settings, graph, data, threads).
    pub fingerprint: String,
    /// Best value of the metric on the validation images so far.
    #[serde(alias = "best_top1", deserialize_with = "number_or_none")]
    pub best: f64,
    /// Epoch of the best, from 1.
    pub best_epoch: usize,
    /// One record per epoch.
    pub history: Vec<EpochRecord>,
}

/// What a checkpoint holds beside where the run stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Loaded {
    /// What training goes on from; in the file of the kept weights, those instead of the trained ones.
    pub(crate) state: State,
    /// The weights that are being trained, where those of the state are the kept ones and others; else empty.
    trained: Tensors,
    /// Their statistics.
    trained_stats: Tensors,
}

impl Loaded {
    /// Undoes [`with_kept`]: what is trained comes back to the first place; returns what is kept.
    pub(crate) fn take_kept(&mut self, averaged: bool) -> Deployed {
        let state = &mut self.state;
        let kept = Deployed { weights: state.weights.clone(), stats: state.stats.clone() };
        for (place, copy) in
            [(&mut state.weights, &mut self.trained), (&mut state.stats, &mut self.trained_stats)]
        {
            if !copy.is_empty() {
                *place = std::mem::take(copy);
            }
        }
        for (copy, kept) in [(&mut state.averaged, &kept.weights), (&mut state.averaged_stats, &kept.stats)] {
            if averaged && copy.is_empty() {
                copy.clone_from(kept);
            }
        }
        kept
    }
}

/// Tensors with the prefix of their names in the file.
pub(crate) type Part<'a> = (&'static str, &'a Tensors);

/// The parts of a state with the weights and statistics that are kept in the first place, and those that are trained
/// beside them. What is there already is not written twice.
pub(crate) fn with_kept<'a>(state: &'a State, kept: &'a Deployed) -> Vec<Part<'a>> {
    let mut parts = vec![("model", &kept.weights), ("stats", &kept.stats)];
    parts.extend([("first", &state.first), ("second", &state.second)]);
    let others = [
        ("ema", &state.averaged, &kept.weights),
        ("ema_stats", &state.averaged_stats, &kept.stats),
        ("trained", &state.weights, &kept.weights),
        ("trained_stats", &state.stats, &kept.stats),
    ];
    let differ = others.into_iter().filter(|(_, tensors, kept)| !same_bits(tensors, kept));
    parts.extend(differ.map(|(prefix, tensors, _)| (prefix, tensors)));
    parts
}

impl RunState {
    /// Checks that the numbers can be those of a run of so many epochs with so many steps each, decided by this metric.
    pub(crate) fn check(&self, epochs: usize, steps: usize, metric: Metric) -> Result<(), String> {
        if self.epoch > epochs {
            return Err(format!("expected at most {epochs} epochs done, found {}", self.epoch));
        }
        if self.history.len() != self.epoch
            || self.history.iter().enumerate().any(|(i, record)| record.epoch != i + 1)
        {
            return Err(format!(
                "expected a record of each of the {} epochs done, found {}",
                self.epoch,
                self.history.len()
            ));
        }
        let most = self.epoch as u64 * steps as u64;
        if self.step > most || self.ema_updates > self.step {
            return Err(format!(
                "expected at most {most} updates, found {} and {} of the average",
                self.step, self.ema_updates
            ));
        }
        if let Some((name, missed)) = self.missed.iter().find(|(_, missed)| **missed > self.step) {
            return Err(format!(
                "expected at most {} updates that `{name}` had no part in, found {missed}",
                self.step
            ));
        }
        let best = self.best_epoch.checked_sub(1).map(|i| self.history.get(i));
        match best {
            None if self.epoch == 0 => Ok(()),
            Some(Some(record))
                if record.val.get(metric).unwrap_or(f64::NAN).to_bits() == self.best.to_bits() =>
            {
                Ok(())
            }
            _ => Err(format!(
                "expected the best epoch among the {} done, found {} with {metric} {}",
                self.epoch,
                self.best_epoch,
                metric.format(self.best)
            )),
        }
    }
}

const STATE_KEY: &str = "oculist.state";
const CHECKSUM_KEY: &str = "checksum";
/// What stands before the checksum: its key in JSON within JSON.
const BEFORE_CHECKSUM: &[u8] = br#"\"checksum\":\""#;
/// The digits of a checksum that is not known yet.
const NO_CHECKSUM: [u8; 64] = [b'0'; 64];

/// Writes a checkpoint beside `path` and renames it into place.
///
/// # Errors
/// [`TrainError::Io`] naming the file.
pub(crate) fn save(path: &Path, state: &RunState, parts: &[Part<'_>]) -> Result<(), TrainError> {
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (prefix, part) in parts {
        for (name, tensor) in *part {
            let bytes = tensor.as_f32().unwrap_or(&[]).iter().flat_map(|x| x.to_le_bytes()).collect();
            tensors.push((format!("{prefix}.{name}"), tensor.shape().to_vec(), bytes));
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
    let mut state = serde_json::to_value(state).map_err(|e| problem(e.to_string()))?;
    state[CHECKSUM_KEY] = String::from_utf8_lossy(&NO_CHECKSUM).into();
    let metadata = HashMap::from([(STATE_KEY.to_owned(), state.to_string())]);
    let mut bytes = serialize(views, Some(metadata)).map_err(|e| problem(e.to_string()))?;
    let place = checksum_place(&bytes).ok_or_else(|| problem("its checksum has no place".into()))?;
    let digest = Digest::of(&bytes).to_string();
    bytes[place].copy_from_slice(digest.as_bytes());
    oculist_files::write(path, &bytes).map_err(|source| TrainError::Io { path: path.to_path_buf(), source })
}

/// Where the digits of the checksum are: in the header, whose length is in the first eight bytes, after the key.
fn checksum_place(bytes: &[u8]) -> Option<Range<usize>> {
    let header = usize::try_from(u64::from_le_bytes(*bytes.first_chunk()?)).ok()?;
    let header = bytes.get(8..header.checked_add(8)?)?;
    let key = header.windows(BEFORE_CHECKSUM.len()).position(|window| window == BEFORE_CHECKSUM)?;
    let begin = 8 + key + BEFORE_CHECKSUM.len();
    let end = begin + NO_CHECKSUM.len();
    (end <= 8 + header.len()).then_some(begin..end)
}

/// Checks that a file is as it was written.
fn check_whole(bytes: &mut [u8]) -> Result<(), String> {
    if bytes.is_empty() {
        return Err("it is empty".into());
    }
    SafeTensors::read_metadata(bytes).map_err(|e| format!("damaged, no safetensors file: {e}"))?;
    let place = checksum_place(bytes).ok_or(
        "expected a checksum, found none: it is damaged, or was written by an older version of Oculist",
    )?;
    let found = bytes[place.clone()].to_vec();
    bytes[place.clone()].copy_from_slice(&NO_CHECKSUM);
    let computed = Digest::of(bytes).to_string();
    bytes[place].copy_from_slice(&found);
    if computed.as_bytes() == found { Ok(()) } else { Err("damaged: its checksum does not fit".into()) }
}

/// Reads a checkpoint of a learner whose state has this form.
///
/// # Errors
/// [`TrainError::Checkpoint`] if the file is damaged (its checksum tells) or holds other parameters than the graph.
pub(crate) fn load(path: &Path, form: &StateForm) -> Result<(RunState, Loaded), TrainError> {
    let mut bytes =
        oculist_files::read(path).map_err(|source| TrainError::Io { path: path.to_path_buf(), source })?;
    let problem = |problem: String| TrainError::Checkpoint { path: path.to_path_buf(), problem };
    check_whole(&mut bytes).map_err(problem)?;
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
    let read = |prefix: &str, shapes: &Shapes, optional: bool| -> Result<Tensors, TrainError> {
        let first = shapes.keys().next().map(|name| format!("{prefix}.{name}"));
        if optional && first.is_some_and(|name| tensors.tensor(&name).is_err()) {
            return Ok(Tensors::new());
        }
        let mut part = Tensors::new();
        for (own, shape) in shapes {
            let name = format!("{prefix}.{own}");
            let view = tensors.tensor(&name).map_err(|_| problem(format!("tensor `{name}` is missing")))?;
            if view.shape() != shape || view.dtype() != Dtype::F32 {
                return Err(problem(format!(
                    "tensor `{name}`: expected F32 {shape:?}, found {:?} {:?}",
                    view.dtype(),
                    view.shape()
                )));
            }
            let data: Vec<f32> =
                view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            part.insert(own.clone(), Tensor::f32(shape, data));
        }
        Ok(part)
    };
    let (weights, stats) = (&form.weights, &form.stats);
    let loaded = Loaded {
        state: State {
            weights: read("model", weights, false)?,
            stats: read("stats", stats, false)?,
            first: read("first", weights, true)?,
            second: read("second", weights, true)?,
            averaged: read("ema", weights, true)?,
            averaged_stats: read("ema_stats", stats, true)?,
            updates: state.step,
            averaged_updates: state.ema_updates,
            missed: state.missed.clone(),
        },
        trained: read("trained", weights, true)?,
        trained_stats: read("trained_stats", stats, true)?,
    };
    Ok((state, loaded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> RunState {
        let record = EpochRecord {
            epoch: 1,
            train_loss: 1.5,
            val_loss: f64::INFINITY,
            val: [(Metric::Top1, 100.0 / 3.0)].into_iter().collect(),
            lr: 0.1,
            images_per_s: 10.0,
            seconds: 2.0,
            wait_s: 0.5,
        };
        RunState {
            epoch: 1,
            step: 7,
            ema_updates: 7,
            missed: BTreeMap::new(),
            fingerprint: "f".into(),
            best: record.val.get(Metric::Top1).unwrap(),
            best_epoch: 1,
            history: vec![record],
        }
    }

    #[test]
    fn states_of_older_versions_are_read() {
        let text = r#"{"epoch":1,"step":7,"ema_updates":7,"fingerprint":"f","best_top1":50.0,"best_epoch":1,
            "history":[{"epoch":1,"train_loss":1.5,"val_loss":null,"val_top1":50.0,"lr":0.1,"images_per_s":10.0,
            "seconds":2.0,"wait_s":0.5}]}"#;
        let state: RunState = serde_json::from_str(text).unwrap();
        assert_eq!((state.best, state.check(1, 7, Metric::Top1)), (50.0, Ok(())));
        assert!(state.check(1, 7, Metric::LogLoss).is_err(), "another metric was not measured then");
        // Without validation images nothing is measured, and that comes back too.
        let nothing = EpochRecord { val: oculist_metrics::Scores::new(), ..state.history[0].clone() };
        let nothing = RunState { best: f64::NAN, history: vec![nothing], ..state };
        let back: RunState = serde_json::from_str(&serde_json::to_string(&nothing).unwrap()).unwrap();
        assert_eq!(back.check(1, 7, Metric::Top1), Ok(()));
    }

    /// A file without tensors: its state is what the checksum is for.
    fn written(dir: &Path) -> (std::path::PathBuf, Vec<u8>) {
        let path = dir.join("last.safetensors");
        save(&path, &state(), &[]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        (path, bytes)
    }

    fn loaded(path: &Path) -> Result<RunState, TrainError> {
        load(path, &StateForm::default()).map(|(state, _)| state)
    }

    #[test]
    fn a_state_comes_back_and_a_loss_beyond_numbers_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let (path, bytes) = written(dir.path());
        let back = loaded(&path).unwrap();
        assert!(back.history[0].val_loss.is_nan(), "JSON has no infinity");
        assert_eq!(RunState { history: Vec::new(), ..back }, RunState { history: Vec::new(), ..state() });
        assert!(SafeTensors::deserialize(&bytes).is_ok(), "any reader can read it");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let (path, bytes) = written(dir.path());
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                std::fs::write(&path, &flipped).unwrap();
                let text = loaded(&path).expect_err("must be refused").to_string();
                assert!(text.contains("last.safetensors"), "byte {at}, bit {bit}: {text}");
            }
            std::fs::write(&path, &bytes[..at]).unwrap();
            assert!(loaded(&path).is_err(), "cut at {at}");
        }
        std::fs::write(&path, [&bytes[..], b" "].concat()).unwrap();
        assert!(loaded(&path).is_err(), "longer than it was");
    }

    #[test]
    fn a_file_of_an_older_version_is_told_from_a_damaged_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("last.safetensors");
        let metadata = HashMap::from([(STATE_KEY.to_owned(), serde_json::to_string(&state()).unwrap())]);
        let views: Vec<(String, TensorView<'_>)> = Vec::new();
        std::fs::write(&path, serialize(views, Some(metadata)).unwrap()).unwrap();
        let text = loaded(&path).unwrap_err().to_string();
        assert!(text.contains("older version"), "{text}");
    }

    #[test]
    fn numbers_that_no_run_can_have_are_refused() {
        assert_eq!(state().check(1, 7, Metric::Top1), Ok(()));
        assert_eq!(
            RunState { epoch: 0, step: 0, ema_updates: 0, best_epoch: 0, history: Vec::new(), ..state() }
                .check(1, 7, Metric::Top1),
            Ok(())
        );
        for (wrong, word) in [
            (RunState { epoch: 1_000_000_000_000_000_000, ..state() }, "at most 1 epochs"),
            (RunState { epoch: 0, ..state() }, "record of each"),
            (RunState { step: 8, ..state() }, "at most 7 updates"),
            (RunState { ema_updates: 8, ..state() }, "at most 7 updates"),
            (
                RunState { missed: BTreeMap::from([("w".into(), 8)]), ..state() },
                "`w` had no part in, found 8",
            ),
            (RunState { best_epoch: 2, ..state() }, "best epoch"),
            (RunState { best_epoch: 0, ..state() }, "best epoch"),
            (RunState { best: 99.0, ..state() }, "best epoch"),
        ] {
            let text = wrong.check(1, 7, Metric::Top1).unwrap_err();
            assert!(text.contains(word), "{text}");
        }
    }
}
