//! A threshold below which an image is none of a model's classes.

use std::collections::BTreeMap;

use oculist_data::Task;
use oculist_graph::{Graph, Op, Unary};

use crate::message::{Message, set_to, setting};
use crate::metrics::Probabilities;
use crate::model_file::Model;

/// What the metadata keys of a threshold begin with.
pub(crate) const REJECT_PREFIX: &str = "oculist.reject.";
const SCORE: &str = "oculist.reject.score";
const THRESHOLD: &str = "oculist.reject.threshold";
const RATE: &str = "oculist.reject.rate";
const IMAGES: &str = "oculist.reject.images";

/// Share of the validation images that a threshold keeps at the least.
const KEPT: f64 = 0.95;

/// What is compared with the threshold; the more, the more the image looks like those that the model knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RejectScore {
    /// The negative free energy of the logits: `log(sum(exp(z)))`.
    ///
    /// # Source
    /// Liu, Wang, Owens and Li: Energy-based Out-of-distribution Detection, NeurIPS 2020.
    Energy,
    /// The probability of the likeliest class, for files that give probabilities, of which the energy is lost.
    ///
    /// # Source
    /// Hendrycks and Gimpel: A Baseline for Detecting Misclassified and Out-of-Distribution Examples, ICLR 2017.
    MaxProbability,
}

impl RejectScore {
    /// What suits a model: the energy, unless its file gives probabilities or its logits are their logarithms, of which the
    /// energy is lost.
    pub(crate) fn of_model(model: &Model) -> Self {
        if model.head.is_empty() && !gives_logarithms(&model.graph) {
            Self::Energy
        } else {
            Self::MaxProbability
        }
    }

    /// The name used in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Energy => "energy",
            Self::MaxProbability => "max_probability",
        }
    }

    /// The score of a row of logits whose probabilities are these.
    pub fn of(self, logits: &[f32], probabilities: Probabilities) -> f32 {
        match self {
            Self::Energy => {
                let most = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
                let sum: f64 = logits.iter().map(|&z| (f64::from(z) - most).exp()).sum();
                (most + sum.ln()) as f32
            }
            Self::MaxProbability => probabilities.of(logits).into_iter().fold(0.0, f32::max),
        }
    }
}

/// Whether a graph ends in logarithms, perhaps scaled: of what is not looked at.
fn gives_logarithms(graph: &Graph) -> bool {
    let producers = graph.producers();
    let mut at = graph.outputs().first().copied();
    while let Some(node) = at.and_then(|v| Some(&graph.nodes()[producers[v.index()]?])) {
        match node.op {
            Op::Unary(Unary::Log) => return true,
            Op::Binary(_) | Op::Identity(_) => at = node.inputs.iter().find(|&v| graph.param(v).is_none()),
            _ => return false,
        }
    }
    false
}

/// When an image is none of the classes: its score is below the threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Reject {
    /// What is compared.
    pub score: RejectScore,
    /// The least score that is still of a class.
    pub threshold: f32,
    /// Share of the validation images that it keeps at the least, 0..=1.
    pub rate: f64,
    /// Validation images that it was measured on.
    pub images: usize,
}

impl Reject {
    /// The threshold of validation images: the largest of their scores that at least `rate` of them reach.
    ///
    /// `scores[floor((1 - rate) * (n - 1))]` of the n scores in rising order, which is `numpy.quantile(scores, 1 - rate,
    /// method="lower")`; `None` of no images. `sorted` must be in rising order.
    pub(crate) fn of_scores(score: RejectScore, sorted: &[f32]) -> Option<Self> {
        // A share of (n - 1) whole numbers may lie a rounding below the whole number that it is.
        let at = ((1.0 - KEPT) * (sorted.len().checked_sub(1)? as f64) + 1e-9).floor() as usize;
        Some(Self { score, threshold: *sorted.get(at)?, rate: KEPT, images: sorted.len() })
    }

    /// Whether an image with this score is none of the classes.
    pub fn rejects(&self, score: f32) -> bool {
        score < self.threshold
    }

