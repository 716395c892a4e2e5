//! The training loop: epochs, validation, checkpoints, early stopping, resuming.

mod evaluate;
mod fingerprint;
mod record;
mod resume;
mod statistics;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use oculist_augment::mix::Shape;
use oculist_data::{Batch, Targets, Task};
use oculist_graph::Graph;
use oculist_metrics::Metric;

use crate::checkpoint::{self, RunState};
use crate::config::{Keep, TrainConfig};
use crate::engine::{Answers, Deployed, Engine, Learner, Setup, Update};
use crate::error::TrainError;
use crate::loss::Distillation;
use crate::mixing::mix_batch;
use crate::objective::{Objective, deciding_metric, objective};
use crate::schedule::Schedule;
use evaluate::{Validation, evaluate};
use fingerprint::fingerprint;
pub use record::EpochRecord;
pub(crate) use record::number_or_none;

/// The checkpoint of the last epoch.
const LAST: &str = "last.safetensors";
/// The checkpoint of the weights that are kept.
const BEST: &str = "best.safetensors";

/// Where the trainer's batches come from.
pub trait TrainingData {
    /// Full batches in one epoch; a batch has [`TrainConfig::rows`] rows.
    fn steps_per_epoch(&self) -> usize;

    /// The batches of an epoch (from 0), augmented and shuffled by the source's own seed; all of full size.
    ///
    /// # Errors
    /// [`TrainError::Data`] if the data cannot be read.
    fn epoch(&self, epoch: usize) -> Result<BatchIterator<'_>, TrainError>;

    /// The validation images in order, not augmented; the last batch may be smaller. Without any, the last weights are the
    /// best.
    ///
    /// # Errors
    /// [`TrainError::Data`] if the data cannot be read.
    fn validation(&self) -> Result<BatchIterator<'_>, TrainError>;

    /// What identifies the data in a checkpoint.
    fn describe(&self) -> String;

    /// What is to be told of an image; all batches have targets of this task.
    fn task(&self) -> Task {
        Task::SingleLabel
    }
}

/// Batches one after the other.
pub type BatchIterator<'a> = Box<dyn Iterator<Item = Result<Batch, TrainError>> + 'a>;

/// Told to the observer while training.
#[derive(Debug)]
pub enum Event<'a> {
    /// An epoch has few updates for the momentum of the batch-norm statistics: they are measured anew before each
    /// validation.
    Statistics {
        /// Training images over which they are measured.
        images: usize,
        /// Updates of an epoch.
        updates: usize,
    },
    /// Training goes on from a checkpoint.
    Resumed {
        /// Epochs done before.
        epoch: usize,
        /// Whether the checkpoint is that of the best epoch, since the one of the last is not there.
        from_best: bool,
    },
    /// A step is done.
    Step {
        /// From 1.
        epoch: usize,
        /// From 1.
        step: usize,
        /// Steps per epoch.
        steps: usize,
        /// Loss of this step.
        loss: f64,
    },
    /// An epoch is done.
    Epoch {
        /// Its record.
        record: &'a EpochRecord,
        /// All epochs.
        epochs: usize,
        /// Whether it is the best so far.
        best: bool,
        /// What decides that.
        metric: Metric,
    },
    /// Training stopped early.
    EarlyStop {
        /// The epoch that is best by the metric.
        best_epoch: usize,
    },
}

/// The result of training.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The graph with the best weights by the metric (averaged ones, if averaging is on).
    pub graph: Graph,
    /// What decided which weights are the best.
    pub metric: Metric,
    /// Its value of these weights on the validation split, in its unit.
    pub value: f64,
    /// One record per epoch.
    pub history: Vec<EpochRecord>,
}

/// One training run.
#[derive(Debug)]
pub struct Trainer<'a> {
    /// What trains.
    pub engine: &'a dyn Engine,
    /// Settings.
    pub config: &'a TrainConfig,
    /// Whose logits the student learns from.
    pub teacher: Option<&'a Graph>,
    /// Folder for `last.safetensors` and `best.safetensors`; none are written without.
    pub checkpoints: Option<PathBuf>,
    /// Whether to go on from `last.safetensors` if it exists.
    pub resume: bool,
    /// Set by a signal handler to stop after the current step.
    pub stop: &'a AtomicBool,
}

