//! Pairs of hashes that differ in few bits.

use crate::disjoint::DisjointSets;
use crate::scan::in_threads;

/// Bands that a hash is cut into.
const BANDS: usize = 4;
/// Bits of a band.
const BITS: usize = 16;
/// Hashes searched per task.
const TASK: usize = 256;

/// All pairs of positions `(i, j)`, `i < j`, whose hashes differ in at most `distance` bits and that `accept` gives a
/// score, in ascending order.
///
/// A hash is cut into four bands of 16 bits. Two hashes that differ in at most 7 bits have a band in which they differ
/// in at most one, so that it is enough to look up each band and its 16 neighbours. For n hashes spread evenly
/// that is about `n * 68 * n / 65536` comparisons instead of `n * n / 2`.
///
/// # Panics
/// For a distance above 7.
///
/// # Source
/// Multi-index hashing: Norouzi, Punjani and Fleet 2012.
pub fn close_pairs(
    hashes: &[u64],
    distance: u32,
    threads: usize,
    accept: impl Fn(usize, usize) -> Option<f64> + Sync,
) -> Vec<(usize, usize, f64)> {
    let order = in_order(hashes);
    let index = Index::new(hashes, &order, distance);
    let mut all = index.in_tasks(threads, |at, found: &mut Vec<(usize, usize, f64)>| {
        let members = index.unique[at].1;
        let mut pair = |a: usize, b: usize| {
            let (i, j) = (a.min(b), a.max(b));
            found.extend(accept(i, j).map(|score| (i, j, score)));
        };
        for (k, &i) in members.iter().enumerate() {
            members[k + 1..].iter().for_each(|&j| pair(i, j));
        }
        index.later_neighbours(at, |other| {
            for &i in members {
                index.unique[other].1.iter().for_each(|&j| pair(i, j));
            }
        });
    });
    all.sort_unstable_by_key(|&(i, j, _)| (i, j));
    all
}

/// The positions that hang together by pairs whose hashes differ in at most `distance` bits and that are `alike`.
///
/// The sets are those of [`close_pairs`] joined. What is together already is not compared: a thousand frames of one scene cost
/// a thousand comparisons, and as many looks at the sets where their hashes are equal. No thread waits for another.
///
/// # Panics
/// For a distance above 7.
pub(crate) fn close_groups(
    hashes: &[u64],
    distance: u32,
    threads: usize,
    alike: impl Fn(usize, usize) -> bool + Sync,
) -> DisjointSets {
    let order = in_order(hashes);
    let index = Index::new(hashes, &order, distance);
    // What hangs together among equal hashes: from then on it is one.
    let parts: Vec<Vec<Vec<usize>>> =
        index.in_tasks(threads, |at, found| found.push(parts_of(index.unique[at].1, &alike)));
    let sets = DisjointSets::new(hashes.len());
    for part in parts.iter().flatten() {
        for &i in part {
            sets.join(part[0], i);
        }
    }
    let are_alike = |a: &[usize], b: &[usize]| a.iter().any(|&i| b.iter().any(|&j| alike(i, j)));
    let _: Vec<()> = index.in_tasks(threads, |at, _| {
        index.later_neighbours(at, |other| {
            for a in &parts[at] {
                for b in &parts[other] {
                    if !sets.are_together(a[0], b[0]) && are_alike(a, b) {
                        sets.join(a[0], b[0]);
                    }
                }
            }
        });
    });
    sets
}

/// What hangs together of these positions, each compared with one after the other of a part until it belongs there.
fn parts_of(members: &[usize], alike: &impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let mut parts: Vec<Vec<usize>> = Vec::new();
    for &i in members {
        let mut mine: Option<usize> = None;
        let mut at = 0;
        while at < parts.len() {
            let belongs = parts[at].iter().any(|&j| alike(i, j));
            match mine {
                Some(first) if belongs => {
                    let part = parts.swap_remove(at);
                    parts[first].extend(part);
                    continue;
                }
                None if belongs => {
                    parts[at].push(i);
                    mine = Some(at);
                }
                _ => {}
            }
            at += 1;
        }
        if mine.is_none() {
            parts.push(vec![i]);
        }
    }
    parts
}

/// The positions in the order of their hashes.
fn in_order(hashes: &[u64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..hashes.len()).collect();
    order.sort_by_key(|&i| (hashes[i], i));
    order
}

/// Hashes that can be looked up by what is close to them.
struct Index<'a> {
    /// Each hash once, with its positions.
    unique: Vec<(u64, &'a [usize])>,
    buckets: Vec<Buckets>,
    distance: u32,
}

impl<'a> Index<'a> {
    fn new(hashes: &[u64], order: &'a [usize], distance: u32) -> Self {
        assert!(distance <= 7, "four bands find distances up to 7, not {distance}");
        let same = order.chunk_by(|&a, &b| hashes[a] == hashes[b]);
        let unique: Vec<(u64, &[usize])> = same.map(|same| (hashes[same[0]], same)).collect();
        let buckets = (0..BANDS).map(|band| Buckets::new(unique.iter().map(|u| u.0), band)).collect();
        Self { unique, buckets, distance }
    }

