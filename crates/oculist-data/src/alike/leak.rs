//! What splits share.

use super::{At, Look};
use crate::{Dataset, Split};
use std::collections::{BTreeMap, HashSet};

/// Pairs that are named.
const NAMED: usize = 3;

/// Images of one split that repeat images of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// The split that measures.
    pub split: Split,
    /// The split that is repeated.
    pub repeats: Split,
    /// Images of `split` that repeat one of `repeats`, exactly or nearly.
    pub images: usize,
    /// Those of them that have exactly its pixels.
    pub exact: usize,
    /// Images of `split`.
    pub of: usize,
    /// The first pairs: an image of `split`, and one of `repeats`.
    pub pairs: Vec<(String, String)>,
}

/// How all images of a split are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uniform {
    /// They have the same pixels.
    Identical,
    /// Each is of one colour: there is nothing to see.
    Flat,
}

/// Splits of at least two images that are all the same, or all of one colour each.
pub(super) fn uniform(homes: &[At], looks: &[Option<Box<Look>>]) -> Vec<(Split, Uniform)> {
    let of_split = |split: Split| {
        let of = || homes.iter().zip(looks).filter(move |((home, _), _)| *home == split);
        if of().count() < 2 || of().any(|(_, look)| look.is_none()) {
            return None;
        }
        let looks = || of().filter_map(|(_, look)| look.as_ref());
        let first = looks().next()?.content;
        if looks().all(|look| look.content == first) {
            Some((split, Uniform::Identical))
        } else if looks().all(|look| look.flat) {
            Some((split, Uniform::Flat))
        } else {
            None
        }
    };
    Split::ALL.into_iter().filter_map(of_split).collect()
}

/// What the test split shares with the others, and the validation split with the training images.
pub(super) fn leaks(
    dataset: &Dataset,
    homes: &[At],
    looks: &[Option<Box<Look>>],
    groups: &[u32],
) -> Vec<Leak> {
    let pairs = [(Split::Test, Split::Train), (Split::Val, Split::Train), (Split::Test, Split::Val)];
    let all_the_same = |split| dataset.alike.uniform.contains(&(split, Uniform::Identical));
    pairs
        .into_iter()
        // That all are the same says it all.
        .filter(|&(split, repeats)| !all_the_same(split) && !all_the_same(repeats))
        .filter_map(|(split, repeats)| {
            // The first image of each group in the split that is repeated.
            let mut firsts: BTreeMap<u32, At> = BTreeMap::new();
            let mut contents: HashSet<u128> = HashSet::new();
            for ((home, look), &group) in homes.iter().zip(looks).zip(groups) {
                if let (true, Some(look)) = (home.0 == repeats, look) {
                    let first = firsts.entry(group).or_insert(*home);
                    *first = (*first).min(*home);
                    contents.insert(look.content);
                }
            }
            let mut found: Vec<(At, At)> = Vec::new();
            let mut exact = 0;
            for ((home, look), group) in homes.iter().zip(looks).zip(groups) {
                if let (true, Some(look), Some(&first)) = (home.0 == split, look, firsts.get(group)) {
                    found.push((*home, first));
                    exact += usize::from(contents.contains(&look.content));
                }
            }
            found.sort_unstable();
            let name = |(split, index): At| dataset.split(split).name(index);
            (!found.is_empty()).then(|| Leak {
                split,
                repeats,
                images: found.len(),
                exact,
                of: dataset.split(split).len(),
                pairs: found.iter().take(NAMED).map(|&(a, b)| (name(a), name(b))).collect(),
            })
        })
        .collect()
}
