//! Which pipeline the training images go through.

use std::path::Path;

use oculist_augment::op::{
    AugMix, AutoAugment, Policy, RandAugment, RandomErasing, ThreeAugment, TrivialAugmentWide,
};
use oculist_augment::{Op, Pipeline, Preprocessing, ResizeRule, Step};

use super::{DataFacts, SMALL_SIDE};
use crate::error::OculistError;
use crate::files::toml_problem;
use crate::message::set_to;
use crate::settings::{Augmentation, Settings};

/// Whether images are augmented as small ones: a padded crop asks for squares that show the whole object; anything else is
/// cropped and resized on the way.
fn is_small(preprocessing: &Preprocessing) -> bool {
    let square = preprocessing.height == preprocessing.width;
    square && preprocessing.height <= SMALL_SIDE && preprocessing.resize == ResizeRule::Exact
}

/// The augmentation that was asked for, or the one that suits the images.
pub(super) fn kind(settings: &Settings, preprocessing: &Preprocessing) -> Augmentation {
    let usual = if is_small(preprocessing) { Augmentation::Small } else { Augmentation::Photos };
    settings.augment.unwrap_or(usual)
}

/// The pipeline of a file, if one is named, or of the kind of augmentation.
///
/// # Errors
/// [`OculistError::Setting`] naming the file, for one that is not a pipeline.
pub(super) fn resolve(
    settings: &Settings,
    facts: &DataFacts,
    preprocessing: &Preprocessing,
) -> Result<Pipeline, OculistError> {
    if let Some(path) = &settings.augmentation {
        return read("augmentation", path);
    }
    let size = preprocessing.height;
    let small = is_small(preprocessing);
    let policy = if small { Policy::Cifar10 } else { Policy::ImageNet };
    let op: Option<Op> = match kind(settings, preprocessing) {
        Augmentation::None => return Ok(Pipeline::none()),
        Augmentation::Small => return Ok(Pipeline::small_images(size, facts.flip)),
        Augmentation::Photos => return Ok(flipped_if(facts.flip, Pipeline::photos(size))),
        Augmentation::Crops => None,
        Augmentation::Trivial => Some(TrivialAugmentWide::default().into()),
        Augmentation::Rand => Some(RandAugment::default().into()),
        Augmentation::Auto => Some(AutoAugment::new(policy).into()),
        Augmentation::Augmix => Some(AugMix::default().into()),
        Augmentation::Three => Some(ThreeAugment::default().into()),
        Augmentation::Erasing => Some(RandomErasing::default().into()),
    };
    // The crop and the flip of the usual pipelines, without what comes after.
    let mut pipeline = if small { Pipeline::small_images(size, true) } else { Pipeline::photos(size) };
    pipeline.steps.truncate(2);
    let mut pipeline = flipped_if(facts.flip, pipeline);
    // Half of the images is erased from; the policies draw for themselves whether anything happens.
    let probability = if op.as_ref().is_some_and(|op| op.name() == "random_erasing") { 0.5 } else { 1.0 };
    pipeline.steps.extend(op.map(|op| Step { probability, op }));
    Ok(pipeline)
}

/// How many first steps of the pipeline are common to the views that the consistency loss compares: those before the
/// first AugMix. None without one.
pub(crate) fn shared_by_views(pipeline: &Pipeline) -> Option<usize> {
    pipeline.steps.iter().position(|step| matches!(step.op, Op::AugMix(_)))
}

fn flipped_if(flip: bool, mut pipeline: Pipeline) -> Pipeline {
    if !flip {
        pipeline.steps.retain(|s| s.op != Op::HorizontalFlip);
    }
    pipeline
}

/// Reads the pipeline that a setting names from TOML or, if the name ends so, JSON.
///
/// # Errors
/// [`OculistError::Setting`] naming setting and file, for one that is not a pipeline.
pub(crate) fn read(name: &str, path: &Path) -> Result<Pipeline, OculistError> {
    let wrong = |problem: String| OculistError::Setting {
        name: set_to(name, path.display()).into(),
        problem: problem.into(),
    };
    let text = oculist_files::read_to_string(path)
        .map_err(|source| OculistError::Io { path: path.to_path_buf(), source })?;
    let is_json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    let pipeline: Result<Pipeline, String> = if is_json {
        serde_json::from_str(&text).map_err(|e| e.to_string())
    } else {
        toml::from_str(&text).map_err(|e| toml_problem(&e, &text))
    };
    let pipeline = pipeline.map_err(wrong)?;
    pipeline.validate().map_err(|e| wrong(e.to_string()))?;
    Ok(pipeline)
}
