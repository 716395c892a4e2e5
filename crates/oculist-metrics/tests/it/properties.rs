//! Metrics against naive loops in f64, on generated problems of many sizes, and what must hold of any.

use oculist_metrics::{
    Metric, Outputs, Scores, area_under_roc, average_precision, classification, multi_label,
};
use oculist_testing::formula::tensor;

use super::naive;

/// A generated problem; every second one has ties.
struct Problem {
    name: String,
    classes: usize,
    logits: Vec<f32>,
    labels: Vec<u32>,
    /// Targets of several labels.
    truth: Vec<bool>,
}

fn problems() -> Vec<Problem> {
    let sizes =
        [(1, 1), (1, 2), (2, 2), (3, 2), (17, 2), (64, 2), (5, 3), (40, 5), (41, 6), (90, 11), (33, 40)];
    let seeds = (0..6).flat_map(|seed| sizes.map(|size| (seed, size)));
    seeds
        .map(|(seed, (count, classes))| {
            let name = format!("problem{seed}.{count}.{classes}");
            let u = |what: &str, n: usize| tensor(&format!("{name}.{what}"), n);
            let mut logits = u("logits", count * classes);
            for z in &mut logits {
                *z = if seed % 2 == 0 { 4.0 * *z } else { (4.0 * *z).floor() / 2.0 };
            }
            // Squaring makes the first classes frequent and the last ones rare or absent.
            let label = |u: &f32| ((u * u * classes as f32) as u32).min(classes as u32 - 1);
            let labels = u("labels", count).iter().map(label).collect();
            let truth = u("truth", count * classes).iter().map(|&u| u < -0.4).collect();
            Problem { name, classes, logits, labels, truth }
        })
        .collect()
}

impl Problem {
    fn classification(&self) -> Scores {
        classification(Outputs::Logits(&self.logits), &self.labels, self.classes)
    }

    fn multi_label(&self) -> Scores {
        multi_label(Outputs::Logits(&self.logits), &self.truth, self.classes, 0.5).scores
    }

    /// What [`classification`] should give, by definition.
    fn naive_classification(&self) -> Vec<(Metric, Option<f64>)> {
        let (logits, labels, classes) = (&self.logits, &self.labels, self.classes);
        let predicted = naive::predictions(logits, classes);
        let auc = (classes == 2).then(|| {
            let margins: Vec<f64> = logits.chunks(2).map(|z| f64::from(z[1]) - f64::from(z[0])).collect();
            let positive: Vec<bool> = labels.iter().map(|&l| l == 1).collect();
            naive::area_under_roc(&margins, &positive, 0.5).map(|area| 100.0 * area)
        });
        vec![
            (Metric::Top1, Some(naive::top(1, logits, labels, classes))),
            (Metric::Top5, Some(naive::top(5, logits, labels, classes))),
            (Metric::BalancedAccuracy, Some(naive::balanced_accuracy(&predicted, labels, classes))),
            (Metric::MacroF1, Some(naive::macro_f1(&predicted, labels, classes))),
            (Metric::Auc, auc.flatten()),
            (Metric::LogLoss, Some(naive::log_loss(logits, labels, classes))),
            (Metric::Ece, Some(naive::ece(logits, labels, classes))),
        ]
    }

    /// What [`multi_label`] should give, by definition.
    fn naive_multi_label(&self) -> Vec<(Metric, Option<f64>)> {
        let (logits, truth, classes) = (&self.logits, &self.truth, self.classes);
        let predicted: Vec<bool> = logits.iter().map(|&z| z >= 0.0).collect();
        let of = |all: &[bool], c: usize| all.iter().copied().skip(c).step_by(classes).collect::<Vec<_>>();
        let f1 = |c: usize| naive::f1(&of(&predicted, c), &of(truth, c));
        let precision = |c: usize| {
            let scores: Vec<f64> = logits.iter().skip(c).step_by(classes).map(|&z| f64::from(z)).collect();
            naive::average_precision(&scores, &of(truth, c))
        };
        let mean =
            |all: Vec<f64>| (!all.is_empty()).then(|| 100.0 * all.iter().sum::<f64>() / all.len() as f64);
        let images = truth.len() / classes;
        let right = predicted.chunks(classes).zip(truth.chunks(classes)).filter(|(p, t)| p == t).count();
        let wrong = predicted.iter().zip(truth).filter(|(p, t)| p != t).count();
        vec![
            (Metric::Map, mean((0..classes).filter_map(precision).collect())),
            (Metric::MacroF1, mean((0..classes).filter_map(f1).collect())),
            (Metric::MicroF1, naive::f1(&predicted, truth).map(|f1| 100.0 * f1)),
            (Metric::ExactMatch, Some(100.0 * right as f64 / images as f64)),
            (Metric::Hamming, Some(100.0 * wrong as f64 / truth.len() as f64)),
            (Metric::LogLoss, Some(naive::binary_cross_entropy(logits, truth))),
        ]
    }
}

