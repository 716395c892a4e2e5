//! Turns results into the report's plain facts.

use std::fmt::Write;

use oculist_metrics::{ClassScores, Metric, MultiLabel, Scores, Standing};
use oculist_report::{
    Chance, ClassAccuracy, Epoch, LabelScores, Model as ModelFacts, Reject as RejectFacts, Spread,
};
use oculist_train::EpochRecord;

use crate::judging::{Answers, OfTask};
use crate::metrics::{Evaluation, calibration_bins};
use crate::model_file::Model;

/// A model with everything that the report shows of it.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) file: String,
    pub(crate) precision: &'static str,
    /// What it achieves on validation images.
    pub(crate) val: Scores,
    /// What it answers on test images, where there are any.
    pub(crate) test: Option<Answers>,
    /// Probabilities of one class each, `[images, classes]`, where they are wanted: else empty.
    pub(crate) probabilities: Vec<f32>,
    pub(crate) params: u64,
    pub(crate) macs: u64,
    pub(crate) bytes: u64,
    pub(crate) latency: Spread,
    pub(crate) throughput: Spread,
    pub(crate) reject: Option<RejectFacts>,
}

impl Measured {
    /// The facts for the report; `baseline` are the baseline's answers on the same images.
    pub(crate) fn facts(&self, class_names: &[String], baseline: Option<&Answers>) -> ModelFacts {
        let mut facts = ModelFacts {
            name: self.name.to_owned(),
            file: self.file.clone(),
            precision: self.precision.to_owned(),
            val_top1: self.val.get(Metric::Top1),
            val_scores: self.val.clone(),
            scores: self.test.as_ref().map(|test| test.scores.clone()).unwrap_or_default(),
            params: self.params,
            macs: self.macs,
            bytes: self.bytes,
            latency_ms: Some(self.latency),
            images_per_s: Some(self.throughput),
            agreement_with_baseline: self.test.as_ref().zip(baseline).map(|(test, b)| test.agreement(b)),
            reject: self.reject.clone(),
            ..ModelFacts::default()
        };
        match self.test.as_ref().map(|test| &test.of_task) {
            None => {}
            Some(OfTask::One(found)) => of_one(&mut facts, found, class_names),
            Some(OfTask::Several(found)) => {
                facts.per_label = per_label(&found.found, class_names);
                facts.chance = found.standing.map(|standing| Chance {
                    rate: standing.constant,
                    images: found.found.count as u64,
                    finding: standing.finding(),
                    ..Chance::default()
                });
            }
        }
        facts
    }
}

/// When a model says that an image is none of its classes, with the scores of validation images in rising order and those
/// of test images.
pub(crate) fn facts_of_reject(model: &Model, val: &[f32], test: &[f32]) -> Option<RejectFacts> {
    /// Thresholds of the curve.
    const POINTS: usize = 41;
    let reject = model.reject?;
    let kept_of = |scores: &[f32], threshold: f32| {
        let kept = scores.iter().filter(|&&score| score >= threshold).count();
        (!scores.is_empty()).then(|| 100.0 * kept as f64 / scores.len() as f64)
    };
    let mut curve: Vec<[f64; 2]> = Vec::new();
    for point in 0..POINTS {
        let Some(&threshold) = val.get(point * val.len().saturating_sub(1) / (POINTS - 1)) else { break };
        let point = [f64::from(threshold), kept_of(val, threshold).unwrap_or_default()];
        if curve.last() != Some(&point) {
            curve.push(point);
        }
    }
    Some(RejectFacts {
        score: reject.score.name().to_owned(),
        threshold: f64::from(reject.threshold),
        rate: 100.0 * reject.rate,
        images: reject.images as u64,
        val_kept: kept_of(val, reject.threshold).unwrap_or_default(),
        test_kept: kept_of(test, reject.threshold),
        curve,
    })
}

