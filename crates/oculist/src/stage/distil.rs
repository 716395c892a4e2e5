//! Trains another network with the model before it as its teacher.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::plan::{Draft, Planned};
use super::train::{begin, network};
use super::{Expected, Stage, written};
use crate::candidate::Candidate;
use crate::error::OculistError;
use crate::session::Session;
use crate::settings::Settings;
use crate::summary::{counted, curve};
use crate::training::Phase;
use crate::training_data::TrainingImages;

/// Trains a network from scratch that learns from the answers of the model before it beside the labels.
///
/// The student is the network that its settings name by `arch` and `width`. Its loss is
/// `(1 - alpha) CE + alpha T^2 KL` with `alpha = 0.7` and `T = 3`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Distil {
    /// Its own settings: the student's architecture and width, and those of training.
    #[serde(flatten)]
    pub settings: Settings,
}

impl Distil {
    /// A distillation into a student that the settings name.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Stage for Distil {
    fn kind(&self) -> &'static str {
        "distil"
    }

    fn title(&self, session: &Session<'_>, _before: &Candidate) -> String {
        let network = session.config_with(&self.settings).map_or_else(|_| String::new(), |c| c.network());
        format!("Distil into {network}")
    }

    fn settings(&self) -> Map<String, Value> {
        written(&self.settings)
    }

    fn check(&self, session: &Session<'_>) -> Result<(), OculistError> {
        let config = session.config_with(&self.settings)?;
        if config.train.consistency > 0.0 {
            return Err(OculistError::Stage {
                stage: self.kind().into(),
                problem: "consistency: expected 0 where a teacher is learned from".into(),
            });
        }
        session.fits_memory(&config)
    }

    fn expects(&self, before: Expected) -> Result<Expected, OculistError> {
        before.model_for(self.kind())?;
        Ok(Expected::F32)
    }

    fn leaves(
        &self,
        _session: &Session<'_>,
        _before: Option<String>,
    ) -> Result<Option<String>, OculistError> {
        // Another network.
        Ok(None)
    }

    fn trainings(&self, _session: &Session<'_>) -> usize {
        1
    }

    fn run(&self, session: &Session<'_>, before: &Candidate) -> Result<Candidate, OculistError> {
        // Of a quantised model the one that it was made of: rounding has no gradient, and it knows as much.
        let before = before.in_f32();
        let teacher = before.model_for(self.kind())?;
        let config = session.config_with(&self.settings)?;
        let (graph, _) = begin(session, &config, &self.settings)?;
        let data = TrainingImages::new(session.source(), &config, &config.train, session.cache_bytes())?;
        let name = session.phase_name(self.kind());
        let augments = !config.augmentation.steps.is_empty();
        let teaches = Some(&teacher.graph);
        let phase = Phase { name: &name, config: &config.train, data: &data, augments, teacher: teaches };
        let outcome = phase.run(session, &graph)?;
        let mut model = teacher.with_graph(outcome.graph);
        model.arch.clone_from(&config.arch);
        let mut after = before.followed_by(model);
        after.history = curve(&name, &outcome.history, config.metric);
        after.name = format!("distilled into {}", config.network());
        after.label = name;
        after.kind = "distilled".into();
        after.keep = None;
        after.widths.clear();
        after.what = format!(
            "{} learned from {} for {}",
            config.network(),
            before.name,
            counted(after.history.len(), "epoch", "epochs")
        );
        Ok(after)
    }

    fn plan(&self, session: &Session<'_>, before: &Draft) -> Result<Planned, OculistError> {
        let config = session.config_with(&self.settings)?;
        let graph = network(session, &config)?;
        let mut planned = Planned::training(session, &config, &config.train, &graph, before.graph.as_ref())?;
        planned.what = format!(
            "distil into {} for {}",
            config.network(),
            counted(config.train.epochs, "epoch", "epochs")
        );
        planned.after = Draft { graph: Some(graph) };
        Ok(planned)
    }
}