/// Whether the value is the wanted one, or neither is there.
fn same(got: Option<f64>, want: Option<f64>) -> bool {
    match (got, want) {
        (Some(got), Some(want)) => (got - want).abs() <= 1e-9,
        (got, want) => got == want,
    }
}

#[test]
fn metrics_of_one_class_are_their_definitions() {
    for problem in problems() {
        let (got, want) = (problem.classification(), problem.naive_classification());
        assert_eq!(want.len(), Metric::CLASSIFICATION.len());
        for (metric, want) in want {
            assert!(same(got.get(metric), want), "{}: {metric} of {got:?}, not {want:?}", problem.name);
        }
    }
}

#[test]
fn metrics_of_several_labels_are_their_definitions() {
    for problem in problems() {
        let (got, want) = (problem.multi_label(), problem.naive_multi_label());
        assert_eq!(want.len(), Metric::MULTI_LABEL.len());
        for (metric, want) in want {
            assert!(same(got.get(metric), want), "{}: {metric} of {got:?}, not {want:?}", problem.name);
        }
    }
}

#[test]
fn a_wrong_definition_is_told_apart() {
    let mut noticed = 0;
    for problem in problems().iter().filter(|p| p.classes == 2) {
        let scores: Vec<f64> = problem.logits.iter().step_by(2).map(|&z| f64::from(z)).collect();
        let positive: Vec<bool> = problem.labels.iter().map(|&l| l == 1).collect();
        let got = area_under_roc(&scores, &positive);
        assert!(same(got, naive::area_under_roc(&scores, &positive, 0.5)));
        noticed += usize::from(!same(got, naive::area_under_roc(&scores, &positive, 0.0)));
    }
    assert!(noticed >= 4, "ties that do not count: noticed {noticed} times");
    // On some problem each metric differs from each other one.
    let one: Vec<Scores> = problems().iter().map(Problem::classification).collect();
    let several: Vec<Scores> = problems().iter().map(Problem::multi_label).collect();
    for (all, metrics) in [(one, &Metric::CLASSIFICATION[..]), (several, &Metric::MULTI_LABEL[..])] {
        for &a in metrics {
            for &b in metrics.iter().filter(|b| **b != a) {
                assert!(all.iter().any(|s| !same(s.get(a), s.get(b))), "{a} and {b}");
            }
        }
    }
}

#[test]
fn values_stay_in_their_range_whatever_the_outputs_are() {
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, -0.0, 0.0, f32::MIN_POSITIVE];
    for mut problem in problems() {
        for (i, z) in problem.logits.iter_mut().enumerate().filter(|(i, _)| i % 3 != 1) {
            *z = odd[(i / 2) % odd.len()];
        }
        for outputs in [Outputs::Logits(&problem.logits), Outputs::Probabilities(&problem.logits)] {
            let one = classification(outputs, &problem.labels, problem.classes);
            let several = multi_label(outputs, &problem.truth, problem.classes, 0.5).scores;
            for (metric, value) in one.iter().chain(several.iter()) {
                let top = if metric == Metric::LogLoss { f64::INFINITY } else { 100.0 };
                assert!((0.0..=top).contains(&value), "{}: {metric} is {value}", problem.name);
            }
        }
    }
}

#[test]
fn areas_and_precisions_look_at_nothing_but_the_order() {
    for problem in problems() {
        let scores: Vec<f64> = problem.logits.iter().map(|&z| f64::from(z)).collect();
        let stretched: Vec<f64> = scores.iter().map(|z| z.powi(3) * 1e100).collect();
        let turned: Vec<f64> = scores.iter().map(|z| -z).collect();
        let truth = &problem.truth;
        assert_eq!(average_precision(&scores, truth), average_precision(&stretched, truth));
        let area = area_under_roc(&scores, truth);
        assert_eq!(area, area_under_roc(&stretched, truth));
        let opposite = area_under_roc(&turned, truth).map(|area| 1.0 - area);
        assert!(same(area, opposite), "{}: {area:?}, turned {opposite:?}", problem.name);
    }
}
