//! Recipes as texts.

use std::path::PathBuf;

use oculist::{KINDS, Purpose, Recipe, Session, Settings, plan_recipe, plan_text};
use pyo3::prelude::*;

use super::data::{self, Given};
use super::work::watched;
use crate::error::{Failure, Result};

/// What a verb does with these settings.
///
/// # Errors
/// A compression without a model; a training with one.
pub(super) fn of_verb(verb: &str, settings: &Settings) -> Result<Recipe> {
    match (verb, &settings.model) {
        ("train", None) => Ok(Recipe::train()),
        ("train", Some(_)) => Err(Failure::Setting(
            "model: expected none, since a training begins with a new network; oculist.compress and oculist.optimize begin \
             with a model, oculist.evaluate measures one"
                .into(),
        )),
        ("transfer", _) if settings.from.as_ref().is_none_or(Vec::is_empty) => {
            Err(Failure::Setting("source: expected a model to carry over from, found none".into()))
        }
        ("transfer", _) => Ok(Recipe::transfer_for(settings)),
        ("compress", None) => Err(Failure::Setting("model: expected a model to compress, found none".into())),
        _ => Ok(Recipe::optimize_for(settings)),
    }
}

/// A recipe as TOML, of TOML or JSON.
#[pyfunction]
pub(crate) fn recipe(text: &str, is_json: bool) -> Result<String> {
    if !is_json {
        return Ok(Recipe::from_toml(text)?.to_toml());
    }
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|e| Failure::Setting(format!("recipe: {e}")))?;
    let text = toml::to_string(&value).map_err(|e| Failure::Setting(format!("recipe: {e}")))?;
    Ok(Recipe::from_toml(&text)?.to_toml())
}

/// A recipe's file as TOML.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "Python gives it so")]
pub(crate) fn read_recipe(path: PathBuf) -> Result<String> {
    Ok(Recipe::read(&path)?.to_toml())
}

/// What a recipe would do, as text.
#[pyfunction]
#[pyo3(signature = (recipe, settings, data, *, progress))]
pub(crate) fn plan(
    py: Python<'_>,
    recipe: &str,
    settings: &str,
    data: Option<Given>,
    progress: Option<&Bound<'_, PyAny>>,
) -> Result<String> {
    let (recipe, settings) = (Recipe::from_toml(recipe)?, data::settings(settings)?);
    watched(py, progress, |watch| {
        let Some(data) = data else {
            return Ok(plan_text(&plan_recipe(&recipe, &settings, watch)?));
        };
        let (recipe, _) = recipe.measured();
        let settings = settings.over(recipe.settings().clone());
        let source = data.source(&settings, Purpose::Train, settings.model.as_deref())?;
        let session = Session::builder(settings).stop_flag(watch.stop).source(source).open()?;
        Ok(plan_text(&recipe.plan(&session)?))
    })
}

/// The kinds of stages.
#[pyfunction]
pub(crate) fn stages() -> Vec<&'static str> {
    KINDS.to_vec()
}

/// The names of all architectures.
#[pyfunction]
pub(crate) fn architectures() -> Vec<&'static str> {
    oculist_zoo::architectures().iter().map(|architecture| architecture.name).collect()
}

/// The names of all settings.
#[pyfunction]
pub(crate) fn setting_names() -> Vec<&'static str> {
    Settings::NAMES.to_vec()
}
