//! How many images an update has, how often an image stands in it, and how many epochs there are.

use oculist_zoo::{Family, Suggestion};
use serde::{Deserialize, Serialize};

use super::{DataFacts, SMALL_SIDE};
use crate::error::{OculistError, wrong};
use crate::settings::{SamplingName, Settings};

/// Updates that a network is trained for when the user does not say; epochs follow from it.
const UPDATES: usize = 1000;
/// Fewest epochs by default. With 12, a ResNet-20 on 54,000 images of Fashion-MNIST still underfits: 93.1% test top-1.
const LEAST_EPOCHS: usize = 20;
/// Most epochs by default.
const MOST_EPOCHS: usize = 60;
/// The same of photos, for the network that is chosen for them: crops and colours of few photos are learned from for long.
const PHOTO_UPDATES: usize = 2000;
const MOST_PHOTO_EPOCHS: usize = 100;
/// The same of `airbench`, which has learned small images when other networks have begun.
const FAST_UPDATES: usize = 600;
const LEAST_FAST_EPOCHS: usize = 9;
/// The same at its full width, which is for many images.
const LEAST_WIDE_EPOCHS: usize = 16;

/// Repeated augmentation: each image stands several times in one batch, differently augmented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeat {
    /// How often.
    pub times: usize,
    /// Whether an epoch shows all images and is as many times as long, instead of fewer images.
    pub longer: bool,
}

impl Repeat {
    /// Repeats if the settings do not say: as often as the published code of repeated augmentation.
    const TIMES: usize = 3;

    pub(super) fn resolve(settings: &Settings) -> Option<Self> {
        let longer = match settings.sampling? {
            SamplingName::Once | SamplingName::Balanced => return None,
            SamplingName::Repeated => false,
            SamplingName::BatchAugment => true,
        };
        Some(Self { times: settings.repeats.unwrap_or(Self::TIMES), longer })
    }
}

/// How many images an update has, and how many epochs there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    pub(super) batch_size: usize,
    pub(super) epochs: usize,
}

impl Schedule {
    /// What is asked for, or what suits the images and the network, if it is known already: of the one that is chosen for photos
    /// the epochs decide.
    ///
    /// # Errors
    /// [`OculistError::Setting`] for a batch that cannot be.
    pub(super) fn resolve(
        settings: &Settings,
        facts: &DataFacts,
        side: usize,
        network: Option<Suggestion>,
    ) -> Result<Self, OculistError> {
        // At least a dozen updates per epoch, so that small sets are not trained in a handful of steps.
        let largest = if side <= SMALL_SIDE { 128 } else { 64 };
        let automatic = (facts.train / 12).clamp(8, largest);
        let repeat = Repeat::resolve(settings);
        let batch_size = batch_size(settings, automatic, facts.train, repeat)?;
        let places = facts.train * repeat.filter(|r| r.longer).map_or(1, |r| r.times);
        let steps = (places / batch_size).max(1);
        // A network that is chosen for the images is chosen for so many epochs; of one that is named nothing is known.
        let family =
            network.map(|network| oculist_zoo::find(network.arch)).transpose()?.map(|info| info.family);
        let full = network.is_some_and(|network| network.width >= 1.0);
        let (updates, least, most) = match family {
            Some(Family::Airbench) if full => (FAST_UPDATES, LEAST_WIDE_EPOCHS, MOST_EPOCHS),
            Some(Family::Airbench) => (FAST_UPDATES, LEAST_FAST_EPOCHS, MOST_EPOCHS),
            None => (PHOTO_UPDATES, LEAST_EPOCHS, MOST_PHOTO_EPOCHS),
            Some(_) => (UPDATES, LEAST_EPOCHS, MOST_EPOCHS),
        };
        let epochs = settings.epochs.unwrap_or_else(|| updates.div_ceil(steps).clamp(least, most));
        Ok(Self { batch_size, epochs })
    }
}

/// The batch size asked for, at most the number of images; where images are repeated, a multiple of the repeats.
fn batch_size(
    settings: &Settings,
    automatic: usize,
    train: usize,
    repeat: Option<Repeat>,
) -> Result<usize, OculistError> {
    let wanted = settings.batch_size.unwrap_or(automatic);
    let size = wanted.min(train.max(2));
    let Some(Repeat { times, .. }) = repeat else { return Ok(size) };
    if size == wanted && settings.batch_size.is_some() && !size.is_multiple_of(times) {
        let problem = format!("expected a multiple of the {times} repeats of each image, found {size}");
        return Err(wrong("batch_size", problem));
    }
    Ok((size - size % times).max(times))
}
