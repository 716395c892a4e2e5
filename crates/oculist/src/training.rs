//! One training of a stage: runs the trainer, keeps its checkpoints apart, tells its progress.

use oculist_graph::Graph;
use oculist_train::{Event, Outcome, TrainConfig, Trainer, TrainingData};

use crate::error::OculistError;
use crate::progress::Progress;
use crate::session::Session;
use crate::summary::curve;

/// What a training needs beside its graph.
pub(crate) struct Phase<'a> {
    /// Name in tables, curves and the checkpoint folder.
    pub(crate) name: &'a str,
    pub(crate) config: &'a TrainConfig,
    pub(crate) data: &'a dyn TrainingData,
    /// Whose logits are learned from.
    pub(crate) teacher: Option<&'a Graph>,
}

impl Phase<'_> {
    /// Trains `graph` and returns the weights that are kept.
    pub(crate) fn run(&self, session: &Session<'_>, graph: &Graph) -> Result<Outcome, OculistError> {
        let keeper = session.keeper();
        let checkpoints = keeper.as_ref().map(|keeper| keeper.checkpoints(self.name));
        if let Some(folder) = &checkpoints {
            std::fs::create_dir_all(folder)
                .map_err(|source| OculistError::Io { path: folder.clone(), source })?;
        }
        let trainer = Trainer {
            engine: session.engine(),
            config: self.config,
            teacher: self.teacher,
            checkpoints,
            resume: keeper.is_some_and(|keeper| keeper.resumes()),
            stop: session.stop(),
        };
        let (phase, epochs) = (self.name, self.config.epochs);
        let outcome = trainer.run(graph, self.data, &mut |event| match event {
            Event::Resumed { epoch, from_best } => {
                let from = if from_best { ", the best so far, as the last is not there" } else { "" };
                session.note(&format!("{phase}: going on after epoch {epoch} of {epochs}{from}"));
            }
            Event::Statistics { images, updates } => session.note(&format!(
                "{phase}: {updates} updates an epoch are few for running batch-norm statistics: before each validation \
                 they are measured over {images} training images"
            )),
            Event::Step { epoch, step, steps, loss } => {
                session.tell(&Progress::TrainStep { phase, epoch, epochs, step, steps, loss });
            }
            Event::Epoch { record, epochs, best, metric } => {
                session.tell(&Progress::Epoch { phase, record, epochs, best, metric });
            }
            Event::EarlyStop { best_epoch } => session.note(&format!(
                "{phase}: stopped early, no better validation top-1 since epoch {best_epoch}"
            )),
        })?;
        session.tell(&Progress::Trained {
            phase,
            history: &curve(phase, &outcome.history, session.config().metric),
        });
        Ok(outcome)
    }
}
