//! One training of a stage: runs the trainer, keeps its checkpoints apart, tells its progress.

use oculist_graph::Graph;
use oculist_train::{Event, Loss, Outcome, TrainConfig, Trainer, TrainingData};

use crate::error::OculistError;
use crate::progress::Progress;
use crate::session::Session;
use crate::summary::curve;
use crate::transfer::carried::as_run;

/// What a training needs beside its graph.
pub(crate) struct Phase<'a> {
    /// Name in tables, curves and the checkpoint folder.
    pub(crate) name: &'a str,
    pub(crate) config: &'a TrainConfig,
    pub(crate) data: &'a dyn TrainingData,
    /// Whether the images are augmented.
    pub(crate) augments: bool,
    /// Whose logits are learned from.
    pub(crate) teacher: Option<&'a Graph>,
}

impl Phase<'_> {
    /// What the training loss is, in words, where it is more than the loss of the same weights on images as they are: why
    /// its curve may lie above that of the validation loss. Empty where there is no such reason.
    fn loss_text(&self) -> String {
        let config = self.config;
        let mut parts = Vec::new();
        if self.teacher.is_some() && config.distill_alpha > 0.0 {
            let share = 100.0 * config.distill_alpha;
            parts.push(format!("{share:.0}% distillation from a teacher"));
        }
        if config.loss != Loss::default() {
            parts.push("a loss other than the validation's".to_owned());
        }
        if !config.class_weights.is_empty() {
            parts.push("class weights".to_owned());
        }
        if config.label_smoothing > 0.0 {
            parts.push(format!("label smoothing {:?}", config.label_smoothing));
        }
        let mixes = config.mixup_alpha > 0.0 || config.cutmix_alpha > 0.0 || config.mosaic_probability > 0.0;
        if mixes && config.mix_probability > 0.0 {
            parts.push("mixed images".to_owned());
        }
        if config.consistency > 0.0 {
            parts.push("a consistency loss".to_owned());
        }
        if self.augments {
            parts.push("augmented images".to_owned());
        }
        if parts.is_empty() { String::new() } else { format!("with {}", parts.join(", ")) }
    }

    /// Trains `graph` and returns the weights that are kept.
    pub(crate) fn run(&self, session: &Session<'_>, graph: &Graph) -> Result<Outcome, OculistError> {
        let keeper = session.keeper();
        let checkpoints = keeper.as_ref().map(|keeper| keeper.checkpoints(self.name));
        if let Some(folder) = &checkpoints {
            std::fs::create_dir_all(folder)
                .map_err(|source| OculistError::Io { path: folder.clone(), source })?;
        }
        let teacher = self.teacher.map(as_run).transpose()?;
        let trainer = Trainer {
            engine: session.engine(),
            config: self.config,
            teacher: teacher.as_ref(),
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
                "{phase}: stopped early, no better validation {} since epoch {best_epoch}",
                session.config().metric.title()
            )),
        })?;
        let mut history = curve(phase, &outcome.history, session.config().metric);
        let loss = self.loss_text();
        for epoch in &mut history {
            epoch.loss.clone_from(&loss);
        }
        session.tell(&Progress::Trained { phase, history: &history });
        Ok(outcome)
    }
}
