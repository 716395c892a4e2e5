//! The folder of a run: takes it, keeps what a crash must not lose, writes models, report and curves into it.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use oculist_data::Split;
use oculist_files::{Seal, seal};
use oculist_train::OptimizerConfig;

use super::folder::{
    CONFIG_FILE, Existing, INPUTS_FILE, METRICS_FILE, PREDICTIONS_FILE, RECIPE_FILE, REPORT_DATA_FILE,
    REPORT_FILE, RunFolder, SETTINGS_FILE, SUMMARY_FILE,
};
use super::inputs::Inputs;
use super::kept::Kept;
use super::report::{self, Report};
use super::{Keeper, Sink, resume};
use crate::candidate::Candidate;
use crate::error::OculistError;
use crate::files::{check_no_images_of, unwritable};
use crate::message::{set_to, setting};
use crate::predictions;
use crate::progress::{Progress, Role, go_on};
use crate::recipe::Recipe;
use crate::run::{Finished, RunOptions};
use crate::session::Session;
use crate::settings::Settings;
use crate::stage::Results;
use crate::summary::metrics_csv;

/// Bytes that a run writes beside its models and checkpoints: report, pictures, metrics.
const REPORT_BYTES: u64 = 20_000_000;

/// What becomes of a run, for whoever waits for its end.
pub(crate) type Outcome = Rc<RefCell<Option<Finished>>>;

/// Writes a run into a folder, from which it can be continued after a crash to the same bytes.
#[derive(Debug)]
pub(crate) struct Folder {
    options: RunOptions,
    /// Once the run has begun.
    begun: Option<Begun>,
    report: Report,
    files: Vec<PathBuf>,
    outcome: Outcome,
}

#[derive(Debug)]
struct Begun {
    folder: RunFolder,
    kept: Rc<Kept>,
}

impl Folder {
    /// # Errors
    /// As [`RunFolder::check`]: what the folder holds does not fit what is to be done with it.
    pub(crate) fn new(options: &RunOptions) -> Result<(Self, Outcome), OculistError> {
        RunFolder::check(&options.output, options.existing)?;
        let outcome = Outcome::default();
        let report = Report::new(options.verb.clone(), options.command.clone()).showing(options.show);
        let folder = Self {
            options: options.clone(),
            begun: None,
            report,
            files: Vec::new(),
            outcome: outcome.clone(),
        };
        Ok((folder, outcome))
    }

    fn write(&mut self, role: Role, candidate: &Candidate) -> Result<(), OculistError> {
        let (Some(begun), Some(model)) = (&self.begun, candidate.model()) else { return Ok(()) };
        let path = begun.folder.file(role.file());
        model.write(&path)?;
        if !self.files.contains(&path) {
            self.files.push(path);
        }
        Ok(())
    }
}

/// Refuses to replace what is in a folder where a model lies there that the run reads.
fn check_no_source_in(folder: &Path, settings: &Settings) -> Result<(), OculistError> {
    let Ok(itself) = folder.canonicalize() else { return Ok(()) };
    let mut read = settings.from.iter().flatten().chain(&settings.model);
    let inside = |path: &&PathBuf| path.canonicalize().is_ok_and(|path| path.parent() == Some(&itself));
    match read.find(inside) {
        None => Ok(()),
        Some(model) => Err(OculistError::Output {
            path: folder.to_path_buf(),
            problem: format!(
                "holds {}, which this run begins with and would replace; choose another folder with {}",
                model.display(),
                setting("output")
            )
            .into(),
        }),
    }
}

impl Sink for Folder {
    fn begin(&mut self, session: &Session<'_>, recipe: &Recipe) -> Result<(), OculistError> {
        let options = &self.options;
        check_no_images_of(&options.output, session.source().dataset())?;
        if options.existing == Existing::Replace {
            check_no_source_in(&options.output, session.settings())?;
        }
        let resumes = options.existing == Existing::Resume;
        let resumable = |e: OculistError| if resumes { e.resumable() } else { e };
        // Until the folder is touched there is something to continue only if there was before.
        go_on(session.stop()).map_err(resumable)?;
        let folder = session
            .watched(|watch| RunFolder::prepare(&options.output, options.existing, &options.verb, watch))?;
        let before = if resumes { resume::inputs_of(&folder)? } else { None };
        let known = before.as_ref().filter(|_| !options.verify);
        let (settings, config) = (session.settings(), session.config());
        let inputs = session
            .watched(|watch| Inputs::read(settings, session.source().dataset(), known, watch))
            .map_err(resumable)?;
        if resumes {
            resume::check(&folder, config, settings, (before.as_ref(), &inputs))?;
            resume::check_recipe(&folder, recipe)?;
        }
        session.source().identify(inputs.digest(), inputs.contents());
        if options.existing == Existing::Replace {
            folder.clear()?;
        }
        self.report.begin(session, recipe)?;
        let needed = needed_bytes(session, recipe)?;
        let warnings = batch_warning(session).into_iter().chain(folder.space_warning(needed));
        for warning in warnings {
            // This sink is told nothing while it begins.
            self.report.event(&Progress::Warning(&warning.as_str().into()))?;
            session.warn(&warning);
        }
        let toml = |text: &str| seal(text, Seal::Toml);
        folder.write(CONFIG_FILE, toml(&config.to_toml()).as_bytes())?;
        folder.write(SETTINGS_FILE, toml(&config.settings(settings).to_toml()).as_bytes())?;
        folder.write(RECIPE_FILE, toml(&recipe.to_toml()).as_bytes())?;
        folder.write(INPUTS_FILE, seal(&inputs.to_lines(), Seal::Json).as_bytes())?;
        let kept = Rc::new(Kept::new(folder.clone(), resumes)?);
        self.begun = Some(Begun { folder, kept });
        Ok(())
    }

