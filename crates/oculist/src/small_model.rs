//! A small network trained from scratch to judge labels and augmentations, not to be kept.

use std::sync::Arc;

use oculist_data::{Loader, LoaderConfig, Subset};
use oculist_graph::Graph;
use oculist_runtime::Context;
use oculist_train::{BatchIterator, Cpu, Event, TrainConfig, TrainError, Trainer, TrainingData};
use oculist_zoo::BuildOptions;

use crate::config::Config;
use crate::data::{Source, facts};
use crate::error::OculistError;
use crate::progress::{Progress, Watch, go_on};
use crate::settings::{SamplingName, Settings};
use crate::training_data::fill;

/// The smallest network of the zoo.
pub(crate) const ARCH: &str = "resnet8";
/// Photos are judged at this side at the most.
const SIDE: usize = 64;

/// How long a model is trained.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Length {
    /// So many epochs.
    Epochs(usize),
    /// So many that there are this many updates, but 4 to 40.
    Updates(usize),
}

/// How to train on `train` images of this source.
///
/// # Errors
/// As for [`Config::resolve`].
pub(crate) fn recipe(
    source: &Source,
    settings: &Settings,
    train: usize,
    length: Length,
) -> Result<Config, OculistError> {
    let mut facts = facts(source, settings)?;
    if settings.image_size.is_none() && facts.preprocessing.height.max(facts.preprocessing.width) > SIDE {
        let smaller = Settings { image_size: Some(SIDE), ..settings.clone() };
        facts = crate::data::facts(source, &smaller)?;
    }
    facts.train = train;
    let epochs = match length {
        Length::Epochs(epochs) => Some(epochs),
        Length::Updates(_) => None,
    };
    // Probabilities are judged by themselves, so that they must be those of the labels.
    let sampling = settings.sampling.or(Some(SamplingName::Once));
    let settings = Settings { arch: Some(ARCH.into()), epochs, sampling, ..settings.clone() };
    let mut recipe = Config::resolve(&settings, &facts)?;
    if let Length::Updates(updates) = length {
        let steps = (facts.train / recipe.train.batch_size).max(1);
        recipe.train.epochs = updates.div_ceil(steps).clamp(4, 40);
        recipe.train.warmup_epochs = 0.5;
    }
    Ok(recipe)
}

/// Training images without validation: the last weights are taken, so that no judged label decides anything.
struct Fold {
    loader: Loader,
}

impl TrainingData for Fold {
    fn steps_per_epoch(&self) -> usize {
        self.loader.batches_per_epoch()
    }

    fn epoch(&self, epoch: usize) -> Result<BatchIterator<'_>, TrainError> {
        let full = self.loader.config().batch_size;
        Ok(Box::new(self.loader.epoch(epoch as u64).map(move |batch| Ok(fill(batch?, full)))))
    }

    fn validation(&self) -> Result<BatchIterator<'_>, TrainError> {
        Ok(Box::new(std::iter::empty()))
    }

    fn describe(&self) -> String {
        String::new()
    }
}

/// Trains a network from scratch; `offset` is added to the seed. The last weights are taken.
///
/// # Errors
/// [`OculistError::Train`]; [`OculistError::Stopped`].
pub(crate) fn train(
    images: &Subset,
    recipe: &Config,
    ctx: &Arc<Context>,
    offset: usize,
    what: &str,
    watch: &mut Watch<'_>,
) -> Result<Graph, OculistError> {
    let p = &recipe.preprocessing;
    let mut graph =
        oculist_zoo::build(ARCH, &BuildOptions::new(images.classes(), (p.channels(), p.height, p.width)))?;
    let seed = recipe.seed.wrapping_add(offset as u64);
    oculist_zoo::initialize(&mut graph, seed);
    let config =
        TrainConfig { seed, batch_size: recipe.train.batch_size.min(images.len()), ..recipe.train.clone() };
    let loader = LoaderConfig {
        max_unreadable: 1.0,
        ..LoaderConfig::training(
            config.batch_size,
            config.loader_workers,
            seed,
            recipe.augmentation.clone(),
            p.clone(),
        )
    };
    let data = Fold { loader: Loader::new(images.clone(), loader)? };
    let trainer = Trainer {
        engine: &Cpu::new(ctx.clone()),
        config: &config,
        teacher: None,
        checkpoints: None,
        resume: false,
        stop: watch.stop,
    };
    let epochs = config.epochs;
    let observer = &mut *watch.observer;
    let outcome = trainer.run(&graph, &data, &mut |event| {
        if let Event::Step { epoch, step, steps, .. } = event {
            let (done, total) = ((epoch - 1) * steps + step, epochs * steps);
            observer(Progress::Work { what, done, total });
        }
    });
    go_on(watch.stop)?;
    Ok(outcome?.graph)
}
