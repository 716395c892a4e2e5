//! One training phase of a recipe: runs the trainer, keeps its checkpoints apart, tells its progress.

use std::path::PathBuf;
use std::sync::Arc;

use oculist_graph::Graph;
use oculist_runtime::Context;
use oculist_train::{Event, Outcome, TrainConfig, Trainer, TrainingData};

use crate::error::OculistError;
use crate::progress::{Progress, Watch};

/// What a phase needs beside its graph.
pub(crate) struct Phase<'a> {
    /// Name in tables, curves and the checkpoint folder.
    pub(crate) name: &'a str,
    pub(crate) ctx: &'a Arc<Context>,
    pub(crate) config: &'a TrainConfig,
    pub(crate) data: &'a dyn TrainingData,
    /// Whose logits are learned from.
    pub(crate) teacher: Option<&'a Graph>,
    /// Folder of the checkpoints.
    pub(crate) checkpoints: PathBuf,
    pub(crate) resume: bool,
}

impl Phase<'_> {
    /// Trains `graph` and returns the weights that are kept.
    pub(crate) fn run(&self, graph: &Graph, watch: &mut Watch<'_>) -> Result<Outcome, OculistError> {
        std::fs::create_dir_all(&self.checkpoints)
            .map_err(|source| OculistError::Io { path: self.checkpoints.clone(), source })?;
        let trainer = Trainer {
            ctx: self.ctx.clone(),
            config: self.config,
            teacher: self.teacher,
            checkpoints: Some(self.checkpoints.clone()),
            resume: self.resume,
            stop: watch.stop,
        };
        let (phase, epochs) = (self.name, self.config.epochs);
        let observer = &mut *watch.observer;
        let outcome = trainer.run(graph, self.data, &mut |event| match event {
            Event::Resumed { epoch, from_best } => {
                let from = if from_best { ", the best so far, as the last is not there" } else { "" };
                observer(Progress::Note(&format!("{phase}: going on after epoch {epoch} of {epochs}{from}").into()));
            }
            Event::Statistics { images, updates } => observer(Progress::Note(&format!(
                "{phase}: {updates} updates an epoch are few for running batch-norm statistics: before each validation \
                 they are measured over {images} training images"
            ).into())),
            Event::Step { epoch, step, steps, loss } => {
                observer(Progress::TrainStep { phase, epoch, epochs, step, steps, loss });
            }
            Event::Epoch { record, epochs, best } => {
                observer(Progress::Epoch { phase, record, epochs, best });
            }
            Event::EarlyStop { best_epoch } => observer(Progress::Note(&format!(
                "{phase}: stopped early, no better validation top-1 since epoch {best_epoch}"
            ).into())),
        })?;
        Ok(outcome)
    }
}
