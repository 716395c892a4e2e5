//! Images as the network sees them, for evaluation and calibration: read once if they fit, again each time if not.

use std::sync::atomic::AtomicBool;

use oculist_augment::Preprocessing;
use oculist_data::{Loader, LoaderConfig, Subset};

use crate::error::OculistError;
use crate::progress::go_on;

/// Preprocessed images are kept in memory up to this many bytes.
const KEEP_BYTES: usize = 400_000_000;
/// Images per batch while reading.
const READ_BATCH: usize = 64;

/// A list of labelled, preprocessed images.
#[derive(Debug)]
pub struct Images {
    labels: Vec<u32>,
    image_len: usize,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// All of them, dense `[n, height, width, channels]`.
    Memory(Vec<f32>),
    /// Read again for every pass. Images that were unreadable in the first pass are left out in all.
    Files(Loader),
}

impl Images {
    /// Reads (or looks through) all images of a subset; unreadable ones are left out.
    ///
    /// # Errors
    /// [`OculistError::Data`] if too many are unreadable, or there is none.
    pub fn load(
        subset: &Subset,
        preprocessing: &Preprocessing,
        threads: usize,
    ) -> Result<Self, OculistError> {
        Self::load_until(subset, preprocessing, threads, &AtomicBool::new(false))
    }

    /// As [`Images::load`], given up between two batches once `stop` is set.
    pub(crate) fn load_until(
        subset: &Subset,
        preprocessing: &Preprocessing,
        threads: usize,
        stop: &AtomicBool,
    ) -> Result<Self, OculistError> {
        let image_len = preprocessing.len();
        let in_memory = subset.len() * image_len * size_of::<f32>() <= KEEP_BYTES;
        let loader = |subset: Subset| {
            Loader::new(subset, LoaderConfig::evaluation(READ_BATCH, threads, preprocessing.clone()))
        };
        let (mut images, mut labels, mut readable) = (Vec::new(), Vec::new(), Vec::new());
        for batch in loader(subset.clone())?.epoch(0) {
            go_on(stop)?;
            let batch = batch?;
            if in_memory {
                images.extend_from_slice(&batch.images);
                labels.extend_from_slice(&batch.labels);
            }
            readable.extend(batch.indices);
        }
        if readable.is_empty() {
            return Err(oculist_data::Error::NothingReadable { images: subset.len() }.into());
        }
        if in_memory {
            return Ok(Self { labels, image_len, source: Source::Memory(images) });
        }
        // That pass found out what can be read, so that every later one has the same images in the same order.
        let subset = subset.select(&readable)?;
        Ok(Self { labels: subset.labels().to_vec(), image_len, source: Source::Files(loader(subset)?) })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The true class of each image.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// About `count` images at equal distances, in order; all of them if there are no more.
    ///
    /// # Errors
    /// [`OculistError::Data`] if images that are not in memory cannot be read.
    pub fn some(&self, count: usize) -> Result<Self, OculistError> {
        let n = count.min(self.len());
        let chosen: Vec<usize> = (0..n).map(|i| i * self.len() / n).collect();
        let labels = chosen.iter().map(|&i| self.labels[i]).collect();
        let source = match &self.source {
            Source::Memory(all) => {
                let one = |&i: &usize| &all[i * self.image_len..(i + 1) * self.image_len];
                Source::Memory(chosen.iter().flat_map(one).copied().collect())
            }
            Source::Files(loader) => {
                let subset = loader.subset().select(&chosen)?;
                Source::Files(Loader::new(subset, loader.config().clone())?)
            }
        };
        Ok(Self { labels, image_len: self.image_len, source })
    }

    /// Hands out all images in order, up to `batch` at a time, dense `[n, height, width, channels]`.
    ///
    /// # Errors
    /// What `body` returns; [`OculistError::Data`] if an image that was readable is not any more.
    pub fn for_each_batch(
        &self,
        batch: usize,
        body: &mut dyn FnMut(&[f32]) -> Result<(), OculistError>,
    ) -> Result<(), OculistError> {
        match &self.source {
            Source::Memory(all) => all.chunks(batch * self.image_len).try_for_each(body),
            Source::Files(loader) => {
                let mut seen = 0;
                for read in loader.epoch(0) {
                    let read = read?;
                    seen += read.len();
                    read.images.chunks(batch * self.image_len).try_for_each(&mut *body)?;
                }
                if seen == self.len() {
                    return Ok(());
                }
                Err(OculistError::Option {
                    option: "DATA".into(),
                    problem: format!(
                        "{} images became unreadable while the run was going on",
                        self.len() - seen
                    ),
                })
            }
        }
    }
}