    /// The threshold as metadata:
    ///
    /// | key | value |
    /// |---|---|
    /// | `oculist.reject.score` | `energy` or `max_probability` |
    /// | `oculist.reject.threshold` | an image whose score is below is none of the classes |
    /// | `oculist.reject.rate` | share of the validation images that it keeps at the least, 0..=1 |
    /// | `oculist.reject.images` | how many validation images that were |
    ///
    /// The threshold is written with as many digits as give the same f32 back.
    pub(crate) fn to_metadata(self) -> BTreeMap<String, String> {
        [
            (SCORE, self.score.name().to_owned()),
            (THRESHOLD, self.threshold.to_string()),
            (RATE, self.rate.to_string()),
            (IMAGES, self.images.to_string()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }

    /// Reads what [`to_metadata`](Self::to_metadata) wrote; `None` where no such key is there.
    ///
    /// # Errors
    /// The key that is missing or whose value is not as documented, in words.
    pub(crate) fn from_metadata(metadata: &BTreeMap<String, String>) -> Result<Option<Self>, String> {
        if !metadata.keys().any(|key| key.starts_with(REJECT_PREFIX)) {
            return Ok(None);
        }
        let get = |key: &str, expected: &str| {
            let found = metadata.get(key).map(String::as_str);
            let problem = format!("metadata `{key}`: expected {expected}, found ");
            found.ok_or_else(|| format!("{problem}nothing")).map(|text| (text, problem))
        };
        let (text, problem) = get(SCORE, "energy or max_probability")?;
        let score = [RejectScore::Energy, RejectScore::MaxProbability].into_iter().find(|s| s.name() == text);
        let score = score.ok_or_else(|| format!("{problem}{text:?}"))?;
        let (text, problem) = get(THRESHOLD, "a finite number")?;
        let threshold = text.parse().ok().filter(|x: &f32| x.is_finite());
        let threshold = threshold.ok_or_else(|| format!("{problem}{text:?}"))?;
        let (text, problem) = get(RATE, "a number of 0 to 1")?;
        let rate = text.parse().ok().filter(|x| (0.0..=1.0).contains(x));
        let rate = rate.ok_or_else(|| format!("{problem}{text:?}"))?;
        let (text, problem) = get(IMAGES, "a whole number")?;
        let images = text.parse().map_err(|_| format!("{problem}{text:?}"))?;
        Ok(Some(Self { score, threshold, rate, images }))
    }
}

impl Model {
    /// The threshold below which an image is none of its classes, as `oculist predict --reject` needs it.
    ///
    /// # Errors
    /// A message for a model that tells any number of labels, and for one whose file has no threshold or was opened with another
    /// output or preprocessing than its own.
    pub fn rejection(&self) -> Result<Reject, Message> {
        let name = setting("reject");
        if self.task != Task::SingleLabel {
            return Err(format!(
                "{name}: expected a model that tells one class of an image; this one tells any number of labels, and none of \
                 them is an answer already"
            )
            .into());
        }
        self.reject.ok_or_else(|| {
            format!(
                "{name}: expected a threshold in the metadata (oculist.reject.*), found none for this output and \
                 preprocessing; train, optimize and compress write one, and export with {}",
                set_to("reject", "DATA")
            )
            .into()
        })
    }

    /// What is compared with the threshold, of a row of logits.
    pub fn reject_score(&self, logits: &[f32]) -> f32 {
        let usual = || RejectScore::of_model(self);
        self.reject.map_or_else(usual, |reject| reject.score).of(logits, self.probabilities())
    }

    /// The scores of logits, `[images, classes]`, by which this model would tell that an image is none of its classes; empty
    /// where it tells any number of labels, none of which is an answer already.
    pub(crate) fn reject_scores(&self, logits: &[f32]) -> Vec<f32> {
        if self.task != Task::SingleLabel {
            return Vec::new();
        }
        let (score, probabilities) = (RejectScore::of_model(self), self.probabilities());
        logits.chunks_exact(self.class_names.len().max(1)).map(|row| score.of(row, probabilities)).collect()
    }

    /// The same with the threshold of scores in rising order.
    pub(crate) fn set_reject(&mut self, sorted: &[f32]) {
        self.reject = Reject::of_scores(RejectScore::of_model(self), sorted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_the_logarithm_of_a_sum_or_the_largest_probability() {
        let row = [1.0, 2.0, 3.0];
        let energy = RejectScore::Energy.of(&row, Probabilities::Softmax);
        assert!((f64::from(energy) - (1f64.exp() + 2f64.exp() + 3f64.exp()).ln()).abs() < 1e-6);
        // Where the plain sum has no number.
        let far = RejectScore::Energy.of(&[1e4, 1e4 - 1.0], Probabilities::Softmax);
        assert!((far - 1e4 - 0.313_26).abs() < 1e-3, "{far}");
        let soft = RejectScore::MaxProbability.of(&row, Probabilities::Softmax);
        assert!((soft - 0.665_241).abs() < 1e-6);
        let own = RejectScore::MaxProbability.of(&row, Probabilities::Sigmoids);
        assert!((own - 0.952_574).abs() < 1e-6);
    }

    #[test]
    fn at_least_the_rate_is_kept_and_no_more_than_needed() {
        assert_eq!(Reject::of_scores(RejectScore::Energy, &[]), None);
        for n in 1..300 {
            let scores: Vec<f32> = (0..n).map(|i| i as f32 / 3.0).collect();
            let found = Reject::of_scores(RejectScore::Energy, &scores).unwrap();
            let kept = scores.iter().filter(|&&s| !found.rejects(s)).count();
            assert!(kept as f64 >= 0.95 * f64::from(n) - 1e-9, "{kept} of {n}");
            // Twin: the next score would keep too few, but for sizes at which both lie on the boundary.
            assert!((kept as f64 - 2.0) < 0.95 * f64::from(n), "{kept} of {n}");
            assert_eq!(found.images, n as usize);
        }
        // numpy.quantile(range(101), 0.05, method="lower")
        let scores: Vec<f32> = (0..101).map(|i| i as f32).collect();
        assert_eq!(
            Reject::of_scores(RejectScore::Energy, &scores).unwrap().threshold.to_bits(),
            5f32.to_bits()
        );
    }

    #[test]
    fn metadata_give_the_same_threshold_back_or_are_named() {
        let one = Reject { score: RejectScore::Energy, threshold: 0.1 + 0.2, rate: 0.95, images: 7 };
        let metadata = one.to_metadata();
        assert_eq!(Reject::from_metadata(&metadata), Ok(Some(one)));
        assert_eq!(Reject::from_metadata(&BTreeMap::new()), Ok(None));
        for key in metadata.keys() {
            for value in [None, Some("nonsense"), Some("NaN")] {
                let mut wrong = metadata.clone();
                wrong.remove(key);
                wrong.extend(value.map(|value| (key.clone(), value.to_owned())));
                let problem = Reject::from_metadata(&wrong).unwrap_err();
                assert!(problem.contains(key.as_str()), "{problem}");
                assert!(problem.contains(value.unwrap_or("nothing")), "{problem}");
            }
        }
    }
}
