//! Uses a finished model: on a split with labels, or on image files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use oculist_data::{DEFAULT_MAX_PIXELS, Split, decode_file, natural_cmp};
use oculist_report::Model as ModelFacts;
use oculist_report::terminal::Prediction;
use oculist_runtime::{Context, Plan, PlanOptions};

use crate::data::Source;
use crate::error::OculistError;
use crate::evaluate::evaluate_until;
use crate::images::Images;
use crate::measure;
use crate::model_file::{Model, file_name};
use crate::pictures::guesses;
use crate::progress::Watch;
use crate::settings::Settings;
use crate::summary::Measured;

/// Evaluates a model file on one split; returns the facts for a table and the class names.
///
/// # Errors
/// [`OculistError::Model`] if the model's classes are not those of the data; otherwise as reading model and data.
pub fn evaluate_file(
    path: &Path,
    settings: &Settings,
    split: Split,
    watch: &mut Watch<'_>,
) -> Result<(ModelFacts, Vec<String>), OculistError> {
    settings.validate()?;
    let model = Model::read(path)?;
    let threads = settings.threads();
    let source = Source::open(settings, threads)?;
    for line in source.describe_lines() {
        watch.note(&line);
    }
    model.check_classes(path, source.class_names())?;
    let images = Images::load_until(source.split(split), &model.preprocessing, threads, watch.stop)?;
    let ctx = Arc::new(Context::new(threads)?);
    let test = evaluate_until(&model.graph, &images, &ctx, watch.stop)?;
    let cost = model.graph.cost();
    let bytes = std::fs::metadata(path)
        .map_err(|source| OculistError::Io { path: path.to_path_buf(), source })?
        .len();
    let time = Duration::from_millis(500);
    let measured = Measured {
        name: "model",
        file: file_name(path),
        precision: if model.is_int8() { "int8" } else { "f32" },
        val_top1: None,
        params: cost.params,
        macs: cost.macs,
        bytes,
        latency: measure::latency(&model.graph, &ctx, time, watch.stop)?,
        throughput: measure::throughput(&model.graph, &ctx, time, watch.stop)?,
        test,
    };
    Ok((measured.facts(&model.class_names, None), model.class_names))
}

/// The likeliest classes of image files; folders are searched through.
///
/// # Errors
/// [`OculistError::Io`] for a path that does not exist or a folder without files; with `strict`,
/// [`OculistError::Image`] for the first unreadable file.
pub fn predict_files(
    model: &Path,
    paths: &[PathBuf],
    top: usize,
    strict: bool,
    threads: usize,
) -> Result<Vec<Prediction>, OculistError> {
    let model = Model::read(model)?;
    let ctx = Arc::new(Context::new(threads)?);
    let mut plan = Plan::new(&model.graph, &PlanOptions::new(1, ctx))?;
    let mut logits = vec![0.0; plan.output_len()];
    let mut predictions = Vec::new();
    for path in files(paths)? {
        let shown = path.display().to_string();
        match decode_file(&path, DEFAULT_MAX_PIXELS) {
            Ok(image) => {
                plan.run(&model.preprocessing.apply(&image)?, &mut logits)?;
                let top = guesses(&logits, &model.class_names, top.max(1));
                predictions.push(Prediction { path: shown, top, error: None });
            }
            Err(e) if strict => return Err(OculistError::Image { path, problem: e.to_string() }),
            Err(e) => {
                predictions.push(Prediction { path: shown, top: Vec::new(), error: Some(e.to_string()) });
            }
        }
    }
    Ok(predictions)
}

/// The files named, and those in the folders named, in natural order within each folder.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, OculistError> {
    let mut all = Vec::new();
    for path in paths {
        let before = all.len();
        collect(path, &mut all)?;
        if all.len() == before {
            let source = std::io::Error::new(std::io::ErrorKind::NotFound, "the folder holds no files");
            return Err(OculistError::Io { path: path.clone(), source });
        }
    }
    Ok(all)
}

fn collect(path: &Path, all: &mut Vec<PathBuf>) -> Result<(), OculistError> {
    let io = |source| OculistError::Io { path: path.to_path_buf(), source };
    if !std::fs::metadata(path).map_err(io)?.is_dir() {
        all.push(path.to_path_buf());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
        .map_err(io)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()
        .map_err(io)?;
    entries.retain(|p| !file_name(p).starts_with('.'));
    entries.sort_by(|a, b| natural_cmp(&a.to_string_lossy(), &b.to_string_lossy()));
    entries.iter().try_for_each(|entry| collect(entry, all))
}
