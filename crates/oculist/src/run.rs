//! Runs of a recipe in a folder, as the command line begins them.

use std::path::PathBuf;

use oculist_report::RunSummary;

use crate::error::{OculistError, wrong};
use crate::message::Message;
use crate::progress::{Progress, Watch};
use crate::recipe::Recipe;
use crate::session::Session;
use crate::settings::Settings;
use crate::sink::folder::Existing;
use crate::sink::run_folder::Folder;
use crate::sink::tensorboard::TensorBoard;
use crate::stage::Planned;

/// Where a run goes and how it came about.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// `optimize`, `train` or `compress`.
    pub verb: String,
    /// Folder of the run.
    pub output: PathBuf,
    /// What to do if it holds a run already.
    pub existing: Existing,
    /// Whether a run that is continued reads every image again, instead of trusting size, times and inode of those that
    /// it has read before.
    pub verify: bool,
    /// The exact command, for the report.
    pub command: String,
    /// Where event files for TensorBoard go, if any are wanted.
    pub tensorboard: Option<PathBuf>,
    /// How the report mentions settings in its warnings: by their names, or as whoever reads it knows them.
    pub show: fn(&Message) -> String,
}

/// A finished run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finished {
    /// All numbers, with pictures.
    pub summary: RunSummary,
    /// What was written.
    pub files: Vec<PathBuf>,
}

/// Trains (or takes `settings.model`), prunes, quantises, measures, exports and reports.
///
/// # Errors
/// [`OculistError`] naming what is wrong with the settings, the data, the model or the output folder.
pub fn optimize(
    settings: &Settings,
    options: &RunOptions,
    watch: &mut Watch<'_>,
) -> Result<Finished, OculistError> {
    run_recipe(&Recipe::optimize_for(settings), settings, options, watch)
}

/// Trains a model, measures and exports it; no compression.
///
/// # Errors
/// As [`optimize`]; [`OculistError::Setting`] where a model is given, which a training would not begin with.
pub fn train(
    settings: &Settings,
    options: &RunOptions,
    watch: &mut Watch<'_>,
) -> Result<Finished, OculistError> {
    if settings.model.is_some() {
        let expected = "expected none, since a training begins with a new network; compress and optimize begin with a \
                        model, eval measures one";
        return Err(wrong("model", expected));
    }
    run_recipe(&Recipe::train(), settings, options, watch)
}

/// Runs a recipe in a folder, with its report; what the recipe says of the session holds where the settings say nothing.
///
/// # Errors
/// As [`optimize`], and those of the recipe's stages.
pub fn run_recipe(
    recipe: &Recipe,
    settings: &Settings,
    options: &RunOptions,
    watch: &mut Watch<'_>,
) -> Result<Finished, OculistError> {
    let (recipe, added) = recipe.clone().measured();
    let settings = settings.clone().over(recipe.settings().clone());
    let (folder, outcome) = Folder::new(options)?;
    let Watch { observer, stop } = watch;
    let tell = |event: &Progress<'_>| observer(*event);
    let resumes = options.existing == Existing::Resume;
    let mut builder = Session::builder(settings).stop_flag(stop).sink(tell).sink(folder);
    if let Some(folder) = &options.tensorboard {
        // After the run folder, which may have to be emptied first.
        builder = builder.sink(TensorBoard::new(folder, resumes));
    }
    let opened = builder.open();
    let session = opened.map_err(|e| if resumes { e.resumable() } else { e })?;
    if added {
        session.note("the recipe ends without `measure`: the models are measured all the same");
    }
    session.run(&recipe)?;
    drop(session);
    let finished = outcome.borrow_mut().take();
    finished.ok_or(OculistError::Stopped { resumable: false })
}

/// What a recipe would do with these settings, stage by stage, with estimates of the time; nothing is written.
///
/// # Errors
/// As [`run_recipe`], for what can be known before.
pub fn plan_recipe(
    recipe: &Recipe,
    settings: &Settings,
    watch: &mut Watch<'_>,
) -> Result<Vec<Planned>, OculistError> {
    let (recipe, _) = recipe.clone().measured();
    // Nothing is written, not even features.
    let nowhere = settings.from.as_ref().map(|_| "none".into());
    let settings = Settings { feature_cache: nowhere, ..settings.clone() }.over(recipe.settings().clone());
    let Watch { observer, stop } = watch;
    let tell = |event: &Progress<'_>| observer(*event);
    let session = Session::builder(settings).stop_flag(stop).sink(tell).open()?;
    recipe.plan(&session)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn a_training_with_a_model_is_refused_and_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("run");
        let options = RunOptions {
            verb: "train".into(),
            output: output.clone(),
            existing: Existing::Refuse,
            verify: false,
            command: String::new(),
            tensorboard: None,
            show: ToString::to_string,
        };
        let settings =
            Settings { data: Some("demo".into()), model: Some("m.onnx".into()), ..Settings::default() };
        let stop = AtomicBool::new(false);
        let error =
            train(&settings, &options, &mut Watch { observer: &mut |_| (), stop: &stop }).unwrap_err();
        assert!(error.to_string().starts_with("model: expected none"), "{error}");
        assert!(!output.exists());
    }
}
