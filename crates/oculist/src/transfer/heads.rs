//! Heads on features: which are tried, which is kept, and the network that they make with their features.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use oculist_graph::Graph;
use oculist_heads::{Fitted, HeadError, HeadKind, HeadOptions, Rows, fit};
use oculist_metrics::{Metric, Scores};
use oculist_passes::Extractor;
use oculist_runtime::Context;

use super::features::FeatureRows;
use crate::error::OculistError;
use crate::metrics::{Probabilities, evaluate_as};
use crate::settings::HeadName;

/// What the nodes of a head are called, where the network has no such name.
const HEAD: &str = "head";

/// Which head a name is one of: `head` and `head.*` are the first, `head2` and `head2.*` the second, and so on.
pub(crate) fn head_of(name: &str) -> Option<u32> {
    let number = name.split('.').next()?.strip_prefix(HEAD)?;
    if number.is_empty() { Some(1) } else { number.parse().ok().filter(|n| *n > 1) }
}

/// A name for the nodes of a head that nothing in a graph has.
pub(crate) fn free_head(graph: &Graph) -> String {
    let nodes = graph.nodes().iter().map(|node| node.name.as_str());
    let values = graph.values().iter().map(|value| value.name.as_str());
    match nodes.chain(values).filter_map(head_of).max() {
        None => HEAD.to_owned(),
        Some(last) => format!("{HEAD}{}", u64::from(last) + 1),
    }
}

/// A head that was learned, with what it achieves.
#[derive(Debug)]
pub(crate) struct Tried {
    pub(crate) head: Fitted,
    /// On validation images.
    pub(crate) val: Scores,
    pub(crate) seconds: f64,
}

impl HeadName {
    /// The kinds that are meant. With `linear`, those alone whose weights can be trained on.
    pub(crate) fn kinds(self, linear: bool) -> Vec<HeadKind> {
        let one = match self {
            Self::Auto => {
                return HeadKind::ALL.iter().copied().filter(|k| !linear || k.is_linear()).collect();
            }
            Self::Logistic => HeadKind::Logistic,
            Self::Svm => HeadKind::Svm,
            Self::Lda => HeadKind::Lda,
            Self::Knn => HeadKind::Knn,
            Self::Forest => HeadKind::Forest,
        };
        vec![one]
    }
}

/// How heads are learned on a context: its threads, and the memory that it may take.
pub(crate) fn head_options(seed: u64, ctx: &Context) -> HeadOptions {
    HeadOptions { seed, threads: ctx.threads(), max_memory: ctx.max_memory(), ..HeadOptions::default() }
}

/// Features of training and validation images with their labels.
pub(crate) struct Lesson<'a> {
    pub(crate) train: &'a FeatureRows,
    pub(crate) train_labels: &'a [u32],
    pub(crate) val: &'a FeatureRows,
    pub(crate) val_labels: &'a [u32],
    pub(crate) classes: usize,
}

impl Lesson<'_> {
    /// Learns heads of some kinds, the best on validation images first; of equal ones the earlier.
    ///
    /// # Errors
    /// [`OculistError::Head`] if none can be learned; [`OculistError::Stopped`].
    pub(crate) fn learn(
        &self,
        kinds: &[HeadKind],
        options: &HeadOptions,
        metric: Metric,
        stop: &AtomicBool,
        mut tell: impl FnMut(&Tried),
        mut skipped: impl FnMut(HeadKind),
    ) -> Result<Vec<Tried>, OculistError> {
        let (train, val) =
            (Rows::new(&self.train.values, self.train.dim)?, Rows::new(&self.val.values, self.val.dim)?);
        let mut all: Vec<Tried> = Vec::new();
        for &kind in kinds {
            let began = Instant::now();
            let head = match fit(kind, train, self.train_labels, self.classes, options, stop) {
                // The others may do.
                Err(HeadError::Range { .. }) if kinds.len() > 1 => {
                    skipped(kind);
                    continue;
                }
                fitted => fitted?,
            };
            let scores = head.scores(val)?;
            let val = evaluate_as(Probabilities::Softmax, &scores, self.val_labels, self.classes).scores();
            let tried = Tried { head, val, seconds: began.elapsed().as_secs_f64() };
            tell(&tried);
            all.push(tried);
        }
        let value = |tried: &Tried| tried.val.get(metric).unwrap_or(f64::NAN);
        // Stable: equal ones stay in the order in which they were asked for.
        all.sort_by(|a, b| {
            match (metric.is_better(value(a), value(b)), metric.is_better(value(b), value(a))) {
                (true, false) => std::cmp::Ordering::Less,
                (false, true) => std::cmp::Ordering::Greater,
                _ => std::cmp::Ordering::Equal,
            }
        });
        Ok(all)
    }
}

