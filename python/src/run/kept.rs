//! A run and what is kept of it.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use oculist::report::RunSummary;
use oculist::{
    Candidate, Existing, Model as Classifier, OculistError, Progress, Purpose, Recipe, Report, RunFolder,
    RunOptions, Session, Settings, Sink, Watch, run_recipe,
};

use super::data::Given;
use crate::error::{Failure, Result};
use crate::message::shown;

/// What is to be run, and where it goes.
pub(super) struct Order {
    pub(super) verb: String,
    pub(super) recipe: Recipe,
    pub(super) settings: Settings,
    pub(super) data: Option<Given>,
    pub(super) output: Option<PathBuf>,
    pub(super) existing: Existing,
    pub(super) command: String,
}

/// What came of it.
pub(super) struct Done {
    pub(super) summary: RunSummary,
    /// The models by their names, `baseline` first.
    pub(super) models: Vec<(String, Classifier)>,
    /// The folder of results that are still to be written.
    pub(super) folder: Option<RunFolder>,
}

/// What to do with a folder that holds a run.
///
/// # Errors
/// Another word.
pub(super) fn existing(name: &str) -> Result<Existing> {
    match name {
        "refuse" => Ok(Existing::Refuse),
        "replace" => Ok(Existing::Replace),
        "resume" => Ok(Existing::Resume),
        _ => {
            let expected = "expected refuse, replace or resume";
            Err(Failure::Setting(format!("existing: {expected}, found {name}")))
        }
    }
}

impl Order {
    /// Runs it. Data that have a name go into the folder while the run is at work, so that it can be continued; for images in
    /// memory the folder is made and taken before the training and written at the end.
    ///
    /// # Errors
    /// As running the recipe.
    pub(super) fn run(self, watch: &mut Watch<'_>) -> Result<Done> {
        let Self { verb, recipe, settings, data, output, existing, command } = self;
        let mut models = Vec::new();
        let Watch { observer, stop } = watch;
        let mut keep = |event: Progress<'_>| {
            if let Progress::Model { role, candidate } = event
                && let Some(model) = candidate.model()
            {
                models.push((role.name().to_owned(), model.clone()));
            }
            observer(event);
        };
        let mut folder = None;
        let summary = match (data, output) {
            (None, Some(output)) => {
                let options = RunOptions {
                    verb,
                    output,
                    existing,
                    verify: false,
                    command,
                    tensorboard: None,
                    show: shown,
                };
                let mut watch = Watch { observer: &mut keep, stop };
                run_recipe(&recipe, &settings, &options, &mut watch)?.summary
            }
            (data, output) => {
                if let Some(output) = &output {
                    check_folder(output, existing)?;
                }
                let (recipe, _) = recipe.measured();
                let settings = settings.over(recipe.settings().clone());
                let report = Rc::new(RefCell::new(Report::new(verb.clone(), command).showing(shown)));
                let model = settings.model.clone();
                let source =
                    data.map(|data| data.source(&settings, Purpose::Train, model.as_deref())).transpose()?;
                if let Some(output) = &output {
                    let mut watch = Watch { observer: &mut keep, stop };
                    folder = Some(RunFolder::prepare(output, existing, &verb, &mut watch)?);
                }
                let tell = |event: &Progress<'_>| keep(*event);
                let mut builder = Session::builder(settings).stop_flag(stop).sink(tell);
                builder = builder.sink(Shared(Rc::clone(&report)));
                if let Some(source) = source {
                    builder = builder.source(source);
                }
                let session = builder.open()?;
                if let (Some(folder), Existing::Replace) = (&folder, existing) {
                    folder.clear()?;
                }
                session.run(&recipe)?;
                drop(session);
                report.borrow().summary().clone()
            }
        };
        Ok(Done { summary, models, folder })
    }
}

/// Says before the run whether its results can be written at the end.
fn check_folder(output: &std::path::Path, existing: Existing) -> Result<()> {
    if existing == Existing::Resume {
        let problem = "expected refuse or replace: a run on images in memory cannot be continued";
        return Err(Failure::Setting(format!("existing: {problem}")));
    }
    Ok(RunFolder::check(output, existing)?)
}

/// A report that is still there when the session is gone.
struct Shared(Rc<RefCell<Report>>);

impl Sink for Shared {
    fn begin(&mut self, session: &Session<'_>, recipe: &Recipe) -> Result<(), OculistError> {
        self.0.borrow_mut().begin(session, recipe)
    }

    fn event(&mut self, event: &Progress<'_>) -> Result<(), OculistError> {
        self.0.borrow_mut().event(event)
    }

    fn finish(&mut self, session: &Session<'_>, result: &Candidate) -> Result<(), OculistError> {
        self.0.borrow_mut().finish(session, result)
    }
}
