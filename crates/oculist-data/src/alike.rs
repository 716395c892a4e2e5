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
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

pub use leak::{Leak, Uniform};
pub(crate) use look::Look;

/// Above these numbers images are not compared unless that is asked for: about 40 s of decoding on two cores, and 240 MB.
pub(crate) const MOST_PIXELS: u64 = 3_000_000_000;
const MOST_THUMBNAILS: usize = 200_000;

/// What comparing images costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Pixels to decode.
    pixels: u64,
    /// Images of which a thumbnail is kept.
    thumbnails: usize,
}

impl Cost {
    /// Of images that are pictures of their own, by their sizes.
    pub(crate) fn of(sizes: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut cost = Self::default();
        for size in sizes {
            cost.decode(size);
            cost.keep(size);
        }
        cost
    }

    /// Adds a picture that is decoded.
    fn decode(&mut self, (width, height): (usize, usize)) {
        self.pixels = self.pixels.saturating_add((width as u64).saturating_mul(height as u64));
    }

    /// Adds an image that is compared.
    fn keep(&mut self, size: (usize, usize)) {
        self.thumbnails += usize::from(look::is_large(size));
    }
}

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

    /// Whether images are compared that cost so much.
    pub(crate) fn allows(self, cost: Cost) -> bool {
        match self {
            Self::Auto => cost.pixels <= MOST_PIXELS && cost.thumbnails <= MOST_THUMBNAILS,
            Self::Find => true,
            Self::Ignore => false,
        }
    }

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
    /// Groups that the drawn splits cut all the same, because without that a class would be without images or a split would
    /// have less than half of those that it should have.
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
    let pictures = pictures(&dataset, &places);
    let mut cost = Cost::default();
    for picture in &pictures {
        let (split, first) = places[picture[0]];
        cost.decode(dataset.split(split).picture_size(first));
        picture.iter().map(|&i| places[i]).for_each(|(split, i)| cost.keep(dataset.split(split).size(i)));
    }
    if !options.duplicates.allows(cost) {
        dataset.alike.too_many = places.len();
        return Ok(dataset);
    }
    let threads = options.effective_threads();
    let looks = looks(&dataset, &places, &pictures, threads);
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

/// The places that are parts of one stored picture, for each picture, in the order of their first places.
fn pictures(dataset: &Dataset, places: &[At]) -> Vec<Vec<usize>> {
    let mut pictures: Vec<Vec<usize>> = Vec::with_capacity(places.len());
    let mut known: HashMap<(Split, String), usize> = HashMap::new();
    for (at, &(split, i)) in places.iter().enumerate() {
        let subset: &Subset = dataset.split(split);
        if subset.is_part(i) {
            let picture = *known.entry((split, subset.origin(i).0)).or_insert(pictures.len());
            if let Some(others) = pictures.get_mut(picture) {
                others.push(at);
                continue;
            }
        }
        pictures.push(vec![at]);
    }
    pictures
}

/// How the image at each place looks; every picture is decoded once, if it was not when the data set was opened. None for
/// what cannot be read, which is told where it is used.
fn looks(
    dataset: &Dataset,
    places: &[At],
    pictures: &[Vec<usize>],
    threads: usize,
) -> Vec<Option<Box<Look>>> {
    let found = in_threads(pictures.len(), threads, |i| {
        let (split, first) = places[pictures[i][0]];
        let subset = dataset.split(split);
        if let ([_], Some(look)) = (&pictures[i][..], subset.look(first)) {
            return vec![Some(look)];
        }
        let indices: Vec<usize> = pictures[i].iter().map(|&at| places[at].1).collect();
        let mut looks = Vec::with_capacity(indices.len());
        subset.visit(&indices, &mut |image| looks.push(image.ok().map(|image| Box::new(Look::of(&image)))));
        looks
    });
    let mut looks: Vec<Option<Box<Look>>> = vec![None; places.len()];
    for (picture, found) in pictures.iter().zip(found) {
        for (&at, look) in picture.iter().zip(found) {
            looks[at] = look;
        }
    }
    looks
}
