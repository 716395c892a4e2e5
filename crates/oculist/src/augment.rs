//! Augmentation to look at, to check, and written to disk.

mod apply;
mod check;
mod class_folder;
mod preview;

use oculist_augment::{Image, Pipeline, Preprocessing, SampleKey, Start, Transform};

use crate::config::Config;
use crate::data::{Source, facts};
use crate::error::{OculistError, wrong};
use crate::progress::Watch;
use crate::settings::Settings;

pub use apply::{Applied, ApplyOptions, MANIFEST_FILE, apply_augmentation};
pub use check::{
    AUGMENT_CHECK_FILE, AUGMENT_CHECK_PAGE_FILE, AugmentCheckOptions, AugmentChecked, check_augmentation,
};
pub use preview::{PREVIEW_FILE, PREVIEW_PAGE_FILE, PreviewOptions, preview_augmentation};

/// The images and how training would augment them.
struct Augmenter {
    source: Source,
    pipeline: Pipeline,
    preprocessing: Preprocessing,
    seed: u64,
}

impl Augmenter {
    fn new(settings: &Settings, watch: &mut Watch<'_>) -> Result<Self, OculistError> {
        settings.one_label()?;
        let (source, unfit) = Source::open_to_look(settings)?;
        if source.dataset().train().is_empty() {
            let problem = "expected training images, which are what is augmented, found none";
            return Err(wrong("data", problem));
        }
        if let Some(unfit) = unfit {
            watch.warn(&unfit);
        }
        let recipe = Config::resolve(settings, &facts(&source, settings)?)?;
        Ok(Self {
            source,
            pipeline: recipe.augmentation,
            preprocessing: recipe.preprocessing,
            seed: recipe.seed,
        })
    }

    /// Copy `copy` of training image `i`, and what was done to it.
    fn copy(&self, image: Image, i: usize, copy: usize) -> Result<(Image, Vec<Transform>), OculistError> {
        let key = SampleKey { seed: self.seed, epoch: copy as u64, sample: i as u64 };
        let (width, height) = match self.pipeline.start {
            Start::Prepared => (self.preprocessing.width, self.preprocessing.height),
            Start::Original => (image.width(), image.height()),
        };
        let transforms = self.pipeline.sample(width, height, key);
        Ok((self.preprocessing.augment(image, &self.pipeline, key)?, transforms))
    }
}
