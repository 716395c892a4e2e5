//! Labelled images: a view of a store.

use crate::alike::Look;
use crate::error::{Error, Result};
use crate::joined::JoinedStore;
use crate::statistics::PixelFacts;
use crate::{ImageStore, Targets, Task};
use oculist_augment::{Image, Reading};
use oculist_files::Stamp;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A list of labelled images; cheap to clone and to share between threads.
///
/// Index i here is also the sample's number in the key of its random numbers.
#[derive(Clone)]
pub struct Subset {
    store: Arc<dyn ImageStore>,
    items: Arc<[u32]>,
    targets: Arc<Targets>,
    classes: usize,
}

impl Subset {
    /// A view of `store`: image i of the subset is `items[i]` of the store and has target i.
    ///
    /// # Errors
    /// Lists of different lengths, an item past the store's end, a label that is not below `classes`.
    pub fn new(
        store: Arc<dyn ImageStore>,
        items: Vec<u32>,
        targets: impl Into<Targets>,
        classes: usize,
    ) -> Result<Self> {
        let targets = targets.into();
        if items.len() != targets.len() {
            return Err(Error::Option {
                name: "labels",
                expected: "one per image",
                found: format!("{} labels for {} images", targets.len(), items.len()),
            });
        }
        if let Some(&item) = items.iter().find(|&&item| item as usize >= store.len()) {
            return Err(Error::Index { index: item as usize, len: store.len() });
        }
        targets.check(classes)?;
        Ok(Self { store, items: items.into(), targets: Arc::new(targets), classes })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// True without images.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Number of classes of the data set (not all need to occur here).
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Image i, decoded now if need be: 1 channel (grey) or 3 (RGB).
    ///
    /// # Errors
    /// [`Error::Image`] for a file that cannot be read, [`Error::Index`] past the end.
    pub fn image(&self, index: usize) -> Result<Image> {
        self.store.image(self.item(index)?)
    }

    /// The part of image i that `plan` asks for, or all of it; see [`ImageStore::part`].
    ///
    /// # Errors
    /// As for [`image`](Self::image).
    pub fn part(
        &self,
        index: usize,
        plan: &dyn Fn(usize, usize) -> Option<Reading>,
    ) -> Result<(Image, Option<Reading>)> {
        self.store.part(self.item(index)?, plan)
    }

    /// What is to be told of each image.
    pub fn task(&self) -> Task {
        self.targets.task()
    }

    /// The targets of all images.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The one class of image i, for those who work with single labels alone.
    ///
    /// # Panics
    /// Past the end, or if images may have several labels.
    pub fn label(&self, index: usize) -> u32 {
        self.labels()[index]
    }

    /// The one class of each image, for those who work with single labels alone.
    ///
    /// # Panics
    /// If images may have several labels.
    pub fn labels(&self) -> &[u32] {
        self.targets.labels()
    }

    /// Width and height of image i, without decoding it.
    ///
    /// # Panics
    /// Past the end.
    pub fn size(&self, index: usize) -> (usize, usize) {
        self.store.size(self.items[index] as usize)
    }

    /// What to call image i: its path, or a file and a number.
    ///
    /// # Panics
    /// Past the end.
    pub fn name(&self, index: usize) -> String {
        self.store.name(self.items[index] as usize)
    }

    /// The file of image i, if it is a file of its own.
    ///
    /// # Panics
    /// Past the end.
    pub fn path(&self, index: usize) -> Option<&Path> {
        self.store.path(self.items[index] as usize)
    }

    /// The stored bytes' name of image i, and the box that it is of that picture; see [`ImageStore::origin`].
    pub(crate) fn origin(&self, index: usize) -> (String, Option<[u32; 4]>) {
        self.store.origin(self.items[index] as usize)
    }

    /// Whether image i is a part of a stored picture; see [`ImageStore::is_part`].
    pub(crate) fn is_part(&self, index: usize) -> bool {
        self.store.is_part(self.items[index] as usize)
    }

    /// The size of the picture of image i; see [`ImageStore::picture_size`].
    pub(crate) fn picture_size(&self, index: usize) -> (usize, usize) {
        self.store.picture_size(self.items[index] as usize)
    }

    /// Hands over these images one after the other; see [`ImageStore::visit`].
    pub(crate) fn visit(&self, indices: &[usize], each: &mut dyn FnMut(Result<Image>)) {
        let items: Vec<usize> = indices.iter().map(|&index| self.items[index] as usize).collect();
        self.store.visit(&items, each);
    }

    /// The stored bytes of image i; see [`ImageStore::encoded`].
    pub(crate) fn encoded(&self, index: usize) -> Result<Cow<'_, [u8]>> {
        self.store.encoded(self.item(index)?)
    }

    /// The stamp of the file of image i; see [`ImageStore::stamp`].
    pub(crate) fn stamp(&self, index: usize) -> Option<Stamp> {
        self.store.stamp(self.items[index] as usize)
    }

    /// Number of images that are of every class or show it.
    pub fn class_counts(&self) -> Vec<usize> {
        self.targets.counts(self.classes)
    }

