//! The targets of images: what a network is to say of each.

use crate::error::{Error, Result};
use crate::split::{stratified_parts, stratified_sample};
use crate::split_labels::iterative_parts;
use crate::{Task, label_field};

/// The targets of some images, in their order. Whoever treats all kinds alike asks for [`row`](Self::row)s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// The one class of each image.
    Classes(Vec<u32>),
    /// Any number of classes for each image.
    Labels(LabelSets),
}

/// The classes that each of some images shows: every list ascends and has no class twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelSets {
    classes: usize,
    /// Where the list of each image ends in `labels`.
    ends: Vec<usize>,
    labels: Vec<u32>,
}

impl LabelSets {
    /// Of no image yet, for that many classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, ends: Vec::new(), labels: Vec::new() }
    }

    /// Adds an image with its classes, in any order and perhaps several times.
    ///
    /// # Errors
    /// A class that is not below the number of classes.
    pub fn push(&mut self, labels: &[u32]) -> Result<()> {
        if let Some(&label) = labels.iter().find(|&&label| label as usize >= self.classes) {
            return Err(not_a_class(label, self.classes));
        }
        let start = self.labels.len();
        self.labels.extend_from_slice(labels);
        self.labels[start..].sort_unstable();
        let mut kept = start;
        for at in start..self.labels.len() {
            if at == start || self.labels[at] != self.labels[kept - 1] {
                self.labels[kept] = self.labels[at];
                kept += 1;
            }
        }
        self.labels.truncate(kept);
        self.ends.push(kept);
        Ok(())
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True without images.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The classes of image i, ascending.
    ///
    /// # Panics
    /// Past the end.
    pub fn row(&self, index: usize) -> &[u32] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.labels[start..self.ends[index]]
    }

    /// Numbers `[len, classes]`: 1 where the image shows the class, else 0.
    pub fn dense(&self) -> Vec<f32> {
        let mut dense = vec![0.0; self.len() * self.classes];
        for (i, row) in dense.chunks_exact_mut(self.classes.max(1)).enumerate() {
            for &label in self.row(i) {
                row[label as usize] = 1.0;
            }
        }
        dense
    }
}

impl From<Vec<u32>> for Targets {
    fn from(classes: Vec<u32>) -> Self {
        Self::Classes(classes)
    }
}

impl From<LabelSets> for Targets {
    fn from(labels: LabelSets) -> Self {
        Self::Labels(labels)
    }
}

impl Default for Targets {
    fn default() -> Self {
        Self::Classes(Vec::new())
    }
}

impl Targets {
    /// Of no image, for a task.
    pub fn none(task: Task, classes: usize) -> Self {
        match task {
            Task::SingleLabel => Self::Classes(Vec::new()),
            Task::MultiLabel => Self::Labels(LabelSets::new(classes)),
        }
    }

