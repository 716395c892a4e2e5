//! Trains on from the weights that a model has.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::plan::{Draft, Planned};
use super::{Expected, Stage, written};
use crate::candidate::Candidate;
use crate::config::Config;
use crate::error::OculistError;
use crate::session::Session;
use crate::settings::Settings;
use crate::summary::{counted, curve};
use crate::training::Phase;
use crate::training_data::TrainingImages;

/// Whose answers a fine-tuning learns from beside the labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Teacher {
    /// The first complete model of the recipe; nobody's if that is the model itself.
    #[default]
    Baseline,
    /// Nobody's.
    None,
}

/// Trains a model on, by default with the baseline as its teacher and for a third of the epochs of training.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FineTune {
    /// Whose answers are learned from; the session's teacher if it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<Teacher>,
    /// Its own settings, those of training; `epochs` are its own.
    #[serde(flatten)]
    pub settings: Settings,
}

impl FineTune {
    /// A fine-tuning with settings of its own.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// With another teacher.
    #[must_use]
    pub fn with_teacher(mut self, teacher: Teacher) -> Self {
        self.teacher = Some(teacher);
        self
    }

    fn config(&self, session: &Session<'_>) -> Result<Config, OculistError> {
        let mut own = self.settings.clone();
        // Its epochs are those of fine-tuning; the schedule of training stays the session's.
        own.finetune_epochs = own.epochs.take().or(own.finetune_epochs);
        session.config_with(&own)
    }

    fn teacher(&self, session: &Session<'_>) -> Teacher {
        self.teacher.unwrap_or(session.config().compression.teacher)
    }

    fn teaches(&self, session: &Session<'_>, before: &Candidate) -> bool {
        let differs = before.baseline().is_some_and(|baseline| {
            baseline.graph().map(std::ptr::from_ref) != before.graph().map(std::ptr::from_ref)
        });
        self.teacher(session) == Teacher::Baseline && differs
    }
}

impl Stage for FineTune {
    fn kind(&self) -> &'static str {
        "fine-tune"
    }

    fn title(&self, session: &Session<'_>, before: &Candidate) -> String {
        if self.teaches(session, before) { "Fine-tune with distillation" } else { "Fine-tune" }.into()
    }

    fn settings(&self) -> Map<String, Value> {
        written(self)
    }

    fn check(&self, session: &Session<'_>) -> Result<(), OculistError> {
        self.config(session).map(drop)
    }

    fn expects(&self, before: Expected) -> Result<Expected, OculistError> {
        before.f32_for(self.kind())
    }

    fn trains_what_it_is_given(&self) -> bool {
        true
    }

    fn trainings(&self, _session: &Session<'_>) -> usize {
        1
    }

    fn run(&self, session: &Session<'_>, before: &Candidate) -> Result<Candidate, OculistError> {
        let before = before.in_f32();
        let model = before.model_for(self.kind())?;
        let config = self.config(session)?;
        let data = TrainingImages::new(session.source(), &config, &config.finetune, session.cache_bytes())?;
        let wanted = if before.complete { self.kind() } else { before.label.as_str() };
        let name = session.phase_name(wanted);
        let teacher = before.baseline().filter(|_| self.teaches(session, before)).and_then(Candidate::graph);
        let augments = !config.augmentation.steps.is_empty();
        let tuned = config.tuning.apply(&model.graph, &config.finetune)?;
        let phase = Phase { name: &name, config: &tuned.train, data: &data, augments, teacher };
        let outcome = phase.run(session, &tuned.graph)?;
        let mut graph = tuned.finish(outcome.graph)?;
        session.mark_trained(&mut graph);
        let mut after = before.followed_by(model.with_graph(graph));
        after.label.clone_from(&name);
        after.history = curve(&name, &outcome.history, config.metric);
        if before.complete {
            after.name = format!("{}, fine-tuned", before.name);
            after.kind = if before.keep.is_some() { "pruned" } else { "fine-tuned" }.into();
            let epochs = counted(after.history.len(), "epoch", "epochs");
            after.what = format!("fine-tuned for {epochs}{}", config.tuning.words());
        }
        Ok(after)
    }

    fn plan(&self, session: &Session<'_>, before: &Draft) -> Result<Planned, OculistError> {
        let config = self.config(session)?;
        let epochs = counted(config.finetune.epochs, "epoch", "epochs");
        let mut planned = match &before.graph {
            Some(graph) => {
                let teacher = (self.teacher(session) == Teacher::Baseline).then_some(graph);
                Planned::training(session, &config, &config.finetune, graph, teacher)?
            }
            None => Planned::new(before.clone()),
        };
        planned.what = format!("fine-tune for {epochs}{}", config.tuning.words());
        planned.after = before.clone();
        Ok(planned)
    }
}
