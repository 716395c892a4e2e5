//! Grows one tree.

use oculist_graph::{Branch, Compare, Vote};

use crate::fit::Task;
use crate::random::Random;

/// A tree before it is part of a forest.
pub(super) struct Tree {
    /// Nodes with the votes of each, which are the shares of the classes.
    pub(super) nodes: Vec<(Branch, Vec<Vote>)>,
    /// Rows that its sample left out.
    pub(super) left_out: Vec<u32>,
}

impl Tree {
    /// The votes for a row.
    pub(super) fn leaf(&self, row: &[f32]) -> &[Vote] {
        let mut at = 0;
        while let Branch::Test { feature, value, yes, no, .. } = self.nodes[at].0 {
            at = if row[feature as usize] <= value { yes } else { no } as usize;
        }
        &self.nodes[at].1
    }
}

/// Grows the tree of a number.
pub(super) fn grow(task: &Task, number: u64) -> Tree {
    let (n, d) = (task.rows.len(), task.rows.dim());
    let mut random = Random::new(task.options.seed, number);
    let mut drawn = vec![false; n];
    let mut sample: Vec<u32> = (0..n)
        .map(|_| {
            let row = random.below(n);
            drawn[row] = true;
            row as u32
        })
        .collect();
    let left_out = (0..n as u32).filter(|&row| !drawn[row as usize]).collect();
    let tries = d.isqrt().max(1);
    let mut features: Vec<u32> = (0..d as u32).collect();
    let mut nodes: Vec<(Branch, Vec<Vote>)> = vec![(Branch::Leaf, Vec::new())];
    let mut open = vec![(0usize, 0..n)];
    while let Some((node, range)) = open.pop() {
        let rows = &mut sample[range.clone()];
        let counts = counts(task, rows);
        let split = if counts.iter().filter(|&&c| c > 0).count() < 2 {
            None
        } else {
            best_split(task, rows, &counts, &mut features, tries, &mut random)
        };
        let Some(Split { feature, value, .. }) = split else {
            let total = rows.len() as f32;
            let share = |(class, &count): (usize, &u32)| {
                let class = task.present[class] as u32;
                (count > 0).then(|| Vote { class, weight: count as f32 / total })
            };
            nodes[node].1 = counts.iter().enumerate().filter_map(share).collect();
            continue;
        };
        let mut passed = 0;
        for i in 0..rows.len() {
            if task.rows.row(rows[i] as usize)[feature as usize] <= value {
                rows.swap(i, passed);
                passed += 1;
            }
        }
        let (yes, no) = (nodes.len() as u32, nodes.len() as u32 + 1);
        let compare = Compare::LessOrEqual;
        nodes[node].0 = Branch::Test { feature, compare, value, yes, no, missing_passes: false };
        nodes.extend([(Branch::Leaf, Vec::new()), (Branch::Leaf, Vec::new())]);
        let middle = range.start + passed;
        open.extend([(no as usize, middle..range.end), (yes as usize, range.start..middle)]);
    }
    Tree { nodes, left_out }
}

/// Rows of each class that occurs.
fn counts(task: &Task, rows: &[u32]) -> Vec<u32> {
    let mut counts = vec![0u32; task.present.len()];
    for &row in rows {
        counts[task.labels[row as usize] as usize] += 1;
    }
    counts
}

/// Where rows are split.
struct Split {
    feature: u32,
    value: f32,
    /// The larger, the purer are the two parts.
    purity: f64,
}

/// The best of some random splits; `None` if no feature varies.
fn best_split(
    task: &Task,
    rows: &[u32],
    all: &[u32],
    features: &mut [u32],
    tries: usize,
    random: &mut Random,
) -> Option<Split> {
    let mut best: Option<Split> = None;
    let mut left = vec![0u32; all.len()];
    let mut tried = 0;
    for i in 0..features.len() {
        // The next of a random order of features.
        features.swap(i, i + random.below(features.len() - i));
        let feature = features[i];
        let value = |row: &u32| task.rows.row(*row as usize)[feature as usize];
        let (least, most) =
            rows.iter().map(value).fold((f32::MAX, f32::MIN), |(a, b), x| (a.min(x), b.max(x)));
        if least >= most {
            continue;
        }
        tried += 1;
        let at = f64::from(least)
            + (random.next() >> 11) as f64 / (1u64 << 53) as f64 * (f64::from(most) - f64::from(least));
        // At least the least passes, and the largest does not.
        let at = at as f32;
        let at = if at >= most { least } else { at };
        left.fill(0);
        for row in rows {
            if value(row) <= at {
                left[task.labels[*row as usize] as usize] += 1;
            }
        }
        let (mut count, mut squares, mut other_squares) = (0.0, 0.0, 0.0);
        for (&l, &a) in left.iter().zip(all) {
            count += f64::from(l);
            squares += f64::from(l).powi(2);
            other_squares += f64::from(a - l).powi(2);
        }
        let purity = squares / count + other_squares / (rows.len() as f64 - count);
        if best.as_ref().is_none_or(|b| purity > b.purity) {
            best = Some(Split { feature, value: at, purity });
        }
        if tried == tries {
            break;
        }
    }
    best
}