    /// Whose targets they are.
    pub fn task(&self) -> Task {
        match self {
            Self::Classes(_) => Task::SingleLabel,
            Self::Labels(_) => Task::MultiLabel,
        }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Labels(sets) => sets.len(),
        }
    }

    /// True without images.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The classes of image i, ascending: exactly one, or any number.
    ///
    /// # Panics
    /// Past the end.
    pub fn row(&self, index: usize) -> &[u32] {
        match self {
            Self::Classes(classes) => std::slice::from_ref(&classes[index]),
            Self::Labels(sets) => sets.row(index),
        }
    }

    /// The classes of every image.
    pub fn rows(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.len()).map(|i| self.row(i))
    }

    /// The one class of each image; None if images may have several.
    pub fn as_classes(&self) -> Option<&[u32]> {
        match self {
            Self::Classes(classes) => Some(classes),
            Self::Labels(_) => None,
        }
    }

    /// The one class of each image, for those who work with single labels alone.
    ///
    /// # Panics
    /// If images may have several.
    pub fn labels(&self) -> &[u32] {
        match self {
            Self::Classes(classes) => classes,
            Self::Labels(_) => panic!("expected targets of one class an image, found lists of labels"),
        }
    }

    /// Adds an image with its classes.
    ///
    /// # Errors
    /// A class that there is not; where images have one class, none or several.
    pub fn push(&mut self, labels: &[u32]) -> Result<()> {
        match (self, labels) {
            (Self::Classes(classes), &[class]) => classes.push(class),
            (Self::Classes(_), other) => {
                let found = format!("{} of them", other.len());
                return Err(Error::Option { name: "label", expected: "one for each image", found });
            }
            (Self::Labels(sets), labels) => sets.push(labels)?,
        }
        Ok(())
    }

    /// Adds the targets of further images.
    ///
    /// # Errors
    /// Those of another task, or with classes that there are not.
    pub fn extend(&mut self, other: &Self) -> Result<()> {
        other.rows().try_for_each(|row| self.push(row))
    }

    /// The targets of these images, in this order.
    ///
    /// # Panics
    /// Past the end.
    #[must_use]
    pub fn select(&self, positions: &[usize]) -> Self {
        match self {
            Self::Classes(classes) => Self::Classes(positions.iter().map(|&i| classes[i]).collect()),
            Self::Labels(sets) => {
                let mut chosen = LabelSets::new(sets.classes);
                for &i in positions {
                    chosen.labels.extend_from_slice(sets.row(i));
                    chosen.ends.push(chosen.labels.len());
                }
                Self::Labels(chosen)
            }
        }
    }

    /// Number of images that are of each class or show it.
    ///
    /// # Panics
    /// If a label is not below `classes`.
    pub fn counts(&self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for &label in self.rows().flatten() {
            counts[label as usize] += 1;
        }
        counts
    }

    /// The classes of image i in words: the name of the one, or the names of all with `;` between them, each as
    /// [`label_field`] writes it.
    ///
    /// # Panics
    /// Past the end, or if there are fewer names than classes.
    pub fn text(&self, index: usize, class_names: &[String]) -> String {
        match self {
            Self::Classes(classes) => class_names[classes[index] as usize].clone(),
            Self::Labels(sets) => {
                let names = sets.row(index).iter().map(|&label| label_field(&class_names[label as usize]));
                names.collect::<Vec<_>>().join(";")
            }
        }
    }

    /// Disjoint random parts of about these fractions with all classes in proportion, and, last, the rest: by
    /// [`stratified_parts`], or by [`iterative_parts`] where images have several labels.
    pub(crate) fn parts(&self, classes: usize, fractions: &[f64], seed: u64) -> Vec<Vec<usize>> {
        match self {
            Self::Classes(labels) => stratified_parts(labels, classes, fractions, seed),
            Self::Labels(sets) => iterative_parts(sets, fractions, seed),
        }
    }

    /// The positions of about `count` images with all classes in proportion, ascending.
    pub(crate) fn sample(&self, classes: usize, count: usize, seed: u64) -> Vec<usize> {
        match self {
            Self::Classes(labels) => stratified_sample(labels, classes, count, seed),
            Self::Labels(sets) => {
                let fraction = count as f64 / sets.len().max(1) as f64;
                iterative_parts(sets, &[fraction.min(1.0)], seed).swap_remove(0)
            }
        }
    }

    /// Checks that every label is a class.
    pub(crate) fn check(&self, classes: usize) -> Result<()> {
        match self {
            Self::Classes(labels) => match labels.iter().find(|&&label| label as usize >= classes) {
                Some(&label) => Err(not_a_class(label, classes)),
                None => Ok(()),
            },
            Self::Labels(sets) if sets.classes != classes => Err(Error::Option {
                name: "labels",
                expected: "of as many classes as the data set has",
                found: format!("{} and {classes}", sets.classes),
            }),
            Self::Labels(_) => Ok(()),
        }
    }
}

fn not_a_class(label: u32, classes: usize) -> Error {
    Error::Option {
        name: "label",
        expected: "below the number of classes",
        found: format!("{label} of {classes} classes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(rows: &[&[u32]]) -> Targets {
        let mut sets = LabelSets::new(3);
        for row in rows {
            sets.push(row).unwrap();
        }
        sets.into()
    }

    #[test]
    fn lists_are_sorted_without_repeats_and_may_be_empty() {
        let targets = sets(&[&[2, 0, 2], &[], &[1]]);
        assert_eq!(targets.rows().collect::<Vec<_>>(), [&[0, 2][..], &[], &[1]]);
        let Targets::Labels(sets) = &targets else { panic!() };
        assert_eq!(sets.dense(), [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(targets.counts(3), [1, 1, 1]);
        assert_eq!(targets.select(&[2, 0, 0]).rows().collect::<Vec<_>>(), [&[1][..], &[0, 2], &[0, 2]]);
        let names = ["a;b", "c", "d"].map(str::to_owned);
        assert_eq!([0, 1].map(|i| targets.text(i, &names)), ["a\\;b;d", ""]);
        assert_eq!(Targets::from(vec![0]).text(0, &names), "a;b");
    }

    #[test]
    fn kinds_are_not_mixed_and_labels_are_classes() {
        let mut one = Targets::from(vec![1, 2]);
        assert!(one.extend(&sets(&[&[0, 1]])).is_err());
        // A list of one label is one label.
        one.extend(&sets(&[&[0]])).unwrap();
        assert_eq!(one.labels(), [1, 2, 0]);
        assert!(LabelSets::new(3).push(&[3]).is_err());
        assert!(one.check(2).is_err() && one.check(3).is_ok());
        assert!(sets(&[]).check(2).is_err());
        assert_eq!((one.as_classes(), sets(&[]).as_classes()), (Some(&[1, 2, 0][..]), None));
    }
}