    fn event(&mut self, event: &Progress<'_>) -> Result<(), OculistError> {
        if self.begun.is_none() {
            return Ok(());
        }
        if let Progress::Model { role, candidate } = event {
            self.write(*role, candidate)?;
        }
        self.report.event(event)
    }

    fn keeper(&self) -> Option<Rc<dyn Keeper>> {
        self.begun.as_ref().map(|begun| -> Rc<dyn Keeper> { begun.kept.clone() })
    }

    fn finish(&mut self, session: &Session<'_>, result: &Candidate) -> Result<(), OculistError> {
        let Some(folder) = self.begun.as_ref().map(|begun| begun.folder.clone()) else { return Ok(()) };
        let results = Results::of(result);
        for &(role, candidate) in &results.models {
            if !folder.file(role.file()).exists() {
                self.write(role, candidate)?;
            }
        }
        if results.models.iter().all(|(role, _)| role.file() != Role::Compressed.file())
            && let Some((_, baseline)) = results.models.first()
        {
            // Whatever happens, model.onnx is the f32 model to use.
            self.write(Role::Compressed, baseline)?;
        }
        self.report.finish(session, result)?;
        let (_, best) = report::best(result);
        if let Some((best, test)) = best.and_then(|best| Some((best, best.test.as_ref()?))) {
            let path = folder.file(PREDICTIONS_FILE);
            // Of a list of images the folder that it lies in.
            let data = session.settings().data.as_deref().map(Path::new);
            let root = data.and_then(|data| if data.is_dir() { Some(data) } else { data.parent() });
            let source = session.source();
            let text = predictions::of_run(best, test, source.class_names(), source.split(Split::Test), root)
                .map_err(|e| unwritable(&path, &e.into()))?;
            folder.write(PREDICTIONS_FILE, &text)?;
            self.report.has_predictions(best.name);
        }
        let summary = self.report.summary();
        folder.write(METRICS_FILE, metrics_csv(self.report.history()).as_bytes())?;
        folder.write(SUMMARY_FILE, summary.to_summary_json()?.as_bytes())?;
        folder.write(REPORT_DATA_FILE, summary.to_data_json()?.as_bytes())?;
        folder.write(REPORT_FILE, oculist_report::render_html(summary)?.as_bytes())?;
        let mut files = std::mem::take(&mut self.files);
        let written = [SUMMARY_FILE, PREDICTIONS_FILE, REPORT_FILE].map(|name| folder.file(name));
        files.extend(written.into_iter().filter(|file| file.exists()));
        let summary = std::mem::take(&mut self.report).into_summary();
        *self.outcome.borrow_mut() = Some(Finished { summary, files });
        Ok(())
    }
}

/// What to say if the batch size that was asked for is more than there are training images.
fn batch_warning(session: &Session<'_>) -> Option<String> {
    let (asked, used) = (session.settings().batch_size?, session.config().train.batch_size);
    (asked > used).then(|| {
        let asked = set_to("batch_size", asked);
        format!("{asked} is more than the {used} training images; batches of {used} are used")
    })
}

/// An estimate of what the run writes: models, and the checkpoints of its trainings.
fn needed_bytes(session: &Session<'_>, recipe: &Recipe) -> Result<u64, OculistError> {
    let config = session.config();
    let carried = session.carried().map(|carried| &carried.model);
    let params = match session.given().or(carried) {
        Some(model) => model.graph.cost().params,
        None => oculist_zoo::build(&config.arch, &session.build_options(config))?.cost().params,
    };
    let weights = 4 * params;
    let moments = if matches!(config.train.optimizer, OptimizerConfig::AdamW { .. }) { 2 } else { 1 };
    let last = weights * (1 + moments + u64::from(config.train.ema_decay > 0.0));
    // That of the weights that are kept has as much as the last one.
    let phase = 2 * last;
    let phases: usize = recipe.stages().iter().map(|stage| stage.trainings(session)).sum();
    let compresses = recipe.stages().iter().any(|stage| stage.trains_what_it_is_given());
    let models = if compresses { 3 * weights } else { weights };
    // One file more, since each is written beside the one that it replaces.
    Ok(phases as u64 * phase + last + models + REPORT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn a_training_is_estimated_without_the_candidates_of_compression() {
        let dir = tempfile::tempdir().unwrap();
        oculist_data::fixture::write_class_folders(dir.path(), "", 2, 12, 32).unwrap();
        let settings = Settings {
            data: Some(dir.path().display().to_string()),
            arch: Some("resnet18".into()),
            threads: Some(1),
            ..Settings::default()
        };
        let session = Session::open(settings).unwrap();
        let megabytes = |recipe: &Recipe| needed_bytes(&session, recipe).unwrap() / 1_000_000;
        let (train, optimize) = (megabytes(&Recipe::train()), megabytes(&Recipe::optimize()));
        // 11.2 million parameters are 45 MB: with momentum and average three times that in `last` and in `best`, once
        // more while one is written, and the model.
        assert!((300..600).contains(&train), "{train}");
        assert!(optimize > 2 * train, "{optimize}");
    }
}
