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

    /// The names that formats have for it, in lower case.
    pub(crate) const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Train => &["train"],
            Self::Val => &["val", "valid", "validation"],
            Self::Test => &["test"],
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
    const PURPOSE: u64 = 0x5350_4c49; // "SPLI": keeps these draws apart from shuffling and augmentation.
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
