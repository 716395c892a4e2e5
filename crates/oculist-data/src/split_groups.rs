//! Splits that keep groups of images together.

use crate::disjoint::DisjointSets;
use oculist_augment::Rng;
use std::collections::BTreeMap;

/// Draws disjoint random parts of about `fractions[p]` of every class, and the rest, without cutting a group.
///
/// `groups[i]` is any number that image i shares with the images that must stay with it: photos of one patient or
/// product, frames of one film, duplicates. Returns the positions of each part and, last, of the rest; positions
/// ascend.
///
/// Groups are placed one after the other, the largest first and equally large ones in an order drawn by the seed.
/// Each goes where it brings the counts of its classes nearest to their targets, that is where
/// `sum over classes of ((count + n - target)^2 - (count - target)^2) / (target + 1)` is least, the earliest part
/// on a tie. With groups of one image the counts of every class are within one of their targets; with large groups
/// they are as near as the groups allow.
///
/// # Panics
/// For lists of different lengths, a label that is not below `classes`, or fractions that are negative or more
/// than 1 in all.
pub fn grouped_parts(
    labels: &[u32],
    classes: usize,
    groups: &[u32],
    fractions: &[f64],
    seed: u64,
) -> Vec<Vec<usize>> {
    const PURPOSE: u64 = 0x4752_4f55; // "GROU"
    assert_eq!(labels.len(), groups.len(), "one group number per label");
    let sum: f64 = fractions.iter().sum();
    assert!(fractions.iter().all(|f| *f >= 0.0) && sum <= 1.0 + 1e-9, "fractions {fractions:?}");
    let shares: Vec<f64> = fractions.iter().copied().chain([(1.0 - sum).max(0.0)]).collect();
    let mut class_counts = vec![0usize; classes];
    for &label in labels {
        class_counts[label as usize] += 1;
    }
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by_key(|&i| (groups[i], i));
    let mut members: Vec<&[usize]> = order.chunk_by(|&a, &b| groups[a] == groups[b]).collect();
    // By the first image, so that the numbers of the groups do not matter.
    members.sort_by_key(|group| group[0]);
    Rng::keyed(&[seed, PURPOSE]).shuffle(&mut members);
    members.sort_by_key(|group| std::cmp::Reverse(group.len()));

    let mut counts = vec![vec![0usize; classes]; shares.len()];
    let mut parts: Vec<Vec<usize>> = vec![Vec::new(); shares.len()];
    let mut added: Vec<(usize, usize)> = Vec::new();
    for group in members {
        tally(group, labels, &mut added);
        let cost = |part: usize| -> f64 {
            let of_class = |&(class, n): &(usize, usize)| {
                let target = shares[part] * class_counts[class] as f64;
                let distance = counts[part][class] as f64 - target;
                let n = n as f64;
                // A part of share 0 must stay empty.
                if shares[part] <= 1e-9 { f64::INFINITY } else { (2.0 * distance + n) * n / (target + 1.0) }
            };
            added.iter().map(of_class).sum()
        };
        let costs: Vec<f64> = (0..shares.len()).map(cost).collect();
        let best =
            (0..shares.len()).fold(0, |best, part| if costs[part] < costs[best] { part } else { best });
        for &(class, n) in &added {
            counts[best][class] += n;
        }
        parts[best].extend(group);
    }
    for part in &mut parts {
        part.sort_unstable();
    }
    parts
}

/// Number of images of each class in a group.
fn tally(group: &[usize], labels: &[u32], into: &mut Vec<(usize, usize)>) {
    into.clear();
    for &i in group {
        let class = labels[i] as usize;
        match into.iter_mut().find(|(c, _)| *c == class) {
            Some((_, n)) => *n += 1,
            None => into.push((class, 1)),
        }
    }
}

/// The coarsest of two groupings: images that share a number in `a` or in `b`, also by way of others, share one.
///
/// # Panics
/// For lists of different lengths.
pub fn join_groups(a: &[u32], b: &[u32]) -> Vec<u32> {
    assert_eq!(a.len(), b.len(), "two groupings of the same images");
    let sets = DisjointSets::new(a.len());
    for groups in [a, b] {
        let mut first: BTreeMap<u32, usize> = BTreeMap::new();
        for (i, &group) in groups.iter().enumerate() {
            sets.join(*first.entry(group).or_insert(i), i);
        }
    }
    sets.numbers()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(part: &[usize], labels: &[u32], class: u32) -> usize {
        part.iter().filter(|&&i| labels[i] == class).count()
    }

    #[test]
    fn single_images_are_stratified() {
        let labels: Vec<u32> = (0..1000).map(|i| u32::from(i % 10 == 0)).collect();
        let alone: Vec<u32> = (0..1000).collect();
        let parts = grouped_parts(&labels, 2, &alone, &[0.7, 0.15], 3);
        for (part, (zeros, ones)) in parts.iter().zip([(630, 70), (135, 15), (135, 15)]) {
            assert!(
                count(part, &labels, 0).abs_diff(zeros) <= 1 && count(part, &labels, 1).abs_diff(ones) <= 1
            );
        }
        let mut all = parts.concat();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        assert_eq!(grouped_parts(&labels, 2, &alone, &[0.7, 0.15], 3), parts);
        assert_ne!(grouped_parts(&labels, 2, &alone, &[0.7, 0.15], 4), parts);
    }

    #[test]
    fn groups_stay_whole_and_classes_in_proportion() {
        // Groups of 1 to 12 images, most of one class.
        let mut rng = Rng::keyed(&[9]);
        let (mut labels, mut groups) = (Vec::new(), Vec::new());
        for group in 0..400u32 {
            let class = rng.below(4) as u32;
            for _ in 0..=rng.below(12) {
                labels.push(if rng.chance(0.1) { rng.below(4) as u32 } else { class });
                groups.push(group * 7 % 400);
            }
        }
        let parts = grouped_parts(&labels, 4, &groups, &[0.7, 0.15], 0);
        for group in 0..400 {
            let homes = parts.iter().filter(|part| part.iter().any(|&i| groups[i] == group)).count();
            assert_eq!(homes, 1, "group {group}");
        }
        for (part, share) in parts.iter().zip([0.7, 0.15, 0.15]) {
            for class in 0..4 {
                let all = labels.iter().filter(|&&l| l == class).count() as f64;
                let found = count(part, &labels, class) as f64 / all;
                assert!((found - share).abs() < 0.02, "class {class}: {found}, expected {share}");
            }
        }
        let nothing = grouped_parts(&labels, 4, &groups, &[1.0, 0.0], 0);
        assert_eq!((nothing[0].len(), nothing[1].len(), nothing[2].len()), (labels.len(), 0, 0));
    }

    #[test]
    fn joined_groups_follow_chains() {
        // 0-1 in a, 1-2 in b, 3 alone, 4-5 in both.
        let joined = join_groups(&[0, 0, 1, 2, 3, 3], &[9, 8, 8, 7, 6, 6]);
        assert_eq!(joined, [0, 0, 0, 3, 4, 4]);
    }
}
