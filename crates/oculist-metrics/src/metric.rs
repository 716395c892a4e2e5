//! The metrics by name, with unit and direction.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Something that is measured of a classifier.
///
/// Written to files as its [`name`](Self::name), read from there as by [`FromStr`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Metric {
    /// Share of images whose most likely class is the true one.
    Top1,
    /// Share of images whose true class is among the five most likely ones (all, if there are fewer than five).
    Top5,
    /// Mean over the classes that occur of the share of their images that is recognised.
    BalancedAccuracy,
    /// Mean over classes of `2 TP / (2 TP + FP + FN)`; classes that neither occur nor are answered are left out.
    MacroF1,
    /// Area under the ROC curve: how often an image of class 1 is thought likelier to be one than an image of class 0.
    Auc,
    /// Mean cross-entropy of the true class or, with several labels, mean binary cross-entropy over images and classes.
    LogLoss,
    /// Expected calibration error, 15 bins.
    Ece,
    /// Mean over the classes with positives of their average precision (several labels).
    Map,
    /// `2 TP / (2 TP + FP + FN)` counted over all images and classes (several labels).
    MicroF1,
    /// Share of images with exactly the right set of labels.
    ExactMatch,
    /// Share of wrong answers over all images and classes (several labels).
    Hamming,
}

/// Which values of a metric are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// More is better.
    HigherIsBetter,
    /// Less is better.
    LowerIsBetter,
}

/// What a metric is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// Percent, 0..=100; differences are points.
    Percent,
    /// Nats, 0 or more: a plain number.
    Nats,
}

/// What is known of a metric, one line each.
struct Facts {
    metric: Metric,
    name: &'static str,
    title: &'static str,
    unit: Unit,
    direction: Direction,
    /// Other spellings, with `_` between words.
    aliases: &'static [&'static str],
    description: &'static str,
}

#[rustfmt::skip]
const FACTS: [Facts; 11] = {
    use Direction::{HigherIsBetter as More, LowerIsBetter as Less};
    use Metric::{Auc, BalancedAccuracy, Ece, ExactMatch, Hamming, LogLoss, MacroF1, Map, MicroF1, Top1, Top5};
    use Unit::{Nats, Percent};
    const fn facts(
        (metric, name, title): (Metric, &'static str, &'static str),
        (unit, direction): (Unit, Direction),
        aliases: &'static [&'static str],
        description: &'static str,
    ) -> Facts {
        Facts { metric, name, title, unit, direction, aliases, description }
    }
    [
        facts((Top1, "top1", "top-1"), (Percent, More), &["top_1", "accuracy", "acc"],
            "share of images whose most likely class is the true one"),
        facts((Top5, "top5", "top-5"), (Percent, More), &["top_5"],
            "share of images whose true class is among the five most likely ones"),
        facts((BalancedAccuracy, "balanced_accuracy", "balanced accuracy"), (Percent, More),
            &["balanced", "balanced_acc", "mean_recall", "macro_recall"],
            "share of right answers, averaged over classes"),
        facts((MacroF1, "macro_f1", "macro F1"), (Percent, More), &["f1", "f1_macro", "f1_score"],
            "F1 averaged over classes"),
        facts((Auc, "auc", "AUC"), (Percent, More), &["roc_auc", "auroc", "auc_roc"],
            "area under the ROC curve, two classes only"),
        facts((LogLoss, "log_loss", "log loss"), (Nats, Less), &["loss", "logloss", "cross_entropy", "nll"],
            "mean cross-entropy"),
        facts((Ece, "ece", "ECE"), (Percent, Less), &["calibration_error", "expected_calibration_error"],
            "expected calibration error: how far the confidence is from the share of right answers"),
        facts((Map, "map", "mAP"), (Percent, More), &["mean_average_precision", "average_precision"],
            "average precision averaged over classes with positives"),
        facts((MicroF1, "micro_f1", "micro F1"), (Percent, More), &["f1_micro"],
            "F1 counted over all images and classes"),
        facts((ExactMatch, "exact_match", "exact match"), (Percent, More), &["subset_accuracy", "exact"],
            "share of images with exactly the right labels"),
        facts((Hamming, "hamming", "Hamming loss"), (Percent, Less), &["hamming_loss"],
            "share of wrong answers over all images and classes"),
    ]
};

