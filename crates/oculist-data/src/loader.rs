//! Batches in a fixed order, made by worker threads.
//!
//! Which image is in which place of which batch follows from (seed, epoch); how it is augmented from (seed,
//! epoch, index). Workers take chunks of batches in order and may finish in any order; each writes its rows
//! into the place that belongs to them. So the number of workers changes nothing but the time. Where an epoch
//! shows an image several times ([`Sampling`]), the number of the repeat is part of the augmentation's key.
//!
//! Where augmentation begins with a crop, its parameters are drawn before the image is decoded, and of JPEG files only
//! what the crop needs is decoded: the same numbers, bit for bit, in less time.

mod batch;
mod cache;
mod epoch;
mod sampling;
mod worker;

pub use batch::Batch;
pub use epoch::Batches;
pub use sampling::Sampling;

use crate::error::{Error, Result};
use crate::{Subset, Targets, Task};
use cache::Cache;
use oculist_augment::{Pipeline, Preprocessing};
use sampling::Place;
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
    /// Which images an epoch shows, and how often; all but [`Sampling::Once`] need `shuffle`.
    pub sampling: Sampling,
    /// Leave out the last batch if it is not full.
    pub drop_last: bool,
    /// The augmentation.
    pub pipeline: Pipeline,
    /// From image to input.
    pub preprocessing: Preprocessing,
    /// Largest part of unreadable images that is tolerated.
    pub max_unreadable: f64,
    /// Bytes of decoded images kept from one epoch to the next; 0 keeps none.
    pub cache_bytes: u64,
    /// Decode JPEG files at 1/2, 1/4 or 1/8 of their size where the first step makes them smaller still; see
    /// [`Preprocessing::reading`]. This changes pixels a little. With a cache it is not done, as what is kept are whole images.
    pub reduce: bool,
}

impl LoaderConfig {
    /// For training: every image once, shuffled, augmented, the last batch dropped, 3 batches ahead, no cache.
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
            sampling: Sampling::Once,
            cache_bytes: 0,
            reduce: true,
        }
    }

    /// For evaluation: in order, not augmented, all images, none decoded at a reduced size.
    pub fn evaluation(batch_size: usize, workers: usize, preprocessing: Preprocessing) -> Self {
        Self {
            shuffle: false,
            drop_last: false,
            reduce: false,
            ..Self::training(batch_size, workers, 0, Pipeline::none(), preprocessing)
        }
    }

    /// Whether images may be decoded at a reduced size.
    fn reduces(&self) -> bool {
        self.reduce && self.cache_bytes == 0
    }
}

/// Makes batches of a subset, epoch by epoch.
#[derive(Debug, Clone)]
pub struct Loader {
    subset: Subset,
    config: Arc<LoaderConfig>,
    cache: Arc<Cache>,
}

impl Loader {
    /// Images that one worker makes at a time.
    pub const CHUNK: usize = worker::CHUNK;

    /// Checks the configuration.
    ///
    /// # Errors
    /// A batch size of 0 or (when the last batch is dropped) above the number of places in an epoch; one that
    /// is no multiple of `times`, where images are repeated; `times` of 0; a sampling other than
    /// [`Sampling::Once`] without `shuffle`; [`Sampling::Balanced`] where images have several labels; a pipeline or preprocessing outside its ranges.
    pub fn new(subset: Subset, config: LoaderConfig) -> Result<Self> {
        config.pipeline.validate()?;
        config.preprocessing.validate()?;
        let wrong = |expected, found: usize| {
            Err(Error::Option { name: "batch size", expected, found: found.to_string() })
        };
        if config.batch_size == 0 {
            return wrong("at least 1", config.batch_size);
        }
        let times = config.sampling.times();
        if times == 0 || times > u32::MAX as usize {
            return Err(Error::Option {
                name: "times",
                expected: "at least 1 and below 2^32",
                found: times.to_string(),
            });
        }
        if !config.batch_size.is_multiple_of(times) {
            return wrong("a multiple of the times that each image is repeated", config.batch_size);
        }
        if config.sampling != Sampling::Once && !config.shuffle {
            return Err(Error::Option {
                name: "sampling",
                expected: "once where the order is not random",
                found: format!("{:?}", config.sampling),
            });
        }
        if config.sampling == Sampling::Balanced && subset.task() != Task::SingleLabel {
            return Err(Error::Option {
                name: "sampling",
                expected: "one that takes no turns of classes where images have several labels",
                found: format!("{:?}", config.sampling),
            });
        }
        if config.drop_last && config.batch_size > config.sampling.places(subset.len()) {
            return wrong("at most the number of training images", config.batch_size);
        }
        let cache = Arc::new(Cache::new(&subset, config.cache_bytes));
        Ok(Self { subset, config: Arc::new(config), cache })
    }

    /// The images.
    pub fn subset(&self) -> &Subset {
        &self.subset
    }

    /// The configuration.
    pub fn config(&self) -> &LoaderConfig {
        &self.config
    }

    /// Places in an epoch, before the last batch is dropped; see [`Sampling`].
    pub fn places_per_epoch(&self) -> usize {
        self.config.sampling.places(self.subset.len())
    }

    /// Batches in an epoch.
    pub fn batches_per_epoch(&self) -> usize {
        if self.config.drop_last {
            self.places_per_epoch() / self.config.batch_size
        } else {
            self.places_per_epoch().div_ceil(self.config.batch_size)
        }
    }

    /// Bytes of decoded images held in the cache now.
    pub fn cached_bytes(&self) -> usize {
        self.cache.bytes()
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
        self.places(epoch).into_iter().map(|place| place.index).collect()
    }

    fn places(&self, epoch: u64) -> Vec<Place> {
        let LoaderConfig { sampling, seed, shuffle, .. } = *self.config;
        sampling.order(&self.subset, seed, epoch, shuffle)
    }

    /// All images in one batch, in order and not augmented; unreadable ones are left out.
    ///
    /// # Errors
    /// As for the batches of an epoch.
    pub fn load_all(subset: &Subset, preprocessing: &Preprocessing, workers: usize) -> Result<Batch> {
        let config = LoaderConfig::evaluation(64, workers, preprocessing.clone());
        let targets = Targets::none(subset.task(), subset.classes());
        let mut all = Batch { targets, ..Batch::default() };
        for batch in Self::new(subset.clone(), config)?.epoch(0) {
            let batch = batch?;
            all.images.extend_from_slice(&batch.images);
            all.targets.extend(&batch.targets)?;
            all.indices.extend_from_slice(&batch.indices);
        }
        Ok(all)
    }
}
