//! Pairs of hashes that differ in few bits.

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
    assert!(distance <= 7, "four bands find distances up to 7, not {distance}");
    // Equal hashes are looked up once.
    let mut order: Vec<usize> = (0..hashes.len()).collect();
    order.sort_by_key(|&i| (hashes[i], i));
    let mut unique: Vec<(u64, &[usize])> = Vec::new();
    for same in order.chunk_by(|&a, &b| hashes[a] == hashes[b]) {
        unique.push((hashes[same[0]], same));
    }
    let buckets: Vec<Buckets> =
        (0..BANDS).map(|band| Buckets::new(unique.iter().map(|u| u.0), band)).collect();
    let search = |at: usize, found: &mut Vec<(usize, usize, f64)>| {
        let (hash, members) = unique[at];
        let mut pair = |a: usize, b: usize| {
            let (i, j) = (a.min(b), a.max(b));
            found.extend(accept(i, j).map(|score| (i, j, score)));
        };
        for (k, &i) in members.iter().enumerate() {
            members[k + 1..].iter().for_each(|&j| pair(i, j));
        }
        for (band, buckets) in buckets.iter().enumerate() {
            let value = part(hash, band);
            let neighbours = (0..BITS).filter(|_| distance > 0).map(|bit| value ^ 1 << bit);
            for key in std::iter::once(value).chain(neighbours) {
                for &other in buckets.of(key) {
                    let other = other as usize;
                    let apart = hash ^ unique[other].0;
                    // An earlier band that is as close has already found this pair.
                    let seen = (0..band).any(|b| part(apart, b).count_ones() <= 1.min(distance));
                    if other <= at || apart.count_ones() > distance || seen {
                        continue;
                    }
                    for &i in members {
                        unique[other].1.iter().for_each(|&j| pair(i, j));
                    }
                }
            }
        }
    };
    let tasks = in_threads(unique.len().div_ceil(TASK), threads, |task| {
        let mut found = Vec::new();
        for at in task * TASK..unique.len().min((task + 1) * TASK) {
            search(at, &mut found);
        }
        found
    });
    let mut all = tasks.concat();
    all.sort_unstable_by_key(|&(i, j, _)| (i, j));
    all
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
}
