//! The training and validation images as the trainer wants them.

use oculist_data::{Batch, Loader, LoaderConfig, Sampling, Split, Task};
use oculist_train::{BatchIterator, TrainConfig, TrainError, TrainingData};

use crate::config::{Config, Repeat, shared_by_views};
use crate::data::Source;
use crate::error::OculistError;

/// Training images through augmentation and loader, validation images in order.
#[derive(Debug)]
pub(crate) struct TrainingImages {
    train: Loader,
    val: Loader,
    description: String,
}

impl TrainingImages {
    /// Of `cache_bytes` of decoded images, training and validation images have their share by number.
    ///
    /// # Errors
    /// [`OculistError::Data`] for a batch size above the number of training images.
    pub(crate) fn new(
        source: &Source,
        run: &Config,
        config: &TrainConfig,
        cache_bytes: u64,
    ) -> Result<Self, OculistError> {
        let (pipeline, preprocessing) = (run.augmentation.clone(), run.preprocessing.clone());
        let (batch, workers) = (config.rows(), config.loader_workers);
        let mut train = LoaderConfig::training(batch, workers, config.seed, pipeline, preprocessing.clone());
        if run.balanced {
            train.sampling = Sampling::Balanced;
        }
        if let Some(Repeat { times, longer }) = run.repeat {
            train.sampling =
                if longer { Sampling::BatchAugment { times } } else { Sampling::Repeated { times } };
        }
        if config.consistency > 0.0 {
            let shared = shared_by_views(&run.augmentation).unwrap_or(run.augmentation.steps.len());
            train.sampling = Sampling::Views { times: config.views(), shared };
        }
        let mut val = LoaderConfig::evaluation(batch, workers, preprocessing.clone());
        let [n, of_val] = [Split::Train, Split::Val].map(|s| source.split(s).len() as u128);
        train.cache_bytes = (u128::from(cache_bytes) * n / (n + of_val).max(1)) as u64;
        val.cache_bytes = cache_bytes - train.cache_bytes;
        let description = format!(
            "{} {} {:?} {:?} {:?} {:?}",
            run.data,
            source.identity(),
            source.split(Split::Train).class_counts(),
            source.split(Split::Val).class_counts(),
            run.augmentation,
            preprocessing,
        ) + if run.balanced { " balanced" } else { "" }
            + &run.repeat.map_or(String::new(), |repeat| format!(" {repeat:?}"));
        Ok(Self {
            train: Loader::new(source.split(Split::Train).clone(), train)?,
            val: Loader::new(source.split(Split::Val).clone(), val)?,
            description,
        })
    }
}

impl TrainingData for TrainingImages {
    fn steps_per_epoch(&self) -> usize {
        self.train.batches_per_epoch()
    }

    fn epoch(&self, epoch: usize) -> Result<BatchIterator<'_>, TrainError> {
        let full = self.train.config().batch_size;
        Ok(Box::new(self.train.epoch(epoch as u64).map(move |batch| Ok(fill(batch?, full)))))
    }

    fn validation(&self) -> Result<BatchIterator<'_>, TrainError> {
        Ok(Box::new(self.val.epoch(0).map(|batch| Ok(batch?))))
    }

    fn describe(&self) -> String {
        self.description.clone()
    }

    fn task(&self) -> Task {
        self.train.subset().task()
    }
}

/// Repeats images of a batch that lost some to unreadable files, since a plan runs full batches.
pub(crate) fn fill(mut batch: Batch, full: usize) -> Batch {
    let n = batch.len();
    if n == 0 || n == full {
        return batch;
    }
    let len = batch.images.len() / n;
    let places: Vec<usize> = (0..full).map(|i| i % n).collect();
    batch.targets = batch.targets.select(&places);
    for i in 0..full - n {
        let from = i % n;
        batch.images.extend_from_within(from * len..(from + 1) * len);
        batch.indices.push(batch.indices[from]);
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_batch_is_filled_by_repeating() {
        let batch =
            Batch { images: vec![1.0, 2.0, 3.0, 4.0], targets: vec![7, 8].into(), indices: vec![0, 5] };
        let full = fill(batch.clone(), 5);
        assert_eq!(full.labels(), [7, 8, 7, 8, 7]);
        assert_eq!(full.images, [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0, 1.0, 2.0]);
        assert_eq!(fill(batch.clone(), 2), batch);
    }
}