    /// Calls `each` with the places of all later hashes that are close to the one at this place, each once.
    fn later_neighbours(&self, at: usize, mut each: impl FnMut(usize)) {
        let hash = self.unique[at].0;
        for (band, buckets) in self.buckets.iter().enumerate() {
            let value = part(hash, band);
            let neighbours = (0..BITS).filter(|_| self.distance > 0).map(|bit| value ^ 1 << bit);
            for key in std::iter::once(value).chain(neighbours) {
                for &other in buckets.of(key) {
                    let other = other as usize;
                    let apart = hash ^ self.unique[other].0;
                    // An earlier band that is as close has already found this pair.
                    let seen = (0..band).any(|b| part(apart, b).count_ones() <= 1.min(self.distance));
                    if other > at && apart.count_ones() <= self.distance && !seen {
                        each(other);
                    }
                }
            }
        }
    }

    /// Searches from every hash in several threads; what is found is in the order of the hashes.
    fn in_tasks<T: Send>(&self, threads: usize, search: impl Fn(usize, &mut Vec<T>) + Sync) -> Vec<T> {
        let count = self.unique.len();
        let tasks = in_threads(count.div_ceil(TASK), threads, |task| {
            let mut found = Vec::new();
            for at in task * TASK..count.min((task + 1) * TASK) {
                search(at, &mut found);
            }
            found
        });
        tasks.into_iter().flatten().collect()
    }
}

fn part(hash: u64, band: usize) -> usize {
    (hash >> (band * BITS)) as usize & ((1 << BITS) - 1)
}

/// Positions by the value of one band.
struct Buckets {
    start: Vec<u32>,
    positions: Vec<u32>,
}

impl Buckets {
    fn new(hashes: impl Iterator<Item = u64> + Clone, band: usize) -> Self {
        let mut start = vec![0u32; (1 << BITS) + 1];
        for hash in hashes.clone() {
            start[part(hash, band) + 1] += 1;
        }
        for i in 0..1 << BITS {
            start[i + 1] += start[i];
        }
        let mut next = start.clone();
        let mut positions = vec![0; start[1 << BITS] as usize];
        for (i, hash) in hashes.enumerate() {
            let slot = &mut next[part(hash, band)];
            positions[*slot as usize] = i as u32;
            *slot += 1;
        }
        Self { start, positions }
    }

    fn of(&self, value: usize) -> &[u32] {
        &self.positions[self.start[value] as usize..self.start[value + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oculist_augment::Rng;

    #[test]
    fn every_close_pair_is_found_once() {
        let mut rng = Rng::keyed(&[5]);
        let mut hashes: Vec<u64> = (0..300).map(|_| rng.next_u64()).collect();
        for i in 0..300 {
            // Relatives of 0 to 9 flipped bits, and many equal hashes.
            let mut hash = hashes[i];
            for _ in 0..i % 10 {
                hash ^= 1 << rng.below(64);
            }
            hashes.push(hash);
        }
        for distance in [0, 1, 4, 7] {
            let mut expected = Vec::new();
            for i in 0..hashes.len() {
                for j in i + 1..hashes.len() {
                    let apart = (hashes[i] ^ hashes[j]).count_ones();
                    if apart <= distance {
                        expected.push((i, j, f64::from(apart)));
                    }
                }
            }
            let apart = |i: usize, j: usize| Some(f64::from((hashes[i] ^ hashes[j]).count_ones()));
            assert_eq!(close_pairs(&hashes, distance, 2, apart), expected, "distance {distance}");
            assert!(expected.len() > 20);
        }
        assert!(close_pairs(&hashes, 7, 1, |_, _| None).is_empty());
    }

    #[test]
    fn groups_are_the_pairs_joined() {
        let mut rng = Rng::keyed(&[7]);
        let mut hashes: Vec<u64> = (0..80).map(|_| rng.next_u64()).collect();
        for i in 0..240 {
            let hash = hashes[i % 80] ^ if i % 3 == 0 { 0 } else { 1 << rng.below(64) };
            hashes.push(hash);
        }
        // Alike for another reason than the hash, and not what is alike to the same third.
        let kinds: Vec<usize> = (0..hashes.len()).map(|_| rng.below(4)).collect();
        let alike = |i: usize, j: usize| kinds[i].abs_diff(kinds[j]) == 1;
        let joined = DisjointSets::new(hashes.len());
        for (i, j, _) in close_pairs(&hashes, 2, 2, |i, j| alike(i, j).then_some(1.0)) {
            joined.join(i, j);
        }
        for threads in [1, 3] {
            assert_eq!(close_groups(&hashes, 2, threads, alike).numbers(), joined.numbers());
        }
        let alone = |numbers: &[u32]| numbers.iter().enumerate().filter(|(i, n)| *i == **n as usize).count();
        assert!((20..hashes.len()).contains(&alone(&joined.numbers())));
    }

    #[test]
    fn frames_of_one_scene_are_compared_once_each() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let count = |hashes: &[u64]| {
            let calls = AtomicUsize::new(0);
            let sets = close_groups(hashes, 4, 1, |_, _| {
                calls.fetch_add(1, Ordering::Relaxed);
                true
            });
            assert!(sets.numbers().iter().all(|&first| first == 0), "all are one");
            calls.into_inner()
        };
        // Equal hashes, and hashes that are close to each other.
        assert_eq!(count(&vec![3; 3000]), 2999);
        let close: Vec<u64> = (0..64 * 64).map(|i| 1 << (i / 64) | 1 << (i % 64)).collect();
        assert!(count(&close) < 2 * close.len());
    }
}
