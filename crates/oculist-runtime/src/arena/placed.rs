//! The tensors that have a place, by lifetime.

use crate::tensor::TensorId;

/// First and last step, both inclusive.
pub(super) type Life = (usize, usize);

/// Says which of the placed tensors are alive during some steps, in time proportional to their number.
///
/// The tensors are sorted by their first step. Those that begin in time are the front of that list, and a tree over it
/// that knows the latest end in each part leads to those that have not ended before.
pub(super) struct Placed {
    /// Sorted by the first step.
    tensors: Vec<(TensorId, Life)>,
    /// Where each tensor stands in that list.
    ranks: Vec<usize>,
    /// A binary tree in an array, the root at 1, the leaves from `tensors.len().next_power_of_two()` on: one more than
    /// the latest last step of the placed tensors below, 0 without any.
    ends: Vec<usize>,
}

impl Placed {
    /// For these tensors, of which none is placed yet.
    pub(super) fn new(mut tensors: Vec<(TensorId, Life)>) -> Self {
        tensors.sort_by_key(|&(id, (first, _))| (first, id));
        let mut ranks = vec![0; tensors.iter().map(|&(id, _)| id + 1).max().unwrap_or(0)];
        for (rank, &(id, _)) in tensors.iter().enumerate() {
            ranks[id] = rank;
        }
        let ends = vec![0; 2 * tensors.len().next_power_of_two()];
        Self { tensors, ranks, ends }
    }

    /// Marks a tensor as placed.
    pub(super) fn insert(&mut self, id: TensorId) {
        let rank = self.ranks[id];
        let mut at = self.ends.len() / 2 + rank;
        let end = self.tensors[rank].1.1 + 1;
        while at > 0 {
            self.ends[at] = self.ends[at].max(end);
            at /= 2;
        }
    }

    /// Writes the placed tensors alive during some steps to `found`, `most` of them if there are more.
    pub(super) fn alive(&self, (first, last): Life, most: usize, found: &mut Vec<TensorId>) {
        found.clear();
        let begun = self.tensors.partition_point(|&(_, (begin, _))| begin <= last);
        let leaves = self.ends.len() / 2;
        // Parts of the list still to be looked at: the place in the tree, its first leaf, its number of leaves.
        let mut parts = vec![(1, 0, leaves)];
        while let Some((at, begin, len)) = parts.pop() {
            if begin >= begun || self.ends[at] <= first || found.len() == most {
                continue;
            }
            if len == 1 {
                found.push(self.tensors[begin].0);
            } else {
                let half = len / 2;
                parts.push((2 * at + 1, begin + half, half));
                parts.push((2 * at, begin, half));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alive_are_the_placed_ones_that_overlap() {
        let lives: Vec<Life> = (0..40).map(|i| (i * 7 % 23, i * 7 % 23 + i % 5)).collect();
        let mut placed = Placed::new(lives.iter().copied().enumerate().collect());
        let mut found = Vec::new();
        for n in 0..lives.len() {
            for step in 0..30 {
                let life = (step, step + n % 4);
                placed.alive(life, usize::MAX, &mut found);
                found.sort_unstable();
                let want: Vec<TensorId> =
                    (0..n).filter(|&i| lives[i].0 <= life.1 && life.0 <= lives[i].1).collect();
                assert_eq!(found, want, "{n} placed, steps {life:?}");
                placed.alive(life, 2, &mut found);
                assert_eq!(found.len(), want.len().min(2));
            }
            placed.insert(n);
        }
    }

    #[test]
    fn without_tensors_none_is_alive() {
        let mut found = vec![1];
        Placed::new(Vec::new()).alive((0, 9), 3, &mut found);
        assert!(found.is_empty());
    }
}
