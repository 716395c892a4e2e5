//! One setting that was tried, and the rule that accepts or refuses it.

use oculist_graph::Graph;
use oculist_report::Spread;

use crate::settings::Target;

/// What a model costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cost {
    /// Trainable parameters.
    pub(crate) params: u64,
    /// Multiply-accumulates of one image.
    pub(crate) macs: u64,
    /// Bytes of the file.
    pub(crate) bytes: u64,
    /// Time for one image.
    pub(crate) latency: Spread,
}

/// A model with what it cost and what it achieves on validation images.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    /// For tables, such as `pruned to 45% MACs, int8`.
    pub(crate) name: String,
    /// `baseline`, `int8`, `pruned` or `pruned+int8`.
    pub(crate) kind: &'static str,
    /// Share of the cost that pruning aimed at; `None` without pruning.
    pub(crate) keep: Option<f64>,
    pub(crate) graph: Graph,
    pub(crate) val_top1: f64,
    pub(crate) cost: Cost,
    pub(crate) accepted: bool,
    pub(crate) reason: String,
}

impl Candidate {
    /// Decides whether the candidate keeps the promise against the baseline, and says why.
    ///
    /// Accepted: its validation top-1 falls by at most `max_drop` points, and it is smaller or faster. "Faster" asks
    /// for a median latency below the baseline's, "smaller" for fewer bytes.
    pub(crate) fn judge(&mut self, baseline_top1: f64, baseline: &Cost, max_drop: f64) {
        let drop = baseline_top1 - self.val_top1;
        let smaller = self.cost.bytes < baseline.bytes;
        let faster = self.cost.latency.median < baseline.latency.median;
        // Accuracies are ratios of counts; the small slack only absorbs the rounding of their difference.
        let kept = drop <= max_drop + 1e-9;
        self.accepted = kept && (smaller || faster);
        self.reason = if !kept {
            format!("loses {drop:.2} points, {max_drop} allowed")
        } else if !smaller && !faster {
            "neither smaller nor faster than the baseline".into()
        } else {
            let change = change_text(drop, ["loses", "gains", "keeps the top-1"]);
            let size = baseline.bytes as f64 / self.cost.bytes as f64;
            let speed = baseline.latency.median / self.cost.latency.median;
            format!("{change}, {size:.1}x smaller, {speed:.1}x faster")
        };
    }

    /// The number that the target wants small.
    pub(crate) fn figure(&self, target: Target) -> f64 {
        match target {
            Target::Size => self.cost.bytes as f64,
            Target::Latency => self.cost.latency.median,
            Target::Macs => self.cost.macs as f64,
        }
    }
}

/// A change of top-1 in words: `loses 0.20 points`, `gains 0.10 points`, `keeps the top-1`; `words` are the verbs.
pub(crate) fn change_text(drop: f64, words: [&str; 3]) -> String {
    match drop {
        // Half of the last digit shown.
        d if d.abs() < 0.005 => words[2].to_owned(),
        d if d > 0.0 => format!("{} {d:.2} points", words[0]),
        d => format!("{} {:.2} points", words[1], -d),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(bytes: u64, median: f64) -> Cost {
        let latency = Spread { batch: 1, median, min: median, max: median, runs: 5 };
        Cost { params: 1, macs: 1, bytes, latency }
    }

    fn judged(top1: f64, bytes: u64, median: f64) -> Candidate {
        let mut c = Candidate {
            name: "c".into(),
            kind: "int8",
            keep: None,
            graph: Graph::new("c"),
            val_top1: top1,
            cost: cost(bytes, median),
            accepted: false,
            reason: String::new(),
        };
        c.judge(90.0, &cost(1000, 2.0), 0.5);
        c
    }

    #[test]
    fn the_promise_is_kept_to_the_point() {
        assert!(judged(89.5, 500, 1.0).accepted);
        assert!(!judged(89.4, 500, 1.0).accepted);
        assert!(judged(91.0, 500, 1.0).reason.contains("gains 1.00 points"));
    }

    #[test]
    fn what_is_neither_smaller_nor_faster_is_refused_and_said_so() {
        let c = judged(90.0, 1000, 2.0);
        assert!(!c.accepted);
        assert_eq!(c.reason, "neither smaller nor faster than the baseline");
        assert!(judged(90.0, 1000, 1.9).accepted, "faster is enough");
        assert!(judged(90.0, 999, 2.5).accepted, "smaller is enough");
    }

    #[test]
    fn the_target_picks_its_figure() {
        let c = judged(90.0, 500, 1.5);
        assert!((c.figure(Target::Size) - 500.0).abs() < 1e-12);
        assert!((c.figure(Target::Latency) - 1.5).abs() < 1e-12);
        assert!((c.figure(Target::Macs) - 1.0).abs() < 1e-12);
    }
}
