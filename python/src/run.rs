//! Runs of recipes, measurements and audits, on data by name or in memory.

mod data;
mod events;
mod kept;
pub(crate) mod recipes;
mod work;

use std::path::{Path, PathBuf};

use oculist::report::RunSummary;
use oculist::{
    CheckOptions, EvaluateOptions, Evaluated, LabelOptions, Part, Purpose, Recipe, RunFolder, Split,
    check_data, check_source, evaluate_file, evaluate_source,
};
use pyo3::prelude::*;

use crate::error::{Failure, Result};
use crate::model::Model;
use data::Given;
use kept::Order;
use work::watched;

/// A folder that is this process's as long as the object lives.
#[pyclass(frozen)]
pub(crate) struct Taken(#[expect(dead_code, reason = "held for its lock")] RunFolder);

/// The facts of a run, its models by their names, and the folder that they are still to be written into.
type Ran = (String, Vec<(String, Model)>, Option<Taken>);

/// Runs a recipe, or what a verb does; gives the facts as JSON, the models by their names, and the folder that is taken for
/// results that are still to be written.
#[pyfunction]
#[pyo3(signature = (verb, recipe, settings, data, *, output, existing, command, progress))]
pub(crate) fn run(
    py: Python<'_>,
    verb: String,
    recipe: Option<&str>,
    settings: &str,
    data: Option<Given>,
    output: Option<PathBuf>,
    existing: &str,
    command: String,
    progress: Option<&Bound<'_, PyAny>>,
) -> Result<Ran> {
    let settings = data::settings(settings)?;
    let recipe = match recipe {
        Some(text) => Recipe::from_toml(text)?,
        None => recipes::of_verb(&verb, &settings)?,
    };
    let existing = kept::existing(existing)?;
    let threads = settings.threads.unwrap_or(1);
    let order = Order { verb, recipe, settings, data, output, existing, command };
    let done = watched(py, progress, |watch| order.run(watch))?;
    let facts = done.summary.to_data_json().map_err(|e| Failure::Other(e.to_string()))?;
    let held = |(name, model)| Ok((name, Model::held(model, threads)?));
    let models: Result<Vec<_>> = done.models.into_iter().map(held).collect();
    Ok((facts, models?, done.folder.map(Taken)))
}

/// Measures the file of a model; gives the facts as JSON, and the class names.
#[pyfunction]
#[pyo3(signature = (model, settings, data, *, split, skip_unknown, corruptions, progress))]
pub(crate) fn evaluate(
    py: Python<'_>,
    model: PathBuf,
    settings: &str,
    data: Option<Given>,
    split: Option<&str>,
    skip_unknown: bool,
    corruptions: Option<Vec<u8>>,
    progress: Option<&Bound<'_, PyAny>>,
) -> Result<(String, Vec<String>)> {
    let settings = data::settings_of_evaluation(settings)?;
    let mut options = EvaluateOptions::default();
    options.part = part(split)?;
    options.skip_unknown = skip_unknown;
    options.corruptions = corruptions;
    if data.is_some() && options.part == Part::Auto {
        options.part = Part::All;
    }
    let found: Evaluated = watched(py, progress, move |watch| {
        Ok(match data {
            Some(data) => {
                let source = data.source(&settings, Purpose::Evaluate, Some(&model))?;
                evaluate_source(&model, source, &settings, &options, watch)?
            }
            None => evaluate_file(&model, &settings, &options, watch)?,
        })
    })?;
    let facts = serde_json::to_string(&found).map_err(|e| Failure::Other(e.to_string()))?;
    Ok((facts, found.class_names))
}

/// Examines a data set; gives the audit as JSON.
#[pyfunction]
#[pyo3(signature = (settings, data, *, output, labels, folds, progress))]
pub(crate) fn check(
    py: Python<'_>,
    settings: &str,
    data: Option<Given>,
    output: Option<PathBuf>,
    labels: bool,
    folds: usize,
    progress: Option<&Bound<'_, PyAny>>,
) -> Result<String> {
    let settings = data::settings(settings)?;
    let mut how = LabelOptions::default();
    how.folds = folds;
    how.epochs = settings.epochs;
    let labels = labels.then_some(how);
    let checked = watched(py, progress, |watch| {
        // The library writes its page in any case.
        let away = tempfile::tempdir().map_err(|e| Failure::Other(e.to_string()))?;
        let mut options = CheckOptions::new(output.unwrap_or_else(|| away.path().join("audit")));
        options.labels = labels;
        Ok(match data {
            Some(data) => {
                let source = data.source(&settings, Purpose::Evaluate, None)?;
                check_source(source, &settings, &options, watch)?
            }
            None => check_data(&settings, &options, watch)?,
        })
    })?;
    checked.report.to_json().map_err(|e| Failure::Other(e.to_string()))
}

/// The table of a run for a notebook.
#[pyfunction]
pub(crate) fn table_html(facts: &str) -> Result<String> {
    Ok(oculist::report::table_html(&summary(facts)?))
}

/// The report of a run as a page, and its `summary.json`.
#[pyfunction]
pub(crate) fn report_html(facts: &str) -> Result<(String, String)> {
    let failed = |e: oculist::report::ReportError| Failure::Other(e.to_string());
    let summary = summary(facts)?;
    Ok((oculist::report::render_html(&summary).map_err(failed)?, summary.to_summary_json().map_err(failed)?))
}

fn summary(facts: &str) -> Result<RunSummary> {
    RunSummary::from_json(facts).map_err(|e| Failure::Data(e.to_string()))
}

fn part(name: Option<&str>) -> Result<Part> {
    let Some(name) = name else { return Ok(Part::Auto) };
    if name == "all" {
        return Ok(Part::All);
    }
    let split = Split::ALL.into_iter().find(|split| split.name() == name);
    split
        .map(Part::Split)
        .ok_or_else(|| Failure::Setting(format!("split: expected train, val, test or all, found {name}")))
}

/// The text of a path in errors.
fn shown(path: &Path) -> String {
    path.display().to_string()
}
