//! Splits and how they are drawn.

use crate::split_name::split_of_word;
use oculist_augment::Rng;

/// The part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Split {
    /// What the weights learn from.
    Train,
    /// What decisions are made on.
    Val,
    /// What the report is made from, and nothing else.
    Test,
}

impl Split {
    /// All three, in this order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// `train`, `val` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }

    /// The split that a source calls `name`, in whatever case.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        split_of_word(name.trim())
    }

    /// The split that a file's name begins with, as in `train-00000-of-00002.parquet`.
    pub(crate) fn by_prefix(name: &str) -> Option<Self> {
        let end = name.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(name.len());
        Self::parse(&name[..end])
    }
}

/// "SPLI": keeps these draws apart from shuffling and augmentation.
const PURPOSE: u64 = 0x5350_4c49;

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Draws disjoint random parts of about `fractions[p]` of every class; the rest stays.
///
/// Returns the positions of each part and, last, of the rest; positions ascend. In every class, part p gets
/// `round(fraction * n)` images, at least one as long as the rest keeps one.
///
/// The draw for one class depends on the seed and the class alone, not on the other classes.
pub fn stratified_parts(labels: &[u32], classes: usize, fractions: &[f64], seed: u64) -> Vec<Vec<usize>> {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); classes];
    for (i, &label) in labels.iter().enumerate() {
        members[label as usize].push(i);
    }
    let mut parts: Vec<Vec<usize>> = vec![Vec::new(); fractions.len() + 1];
    for (class, mut positions) in members.into_iter().enumerate() {
        let n = positions.len();
        Rng::keyed(&[seed, PURPOSE, class as u64]).shuffle(&mut positions);
        for (part, &fraction) in parts.iter_mut().zip(fractions) {
            let wanted = if fraction > 0.0 { ((fraction * n as f64).round() as usize).max(1) } else { 0 };
            let take = wanted.min(positions.len().saturating_sub(1));
            part.extend(positions.drain(..take));
        }
        parts[fractions.len()].extend(positions);
    }
    for part in &mut parts {
        part.sort_unstable();
    }
    parts
}

/// Draws the positions of about `count` images with all classes in proportion; positions ascend.
///
/// Of n images, a class of m gives `round(count / n * m)`, at least one. Where more classes have images than `count`,
/// which no proportion can serve, `count` images are drawn from all alike.
///
/// The draw for one class depends on the seed and the class alone, and is that of [`stratified_parts`].
pub(crate) fn stratified_sample(labels: &[u32], classes: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); classes];
    for (i, &label) in labels.iter().enumerate() {
        members[label as usize].push(i);
    }
    let mut drawn: Vec<usize>;
    if members.iter().filter(|positions| !positions.is_empty()).count() > count {
        drawn = (0..labels.len()).collect();
        Rng::keyed(&[seed, PURPOSE]).shuffle(&mut drawn);
        drawn.truncate(count);
    } else {
        let fraction = count as f64 / labels.len().max(1) as f64;
        drawn = Vec::new();
        for (class, mut positions) in members.into_iter().enumerate() {
            Rng::keyed(&[seed, PURPOSE, class as u64]).shuffle(&mut positions);
            positions.truncate(((fraction * positions.len() as f64).round() as usize).max(1));
            drawn.extend(positions);
        }
    }
    drawn.sort_unstable();
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_gives_its_share() {
        let labels: Vec<u32> = (0..1000).map(|i| u32::from(i % 10 == 0)).collect();
        let parts = stratified_parts(&labels, 2, &[0.15, 0.15], 7);
        let count = |part: &[usize], class| part.iter().filter(|&&i| labels[i] == class).count();
        assert_eq!((count(&parts[0], 0), count(&parts[0], 1)), (135, 15));
        assert_eq!((count(&parts[1], 0), count(&parts[1], 1)), (135, 15));
        let mut all: Vec<usize> = parts.concat();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        assert_eq!(stratified_parts(&labels, 2, &[0.15, 0.15], 7), parts);
        assert_ne!(stratified_parts(&labels, 2, &[0.15, 0.15], 8), parts);
    }

    #[test]
    fn a_sample_has_every_class_and_is_never_empty() {
        // One image each: the share of every class rounds to nothing.
        let single: Vec<u32> = (0..600).collect();
        for count in [1, 200, 512, 599] {
            let sample = stratified_sample(&single, 600, count, 0);
            assert_eq!(sample.len(), count);
            assert!(sample.windows(2).all(|pair| pair[0] < pair[1]));
        }
        assert_ne!(stratified_sample(&single, 600, 200, 0), stratified_sample(&single, 600, 200, 1));
        // A class of one image beside a large one, and a class without images.
        let labels: Vec<u32> = (0..1000).map(|i| u32::from(i == 700) * 2).collect();
        let sample = stratified_sample(&labels, 3, 50, 0);
        assert_eq!(sample.iter().filter(|&&i| labels[i] == 0).count(), 50);
        assert!(sample.contains(&700) && sample.len() == 51);
        assert_eq!(stratified_sample(&labels, 3, 1, 4).len(), 1);
        assert!(stratified_sample(&labels, 3, 0, 0).is_empty() && stratified_sample(&[], 3, 9, 0).is_empty());
    }

    #[test]
    fn a_sample_of_large_classes_is_the_first_part_of_a_split() {
        let labels: Vec<u32> = (0..1000).map(|i| i % 7).collect();
        for count in [70, 333, 900] {
            let part = &stratified_parts(&labels, 7, &[f64::from(count) / 1000.0], 5)[0];
            assert_eq!(&stratified_sample(&labels, 7, count as usize, 5), part);
        }
    }

    #[test]
    fn tiny_classes_keep_one_for_training() {
        for n in 1..6usize {
            let parts = stratified_parts(&vec![0; n], 1, &[0.1, 0.1], 1);
            let sizes: Vec<usize> = parts.iter().map(Vec::len).collect();
            assert_eq!(
                sizes,
                [usize::from(n > 1), usize::from(n > 2), n - usize::from(n > 1) - usize::from(n > 2)]
            );
        }
    }
}
