//! Images as the network sees them, for evaluation and calibration: read once if they fit, again each time if not.

use std::sync::atomic::AtomicBool;

use oculist_augment::Preprocessing;
use oculist_data::{Loader, LoaderConfig, Subset, Targets};
use oculist_kernels::try_zeros;

use crate::error::{OculistError, wrong};
use crate::evaluate::BATCH;
use crate::progress::go_on;

/// Preprocessed images are kept in memory up to this many bytes.
const KEEP_BYTES: usize = 400_000_000;
/// Images per batch while reading.
const READ_BATCH: usize = 64;
/// Where the batches that are read ahead would take more bytes than this, fewer and smaller ones are.
const AHEAD_BYTES: usize = 1 << 30;

/// How images are read for evaluation, up to `batch` at a time.
pub(crate) fn reading(preprocessing: &Preprocessing, batch: usize, threads: usize) -> LoaderConfig {
    let mut config = LoaderConfig::evaluation(batch, threads, preprocessing.clone());
    if ahead_bytes(&config) > AHEAD_BYTES {
        config.batch_size = batch.min(BATCH);
        config.prefetch = 1;
    }
    config
}

/// Images' worth of f32 that making one takes beside the result: what was decoded, and what is resized from it.
const IN_WORK: usize = 2;

/// Bytes that a single image takes on its way from the file into a network.
pub(crate) fn image_bytes(preprocessing: &Preprocessing) -> usize {
    preprocessing.len().saturating_mul(size_of::<f32>()).saturating_mul(1 + IN_WORK)
}

/// Bytes of the batches that a loader holds at once: those in the making, the one in use, and what every worker fills.
pub(crate) fn ahead_bytes(config: &LoaderConfig) -> usize {
    let image = config.preprocessing.len().saturating_mul(size_of::<f32>());
    let batches = config.batch_size.saturating_mul(config.prefetch.max(1) + 1);
    let rows = config.workers.max(1).saturating_mul(config.batch_size.min(Loader::CHUNK) + IN_WORK);
    image.saturating_mul(batches.saturating_add(rows))
}

/// Bytes that reading images for evaluation takes.
pub(crate) fn reading_bytes(preprocessing: &Preprocessing, threads: usize) -> usize {
    ahead_bytes(&reading(preprocessing, READ_BATCH, threads))
}

/// A list of labelled, preprocessed images.
#[derive(Debug)]
pub struct Images {
    targets: Targets,
    image_len: usize,
    /// The images that can be read, for their names.
    subset: Subset,
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
        let needed = subset.len().saturating_mul(image_len).saturating_mul(size_of::<f32>());
        let in_memory = needed <= KEEP_BYTES;
        let loader = |subset: Subset| Loader::new(subset, reading(preprocessing, READ_BATCH, threads));
        let (mut images, mut readable) = (Vec::new(), Vec::new());
        if in_memory {
            let what = format!("keeping {} images", subset.len());
            images = try_zeros(subset.len() * image_len, &what)?;
            images.clear();
        }
        for batch in loader(subset.clone())?.epoch(0) {
            go_on(stop)?;
            let batch = batch?;
            if in_memory {
                images.extend_from_slice(&batch.images);
            }
            readable.extend(batch.indices);
        }
        if readable.is_empty() {
            return Err(oculist_data::Error::NothingReadable { images: subset.len() }.into());
        }
        // That pass found out what can be read, so that every later one has the same images in the same order.
        let subset = subset.select(&readable)?;
        let targets = subset.targets().clone();
        if in_memory {
            return Ok(Self { targets, image_len, subset, source: Source::Memory(images) });
        }
        Ok(Self { targets, image_len, source: Source::Files(loader(subset.clone())?), subset })
    }

    /// Image i as errors name it: its file, or its name in the data set.
    pub(crate) fn name(&self, i: usize) -> String {
        name_of(&self.subset, i)
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// What is to be told of each image.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The true class of each image.
    ///
    /// # Panics
    /// If images may have several.
    pub fn labels(&self) -> &[u32] {
        self.targets.labels()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.subset.classes()
    }

    /// About `count` images at equal distances, in order; all of them if there are no more.
    ///
    /// # Errors
    /// [`OculistError::Data`] if images that are not in memory cannot be read.
    pub fn some(&self, count: usize) -> Result<Self, OculistError> {
        let n = count.min(self.len());
        let chosen: Vec<usize> = (0..n).map(|i| i * self.len() / n).collect();
        let targets = self.targets.select(&chosen);
        let subset = self.subset.select(&chosen)?;
        let source = match &self.source {
            Source::Memory(all) => {
                let one = |&i: &usize| &all[i * self.image_len..(i + 1) * self.image_len];
                Source::Memory(chosen.iter().flat_map(one).copied().collect())
            }
            Source::Files(loader) => Source::Files(Loader::new(subset.clone(), loader.config().clone())?),
        };
        Ok(Self { targets, image_len: self.image_len, subset, source })
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
                let lost = self.len() - seen;
                Err(wrong("data", format!("{lost} images became unreadable while the run was going on")))
            }
        }
    }
}

/// Image i of a subset as errors name it: its file, or its name in the data set.
pub(crate) fn name_of(subset: &Subset, i: usize) -> String {
    subset.path(i).map_or_else(|| subset.name(i), |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use oculist_augment::ColorMode;

    use super::*;

    #[test]
    fn fewer_large_images_are_read_ahead() {
        let sized = |side| Preprocessing::exact(ColorMode::Rgb, side, side);
        let usual = reading(&sized(224), READ_BATCH, 2);
        assert_eq!((usual.batch_size, usual.prefetch), (64, 3));
        let large = reading(&sized(2048), READ_BATCH, 2);
        assert_eq!((large.batch_size, large.prefetch), (BATCH, 1));
        // Two batches of 32; of two workers 16 rows each and two images in work; 12 bytes a pixel.
        assert_eq!(reading_bytes(&sized(2048), 2), (2 * 32 + 2 * (16 + 2)) * 2048 * 2048 * 12);
    }
}
