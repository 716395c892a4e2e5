//! Learning curves, steps and results as event files for TensorBoard.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use oculist_events::{EventWriter, HParam, Origin, Outcome};
use oculist_metrics::Metric;
use serde_json::Value;

use super::Sink;
use super::folder::TENSORBOARD;
use crate::candidate::Candidate;
use crate::error::OculistError;
use crate::progress::Progress;
use crate::recipe::Recipe;
use crate::session::Session;

/// Writes event files: a run for each training below the folder, and one of the whole in the folder itself.
///
/// A training has the series `loss/step`, `loss/train`, `loss/val`, `val/METRIC`, `lr` and `images_per_s` over its updates.
/// The whole has the recipe and what each step changed as texts, the settings as hyperparameters and the results on test
/// images as `test/METRIC`.
#[derive(Debug)]
pub struct TensorBoard {
    folder: PathBuf,
    /// Whether event files that are there are gone on with.
    resumes: bool,
    origin: Origin,
    whole: Option<EventWriter>,
    /// The training that is at work.
    phase: Option<Phase>,
    steps: u64,
    /// What decides.
    metric: Metric,
}

#[derive(Debug)]
struct Phase {
    name: String,
    writer: EventWriter,
    /// Updates done.
    update: u64,
}

impl TensorBoard {
    /// Writes below a folder; where `resumes`, what is there is gone on with, else it is an error that there is something.
    pub fn new(folder: impl Into<PathBuf>, resumes: bool) -> Self {
        Self {
            folder: folder.into(),
            resumes,
            origin: Origin::here(),
            whole: None,
            phase: None,
            steps: 0,
            metric: Metric::Top1,
        }
    }

    fn begin_at(&self, folder: &Path, first: u64) -> Result<EventWriter, OculistError> {
        let now = SystemTime::now();
        Ok(if self.resumes {
            EventWriter::resume(folder, &self.origin, now, first)?
        } else {
            EventWriter::create(folder, &self.origin, now)?
        })
    }

    /// The run of a training, begun at an update.
    fn phase(&mut self, name: &str, update: u64) -> Result<&mut Phase, OculistError> {
        let phase = match self.phase.take() {
            Some(phase) if phase.name == name => phase,
            _ => {
                let writer = self.begin_at(&self.folder.join(name), update)?;
                Phase { name: name.to_owned(), writer, update }
            }
        };
        Ok(self.phase.insert(phase))
    }
}

impl Sink for TensorBoard {
    fn ready(&self, session: &Session<'_>) -> Result<(), OculistError> {
        let output =
            |problem: &str| OculistError::Output { path: self.folder.clone(), problem: problem.into() };
        if std::fs::symlink_metadata(&self.folder).is_ok() && !self.folder.is_dir() {
            return Err(output("expected a folder for event files, found something else"));
        }
        // Those in the folder of a run that is replaced go with it.
        let in_run = self.folder.ends_with(TENSORBOARD);
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let is_events = |name: std::ffi::OsString| name.to_string_lossy().contains("tfevents");
        if !self.resumes && !in_run && entries.map(|entry| entry.file_name()).any(is_events) {
            return Err(output("holds event files of another run; choose another folder"));
        }
        // Event files would be taken for images of a class.
        let data =
            session.settings().data.as_deref().map(Path::new).and_then(|data| data.canonicalize().ok());
        let Some(data) = data.filter(|data| data.is_dir()) else { return Ok(()) };
        let there = self.folder.ancestors().find_map(|folder| folder.canonicalize().ok());
        if there.is_some_and(|there| there.starts_with(&data)) && !in_run {
            return Err(output("lies in the folder of the images; choose another for event files"));
        }
        Ok(())
    }

    fn begin(&mut self, session: &Session<'_>, recipe: &Recipe) -> Result<(), OculistError> {
        let now = SystemTime::now();
        self.metric = session.config().metric;
        let mut whole = self.begin_at(&self.folder, 0)?;
        whole.text("recipe", 0, now, &format!("```toml\n{}\n```", recipe.to_toml()))?;
        whole.hparams(now, &hyperparameters(session), &[])?;
        self.whole = Some(whole);
        Ok(())
    }

    fn event(&mut self, event: &Progress<'_>) -> Result<(), OculistError> {
        let now = SystemTime::now();
        match *event {
            Progress::TrainStep { phase, epoch, step, steps, loss, .. } => {
                let update = ((epoch - 1) * steps + step) as u64;
                let phase = self.phase(phase, update)?;
                phase.update = update;
                phase.writer.scalar("loss/step", update, now, loss as f32)?;
            }
            Progress::Epoch { phase, record, .. } => {
                let phase = self.phase(phase, record.epoch as u64)?;
                for (tag, value) in [
                    ("loss/train", record.train_loss),
                    ("loss/val", record.val_loss),
                    ("lr", record.lr),
                    ("images_per_s", record.images_per_s),
                ] {
                    phase.writer.scalar(tag, phase.update, now, value as f32)?;
                }
                for (metric, value) in record.val.iter() {
                    let tag = format!("val/{}", metric.name());
                    phase.writer.scalar(&tag, phase.update, now, value as f32)?;
                }
                phase.writer.flush()?;
            }
            Progress::Step(step) => {
                self.steps += 1;
                if let Some(whole) = &mut self.whole {
                    let text = oculist_report::terminal::step_line(step, self.metric);
                    whole.text("steps", self.steps, now, &text)?;
                    whole.flush()?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, _session: &Session<'_>, result: &Candidate) -> Result<(), OculistError> {
        let now = SystemTime::now();
        self.phase = None;
        let Some(mut whole) = self.whole.take() else { return Ok(()) };
        for model in &result.measured {
            let scores = model.test.iter().flat_map(|test| test.scores.iter());
            let scores = scores.map(|(metric, value)| (format!("test/{}", metric.name()), value));
            let costs = [("bytes", model.bytes as f64), ("latency_ms", model.latency.median)];
            let costs = costs.map(|(name, value)| (format!("cost/{name}"), value));
            for (tag, value) in scores.chain(costs) {
                whole.scalar(&format!("{}/{tag}", model.name), 0, now, value as f32)?;
            }
        }
        whole.hparams_end(now, Outcome::Success)?;
        Ok(whole.flush()?)
    }
}

/// What was decided for the session, flat.
fn hyperparameters(session: &Session<'_>) -> BTreeMap<String, HParam> {
    let settings = session.config().settings(session.settings());
    let mut all = BTreeMap::new();
    for (name, value) in crate::stage::written(&settings) {
        let value = match value {
            Value::Bool(flag) => HParam::Flag(flag),
            Value::Number(number) => HParam::Number(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => HParam::Text(text),
            other => HParam::Text(other.to_string()),
        };
        all.insert(name, value);
    }
    all
}