impl Trainer<'_> {
    /// Trains `graph` (its parameters are the start) and returns the best weights.
    ///
    /// # Errors
    /// [`TrainError`]: unsupported node, unreadable data, a loss that is no number, a metric that cannot be computed, an
    /// unwritable checkpoint, or [`TrainError::Stopped`].
    pub fn run(
        &self,
        graph: &Graph,
        data: &dyn TrainingData,
        observer: &mut dyn FnMut(Event<'_>),
    ) -> Result<Outcome, TrainError> {
        let config = self.config;
        config.validate()?;
        let steps = data.steps_per_epoch();
        if steps == 0 {
            return Err(TrainError::Setting {
                name: "batch_size",
                expected: "at most the number of training images",
                found: config.batch_size.to_string(),
            });
        }
        let schedule = Schedule {
            lr: config.lr,
            min_lr: config.min_lr,
            warmup: (config.warmup_epochs * steps as f32) as usize,
            total: config.epochs * steps,
        };
        let mut run = Run::new(self, graph, data)?;
        if self.resume {
            run.resume(steps, observer)?;
        }
        if run.statistics > 0 && run.state.epoch < config.epochs {
            observer(Event::Statistics { images: run.statistics * config.rows(), updates: steps });
        }
        while run.state.epoch < config.epochs {
            if config.patience > 0 && run.state.epoch >= run.state.best_epoch + config.patience {
                observer(Event::EarlyStop { best_epoch: run.state.best_epoch });
                break;
            }
            run.epoch(data, &schedule, steps, observer)?;
        }
        Ok(run.finish(graph))
    }
}

/// The state of a run in memory.
struct Run<'a> {
    trainer: &'a Trainer<'a>,
    learner: Box<dyn Learner>,
    objective: Box<dyn Objective>,
    /// What decides which weights are the best.
    metric: Metric,
    /// Batches over which batch-norm statistics are measured before a validation; 0 if the running ones do.
    statistics: usize,
    state: RunState,
    /// Weights and statistics the run would end with now; those it began with without any.
    chosen: Option<Deployed>,
}

impl<'a> Run<'a> {
    fn new(trainer: &'a Trainer<'a>, graph: &Graph, data: &dyn TrainingData) -> Result<Self, TrainError> {
        let config = trainer.config;
        if config.consistency > 0.0 && trainer.teacher.is_some() {
            return Err(TrainError::Setting {
                name: "consistency",
                expected: "0 where a teacher is learned from",
                found: config.consistency.to_string(),
            });
        }
        let learner = trainer.engine.load(graph, &Setup::of(config, trainer.teacher))?;
        let objective = objective(data.task(), config, learner.classes())?;
        let metric = deciding_metric(&*objective, config)?;
        let state = RunState {
            epoch: 0,
            step: 0,
            ema_updates: 0,
            missed: BTreeMap::new(),
            fingerprint: fingerprint(trainer, graph, data),
            best: metric.worst(),
            best_epoch: 0,
            history: Vec::new(),
        };
        let statistics = statistics::batches(learner.statistics_window(), config, data.steps_per_epoch());
        Ok(Self { trainer, learner, objective, metric, statistics, state, chosen: None })
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.trainer.checkpoints.as_ref().map(|folder| folder.join(name))
    }

    fn epoch(
        &mut self,
        data: &dyn TrainingData,
        schedule: &Schedule,
        steps: usize,
        observer: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        let config = self.trainer.config;
        let began = Instant::now();
        let epoch = self.state.epoch;
        let mut wait = Duration::ZERO;
        let (mut loss_sum, mut images, mut lr) = (0.0, 0usize, 0.0);
        let mut batches = data.epoch(epoch)?;
        for step in 0..steps {
            if self.trainer.stop.load(Ordering::Relaxed) {
                return Err(TrainError::Stopped { kept: self.kept() });
            }
            let waiting = Instant::now();
            let Some(mut batch) = batches.next().transpose()? else {
                break;
            };
            wait += waiting.elapsed();
            check_views(config, &batch)?;
            let classes = self.learner.classes();
            check_targets(&*self.objective, classes, &batch)?;
            lr = schedule.at(self.state.step as usize);
            let [height, width, channels] = self.learner.input();
            let shape = Shape { height, width, channels };
            let mixed = mix_batch(config, shape, classes, &mut batch, epoch, step)?;
            let loss = self.step(&batch, mixed.as_deref(), lr)?;
            if !loss.is_finite() {
                return Err(TrainError::NonFiniteLoss {
                    epoch: epoch + 1,
                    step: step + 1,
                    loss: loss as f32,
                    lr: config.lr,
                    kept: self.kept(),
                });
            }
            loss_sum += loss;
            images += batch.len() / config.views();
            observer(Event::Step { epoch: epoch + 1, step: step + 1, steps, loss });
        }
        drop(batches);
        let training = began.elapsed().as_secs_f64();
        self.measure_statistics(data)?;
        let Validation { images: validated, loss: val_loss, scores: val } =
            evaluate(&mut *self.learner, data)?;
        let value = val.get(self.metric);
        if value.is_none() && validated > 0 {
            return Err(TrainError::NoValue { metric: self.metric });
        }
        self.state.epoch += 1;
        let record = EpochRecord {
            epoch: self.state.epoch,
            train_loss: loss_sum / steps as f64,
            val_loss,
            val,
            lr: f64::from(lr),
            images_per_s: images as f64 / training,
            seconds: began.elapsed().as_secs_f64(),
            wait_s: wait.as_secs_f64(),
        };
        // Later epochs win ties: with a falling learning rate they are the better trained ones.
        let best = value.is_none_or(|value| !self.metric.is_better(self.state.best, value));
        if best {
            self.state.best = value.unwrap_or(f64::NAN);
            self.state.best_epoch = self.state.epoch;
        }
        let keep = best || config.keep == Keep::Last;
        if keep {
            self.chosen = Some(self.learner.deployed()?);
        }
        self.state.history.push(record.clone());
        // Before the checkpoint: who writes it down has it once the epoch is not repeated any more.
        observer(Event::Epoch { record: &record, epochs: config.epochs, best, metric: self.metric });
        self.save(keep)?;
        Ok(())
    }

