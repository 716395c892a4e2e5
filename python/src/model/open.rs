//! Reading the file of a model, wherever it is.

use std::path::{Path, PathBuf};

use oculist::{Model as Classifier, ModelOptions, Opened};
use oculist_hub::{Hub, Spec};
use pyo3::prelude::*;

use super::Model;
use super::session::Session;
use crate::error::{Failure, Result, kind_of};
use crate::message::shown;

impl Model {
    /// Reads a file, or what the Hub has under the name.
    ///
    /// # Errors
    /// As reading the model; names that are not as many as its logits.
    pub(super) fn open(
        given: &Path,
        options: ModelOptions,
        names: Option<Vec<String>>,
        threads: usize,
    ) -> Result<Self> {
        let mut notes = Vec::new();
        let (file, path) = local(given, &mut notes)?;
        let Opened { mut model, notes: assumed, .. } = Classifier::open(&file, &options)?;
        notes.extend(assumed.iter().map(shown));
        if let Some(names) = &names {
            let (found, count) = (names.len(), model.class_names.len());
            if found != count {
                let problem = format!("expected {count} names, one for each logit, found {found}");
                return Err(Failure::Setting(format!("classes: {problem}")));
            }
            model.class_names.clone_from(names);
            model.numbered = false;
        }
        let session = Session::new(threads, &file, &model)?;
        Ok(Self { classifier: model, notes, options, path: Some(path), names, session })
    }
}

/// The names in a list of them.
///
/// # Errors
/// Something else, or a name twice.
pub(super) fn names(given: &Bound<'_, PyAny>) -> Result<Vec<String>> {
    let names: Vec<String> = given.extract().map_err(|_| {
        let expected = "expected a list of names or the file of one";
        Failure::Setting(format!("classes: {expected}, found {}", kind_of(given)))
    })?;
    for (i, name) in names.iter().enumerate() {
        if names[..i].contains(name) {
            return Err(Failure::Setting(format!("classes: expected different names, found {name:?} twice")));
        }
    }
    Ok(names)
}

/// The file of a model, fetched from the Hub if its name says so, and the path by which another process finds it.
fn local(given: &Path, notes: &mut Vec<String>) -> Result<(PathBuf, PathBuf)> {
    let of_hub = |e: oculist_hub::HubError| Failure::Model(shown(&e.to_string().into()));
    if let Some(spec) = given.to_str().map(Spec::parse).transpose().map_err(of_hub)?.flatten() {
        let fetched = Hub::from_env().and_then(|hub| hub.fetch(&spec, &mut |_| ())).map_err(of_hub)?;
        notes.extend(fetched.notes.into_iter().map(|note| shown(&note.into())));
        notes.push(format!("{spec} is {}", fetched.path.display()));
        return Ok((fetched.path, given.to_path_buf()));
    }
    let whole = std::path::absolute(given).unwrap_or_else(|_| given.to_path_buf());
    Ok((given.to_path_buf(), whole))
}
