//! A model beside one answer for every image.

use oculist_metrics::{Finding, Metric};
use oculist_text::name;
use serde::{Deserialize, Serialize};

use super::Model;

/// What a model achieves on the test split beside what needs no look at an image. Shares are in percent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Chance {
    /// The commonest class, which the constant answer is; empty where images have several labels.
    pub answer: String,
    /// What the constant answer achieves: the majority rate, or the mean average precision of the same answer for all.
    pub rate: f64,
    /// 95% confidence interval of the model's top-1; `None` where images have several labels.
    pub interval: Option<[f64; 2]>,
    /// What the balanced accuracy of the same answers in a random order is expected to be; `None` likewise.
    pub balanced_accuracy: Option<f64>,
    /// Number of images.
    pub images: u64,
    /// What follows.
    pub finding: Finding,
}

impl Chance {
    /// Whether the model is not shown to be better than the constant answer by any measure.
    pub fn is_no_better(&self) -> bool {
        matches!(self.finding, Finding::NoBetter | Finding::Unclear)
    }

    /// `always answering Bag`, or what that is with several labels.
    pub(crate) fn constant(&self) -> String {
        if self.answer.is_empty() {
            "the same answer for every image".to_owned()
        } else {
            format!("always answering {}", name(&self.answer))
        }
    }

    /// The metric that is compared.
    pub(crate) fn metric(&self) -> Metric {
        if self.interval.is_some() { Metric::Top1 } else { Metric::Map }
    }
}

impl Model {
    /// Says that the model is no better than one answer for every image, or not by its accuracy; `None` where it is better,
    /// or where that was not measured.
    ///
    /// `No better than always answering Bag: top-1 45.00% on 200 images, majority rate 45.00%`.
    pub fn chance_remark(&self) -> Option<String> {
        let chance = self.chance.as_ref()?;
        let metric = chance.metric();
        let value = metric.format(self.score(metric).unwrap_or(f64::NAN));
        let title = metric.title();
        let between = match chance.interval {
            Some([low, high]) => format!("95% interval {low:.1} to {high:.1}% on {} images", chance.images),
            None => format!("on {} images", chance.images),
        };
        let rate = match chance.interval {
            Some(_) => format!("majority rate {}", metric.format(chance.rate)),
            None => format!("that gives {}", metric.format(chance.rate)),
        };
        let constant = chance.constant();
        match chance.finding {
            Finding::Better => None,
            Finding::NoBetter => Some(format!("No better than {constant}: {title} {value}, {rate}")),
            Finding::Unclear => {
                Some(format!("Not shown to be better than {constant}: {title} {value} ({between}), {rate}"))
            }
            Finding::BetterBalanced => {
                let of = |value: Option<f64>| Metric::BalancedAccuracy.format(value.unwrap_or(f64::NAN));
                Some(format!(
                    "{title} {value} ({between}) is not above the {} of {constant}; balanced accuracy {} is above chance \
                     ({})",
                    metric.format(chance.rate),
                    of(self.score(Metric::BalancedAccuracy)),
                    of(chance.balanced_accuracy)
                ))
            }
        }
    }

    /// Whether the model is known to be no better than one answer for every image.
    pub fn is_no_better_than_chance(&self) -> bool {
        self.chance.as_ref().is_some_and(Chance::is_no_better)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scores;

    fn model(finding: Finding) -> Model {
        let chance = Chance {
            answer: "Bag".into(),
            rate: 45.0,
            interval: Some([38.3, 51.9]),
            balanced_accuracy: Some(16.67),
            images: 200,
            finding,
        };
        let scores: Scores = [(Metric::BalancedAccuracy, 40.0)].into_iter().collect();
        Model { top1: Some(45.0), scores, chance: Some(chance), ..Model::default() }
    }

    #[test]
    fn what_is_no_better_says_so() {
        assert_eq!(
            model(Finding::NoBetter).chance_remark().unwrap(),
            "No better than always answering Bag: top-1 45.00%, majority rate 45.00%"
        );
        let unclear = model(Finding::Unclear).chance_remark().unwrap();
        assert!(unclear.starts_with("Not shown to be better than always answering Bag"), "{unclear}");
        assert!(unclear.contains("38.3 to 51.9% on 200 images"), "{unclear}");
        let balanced = model(Finding::BetterBalanced).chance_remark().unwrap();
        assert!(balanced.contains("balanced accuracy 40.00% is above chance (16.67%)"), "{balanced}");
        assert_eq!(model(Finding::Better).chance_remark(), None);
        assert_eq!(Model::default().chance_remark(), None);
        let no_better =
            [Finding::NoBetter, Finding::Unclear, Finding::BetterBalanced, Finding::Better].map(model);
        assert_eq!(no_better.map(|m| m.is_no_better_than_chance()), [true, true, false, false]);
    }

    #[test]
    fn several_labels_have_no_commonest_class() {
        let mut several = model(Finding::NoBetter);
        let chance = several.chance.as_mut().unwrap();
        (chance.answer, chance.interval, chance.rate) = (String::new(), None, 23.1);
        several.scores = [(Metric::Map, 23.0)].into_iter().collect();
        assert_eq!(
            several.chance_remark().unwrap(),
            "No better than the same answer for every image: mAP 23.00%, that gives 23.10%"
        );
    }
}