    /// The subset of these positions, in this order; a position may occur twice.
    ///
    /// # Errors
    /// A position past the end.
    pub fn select(&self, positions: &[usize]) -> Result<Self> {
        let items = positions.iter().map(|&position| Ok(self.item(position)? as u32));
        let items = items.collect::<Result<Vec<u32>>>()?;
        Self::new(Arc::clone(&self.store), items, self.targets.select(positions), self.classes)
    }

    /// The images with other labels: class c becomes `labels[c]` of `classes` classes. Where images have one label, those of
    /// a class without a new one are left out; where they may have several, they lose that label and stay.
    ///
    /// # Errors
    /// A new label that is not below `classes`.
    pub fn relabelled(&self, labels: &[Option<u32>], classes: usize) -> Result<Self> {
        let new = |label: u32| labels.get(label as usize).copied().flatten();
        let (mut items, mut targets) = (Vec::new(), Targets::none(self.task(), classes));
        for (&item, row) in self.items.iter().zip(self.targets.rows()) {
            let kept: Vec<u32> = row.iter().filter_map(|&label| new(label)).collect();
            if self.task() == Task::MultiLabel || !kept.is_empty() {
                items.push(item);
                targets.push(&kept)?;
            }
        }
        Self::new(Arc::clone(&self.store), items, targets, classes)
    }

    /// The images of several subsets of the same classes, one subset after the other.
    ///
    /// # Errors
    /// Subsets with different numbers of classes or of different tasks; none at all.
    pub fn joined(parts: &[Self]) -> Result<Self> {
        let wrong = |found: String| Error::Option {
            name: "joined subsets",
            expected: "at least one, and the same classes in all",
            found,
        };
        let first = parts.first().ok_or_else(|| wrong("none".into()))?;
        if let Some(other) = parts.iter().find(|part| part.classes != first.classes) {
            return Err(wrong(format!("{} and {} classes", first.classes, other.classes)));
        }
        if let Some(other) = parts.iter().find(|part| part.task() != first.task()) {
            return Err(wrong(format!("{} and {} targets", first.task(), other.task())));
        }
        let mut targets = Targets::none(first.task(), first.classes);
        parts.iter().try_for_each(|part| targets.extend(&part.targets))?;
        if parts.iter().all(|part| part.shares_store(first)) {
            let items = parts.iter().flat_map(|part| part.items.iter().copied()).collect();
            return Self::new(Arc::clone(&first.store), items, targets, first.classes);
        }
        let items = (0..targets.len() as u32).collect();
        Self::new(Arc::new(JoinedStore::new(parts)), items, targets, first.classes)
    }

    /// About `count` images with all classes in proportion, drawn by the seed; all, if there are no more.
    ///
    /// No class with images is left out where `count` is at least the number of classes; where there are more classes,
    /// exactly `count` images are drawn without regard to classes. Only a `count` of 0 gives none. Where images have several
    /// labels, a class may be left out.
    ///
    /// # Errors
    /// None in practice: positions come from the subset itself.
    pub fn sample(&self, count: usize, seed: u64) -> Result<Self> {
        if count >= self.len() {
            return Ok(self.clone());
        }
        self.select(&self.targets.sample(self.classes, count, seed))
    }

    /// Two disjoint subsets with all classes in proportion: the first of about `fraction`, and the rest.
    ///
    /// # Errors
    /// A fraction outside 0..=1.
    pub fn split(&self, fraction: f64, seed: u64) -> Result<(Self, Self)> {
        if !(0.0..=1.0).contains(&fraction) {
            return Err(Error::Option {
                name: "fraction",
                expected: "within 0..=1",
                found: fraction.to_string(),
            });
        }
        let parts = self.targets.parts(self.classes, &[fraction], seed);
        Ok((self.select(&parts[0])?, self.select(&parts[1])?))
    }

    /// What is known of the pixels of image i; see [`ImageStore::facts`].
    pub(crate) fn facts(&self, index: usize) -> Option<PixelFacts> {
        self.store.facts(*self.items.get(index)? as usize)
    }

    /// How image i looks, if that is known already; see [`ImageStore::take_look`].
    pub(crate) fn look(&self, index: usize) -> Option<Box<Look>> {
        self.store.take_look(*self.items.get(index)? as usize)
    }

    /// The place of image i in its store.
    pub(crate) fn place(&self, index: usize) -> u32 {
        self.items[index]
    }

    /// True if images are copied from memory and never decoded.
    pub(crate) fn is_decoded(&self) -> bool {
        self.store.is_decoded()
    }

    /// Files that turned out to be unreadable after opening, with the reason (of the whole store).
    pub fn late_failures(&self) -> Vec<(PathBuf, String)> {
        self.store.late_failures()
    }

    fn item(&self, index: usize) -> Result<usize> {
        let item = self.items.get(index).ok_or(Error::Index { index, len: self.items.len() })?;
        Ok(*item as usize)
    }

    /// True if both look at the same store.
    pub(crate) fn shares_store(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.store, &other.store)
    }
}

impl std::fmt::Debug for Subset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subset({} images, {} classes)", self.len(), self.classes)
    }
}
