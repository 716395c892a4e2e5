//! Batches in a fixed order, made by worker threads.
//!
//! Which image is in which place of which batch follows from (seed, epoch); how it is augmented from (seed,
//! epoch, index). Workers take chunks of batches in order and may finish in any order; each writes its rows
//! into the place that belongs to them. So the number of workers changes nothing but the time.

mod batch;
mod epoch;
mod worker;

pub use batch::Batch;
pub use epoch::Batches;

use crate::Subset;
use crate::error::{Error, Result};
use oculist_augment::{Pipeline, Preprocessing, Rng};
use std::sync::Arc;

/// How to make batches.
#[derive(Debug, Clone)]
pub struct LoaderConfig {
    /// Images in a batch.
    pub batch_size: usize,
    /// Threads that decode and augment; with 0 the consumer does it itself.
    pub workers: usize,
    /// Batches that may be ready or in the making before the consumer asks; at least 1.
    pub prefetch: usize,
    /// Seed of order and augmentation.
    pub seed: u64,
    /// A new order every epoch.
    pub shuffle: bool,
    /// Leave out the last batch if it is not full.
    pub drop_last: bool,
    /// The augmentation.
    pub pipeline: Pipeline,
    /// From image to input.
    pub preprocessing: Preprocessing,
    /// Largest part of unreadable images that is tolerated.
    pub max_unreadable: f64,
}

impl LoaderConfig {
    /// For training: shuffled, augmented, the last batch dropped, 3 batches ahead.
    pub fn training(
        batch_size: usize,
        workers: usize,
        seed: u64,
        pipeline: Pipeline,
        preprocessing: Preprocessing,
    ) -> Self {
        Self {
            batch_size,
            workers,
            prefetch: 3,
            seed,
            shuffle: true,
            drop_last: true,
            pipeline,
            preprocessing,
            max_unreadable: 0.05,
        }
    }

    /// For evaluation: in order, not augmented, all images.
    pub fn evaluation(batch_size: usize, workers: usize, preprocessing: Preprocessing) -> Self {
        Self {
            shuffle: false,
            drop_last: false,
            ..Self::training(batch_size, workers, 0, Pipeline::none(), preprocessing)
        }
    }
}

/// Makes batches of a subset, epoch by epoch.
#[derive(Debug, Clone)]
pub struct Loader {
    subset: Subset,
    config: Arc<LoaderConfig>,
}

impl Loader {
    /// Checks the configuration.
    ///
    /// # Errors
    /// A batch size of 0 or (when the last batch is dropped) above the number of images; a pipeline or
    /// preprocessing outside its ranges.
    pub fn new(subset: Subset, config: LoaderConfig) -> Result<Self> {
        config.pipeline.validate()?;
        config.preprocessing.validate()?;
        let wrong = |expected, found: usize| {
            Err(Error::Option { name: "batch size", expected, found: found.to_string() })
        };
        if config.batch_size == 0 {
            return wrong("at least 1", config.batch_size);
        }
        if config.drop_last && config.batch_size > subset.len() {
            return wrong("at most the number of training images", config.batch_size);
        }
        Ok(Self { subset, config: Arc::new(config) })
    }

    /// The images.
    pub fn subset(&self) -> &Subset {
        &self.subset
    }

    /// The configuration.
    pub fn config(&self) -> &LoaderConfig {
        &self.config
    }

    /// Batches in an epoch.
    pub fn batches_per_epoch(&self) -> usize {
        if self.config.drop_last {
            self.subset.len() / self.config.batch_size
        } else {
            self.subset.len().div_ceil(self.config.batch_size)
        }
    }

    /// The batches of an epoch, from the first.
    pub fn epoch(&self, epoch: u64) -> Batches {
        self.epoch_from(epoch, 0)
    }

    /// The batches of an epoch from batch `start` on: the same ones that [`epoch`](Self::epoch) gives there.
    pub fn epoch_from(&self, epoch: u64, start: usize) -> Batches {
        Batches::start(self, epoch, start)
    }

    /// The order of an epoch: place p shows image `order[p]`.
    pub fn order(&self, epoch: u64) -> Vec<u32> {
        const PURPOSE: u64 = 0x5348_5546; // "SHUF"
        let mut order: Vec<u32> = (0..self.subset.len() as u32).collect();
        if self.config.shuffle {
            Rng::keyed(&[self.config.seed, PURPOSE, epoch]).shuffle(&mut order);
        }
        order
    }

    /// All images in one batch, in order and not augmented; unreadable ones are left out.
    ///
    /// # Errors
    /// As for the batches of an epoch.
    pub fn load_all(subset: &Subset, preprocessing: &Preprocessing, workers: usize) -> Result<Batch> {
        let config = LoaderConfig::evaluation(64, workers, preprocessing.clone());
        let mut all = Batch::default();
        for batch in Self::new(subset.clone(), config)?.epoch(0) {
            let batch = batch?;
            all.images.extend_from_slice(&batch.images);
            all.labels.extend_from_slice(&batch.labels);
            all.indices.extend_from_slice(&batch.indices);
        }
        Ok(all)
    }
}