/// What to say of a head whose cross-validation is not shown to be better than always naming the most frequent class (two
/// standard errors of the latter).
pub(crate) fn chance(cv_accuracy: Option<f64>, labels: &[u32], classes: usize) -> Option<String> {
    let mut counts = vec![0_usize; classes];
    for &label in labels {
        counts[label as usize] += 1;
    }
    // The only image of a class is never held out.
    counts.retain(|&count| count > 1);
    if counts.len() < 2 {
        return None;
    }
    let n = counts.iter().sum::<usize>() as f64;
    let majority = counts.iter().copied().max().unwrap_or(0) as f64 / n;
    let right = cv_accuracy?;
    if right > majority + 2.0 * (majority * (1.0 - majority) / n).sqrt() {
        return None;
    }
    Some(format!(
        "the features tell little of these classes: by cross-validation {:.1}% of training images are right, by always naming the most \
         frequent class {:.1}%; another source, the mode finetune or training from scratch may do better",
        100.0 * right,
        100.0 * majority
    ))
}

/// The network with a head behind it; it ends in logits.
///
/// # Errors
/// [`OculistError::Graph`] if the head does not fit.
pub(crate) fn with_head(network: &Extractor, head: &Fitted) -> Result<Graph, OculistError> {
    let mut graph = network.graph.clone();
    let features = graph.outputs()[0];
    let name = free_head(&graph);
    let logits = head.append(&mut graph, features, &name)?;
    graph.set_outputs(vec![logits]);
    graph.tidy()?;
    graph.check()?;
    Ok(graph)
}

impl From<HeadError> for OculistError {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Stopped => Self::Stopped { resumable: false },
            other => Self::Head(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_keep_to_the_memory_of_the_context() {
        let ctx = |bytes| Context::new(1).unwrap().with_max_memory(bytes);
        let learned = |bytes| {
            let values = [0.0, 1.0, 2.0, 3.0];
            let rows = Rows::new(&values, 1).unwrap();
            let options = head_options(0, &ctx(bytes));
            fit(HeadKind::Logistic, rows, &[0, 1, 0, 1], 2, &options, &AtomicBool::new(false))
        };
        let refused = learned(100).unwrap_err().to_string();
        assert!(refused.contains("bytes needed, 100 allowed") && refused.contains("4 rows"), "{refused}");
        assert!(learned(1 << 20).is_ok());
    }

    #[test]
    fn features_that_tell_nothing_are_told() {
        let labels: Vec<u32> = (0..100).map(|i| u32::from(i % 4 == 0)).collect();
        // 75% by naming the first class; two standard errors are 8.7 points.
        let text = chance(Some(0.83), &labels, 2).unwrap();
        assert!(text.contains("83.0%") && text.contains("75.0%"), "{text}");
        assert_eq!(chance(Some(0.84), &labels, 2), None);
        assert_eq!(chance(None, &labels, 2), None);
        // Of 60 and 1 the one is never held out, so that nothing was told apart.
        let alone: Vec<u32> = (0..61).map(|i| u32::from(i == 60)).collect();
        assert_eq!(chance(Some(1.0), &alone, 2), None);
    }
}
