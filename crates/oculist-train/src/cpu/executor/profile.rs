//! Where the time of a training step goes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use super::plan::Step;
use super::{Executor, Mode};

/// Shortest seconds of one kind of work.
#[derive(Debug, Default, Clone, Copy)]
struct Spent {
    steps: usize,
    forward: f64,
    backward: f64,
}

impl Executor {
    /// Runs `runs` training steps without an update and lists the shortest forward and backward time of every
    /// kind of step (layers of the same geometry together), the longest first.
    ///
    /// # Shapes
    /// `images`: `[batch, height, width, channels]`, dense; `dlogits`: `[batch, logits_stride]`.
    ///
    /// # Panics
    /// If the executor was made for evaluation only, or `runs` is 0.
    pub fn profile(&mut self, images: &[f32], dlogits: &[f32], runs: usize) -> String {
        assert!(runs > 0, "a profile needs a run");
        let n = self.plan.steps.len();
        let mut best = vec![[f64::INFINITY; 2]; n];
        for _ in 0..runs {
            self.load(images);
            for (i, best) in best.iter_mut().enumerate() {
                let start = Instant::now();
                self.step(i, Mode::Train);
                best[0] = best[0].min(start.elapsed().as_secs_f64());
            }
            self.begin_backward(dlogits);
            for (i, best) in best.iter_mut().enumerate().rev() {
                let start = Instant::now();
                self.step_backward(i);
                best[1] = best[1].min(start.elapsed().as_secs_f64());
            }
        }
        let mut kinds: BTreeMap<String, Spent> = BTreeMap::new();
        for (i, [forward, backward]) in best.into_iter().enumerate() {
            let spent = kinds.entry(self.describe(i)).or_default();
            spent.steps += 1;
            spent.forward += forward;
            spent.backward += backward;
        }
        table(kinds)
    }

    fn describe(&self, i: usize) -> String {
        let map = |slot: usize| {
            let m = self.plan.slots[slot];
            format!("{}x{}x{}", m.channels, m.height, m.width)
        };
        match &self.plan.steps[i] {
            Step::Conv { plan, .. } => plan.describe(),
            Step::Norm { x, residual, activation, .. } => {
                let added = if residual.is_some() { " + residual" } else { "" };
                format!("batch norm {}{added}, {activation:?}", map(*x))
            }
            Step::Activation { x, activation, .. } => format!("{activation:?} {}", map(*x)),
            Step::Add { y, .. } => format!("add {}", map(*y)),
            Step::Gate { x, .. } => format!("gate {}", map(*x)),
            Step::Flatten { x, .. } => format!("flatten {}", map(*x)),
            Step::Concat { y, .. } => format!("concatenate {}", map(*y)),
            Step::MaxPool { x, .. } => format!("max pool {}", map(*x)),
            Step::AveragePool { x, .. } => format!("average pool {}", map(*x)),
            Step::GlobalAveragePool { x, .. } => format!("global average pool {}", map(*x)),
            Step::Dropout { x, .. } => format!("dropout {}", map(*x)),
            Step::PickChannels { x, .. } => format!("pick channels {}", map(*x)),
            Step::PadChannels { x, .. } => format!("pad channels {}", map(*x)),
            Step::Rows(step) => step.describe(),
        }
    }
}

fn table(kinds: BTreeMap<String, Spent>) -> String {
    let total: f64 = kinds.values().map(|s| s.forward + s.backward).sum();
    let mut kinds: Vec<(String, Spent)> = kinds.into_iter().collect();
    kinds.sort_by(|a, b| (b.1.forward + b.1.backward).total_cmp(&(a.1.forward + a.1.backward)));
    let mut out = format!("{:.2} ms\n forward backward  share steps\n", total * 1e3);
    for (name, spent) in kinds {
        let share = 100.0 * (spent.forward + spent.backward) / total;
        let _ = writeln!(
            out,
            "{:8.2} {:8.2} {share:5.1}% {:4}x {name}",
            spent.forward * 1e3,
            spent.backward * 1e3,
            spent.steps
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_comes_first_and_shares_sum_up() {
        let spent = |forward, backward| Spent { steps: 1, forward, backward };
        let kinds = BTreeMap::from([("a".into(), spent(0.001, 0.0)), ("b".into(), spent(0.001, 0.002))]);
        let text = table(kinds);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "4.00 ms");
        assert!(lines[2].contains("75.0%") && lines[2].ends_with('b'), "{text}");
        assert!(lines[3].contains("25.0%") && lines[3].ends_with('a'), "{text}");
    }
}
