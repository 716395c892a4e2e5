//! Augmentation to look at, and written to disk.

mod apply;
mod preview;

use std::path::Path;

use oculist_augment::{Image, Pipeline, Preprocessing, SampleKey, Start, Transform};

use crate::data::{Source, facts};
use crate::error::OculistError;
use crate::recipe::Recipe;
use crate::settings::Settings;

pub use apply::{Applied, ApplyOptions, MANIFEST_FILE, apply_augmentation};
pub use preview::{PREVIEW_FILE, PREVIEW_PAGE_FILE, PreviewOptions, preview_augmentation};

/// The images and how training would augment them.
struct Augmenter {
    source: Source,
    pipeline: Pipeline,
    preprocessing: Preprocessing,
    seed: u64,
}

impl Augmenter {
    fn new(settings: &Settings) -> Result<Self, OculistError> {
        let source = Source::open(settings, settings.threads())?;
        let recipe = Recipe::resolve(settings, &facts(&source, settings)?)?;
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

/// An image as a PNG file.
fn encode(image: &Image) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, image.width() as u32, image.height() as u32);
    encoder.set_color(match image.channels() {
        1 => png::ColorType::Grayscale,
        4 => png::ColorType::Rgba,
        _ => png::ColorType::Rgb,
    });
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|e| e.to_string())?;
    writer.write_image_data(image.pixels()).map_err(|e| e.to_string())?;
    writer.finish().map_err(|e| e.to_string())?;
    Ok(bytes)
}

/// Writes a file whole or not at all, and its folder if need be.
fn write(path: &Path, bytes: &[u8]) -> Result<(), OculistError> {
    let output = |problem: String| OculistError::Output { path: path.to_path_buf(), problem };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| output(e.to_string()))?;
    }
    oculist_train::write_atomically(path, bytes).map_err(|e| output(e.to_string()))
}