impl Metric {
    /// Every metric, in the order of reports.
    pub const ALL: [Self; 11] = [
        Self::Top1,
        Self::Top5,
        Self::BalancedAccuracy,
        Self::MacroF1,
        Self::Auc,
        Self::LogLoss,
        Self::Ece,
        Self::Map,
        Self::MicroF1,
        Self::ExactMatch,
        Self::Hamming,
    ];
    /// What [`classification`](crate::classification) computes, in its order.
    pub const CLASSIFICATION: [Self; 7] =
        [Self::Top1, Self::Top5, Self::BalancedAccuracy, Self::MacroF1, Self::Auc, Self::LogLoss, Self::Ece];
    /// What [`multi_label`](crate::multi_label) computes, in its order.
    pub const MULTI_LABEL: [Self; 6] =
        [Self::Map, Self::MacroF1, Self::MicroF1, Self::ExactMatch, Self::Hamming, Self::LogLoss];

    fn facts(self) -> &'static Facts {
        // The table is in the order of the variants; a test looks at each.
        &FACTS[self as usize]
    }

    /// The name in files: `top1`, `balanced_accuracy`, `log_loss`.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The name for people: `top-1`, `balanced accuracy`, `log loss`.
    pub fn title(self) -> &'static str {
        self.facts().title
    }

    /// What it measures, in a few words that begin with a small letter.
    pub fn description(self) -> &'static str {
        self.facts().description
    }

    /// What it is measured in.
    pub fn unit(self) -> Unit {
        self.facts().unit
    }

    /// Which values are better.
    pub fn direction(self) -> Direction {
        self.facts().direction
    }

    /// The metric that `text` names, if it is one of `choices`.
    ///
    /// Names and their usual other spellings (`top-1`, `accuracy`, `f1`) count, in any case, with `-`, `_` or a space
    /// between words.
    ///
    /// # Errors
    /// If `text` names none of `choices`; the error lists them.
    pub fn parse_among(text: &str, choices: &[Self]) -> Result<Self, UnknownMetric> {
        let plain = text.trim().to_lowercase().replace(['-', ' '], "_");
        let means = |facts: &&Facts| {
            choices.contains(&facts.metric)
                && (facts.name == plain || facts.aliases.contains(&plain.as_str()))
        };
        let found = FACTS.iter().find(means).map(|facts| facts.metric);
        found.ok_or_else(|| UnknownMetric { found: text.to_owned(), choices: choices.to_vec() })
    }
}

/// A text names no metric that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected a metric ({}), found {found:?}", names(choices))]
pub struct UnknownMetric {
    /// What was given.
    pub found: String,
    /// What could have been given.
    pub choices: Vec<Metric>,
}

fn names(metrics: &[Metric]) -> String {
    metrics.iter().map(|m| m.name()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(text: &str) -> Result<Self, UnknownMetric> {
        Self::parse_among(text, &Self::ALL)
    }
}

/// The name in files.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_variants() {
        for (i, metric) in Metric::ALL.into_iter().enumerate() {
            assert_eq!((metric as usize, FACTS[i].metric), (i, metric));
        }
    }

    #[test]
    fn every_spelling_names_one_metric() {
        let mut seen = BTreeSet::new();
        for facts in &FACTS {
            for spelling in facts.aliases.iter().chain([&facts.name]) {
                assert_eq!(spelling.parse(), Ok(facts.metric));
                assert!(seen.insert(*spelling), "{spelling} twice");
            }
            assert_eq!(facts.title.parse(), Ok(facts.metric), "titles can be typed");
        }
    }

    #[test]
    fn spellings_are_forgiven_and_others_are_refused_with_the_choices() {
        for text in ["top-1", "top1", "Accuracy", " TOP 1 "] {
            assert_eq!(text.parse(), Ok(Metric::Top1));
        }
        assert_eq!("f1".parse(), Ok(Metric::MacroF1));
        let message = "recal".parse::<Metric>().unwrap_err().to_string();
        assert!(
            message.starts_with("expected a metric (top1, top5, ") && message.ends_with("found \"recal\"")
        );
        let refused = Metric::parse_among("top1", &Metric::MULTI_LABEL).unwrap_err().to_string();
        assert_eq!(
            refused,
            "expected a metric (map, macro_f1, micro_f1, exact_match, hamming, log_loss), found \"top1\""
        );
    }

    #[test]
    fn files_hold_the_name() {
        assert_eq!(serde_json::to_string(&Metric::BalancedAccuracy).unwrap(), "\"balanced_accuracy\"");
        assert_eq!(serde_json::from_str::<Metric>("\"top-5\"").unwrap(), Metric::Top5);
        assert!(serde_json::from_str::<Metric>("\"top6\"").unwrap_err().to_string().contains("top1, top5"));
    }
}
