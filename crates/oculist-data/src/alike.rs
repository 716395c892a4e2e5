//! Images that repeat each other, when a data set is opened for training: splits that are drawn keep them on one side, and
//! what given splits share is told.

mod keep;
mod leak;
mod look;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::scan::in_threads;
use crate::{Dataset, OpenOptions, Purpose, Split, Subset, Verify};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

pub use leak::{Leak, Uniform};
pub(crate) use look::{Groups, Look};

/// Above these numbers images are not compared unless that is asked for: about 40 s of decoding on two cores, and 240 MB.
pub(crate) const MOST_PIXELS: u64 = 3_000_000_000;
const MOST_THUMBNAILS: usize = 200_000;

/// What is done about images that repeat each other, exactly or nearly, where a data set is opened for training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// Looked for, unless there are more than 3 billion pixels or 200,000 images larger than 32 pixels.
    #[default]
    Auto,
    /// Looked for, however long that takes.
    Find,
    /// Not looked for.
    Ignore,
}

impl Duplicates {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Find, Self::Ignore];

    /// The name, as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Find => "find",
            Self::Ignore => "ignore",
        }
    }
}

impl fmt::Display for Duplicates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Duplicates {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|choice| choice.name() == name).ok_or_else(|| Error::Option {
            name: "duplicates",
            expected: "auto, find or ignore",
            found: format!("\"{name}\""),
        })
    }
}

/// What was found of images that repeat each other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Alike {
    /// Whether they were looked for.
    pub looked: bool,
    /// Images that were not compared because there are too many; 0 if all were, or that was not asked for.
    pub too_many: usize,
    /// Groups of repeated images that a draw image by image would have cut, and that lie on one side.
    pub kept: usize,
    /// Groups that the drawn splits cut all the same, because without that a split or a class would be without images.
    pub cut: usize,
    /// What splits share.
    pub leaks: Vec<Leak>,
    /// Splits whose images are all the same or show nothing.
    pub uniform: Vec<(Split, Uniform)>,
}

/// An image of the data set: its split, and its place there.
type At = (Split, usize);

/// Looks for images that repeat each other, and draws the missing splits anew if a group of them was cut.
///
/// The result depends on the images and the seed alone. Where no group is cut, every split stays as it is.
pub(crate) fn settle(mut dataset: Dataset, options: &OpenOptions) -> Result<Dataset> {
    let drawn = dataset.drawn.as_ref().is_some_and(|drawn| drawn.is_free);
    let looks_only = options.verify == Verify::Headers && !drawn;
    if options.purpose != Purpose::Train || options.duplicates == Duplicates::Ignore || looks_only {
        return Ok(dataset);
    }
    let places: Vec<At> = [Split::Test, Split::Val, Split::Train]
        .into_iter()
        .flat_map(|split| (0..dataset.split(split).len()).map(move |i| (split, i)))
        .collect();
    let sizes = || places.iter().map(|&(split, i)| dataset.split(split).size(i));
    let pixels = sizes().map(|(w, h)| w as u64 * h as u64).fold(0u64, u64::saturating_add);
    let thumbnails = sizes().filter(|&size| look::is_large(size)).count();
    if options.duplicates == Duplicates::Auto && (pixels > MOST_PIXELS || thumbnails > MOST_THUMBNAILS) {
        dataset.alike.too_many = places.len();
        return Ok(dataset);
    }
    let threads = options.effective_threads();
    let looks: Vec<Option<Look>> = in_threads(places.len(), threads, |i| {
        let (split, index) = places[i];
        let subset: &Subset = dataset.split(split);
        // What cannot be read is told where it is used.
        subset.look(index).or_else(|| subset.image(index).ok().map(|image| Look::of(&image)))
    });
    let groups = look::groups(&looks, threads);
    let mut homes: Vec<At> = places;
    dataset.alike.looked = true;
    if drawn {
        keep::together(&mut dataset, &mut homes, &groups, options)?;
    }
    dataset.alike.uniform = leak::uniform(&homes, &looks);
    dataset.alike.leaks = leak::leaks(&dataset, &homes, &looks, &groups);
    Ok(dataset)
}