/// What there is to say of answers with one class an image.
fn of_one(facts: &mut ModelFacts, found: &Evaluation, class_names: &[String]) {
    facts.top1 = Some(found.top1);
    facts.top5 = Some(found.top5);
    facts.ece = Some(found.ece / 100.0);
    facts.calibration = calibration_bins(found);
    facts.per_class = class_names
        .iter()
        .zip(found.per_class.iter().zip(&found.confusion))
        .map(|(class, (accuracy, row))| ClassAccuracy {
            class: class.clone(),
            accuracy: accuracy.unwrap_or(0.0),
            count: row.iter().map(|&n| u64::from(n)).sum(),
        })
        .collect();
    facts.chance = Standing::of(&found.confusion).map(|standing| Chance {
        answer: class_names.get(standing.majority).cloned().unwrap_or_else(|| standing.majority.to_string()),
        rate: standing.majority_rate,
        interval: Some([standing.interval.low, standing.interval.high]),
        balanced_accuracy: Some(standing.balanced_chance),
        images: found.count as u64,
        finding: standing.finding(),
    });
    let rows = found.confusion.iter();
    facts.set_confusion(rows.map(|row| row.iter().map(|&n| u64::from(n)).collect()).collect());
}

/// What there is to say of each of several classes.
fn per_label(found: &MultiLabel, class_names: &[String]) -> Vec<LabelScores> {
    let of = |(class, scores): (&String, &ClassScores)| LabelScores {
        class: class.clone(),
        f1: scores.f1,
        precision: scores.precision,
        recall: scores.recall,
        average_precision: scores.average_precision,
        positives: scores.positives as u64,
        predicted: scores.predicted as u64,
    };
    class_names.iter().zip(&found.per_class).map(of).collect()
}

/// The learning curve of one phase, by the metric that decides.
pub(crate) fn curve(phase: &str, history: &[EpochRecord], metric: Metric) -> Vec<Epoch> {
    history
        .iter()
        .map(|r| Epoch {
            phase: phase.to_owned(),
            epoch: r.epoch,
            train_loss: r.train_loss,
            val_loss: Some(r.val_loss),
            val: r.val.get(metric),
            val_top1: r.val.get(Metric::Top1),
            lr: r.lr,
            images_per_s: r.images_per_s,
            seconds: r.seconds,
            data_wait: r.data_wait(),
            loss: String::new(),
        })
        .collect()
}

/// One line per epoch: `phase,epoch,train_loss,val_loss,val_top1,lr,images_per_s,seconds,data_wait,val`; the last is the
/// value of the metric that decides.
pub(crate) fn metrics_csv(epochs: &[Epoch]) -> String {
    let mut out =
        String::from("phase,epoch,train_loss,val_loss,val_top1,lr,images_per_s,seconds,data_wait,val\n");
    for e in epochs {
        let opt = |v: Option<f64>| v.map_or(String::new(), |v| format!("{v:.6}"));
        let _ = writeln!(
            out,
            "{},{},{:.6},{},{},{:.6},{:.1},{:.2},{:.2},{}",
            e.phase,
            e.epoch,
            e.train_loss,
            opt(e.val_loss),
            opt(e.val_top1),
            e.lr,
            e.images_per_s,
            e.seconds,
            e.data_wait,
            opt(e.val)
        );
    }
    out
}

/// `1 epoch`, `2 epochs`: a number with the word that suits it.
pub(crate) fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// `1 point`, `0.5 points`: a difference of accuracies that was asked for.
pub(crate) fn points_text(points: f64) -> String {
    format!("{points} {}", if points.to_bits() == 1.0_f64.to_bits() { "point" } else { "points" })
}

/// `1.2 M`, `345 k`: a count for a sentence.
pub(crate) fn count_text(n: u64) -> String {
    match n {
        1_000_000_000.. => format!("{:.2} G", n as f64 / 1e9),
        1_000_000.. => format!("{:.2} M", n as f64 / 1e6),
        1_000.. => format!("{:.1} k", n as f64 / 1e3),
        _ => n.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_suit_their_numbers() {
        let epochs = [0, 1, 2].map(|n| counted(n, "epoch", "epochs"));
        assert_eq!(epochs, ["0 epochs", "1 epoch", "2 epochs"]);
        assert_eq!([0.5, 1.0, 2.0].map(points_text), ["0.5 points", "1 point", "2 points"]);
    }
}