    /// One update; returns the loss. A loss that is no number leaves the weights as they were.
    ///
    /// `mixed` are the targets of a mixed batch, `[batch, classes]`; without, the batch's own count.
    fn step(&mut self, batch: &Batch, mixed: Option<&[f32]>, lr: f32) -> Result<f64, TrainError> {
        let config = self.trainer.config;
        let seed = config.seed ^ self.state.step.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let update = Update { lr, seed, epoch: self.state.epoch };
        let objective = &*self.objective;
        let mut loss = |answers: Answers<'_>, gradient: &mut [f32]| {
            let teacher = answers.teacher.map(|logits| Distillation {
                logits,
                alpha: config.distill_alpha,
                temperature: config.distill_temperature,
            });
            objective.loss_and_gradient(&batch.targets, mixed, teacher.as_ref(), answers.logits, gradient)
        };
        let loss = self.learner.step(&batch.images, update, &mut loss)?;
        if loss.is_finite() {
            self.state.step += 1;
            self.state.ema_updates += u64::from(self.learner.form().averaged);
        }
        Ok(loss)
    }

    fn save(&self, keep: bool) -> Result<(), TrainError> {
        // What is kept is written first: a crash in between leaves `last` one epoch behind, and that epoch, repeated,
        // gives the same weights again.
        let Some((last, best)) = self.path(LAST).zip(self.path(BEST)) else { return Ok(()) };
        let state = self.learner.state()?;
        let run = RunState { missed: state.missed.clone(), ..self.state.clone() };
        if let (true, Some(kept)) = (keep, &self.chosen) {
            checkpoint::save(&best, &run, &checkpoint::with_kept(&state, kept))?;
        }
        checkpoint::save(&last, &run, &state.parts())
    }

    fn kept(&self) -> String {
        match (self.path(LAST), self.state.epoch) {
            (Some(path), epoch) if epoch > 0 => format!(" ({}, epoch {epoch})", path.display()),
            _ => " (none yet: no epoch was finished)".into(),
        }
    }

    fn finish(self, graph: &Graph) -> Outcome {
        let mut trained = graph.clone();
        if let Some(chosen) = self.chosen {
            chosen.store(&mut trained);
        }
        let metric = self.metric;
        let last = self.state.history.last().and_then(|record| record.val.get(metric));
        let value = match self.trainer.config.keep {
            Keep::Best => self.state.best,
            Keep::Last => last.unwrap_or(self.state.best),
        };
        Outcome { graph: trained, metric, value, history: self.state.history }
    }
}

/// With the consistency loss, the views of an image must stand in a row: anything else would be learned from silently.
fn check_views(config: &TrainConfig, batch: &Batch) -> Result<(), TrainError> {
    let in_rows = batch
        .indices
        .chunks(config.views())
        .all(|views| views.len() == config.views() && views.iter().all(|view| *view == views[0]));
    if in_rows {
        return Ok(());
    }
    Err(TrainError::Setting {
        name: "consistency",
        expected: "used with data that give three views of each image in a row",
        found: format!("a batch of the images {:?}", batch.indices),
    })
}

/// Refuses targets that are not of the objective's task, or of other classes than the network has.
pub(crate) fn check_targets(
    objective: &dyn Objective,
    classes: usize,
    batch: &Batch,
) -> Result<(), TrainError> {
    let task = batch.targets.task();
    if task != objective.task() {
        return Err(TrainError::Setting {
            name: "the targets of a batch",
            expected: "of the task that the data say",
            found: format!("{task} for {}", objective.task()),
        });
    }
    match &batch.targets {
        Targets::Labels(sets) if sets.classes() != classes => Err(TrainError::Setting {
            name: "the targets of a batch",
            expected: "of as many classes as the network has",
            found: format!("{} for {classes}", sets.classes()),
        }),
        _ => Ok(()),
    }
}
