//! Looking for faulty, odd and repeated images in a data set.
//!
//! One pass decodes every image once, in several threads, and keeps about 1.2 kB of measures of it; everything else
//! works on the measures. Memory is therefore bounded by the number of images, not by their size.
//!
//! The order in which images are numbered here is test, validation, training: of several equal images the first is
//! the one that stays, so that removing the others never takes an image out of a measurement.

mod duplicates;
mod files;
mod grey;
mod kind;
mod measures;
mod near;
mod perceptual;
mod quality;

use crate::error::Result;
use crate::scan::in_threads;
use crate::{Dataset, Error, Split};
use std::ops::ControlFlow;
use std::path::PathBuf;

pub(crate) use duplicates::{FLAT, like};
pub use grey::{area_resize, entropy, laplacian_variance, percentile};
pub use kind::IssueKind;
pub use measures::{Measures, THUMBNAIL};
pub(crate) use measures::{correlation, digest, moments};
pub(crate) use near::close_groups;
pub use near::close_pairs;
pub use perceptual::dct_hash;
pub use quality::Limit;

/// Images that are measured between two calls of the observer.
const CHUNK: usize = 1024;

/// Largest distance of hashes and smallest correlation of near duplicates, unless the options say otherwise.
pub(crate) const HASH_DISTANCE: u32 = 4;
pub(crate) const CORRELATION: f64 = 0.995;

/// What counts as odd.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AuditOptions {
    /// Threads; 0 means as many as the machine has.
    pub threads: usize,
    /// Largest 99th percentile of brightness of a dark image, 0..=1.
    pub dark: f64,
    /// Smallest 5th percentile of brightness of a bright image, 0..=1.
    pub bright: f64,
    /// Largest entropy of the grey levels of an image of low information, bits.
    pub entropy: f64,
    /// Largest sharpness of a blurred image, see [`Measures::sharpness`].
    pub sharpness: f64,
    /// Largest ratio of the shorter to the longer side of an image of odd shape.
    pub aspect: f64,
    /// An image of odd size has a side (root of its area) at least so many times larger or smaller than the median.
    pub size_factor: f64,
    /// Largest Hamming distance of the hashes of near duplicates, 0..=7.
    pub hash_distance: u32,
    /// Smallest correlation of the thumbnails of near duplicates.
    pub correlation: f64,
    /// A class with less than this part of the mean number of training images is rare.
    pub rare: f64,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self {
            threads: 0,
            dark: 0.32,
            bright: 0.95,
            entropy: 3.0,
            sharpness: 0.01,
            aspect: 0.35,
            size_factor: 2.0,
            hash_distance: HASH_DISTANCE,
            correlation: CORRELATION,
            rare: 0.1,
        }
    }
}

/// An image of the data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Its split.
    pub split: Split,
    /// Its position in the split.
    pub index: usize,
}

/// What an issue is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An image of the data set.
    Image(Place),
    /// A file that is not part of the opened data set.
    File(PathBuf),
    /// A class.
    Class(u32),
}

/// Something to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Issue {
    /// What kind it is.
    pub kind: IssueKind,
    /// What it is about.
    pub subject: Subject,
    /// How bad it is, in the unit of the kind (see [`IssueKind::unit`]).
    pub score: f64,
    /// The image that this one repeats.
    pub partner: Option<Place>,
    /// In words, where the score does not say all.
    pub detail: String,
}

/// The result of [`audit`].
#[derive(Debug, Clone)]
pub struct Audit {
    /// Every image of the data set, in the order test, validation, training.
    pub places: Vec<Place>,
    /// All issues, by kind, the worst of each kind first.
    pub issues: Vec<Issue>,
    /// The limits that the quality checks worked with.
    pub limits: Vec<Limit>,
    /// For each of `places` a number that it shares with its exact and near duplicates and nothing else.
    pub groups: Vec<u32>,
}

/// Examines every image of a data set.
///
/// `observer` is told how many images are measured and how many there are; it can end the work, and the result is
/// then `None`. The result does not depend on the number of threads.
///
/// # Errors
/// [`Error::Option`] for an option out of range; errors of the store that are not about one image. An image that
/// cannot be read is an issue, not an error.
///
/// # Source
/// The kinds of checks and the limits of brightness, entropy and shape are those of cleanvision 0.3; blur, size and
/// the rule that an image must also be unusual for its own data set are our own (see [`Limit`]).
pub fn audit(
    dataset: &Dataset,
    options: &AuditOptions,
    observer: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Option<Audit>> {
    if options.hash_distance > 7 {
        return Err(Error::Option {
            name: "hash_distance",
            expected: "0 to 7",
            found: options.hash_distance.to_string(),
        });
    }
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        n => n,
    };
    let places: Vec<Place> = [Split::Test, Split::Val, Split::Train]
        .into_iter()
        .flat_map(|split| (0..dataset.split(split).len()).map(move |index| Place { split, index }))
        .collect();
    let mut issues = files::skipped(dataset);
    let mut measures: Vec<Option<Measures>> = Vec::with_capacity(places.len());
    for chunk in places.chunks(CHUNK) {
        if observer(measures.len(), places.len()).is_break() {
            return Ok(None);
        }
        let found = in_threads(chunk.len(), threads, |i| {
            let place = chunk[i];
            dataset.split(place.split).image(place.index).map(|image| Measures::of(&image))
        });
        for (result, &place) in found.into_iter().zip(chunk) {
            measures.push(match result {
                Ok(found) => Some(found),
                Err(err) if err.is_one_image() => {
                    issues.push(Issue {
                        kind: IssueKind::Unreadable,
                        subject: Subject::Image(place),
                        score: 1.0,
                        partner: None,
                        detail: err.to_string(),
                    });
                    None
                }
                Err(err) => return Err(err),
            });
        }
    }
    if observer(places.len(), places.len()).is_break() {
        return Ok(None);
    }
    issues.extend(files::misnamed(dataset, &places, threads));
    let (found, limits) = quality::check(dataset, &places, &measures, options);
    issues.extend(found);
    let (found, groups) = duplicates::check(dataset, &places, &measures, options, threads);
    issues.extend(found);
    issues.sort_by(|a, b| a.kind.cmp(&b.kind).then(a.kind.worst_first(a.score, b.score)));
    Ok(Some(Audit { places, issues, limits, groups }))
}

#[cfg(test)]
mod tests;
