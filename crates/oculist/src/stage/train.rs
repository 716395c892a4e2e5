//! Trains a network of the zoo from scratch.

use oculist_report::bytes_text;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::plan::{Draft, Planned};
use super::{Expected, Stage, written};
use crate::candidate::Candidate;
use crate::config::Config;
use crate::error::OculistError;
use crate::message::{set_to, setting};
use crate::session::Session;
use crate::settings::Settings;
use crate::summary::{count_text, counted, curve};
use crate::training::Phase;
use crate::training_data::TrainingImages;
use crate::whiten::whiten;

/// Photos below which it is said that something could be carried over.
const FEW: usize = 5000;

/// Trains a network from scratch; what is not set is decided by the session, the data and the network.
///
/// The weights that are kept are those of the best epoch on validation images.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Train {
    /// Its own settings: architecture, width, and those of training.
    #[serde(flatten)]
    pub settings: Settings,
}

impl Train {
    /// A training with settings of its own.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Stage for Train {
    fn kind(&self) -> &'static str {
        "train"
    }

    fn title(&self, session: &Session<'_>, _before: &Candidate) -> String {
        let network = session.config_with(&self.settings).map_or_else(|_| String::new(), |c| c.network());
        format!("Train the baseline: {network}")
    }

    fn settings(&self) -> Map<String, Value> {
        written(&self.settings)
    }

    fn check(&self, session: &Session<'_>) -> Result<(), OculistError> {
        session.fits_memory(&session.config_with(&self.settings)?)
    }

    fn expects(&self, _before: Expected) -> Result<Expected, OculistError> {
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

    fn run(&self, session: &Session<'_>, _before: &Candidate) -> Result<Candidate, OculistError> {
        let config = session.config_with(&self.settings)?;
        let (graph, count) = begin(session, &config, &self.settings)?;
        let data = TrainingImages::new(session.source(), &config, &config.train, session.cache_bytes())?;
        let name = session.phase_name("baseline");
        let augments = !config.augmentation.steps.is_empty();
        let phase = Phase { name: &name, config: &config.train, data: &data, augments, teacher: None };
        let outcome = phase.run(session, &graph)?;
        let mut model = session.trained(outcome.graph);
        model.arch.clone_from(&config.arch);
        let mut after = Candidate::nothing().followed_by(model);
        let epochs = counted(outcome.history.len(), "epoch", "epochs");
        after.what = format!("trained {epochs}, {} of weights", bytes_text(count));
        after.name.clone_from(&name);
        after.label.clone_from(&name);
        after.kind = "baseline".into();
        after.history = curve(&name, &outcome.history, config.metric);
        Ok(after)
    }

    fn plan(&self, session: &Session<'_>, _before: &Draft) -> Result<Planned, OculistError> {
        let config = session.config_with(&self.settings)?;
        let graph = network(session, &config)?;
        let mut planned = Planned::training(session, &config, &config.train, &graph, None)?;
        planned.what = format!(
            "train {} for {}, batch {}, learning rate {:?}",
            config.network(),
            counted(config.train.epochs, "epoch", "epochs"),
            config.train.batch_size,
            config.train.lr,
        );
        planned.after = Draft { graph: Some(graph) };
        Ok(planned)
    }
}

/// The network of a configuration, with the weights that training starts from but for what the images decide.
pub(super) fn network(session: &Session<'_>, config: &Config) -> Result<oculist_graph::Graph, OculistError> {
    let mut graph = oculist_zoo::build(&config.arch, &session.build_options(config))?;
    oculist_zoo::initialize(&mut graph, config.seed);
    Ok(graph)
}

/// That network, and its bytes of weights; says how it is going to be trained. `own` are the stage's own settings.
pub(super) fn begin(
    session: &Session<'_>,
    config: &Config,
    own: &Settings,
) -> Result<(oculist_graph::Graph, u64), OculistError> {
    let mut graph = network(session, config)?;
    whiten(session, &mut graph, config)?;
    let (count, p) = (graph.cost(), &config.preprocessing);
    session.note(&format!(
        "{} parameters, {} multiply-adds per image at {}x{}x{}; {}, batch {}, learning rate {:?}",
        count_text(count.params),
        count_text(count.macs),
        p.height,
        p.width,
        p.channels(),
        counted(config.train.epochs, "epoch", "epochs"),
        config.train.batch_size,
        config.train.lr,
    ));
    let named = own.arch.as_ref().or(session.settings().arch.as_ref()).is_some();
    if !named && p.height.min(p.width) > oculist_zoo::SMALL_INPUT {
        session.note(&format!(
            "no architecture was named: {}, chosen for {} training images of this size and about a quarter of an hour on two \
             cores with AVX-512, or as little more as it takes; {}, {} and {} say otherwise",
            config.network(),
            session.source().dataset().train().len(),
            setting("arch"),
            setting("width"),
            setting("epochs"),
        ));
        if session.source().dataset().train().len() < FEW {
            session.note(&format!(
                "few photos to start from nothing: what a model for other photos has learned can be carried over ({}, see \
                 docs/transfer.md)",
                setting("from")
            ));
        }
    }
    if config.balanced && own.sampling.or(session.settings().sampling).is_none() {
        let counts = session.source().dataset().train().class_counts();
        session.note(&format!(
            "the classes are unequal ({} to {} training images): an epoch shows each equally often ({}); {} shows each image \
             once",
            counts.iter().min().unwrap_or(&0),
            counts.iter().max().unwrap_or(&0),
            set_to("sampling", "balanced"),
            set_to("sampling", "once"),
        ));
    }
    Ok((graph, count.param_bytes))
}
