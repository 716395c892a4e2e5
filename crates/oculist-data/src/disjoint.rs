//! Disjoint sets of positions.

use std::sync::atomic::{AtomicU32, Ordering};

/// Disjoint sets of positions, which several threads can join without waiting for each other; the smallest member stands for
/// its set, whatever the order of joining.
///
/// Each position points to a smaller one of its set or to itself. A pointer only ever moves to another member further up, so
/// that what a thread reads is a member of the same set, however old it is: nothing else has to be ordered.
pub(crate) struct DisjointSets(Vec<AtomicU32>);

impl DisjointSets {
    /// Each of `n` positions alone.
    pub(crate) fn new(n: usize) -> Self {
        Self((0..n as u32).map(AtomicU32::new).collect())
    }

    fn parent(&self, i: usize) -> usize {
        self.0[i].load(Ordering::Relaxed) as usize
    }

    fn find(&self, mut i: usize) -> usize {
        loop {
            let parent = self.parent(i);
            if parent == i {
                return i;
            }
            let above = self.parent(parent);
            if above != parent {
                // Half of the way next time.
                self.0[i].store(above as u32, Ordering::Relaxed);
            }
            i = parent;
        }
    }

    /// Whether two positions are in one set; while others join sets, false may be what was.
    pub(crate) fn are_together(&self, a: usize, b: usize) -> bool {
        self.find(a) == self.find(b)
    }

    /// Makes one set of two.
    pub(crate) fn join(&self, a: usize, b: usize) {
        loop {
            let (a, b) = (self.find(a), self.find(b));
            let (low, high) = (a.min(b), a.max(b));
            if low == high {
                return;
            }
            let still =
                self.0[high].compare_exchange(high as u32, low as u32, Ordering::Relaxed, Ordering::Relaxed);
            // Else another thread has put the higher one below a third meanwhile.
            if still.is_ok() {
                return;
            }
        }
    }

    /// For each position the smallest of its set.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        (0..self.0.len()).map(|i| self.find(i) as u32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::in_threads;
    use oculist_augment::Rng;

    #[test]
    fn the_smallest_member_stands_for_a_set() {
        let sets = DisjointSets::new(6);
        sets.join(4, 5);
        sets.join(3, 4);
        sets.join(3, 3);
        assert!(sets.are_together(5, 3) && !sets.are_together(2, 3));
        assert_eq!(sets.numbers(), [0, 1, 2, 3, 3, 3]);
    }

    #[test]
    fn threads_make_the_same_sets() {
        let mut rng = Rng::keyed(&[2]);
        let pairs: Vec<(usize, usize)> =
            (0..30_000).map(|_| (rng.below(40_000), rng.below(40_000))).collect();
        let joined = |threads: usize| {
            let sets = DisjointSets::new(40_000);
            in_threads(pairs.len(), threads, |i| sets.join(pairs[i].0, pairs[i].1));
            sets.numbers()
        };
        // By the plainest of ways.
        let mut expected: Vec<u32> = (0..40_000).collect();
        let mut changed = true;
        while changed {
            changed = false;
            for &(a, b) in &pairs {
                let least = expected[a].min(expected[b]);
                changed |= expected[a] != expected[b];
                (expected[a], expected[b]) = (least, least);
            }
        }
        assert_eq!(joined(1), expected);
        for _ in 0..4 {
            assert_eq!(joined(4), expected);
        }
        assert!(expected.iter().enumerate().any(|(i, &first)| i != first as usize));
    }
}
